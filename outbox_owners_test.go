package chat_test

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
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
	"github.com/fliplet/fliplet-chat-go/storage"
)

// killed leaves messages of Jane's on a disk, as a process does that is killed.
func killed(t *testing.T, w *world, disk storage.Store, conv int64, names ...string) {
	t.Helper()
	m := &machine{disk: disk, network: w.Transport()}
	c := m.boot(w)
	sure(c.Login(t.Context(), chat.M{"Email": "jane@example.org"}))
	down := w.Always(fliplettest.Insert, fliplettest.LoseRequest())
	queue(t, c, conv, names...)
	m.dead.Store(true)
	down.Off()
	t.Cleanup(func() { require.NoError(t, c.Close()) })
}

func TestLenCountsWhatAKilledProcessLeftBehind(t *testing.T) {
	inOutbox(t, func(t *testing.T, w *world, conv int64) {
		disk := storage.NewMemory()
		killed(t, w, disk, conv, "a", "b", "c")
		var seen changes
		jane := w.withOutbox(disk, func(o *chat.OutboxOptions) { o.OnChange = seen.add })
		assert.Equal(t, 3, jane.Outbox().Len(), "before the claim of the other process has run out")
		waiting := jane.Outbox().Pending()
		require.Len(t, waiting, 3)
		assert.Equal(t, "a", waiting[0].GUID)
		assert.Equal(t, conv, waiting[0].ConversationID)
		queue(t, jane, conv, "d")
		assert.Equal(t, 4, jane.Outbox().Len())
		synctest.Wait()
		_, last := seen.of("d")
		assert.Equal(t, 4, last.Pending)
		require.NoError(t, jane.Outbox().Flush(t.Context()))
		assert.Zero(t, jane.Outbox().Len())
		assert.Equal(t, []string{"a", "b", "c", "d"}, guids(w, conv))
	})
}

func TestOutboxOwnersAreTheUsersWithMessagesThatWait(t *testing.T) {
	inOutbox(t, func(t *testing.T, w *world, conv int64) {
		disk := storage.NewMemory()
		encrypted := sure(storage.Encrypted(disk, bytes.Repeat([]byte{1, 2}, 16)))
		for i, store := range []storage.Store{storage.NewMemory(), encrypted} {
			owners, err := chat.OutboxOwners(t.Context(), store)
			require.NoError(t, err)
			assert.Empty(t, owners)
			w.withOutbox(store)                                               // a user without messages
			killed(t, w, store, conv, fmt.Sprint("a", i), fmt.Sprint("b", i)) // what is stored already would be found
			owners, err = chat.OutboxOwners(t.Context(), store)
			require.NoError(t, err)
			require.Len(t, owners, 1)
			assert.Equal(t, w.contacts, owners[0].DataSourceID)
			assert.Equal(t, 2, owners[0].Waiting)
			assert.Contains(t, w.URL, owners[0].Host)

			c := w.connect(func(o *chat.Options) { o.Storage, o.Outbox = store, &chat.OutboxOptions{} })
			contact, err := c.Login(t.Context(), chat.M{"flUserId": owners[0].UserID})
			require.NoError(t, err)
			assert.Equal(t, "jane@example.org", contact.Data["Email"])
			require.NoError(t, c.Outbox().Flush(t.Context()))
			require.NoError(t, c.Shutdown(t.Context()))
			owners, err = chat.OutboxOwners(t.Context(), store)
			require.NoError(t, err)
			assert.Empty(t, owners, "the other one was sent by its owner")
		}
	})
}

func TestAnOwnerWithALongIDIsNamedInFull(t *testing.T) {
	inOutbox(t, func(t *testing.T, w *world, _ int64) {
		long := "a/b " + strings.Repeat("x", 300)
		row := w.AddRows(w.contacts, chat.M{"Email": "long@example.org", "flUserId": long})[0]
		conv := w.AddDataSource(chat.M{"name": "Long", "type": "conversation", "definition": chat.M{"participants": []string{long}}})
		store := storage.NewMemory()
		c := w.connect(func(o *chat.Options) { o.Storage, o.Outbox, o.EncryptMessages = store, &chat.OutboxOptions{}, false })
		contact := sure(c.Login(t.Context(), chat.M{"Email": "long@example.org"}))
		require.Equal(t, row, contact.ID)
		w.Always(fliplettest.Insert, fliplettest.LoseRequest())
		queue(t, c, conv, "a")
		owners, err := chat.OutboxOwners(t.Context(), store)
		require.NoError(t, err)
		require.Len(t, owners, 1)
		assert.Equal(t, long, owners[0].UserID)
	})
}

func TestOutboxOwnersNeedAStoreThatListsItsKeys(t *testing.T) {
	t.Parallel()
	_, err := chat.OutboxOwners(t.Context(), nil)
	require.ErrorIs(t, err, chat.ErrInvalid)
	_, err = chat.OutboxOwners(t.Context(), struct{ storage.Store }{storage.NewMemory()})
	require.ErrorIs(t, err, chat.ErrInvalid)
	require.ErrorIs(t, err, errors.ErrUnsupported)
	assert.ErrorContains(t, err, "storage.Lister")
}

func TestMessagesForADeletedConversationFailAndHoldBackNoOther(t *testing.T) {
	inOutbox(t, func(t *testing.T, w *world, gone int64) {
		other := w.talk()
		for name, restart := range map[string]bool{"the same process": false, "the next process": true} {
			var seen changes
			store := storage.NewMemory()
			gone := w.talk()
			note := func(o *chat.OutboxOptions) { o.OnChange = seen.add }
			jane := w.withOutbox(store, note)
			down := w.Always(fliplettest.Insert, fliplettest.LoseRequest())
			queue(t, jane, gone, "a", "b", "c")
			queue(t, jane, other, "d "+name)
			waited := make(chan error, 1)
			go func() {
				_, err := jane.Message(t.Context(), gone, chat.Draft{Body: "a", GUID: "a"})
				waited <- err
			}()
			time.Sleep(30 * time.Second)
			if restart {
				require.NoError(t, jane.Close())
				require.ErrorIs(t, <-waited, chat.ErrQueued)
				jane = w.withOutbox(store, note)
			}
			studio := w.ClientFor(w.AddUser(name+"@example.org", "Ann", "Admin", "secret"))
			require.NoError(t, studio.DeleteDataSource(t.Context(), gone))
			down.Off()
			began := time.Now()
			ctx, cancel := context.WithTimeout(t.Context(), time.Hour) // or it would be tried for ever
			require.NoError(t, jane.Outbox().Flush(ctx))
			cancel()
			assert.Less(t, time.Since(began), 30*time.Second)
			synctest.Wait()
			for _, guid := range []string{"a", "b", "c"} {
				_, last := seen.of(guid)
				assert.Equal(t, chat.SendFailed, last.State, "%s: %s", name, guid)
				require.ErrorIs(t, last.Err, chat.ErrNotFound)
				assert.Equal(t, guid, last.Message.Body)
			}
			_, last := seen.of("d " + name)
			assert.Equal(t, chat.SendStored, last.State, name)
			if !restart {
				require.ErrorIs(t, <-waited, chat.ErrNotFound)
			}
			require.NoError(t, jane.Close())
		}
		assert.Len(t, w.Rows(other), 2)
	})
}

// picky is a way to a server that fails at messages of one text.
type picky struct {
	next   http.RoundTripper
	text   string
	status int
}

func (p picky) RoundTrip(r *http.Request) (*http.Response, error) {
	if r.Method == http.MethodPut && r.Body != nil {
		body, err := io.ReadAll(r.Body)
		if err != nil {
			return nil, err
		}
		r.Body = io.NopCloser(bytes.NewReader(body))
		if bytes.Contains(body, []byte(p.text)) {
			return &http.Response{
				StatusCode: p.status, Header: http.Header{"Content-Type": {"application/json"}}, Request: r,
				Body: io.NopCloser(strings.NewReader(`{"message":"it fails"}`)),
			}, nil
		}
	}
	return p.next.RoundTrip(r)
}

func TestAPermanentServerErrorIsGivenUpAfterTheStatedAttempts(t *testing.T) {
	for _, status := range []int{500, 501, 503} {
		t.Run(fmt.Sprint(status), func(t *testing.T) {
			inOutbox(t, func(t *testing.T, w *world, conv int64) {
				client := sure(datasource.NewClient(datasource.Config{
					Token: w.Token, BaseURL: w.URL, Limiter: datasource.Unlimited(),
					HTTPClient: &http.Client{Transport: picky{w.Transport(), "poison", status}},
				}))
				var seen changes
				jane := w.login("jane", func(o *chat.Options) {
					o.Client, o.Storage, o.EncryptMessages = client, storage.NewMemory(), false
					o.Outbox = &chat.OutboxOptions{OnChange: seen.add}
				})
				queue(t, jane, conv, "poison", "behind")
				other := w.talk()
				began := time.Now()
				for state := chat.SendQueued; state != chat.SendStored; time.Sleep(time.Second) {
					_, last := seen.of("behind")
					state = last.State
					// A 503 says that nobody is served: only what others meet shows whether that is so.
					if since := time.Since(began); status == 503 && since%(10*time.Second) < time.Second {
						queue(t, jane, other, since.String())
					}
					require.Less(t, time.Since(began), time.Hour, "it is retried for ever")
				}
				assert.Greater(t, time.Since(began), 3*time.Minute)
				assert.Less(t, time.Since(began), 10*time.Minute)
				_, last := seen.of("poison")
				assert.Equal(t, chat.SendFailed, last.State)
				assert.ErrorContains(t, last.Err, "given up after 40 attempts")
				refused, _ := errors.AsType[*datasource.Error](last.Err)
				require.NotNil(t, refused)
				assert.Equal(t, status, refused.StatusCode)
				assert.Equal(t, "poison", last.Message.Body)
				assert.Equal(t, []string{"behind"}, guids(w, conv))
			})
		})
	}
}
