//go:build unix && !solaris && !illumos && !aix

package sqlstore

import (
	"errors"
	"fmt"
	"os"
	"syscall"
)

// lock locks a file until it is closed.
func lock(f *os.File) error {
	err := syscall.Flock(int(f.Fd()), syscall.LOCK_EX|syscall.LOCK_NB) //nolint:gosec // it is one
	if errors.Is(err, syscall.EWOULDBLOCK) {
		return fmt.Errorf("%w: another process or Store has locked %s: close that one first", ErrLocked, f.Name())
	}
	if err != nil {
		return fmt.Errorf("sqlstore: Alone: %w", err)
	}
	return nil
}

// readOnly reports whether an error is that of a file system that is read only.
func readOnly(err error) bool { return errors.Is(err, syscall.EROFS) }
