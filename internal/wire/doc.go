// Package wire holds every spelling that Fliplet has not published, in one small file
// per open question, and reads and writes chat columns. It does no I/O.
//
// Each file says how its facts are known: documented, seen in a public client, or
// chosen by this SDK. If the real service differs, one file changes.
package wire
