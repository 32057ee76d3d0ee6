package few

import (
	"encoding/binary"
	"iter"
)

// mostPacked is how many bytes lie in one piece.
const mostPacked = 4 << 10

// Values is a map from text to bytes, of which there are mostly few: then all of it is one
// piece of memory. The zero value is empty. It may be read by several goroutines, like a Go
// map.
type Values struct {
	// packed has for each entry the length of the key, the length of the value, the key and
	// the value. It is never changed, since Get gives parts of it away.
	packed []byte
	all    map[string][]byte // in place of packed, once that would have been too large
}

// entry is a part of packed.
type entry struct {
	key, value []byte
	at, end    int
}

// packedAt is the entry that begins at a place.
func (m *Values) packedAt(at int) entry {
	key, n := binary.Uvarint(m.packed[at:])
	value, k := binary.Uvarint(m.packed[at+n:])
	from := at + n + k
	to := from + int(key)  //nolint:gosec // packed is shorter
	end := to + int(value) //nolint:gosec // packed is shorter
	return entry{m.packed[from:to:to], m.packed[to:end:end], at, end}
}

// entries yields what is packed.
func (m *Values) entries() iter.Seq[entry] {
	return func(yield func(entry) bool) {
		for at := 0; at < len(m.packed); {
			e := m.packedAt(at)
			if !yield(e) {
				return
			}
			at = e.end
		}
	}
}

// find returns the entry of a key. Its value is not nil if there is one.
func (m *Values) find(key string) (found entry) {
	for e := range m.entries() {
		if string(e.key) == key {
			return e
		}
	}
	return entry{}
}

// Get returns the value of a key, and whether there is one. It must not be changed.
func (m *Values) Get(key string) (value []byte, ok bool) {
	if m.all != nil {
		value, ok = m.all[key]
		return value, ok
	}
	value = m.find(key).value
	return value, value != nil
}

// Set makes a copy of a value that of a key.
func (m *Values) Set(key string, value []byte) {
	if m.all == nil && !m.pack(key, value) {
		m.all = map[string][]byte{}
		for e := range m.entries() {
			m.all[string(e.key)] = append([]byte{}, e.value...)
		}
		m.packed = nil
	}
	if m.all != nil {
		m.all[key] = append([]byte{}, value...)
	}
}

// pack sets a value where all is packed. It reports false if that would be too large.
func (m *Values) pack(key string, value []byte) bool {
	var head [2 * binary.MaxVarintLen64]byte
	lengths := binary.AppendUvarint(binary.AppendUvarint(head[:0], uint64(len(key))), uint64(len(value)))
	old := m.find(key)
	size := len(m.packed) - (old.end - old.at) + len(lengths) + len(key) + len(value)
	if size > mostPacked {
		return false
	}
	packed := append(make([]byte, 0, size), m.packed[:old.at]...)
	packed = append(append(packed, m.packed[old.end:]...), lengths...)
	m.packed = append(append(packed, key...), value...)
	return true
}

// Delete removes a key, if it is there.
func (m *Values) Delete(key string) {
	delete(m.all, key)
	if old := m.find(key); old.end > 0 {
		packed := make([]byte, 0, len(m.packed)-(old.end-old.at))
		m.packed = append(append(packed, m.packed[:old.at]...), m.packed[old.end:]...)
	}
}

// Keys yields the keys in any order. Meanwhile there may be nothing set or deleted.
func (m *Values) Keys() iter.Seq[string] {
	return func(yield func(string) bool) {
		for e := range m.entries() {
			if !yield(string(e.key)) {
				return
			}
		}
		for key := range m.all {
			if !yield(key) {
				return
			}
		}
	}
}
