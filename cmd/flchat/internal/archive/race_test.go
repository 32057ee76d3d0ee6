//go:build race

package archive_test

// race: the race detector is on, under which SQLite takes ten times as long.
const race = true
