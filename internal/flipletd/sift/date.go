package sift

import (
	"math"
	"time"
)

// holdsDate reports whether s contains what the fork takes for a date: two or
// more digits, a separator, two digits, the same separator, two or more
// digits, where the separator is "-" or ".".
func holdsDate(s string) bool {
	for i := 2; i+5 < len(s); i++ {
		sep := s[i]
		if (sep == '-' || sep == '.') && s[i+3] == sep &&
			isDigit(s[i-1]) && isDigit(s[i-2]) && isDigit(s[i+1]) && isDigit(s[i+2]) &&
			isDigit(s[i+4]) && isDigit(s[i+5]) {
			return true
		}
	}
	return false
}

// parseDate is Date.parse of the V8 engine with the time zone set to UTC, in
// milliseconds since 1970; NaN when the text is no date. The ISO form comes
// first; what it leaves over falls through to a lenient reading in which
// words before the first number are ignored and numbers are sorted into day
// and time by the punctuation around them.
func parseDate(s string) float64 {
	p := dateParser{scan: dateScanner{s: s}, zone: dateZone{hour: unset, minute: unset}, month: unset, halfDay: unset}
	p.scan.advance()
	t := p.iso()
	if t.kind == dateInvalid || !p.legacy(t) {
		return math.NaN()
	}
	return p.result()
}

const unset = -1

type dateParser struct {
	scan  dateScanner
	day   dateFields // year, month, day in the order written
	time  dateFields // hour, minute, second, millisecond
	zone  dateZone
	isISO bool

	month   int // a month given by name
	halfDay int // 0 for am, 12 for pm
}

// dateFields collects numbers in the order they are read.
type dateFields struct {
	v [4]int
	n int
}

func (f *dateFields) add(n, limit int) bool {
	if f.n == limit {
		return false
	}
	f.v[f.n] = n
	f.n++
	return true
}

type dateZone struct{ sign, hour, minute int }

func (p *dateParser) addDay(n int) bool  { return p.day.add(n, 3) }
func (p *dateParser) addTime(n int) bool { return p.time.add(n, 4) }

// finishTime adds the last number of a time; what is missing is zero.
func (p *dateParser) finishTime(n int) {
	p.addTime(n)
	p.time.n = 4
}

// expectsTime reports whether n can be the next part of a time begun with
// "hour:".
func (p *dateParser) expectsTime(n int) bool {
	switch p.time.n {
	case 1, 2:
		return n < 60
	case 3:
		return n < 1000
	}
	return false
}

func (z *dateZone) set(hours int) {
	z.sign, z.hour, z.minute = 1, hours, 0
	if hours < 0 {
		z.sign, z.hour = -1, -hours
	}
}

func (z dateZone) isUTC() bool { return z.hour == 0 && z.minute == 0 }

// iso reads as much of an ISO date-time as there is. It returns the first
// token it has no use for, the end token when all was read, or an invalid
// token: once the "T" is there the text can be nothing but ISO.
func (p *dateParser) iso() dateToken {
	s := &p.scan
	switch {
	case s.peek.isSign():
		sign := s.next()
		if !s.peek.isFixed(6) || sign.value == '-' && s.peek.value == 0 {
			if s.peek.isFixed(6) {
				s.next() // the year is lost, as in the original
			}
			return sign
		}
		year := s.next().value
		if sign.value == '-' {
			year = -year
		}
		p.addDay(year)
	case s.peek.isFixed(4):
		p.addDay(s.next().value)
	default:
		return s.next()
	}

	for _, limit := range [...]int{12, 31} {
		if !s.skip('-') {
			break
		}
		if !s.peek.isFixed(2) || s.peek.value < 1 || s.peek.value > limit {
			return s.next()
		}
		p.addDay(s.next().value)
	}

	if s.peek.kind != dateSeparatorT {
		if s.peek.kind != dateEnd {
			return s.next()
		}
	} else if !p.isoTime() {
		return dateToken{kind: dateInvalid}
	}
	if p.zone.hour == unset && p.time.n == 0 {
		p.zone.set(0)
	}
	p.isISO = true
	return dateToken{kind: dateEnd}
}

func (p *dateParser) isoTime() bool {
	s := &p.scan
	s.next()
	if !s.peek.isFixed(2) || s.peek.value > 24 {
		return false
	}
	// 24:00 is the end of the day, nothing later is.
	limit := 59
	if s.peek.value == 24 {
		limit = 0
	}
	p.addTime(s.next().value)
	if !s.skip(':') || !s.peek.isFixed(2) || s.peek.value > limit {
		return false
	}
	p.addTime(s.next().value)
	if s.skip(':') {
		if !s.peek.isFixed(2) || s.peek.value > limit {
			return false
		}
		p.addTime(s.next().value)
		if s.skip('.') {
			if s.peek.kind != dateNumber || limit == 0 && s.peek.value > 0 {
				return false
			}
			p.addTime(milliseconds(s.next()))
		}
	}
	switch {
	case s.peek.isZ():
		s.next()
		p.zone.set(0)
	case s.peek.isSign():
		if !p.isoOffset() {
			return false
		}
	}
	return s.peek.kind == dateEnd
}

func (p *dateParser) isoOffset() bool {
	s := &p.scan
	p.zone.sign = 1
	if s.next().value == '-' {
		p.zone.sign = -1
	}
	if s.peek.isFixed(4) {
		n := s.next().value
		p.zone.hour, p.zone.minute = n/100, n%100
		return p.zone.hour < 24 && p.zone.minute < 60
	}
	if !s.peek.isFixed(2) || s.peek.value > 23 {
		return false
	}
	p.zone.hour = s.next().value
	if !s.skip(':') || !s.peek.isFixed(2) || s.peek.value > 59 {
		return false
	}
	p.zone.minute = s.next().value
	return true
}

// legacy reads the rest, beginning with t, in the lenient form.
func (p *dateParser) legacy(t dateToken) bool {
	s := &p.scan
	numberSeen := p.day.n > 0
	if t.kind == dateEnd {
		t = s.next()
	}
	for ; t.kind != dateEnd; t = s.next() {
		switch {
		case t.kind == dateNumber:
			numberSeen = true
			if !p.legacyNumber(t.value) {
				return false
			}
		case t.kind == dateHalfDay && p.time.n > 0:
			p.halfDay = t.value
		case t.kind == dateMonth:
			p.month = t.value
			s.skip('-')
		case t.kind == dateZoneName && numberSeen:
			p.zone.set(t.value)
		case t.isWord():
			// A word that means nothing may stand before the first number only,
			// and not right before it.
			if numberSeen || s.peek.kind == dateNumber {
				return false
			}
		case t.isSign() && (p.zone.isUTC() || p.time.n > 0):
			numberSeen = true
			if !p.legacyOffset(t) {
				return false
			}
		case (t.isSign() || t.isSymbol(')')) && numberSeen:
			return false
		}
	}
	return true
}

func (p *dateParser) legacyNumber(n int) bool {
	s := &p.scan
	switch {
	case s.skip(':'):
		if s.skip(':') { // "n::" is n minutes past nothing
			if p.time.n > 0 {
				return false
			}
			p.addTime(n)
			p.addTime(0)
			return true
		}
		if !p.addTime(n) {
			return false
		}
		if s.peek.isSymbol('.') {
			s.next()
		}
	case s.skip('.') && p.expectsTime(n):
		p.addTime(n)
		if s.peek.kind != dateNumber {
			return false
		}
		p.finishTime(milliseconds(s.next()))
	case p.zone.hour != unset && p.zone.minute == unset && n < 60:
		p.zone.minute = n
	case p.expectsTime(n):
		p.finishTime(n)
		// A finished time must be followed by nothing, a space or a zone.
		return s.peek.kind == dateEnd || s.peek.kind == dateSpace || s.peek.isZ() || s.peek.isSign()
	default:
		if !p.addDay(n) {
			return false
		}
		s.skip('-')
	}
	return true
}

func (p *dateParser) legacyOffset(sign dateToken) bool {
	s := &p.scan
	p.zone.sign = 1
	if sign.value == '-' {
		p.zone.sign = -1
	}
	n, length := 0, 0
	if s.peek.kind == dateNumber {
		t := s.next()
		n, length = t.value, t.length
	}
	switch {
	case s.peek.isSymbol(':'):
		p.zone.hour, p.zone.minute = n, unset
	case length == 1 || length == 2:
		p.zone.hour, p.zone.minute = n, 0
	case length == 3 || length == 4:
		p.zone.hour, p.zone.minute = n/100, n%100
	default:
		return false
	}
	return true
}

// result puts the parts together.
func (p *dateParser) result() float64 {
	year, month, day, ok := p.date()
	if !ok {
		return math.NaN()
	}
	hour, minute, second, ms := p.time.v[0], p.time.v[1], p.time.v[2], p.time.v[3]
	if p.halfDay != unset {
		if hour > 12 {
			return math.NaN()
		}
		hour = hour%12 + p.halfDay
	}
	inDay := hour < 24 && minute < 60 && second < 60 && ms < 1000
	if !inDay && (hour != 24 || minute != 0 || second != 0 || ms != 0) {
		return math.NaN()
	}
	// JavaScript's calendar ends 100 million days from 1970 either way; years
	// far outside would overflow below.
	const firstYear, lastYear, span = -271822, 275761, 8.64e15
	if year < firstYear || year > lastYear {
		return math.NaN()
	}
	at := float64(time.Date(year, time.Month(month), day, 0, 0, 0, 0, time.UTC).UnixMilli())
	at += float64(((hour*60+minute)*60+second)*1000 + ms)
	if p.zone.sign != 0 {
		// The original counts in 32 bits, wraps, and refuses the upper half.
		offset := uint32(max(p.zone.hour, 0)*3600 + max(p.zone.minute, 0)*60)
		if offset > math.MaxInt32 {
			return math.NaN()
		}
		at -= float64(p.zone.sign) * float64(offset) * 1000
	}
	if math.Abs(at) > span {
		return math.NaN()
	}
	return at
}

// date sorts the day's numbers into year, month and day. Missing ones are 1.
func (p *dateParser) date() (year, month, day int, ok bool) {
	if p.day.n < 1 {
		return 0, 0, 0, false
	}
	written := p.day.n
	v := p.day.v
	for i := written; i < 3; i++ {
		v[i] = 1
	}
	isDay := func(n int) bool { return 1 <= n && n <= 31 }
	switch {
	case p.month != unset && !isDay(v[0]):
		year, month, day = v[0], p.month, v[1]
	case p.month != unset:
		year, month, day = v[1], p.month, v[0]
	case p.isISO || !isDay(v[0]):
		year, month, day = v[0], v[1], v[2]
	default:
		year, month, day = v[2], v[0], v[1]
	}
	if !p.isISO {
		switch {
		case 0 <= year && year <= 49:
			year += 2000
		case 50 <= year && year <= 99:
			year += 1900
		}
	}
	return year, month, day, 1 <= month && month <= 12 && isDay(day)
}
