package feed

import (
	"iter"
	"math/rand/v2"
)

// dense is a map for thousands of small entries that come one after the other. The
// entries lie in order of addition, and what is searched is a table of eight bytes for
// each. A Go map spreads the entries themselves: adding to it, and finding out that
// something new is not there, waited for memory, and that was most of the engine's time.
// While the keys are numbers that ascend, as ids do, they need no table.
//
// The zero value is an empty map, and so is nil, to which nothing can be added. It may be read by
// several goroutines, like a Go map.
type dense[K denseKey, V any] struct {
	first  []pair[K, V] // the first chunk: mostly there is no other
	more   *more[K, V]  // nil while first is all there is
	n      uint32
	search search
}

// more is what a map of many has.
type more[K denseKey, V any] struct {
	chunks [][]pair[K, V] // behind the first one, which is full; all but the last are
	cells  []cell         // a power of two, at most three quarters of which are taken; none is unless they are searched
}

// search is how a key is found.
type search uint8

const (
	byHalves search = iota // the keys ascend
	oneByOne               // there are few
	byCells
)

// denseKey are the keys that there are.
type denseKey interface{ int64 | originKey }

type pair[K denseKey, V any] struct {
	key   K
	value V
}

// cell stands for an entry. Its place is sum, or what follows in turn.
type cell struct {
	sum uint32 // of the key
	at  uint32 // where the entry is, from 1 on; 0: the cell is free
}

const (
	chunk = 256 // entries: larger ones would be large objects, each of which is allocated by itself
	few   = 8   // so many are searched one by one
)

// denseSeed keeps whoever chooses keys from choosing those that are in each other's way.
// What is in a map, and its order, do not depend on it.
var denseSeed = rand.Uint64() //nolint:gosec // nobody sees what it makes

func (d *dense[K, V]) len() int {
	if d == nil {
		return 0
	}
	return int(d.n)
}

// needed is a map that may be nil, which is made then.
func needed[K denseKey, V any](d **dense[K, V]) *dense[K, V] {
	if *d == nil {
		*d = &dense[K, V]{}
	}
	return *d
}

func (d *dense[K, V]) entry(at uint32) *pair[K, V] {
	if at <= chunk {
		return &d.first[at-1]
	}
	return &d.more.chunks[(at-1)/chunk-1][(at-1)%chunk]
}

// cells are none while none are searched.
func (d *dense[K, V]) cells() []cell {
	if d.more == nil {
		return nil
	}
	return d.more.cells
}

// others is more, which is made when it is needed first.
func (d *dense[K, V]) others() *more[K, V] {
	if d.more == nil {
		d.more = new(more[K, V])
	}
	return d.more
}

// among returns the place of a key where no cells are searched, 0 if it is not there.
func (d *dense[K, V]) among(k K) uint32 {
	last := d.n
	if d.search == oneByOne {
		for at := uint32(1); at <= last; at++ {
			if d.entry(at).key == k {
				return at
			}
		}
		return 0
	}
	low, high := uint32(1), last+1
	for low < high {
		if at := (low + high) / 2; less(d.entry(at).key, k) {
			low = at + 1
		} else {
			high = at
		}
	}
	if low <= last && d.entry(low).key == k {
		return low
	}
	return 0
}

// less reports whether a key is a number below another one.
func less[K denseKey](k, than K) bool {
	n, ok := any(k).(int64)
	return ok && n < any(than).(int64)
}

// index makes the keys be found by cells.
func (d *dense[K, V]) index() {
	more := d.others()
	size := max(16, len(more.cells))
	for (d.len()+1)*4 > size*3 {
		size *= 2
	}
	if size > len(more.cells) {
		more.cells = make([]cell, size)
	}
	d.search = byCells
	for at := range d.n {
		d.place(cell{sumOf(d.entry(at + 1).key), at + 1})
	}
}

// find returns the cell of a key, or the free one that would be it. There are cells.
func (d *dense[K, V]) find(k K, sum uint32) (i uint32, ok bool) {
	cells := d.more.cells
	mask := uint32(len(cells) - 1) //nolint:gosec // there are far fewer
	for i = sum & mask; ; i = (i + 1) & mask {
		switch c := cells[i]; {
		case c.at == 0:
			return i, false
		case c.sum == sum && d.entry(c.at).key == k:
			return i, true
		}
	}
}

func sumOf[K denseKey](k K) uint32 {
	var sum uint64
	switch k := any(k).(type) { // hash/maphash takes several times as long
	case int64:
		sum = mix(denseSeed ^ uint64(k)) //nolint:gosec // any number does
	case originKey:
		sum = mix(mix(denseSeed^uint64(k.conversation)) ^ k.origin) //nolint:gosec // any number does
	}
	return uint32(sum) //nolint:gosec // the lower half is enough
}

func (d *dense[K, V]) get(k K) (v V, ok bool) {
	if d == nil {
		return v, false
	}
	if d.search != byCells {
		if at := d.among(k); at != 0 {
			return d.entry(at).value, true
		}
		return v, false
	}
	i, ok := d.find(k, sumOf(k))
	if ok {
		v = d.entry(d.more.cells[i].at).value
	}
	return v, ok
}

func (d *dense[K, V]) has(k K) bool {
	if d == nil {
		return false
	}
	if d.search != byCells {
		return d.among(k) != 0
	}
	_, ok := d.find(k, sumOf(k))
	return ok
}

func (d *dense[K, V]) put(k K, v V) {
	if old := d.add(k, v); old != nil {
		old.value = v
	}
}

// getOrPut returns the value of a key, or makes v its value if it has none.
func (d *dense[K, V]) getOrPut(k K, v V) (old V, ok bool) {
	if p := d.add(k, v); p != nil {
		return p.value, true
	}
	return old, false
}

// add adds an entry. It returns the one that has the key already, if there is one.
func (d *dense[K, V]) add(k K, v V) *pair[K, V] {
	if d.search != byCells {
		if d.n == 0 || d.search == byHalves && less(d.entry(d.n).key, k) {
			d.push(k, v)
			return nil
		}
		if at := d.among(k); at != 0 {
			return d.entry(at)
		}
		if d.n < few {
			d.search = oneByOne
			d.push(k, v)
			return nil
		}
		d.index()
	}
	if (d.len()+1)*4 > len(d.more.cells)*3 {
		d.grow()
	}
	sum := sumOf(k)
	i, ok := d.find(k, sum)
	if ok {
		return d.entry(d.more.cells[i].at)
	}
	d.push(k, v)
	d.more.cells[i] = cell{sum, d.n}
	return nil
}

// push puts an entry behind the others.
func (d *dense[K, V]) push(k K, v V) {
	if d.n < chunk {
		d.first = append(d.first, pair[K, V]{k, v})
	} else {
		d.others().push(int(d.n/chunk)-1, pair[K, V]{k, v})
	}
	d.n++
}

// push puts an entry into a chunk that is the last, or the one behind it.
func (m *more[K, V]) push(last int, p pair[K, V]) {
	if last < len(m.chunks) {
		m.chunks[last] = append(m.chunks[last], p)
		return
	}
	var room []pair[K, V]
	if last < cap(m.chunks) {
		room = m.chunks[:last+1][last] // of entries that are gone
	}
	if room == nil {
		room = make([]pair[K, V], 0, chunk)
	}
	m.chunks = append(m.chunks, append(room[:0], p))
}

func (d *dense[K, V]) grow() {
	old := d.more.cells
	d.more.cells = make([]cell, 2*len(old))
	for _, c := range old {
		if c.at != 0 {
			d.place(c)
		}
	}
}

// place puts a cell where it belongs.
func (d *dense[K, V]) place(c cell) {
	cells := d.more.cells
	mask := uint32(len(cells) - 1) //nolint:gosec // there are far fewer
	i := c.sum & mask
	for cells[i].at != 0 {
		i = (i + 1) & mask
	}
	cells[i] = c
}

// drop removes an entry, if it is there. The last one takes its place.
func (d *dense[K, V]) drop(k K) {
	if d == nil {
		return
	}
	if d.search != byCells {
		if at := d.among(k); at != 0 {
			last := d.n
			*d.entry(at) = *d.entry(last)
			d.n--
			d.trim()
			switch {
			case at == last: // the keys still ascend
			case d.n <= few:
				d.search = oneByOne
			default:
				d.index()
			}
		}
		return
	}
	i, ok := d.find(k, sumOf(k))
	if !ok {
		return
	}
	at := d.more.cells[i].at
	if last := d.n; at != last {
		e := *d.entry(last)
		j, _ := d.find(e.key, sumOf(e.key))
		d.more.cells[j].at = at
		*d.entry(at) = e
	}
	d.n--
	d.trim()
	d.free(i)
}

// free empties a cell, and moves those up that had to make way for it.
func (d *dense[K, V]) free(i uint32) {
	cells := d.more.cells
	mask := uint32(len(cells) - 1) //nolint:gosec // there are far fewer
	for j := (i + 1) & mask; cells[j].at != 0; j = (j + 1) & mask {
		if home := cells[j].sum & mask; (j-home)&mask >= (j-i)&mask {
			cells[i] = cells[j]
			i = j
		}
	}
	cells[i] = cell{}
}

// all yields the entries in order of addition, as far as nothing was dropped. The map must
// not change meanwhile.
func (d *dense[K, V]) all() iter.Seq2[K, V] {
	return func(yield func(K, V) bool) {
		if d == nil {
			return
		}
		for at := uint32(1); at <= d.n; at++ {
			if e := d.entry(at); !yield(e.key, e.value) {
				return
			}
		}
	}
}

// dropFunc removes the entries for which gone returns true, and keeps the order of the
// others. gone must not use the map.
func (d *dense[K, V]) dropFunc(gone func(K, V) bool) {
	if d == nil {
		return
	}
	clear(d.cells())
	kept := uint32(0)
	for at := uint32(1); at <= d.n; at++ {
		e := d.entry(at)
		if gone(e.key, e.value) {
			continue
		}
		kept++
		if kept != at {
			*d.entry(kept) = *e
		}
		if d.search == byCells {
			d.place(cell{sumOf(e.key), kept})
		}
	}
	d.n = kept
	d.trim()
}

// trim cuts off what is behind the last entry.
func (d *dense[K, V]) trim() {
	d.first = d.first[:min(d.len(), len(d.first))]
	if d.more == nil {
		return
	}
	full, rest := max(0, d.len()-chunk)/chunk, max(0, d.len()-chunk)%chunk
	if chunks := d.more.chunks; full < len(chunks) {
		chunks[full] = chunks[full][:rest]
		d.more.chunks = chunks[:full+min(1, rest)]
	}
}

// clear removes all entries, and keeps room for some.
func (d *dense[K, V]) clear() {
	if d == nil {
		return
	}
	if d.n > 2*chunk {
		*d = dense[K, V]{}
		return
	}
	clear(d.cells())
	clear(d.first)
	d.first, d.search, d.n = d.first[:0], byHalves, 0
	if d.more != nil {
		for i, c := range d.more.chunks {
			clear(c)
			d.more.chunks[i] = c[:0]
		}
		d.more.chunks = d.more.chunks[:0]
	}
}

// clone is a copy without unused room.
func (d *dense[K, V]) clone() (out dense[K, V]) {
	for k, v := range d.all() {
		out.put(k, v)
	}
	return out
}
