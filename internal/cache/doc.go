// Package cache stores what a user's next session needs to begin offline: the login,
// contacts, conversations and the newest messages, as rows that are still encrypted.
//
// Keys hold the API host, the contacts data source and the user, so that users never
// see each other's values. The format of keys and values does not change between
// versions, so a program can read what an earlier version stored.
//
// What an earlier session stored is read in the background, too: answers of the server
// that come before are added to it then.
//
// Saves are made in the background, one after the other, and callers wait a moment for
// them at most, so that a Store that fails or hangs keeps nobody from chatting. What it
// did not take is logged, and written with the next save. Of a key the newest value is
// written last.
//
// A logout calls [User.Forget]. A save that is running then removes what it wrote,
// and later ones write nothing.
package cache
