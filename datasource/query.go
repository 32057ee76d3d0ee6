package datasource

// Direction is a sort direction.
type Direction string

// The two sort directions.
const (
	Asc  Direction = "ASC"
	Desc Direction = "DESC"
)

// Order sorts by one column: id, order, createdAt, updatedAt, deletedAt, or "data." and the name of a column.
type Order struct {
	Column    string
	Direction Direction
}

// Query is the body of POST v1/data-sources/:id/data/query.
type Query struct {
	// Type is "" or "select"; Client.UpdateWhere and Client.DeleteWhere set their own.
	Type string
	// Where is a sift query over the columns of a row.
	Where M
	// Attributes names the columns to return. None: all.
	Attributes []string
	// Order defaults, on the server, to order ASC, id DESC.
	Order []Order
	// Limit 0 is not sent; see NoLimit.
	Limit, Offset int
	// NoLimit sends limit 0, which the server reads as "no limit".
	NoLimit bool
	// IncludePagination asks for Result.Total.
	IncludePagination bool
	// ID, CreatedAt and UpdatedAt filter the row itself: a value or an operator object such as M{"$gt": …}.
	ID, CreatedAt, UpdatedAt any
	// DataSourceEntryID filters by row id. 0 is not sent.
	DataSourceEntryID int64
	// Distinct keeps the first row for each value of this column.
	Distinct string
	// Views names views of the data source's definition.
	Views []string
	// Join and Aggregate are sent as they are.
	Join      M
	Aggregate []M
}
