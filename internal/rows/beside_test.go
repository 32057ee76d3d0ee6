package rows

import (
	"testing"
	"time"

	"github.com/stretchr/testify/assert"

	"github.com/fliplet/fliplet-chat-go/internal/feed"
)

// A later page of a poll looks for no rows whose time has passed. What it has read stands for
// no first page, or ids would go on past such rows.
func TestAReadThatWasLeftServesOnlyPagesForWhichItHasLookedForEarlyRows(t *testing.T) {
	t.Parallel()
	at := func(s int64) feed.Key { return feed.Key{Time: feed.Time(s * 1e6), ID: 1} }
	beginning := feed.Key{Time: -1 << 63}
	for name, c := range map[string]struct {
		after feed.Key // of the read
		looks int64
		page  want
		want  bool
	}{
		"a page that wants none":     {at(5), 0, want{after: at(6)}, true},
		"none were looked for":       {at(5), 0, want{after: at(6), beyond: 7}, false},
		"they were":                  {at(5), 7, want{after: at(6), beyond: 7}, true},
		"more of them were":          {at(5), 6, want{after: at(6), beyond: 7}, true},
		"fewer of them were":         {at(5), 8, want{after: at(6), beyond: 7}, false},
		"everything was read":        {beginning, 0, want{after: at(6), beyond: 7}, true},
		"it begins behind the page":  {at(7), 7, want{after: at(6), beyond: 7}, false},
		"the page begins everything": {beginning, 0, want{after: beginning, beyond: 7}, true},
	} {
		c.page.column, c.page.limit = updatedAt, 10
		r := &fetching{after: c.after, looks: c.looks, began: time.Now(), whole: true}
		assert.Equal(t, c.want, r.serves(&c.page), name)
	}
}
