// Package pgtest starts a PostgreSQL server for tests and demonstrations, from the
// programs that are installed on the machine. It needs no service, no account and no
// fixed port:
//
//	func TestStore(t *testing.T) {
//		server := pgtest.Start(t) // skips the test where there is no PostgreSQL
//		store, err := pgstore.Open(t.Context(), server.DSN())
//
// A server lives in a temporary folder and listens on 127.0.0.1. It keeps nothing of what
// is stored when it is stopped, and it asks for no password: it is not for data that
// anybody needs.
package pgtest
