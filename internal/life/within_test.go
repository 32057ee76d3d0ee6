package life_test

import (
	"context"
	"sync/atomic"
	"testing"
	"testing/synctest"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/fliplet/fliplet-chat-go/internal/life"
)

func TestWhatIsWithinALifeEndsWithItWithTheCauseOfWhateverEndedIt(t *testing.T) {
	t.Parallel()
	for name, end := range map[string]func(stopAbove context.CancelCauseFunc, whole, part *life.Life){
		"its own stop":             func(_ context.CancelCauseFunc, _, part *life.Life) { part.Stop(errEnd) },
		"that of the whole":        func(_ context.CancelCauseFunc, whole, _ *life.Life) { whole.Stop(errEnd) },
		"the context of the whole": func(stop context.CancelCauseFunc, _, _ *life.Life) { stop(errEnd) },
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			synctest.Test(t, func(t *testing.T) {
				above, stop := context.WithCancelCause(t.Context())
				whole := life.New(above)
				part := whole.Part()
				type key struct{}
				ctx, done := part.Within(context.WithValue(t.Context(), key{}, "kept"))
				defer done()
				var called, released atomic.Int64
				part.AfterStop(func(cause error) {
					assert.Equal(t, errEnd, cause)
					called.Add(1)
				})
				release := part.AfterStop(func(error) { released.Add(1) })
				assert.True(t, release())
				assert.False(t, release())
				require.NoError(t, ctx.Err())
				assert.False(t, part.Stopped())

				end(stop, whole, part)
				synctest.Wait()
				whole.Stop(context.Canceled) // the first cause stays
				synctest.Wait()
				assert.Equal(t, errEnd, context.Cause(ctx))
				assert.Equal(t, "kept", ctx.Value(key{}))
				assert.Equal(t, int64(1), called.Load())
				assert.Zero(t, released.Load())
				assert.True(t, part.Stopped())
				later, done := part.Within(t.Context())
				defer done()
				synctest.Wait()
				assert.Error(t, later.Err(), "what comes later ends at once")
			})
		})
	}
}

func TestEndingsAreReleasedInAnyOrder(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		for _, order := range [][]int{{0, 1, 2}, {2, 1, 0}, {1, 0, 2}, {1, 2, 0}, {0}, {1}, {2}, {0, 2}} {
			l := life.New(context.Background())
			var called atomic.Int64
			var releases [3]func() bool
			for i := range releases {
				releases[i] = l.AfterStop(func(error) { called.Add(1) })
			}
			for _, i := range order {
				assert.True(t, releases[i]())
			}
			l.Stop(errEnd)
			synctest.Wait()
			assert.Equal(t, int64(3-len(order)), called.Load(), "%v", order)
			for _, release := range releases {
				assert.False(t, release())
			}
		}
	})
}
