package sqlstore

import (
	"context"
	"errors"
	"fmt"
	"math/rand/v2"
	"os"
	"strings"
	"time"

	"github.com/fliplet/fliplet-chat-go/storage"
)

// Codes of SQLite, without what they say more closely.
const (
	codeBusy     = 5
	codeLocked   = 6
	codeReadOnly = 8
	codeCorrupt  = 11
	codeFull     = 13
	codeCantOpen = 14
	codeConflict = 19 // with a constraint
	codeNotADB   = 26
)

// code is the code of an error of SQLite, 0 of another one. Drivers have no common type:
// most have a method, and all have the words of SQLite in the text.
func code(err error) int {
	var coded interface{ Code() int }
	if errors.As(err, &coded) {
		return coded.Code() & 0xff
	}
	for _, c := range []struct {
		text string
		code int
	}{
		{"database is locked", codeBusy},
		{"table is locked", codeLocked},
		{"attempt to write a readonly database", codeReadOnly},
		{"database disk image is malformed", codeCorrupt},
		{"unable to open database file", codeCantOpen},
		{"file is not a database", codeNotADB},
		{"database or disk is full", codeFull},
		{"constraint failed", codeConflict},
	} {
		if err != nil && strings.Contains(err.Error(), c.text) {
			return c.code
		}
	}
	return 0
}

// refused reports whether an error of COMMIT says that nothing was committed.
func refused(err error) bool {
	switch code(err) {
	case codeBusy, codeLocked, codeFull, codeConflict:
		return true
	}
	return false
}

// explain says what an error of a call means.
func (s *Store) explain(ctx context.Context, err error) error {
	if err == nil {
		return nil
	}
	for _, own := range []error{storage.ErrNotFound, ErrVersion, ErrCorrupt, ErrReadOnly, ErrMoved, ErrBusy, ErrClosed, ErrInTransaction, ErrNoTransaction, ErrEnded} {
		if errors.Is(err, own) {
			return err
		}
	}
	if ctx.Err() != nil { // drivers say that they were interrupted
		return context.Cause(ctx)
	}
	switch code(err) {
	case codeBusy, codeLocked:
		return fmt.Errorf("%w, for %v: %w", ErrBusy, s.patience, err)
	case codeReadOnly:
		return fmt.Errorf("%w: %w", ErrReadOnly, err)
	case codeCorrupt, codeNotADB:
		return fmt.Errorf("%w: %w", ErrCorrupt, err)
	case codeCantOpen:
		if moved := s.stays(); moved != nil {
			return moved
		}
	}
	if s.closed.Load() {
		return ErrClosed
	}
	return fmt.Errorf("sqlstore: %w", err)
}

// patiently calls fn again while somebody else has a lock that it needs.
func (s *Store) patiently(ctx context.Context, fn func() error) error {
	var over time.Time
	for pause := time.Millisecond; ; pause = min(2*pause, 50*time.Millisecond) {
		if ctx.Err() != nil {
			return context.Cause(ctx)
		}
		err := fn()
		if c := code(err); err == nil || c != codeBusy && c != codeLocked {
			return s.explain(ctx, err)
		}
		now := time.Now()
		if over.IsZero() {
			over = now.Add(s.patience)
		} else if now.After(over) {
			return s.explain(ctx, err)
		}
		t := time.NewTimer(pause/2 + rand.N(pause)) //nolint:gosec // so that two do not meet again
		select {
		case <-t.C:
		case <-ctx.Done():
			t.Stop()
		}
	}
}

// stays reports an error if the file that was opened is not there any more: SQLite would go
// on writing to what nobody can open again.
func (s *Store) stays() error {
	now, err := os.Stat(s.path)
	if err == nil && os.SameFile(now, s.file) {
		return nil
	}
	return ErrMoved
}
