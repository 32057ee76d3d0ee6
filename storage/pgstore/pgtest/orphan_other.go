//go:build unix && !linux

package pgtest

import "syscall"

// dieWithParent can do nothing here: a server whose parent is killed stays.
func dieWithParent(*syscall.SysProcAttr) {}
