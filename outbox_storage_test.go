package chat_test

import (
	"context"
	"fmt"
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	chat "github.com/fliplet/fliplet-chat-go"
	"github.com/fliplet/fliplet-chat-go/fliplettest"
	"github.com/fliplet/fliplet-chat-go/storage"
)

// A Store hangs or fails for a while, shorter or longer than a claim lasts. What was
// accepted is sent once and in order, what was not is said to be so, and a login does not
// wait for it.
func TestTheOutboxOutlivesAStoreThatHangsOrFails(t *testing.T) {
	for _, how := range []string{"hangs", "fails"} {
		for _, length := range []time.Duration{8 * time.Second, 5 * time.Minute} {
			t.Run(fmt.Sprint(how, " ", length), func(t *testing.T) {
				inOutbox(t, func(t *testing.T, w *world, conv int64) {
					disk := &ill{Store: storage.NewMemory()}
					jane := w.withOutbox(disk)
					down := w.Always(fliplettest.Insert, fliplettest.LoseRequest())
					queue(t, jane, conv, "a", "b", "c")
					time.Sleep(3 * time.Second)
					disk.fall(how)
					down.Off()
					ctx, cancel := context.WithTimeout(t.Context(), 10*time.Second)
					defer cancel()
					_, err := jane.Outbox().Add(ctx, conv, chat.Draft{Body: "x", GUID: "not accepted"})
					for err == nil { // a slot was reserved
						time.Sleep(time.Second)
						_, err = jane.Outbox().Add(ctx, conv, chat.Draft{Body: "x", GUID: "not accepted"})
					}
					began := time.Now()
					_, err = jane.Login(t.Context(), chat.M{"Email": "jane@example.org"})
					require.NoError(t, err)
					assert.LessOrEqual(t, time.Since(began), 2*time.Second)
					time.Sleep(length)
					disk.recover()
					began = time.Now()
					require.NoError(t, jane.Outbox().Flush(t.Context()))
					assert.LessOrEqual(t, time.Since(began), 30*time.Second)
					queue(t, jane, conv, "d")
					require.NoError(t, jane.Outbox().Flush(t.Context()))
					assert.Equal(t, []string{"a", "b", "c", "d"}, guids(w, conv))
					time.Sleep(10 * time.Second)

					disk.fall(how)
					later := w.connect(storing(disk), func(o *chat.Options) { o.Outbox = &chat.OutboxOptions{} })
					began = time.Now()
					_, err = later.Login(t.Context(), chat.M{"Email": "jane@example.org"})
					require.NoError(t, err)
					assert.LessOrEqual(t, time.Since(began), 3*time.Second)
					began = time.Now()
					require.NoError(t, later.Close())
					require.NoError(t, jane.Close())
					assert.Zero(t, time.Since(began))
					disk.recover()
					time.Sleep(time.Minute)
				})
			})
		}
	}
}
