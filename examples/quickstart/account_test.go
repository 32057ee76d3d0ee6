package main

import (
	"context"
	"io"
	"net/http"
	"strconv"
	"strings"
	"testing"
	"testing/synctest"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/fliplet/fliplet-chat-go/datasource"
	"github.com/fliplet/fliplet-chat-go/fliplettest"
	"github.com/fliplet/fliplet-chat-go/internal/longtest"
)

// realAccount is a server and an environment that leads to it.
func realAccount(t *testing.T, more map[string]string, opts ...fliplettest.Option) (*fliplettest.Server, func(string) string) {
	s := fliplettest.New(t, opts...)
	contacts, _ := s.AddContacts(datasource.M{"Mail": "a@example.org"}, datasource.M{"Mail": "b@example.org"})
	vars := map[string]string{
		"FLIPLET_TOKEN": s.Token, "FLIPLET_API_URL": s.URL, "FLIPLET_CONTACTS": strconv.FormatInt(contacts, 10),
		"FLIPLET_PRIMARY_KEY": "Mail", "FLIPLET_LOGIN_A": "A@example.org", "FLIPLET_LOGIN_B": "b@example.org",
	}
	for name, value := range more {
		vars[name] = value
	}
	return s, func(name string) string { return vars[name] }
}

func TestAccountIsWrittenToAfterAYes(t *testing.T) {
	t.Parallel()
	t.Run("virtual time", func(t *testing.T) {
		t.Parallel()
		synctest.Test(t, func(t *testing.T) {
			s, get := realAccount(t, nil, fliplettest.InProcess())
			writtenAfterAYes(t, s, get, &http.Client{Transport: s.Transport()})
		})
	})
	t.Run("sockets", func(t *testing.T) {
		t.Parallel()
		longtest.Only(t, "it waits as for a real account")
		s, get := realAccount(t, nil)
		writtenAfterAYes(t, s, get, nil)
	})
}

func writtenAfterAYes(t *testing.T, s *fliplettest.Server, get func(string) string, way *http.Client) {
	t.Helper()
	var out strings.Builder
	require.NoError(t, run(t.Context(), &out, env{get: get, in: strings.NewReader("yes\n"), http: way}), out.String())
	requireOK(t, out.String())
	before, _, asked := strings.Cut(out.String(), "Type yes")
	require.True(t, asked)
	assert.Contains(t, before, "flUserToken in the rows of\n    A@example.org and b@example.org")
	assert.NotContains(t, out.String(), s.Token)

	// What it said is what it wrote.
	live, deleted := 0, 0
	for _, src := range s.Sources() {
		if src.Type == "conversation" {
			live, deleted = live+src.Live, deleted+src.Deleted
		}
	}
	assert.Equal(t, []int{4, 1}, []int{live, deleted})

	// A second time it finds the conversation and its history.
	out.Reset()
	unasked := func(name string) string {
		if name == "FLIPLET_YES" {
			return "1"
		}
		return get(name)
	}
	require.NoError(t, run(t.Context(), &out, env{get: unasked, http: way}), out.String())
	requireOK(t, out.String())
	assert.NotContains(t, out.String(), "Type yes")
}

func TestAccountIsLeftAloneWithoutAYes(t *testing.T) {
	t.Parallel()
	for _, answer := range []string{"", "\n", "no\n"} {
		s, get := realAccount(t, nil)
		var out strings.Builder
		err := run(t.Context(), &out, env{get: get, in: strings.NewReader(answer)})
		require.ErrorContains(t, err, "nothing was written")
		assert.Empty(t, s.Requests())
	}
}

func TestInterruptedQuestionEndsTheProgram(t *testing.T) {
	t.Parallel()
	_, get := realAccount(t, nil)
	in, keyboard := io.Pipe()
	defer keyboard.Close()
	ctx, cancel := context.WithCancel(t.Context())
	out := writer(func(text string) {
		if strings.Contains(text, "Type yes") {
			cancel()
		}
	})
	require.ErrorIs(t, run(ctx, out, env{get: get, in: in}), context.Canceled)
}

func TestUnusableEnvironmentIsRefusedBeforeAnyRequest(t *testing.T) {
	t.Parallel()
	for name, tc := range map[string]struct {
		set  map[string]string
		want string
	}{
		"no token":          {map[string]string{"FLIPLET_TOKEN": ""}, "FLIPLET_TOKEN: not set"},
		"no contacts":       {map[string]string{"FLIPLET_CONTACTS": ""}, "FLIPLET_CONTACTS"},
		"contacts by name":  {map[string]string{"FLIPLET_CONTACTS": "Contacts"}, `"Contacts" is not an id`},
		"app id zero":       {map[string]string{"FLIPLET_APP_ID": "0"}, "FLIPLET_APP_ID"},
		"no second contact": {map[string]string{"FLIPLET_LOGIN_B": " "}, "FLIPLET_LOGIN_B: not set; give the Mail"},
		"the same contact":  {map[string]string{"FLIPLET_LOGIN_B": "a@EXAMPLE.org"}, "the same contact"},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			s, get := realAccount(t, tc.set)
			err := run(t.Context(), io.Discard, env{get: get, in: strings.NewReader("yes\n")})
			require.ErrorContains(t, err, tc.want)
			assert.Empty(t, s.Requests())
		})
	}
}
