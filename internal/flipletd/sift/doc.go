// Package sift runs the query language of a single Fliplet data source: the
// where clause of a data query, a hook's condition or an access rule.
//
//	filter, err := sift.Compile(where) // *sift.Error: unknown operator, bad expression, …
//	matched, err := filter.Match(row)  // *sift.Error where the original raises on this row
//
// Fliplet runs such clauses with its own fork of the sift library, on Node.
// The fork is public, and this package answers as it does: loose comparison,
// $like and $iLike as plain substring tests, ranges over numbers and dates
// found in text, and JavaScript showing through everywhere. Recorded answers
// of the fork decide; see TestVectors.
//
// # Operators
//
// $eq $ne $gt $gte $lt $lte $in $nin $all $size $type $regex with $options
// $like $iLike $mod $exists $elemMatch $match $not $and $or $nor, and $filters.
// A clause may hold operators and columns side by side at every level; an
// object that is not an operator's is a clause about the value, so {"a": {}}
// holds for every row.
//
// $filters is a list of {column, condition, value} after Fliplet's
// documentation. Where that leaves a case open, the public list widget decides,
// which has the same conditions; where both do, a comment says "our choice".
//
// # What surprises
//
//   - Values compare as JavaScript's == does: 5, "5", " 5 ", [5] are equal, so
//     are 0 and "", and true and 1. null equals null and missing, nothing else.
//     A list compares by its elements, and never equals a list, except that
//     [] equals [].
//   - A range turns both sides into numbers. Text that holds a date, such as
//     2024-01-05 or 05.01.2024, is read by the rules of the V8 engine with the
//     time zone set to UTC; other text loses its first run of characters other
//     than digits, comma, dot and minus. Text without a number is in no range.
//   - $in is loose on plain values and strict on the elements of a list.
//   - A dotted path through an empty list has no values and satisfies nothing.
//   - $type knows the names string, number, boolean, array and object, and for
//     JavaScript a list is an object too.
//
// # Where it differs from the original
//
// Four groups of answers that a port may leave out are followed here: legacy
// dates (edge/date-legacy), inherited names (edge/quirk), look-around and
// back-references (edge/regex-js), and text counted in UTF-16 code units
// (edge/regex-astral, edge/size-of-emoji). What is not followed:
//
//   - $where would run code and is refused, wherever it stands.
//   - Clauses deeper than 100 levels or of more than 100,000 values, paths of
//     more than 100 parts and expressions that are too large are refused; one
//     that takes too long on a row makes Match fail.
//   - With $options g or y the original remembers from row to row where the
//     last match ended. Here g means nothing and y ties a match to the start.
//   - The properties of inherited methods ("Name.link.length"), and methods as
//     operators inside the list of $in.
//   - A clause given as a map has lost the order of its keys, see Compile; text
//     has lost half surrogate pairs before it comes here, because encoding/json
//     replaces them.
//   - Upper and lower case of letters that Unicode got after Go's tables.
//
// A Filter does not log and its errors never hold the contents of a row.
package sift
