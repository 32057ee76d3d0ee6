package chat_test

import (
	"bytes"
	"context"
	"fmt"
	"log/slog"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	chat "github.com/fliplet/fliplet-chat-go"
	"github.com/fliplet/fliplet-chat-go/fliplettest"
	"github.com/fliplet/fliplet-chat-go/storage"
)

const proxyPage = "<html><body>Request blocked.</body></html>"

// logText is a log that can be read while it is written.
type logText struct {
	mu  sync.Mutex
	buf bytes.Buffer
}

func (l *logText) Write(b []byte) (int, error) {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.buf.Write(b)
}

func (l *logText) String() string {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.buf.String()
}

// logged is withOutbox with a log.
func (w *world) logged(store storage.Store, log *logText, outbox chat.OutboxOptions) *chat.Chat {
	return w.login("jane", func(o *chat.Options) {
		o.Storage, o.EncryptMessages, o.Outbox = store, false, &outbox
		o.Logger = slog.New(slog.NewTextHandler(log, nil))
	})
}

func TestAProxyThatRefusesOnceCostsNoMessage(t *testing.T) {
	t.Parallel()
	for _, code := range []int{400, 401, 403, 404, 405, 409, 410, 413, 415, 418, 421, 422, 423, 424, 431, 451, 499} {
		for name, body := range map[string]string{"a page": proxyPage, "text": "blocked", "nothing": " ", "other JSON": `{"blocked":true}`, "a list": `["blocked"]`} {
			t.Run(fmt.Sprint(code, " ", name), func(t *testing.T) {
				inOutbox(t, func(t *testing.T, w *world, conv int64) {
					var seen changes
					log := &logText{}
					jane := w.logged(storage.NewMemory(), log, chat.OutboxOptions{OnChange: seen.add})
					attempts := 1
					if code == 401 || code == 403 { // a new login and one more try come first
						attempts = 2
					}
					w.Next(attempts, fliplettest.Insert, fliplettest.Answer(code, body))
					queue(t, jane, conv, "a")
					require.NoError(t, jane.Outbox().Flush(t.Context()))
					assert.Len(t, w.Rows(conv), 1)
					synctest.Wait()
					states, last := seen.of("a")
					assert.Equal(t, chat.SendStored, last.State)
					assert.NotContains(t, states, chat.SendFailed)
					if code != 401 {
						assert.Contains(t, log.String(), "an attempt to send a message failed, and there will be another")
						assert.Regexp(t, fmt.Sprint("(status=|HTTP )", code), log.String())
					}
				})
			})
		}
	}
}

func TestAProxyThatHidesAConversationCostsNoMessage(t *testing.T) {
	inOutbox(t, func(t *testing.T, w *world, conv int64) {
		jane := w.withOutbox(storage.NewMemory())
		lever := w.Always(fliplettest.AnyRoute, fliplettest.Answer(404, proxyPage))
		queue(t, jane, conv, "a")
		time.Sleep(10 * time.Minute)
		assert.Equal(t, 1, jane.Outbox().Len())
		lever.Off()
		require.NoError(t, jane.Outbox().Flush(t.Context()))
		assert.Len(t, w.Rows(conv), 1)
	})
}

func TestTheServicesOwnRefusalIsFinalAndLogged(t *testing.T) {
	t.Parallel()
	for body, code := range map[string]int{
		`{"error":"malformed","message":"Malformed."}`: 400, `{"message":"The security rules do not allow it.","type":"datasource.access"}`: 401,
		`{"error":"not found","message":"Not found."}`: 404, `{"error":{"message":"Refused.","type":"upload"}}`: 422,
	} {
		t.Run(fmt.Sprint(code), func(t *testing.T) {
			inOutbox(t, func(t *testing.T, w *world, conv int64) {
				var seen changes
				log := &logText{}
				jane := w.logged(storage.NewMemory(), log, chat.OutboxOptions{OnChange: seen.add})
				w.Next(1, fliplettest.Insert, fliplettest.Answer(code, body))
				queue(t, jane, conv, "a")
				require.NoError(t, jane.Outbox().Flush(t.Context()))
				synctest.Wait()
				_, last := seen.of("a")
				assert.Equal(t, chat.SendFailed, last.State)
				assert.Equal(t, "a", last.Message.Body)
				assert.Empty(t, w.Rows(conv))
				assert.Zero(t, jane.Outbox().Len(), "it is out of the outbox")
				assert.Contains(t, log.String(), "the server refused a message, and it is not sent")
			})
		})
	}
}

// Gateways give messages in JSON, too. One answer of that kind is no refusal; three in a
// row are, and the message is kept.
func TestAGatewaysMessageIsNoRefusalOfTheService(t *testing.T) {
	t.Parallel()
	for _, code := range []int{400, 403, 404, 422} {
		for _, body := range []string{`{"entries":[]}`, `{"message":"Forbidden"}`, `{"message":"no Route matched with those values"}`, `{"error":"Forbidden"}`} {
			t.Run(fmt.Sprint(code, body), func(t *testing.T) {
				inOutbox(t, func(t *testing.T, w *world, conv int64) {
					var seen changes
					log := &logText{}
					jane := w.logged(storage.NewMemory(), log, chat.OutboxOptions{OnChange: seen.add})
					attempts := 1
					if code == 403 { // a new login and one more try come first
						attempts = 2
					}
					w.Next(attempts, fliplettest.Insert, fliplettest.Answer(code, body))
					queue(t, jane, conv, "a")
					require.NoError(t, jane.Outbox().Flush(t.Context()))
					require.Len(t, w.Rows(conv), 1)
					lever := w.Always(fliplettest.Insert, fliplettest.Answer(code, body))
					began := time.Now()
					queue(t, jane, conv, "b")
					require.NoError(t, jane.Outbox().Flush(t.Context()))
					assert.Less(t, time.Since(began), 10*time.Minute)
					if strings.Contains(body, "message") {
						assert.Less(t, time.Since(began), time.Minute)
					}
					synctest.Wait()
					_, last := seen.of("b")
					assert.Equal(t, chat.SendFailed, last.State)
					require.ErrorContains(t, last.Err, fmt.Sprint("HTTP ", code))
					kept := jane.Outbox().Pending()
					require.Len(t, kept, 1, "for somebody to decide")
					assert.Equal(t, chat.SendFailed, kept[0].State)
					assert.Contains(t, log.String(), "kept in the outbox")
					lever.Off()
					queue(t, jane, conv, "b")
					require.NoError(t, jane.Outbox().Flush(t.Context()))
					assert.Len(t, w.Rows(conv), 2)
				})
			})
		}
	}
}

// An insert that is always answered with a success without the row is given up after the
// stated attempts, and not before.
func TestAMessageWhoseInsertsAreAnsweredWithNothingIsGivenUp(t *testing.T) {
	t.Parallel()
	for _, body := range []string{"", "{}", `{"id":7}`, "[]", "OK"} {
		t.Run(body, func(t *testing.T) {
			inOutbox(t, func(t *testing.T, w *world, conv int64) {
				var seen changes
				jane := w.logged(storage.NewMemory(), &logText{}, chat.OutboxOptions{OnChange: seen.add, MaxAttempts: 6})
				lever := w.Always(fliplettest.Insert, fliplettest.Answer(200, body))
				queue(t, jane, conv, "a")
				ctx, cancel := context.WithTimeout(t.Context(), time.Hour)
				defer cancel()
				require.NoError(t, jane.Outbox().Flush(ctx), "it is tried for ever")
				synctest.Wait()
				_, last := seen.of("a")
				assert.Equal(t, chat.SendFailed, last.State)
				require.ErrorContains(t, last.Err, "given up after 6 attempts")
				require.Len(t, jane.Outbox().Pending(), 1)
				lever.Off()
				queue(t, jane, conv, "a")
				require.NoError(t, jane.Outbox().Flush(t.Context()))
				assert.Len(t, w.Rows(conv), 1)
			})
		})
	}
}

// Every insert is refused by a firewall, and everything else is answered.
func TestAMessageThatAProxyNeverLetsThroughIsKeptForAPersonToDecide(t *testing.T) {
	t.Parallel()
	for name, decide := range map[string]func(t *testing.T, w *world, jane *chat.Chat, store storage.Store, conv int64) int{
		"it is added again": func(t *testing.T, _ *world, jane *chat.Chat, _ storage.Store, conv int64) int {
			queue(t, jane, conv, "a")
			require.NoError(t, jane.Outbox().Flush(t.Context()))
			return 1
		},
		"it is discarded": func(t *testing.T, _ *world, jane *chat.Chat, _ storage.Store, conv int64) int {
			ok, err := jane.Outbox().Discard(t.Context(), conv, "a")
			require.NoError(t, err)
			assert.True(t, ok)
			return 0
		},
		"the program begins again": func(t *testing.T, w *world, jane *chat.Chat, store storage.Store, _ int64) int {
			require.NoError(t, jane.Close())
			again := w.withOutbox(store)
			require.NoError(t, again.Outbox().Flush(t.Context()))
			assert.Zero(t, again.Outbox().Len())
			return 1
		},
	} {
		t.Run(name, func(t *testing.T) {
			inOutbox(t, func(t *testing.T, w *world, conv int64) {
				var seen changes
				log, store := &logText{}, storage.NewMemory()
				jane := w.logged(store, log, chat.OutboxOptions{OnChange: seen.add, MaxAttempts: 5})
				lever := w.Always(fliplettest.Insert, fliplettest.Answer(451, proxyPage))
				queue(t, jane, conv, "a")
				require.NoError(t, jane.Outbox().Flush(t.Context()))
				synctest.Wait()
				_, last := seen.of("a")
				assert.Equal(t, chat.SendFailed, last.State)
				require.ErrorContains(t, last.Err, "given up after 5 attempts")
				require.ErrorContains(t, last.Err, "HTTP 451")
				assert.Equal(t, "a", last.Message.Body)
				assert.Contains(t, log.String(), "a message could not be sent, and is kept in the outbox")
				kept := jane.Outbox().Pending()
				require.Len(t, kept, 1)
				assert.Equal(t, "a", kept[0].GUID)
				assert.Equal(t, chat.SendFailed, kept[0].State)
				assert.ErrorContains(t, kept[0].Err, "HTTP 451")
				lever.Off()
				queue(t, jane, conv, "b")
				require.NoError(t, jane.Outbox().Flush(t.Context()))
				require.Len(t, w.Rows(conv), 1, "it holds nothing back")
				rows := decide(t, w, jane, store, conv)
				assert.Len(t, w.Rows(conv), 1+rows)
				assert.Zero(t, jane.Outbox().Len())
			})
		})
	}
}
