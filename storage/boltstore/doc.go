// Package boltstore keeps a [storage.Store] in one file, so that logins, caches
// and cursors outlive the program:
//
//	store, err := boltstore.Open("chat.db")
//	defer store.Close()
//	c, err := chat.Connect(ctx, chat.Options{Storage: store, …})
//
// The file is a bbolt database. Every write is on the disk when it returns, and a
// crash at any moment leaves either the old value or the new one. One process at a
// time can have it open; inside that process any number of chats may share it. It has no
// transactions for consumers: nothing of a consumer's own could be in them.
//
// The file holds chat tokens, so it is created for its owner alone (mode 0600). Bytes
// of deleted values stay in it until [Store.Scrub] overwrites them, which a logout of a
// chat does.
package boltstore
