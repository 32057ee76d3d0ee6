// Package boltjournal keeps the state of a local Fliplet in one file, a bbolt
// database, so that it outlives the program however that ends:
//
//	j, err := boltjournal.Open("fliplet.db")
//	defer j.Close()
//	server, err := flipletd.New(flipletd.Config{Journal: j})
//
// Each request that changes something is one transaction, on the disk before it
// is answered. It has a package of its own so that tests that run a local Fliplet
// do not link a database.
package boltjournal
