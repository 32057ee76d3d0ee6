// Package archtest holds the tests of what the compiler does not check: which way
// imports point, that every exported name is documented, that the declarations
// programs rely on keep their types, and that the documents tell the truth about
// the code.
package archtest
