package life_test

import (
	"context"
	"errors"
	"runtime"
	"sync"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/fliplet/fliplet-chat-go/internal/life"
	"github.com/fliplet/fliplet-chat-go/internal/life/lifetest"
)

var errEnd = errors.New("the end")

func TestARetiredLifeLetsNothingInAndWhatIsInsideGoesOn(t *testing.T) {
	t.Parallel()
	l := life.New(context.Background())
	require.True(t, l.Enter())
	l.Retire()
	assert.False(t, l.Enter())
	assert.False(t, l.Go(func() { t.Error("it was let in") }))
	require.NoError(t, l.Context().Err())
	require.True(t, l.Join(), "what was begun may be brought to its end")
	l.Leave()
	ended, cancel := context.WithCancelCause(t.Context())
	cancel(errEnd)
	require.ErrorIs(t, l.Wait(ended), errEnd, "somebody is inside")
	l.Leave()
	require.NoError(t, l.Wait(ended), "nobody is")
	assert.False(t, l.Join(), "nobody is inside to bring anything to its end")
}

func TestTheWholeKnowsWhatIsInsideItsParts(t *testing.T) {
	t.Parallel()
	whole := life.New(context.Background())
	first, second := whole.Part(), whole.Part()
	ended, cancel := context.WithCancelCause(t.Context())
	cancel(errEnd)
	require.True(t, first.Enter())
	require.ErrorIs(t, whole.Wait(ended), errEnd)
	require.NoError(t, second.Wait(ended))
	first.Stop(errEnd)
	require.NoError(t, whole.Context().Err())
	assert.True(t, second.Enter(), "a part that is over says nothing about the others")
	second.Leave()
	whole.Stop(errEnd)
	assert.True(t, second.Over())
	assert.False(t, second.Enter())
	assert.False(t, second.Join())
	assert.Equal(t, errEnd, context.Cause(second.Context()))
	first.Leave()
	require.NoError(t, whole.Wait(ended))
}

func TestStopEndsTheContextAndWaitsForNothing(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		l := life.New(context.Background())
		l.Go(func() {
			<-l.Context().Done()
			time.Sleep(time.Second)
		})
		began := time.Now()
		l.Stop(errEnd)
		l.Stop(errors.New("a second cause"))
		assert.Zero(t, time.Since(began))
		assert.Equal(t, errEnd, context.Cause(l.Context()))
		require.NoError(t, l.Wait(t.Context()))
		assert.Equal(t, time.Second, time.Since(began))
		assert.True(t, l.Over())
	})
}

func TestLeavingMoreOftenThanEnteringIsAMistake(t *testing.T) {
	t.Parallel()
	l := life.New(context.Background())
	assert.Panics(t, l.Leave)
}

func TestALifeComesToRestInWhateverOrder(t *testing.T) {
	t.Parallel()
	lifetest.Stress(t, 10_000, func() lifetest.Machine {
		l := life.New(context.Background())
		return lifetest.Machine{
			Start: func(context.Context) error {
				if !l.Go(func() { <-l.Context().Done() }) {
					return errEnd
				}
				return nil
			},
			Stop: l.Stop,
			Wait: l.Wait,
		}
	})
}

func TestTheZeroLifeIsOpenAndItsPartsEndWithIt(t *testing.T) {
	t.Parallel()
	var whole, part life.Life
	part.PartOf(&whole)
	require.NoError(t, part.Context().Err())
	require.True(t, part.Enter())
	ctx, end := part.Entered(t.Context())
	whole.Stop(errEnd)
	<-ctx.Done()
	require.ErrorIs(t, context.Cause(ctx), errEnd)
	require.ErrorIs(t, context.Cause(part.Context()), errEnd)
	assert.False(t, part.Enter())
	end()
	require.NoError(t, whole.Wait(t.Context()))
}

func TestWhoeverWaitsIsToldHoweverWorkBeginsAndEndsMeanwhile(t *testing.T) {
	t.Parallel()
	for range 2_000 {
		var l life.Life
		var running atomic.Int64
		var all sync.WaitGroup
		for range 2 {
			all.Go(func() {
				for range 10 {
					if l.Enter() {
						running.Add(1)
						runtime.Gosched()
						running.Add(-1)
						l.Leave()
					}
				}
			})
			all.Go(func() {
				for range 5 {
					assert.NoError(t, l.Wait(t.Context()))
				}
			})
		}
		runtime.Gosched()
		l.Retire()
		assert.NoError(t, l.Wait(t.Context()))
		assert.Zero(t, running.Load(), "it was told too early")
		all.Wait()
	}
}
