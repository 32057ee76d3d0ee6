package feed

import (
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
)

// What streaming.md promises rests on these. Whoever changes one changes that page.
func TestTheDefaultsOfTheEngine(t *testing.T) {
	t.Parallel()
	cfg := Config{}.withDefaults()
	assert.NotNil(t, cfg.Draw)
	drawn := map[int64]bool{}
	for range 200 {
		drawn[cfg.Draw(1<<40)] = true
	}
	assert.Len(t, drawn, 200, "the jitter is drawn")
	cfg.Draw = nil
	assert.Equal(t, Config{
		PageSize: 200, Overlap: 5 * time.Second, Queue: 200, Collect: 1000, Remember: 16384, Bytes: 8 << 20,
		Live: 2 * time.Second, Base: 20 * time.Second, Max: 2 * time.Minute, MinGap: 200 * time.Millisecond,
		Outage: 10 * time.Second, LongestWait: time.Minute, Roster: 5 * time.Minute,
	}, cfg)
	assert.Equal(t, 30*time.Minute, hold)
	assert.Equal(t, 10, silentWaits)
	small := Config{Base: time.Second, Max: time.Millisecond, PageSize: 10}.withDefaults()
	assert.Equal(t, []any{time.Second, time.Second, 10, 50}, []any{small.Live, small.Max, small.Queue, small.Collect}, "no wait is above the next one")
}
