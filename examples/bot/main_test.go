package main

import (
	"context"
	"net/http"
	"strings"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
	"go.uber.org/goleak"

	chat "github.com/fliplet/fliplet-chat-go"
	"github.com/fliplet/fliplet-chat-go/datasource"
	"github.com/fliplet/fliplet-chat-go/fliplettest"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

func TestBotAnswersEachQuestionOnce(t *testing.T) {
	t.Parallel()
	var out strings.Builder
	require.NoError(t, run(t.Context(), &out))
	assert.Equal(t, `Jane: Good morning
Jane: /sum 1 2 3
Jane: /help
 Bot: 6
 Bot: I add numbers: /sum 1 2 3
The bot goes after 2 answers.
Jane: /sum 0.5 x
Jane: /sum 40 2
 Bot: "x" is not a number
 Bot: 42
The bot goes after 2 answers.
`, out.String())
}

func TestReply(t *testing.T) {
	t.Parallel()
	for text, want := range map[string]string{
		"": "", "   ": "", "hello": "", "1 + 1": "",
		"/sum": "I add numbers: /sum 1 2 3", "/help": "I add numbers: /sum 1 2 3",
		"/sum 1": "1", "/sum 0.1 0.2 -1": "-0.7", "/sum one": `"one" is not a number`,
	} {
		got, ok := reply(text)
		assert.Equal(t, want, got, text)
		assert.Equal(t, want != "", ok, text)
	}
}

// wire is the way to a server.
type wire func(*http.Request) (*http.Response, error)

func (w wire) RoundTrip(r *http.Request) (*http.Response, error) { return w(r) }

// pair is Jane and a bot with a conversation. The bot's requests take a way of their own.
func pair(t *testing.T, s *fliplettest.Server, way http.RoundTripper) (jane *chat.Chat, b *bot, conv *chat.Conversation) {
	contacts, ids := s.AddContacts(datasource.M{"Email": "jane@example.org"}, datasource.M{"Email": "bot@example.org"})
	var chats []*chat.Chat
	for i, email := range []string{"jane@example.org", "bot@example.org"} {
		transport := []http.RoundTripper{s.Transport(), way}[i]
		client, err := datasource.NewClient(datasource.Config{Token: s.Token, BaseURL: s.URL, HTTPClient: &http.Client{Transport: transport}})
		require.NoError(t, err)
		c, err := login(t.Context(), chat.Options{Client: client, DataSourceID: contacts, AppID: s.AppID, PrimaryKey: "Email"}, email)
		require.NoError(t, err)
		t.Cleanup(func() { require.NoError(t, c.Close()) })
		chats = append(chats, c)
	}
	conv, err := chats[0].Create(t.Context(), chat.NewConversation{Participants: []int64{ids[1]}})
	require.NoError(t, err)
	return chats[0], &bot{chat: chats[1]}, conv
}

func TestBotFinishesTheAnswerItIsAt(t *testing.T) {
	t.Parallel()
	s := fliplettest.New(t)
	ctx, stop := context.WithCancel(t.Context())
	defer stop()
	jane, b, conv := pair(t, s, wire(func(r *http.Request) (*http.Response, error) {
		if r.Method == http.MethodPut && strings.HasSuffix(r.URL.Path, "/data") {
			stop() // the end comes while the answer is on its way
		}
		return s.Transport().RoundTrip(r)
	}))
	_, err := jane.Message(t.Context(), conv.ID, chat.Draft{Body: "/sum 1 1"})
	require.NoError(t, err)
	require.NoError(t, b.serve(ctx))
	assert.Equal(t, 1, b.answered)
	unread, err := jane.Unread().Get(t.Context())
	require.NoError(t, err)
	require.Len(t, unread, 1)
	assert.Equal(t, "2", unread[0].Body)
	left, err := b.chat.Unread().Count(t.Context())
	require.NoError(t, err)
	assert.Zero(t, left, "the question is marked as answered")
}

func TestBotTriesAgainWithTheSameAnswer(t *testing.T) {
	t.Parallel()
	s := fliplettest.New(t)
	jane, b, conv := pair(t, s, s.Transport())
	_, err := jane.Message(t.Context(), conv.ID, chat.Draft{Body: "/sum 2 3"})
	require.NoError(t, err)
	question, err := b.chat.Unread().Get(t.Context())
	require.NoError(t, err)

	s.Next(1, fliplettest.Insert, fliplettest.Status(400))
	require.Error(t, b.answer(t.Context(), question[0]))
	require.NoError(t, b.answer(t.Context(), question[0]))
	require.NoError(t, b.answer(t.Context(), question[0]), "answered already")
	msgs, err := jane.Messages(t.Context())
	require.NoError(t, err)
	require.Len(t, msgs, 2)
	assert.Equal(t, "5", msgs[1].Body)
}
