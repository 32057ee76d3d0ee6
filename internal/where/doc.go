// Package where evaluates where clauses without a server, in both of Fliplet's
// languages: that of rows, which the cross-source query speaks, and that of columns,
// which the query of one data source speaks.
//
// [CompileRows] reads a condition over rows. [Best] and [Satisfies] tell which
// contact a login query, a condition over columns, means. [LooksAt] tells whether a
// condition needs the text of a column, in either language. Nothing here does I/O.
package where
