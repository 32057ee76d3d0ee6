package datasource

import "time"

// parseTime reads a timestamp of the API, ISO 8601 in UTC, with any number of fractional digits. Anything else is the
// zero time.
func parseTime(text []byte) time.Time {
	if t, ok := parseMillis(text); ok {
		return t
	}
	for _, layout := range [...]string{time.RFC3339Nano, "2006-01-02T15:04:05", "2006-01-02 15:04:05Z07:00", time.DateOnly} {
		if t, err := time.Parse(layout, string(text)); err == nil {
			return t.UTC()
		}
	}
	return time.Time{}
}

// parseMillis reads exactly "2006-01-02T15:04:05.000Z", the form the API writes.
func parseMillis(b []byte) (time.Time, bool) {
	if len(b) != 24 || b[4] != '-' || b[7] != '-' || b[10] != 'T' || b[13] != ':' || b[16] != ':' || b[19] != '.' || b[23] != 'Z' {
		return time.Time{}, false
	}
	var bad byte // collects what is not a digit
	two := func(i int) int {
		hi, lo := b[i]-'0', b[i+1]-'0'
		if hi > 9 || lo > 9 {
			bad = 1
		}
		return int(hi)*10 + int(lo)
	}
	year, month, day := two(0)*100+two(2), two(5), two(8)
	hour, minute, second := two(11), two(14), two(17)
	last := b[22] - '0'
	millis := two(20)*10 + int(last)
	if bad != 0 || last > 9 || month < 1 || month > 12 || day < 1 || hour > 23 || minute > 59 || second > 59 {
		return time.Time{}, false
	}
	t := time.Date(year, time.Month(month), day, hour, minute, second, millis*int(time.Millisecond), time.UTC)
	return t, t.Day() == day // 31 June rolls over into July: not a date
}
