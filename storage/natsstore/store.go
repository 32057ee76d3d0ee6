package natsstore

import (
	"bytes"
	"context"

	"github.com/fliplet/fliplet-chat-go/storage"
)

// Get returns the value of a key in one request.
//
// Errors: [storage.ErrNotFound], [ErrUnavailable], the context's cause.
func (s *Store) Get(ctx context.Context, key string) (_ []byte, err error) {
	defer wrap("get", &err)
	c, end, err := s.begin(ctx, key)
	if err != nil {
		return nil, err
	}
	defer end()
	e, err := c.last()
	if err != nil {
		return nil, err
	}
	if !e.exists {
		return nil, storage.ErrNotFound
	}
	return e.value, nil
}

// Set stores a value in one request if the key is new, and in two otherwise.
//
// Errors: [ErrTooLarge], [ErrUnavailable], [ErrUnknown], the context's cause.
func (s *Store) Set(ctx context.Context, key string, value []byte) (err error) {
	defer wrap("set", &err)
	c, end, err := s.begin(ctx, key)
	if err != nil {
		return err
	}
	defer end()
	// The revision makes sure that a write whose answer is lost, and which is sent again or
	// arrives late, cannot undo what somebody else has stored meanwhile.
	for expected := uint64(0); ; {
		stored, last, err := c.write(value, false, expected)
		if stored || err != nil {
			return err
		}
		if last == 0 {
			e, err := c.last()
			if err != nil {
				return err
			}
			last = e.revision
		}
		expected = last
	}
}

// Delete removes a key in two requests, or in one if it has no value.
//
// Errors: [ErrUnavailable], [ErrUnknown], the context's cause.
func (s *Store) Delete(ctx context.Context, key string) (err error) {
	defer wrap("delete", &err)
	c, end, err := s.begin(ctx, key)
	if err != nil {
		return err
	}
	defer end()
	for {
		e, err := c.last()
		if err != nil || !e.exists {
			return err
		}
		if stored, _, err := c.write(nil, true, e.revision); stored || err != nil {
			return err
		}
	}
}

// CompareAndSwap reads, compares, and writes expecting the revision that it has read; when
// somebody else was faster, it compares again. Two requests, one if the value differs.
//
// Errors: [ErrTooLarge], [ErrUnavailable], [ErrUnknown], the context's cause.
func (s *Store) CompareAndSwap(ctx context.Context, key string, old, new []byte) (swapped bool, err error) {
	defer wrap("compare and swap", &err)
	c, end, err := s.begin(ctx, key)
	if err != nil {
		return false, err
	}
	defer end()
	for {
		e, err := c.last()
		if err != nil {
			return false, err
		}
		if e.exists != (old != nil) || !bytes.Equal(e.value, old) {
			return false, nil
		}
		if !e.exists && new == nil {
			return true, nil
		}
		if stored, _, err := c.write(new, new == nil, e.revision); stored || err != nil {
			return stored, err
		}
	}
}
