// Package cache stores what a user's next session needs to begin offline: the login,
// contacts, conversations and the newest messages, as rows that are still encrypted.
//
// Keys hold the API host, the contacts data source and the user, so that users never
// see each other's values. The format of keys and values does not change between
// versions, so a program can read what an earlier version stored.
//
// When the Store fails or hangs, a save is logged and given up after a while, so that
// the user can go on chatting.
//
// A logout calls [User.Forget]. A save that is running then removes what it wrote,
// and later ones write nothing.
package cache
