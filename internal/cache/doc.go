// Package cache is what the session of a user leaves in Storage, so that the next
// one can begin offline: who logged in, contacts, conversations and the newest
// messages, as rows that are still encrypted.
//
// Keys hold the API host, the contacts data source and the user, so that users
// never see each other's values. Keys and values keep their form from version to
// version: a program finds what it stored before an update.
//
// A cache is a convenience. When the Store fails or hangs, a save is given up after
// a while and logged, and nobody is kept from chatting.
//
// [User.Forget] is what a logout calls. Saves that are under way then remove what
// they wrote, and later ones write nothing.
package cache
