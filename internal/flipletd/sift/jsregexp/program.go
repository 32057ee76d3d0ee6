package jsregexp

// maxProgram bounds the instructions of one pattern; a{1000} is a thousand.
const maxProgram = 20_000

type instOp uint8

const (
	iMatch instOp = iota
	iChar
	iSet
	iSplit // go on at x, later at y
	iJump
	iLineStart
	iLineEnd
	iBoundary
	iLook   // the part at x must match; go on at y
	iSave   // remember the position in slot x
	iForget // clear the groups x to y
	iBackref
	iLoopBegin // remember the position in register x
	iLoopEnd   // an iteration that took nothing is no iteration
)

type inst struct {
	op     instOp
	back   bool // reads towards the start, inside look-behind
	negate bool
	char   rune
	set    *charSet
	x, y   int32
	visit  int32 // iSplit: its column in the visited table, or -1
}

type program struct {
	insts     []inst
	splits    int // columns of the visited table
	registers int
	slots     int // 0 when nothing refers to a group
	anchored  bool
}

type compiler struct {
	program
	back  bool // inside look-behind
	saves bool // groups are remembered, for back-references
	full  bool
}

func compile(tree *node, p *parser) (program, error) {
	c := &compiler{saves: p.backrefs}
	if c.saves {
		c.slots = 2 * (p.groups + 1)
	}
	c.node(tree)
	c.emit(inst{op: iMatch})
	if c.full {
		return program{}, ErrTooLarge
	}
	c.anchored = c.insts[0].op == iLineStart && !p.flags.multiline
	if canon := p.flags.canonical(); canon != nil {
		for i := range c.insts {
			c.insts[i].char = canon(c.insts[i].char)
		}
	}
	return c.program, nil
}

func (c *compiler) emit(i inst) int32 {
	if len(c.insts) >= maxProgram {
		c.full = true
		return 0
	}
	i.back = c.back
	i.visit = -1
	// Once groups are remembered, what follows a position depends on more than
	// the position.
	if i.op == iSplit && !c.saves {
		i.visit = int32(c.splits)
		c.splits++
	}
	c.insts = append(c.insts, i)
	return int32(len(c.insts) - 1)
}

func (c *compiler) here() int32 { return int32(len(c.insts)) }

func (c *compiler) node(n *node) {
	if c.full {
		return
	}
	switch n.op {
	case opChar:
		c.emit(inst{op: iChar, char: n.char})
	case opSet:
		c.emit(inst{op: iSet, set: n.set})
	case opCat:
		for i := range n.subs {
			if c.back {
				i = len(n.subs) - 1 - i
			}
			c.node(n.subs[i])
		}
	case opAlt:
		c.alternatives(n.subs)
	case opRepeat:
		c.repeat(n)
	case opGroup:
		c.group(n)
	case opLook:
		c.look(n)
	case opLineStart:
		c.emit(inst{op: iLineStart})
	case opLineEnd:
		c.emit(inst{op: iLineEnd})
	case opBoundary:
		c.emit(inst{op: iBoundary, negate: n.negate})
	case opBackref:
		c.emit(inst{op: iBackref, x: int32(n.group)})
	}
}

func (c *compiler) alternatives(branches []*node) {
	var ends []int32
	for i, branch := range branches {
		if i == len(branches)-1 {
			c.node(branch)
			break
		}
		split := c.emit(inst{op: iSplit, x: c.here() + 1})
		c.node(branch)
		ends = append(ends, c.emit(inst{op: iJump}))
		c.insts[split].y = c.here()
	}
	for _, end := range ends {
		c.insts[end].x = c.here()
	}
}

func (c *compiler) group(n *node) {
	if !c.saves {
		c.node(n.subs[0])
		return
	}
	first, second := int32(2*n.group), int32(2*n.group+1)
	if c.back {
		first, second = second, first
	}
	c.emit(inst{op: iSave, x: first})
	c.node(n.subs[0])
	c.emit(inst{op: iSave, x: second})
}

func (c *compiler) look(n *node) {
	look := c.emit(inst{op: iLook, negate: n.negate, x: c.here() + 1})
	outer := c.back
	c.back = n.behind
	c.node(n.subs[0])
	c.emit(inst{op: iMatch})
	c.back = outer
	c.insts[look].y = c.here()
}

func (c *compiler) repeat(n *node) {
	for range n.min {
		before := c.here()
		c.iteration(n)
		if c.full || c.here() == before {
			break // repeating nothing a billion times is still nothing
		}
	}
	if n.max == unlimited {
		loop := c.split(n.lazy)
		c.checked(n)
		c.emit(inst{op: iJump, x: loop})
		c.exit(loop, n.lazy)
		return
	}
	var exits []int32
	for range n.max - n.min {
		if c.full {
			return
		}
		exits = append(exits, c.split(n.lazy))
		c.checked(n)
	}
	for _, e := range exits {
		c.exit(e, n.lazy)
	}
}

// split emits a choice between going on here, first unless lazy, and an exit
// that is filled in later.
func (c *compiler) split(lazy bool) int32 {
	at := c.emit(inst{op: iSplit})
	if lazy {
		c.insts[at].y = c.here()
	} else {
		c.insts[at].x = c.here()
	}
	return at
}

func (c *compiler) exit(split int32, lazy bool) {
	if lazy {
		c.insts[split].x = c.here()
	} else {
		c.insts[split].y = c.here()
	}
}

// checked emits an iteration that must take something. Where states are
// visited once that goes without saying.
func (c *compiler) checked(n *node) {
	if !c.saves || !canBeEmpty(n.subs[0]) {
		c.iteration(n)
		return
	}
	register := int32(c.registers)
	c.registers++
	c.emit(inst{op: iLoopBegin, x: register})
	c.iteration(n)
	c.emit(inst{op: iLoopEnd, x: register})
}

func (c *compiler) iteration(n *node) {
	if c.saves && n.groupEnd > n.group {
		c.emit(inst{op: iForget, x: int32(n.group + 1), y: int32(n.groupEnd)})
	}
	c.node(n.subs[0])
}

func canBeEmpty(n *node) bool {
	switch n.op {
	case opChar, opSet:
		return false
	case opCat:
		for _, sub := range n.subs {
			if !canBeEmpty(sub) {
				return false
			}
		}
	case opAlt:
		for _, sub := range n.subs {
			if canBeEmpty(sub) {
				return true
			}
		}
		return false
	case opRepeat:
		return n.min == 0 || canBeEmpty(n.subs[0])
	case opGroup:
		return canBeEmpty(n.subs[0])
	}
	return true
}
