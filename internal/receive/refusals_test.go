package receive_test

import (
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
		"r": false, "w": false, "ww": true, "rw": true, "rrrrrrrrrr": false, "rrrrrrrrrrr": true, "arrrrrrrrrrr": true, "waw": false, "wawaw": false, "waww": true,
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
					revoked = r.Another(step == inWords, last)
				}
			}
			assert.Equal(t, want, revoked, steps)
		})
	}
}
