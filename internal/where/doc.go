// Package where evaluates where clauses without a server. Fliplet has two languages:
// conditions over rows, for the cross-source query, and conditions over columns, for
// the query of one data source. The package does no I/O.
//
// [CompileRows] reads a condition over rows. [ParseLogin] reads a login query, which is
// a condition over columns, and [Login] evaluates it. [LooksAt] reports whether a
// condition of either language needs the text of a column.
package where
