// Package rowquery evaluates the where clause of the cross-source query
// against data source entries.
//
// The language is Sequelize 4's, with its string operators. Fliplet's public
// clients send it to the endpoint that searches many data sources at once,
// and the real service is believed to hand it to Sequelize, which writes SQL
// for PostgreSQL. This package gives the rows that this pair would give,
// without either of them:
//
//	f, err := rowquery.Compile(where) // {"$not": {"data": {"$contains": {"readBy": ["u1"]}}}}
//	…
//	matched, err := f.Match(&row)
//
// [Filter.Bounds] tells an ordered index where it need not look.
//
// # The language
//
// A clause is an object whose entries are joined with AND. Its keys are the
// columns id, dataSourceId, order, createdAt, updatedAt, deletedAt and data,
// the groups $and, $or and $not, and paths such as "data.meta.type". Under a
// column stands a value (equal), null (IS NULL), a list (IN) or an object of
// operators:
//
//	$eq $ne $gt $gte $lt $lte   comparison
//	$in $notIn                  lists
//	$between $notBetween        a list of two ends, both included
//	$not                        !=, NOT IN for a list, IS NOT for null and booleans
//	$is                         null, or a boolean on a path
//	$like $notLike              whole text with % and _, on a path
//	$iLike $notILike            the same in any case
//	$contains $contained        jsonb's @> and <@, on data
//	$and $or                    several conditions on one column
//
// Under data, other keys lead into the document: {"data": {"meta": {"type":
// "text"}}} is a path with two steps. A path compares as text, byte by byte,
// unless its operand is a number or a boolean; then the stored value is cast,
// and [Filter.Match] fails on a row whose value cannot be.
//
// # What surprises
//
// Conditions have three values. A comparison with NULL is neither TRUE nor
// FALSE, NOT leaves it so, and a row matches only on TRUE: unread messages
// are found by {"$not": {"data": {"$contains": …}}}, but not a row whose data
// is NULL.
//
// Some forms leave no SQL behind: {}, "$and": [], "$notIn": [], and an empty
// $or under a column. They are left out of the AND or OR that they stand in,
// and when nothing else is there, $or and $not match no row at all.
//
// # Choices of our own
//
// Where Sequelize 4.44 writes SQL that nobody can have meant, a clause is
// refused with an [Error] that says what to write instead: entries beside a
// column's $or or $and, which it drops; operators inside of a JSON value,
// which it drops too; a condition under a column's $not, which it compares as
// a value; and keys in a path that its array literal cannot carry. A bare
// list under a path means IN, as under a column, where Sequelize's SQL fails.
// Numbers keep every digit, which JavaScript's do not, and dates are compared
// to the microsecond rather than cut to the millisecond. Regular expressions,
// $any, $all, $col, casts with :: and order comparisons of whole documents
// are refused. Where SQL's order of evaluation is free, a failing cast never
// outweighs another condition that decides without it.
package rowquery
