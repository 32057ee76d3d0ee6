package rowquery

import (
	"encoding/json"
	"math"
	"strconv"
	"strings"
	"time"
)

// instantOf reads the operand of a date column as microseconds since 1970,
// the precision of PostgreSQL's timestamptz. Text is ISO 8601: a date, or
// date and time with seconds, fraction and zone left out at will; without a
// zone it is UTC. A number is milliseconds since 1970, as JavaScript's
// Date.now gives and Sequelize takes.
func instantOf(operand any) (int64, bool) {
	switch operand := operand.(type) {
	case string:
		return parseInstant(operand)
	case json.Number:
		const most = 8.64e15 // the furthest that JavaScript's dates reach
		ms, err := strconv.ParseFloat(string(operand), 64)
		if err != nil || math.Abs(ms) > most {
			return 0, false
		}
		return int64(ms) * 1000, true
	}
	return 0, false
}

func parseInstant(text string) (int64, bool) {
	s := scanner{rest: text}
	year, month, day := s.digits(4), s.after('-').digits(2), s.after('-').digits(2)
	var hour, minute, second, micros, offset int
	if s.rest != "" {
		s.one("Tt ")
		hour, minute = s.digits(2), s.after(':').digits(2)
		if s.skip(":") {
			second = s.digits(2)
			if s.skip(".,") {
				micros = s.fraction()
			}
		}
		offset = s.zone()
	}
	midnight := hour == 24 && minute == 0 && second == 0 && micros == 0
	if s.failed || s.rest != "" || year == 0 || minute > 59 || second > 59 || hour > 23 && !midnight {
		return 0, false
	}
	date := time.Date(year, time.Month(month), day, 0, 0, 0, 0, time.UTC)
	if date.Day() != day || date.Month() != time.Month(month) {
		return 0, false
	}
	seconds := hour*3600 + minute*60 + second - offset
	return date.UnixMicro() + int64(seconds)*1e6 + int64(micros), true
}

// scanner reads fixed-width fields and remembers whether one was missing.
type scanner struct {
	rest   string
	failed bool
}

func (s *scanner) digits(n int) (value int) {
	digits, _ := cutDigits(s.rest)
	if len(digits) < n {
		s.failed = true
		return 0
	}
	value, _ = strconv.Atoi(digits[:n])
	s.rest = s.rest[n:]
	return value
}

// skip takes one of the given characters if it is next.
func (s *scanner) skip(chars string) bool {
	if s.rest == "" || !strings.Contains(chars, s.rest[:1]) {
		return false
	}
	s.rest = s.rest[1:]
	return true
}

func (s *scanner) one(chars string) {
	if !s.skip(chars) {
		s.failed = true
	}
}

func (s *scanner) after(c byte) *scanner {
	s.one(string(rune(c)))
	return s
}

// fraction reads digits behind the point, rounded to microseconds.
func (s *scanner) fraction() (micros int) {
	digits, rest := cutDigits(s.rest)
	s.failed = s.failed || digits == ""
	s.rest = rest
	for i := range 6 {
		micros *= 10
		if i < len(digits) {
			micros += int(digits[i] - '0')
		}
	}
	if len(digits) > 6 && digits[6] >= '5' {
		micros++
	}
	return micros
}

// zone reads Z, +hh, +hhmm or +hh:mm, or nothing for UTC, in seconds.
func (s *scanner) zone() (offset int) {
	s.skip(" ")
	if s.rest == "" || s.skip("Zz") {
		return 0
	}
	west := s.skip("-")
	if !west {
		s.one("+")
	}
	hours, minutes := s.digits(2), 0
	if s.skip(":") || s.rest != "" {
		minutes = s.digits(2)
	}
	s.failed = s.failed || hours > 15 || minutes > 59
	offset = hours*3600 + minutes*60
	if west {
		return -offset
	}
	return offset
}
