package receive

import (
	"sync"
	"time"
)

// How long something is said, at least, before it counts: that a token is refused, in the
// words of the service, or in JSON that a gateway may have sent; and that a user's contact is
// not there, for which the service has no words of its own.
const (
	refusedInWords = time.Second
	refusedInJSON  = 10 * time.Minute
	notThere       = time.Minute
)

// Refusals tells a revoked token from what somebody on the way refuses, once or for a
// while. The zero value has none. It is safe for concurrent use: a loop that was ended may
// still be in a request when the next one makes its first.
type Refusals struct {
	mu           sync.Mutex
	since, words time.Time
}

// Another says that there was one more refusal, and whether the service's words were used.
// accepted is when the latest of the requests was made that were accepted with the token,
// whoever made it: since then it was not revoked. Another reports whether the token seems to
// be revoked, and whether the last answer that has to say so has to use the service's words.
func (r *Refusals) Another(inWords bool, accepted time.Time) (revoked, sayInWords bool) {
	r.mu.Lock()
	defer r.mu.Unlock()
	long := another(&r.since, accepted)
	if !inWords {
		r.words = time.Time{}
	} else if another(&r.words, accepted) >= refusedInWords {
		return true, long < refusedInJSON
	}
	return long >= refusedInJSON, false
}

// another returns for how long there was nothing but refusals.
func another(since *time.Time, accepted time.Time) time.Duration {
	if since.IsZero() || !accepted.Before(*since) {
		*since = time.Now()
	}
	return time.Since(*since)
}

// Absence tells a contact that is gone from a list that lacks it once or for a while. The
// zero value is none. It is safe for concurrent use, as [Refusals] is.
type Absence struct {
	mu    sync.Mutex
	since *time.Time // nil while the contact is there
}

// Another says that one more login found nothing, and reports whether the contact seems to be
// gone.
func (a *Absence) Another() bool {
	a.mu.Lock()
	defer a.mu.Unlock()
	if a.since == nil {
		a.since = new(time.Time)
	}
	return another(a.since, time.Time{}) >= notThere
}

// Found says that the contact is there.
func (a *Absence) Found() {
	a.mu.Lock()
	defer a.mu.Unlock()
	a.since = nil
}

// FinalError is why no later poll will succeed. It matches Means, too, unless that is nil.
type FinalError struct{ Err, Means error }

func (e *FinalError) Error() string {
	if e.Means == nil {
		return e.Err.Error()
	}
	return e.Means.Error() + ": " + e.Err.Error()
}

// Unwrap returns both.
func (e *FinalError) Unwrap() []error { return []error{e.Err, e.Means} }
