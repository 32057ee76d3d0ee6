//go:build !unix || solaris || illumos || aix

package sqlstore

import (
	"errors"
	"fmt"
	"os"
)

func lock(*os.File) error {
	return fmt.Errorf("sqlstore: Alone: this system has no lock for it: %w", errors.ErrUnsupported)
}

// readOnly reports whether an error is that of a file system that is read only. That has no
// name here.
func readOnly(error) bool { return false }
