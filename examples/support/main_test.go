package main

import (
	"context"
	"encoding/json"
	"fmt"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	chat "github.com/fliplet/fliplet-chat-go"
	"github.com/fliplet/fliplet-chat-go/datasource"
	"github.com/fliplet/fliplet-chat-go/fliplettest"
	"github.com/fliplet/fliplet-chat-go/internal/leaktest"
)

func TestMain(m *testing.M) { leaktest.Main(m) }

func TestDeskTellsWhatItEscalates(t *testing.T) {
	t.Parallel()
	var out strings.Builder
	require.NoError(t, run(t.Context(), &out))
	assert.Equal(t, `0 hours later: 0 escalated
23 hours later: 0 escalated
1 hours later: 1 escalated
  Support for Ann
1 hours later: 0 escalated
`, out.String())
}

func TestDeskEscalatesOnceWhatNobodyAnswersFor24Hours(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		s := fliplettest.New(t, fliplettest.InProcess())
		o, err := open(t.Context(), s)
		require.NoError(t, err)
		defer o.app.Close()
		ctx, stop := context.WithCancel(t.Context())
		defer stop()
		restart := func() {
			d := o.desk()
			go d.watch(ctx, 10*time.Minute, func(err error) { assert.NoError(t, err) })
		}
		restart()
		say := func(who string, conv *chat.Conversation, text string) {
			require.NoError(t, o.say(t.Context(), who, conv, text))
		}
		escalations := func(conv *chat.Conversation) (n int) {
			for m, err := range o.app.History(t.Context(), conv.ID) {
				require.NoError(t, err)
				if strings.HasPrefix(m.Body, "Nobody has answered") {
					assert.Equal(t, "Kim", m.FromUserID)
					n++
				}
			}
			return n
		}
		open, err := o.ask(t.Context(), "Ann", "Kim", "My badge does not work.")
		require.NoError(t, err)
		answered, err := o.ask(t.Context(), "Cem", "Lee", "Where is room 5?")
		require.NoError(t, err)

		time.Sleep(12 * time.Hour)
		say("Lee", answered, "On the first floor.")
		say("Ann", open, "Hello?") // does not begin the time anew
		time.Sleep(11*time.Hour + 55*time.Minute)
		assert.Zero(t, escalations(open), "not before 24 hours")
		time.Sleep(20 * time.Minute)
		assert.Equal(t, 1, escalations(open))
		lead, err := o.app.User(t.Context(), chat.M{"flUserId": "lead"})
		require.NoError(t, err)
		invited, err := lead.Conversations(t.Context())
		require.NoError(t, err)
		require.Len(t, invited, 1)
		assert.Equal(t, open.ID, invited[0].ID)

		stop() // a restart escalates nothing again
		synctest.Wait()
		ctx, stop = context.WithCancel(t.Context())
		defer stop()
		restart()
		time.Sleep(48 * time.Hour)
		assert.Equal(t, 1, escalations(open))
		assert.Zero(t, escalations(answered))

		say("Ann", open, "Still broken.")
		time.Sleep(25 * time.Hour)
		assert.Equal(t, 2, escalations(open), "another day without an answer")
		stop()
		synctest.Wait()
	})
}

// Kim cannot send to the conversation with the latest activity, whose key was changed.
// It comes first in each sweep.
func TestDeskEscalatesBesideAConversationThatCannotBeEscalated(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		s := fliplettest.New(t, fliplettest.InProcess())
		o, err := open(t.Context(), s)
		require.NoError(t, err)
		defer o.app.Close()
		behind, err := o.ask(t.Context(), "Cem", "Lee", "Where is room 5?")
		require.NoError(t, err)
		time.Sleep(time.Minute)
		broken, err := o.ask(t.Context(), "Ann", "Kim", "My badge does not work.")
		require.NoError(t, err)
		require.NoError(t, o.say(t.Context(), "Kim", broken, "Which badge?")) // Kim has seen the key
		require.NoError(t, o.say(t.Context(), "Ann", broken, "The red one."))
		d := o.desk()
		escalated, err := d.sweep(t.Context(), time.Now())
		require.NoError(t, err)
		require.Empty(t, escalated)

		source, err := s.Client().DataSource(t.Context(), broken.ID)
		require.NoError(t, err)
		var definition map[string]any
		require.NoError(t, json.Unmarshal(source.Definition, &definition))
		for name, value := range definition {
			if _, text := value.(string); text { // the key
				definition[name] = "another key"
			}
		}
		raw, err := json.Marshal(definition)
		require.NoError(t, err)
		_, err = s.Client().UpdateDataSource(t.Context(), broken.ID, datasource.SourcePatch{Definition: raw})
		require.NoError(t, err)
		time.Sleep(25 * time.Hour)
		require.NoError(t, o.app.Close())
		o.app, err = chat.OpenApp(t.Context(), o.opts) // a restart
		require.NoError(t, err)
		defer o.app.Close()
		d = o.desk()
		escalated, err = d.sweep(t.Context(), time.Now())
		assert.Equal(t, []int64{behind.ID}, escalated)
		require.ErrorIs(t, err, chat.ErrKeyChanged)
		require.ErrorContains(t, err, fmt.Sprint("conversation ", broken.ID))

		// Nor does one hold up others that cannot be read.
		require.NoError(t, o.say(t.Context(), "Cem", behind, "Hello?"))
		time.Sleep(25 * time.Hour)
		unread := s.Next(1, fliplettest.Query, fliplettest.Status(400)) // the history of the one that is now the latest
		_, err = d.sweep(t.Context(), time.Now())
		require.Equal(t, 1, unread.Hits())
		require.ErrorContains(t, err, fmt.Sprintf("conversation %d: chat: history", behind.ID))
		require.ErrorContains(t, err, fmt.Sprint("conversation ", broken.ID))
		escalated, err = d.sweep(t.Context(), time.Now())
		require.Error(t, err)
		assert.Equal(t, []int64{behind.ID}, escalated)
	})
}

func TestALookCostsOneRequestWhereNobodyWaits(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		s := fliplettest.New(t, fliplettest.InProcess())
		o, err := open(t.Context(), s)
		require.NoError(t, err)
		defer o.app.Close()
		var answered []*chat.Conversation
		for _, who := range []string{"Ann", "Cem"} {
			conv, err := o.ask(t.Context(), who, "Kim", "Where is room 5?")
			require.NoError(t, err)
			require.NoError(t, o.say(t.Context(), "Kim", conv, "On the first floor."))
			answered = append(answered, conv)
		}
		d := o.desk()
		look := func() (requests int) {
			before := s.Count(fliplettest.AnyRoute)
			_, err := d.sweep(t.Context(), time.Now())
			require.NoError(t, err)
			return s.Count(fliplettest.AnyRoute) - before
		}
		assert.Equal(t, 3, look())
		assert.Equal(t, 3, look(), "a server may be behind with what was said just now")
		time.Sleep(10 * time.Minute)
		assert.Equal(t, 3, look())
		assert.Equal(t, 1, look())
		require.NoError(t, o.say(t.Context(), "Ann", answered[0], "Thank you. And room 6?"))
		time.Sleep(10 * time.Minute)
		assert.Equal(t, 2, look())
		assert.Equal(t, 2, look(), "she waits")
	})
}
