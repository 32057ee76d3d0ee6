package rowquery

import "time"

// Row is one data source entry as a filter sees it. A nil pointer or a nil
// Data is SQL NULL. A Row is only read, never kept or changed.
type Row struct {
	ID, DataSourceID int64
	Order            *int64
	// Data is decoded JSON: map[string]any, []any, string, json.Number, bool.
	Data any
	// Times compare in whole microseconds, as timestamptz holds them; a finer
	// part is ignored.
	CreatedAt, UpdatedAt, DeletedAt *time.Time
}
