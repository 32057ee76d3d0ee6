package main

import (
	"context"
	"log/slog"
	"net/http"
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
	"github.com/fliplet/fliplet-chat-go/storage"
)

func TestMain(m *testing.M) { leaktest.Main(m) }

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
func pair(t *testing.T, s *fliplettest.Server, way http.RoundTripper) (jane *chat.Chat, b *bot, conv *chat.Conversation, store storage.Store) {
	store = storage.NewMemory()
	contacts, ids := s.AddContacts(datasource.M{"Email": "jane@example.org"}, datasource.M{"Email": "bot@example.org"})
	var chats []*chat.Chat
	for i, email := range []string{"jane@example.org", "bot@example.org"} {
		transport := []http.RoundTripper{s.Transport(), way}[i]
		client, err := datasource.NewClient(datasource.Config{Token: s.Token, BaseURL: s.URL, HTTPClient: &http.Client{Transport: transport}})
		require.NoError(t, err)
		c, err := login(t.Context(), chat.Options{Client: client, DataSourceID: contacts, AppID: s.AppID, PrimaryKey: "Email", Storage: store}, email)
		require.NoError(t, err)
		t.Cleanup(func() { require.NoError(t, c.Close()) })
		chats = append(chats, c)
	}
	conv, err := chats[0].Create(t.Context(), chat.NewConversation{Participants: []int64{ids[1]}})
	require.NoError(t, err)
	return chats[0], &bot{chat: chats[1], log: slog.New(slog.DiscardHandler)}, conv, store
}

func TestBotFinishesTheAnswerItIsAt(t *testing.T) {
	t.Parallel()
	s := fliplettest.New(t)
	ctx, stop := context.WithCancel(t.Context())
	defer stop()
	jane, b, conv, store := pair(t, s, wire(func(r *http.Request) (*http.Response, error) {
		if r.Method == http.MethodPut && strings.HasSuffix(r.URL.Path, "/data") {
			stop() // the end comes while the answer is on its way
		}
		return s.Transport().RoundTrip(r)
	}))
	ended := make(chan error, 1)
	go func() { ended <- b.serve(ctx) }()
	require.NoError(t, begun(t.Context(), store))
	_, err := jane.Message(t.Context(), conv.ID, chat.Draft{Body: "/sum 1 1"})
	require.NoError(t, err)
	require.NoError(t, b.chat.Poll(t.Context()))
	require.NoError(t, <-ended)
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
	jane, b, conv, _ := pair(t, s, s.Transport())
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

// serving runs a test in virtual time, with a bot that has begun.
func serving(t *testing.T, test func(t *testing.T, s *fliplettest.Server, jane *chat.Chat, b *bot, conv *chat.Conversation)) {
	t.Helper()
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		s := fliplettest.New(t, fliplettest.InProcess())
		jane, b, conv, store := pair(t, s, s.Transport())
		_, err := jane.Message(t.Context(), conv.ID, chat.Draft{Body: "/sum 9 9"})
		require.NoError(t, err)
		ctx, stop := context.WithCancel(t.Context())
		ended := make(chan error, 1)
		go func() { ended <- b.serve(ctx) }()
		require.NoError(t, begun(t.Context(), store))
		test(t, s, jane, b, conv)
		stop()
		require.NoError(t, <-ended)
	})
}

// texts are the bodies of a conversation.
func texts(t *testing.T, c *chat.Chat, conv *chat.Conversation) []string {
	t.Helper()
	msgs, err := c.Messages(t.Context(), chat.In(conv.ID))
	require.NoError(t, err)
	var out []string
	for _, m := range msgs {
		out = append(out, m.Body)
	}
	return out
}

func TestBotBeginsWithWhatIsAskedFromNowOn(t *testing.T) {
	serving(t, func(t *testing.T, _ *fliplettest.Server, jane *chat.Chat, b *bot, conv *chat.Conversation) {
		_, err := jane.Message(t.Context(), conv.ID, chat.Draft{Body: "/sum 1 2"})
		require.NoError(t, err)
		time.Sleep(10 * time.Minute)
		synctest.Wait()
		assert.Equal(t, []string{"/sum 9 9", "/sum 1 2", "3"}, texts(t, jane, conv))
		assert.Equal(t, 1, b.answered)
	})
}

func TestBotPutsAQuestionAsideThatFailsAgainAndAgain(t *testing.T) {
	serving(t, func(t *testing.T, s *fliplettest.Server, jane *chat.Chat, b *bot, conv *chat.Conversation) {
		var asked []int64
		for _, text := range []string{"/sum 1 2", "/sum 3 4"} {
			m, err := jane.Message(t.Context(), conv.ID, chat.Draft{Body: text})
			require.NoError(t, err)
			asked = append(asked, m.ID)
		}
		refusals := s.Next(5, fliplettest.Insert, fliplettest.Status(400))
		time.Sleep(10 * time.Minute)
		synctest.Wait()
		assert.Equal(t, 5, refusals.Hits())
		assert.Equal(t, asked[:1], b.aside)
		assert.Equal(t, []string{"/sum 9 9", "/sum 1 2", "/sum 3 4", "7"}, texts(t, jane, conv))
	})
}

func TestBotTriesAQuestionOnceThatItCanNeverAnswer(t *testing.T) {
	serving(t, func(t *testing.T, s *fliplettest.Server, jane *chat.Chat, b *bot, conv *chat.Conversation) {
		m, err := jane.Message(t.Context(), conv.ID, chat.Draft{Body: "/sum 1 2"})
		require.NoError(t, err)
		refusals := s.Next(1, fliplettest.Insert, fliplettest.Status(404)) // as of a conversation that was deleted
		time.Sleep(10 * time.Minute)
		synctest.Wait()
		assert.Equal(t, 1, refusals.Hits())
		assert.Equal(t, []int64{m.ID}, b.aside)
	})
}

func TestBotTriesAgainWhenAGatewayHasNothing(t *testing.T) {
	serving(t, func(t *testing.T, s *fliplettest.Server, jane *chat.Chat, b *bot, conv *chat.Conversation) {
		_, err := jane.Message(t.Context(), conv.ID, chat.Draft{Body: "/sum 1 2"})
		require.NoError(t, err)
		refusals := s.Next(2, fliplettest.Insert, fliplettest.Answer(404, "<html>no such site</html>"))
		time.Sleep(10 * time.Minute)
		synctest.Wait()
		assert.Equal(t, 2, refusals.Hits())
		assert.Empty(t, b.aside)
		assert.Equal(t, []string{"/sum 9 9", "/sum 1 2", "3"}, texts(t, jane, conv))
	})
}
