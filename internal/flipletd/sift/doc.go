// Package sift runs the query language of a single Fliplet data source: the
// where clause of a data query, hook condition or access rule.
package sift
