// Package marks stores who has read which messages. What many users of one process mark at
// about the same time is stored together, by a [Batcher].
package marks

import (
	"context"
	"slices"
	"time"
)

// Store is where the lists of readers are. All fields but Alone are required.
type Store struct {
	// Read returns the readers of those messages of a conversation that are there.
	Read func(ctx context.Context, conversation int64, ids []int64) (map[int64][]string, error)
	// Write replaces lists of readers.
	Write func(ctx context.Context, conversation int64, readers map[int64][]string) error
	// Contested reports whether somebody else may replace a list meanwhile, and undo a mark.
	Contested func(ctx context.Context, conversation int64) bool
	// Pause waits until a client that has read a list at a moment must have replaced it.
	Pause func(ctx context.Context, began time.Time) error
	// Alone waits until nobody else of this process replaces lists of a conversation, and lets
	// nobody until done is called. nil: it need not.
	Alone func(ctx context.Context, conversation int64) (done func(), err error)
	// Attempts bounds how often the lists are read.
	Attempts int
}

// Mark is messages of one conversation that a user has read.
type Mark struct {
	User string
	IDs  []int64
}

// confirmations is how many reads in a row have to find every mark in place where others may
// undo them.
const confirmations = 3

// Mark stores marks. It returns the readers of the messages that are still there: when it has
// returned no error, all of these have their marks.
func (s *Store) Mark(ctx context.Context, conversation int64, marks ...Mark) (map[int64][]string, error) {
	by := map[int64][]string{}
	var ids []int64
	for _, m := range marks {
		for _, id := range m.IDs {
			if by[id] == nil {
				ids = append(ids, id)
			}
			if !slices.Contains(by[id], m.User) {
				by[id] = append(by[id], m.User)
			}
		}
	}
	slices.Sort(ids)
	contested := s.Contested(ctx, conversation)
	readers := map[int64][]string{}
	confirmed := 0
	for range s.Attempts {
		began, changed, err := s.round(ctx, conversation, ids, by, readers)
		if err != nil {
			return nil, err
		}
		switch {
		case changed:
			confirmed = 0
		case len(readers) == 0:
			return readers, nil
		default:
			confirmed++
		}
		if !contested || confirmed >= confirmations {
			break
		}
		// A client that read the list before our write may overwrite it: read again when that
		// write must have happened.
		if err := s.Pause(ctx, began); err != nil {
			return nil, err
		}
	}
	return readers, nil
}

// round reads the lists, when it began, and writes those that lack marks. It puts all into readers.
func (s *Store) round(ctx context.Context, conversation int64, ids []int64, by, readers map[int64][]string) (began time.Time, wrote bool, err error) {
	if s.Alone != nil {
		done, err := s.Alone(ctx, conversation)
		if err != nil {
			return began, false, err
		}
		defer done()
	}
	began = time.Now()
	found, err := s.Read(ctx, conversation, ids)
	if err != nil {
		return began, false, err
	}
	changed := map[int64][]string{}
	for id, list := range found {
		before := len(list)
		for _, user := range by[id] {
			if !slices.Contains(list, user) {
				list = append(slices.Clip(list), user)
			}
		}
		if len(by[id]) > 0 {
			readers[id] = list
		}
		if len(list) > before {
			changed[id] = list
		}
	}
	if len(changed) == 0 {
		return began, false, nil
	}
	return began, true, s.Write(ctx, conversation, changed)
}
