package pgtest

import "syscall"

// dieWithParent ends the server when the process that has started it is killed.
func dieWithParent(a *syscall.SysProcAttr) { a.Pdeathsig = syscall.SIGQUIT }
