package sift

// Meter counts what matching costs. A step is some tens of nanoseconds: one look at a
// value, or at 64 bytes of a long one. A row and a clause that are both long multiply, so
// that one row alone may take many seconds without it.
type Meter struct {
	Steps int // that are left
	// More is asked when none are left: how many more there are, 0 to give up.
	// nil has none.
	More func() int
}

// ErrSteps is the error of a match that a Meter has ended.
var ErrSteps = &Error{Refused, "the where clause takes too many steps"}

// MatchWithin is Match, ended by a meter. nil ends nothing.
func (f *Filter) MatchWithin(doc any, m *Meter) (bool, error) {
	if err := m.spend(1); err != nil {
		return false, err
	}
	return f.root.match(doc, place{meter: m})
}

func (m *Meter) spend(steps int) error {
	if m == nil {
		return nil
	}
	if m.Steps -= steps; m.Steps >= 0 {
		return nil
	}
	return m.refill()
}

func (m *Meter) refill() error {
	m.Steps = 0
	if m.More != nil {
		m.Steps = m.More()
	}
	if m.Steps <= 0 {
		return ErrSteps
	}
	return nil
}

// look counts a look at a value.
func (m *Meter) look(v any) error {
	if m == nil {
		return nil
	}
	return m.weigh(v)
}

func (m *Meter) weigh(v any) error { return m.spend(cost(v)) }

// cost is how many steps it takes to read a value as text.
func cost(v any) int {
	switch v := v.(type) {
	case string:
		return 1 + len(v)/64
	case []any:
		n := 1
		for _, elem := range v {
			n += cost(elem)
		}
		return n
	}
	return 1
}

// extent is how many steps it takes to compare a value as it is.
func extent(v any) int {
	if fields, ok := v.(map[string]any); ok {
		return 1 + len(fields)
	}
	return cost(v)
}
