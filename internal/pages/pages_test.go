package pages_test

import (
	"testing"
	"time"

	"github.com/stretchr/testify/assert"

	"github.com/fliplet/fliplet-chat-go/internal/pages"
)

var start = time.Date(2026, 1, 2, 3, 4, 5, 0, time.UTC)

// rows are answers to queries for 200 rows that have these numbers of rows, of 1 KB.
func rows(n ...int) (out []pages.Page) {
	for _, n := range n {
		out = append(out, pages.Page{Limit: 200, Rows: n, Bytes: int64(n) << 10})
	}
	return out
}

func TestAnAnswerIsBelievedToBeWholeIfALargerOneWasSeen(t *testing.T) {
	t.Parallel()
	for name, c := range map[string]struct {
		seen []pages.Page
		page pages.Page
		more bool
	}{
		"as many as asked for":               {nil, pages.Page{Limit: 200, Rows: 200}, true},
		"more than asked for":                {nil, pages.Page{Limit: 200, Rows: 300}, true},
		"the first one":                      {nil, pages.Page{Limit: 200, Rows: 60}, true},
		"an empty one":                       {nil, pages.Page{Limit: 200}, false},
		"a small one":                        {nil, pages.Page{Limit: 200, Rows: 7}, false},
		"a small one of a usual size":        {nil, pages.Page{Limit: 200, Rows: 10}, true},
		"a usual size, and more was seen":    {rows(11), pages.Page{Limit: 200, Rows: 10}, false},
		"more was seen":                      {rows(3, 101, 2), pages.Page{Limit: 200, Rows: 100}, false},
		"as many were seen":                  {rows(100, 100), pages.Page{Limit: 200, Rows: 100}, true},
		"the limit was ignored":              {rows(900), pages.Page{Limit: 200, Rows: 150}, false},
		"all were asked for":                 {nil, pages.Page{Rows: 100}, true},
		"all were asked for, and more seen":  {rows(200), pages.Page{Rows: 100}, false},
		"few rows, many bytes":               {nil, pages.Page{Limit: 200, Rows: 3, Bytes: 1 << 20, Widest: 400 << 10}, true},
		"few rows, and many more bytes seen": {[]pages.Page{{Limit: 200, Rows: 4, Bytes: 2 << 20, Widest: 400 << 10}}, pages.Page{Limit: 200, Rows: 3, Bytes: 1 << 20, Widest: 400 << 10}, false},
		"the next row would have been too much": {
			[]pages.Page{{Limit: 200, Rows: 2, Bytes: 1000 << 10, Widest: 900 << 10}}, pages.Page{Limit: 200, Rows: 5, Bytes: 150 << 10, Widest: 50 << 10}, true,
		},
	} {
		var e pages.Evidence
		for _, p := range c.seen {
			e.More(start, p)
		}
		assert.Equal(t, c.more, e.More(start, c.page), name)
	}
}

func TestWhatWasSeenLongAgoProvesNothing(t *testing.T) {
	t.Parallel()
	var e pages.Evidence
	e.More(start, pages.Page{Limit: 200, Rows: 200})
	page := pages.Page{Limit: 200, Rows: 100}
	assert.False(t, e.More(start.Add(9*time.Minute), page))
	assert.False(t, e.More(start.Add(19*time.Minute), page), "10 to 20 minutes")
	assert.True(t, e.More(start.Add(30*time.Minute), page))
	assert.True(t, e.More(start.Add(-time.Hour), page), "the clock was set back")
}

func TestAServerWithAnyLimitIsReadToItsEnd(t *testing.T) {
	t.Parallel()
	for _, most := range []int{10, 20, 25, 30, 40, 50, 64, 99, 100, 128, 150, 199, 200, 500} {
		for total := range 450 {
			var e pages.Evidence
			left, asked := total, 0
			for {
				n := min(left, most, 200)
				left -= n
				if asked++; !e.More(start, pages.Page{Limit: 200, Rows: n, Bytes: int64(n) << 9}) {
					break
				}
			}
			if !assert.Zero(t, left, "%d of %d rows are missing where a page has %d", left, total, most) {
				return
			}
			assert.LessOrEqual(t, asked, total/min(most, 200)+2)
		}
	}
}

// Polls bring up to 59 rows each, so that one in 60 is as large as any other.
func TestAnOrdinaryServerPaysWithAboutNothing(t *testing.T) {
	t.Parallel()
	var e pages.Evidence
	more, asked := 0, 0
	at := start
	for n := range 10_000 {
		at = at.Add(2 * time.Second)
		size := n * 7919 % 60 // pages of up to 59 rows
		asked++
		if e.More(at, pages.Page{Limit: 200, Rows: size, Bytes: int64(size) << 10}) {
			more++
		}
	}
	assert.LessOrEqual(t, more, asked/50)
}

// serve answers pages of rows that have so many bytes each, and returns how many requests that
// took, how many of them were abandoned, and the largest answer.
func serve(p *pages.Pace, sizes []int64) (asked, vain int, largest int64) {
	for len(sizes) > 0 {
		limit := p.Limit(200)
		asked++
		var bytes int64
		n := 0
		for n < min(limit, len(sizes)) && (bytes <= pages.Most || limit == 1) {
			bytes += sizes[n]
			n++
		}
		if bytes > pages.Most && limit > 1 {
			vain++
			p.Refused(limit, n, pages.Most)
			largest = max(largest, pages.Most)
			continue
		}
		largest = max(largest, bytes)
		p.Saw(pages.Page{Limit: limit, Rows: n, Bytes: bytes})
		sizes = sizes[n:]
	}
	return asked, vain, largest
}

func same(n int, size int64) []int64 {
	out := make([]int64, n)
	for i := range out {
		out[i] = size
	}
	return out
}

func TestPagesHaveAsManyRowsAsFit(t *testing.T) {
	t.Parallel()
	for name, c := range map[string]struct {
		sizes       []int64
		asked, vain int // at most
	}{
		"small rows":              {same(2000, 1<<10), 10, 0},
		"rows of 20 KB":           {same(2000, 20<<10), 10, 0},
		"rows of 60 KB":           {same(600, 60<<10), 14, 1},
		"rows of 900 KB":          {same(120, 900<<10), 36, 1},
		"rows of 10 MB":           {same(5, 10<<20), 8, 3},
		"small rows behind large": {append(same(12, 900<<10), same(2000, 1<<10)...), 22, 1},
		"large rows behind small": {append(same(2000, 1<<10), same(12, 900<<10)...), 16, 1},
		"a large row among small": {append(append(same(1000, 1<<10), 900<<10), same(999, 1<<10)...), 10, 0},
	} {
		var p pages.Pace
		asked, vain, largest := serve(&p, c.sizes)
		assert.LessOrEqual(t, asked, c.asked, name)
		assert.LessOrEqual(t, vain, c.vain, name)
		assert.LessOrEqual(t, largest, int64(pages.Most), name)
	}
}

func TestAPageThatWasRefusedBecomesSmaller(t *testing.T) {
	t.Parallel()
	var p pages.Pace
	limit := 200
	for n := 1; limit > 1; n++ {
		assert.True(t, p.Refused(limit, 0, 64<<10))
		assert.Less(t, p.Limit(200), limit)
		limit = p.Limit(200)
		assert.LessOrEqual(t, n, 4)
	}
	assert.False(t, p.Refused(1, 1, 64<<10))
	assert.Equal(t, 1, p.Limit(200))
	for range 4 { // it grows back, but not to more bytes than were refused
		p.Saw(pages.Page{Limit: p.Limit(200), Rows: p.Limit(200), Bytes: int64(p.Limit(200)) << 10})
	}
	assert.Equal(t, 48, p.Limit(200))
}

func TestAnAnswerThatWasFoundWholeIsBelievedForAWhile(t *testing.T) {
	t.Parallel()
	var v pages.Verified
	assert.False(t, v.Has(start, 1, 1))
	v.Note(start, 50, 1)
	v.Note(start, 40, 2)
	assert.True(t, v.Has(start, 50, 1), "the same one")
	assert.True(t, v.Has(start, 49, 3), "a smaller one")
	assert.False(t, v.Has(start, 50, 3), "another one may have been cut to as many")
	assert.False(t, v.Has(start.Add(10*time.Minute), 49, 3))
	assert.False(t, v.Has(start.Add(10*time.Minute), 50, 1))
	v.Note(start.Add(time.Hour), 40, 2)
	assert.False(t, v.Has(start.Add(time.Hour), 49, 3))
	for i := range uint64(3000) {
		v.Note(start.Add(time.Hour), 1, i)
	}
	assert.True(t, v.Has(start.Add(time.Hour), 50, 2999), "of many the last")
}
