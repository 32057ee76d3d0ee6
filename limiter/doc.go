// Package limiter lets the replicas of a program share one rate limit: together they start at most n requests in any
// window, whichever of them has the work.
//
//	shared, err := limiter.New(store, "limit/app-12", 200, 10*time.Second, limiter.Options{Replicas: 4})
//	…
//	defer shared.Close()
//	client, err := datasource.NewClient(datasource.Config{Token: token, Limiter: shared})
//
// The replicas agree in one small record of a [storage.Store] that all of them reach, by compare-and-swap. Each has the
// same small part of the limit for itself, its fallback, and a share of all the rest, for as long as it renews it. A share
// that its replica does not need is lent to those that wait.
//
// # What holds
//
// The shares and fallbacks of all replicas are never more than n in any window, also while they change: a replica first
// starts fewer requests, then gives back what it has not started in the window that ends now, and the rest as that window
// passes; only what was given back can be taken. It counts on no clock but its own, and on that for durations only. A
// share ends by the clock of its replica before others can take it, so that a replica which was cut off or suspended does
// not use what is somebody else's.
//
// What counts is when a request starts. Windows are 2 % longer here than those of the server, 200 ms of 10 s, for requests
// that take so much longer on their way than those after them. A process that is suspended for longer than that between
// its turn and the first byte of a request is late, too, with at most as many requests as it makes at a time.
//
// # Numbers
//
// With the defaults and a window of 10 s: a share is renewed every 1.7 s and lasts 5 s; a lease, after which the share of a
// replica that died is free, is 20 s. Free slots are there after the next renewal, within a second for whoever waits;
// those that another one has in use after a window and about 3 s. A replica alone has n without the fallbacks of the
// others, less 2 %: 181 of 200 in 10 s for Replicas 4.
//
// Each replica reads and writes the record 36 times a minute, and up to 72 times while it has less than it wants. The
// record has about 100 bytes for each replica. No request waits for the Store.
//
// # Without the Store
//
// When the record cannot be renewed, each replica has its fallback when its share ends, [Limiter.Err] says so, and a
// share again soon after the Store answers. A process that has just been started has its fallback after one window, since
// the one before it may have used it; with the Store it has what is free at once.
//
// A record that is missing or damaged is made anew, and shared out after a lease, since somebody may still use what it
// said. So the first replica ever has its fallback only, in that time.
package limiter
