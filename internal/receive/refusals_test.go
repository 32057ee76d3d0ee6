package receive_test

import (
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/stretchr/testify/assert"

	"github.com/fliplet/fliplet-chat-go/internal/receive"
)

// Each step is a minute after the one before.
func TestATokenIsRevokedWhenNothingIsAcceptedBetweenTwoRefusals(t *testing.T) {
	t.Parallel()
	const refused, inWords, accepted = 'r', 'w', 'a'
	for steps, want := range map[string]bool{
		"r": false, "w": false, "ww": true, "rw": false, "rww": true, "wrw": false, "wrww": true, "rrrrrrrrrr": false, "rrrrrrrrrrr": true, "arrrrrrrrrrr": true, "waw": false, "wawaw": false, "waww": true,
		"rrrrrrrrrrar": false, "rrrrrrrrrrarrrrrrrrrr": false, "rrrrrrrrrrarrrrrrrrrrr": true, "rararararararararararararar": false,
	} {
		synctest.Test(t, func(t *testing.T) {
			var r receive.Refusals
			var last time.Time
			revoked := false
			for _, step := range steps {
				time.Sleep(time.Minute)
				switch step {
				case accepted:
					last = time.Now()
				case refused, inWords:
					revoked, _ = r.Another(step == inWords, last)
				}
			}
			assert.Equal(t, want, revoked, steps)
		})
	}
}

// Who asks about the token itself has to be answered in the words of the service, unless it
// was refused for long.
func TestTheAnswerAboutTheTokenIsAsCertainAsTheRefusals(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		var r receive.Refusals
		r.Another(true, time.Time{})
		time.Sleep(time.Minute)
		revoked, inWords := r.Another(true, time.Time{})
		assert.True(t, revoked)
		assert.True(t, inWords)
		time.Sleep(10 * time.Minute)
		revoked, inWords = r.Another(true, time.Time{})
		assert.True(t, revoked)
		assert.False(t, inWords)
	})
}

func TestAContactIsGoneWhenItIsMissingForAMinute(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		var a receive.Absence
		assert.False(t, a.Another())
		time.Sleep(59 * time.Second)
		assert.False(t, a.Another())
		time.Sleep(time.Second)
		assert.True(t, a.Another())
	})
}

// The race detector has the last word.
func TestLoopsThatOverlapShareWhatTheyKnowOfRefusals(t *testing.T) {
	t.Parallel()
	var a receive.Absence
	var r receive.Refusals
	var loops sync.WaitGroup
	for range 4 {
		loops.Go(func() {
			a.Found()
			assert.False(t, a.Another())
			revoked, _ := r.Another(false, time.Time{})
			assert.False(t, revoked)
		})
	}
	loops.Wait()
}

func TestAContactThatIsFoundIsNotMissing(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		var a receive.Absence
		a.Another()
		time.Sleep(59 * time.Second)
		a.Found()
		time.Sleep(time.Second)
		assert.False(t, a.Another())
	})
}
