// Package storagetest checks that a [storage.Store] keeps what the interface
// promises. A store of your own has one test:
//
//	func TestStore(t *testing.T) {
//		storagetest.Run(t, func(t *testing.T) storage.Store { return open(t) })
//	}
//
// Run it with -race: half of the checks are about concurrent use.
package storagetest
