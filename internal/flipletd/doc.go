// Package flipletd is a local Fliplet: the part of the REST API that chats
// and data source clients use, as one [http.Handler] over a store in memory.
//
// A request passes through three rooms. The handlers (sources.go, entries.go,
// query.go, across.go, …) check a whole request before anything is touched;
// the rules (auth.go, rules.go, hooks.go, ratelimit.go) decide whether it may
// happen; the store (store.go, tx.go, index.go) applies it in one step, so
// that a refused request leaves no trace.
//
// Levers (levers.go) make the server as unfriendly as a real one: they fail,
// delay, lose, reorder and misspell. They are described for users in package
// fliplettest, which is the public door to this package.
//
// What is documented by Fliplet, what was seen in its public clients and what
// is assumed is said where it is implemented.
package flipletd
