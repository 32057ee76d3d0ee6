package sift

import (
	"cmp"
	"math"
	"time"
)

// moment is a date of $filters: milliseconds since 1970 in UTC, or since
// midnight when only a time of day is given.
type moment struct {
	ms      float64
	dayOnly bool
	clock   bool // a time of day
}

// parseMoment reads YYYY-MM-DD, alone or followed by a time in any form that
// JavaScript takes, and HH:mm[:ss]. A number is a timestamp in milliseconds.
func parseMoment(v any) (moment, bool) {
	s, ok := v.(string)
	if !ok {
		f, isNumber := numeric(v)
		return moment{ms: f}, isNumber && kindOf(v) == kindNumber
	}
	const dateLen = len("2006-01-02")
	if len(s) >= dateLen && digits(s) == 4 && s[4] == '-' && s[7] == '-' {
		ms := parseDate(s)
		return moment{ms: ms, dayOnly: len(s) == dateLen}, !math.IsNaN(ms)
	}
	for _, layout := range [...]string{"15:04", "15:04:05"} {
		if t, err := time.Parse(layout, s); err == nil {
			seconds := (t.Hour()*60+t.Minute())*60 + t.Second()
			return moment{ms: float64(seconds) * 1000, clock: true}, true
		}
	}
	return moment{}, false
}

// start returns the beginning of the unit that holds m.
func (m moment) start(unit string) float64 {
	t := time.UnixMilli(int64(m.ms)).UTC()
	year, month, day := t.Date()
	midnight := func(year int, month time.Month, day int) float64 {
		return float64(time.Date(year, month, day, 0, 0, 0, 0, time.UTC).UnixMilli())
	}
	switch unit {
	case "year":
		return midnight(year, 1, 1)
	case "quarter":
		return midnight(year, month-(month-1)%3, 1)
	case "month":
		return midnight(year, month, 1)
	case "week": // begins on Sunday; the documentation does not say
		return midnight(year, month, day-int(t.Weekday()))
	case "day":
		return midnight(year, month, day)
	case "hour":
		return math.Floor(m.ms/3_600_000) * 3_600_000
	case "minute":
		return math.Floor(m.ms/60_000) * 60_000
	case "second":
		return math.Floor(m.ms/1000) * 1000
	}
	return m.ms
}

// unitOf returns the unit of a filter. Without one, dates compare by the day
// when the filter gives just a day, else exactly.
func unitOf(i int, o object, m moment) (string, error) {
	unit, ok := o.get("unit")
	if !ok || isNullish(unit) || unit == "" {
		if m.dayOnly {
			return "day", nil
		}
		return "", nil
	}
	switch unit {
	case "year", "quarter", "month", "week", "day", "hour", "minute", "second":
		return unit.(string), nil
	}
	return "", filterError(i, "has an unknown unit; use year, quarter, month, week, day, hour, minute or second")
}

// dateBound is one date to compare a column with.
type dateBound struct {
	unit  string
	clock bool
	start float64
}

func newDateBound(i int, value any, o object) (*dateBound, error) {
	m, ok := parseMoment(value)
	if !ok {
		return nil, filterError(i, "needs a date such as 2024-05-31, 2024-05-31 17:30 or 17:30")
	}
	unit, err := unitOf(i, o, m)
	return &dateBound{unit, m.clock, m.start(unit)}, err
}

// compare returns where v is in time, seen from the bound: negative before it.
// ok is false when v is no date, or one is a time of day and the other not.
func (b *dateBound) compare(v any) (order int, ok bool) {
	m, ok := parseMoment(v)
	if !ok || m.clock != b.clock {
		return 0, false
	}
	return cmp.Compare(m.start(b.unit), b.start), true
}

// dateCompare is dateis, datebefore and dateafter.
type dateCompare struct {
	bound *dateBound
	order int
}

func newDateCompare(i int, condition string, value any, o object) (rowTest, error) {
	order := 0
	switch condition {
	case "datebefore":
		order = -1
	case "dateafter":
		order = 1
	}
	bound, err := newDateBound(i, value, o)
	return dateCompare{bound, order}, err
}

func (n dateCompare) holds(v any, _ *Meter) (bool, error) {
	order, ok := n.bound.compare(v)
	return ok && order == n.order, nil
}

// dateBetween is datebetween, both ends included. An end left out, nil, is no
// bound.
type dateBetween struct{ from, to *dateBound }

func newDateBetween(i int, o object) (rowTest, error) {
	var n dateBetween
	for _, end := range []struct {
		name string
		at   **dateBound
	}{{"from", &n.from}, {"to", &n.to}} {
		v, _ := o.get(end.name)
		bound, _ := v.(object)
		value, _ := bound.get("value")
		if isNullish(value) || value == "" {
			continue
		}
		var err error
		if *end.at, err = newDateBound(i, value, o); err != nil {
			return nil, err
		}
	}
	if n.from == nil && n.to == nil {
		return nil, nil
	}
	return n, nil
}

func (n dateBetween) holds(v any, _ *Meter) (bool, error) {
	if n.from != nil {
		if order, ok := n.from.compare(v); !ok || order < 0 {
			return false, nil
		}
	}
	if n.to != nil {
		if order, ok := n.to.compare(v); !ok || order > 0 {
			return false, nil
		}
	}
	return true, nil
}
