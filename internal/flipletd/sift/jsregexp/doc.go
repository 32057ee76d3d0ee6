// Package jsregexp runs JavaScript regular expressions, for a query language
// whose patterns were written for JavaScript.
//
// The standard library's engine cannot stand in for it: it has no look-around
// and no back-references, and it disagrees on what a character is ("." takes
// half of an emoji in JavaScript unless the u flag is set), on white space,
// line ends, case folding and on which unbalanced braces are errors. So this
// package parses the whole grammar of ECMAScript 2023, the historic leniency
// of Annex B included, and matches over UTF-16 code units.
//
// # Supported
//
// Everything but: the v flag; \p of properties the standard library has no
// table for (emoji among them), which is an error; capture results, since a
// caller only asks whether a text matches.
//
// The flags d and g change nothing, because a Regexp keeps no state between
// calls. With y a match must begin at the start of the text.
//
// # Cost
//
// A pattern without look-around and back-references takes time in proportion
// to its length times the text's, whatever it is; with look-around at worst to
// that times the text's length again. Back-references can be exponential. So the
// number of steps is bounded, and MatchString gives up with ErrTooSlow. A pattern that is too long, too deep or repeats too much is
// refused by Compile with ErrTooLarge.
package jsregexp
