// Package wire holds every spelling that Fliplet has not published, one small
// file per open question, and the reading and writing of chat columns.
//
// Each file says how its facts are known: documented, seen in a public client,
// or our choice. When the real service turns out to differ, one file changes.
// Nothing here does I/O.
package wire
