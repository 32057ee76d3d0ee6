// Package world plays made-up histories of a chat against the receive engine and
// checks what every listener was told.
//
// A [Story] is drawn from a seed: sizes and times, a server with its faults, and a
// list of steps such as "send", "answer the request with a 429", "listener 2 takes
// three events", "the process dies". A [Runner] plays it on virtual time against
// package feed, the same code that runs in production, and an oracle, which knows
// the server's rows and when each could be seen, holds every event against the
// contract of docs/streaming.md. No step depends on another one being there, so a
// story that fails can be cut down to the few steps that matter: [Shrink].
package world
