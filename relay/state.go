package relay

import (
	"bytes"
	"context"
	"crypto/rand"
	"encoding/json"
	"errors"
	"fmt"
	"maps"
	"slices"

	"github.com/fliplet/fliplet-chat-go/storage"
)

// version is that of the text of a position.
const version = 1

// state is a position: the keys of a consumer, and which stream they belong to.
type state struct {
	at   uint64 // its version in the stream
	id   string // of the stream
	keys map[string][]byte
}

// document is the first line of a state as text. Behind it come the values, in the order of their
// keys: of a long burst they are hundreds of kilobytes, which another form would make more.
type document struct {
	V     int            `json:"v"`
	ID    string         `json:"id"`
	Sizes map[string]int `json:"sizes"`
}

func (s *state) encode() ([]byte, error) {
	d := document{V: version, ID: s.id, Sizes: map[string]int{}}
	for key, v := range s.keys {
		d.Sizes[key] = len(v)
	}
	text, err := json.Marshal(d)
	if err != nil {
		return nil, err
	}
	text = append(text, '\n')
	for _, key := range slices.Sorted(maps.Keys(s.keys)) {
		text = append(text, s.keys[key]...)
	}
	return text, nil
}

func decode(p Position) (*state, error) {
	if p.Version == 0 {
		return &state{keys: map[string][]byte{}}, nil
	}
	head, values, _ := bytes.Cut(p.Data, []byte("\n"))
	var d document
	if err := json.Unmarshal(head, &d); err != nil {
		return nil, fmt.Errorf("relay: the position in the stream cannot be read: %w", err)
	}
	switch {
	case d.V > version:
		return nil, fmt.Errorf("%w: it is of version %d, this one reads %d", ErrNewer, d.V, version)
	case d.V < 1 || d.ID == "":
		return nil, errors.New("relay: the position in the stream is none of this package; use another shard")
	}
	s := &state{at: p.Version, id: d.ID, keys: map[string][]byte{}}
	for _, key := range slices.Sorted(maps.Keys(d.Sizes)) {
		n := d.Sizes[key]
		if n < 0 || n > len(values) {
			return nil, fmt.Errorf("relay: the position in the stream is damaged: it has %d bytes where %d should be", len(values), n)
		}
		s.keys[key], values = append([]byte{}, values[:n]...), values[n:]
	}
	if len(values) > 0 {
		return nil, fmt.Errorf("relay: the position in the stream is damaged: it has %d bytes too many", len(values))
	}
	return s, nil
}

// with is a copy with changes; nil values remove keys.
func (s *state) with(writes map[string][]byte) *state {
	next := &state{at: s.at, id: s.id, keys: maps.Clone(s.keys)}
	for key, v := range writes {
		if v == nil {
			delete(next.keys, key)
		} else {
			next.keys[key] = v
		}
	}
	return next
}

// equal compares two values; nil is none.
func equal(a, b []byte) bool { return (a == nil) == (b == nil) && bytes.Equal(a, b) }

// begun comes before the id of a stream that may not have its first position yet.
const begun = "begun "

// idKey is where the inner Storage has the id of the stream.
func (s *Store) idKey() string { return "relay/" + s.name + "/stream" }

// known returns the id of the stream that the inner Storage knows, and whether that stream may
// still be without a position.
func (s *Store) known(ctx context.Context) (id string, fresh bool, err error) {
	raw, err := s.inner.Get(ctx, s.idKey())
	if errors.Is(err, storage.ErrNotFound) {
		return "", true, nil
	}
	if err != nil {
		return "", false, err
	}
	id, fresh = string(raw), false
	if rest, ok := bytes.CutPrefix(raw, []byte(begun)); ok {
		id, fresh = string(rest), true
	}
	return id, fresh, nil
}

// verify compares a position with what the inner Storage knows of its stream, and lets a stream
// that is new here be known from now on.
func (s *Store) verify(ctx context.Context, st *state) error {
	id, fresh, err := s.known(ctx)
	if err != nil {
		return err
	}
	switch {
	case st.id == id && (id == "" || !fresh):
		return nil
	case st.id == "" && fresh:
		return nil // it begins
	case st.id == "":
		return fmt.Errorf("%w: it has no position, and %s says that it has had one; restore the stream, or delete that key from the Storage to begin anew", ErrOtherStream, s.idKey())
	case id == "":
		_, err := s.inner.CompareAndSwap(ctx, s.idKey(), nil, []byte(st.id))
		return err
	case st.id == id: // its first position was stored
		_, err := s.inner.CompareAndSwap(ctx, s.idKey(), []byte(begun+id), []byte(id))
		return err
	}
	return fmt.Errorf("%w: its position names another one than %s; give the stream of before, or delete that key from the Storage to go on with this one", ErrOtherStream, s.idKey())
}

// begin gives a stream without a position its id, or returns "" if it has had one.
func (s *Store) begin(ctx context.Context) (string, error) {
	for {
		id, fresh, err := s.known(ctx)
		switch {
		case err != nil || id != "" && !fresh:
			return "", err
		case id != "":
			return id, nil
		}
		if _, err := s.inner.CompareAndSwap(ctx, s.idKey(), nil, []byte(begun+rand.Text())); err != nil {
			return "", err
		}
	}
}
