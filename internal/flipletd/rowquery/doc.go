// Package rowquery evaluates the where clause of the cross-source query
// against data source entries.
//
// The language is Sequelize 4's: string operators such as $and, $or, $not,
// $gt, $in, $iLike and $contains over the columns of the entries table. Real
// Fliplet is believed to hand such a clause to Sequelize, which turns it into
// SQL for PostgreSQL; this package answers as that pair would, including
// SQL's three-valued logic, without a database.
package rowquery
