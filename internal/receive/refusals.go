package receive

import "time"

// How long a token is refused, at least, before it counts as revoked: in the words of the
// service, and in JSON that a gateway may have sent.
const (
	refusedInWords = time.Second
	refusedInJSON  = 10 * time.Minute
)

// Refusals tells a revoked token from what somebody on the way refuses, once or for a
// while.
type Refusals struct{ since time.Time }

// Another says that there was one more refusal, and whether the service's words were used.
// accepted is when the latest of the requests was made that were accepted with the token,
// whoever made it: since then it was not revoked. Another reports whether the token was
// revoked.
func (r *Refusals) Another(inWords bool, accepted time.Time) bool {
	enough := refusedInJSON
	if inWords {
		enough = refusedInWords
	}
	if r.since.IsZero() || !accepted.Before(r.since) {
		r.since = time.Now()
	}
	return time.Since(r.since) >= enough
}
