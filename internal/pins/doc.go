// Package pins watches over the keys of bodies in the definitions that a session has
// read. The first key that is seen of a conversation
// is pinned; a definition that shows another one later, or none, gives no key until
// somebody accepts it.
//
// Pins outlive the process. What is stored is a keyed hash of each key, never the key.
// It belongs to one user, and is removed by that user's logout: the next login trusts
// again what it sees first.
//
// Others decide how many conversations a user is in. There is room for the pins of
// 20,000, and those that the user writes in come first. A key without a stored pin is
// used while the process runs; with Strict it is none.
//
// A Store that fails is logged, and the pins of the process go on; with Strict it is an
// error, since nobody can tell then whether a key is the one that was seen before.
package pins
