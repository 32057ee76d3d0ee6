package main

import (
	"context"
	"fmt"
	"io"
	"strings"
	"testing"
	"testing/synctest"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
	"go.uber.org/goleak"

	chat "github.com/fliplet/fliplet-chat-go"
	"github.com/fliplet/fliplet-chat-go/fliplettest"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

func TestMigrateShowsADryRunAndTheRun(t *testing.T) {
	t.Parallel()
	var out strings.Builder
	require.NoError(t, run(t.Context(), &out))
	assert.Equal(t, `dry run: true
"Lunch": 2 people, 3 messages
"Launch": 3 people, 3 messages
the target was written to: false
dry run: false
"Lunch": 2 people, 3 messages
"Launch": 3 people, 3 messages
the target was written to: true
Jane@example.org: Pizza?
bob@example.org: Soup.
Jane@example.org: Soup it is.
bob@example.org: Ready?
EVE@example.org: Nearly.
Jane@example.org: Go!
`, out.String())
}

// apps runs a test in virtual time with two apps and two conversations, one of them long.
func apps(t *testing.T, test func(t *testing.T, target *fliplettest.Server, from, to chat.Options, texts []string)) {
	t.Helper()
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		source, target := fliplettest.New(t, fliplettest.InProcess()), fliplettest.New(t, fliplettest.InProcess())
		from := app(source, "jane@example.org", "bob@example.org", "eve@example.org")
		to := app(target, "eve@example.org", "jane@example.org", "bob@example.org")
		source.FreezeClock() // rows of one timestamp keep their order, too
		var lines [][2]string
		var texts []string
		for i := range 450 {
			text := fmt.Sprintf("%s says %d", []string{"jane", "bob"}[i%2], i)
			lines, texts = append(lines, [2]string{[]string{"jane", "bob"}[i%2] + "@example.org", text}), append(texts, text)
		}
		require.NoError(t, talk(t.Context(), from, "Long", lines...))
		source.ThawClock()
		test(t, target, from, to, texts)
	})
}

// came are the messages that Bob has in the target, with their authors.
func came(t *testing.T, to chat.Options) (texts []string) {
	t.Helper()
	w := &writers{opts: to, chats: map[string]*chat.Chat{}}
	defer w.close()
	bob, err := w.login(t.Context(), person{key: "bob@example.org"})
	require.NoError(t, err)
	conversations, err := bob.Conversations(t.Context())
	require.NoError(t, err)
	require.Len(t, conversations, 1)
	for m, err := range bob.History(t.Context(), conversations[0].ID) {
		require.NoError(t, err)
		who, err := bob.ContactByUserID(t.Context(), m.FromUserID)
		require.NoError(t, err)
		require.True(t, strings.HasPrefix(who.Data["Email"].(string), strings.Fields(m.Body)[0]), "the author of %q", m.Body)
		require.NotEmpty(t, m.Data["sentAt"])
		require.Equal(t, chat.Encrypted, m.Protection)
		texts = append([]string{m.Body}, texts...)
	}
	return texts
}

func TestADryRunWritesNothingAndTheRunKeepsAuthorsAndOrder(t *testing.T) {
	apps(t, func(t *testing.T, target *fliplettest.Server, from, to chat.Options, texts []string) {
		require.NoError(t, (&migration{from: from, to: to, dryRun: true, out: io.Discard}).run(t.Context()))
		for _, r := range target.Requests() {
			assert.NotContains(t, []string{"PUT", "DELETE"}, r.Method, "%s", r.Path)
		}
		assert.Zero(t, target.Count(fliplettest.AnyWrite))
		assert.Len(t, target.Sources(), 1, "the contacts alone")
		require.NoError(t, (&migration{from: from, to: to, out: io.Discard}).run(t.Context()))
		assert.Equal(t, texts, came(t, to))
	})
}

func TestAMigrationThatWasInterruptedIsRunAgain(t *testing.T) {
	apps(t, func(t *testing.T, target *fliplettest.Server, from, to chat.Options, texts []string) {
		ctx, stop := context.WithCancel(t.Context())
		target.After(100, 1, fliplettest.Insert, fliplettest.LoseAnswer())
		cut := target.After(101, 1, fliplettest.Insert, fliplettest.Status(500))
		err := (&migration{from: from, to: to, out: io.Discard}).run(ctx)
		require.Error(t, err)
		require.Positive(t, cut.Hits())
		stop()
		require.NoError(t, (&migration{from: from, to: to, out: io.Discard}).run(t.Context()))
		assert.Equal(t, texts, came(t, to))
	})
}

func TestNothingBeginsWhenAnAuthorIsMissing(t *testing.T) {
	apps(t, func(t *testing.T, target *fliplettest.Server, from, _ chat.Options, _ []string) {
		var out strings.Builder
		to := app(target, "jane@example.org")
		err := (&migration{from: from, to: to, out: &out}).run(t.Context())
		require.ErrorContains(t, err, "is not in the target")
		assert.Contains(t, out.String(), "is not in the target")
		assert.Zero(t, target.Count(fliplettest.AnyWrite))
	})
}
