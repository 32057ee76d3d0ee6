package archive

import (
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"strings"

	"github.com/fliplet/fliplet-chat-go/storage/sqlstore"
)

// UsageError is a mistake that whoever called can mend. Its text says how.
type UsageError struct {
	Text  string
	Cause error
}

func (e *UsageError) Error() string { return e.Text }

// Unwrap returns the cause.
func (e *UsageError) Unwrap() error { return e.Cause }

func usagef(cause error, format string, a ...any) error {
	return &UsageError{Text: fmt.Sprintf(format, a...), Cause: cause}
}

// Disk reports whether an error is the disk's, which is full or fails, and nobody's mistake.
func Disk(err error) bool {
	var usage *UsageError
	if errors.As(err, &usage) {
		err = usage.Cause
	}
	return diskFull(err) || err != nil && diskFails(err)
}

// diskFails reports whether an error is all that SQLite says of a limit of the size of files, a
// quota, or a fault of the disk.
func diskFails(err error) bool { return strings.Contains(err.Error(), "disk I/O error") }

// diskFull reports whether an error says that there is no room for what is written.
func diskFull(err error) bool {
	if err == nil {
		return false
	}
	text := err.Error()
	for _, said := range []string{"database or disk is full", "no space left on device", "disk quota exceeded", "file too large"} {
		if strings.Contains(text, said) {
			return true
		}
	}
	return false
}

// malformed reports whether an error says that a column does not hold what belongs there.
func malformed(err error) bool {
	var syntax *json.SyntaxError
	var kind *json.UnmarshalTypeError
	return errors.As(err, &syntax) || errors.As(err, &kind) || errors.Is(err, io.ErrUnexpectedEOF) || strings.Contains(err.Error(), "sql: Scan error")
}

// explain says what an error of the file means, and what to do.
func explain(path string, err error) error {
	var usage *UsageError
	switch {
	case err == nil || errors.As(err, &usage):
		return err
	case diskFull(err):
		return usagef(err, "%s: the disk is full, or a quota is used up: make room and run the same command again; what was written before is complete", path)
	case diskFails(err):
		return usagef(err, "%s: the disk does not read or write it: see whether a file may be so large (ulimit -f, quotas) and whether the disk is in order, and run the same command again; what was written before is complete", path)
	case errors.Is(err, sqlstore.ErrLocked):
		return usagef(err, "%s is in use by another export: wait until it ends, or give another file", path)
	case errors.Is(err, sqlstore.ErrMoved):
		return usagef(err, "%s was removed or replaced meanwhile: run the command again", path)
	case errors.Is(err, sqlstore.ErrReadOnly), errors.Is(err, fs.ErrPermission):
		return usagef(err, "%s cannot be written: change the rights of the file and its folder, or give another place", path)
	case errors.Is(err, sqlstore.ErrVersion):
		return usagef(err, "%s was written by another version of flchat: use that one, or a newer one", path)
	case errors.Is(err, sqlstore.ErrCorrupt), strings.Contains(err.Error(), "malformed"), strings.Contains(err.Error(), "not a database"):
		return usagef(err, "%s is damaged, or no archive: take a copy from before, or export into a new file", path)
	case malformed(err):
		return usagef(err, "%s is damaged: a record has another form than it was written with (%s). flchat verify names it", path, err)
	case errors.Is(err, fs.ErrNotExist):
		return usagef(err, "%s: there is no such file or folder", path)
	}
	return fmt.Errorf("%s: %w", path, err)
}
