package few

import (
	"encoding/binary"
	"iter"
	"strings"
)

// mostPacked is how many bytes lie in one piece.
const mostPacked = 4 << 10

// lengths is how many bytes the lengths of an entry have.
const lengths = 2 + 2

// Values is a map of texts, or bytes, of which there are mostly few: then all of it is one
// piece of memory. The zero value is empty. It may be read by several goroutines, like a Go
// map.
type Values struct {
	// packed has for each entry the length of the key, the length of the value, the key and
	// the value.
	packed string
	all    map[string]string // in place of packed, once that would have been too large
}

// entry is a part of packed.
type entry struct {
	key, value string
	at, end    int
}

// packedAt is the entry that begins at a place.
func (m *Values) packedAt(at int) entry {
	number := func(at int) int { return int(m.packed[at]) | int(m.packed[at+1])<<8 }
	from := at + lengths
	to := from + number(at)
	end := to + number(at+2)
	return entry{m.packed[from:to], m.packed[to:end], at, end}
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

// find returns the entry of a key. Its end is not 0 if there is one.
func (m *Values) find(key string) (found entry) {
	for e := range m.entries() {
		if e.key == key {
			return e
		}
	}
	return entry{}
}

// Get returns the value of a key, and whether there is one.
func (m *Values) Get(key string) (value string, ok bool) {
	if m.all != nil {
		value, ok = m.all[key]
		return value, ok
	}
	e := m.find(key)
	return e.value, e.end > 0
}

// Set makes a copy of a value that of a key.
func (m *Values) Set(key string, value []byte) {
	if m.all == nil && !m.pack(key, value) {
		m.all = map[string]string{}
		for e := range m.entries() {
			m.all[strings.Clone(e.key)] = strings.Clone(e.value)
		}
		m.packed = ""
	}
	if m.all != nil {
		m.all[key] = string(value)
	}
}

// pack sets a value where all is packed. It reports false if that would be too large.
func (m *Values) pack(key string, value []byte) bool {
	old := m.find(key)
	size := len(m.packed) - (old.end - old.at) + lengths + len(key) + len(value)
	if size > mostPacked {
		return false
	}
	var head [lengths]byte
	binary.LittleEndian.PutUint16(head[:], uint16(len(key)))    //nolint:gosec // less than mostPacked
	binary.LittleEndian.PutUint16(head[2:], uint16(len(value))) //nolint:gosec // less than mostPacked
	var packed strings.Builder
	packed.Grow(size)
	packed.WriteString(m.packed[:old.at])
	packed.WriteString(m.packed[old.end:])
	packed.Write(head[:])
	packed.WriteString(key)
	packed.Write(value)
	m.packed = packed.String()
	return true
}

// Delete removes a key, if it is there.
func (m *Values) Delete(key string) {
	delete(m.all, key)
	if old := m.find(key); old.end > 0 {
		m.packed = m.packed[:old.at] + m.packed[old.end:]
	}
}

// Keys yields the keys in any order. Meanwhile there may be nothing set or deleted.
func (m *Values) Keys() iter.Seq[string] {
	return func(yield func(string) bool) {
		for e := range m.entries() {
			if !yield(e.key) {
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
