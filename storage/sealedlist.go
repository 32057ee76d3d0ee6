package storage

import (
	"context"
	"errors"
	"fmt"
	"iter"
	"slices"
	"strings"
)

// encryptedLister is an encrypted Store over one that lists.
type encryptedLister struct {
	*encrypted
	lister Lister
}

// List yields the keys that begin with prefix. It reads all values first, one at a time.
func (e *encryptedLister) List(ctx context.Context, prefix string) iter.Seq2[string, error] {
	return listed(ctx, prefix, e.keys)
}

// keys returns the keys that begin with prefix, in order. After an error there are none.
func (e *encryptedLister) keys(ctx context.Context, prefix string) ([]string, error) {
	if err := e.check(ctx, false); err != nil {
		return nil, err
	}
	var keys []string
	for at, err := range e.lister.List(ctx, sealedPrefix) {
		if err != nil {
			return nil, err
		}
		sealed, err := e.inner.Get(ctx, at)
		if errors.Is(err, ErrNotFound) {
			continue // removed meanwhile
		}
		if err != nil {
			return nil, err
		}
		name, _, err := e.open(at, sealed)
		if err != nil || e.innerKey(name) != at {
			return nil, fmt.Errorf("%w: one of the listed", ErrTampered)
		}
		if strings.HasPrefix(name, prefix) {
			keys = append(keys, name)
		}
	}
	slices.Sort(keys)
	return keys, nil
}
