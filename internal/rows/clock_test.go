package rows

import (
	"testing"
	"testing/synctest"
	"time"

	"github.com/stretchr/testify/assert"
)

func TestTheEarliestOfTheLastDatesIsTheServersTime(t *testing.T) {
	t.Parallel()
	const none = -1 << 62
	for name, c := range map[string]struct{ dates, want []time.Duration }{
		"right":                       {[]time.Duration{0, 0}, []time.Duration{0, 0}},
		"one ahead":                   {[]time.Duration{0, 100 * 365 * 24 * time.Hour, 0}, []time.Duration{0, 0, 0}},
		"the first ahead":             {[]time.Duration{100 * 365 * 24 * time.Hour, 0}, []time.Duration{0, 0}},
		"the first ahead by an hour":  {[]time.Duration{time.Hour, 0}, []time.Duration{time.Hour, 0}},
		"ahead all the time":          {[]time.Duration{48 * time.Hour, 48 * time.Hour}, []time.Duration{0, 48 * time.Hour}},
		"behind":                      {[]time.Duration{0, -time.Hour, 0}, []time.Duration{0, -time.Hour, -time.Hour}},
		"no date":                     {[]time.Duration{none, -time.Minute, none}, []time.Duration{0, -time.Minute, -time.Minute}},
		"1970":                        {[]time.Duration{0, -30 * 365 * 24 * time.Hour, 0}, []time.Duration{0, 0, 0}},
		"1989":                        {[]time.Duration{0, -103_000 * time.Hour, 0}, []time.Duration{0, 0, 0}},
		"1990":                        {[]time.Duration{0, -91_980 * time.Hour, 0}, []time.Duration{0, -91_980 * time.Hour, -91_980 * time.Hour}},
		"set forward, after eight":    {[]time.Duration{0, 60, 60, 60, 60, 60, 60, 60, 60, 60}, []time.Duration{0, 0, 0, 0, 0, 0, 0, 0, 60, 60}},
		"two machines, one set wrong": {[]time.Duration{30, 0, 30, 0, 30}, []time.Duration{30, 0, 0, 0, 0}},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			synctest.Test(t, func(t *testing.T) { // its time begins with the year 2000
				time.Sleep(366 * 24 * time.Hour)
				var s serverClock
				for i, d := range c.dates {
					date := time.Now().Add(d)
					if d == none {
						date = time.Time{}
					}
					assert.Equal(t, c.want[i], time.Until(s.at(date)), "answer %d", i)
					time.Sleep(time.Minute)
				}
			})
		})
	}
}

func TestAnAnswerThatTookLongSaysNothingAgainstTheServersTime(t *testing.T) {
	t.Parallel()
	const took = 10 * time.Second
	for name, c := range map[string]struct{ date, want time.Duration }{ // of the answer that took so long
		"dated when the query came":       {-took, 0},
		"dated in between":                {-took / 2, 0},
		"dated at the end":                {0, 0},
		"in whole seconds":                {-took - time.Second + time.Millisecond, 0},
		"the clock was set back":          {-took - time.Hour, -took - time.Hour},
		"the clock was set back a little": {-took - 2*time.Second, -took - 2*time.Second},
		"a machine that is ahead":         {time.Hour, 0},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			synctest.Test(t, func(t *testing.T) {
				var s serverClock
				s.at(time.Now())
				sent := time.Now()
				time.Sleep(took)
				assert.Equal(t, c.want, time.Until(s.answered(time.Now().Add(c.date), sent)))
				assert.Equal(t, c.want, time.Until(s.at(time.Time{})))
			})
		})
	}
	synctest.Test(t, func(t *testing.T) {
		var s serverClock
		sent := time.Now()
		time.Sleep(took)
		assert.Equal(t, -took, time.Until(s.answered(sent, sent)), "of the first one nothing else is known")
	})
}
