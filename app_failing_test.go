package chat_test

import (
	"bytes"
	"errors"
	"io"
	"net/http"
	"net/http/httptest"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	chat "github.com/fliplet/fliplet-chat-go"
	"github.com/fliplet/fliplet-chat-go/datasource"
	"github.com/fliplet/fliplet-chat-go/fliplettest"
)

// complaints are what OnError is told.
type complaints struct {
	mu   sync.Mutex
	list []error
}

func (c *complaints) take(err error) {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.list = append(c.list, err)
}

// with are those whose text has a word.
func (c *complaints) with(word string) (out []error) {
	c.mu.Lock()
	defer c.mu.Unlock()
	for _, err := range c.list {
		if strings.Contains(err.Error(), word) {
			out = append(out, err)
		}
	}
	return out
}

// Rows of one moment that come in no order, and not all of them, cannot be asked for: the message
// that is missing would never come, and nothing would say so.
func TestAnAppSaysThatAServerKeepsNoOrderAsAPlainChatDoes(t *testing.T) {
	t.Parallel()
	for name, faults := range map[string][]fliplettest.Fault{
		"the order is ignored": {fliplettest.Ignore("order"), fliplettest.MostRows(25)}, "there is none": {fliplettest.Shuffle(), fliplettest.MostRows(25)},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			synctest.Test(t, func(t *testing.T) {
				w, app, _, rooms := openApp(t, 6)
				w.Always(fliplettest.CrossSource, fliplettest.Status(404))
				var toApp, toUser, toPlain complaints
				var got inbox
				_, err := app.Stream(t.Context(), got.take, chat.OnError(toApp.take))
				require.NoError(t, err)
				user, err := app.User(t.Context(), chat.M{"flUserId": "user-0"})
				require.NoError(t, err)
				_, err = user.Stream(t.Context(), func(*chat.Message) {}, chat.OnError(toUser.take))
				require.NoError(t, err)
				plain, err := chat.Connect(t.Context(), chat.Options{Client: w.Client(), DataSourceID: w.contacts})
				require.NoError(t, err)
				_, err = plain.Login(t.Context(), chat.M{"flUserId": "user-0"})
				require.NoError(t, err)
				_, err = plain.Stream(t.Context(), func(*chat.Message) {}, chat.OnError(toPlain.take))
				require.NoError(t, err)
				time.Sleep(time.Minute)

				for _, f := range faults {
					w.Always(fliplettest.Query, f)
				}
				for i, room := range rooms {
					w.fill(room, 60*i, 60)
				}
				time.Sleep(5 * time.Minute)
				for who, told := range map[string]*complaints{"the App": &toApp, "its user": &toUser, "a plain Chat": &toPlain} {
					assert.NotEmpty(t, told.with("does not keep to the order of rows"), who)
				}
				assert.Less(t, len(got.bodies()), 60*len(rooms), "else nothing is missing")
				h := app.Health()
				require.Error(t, errors.Join(h.Err, h.Failing[rooms[0]]))
				require.NoError(t, user.Close())
				require.NoError(t, plain.Close())
			})
		})
	}
}

// sickening is a way to the server on which everything that reads one conversation gets 500.
type sickening struct {
	http.RoundTripper
	sick atomic.Int64
}

func (s *sickening) RoundTrip(r *http.Request) (*http.Response, error) {
	id := s.sick.Load()
	if id == 0 || r.Body == nil {
		return s.RoundTripper.RoundTrip(r)
	}
	body, err := io.ReadAll(r.Body)
	if err != nil {
		return nil, err
	}
	r.Body = io.NopCloser(bytes.NewReader(body))
	if strings.Contains(r.URL.Path, "/"+itoa(id)+"/") || strings.Contains(string(body), `"dataSourceId":`+itoa(id)) {
		w := httptest.NewRecorder()
		w.WriteHeader(http.StatusInternalServerError)
		return w.Result(), nil
	}
	return s.RoundTripper.RoundTrip(r)
}

// One conversation that cannot be read holds up no other one, so its silence has to be told.
func TestAnAppSaysWhichConversationCannotBeReadAndWhenItCanAgain(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		w, _, _, rooms := openApp(t, 6)
		way := &sickening{RoundTripper: w.Transport()}
		client := sure(datasource.NewClient(datasource.Config{Token: w.Token, BaseURL: w.URL, HTTPClient: &http.Client{Transport: way}}))
		app, err := chat.OpenApp(t.Context(), chat.AppOptions{Options: chat.Options{Client: client, DataSourceID: w.contacts}})
		require.NoError(t, err)
		t.Cleanup(func() { assert.NoError(t, app.Close()) })
		var toApp, toUser, toOther complaints
		var got inbox
		_, err = app.Stream(t.Context(), got.take, chat.OnError(toApp.take))
		require.NoError(t, err)
		for id, told := range map[string]*complaints{"user-0": &toUser, "user-3": &toOther} {
			user, err := app.User(t.Context(), chat.M{"flUserId": id})
			require.NoError(t, err)
			_, err = user.Stream(t.Context(), func(*chat.Message) {}, chat.OnError(told.take))
			require.NoError(t, err)
		}
		time.Sleep(time.Minute)
		way.sick.Store(rooms[0])
		synctest.Wait() // for what is under way
		w.AddRows(rooms[0], chat.M{"body": "late", "fromUserId": "somebody", "guid": "late"})
		const others = 150
		for i := range others { // so that something is answered all the time
			w.AddRows(rooms[2], chat.M{"body": itoa(int64(i)), "fromUserId": "somebody", "guid": itoa(int64(i))})
			time.Sleep(2 * time.Second)
		}
		time.Sleep(30 * time.Second)
		name := "conversation " + itoa(rooms[0])
		assert.Len(t, toApp.with(name), 1)
		assert.Len(t, toUser.with(name), 1)
		assert.Empty(t, toOther.with(name), "who is not in it")
		h := app.Health()
		require.NoError(t, h.Err)
		require.Len(t, h.Failing, 1)
		require.ErrorContains(t, h.Failing[rooms[0]], "500")
		assert.Contains(t, debugPage(t, app, "application/json"), `"conversationId": `+itoa(rooms[0]))
		assert.Len(t, got.bodies(), others, "the other one is read")

		way.sick.Store(0)
		time.Sleep(10 * time.Minute)
		assert.Empty(t, app.Health().Failing)
		assert.Len(t, got.bodies(), others+1)
	})
}
