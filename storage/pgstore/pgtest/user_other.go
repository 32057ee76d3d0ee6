//go:build !unix

package pgtest

import (
	"os"
	"os/exec"
)

// quit is the only way to end a process here.
var quit = os.Kill

func give(string) error { return nil }

func ordinary(*exec.Cmd) {}
