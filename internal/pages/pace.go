package pages

import "sync"

const (
	// Aim is about how many bytes an answer with a page of rows should have.
	Aim = 4 << 20
	// Most is how many bytes of an answer with several rows are read. If it has more, fewer
	// rows are asked for.
	Most = 10 << 20
	// growth is how many times as many rows the next page has at most.
	growth = 4
	// shrinkage is how many times fewer rows are asked for when an answer was too large, and
	// it is not known how many rows had come.
	shrinkage = 8
)

// Pace tells how many rows to ask for, so that an answer has about Aim bytes: rows may have
// any size. The zero value knows nothing of the rows. It is safe for concurrent use.
type Pace struct {
	mu  sync.Mutex
	fit int   // how many rows a page should have; 0: any number
	aim int64 // 0: Aim
}

// Limit is how many rows to ask for where want are wanted: at least one, and no more than want.
func (p *Pace) Limit(want int) int {
	p.mu.Lock()
	defer p.mu.Unlock()
	if p.fit == 0 {
		return want
	}
	return min(want, p.fit)
}

// Saw notes an answer. Only one that is too large, or has as many rows as were asked for,
// says something about the next one.
func (p *Pace) Saw(a Page) {
	if a.Rows == 0 || a.Bytes == 0 {
		return
	}
	p.mu.Lock()
	defer p.mu.Unlock()
	fit := max(1, int(p.goal()*int64(a.Rows)/a.Bytes))
	switch {
	case a.Bytes > p.goal():
		p.fit = fit
	case p.fit > 0 && a.Rows >= a.Limit && a.Limit >= p.fit:
		p.fit = min(fit, growth*p.fit)
	}
}

// Refused notes that an answer to a query for so many rows had more than most bytes. rows is
// how many had come by then, 0 if that is not known. It reports whether fewer can be asked for.
func (p *Pace) Refused(limit, rows int, most int64) bool {
	p.mu.Lock()
	defer p.mu.Unlock()
	if p.aim = min(p.goal(), max(1, most/4*3)); limit <= 1 {
		return false
	}
	fit := limit / shrinkage
	if rows > 0 && most > 0 {
		fit = int(min(p.goal()*int64(rows)/most, int64(limit/2)))
	}
	p.fit = max(1, fit)
	return true
}

func (p *Pace) goal() int64 {
	if p.aim == 0 {
		return Aim
	}
	return p.aim
}
