package receive

import (
	"math/rand/v2"
	"runtime"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"github.com/stretchr/testify/assert"

	"github.com/fliplet/fliplet-chat-go/internal/life"
)

// alone is a loop that ends when its alarm rings, and then calls rung.
func alone(key any, rung func()) *loop {
	r := New(Config{Rested: rung, Life: new(life.Life), Share: key})
	r.life.Enter()
	p := &loop{r: r}
	p.joinClock(key)
	return p
}

func clocks(key any) int {
	alarms.mu.Lock()
	defer alarms.mu.Unlock()
	if alarms.clocks[key] == nil {
		return 0
	}
	return 1
}

func TestAlarmsOfOneClockRingEachAtItsTimeUnlessTheyAreStopped(t *testing.T) {
	t.Parallel()
	for seed := range uint64(20) {
		synctest.Test(t, func(t *testing.T) {
			rnd, key := rand.New(rand.NewPCG(3, seed)), new(int)
			type one struct {
				*loop
				at   time.Time
				rung atomic.Int64 // when, in nanoseconds
			}
			list := make([]*one, 200)
			for i := range list {
				o := new(one)
				o.loop = alone(key, func() { o.rung.Store(time.Now().UnixNano()) })
				list[i] = o
			}
			for range 2000 {
				o := list[rnd.IntN(len(list))]
				waits := !o.at.IsZero() && o.rung.Load() == 0
				switch {
				case o.rung.Load() != 0:
				case waits && rnd.IntN(2) == 0:
					assert.True(t, o.stopAlarm())
					o.at = time.Time{}
				case !waits:
					assert.False(t, o.stopAlarm())
					o.at = time.Now().Add(time.Duration(rnd.IntN(100)) * time.Second)
					o.setAlarm(o.at)
				}
				time.Sleep(time.Duration(rnd.IntN(100)) * time.Millisecond)
				synctest.Wait()
			}
			for _, o := range list {
				if o.at.IsZero() {
					o.setAlarm(time.Now().Add(-time.Hour))
					synctest.Wait()
					assert.Equal(t, time.Now().UnixNano(), o.rung.Load())
					o.at = time.Now()
				}
			}
			time.Sleep(time.Hour)
			for _, o := range list {
				assert.Equal(t, o.at.UnixNano(), o.rung.Load())
				assert.False(t, o.stopAlarm())
			}
			assert.Zero(t, clocks(key), "nothing is kept of a key whose loops are over")
		})
	}
}

// Not parallel: it looks at the heap.
func TestLoopsThatShareAClockHaveNoTimerOfTheirOwn(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		const loops = 1000
		key := new(int)
		list := make([]*loop, loops)
		for i := range list {
			list[i] = alone(key, nil)
		}
		var before, after runtime.MemStats
		runtime.ReadMemStats(&before)
		for _, p := range list {
			p.setAlarm(time.Now().Add(time.Minute))
		}
		runtime.ReadMemStats(&after)
		assert.Less(t, after.Mallocs-before.Mallocs, uint64(100))
		time.Sleep(time.Hour)
	})
}
