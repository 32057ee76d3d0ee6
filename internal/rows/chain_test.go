package rows_test

import (
	"testing"
	"testing/synctest"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/fliplet/fliplet-chat-go/fliplettest"
	"github.com/fliplet/fliplet-chat-go/internal/feed"
	"github.com/fliplet/fliplet-chat-go/internal/rows"
)

// What has come since the first page of a poll is left to the next poll, also when the query
// over all conversations is there again. When that has answered for the first page, all that
// follows belongs to the poll.
func TestThePagesOfAPollHaveWhatWasThereForTheFirstOne(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		b := newBench(t)
		say := func(conversation int64, n int) {
			for range n {
				b.say(conversation, 0, 1)
				time.Sleep(time.Second)
			}
		}
		say(b.one, 8)
		say(b.two, 4)
		s := rows.New(b.cfg)
		next := func(q feed.Query) (page []int64, behind feed.Key) {
			q.Kind, q.Partial, q.Limit = feed.Changes, true, 10
			got, err := s.Answer(t.Context(), q)
			require.NoError(t, err)
			for _, r := range got.Rows {
				page, behind = append(page, r.ID), feed.Key{Time: r.Updated, ID: r.ID}
			}
			return page, behind
		}
		var last []int64 // of the second conversation
		for _, row := range b.Rows(b.two)[2:] {
			last = append(last, row.ID)
		}
		first := feed.Query{After: feed.Key{Time: 1}, First: true}

		lever := b.Always(fliplettest.CrossSource, fliplettest.Status(404))
		page, behind := next(first)
		require.Len(t, page, 10)
		say(b.one, 1)
		say(b.two, 1)
		lever.Off()
		time.Sleep(2 * time.Minute) // the endpoint is looked for again
		asked := b.Count(fliplettest.CrossSource)
		page, behind = next(feed.Query{After: behind})
		assert.Equal(t, last, page)
		assert.Equal(t, asked, b.Count(fliplettest.CrossSource))
		page, _ = next(feed.Query{After: behind})
		assert.Empty(t, page)

		page, behind = next(first)
		require.Len(t, page, 10)
		assert.Equal(t, asked+1, b.Count(fliplettest.CrossSource))
		b.Always(fliplettest.CrossSource, fliplettest.Status(404))
		page, _ = next(feed.Query{After: behind})
		assert.Len(t, page, 4, "it was of one moment, so all of what follows belongs to it")
	})
}
