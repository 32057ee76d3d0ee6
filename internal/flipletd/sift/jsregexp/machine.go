package jsregexp

import (
	"unicode/utf16"
	"unicode/utf8"
)

const (
	maxSteps   = 1 << 22 // a few hundredths of a second, and
	unitSteps  = 64      // this many more for every code unit of the text
	maxVisited = 1 << 26 // bits; 8 MB
	maxStack   = 1 << 21 // frames; 24 MB
	maxKept    = 1 << 16 // frames and words that are kept between calls
)

// machine runs a program over one text by backtracking. Every choice that is
// left for later is a frame on the stack; so is every value that must be put
// back when the machine returns to an earlier choice.
type machine struct {
	re      *Regexp
	canon   func(rune) rune
	text    []uint16
	stack   []frame
	visited []uint64 // bit (split, position): this way was taken before
	looks   int      // look-arounds that are being run
	marks   []int    // bits they have set
	slots   []int32  // where groups begin and end, -1 for not at all
	regs    []int32
	steps   int // left
	tooSlow bool
}

// frame is a state to go on from, or with kind restoreSlot or restoreReg the
// old value pos of a slot or register.
type frame struct {
	kind    frameKind
	pc, pos int32
}

type frameKind uint8

const (
	branch frameKind = iota
	restoreSlot
	restoreReg
)

func (m *machine) match(s string) (bool, error) {
	m.reset(s)
	prog := &m.re.prog
	if bits := prog.splits * (len(m.text) + 1); bits > maxVisited {
		return false, ErrTooSlow
	} else if words := (bits + 63) / 64; words <= cap(m.visited) {
		m.visited = m.visited[:words]
		clear(m.visited)
	} else {
		m.visited = make([]uint64, words)
	}
	last := len(m.text)
	if prog.anchored || m.re.flags.sticky {
		last = 0
	}
	for start := 0; start <= last && !m.tooSlow; start++ {
		if m.run(0, int32(start)) {
			return true, nil
		}
	}
	if m.tooSlow {
		return false, ErrTooSlow
	}
	return false, nil
}

func (m *machine) reset(s string) {
	m.canon = m.re.flags.canonical()
	m.text = m.text[:0]
	for i := 0; i < len(s); {
		r, size := utf8.DecodeRuneInString(s[i:])
		switch {
		case r > 0xFFFF:
			m.text = utf16.AppendRune(m.text, r)
		case r == utf8.RuneError && size == 1 && isSurrogate(s[i:]):
			m.text = append(m.text, 0xD000|uint16(s[i+1]&0x3F)<<6|uint16(s[i+2]&0x3F))
			size = 3
		default:
			m.text = append(m.text, uint16(r))
		}
		i += size
	}
	m.stack, m.marks, m.looks = m.stack[:0], m.marks[:0], 0
	m.slots = fill(m.slots, m.re.prog.slots)
	m.regs = fill(m.regs, m.re.prog.registers)
	m.steps, m.tooSlow = maxSteps+unitSteps*len(m.text), false
}

// isSurrogate reports text that begins with half a surrogate pair in its
// three-byte form.
func isSurrogate(s string) bool {
	return len(s) >= 3 && s[0] == 0xED && s[1] >= 0xA0 && s[1] <= 0xBF && s[2]&0xC0 == 0x80
}

// isLarge reports scratch space that is better given back than kept.
func (m *machine) isLarge() bool {
	return cap(m.stack) > maxKept || cap(m.visited) > maxKept || cap(m.text) > maxKept || cap(m.marks) > maxKept
}

func fill(values []int32, n int) []int32 {
	values = values[:0]
	for range n {
		values = append(values, -1)
	}
	return values
}

// insidePair reports a place between two halves of a character. With the u flag
// a match may begin there, but be only empty. So does V8; the standard skips the
// position.
func (m *machine) insidePair(pos int32) bool {
	return pos > 0 && int(pos) < len(m.text) && isLow(m.text[pos]) && isHigh(m.text[pos-1])
}

func isHigh(u uint16) bool { return u&0xFC00 == 0xD800 }
func isLow(u uint16) bool  { return u&0xFC00 == 0xDC00 }

// read returns the character next to pos, behind it or ahead, and the position
// beyond it; -1 at the end.
func (m *machine) read(pos int32, back bool) (rune, int32) {
	pairs := m.re.flags.unicode
	if pairs && m.insidePair(pos) {
		return -1, pos
	}
	if back {
		if pos == 0 {
			return -1, pos
		}
		u := m.text[pos-1]
		if pairs && isLow(u) && pos > 1 && isHigh(m.text[pos-2]) {
			return utf16.DecodeRune(rune(m.text[pos-2]), rune(u)), pos - 2
		}
		return rune(u), pos - 1
	}
	if int(pos) == len(m.text) {
		return -1, pos
	}
	u := m.text[pos]
	if pairs && isHigh(u) && int(pos)+1 < len(m.text) && isLow(m.text[pos+1]) {
		return utf16.DecodeRune(rune(u), rune(m.text[pos+1])), pos + 2
	}
	return rune(u), pos + 1
}

// run reports whether the program matches from pc and pos. On success the
// stack is left with what undoes the changes to slots, nothing else.
func (m *machine) run(pc, pos int32) bool {
	base := len(m.stack)
	for {
		if m.steps--; m.steps < 0 || len(m.stack) > maxStack {
			m.tooSlow = true
		}
		if m.tooSlow {
			m.stack = m.stack[:base]
			return false
		}
		next, ok := m.step(&m.re.prog.insts[pc], &pos, pc)
		if ok && next < 0 {
			m.dropBranches(base)
			return true
		}
		if ok {
			pc = next
			continue
		}
		if pc, pos, ok = m.backtrack(base); !ok {
			return false
		}
	}
}

// step runs one instruction. It returns where to go on, -1 for a match, or
// false when this way leads nowhere.
func (m *machine) step(in *inst, pos *int32, pc int32) (int32, bool) {
	switch in.op {
	case iMatch:
		return -1, true
	case iChar, iSet:
		r, next := m.read(*pos, in.back)
		if r < 0 || !m.takes(in, r) {
			return 0, false
		}
		*pos = next
	case iSplit:
		if in.visit >= 0 {
			bit := int(in.visit)*(len(m.text)+1) + int(*pos)
			if m.visited[bit/64]&(1<<(bit%64)) != 0 {
				return 0, false
			}
			m.visited[bit/64] |= 1 << (bit % 64)
			if m.looks > 0 {
				m.marks = append(m.marks, bit)
			}
		}
		m.stack = append(m.stack, frame{branch, in.y, *pos})
		return in.x, true
	case iJump:
		return in.x, true
	case iLineStart:
		if *pos > 0 && !(m.re.flags.multiline && isLineEnd(m.text[*pos-1])) {
			return 0, false
		}
	case iLineEnd:
		if int(*pos) < len(m.text) && !(m.re.flags.multiline && isLineEnd(m.text[*pos])) {
			return 0, false
		}
	case iBoundary:
		if (m.isWord(int(*pos)-1) != m.isWord(int(*pos))) == in.negate {
			return 0, false
		}
	case iLook:
		return in.y, m.look(in, *pos)
	case iSave:
		m.setSlot(in.x, *pos)
	case iForget:
		for slot := 2 * in.x; slot <= 2*in.y+1; slot++ {
			m.setSlot(slot, -1)
		}
	case iBackref:
		return pc + 1, m.backref(in, pos)
	case iLoopBegin:
		m.stack = append(m.stack, frame{restoreReg, in.x, m.regs[in.x]})
		m.regs[in.x] = *pos
	case iLoopEnd:
		if m.regs[in.x] == *pos {
			return 0, false
		}
	}
	return pc + 1, true
}

func (m *machine) takes(in *inst, r rune) bool {
	if in.op == iSet {
		return in.set.matches(r, m.canon)
	}
	return r == in.char || m.canon != nil && m.canon(r) == in.char
}

func isLineEnd(u uint16) bool {
	return u == '\n' || u == '\r' || u == 0x2028 || u == 0x2029
}

func (m *machine) isWord(i int) bool {
	if i < 0 || i >= len(m.text) {
		return false
	}
	u := rune(m.text[i])
	if u < utf8.RuneSelf {
		return u == '_' || '0' <= u && u <= '9' || 'a' <= u|0x20 && u|0x20 <= 'z'
	}
	return m.re.flags.unicode && m.re.flags.ignoreCase && (u == 0x17F || u == 0x212A)
}

func (m *machine) setSlot(slot, value int32) {
	m.stack = append(m.stack, frame{restoreSlot, slot, m.slots[slot]})
	m.slots[slot] = value
}

// look runs the part of a look-around. Groups set inside stay set, but only
// when it is not negated.
func (m *machine) look(in *inst, pos int32) bool {
	base, first := len(m.stack), len(m.marks)
	m.looks++
	matched := m.run(in.x, pos)
	m.looks--
	if matched && in.negate {
		m.unwind(base)
	}
	// A way that was taken in vain always will be; but on a way to success the
	// part may be asked again.
	if matched {
		for _, bit := range m.marks[first:] {
			m.visited[bit/64] &^= 1 << (bit % 64)
		}
	}
	m.marks = m.marks[:first]
	return matched != in.negate && !m.tooSlow
}

func (m *machine) backref(in *inst, pos *int32) bool {
	from, to := m.slots[2*in.x], m.slots[2*in.x+1]
	if from < 0 || to < 0 {
		return true // a group that took no part matches the empty text
	}
	at := *pos
	if in.back {
		at -= to - from
	}
	if at < 0 || int(at+to-from) > len(m.text) {
		return false
	}
	if !m.equal(from, to, at) {
		return false
	}
	*pos = at
	if !in.back {
		*pos += to - from
	}
	return true
}

func (m *machine) equal(from, to, at int32) bool {
	for from < to {
		a, next := m.read(from, false)
		b, _ := m.read(at, false)
		if a != b && (m.canon == nil || m.canon(a) != m.canon(b)) {
			return false
		}
		m.steps--
		at += next - from
		from = next
	}
	return true
}

// backtrack returns to the latest choice above base.
func (m *machine) backtrack(base int) (pc, pos int32, ok bool) {
	for len(m.stack) > base {
		f := m.pop()
		if f.kind == branch {
			return f.pc, f.pos, true
		}
	}
	return 0, 0, false
}

// unwind undoes everything above base.
func (m *machine) unwind(base int) {
	for len(m.stack) > base {
		m.pop()
	}
}

func (m *machine) pop() frame {
	f := m.stack[len(m.stack)-1]
	m.stack = m.stack[:len(m.stack)-1]
	switch f.kind {
	case restoreSlot:
		m.slots[f.pc] = f.pos
	case restoreReg:
		m.regs[f.pc] = f.pos
	}
	return f
}

// dropBranches forgets the choices above base but keeps what undoes changes.
func (m *machine) dropBranches(base int) {
	kept := m.stack[:base]
	for _, f := range m.stack[base:] {
		if f.kind != branch {
			kept = append(kept, f)
		}
	}
	m.stack = kept
}
