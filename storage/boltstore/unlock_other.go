//go:build !(darwin || dragonfly || freebsd || linux || netbsd || openbsd)

package boltstore

import "os"

// unlock does nothing: the lock lasts until the process ends.
func unlock(*os.File) {}
