package chat_test

import (
	"context"
	"fmt"
	"runtime"
	"sync/atomic"
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	chat "github.com/fliplet/fliplet-chat-go"
	"github.com/fliplet/fliplet-chat-go/storage"
)

// FailNow of a test ends the goroutine of the function that it is called in. The message is
// tried again, and Consume goes on, and ends.
func TestConsumeGoesOnWhenAFunctionEndsItsGoroutine(t *testing.T) {
	for _, transactions := range []bool{true, false} {
		t.Run(fmt.Sprint("transactions ", transactions), func(t *testing.T) {
			inTalks(t, 1, func(t *testing.T, w *talks) {
				var store storage.Store = storage.NewMemory()
				opts := []chat.ConsumeOption{chat.Batch(10)}
				if !transactions {
					store, opts = struct{ storage.Store }{store}, nil
				}
				var told atomic.Int32
				opts = append(opts, chat.OnError(func(err error) {
					assert.ErrorContains(t, err, "has ended its goroutine")
					told.Add(1)
				}))
				bob := w.login("bob", storing(store), unhurried)
				seen := newWitness()
				var exits atomic.Int32
				stop := consume(bob, "archive", func(_ context.Context, m *chat.Message) error {
					if m.Body == "2" && exits.Add(1) < 3 {
						runtime.Goexit()
					}
					seen.add(m)
					return nil
				}, opts...)
				for i := range 4 {
					w.write(0, fmt.Sprint(i))
				}
				time.Sleep(3 * time.Minute)
				require.EqualValues(t, 3, exits.Load())
				require.EqualValues(t, 2, told.Load())
				for i := range 4 {
					assert.GreaterOrEqual(t, seen.count(fmt.Sprint(i)), 1)
				}
				require.ErrorIs(t, stop(), context.Canceled)
			})
		})
	}
}
