// Package bodies decides what a stored body is, opens it, and says how it was
// protected. It knows the rules of package chat (the least protection, which format is
// written, what a copy is) and neither where keys come from nor what a message is.
//
// What a row claims is nobody's word: a body counts for as much as was verified when it
// was opened. So a body that does not open is [Plain], and so is one under a key that
// everybody can compute.
package bodies
