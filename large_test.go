package chat_test

import (
	"fmt"
	"net/http"
	"strings"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	chat "github.com/fliplet/fliplet-chat-go"
	"github.com/fliplet/fliplet-chat-go/datasource"
	"github.com/fliplet/fliplet-chat-go/fliplettest"
)

// little lets a Chat read answers of this many bytes, so that small rows are large ones here.
func (w *world) little(most int64) func(*chat.Options) {
	return func(o *chat.Options) {
		o.Client = must(datasource.NewClient(datasource.Config{
			Token: w.Token, BaseURL: w.URL, HTTPClient: &http.Client{Transport: w.Transport()}, MaxResponseBytes: most,
			Limiter: datasource.Unlimited(), Retry: datasource.RetryPolicy{MaxAttempts: 1},
		}))
	}
}

// bulky stores n messages of about size bytes each, numbered from 0.
func bulky(w *world, conversation int64, n, size int) []int64 {
	list := make([]datasource.M, n)
	for i := range list {
		list[i] = datasource.M{"body": fmt.Sprint(i, " ", strings.Repeat("x", size)), "guid": fmt.Sprint("bulky-", i), "readBy": []string{}}
	}
	return w.AddRows(conversation, list...)
}

func TestAnAnswerThatIsTooLargeShowsNothingOfOtherPeople(t *testing.T) {
	t.Parallel()
	w := newWorld(t, fliplettest.InProcess())
	jane := w.login("jane", patient)
	secret := w.converse(jane, "bob")
	w.say(jane, secret, "secret")
	eve := w.login("eve", patient, w.little(64<<10))
	bulky(w, w.converse(eve, "bob").ID, 20, 8<<10)
	w.say(jane, secret, "secret")
	w.Always(fliplettest.CrossSource, fliplettest.Everybody())
	n, err := eve.Unread().Count(t.Context())
	require.NoError(t, err)
	assert.Equal(t, 20, n)
	for name, read := range map[string]func() ([]*chat.Message, error){
		"Messages": func() ([]*chat.Message, error) { return eve.Messages(t.Context()) },
		"OrderBy":  func() ([]*chat.Message, error) { return eve.Messages(t.Context(), chat.OrderBy("id", datasource.Asc)) },
		"Unread":   func() ([]*chat.Message, error) { return eve.Unread().Get(t.Context()) },
		"Stream":   func() ([]*chat.Message, error) { return stream(t, eve, chat.StartAt(chat.FromBeginning)).all(), nil },
	} {
		msgs, err := read()
		require.NoError(t, err, name)
		assert.Len(t, msgs, 20, name)
		for _, m := range msgs {
			assert.NotEqual(t, secret.ID, m.ConversationID, name)
		}
	}
	n, err = eve.Unread().Count(t.Context())
	require.NoError(t, err)
	assert.Equal(t, 20, n)
}
