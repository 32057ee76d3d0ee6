//go:build unix

package conform

import (
	"os"
	"syscall"
)

// lock ends with the process, however that ends.
func lock(f *os.File) error {
	return syscall.Flock(int(f.Fd()), syscall.LOCK_EX|syscall.LOCK_NB) //nolint:gosec // a descriptor
}

// syncDir puts the names of a directory on the disk.
func syncDir(dir string) error {
	d, err := os.Open(dir) //nolint:gosec // the user names the directory
	if err != nil {
		return err
	}
	defer d.Close() //nolint:errcheck // nothing was written through it
	return d.Sync()
}
