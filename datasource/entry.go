package datasource

import "time"

// M is a where clause or a row's columns. Numbers read from a server are json.Number, so that they stay exact.
type M = map[string]any

// Entry is one row of a data source.
type Entry struct {
	ID, DataSourceID     int64
	Data                 M
	Order                *int64
	CreatedAt, UpdatedAt time.Time
	DeletedAt            *time.Time
	// Extra holds every field that has no place above ("joins", "clientId" …). nil when there is none.
	Extra M
}
