//go:build !unix

package conform

import "os"

// lock does nothing: do not sweep while a run is under way.
func lock(*os.File) error { return nil }

// syncDir does nothing: names are on the disk with their files.
func syncDir(string) error { return nil }
