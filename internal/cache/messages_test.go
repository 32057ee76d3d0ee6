package cache

import (
	"context"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/fliplet/fliplet-chat-go/datasource"
	"github.com/fliplet/fliplet-chat-go/internal/feed"
	"github.com/fliplet/fliplet-chat-go/storage"
)

// at makes a message that was created and changed at seconds.
func at(id int64, created, updated int) datasource.Entry {
	return datasource.Entry{
		ID: id, DataSourceID: 7, Data: datasource.M{"body": "x"},
		CreatedAt: began.Add(time.Duration(created) * time.Second), UpdatedAt: began.Add(time.Duration(updated) * time.Second),
	}
}

func gone(e datasource.Entry) datasource.Entry {
	e.DeletedAt = &e.UpdatedAt
	return e
}

func micros(seconds int) feed.Time {
	return feed.Time(began.Add(time.Duration(seconds) * time.Second).UnixMicro())
}

var newest = feed.Query{Kind: feed.Newest, Limit: 3}

func after(seconds int) feed.Query {
	return feed.Query{Kind: feed.Changes, After: feed.Key{Time: micros(seconds)}, Limit: 3}
}

func ids(rows []datasource.Entry) []int64 {
	out := []int64{}
	for i := range rows {
		out = append(out, rows[i].ID)
	}
	return out
}

func TestTheNewestMessagesAreKept(t *testing.T) {
	t.Parallel()
	type step struct {
		q    feed.Query
		rows []datasource.Entry
	}
	list := func(e ...datasource.Entry) []datasource.Entry { return e }
	for name, c := range map[string]struct {
		steps []step
		ids   []int64
		upto  feed.Time
	}{
		"nothing":           {nil, []int64{}, 0},
		"a page":            {[]step{{newest, list(at(2, 2, 9), at(1, 1, 1))}}, []int64{1, 2}, micros(9)},
		"no messages":       {[]step{{newest, nil}}, []int64{}, 0},
		"a change":          {[]step{{newest, list(at(1, 1, 1))}, {after(0), list(at(1, 1, 2), at(2, 3, 3))}}, []int64{1, 2}, micros(3)},
		"a deletion":        {[]step{{newest, list(at(2, 2, 2), at(1, 1, 1))}, {after(0), list(gone(at(1, 1, 3)))}}, []int64{2}, micros(3)},
		"one that is older": {[]step{{newest, list(at(1, 1, 5))}, {after(0), list(at(1, 1, 4))}}, []int64{1}, micros(5)},
		"more than a page":  {[]step{{newest, list(at(3, 3, 3), at(2, 2, 2), at(1, 1, 1))}, {after(0), list(at(4, 4, 4))}}, []int64{2, 3, 4}, micros(4)},
		"a page anew": {[]step{{newest, list(at(3, 3, 3), at(2, 2, 2), at(1, 1, 1))}, {newest, list(at(4, 4, 4))}},
			[]int64{4}, micros(4)},
		"a page in another order may lack some": {[]step{{newest, list(at(1, 1, 1), at(2, 2, 2), at(3, 3, 3))}}, []int64{1, 2, 3}, 0},
		"changes in another order, too": {[]step{{newest, list(at(1, 1, 1))}, {after(0), list(at(4, 4, 4), at(3, 3, 3), at(2, 2, 2))}},
			[]int64{2, 3, 4}, micros(1)},
		"changes that begin later leave a hole": {[]step{{newest, list(at(1, 1, 1))}, {after(2), list(at(3, 3, 3))}}, []int64{1, 3}, micros(1)},
		"changes up to a time are history": {[]step{{newest, list(at(1, 1, 1))},
			{feed.Query{Kind: feed.Changes, UpdatedTo: micros(9), Limit: 3}, list(at(3, 3, 3))}}, []int64{1, 3}, micros(1)},
		"a page of one conversation": {[]step{{feed.Query{Kind: feed.Newest, Conversation: 7, Limit: 3}, list(at(1, 1, 1))}}, []int64{1}, 0},
		"changes of one conversation": {[]step{{newest, list(at(1, 1, 1))},
			{feed.Query{Kind: feed.Changes, Conversation: 7, Limit: 3}, list(at(3, 3, 3))}}, []int64{1, 3}, micros(1)},
		"a page that goes back": {[]step{{feed.Query{Kind: feed.Newest, Before: feed.Key{Time: 1}, Limit: 3}, list(at(1, 1, 1))}}, []int64{1}, 0},
		"a short page":          {[]step{{feed.Query{Kind: feed.Newest, Limit: 1}, list(at(1, 1, 1))}}, []int64{1}, 0},
	} {
		t.Run(name, func(t *testing.T) {
			virtual(t, func(t *testing.T) {
				cache := open(storage.NewMemory())
				u := cache.User("jo")
				for _, s := range c.steps {
					u.Seen(t.Context(), s.q, s.rows, 0)
				}
				u.save()
				rows, upto := cache.User("jo").Messages(t.Context())
				assert.Equal(t, c.ids, ids(rows))
				assert.Equal(t, c.upto, upto)
			})
		})
	}
}

func TestALaterSessionGoesOn(t *testing.T) {
	virtual(t, func(t *testing.T) {
		c := open(storage.NewMemory())
		u := c.User("jo")
		u.Seen(t.Context(), newest, []datasource.Entry{at(2, 2, 2), at(1, 1, 1)}, 0)
		u = c.User("jo")
		u.Seen(t.Context(), after(2), []datasource.Entry{at(3, 3, 3)}, 0)
		rows, upto := c.User("jo").Messages(t.Context())
		assert.Equal(t, []int64{1, 2, 3}, ids(rows))
		assert.Equal(t, micros(3), upto)
	})
}

func TestWhatListenersChangeIsNotWhatIsStored(t *testing.T) {
	virtual(t, func(t *testing.T) {
		c := open(storage.NewMemory())
		u := c.User("jo")
		u.Seen(t.Context(), newest, nil, 0) // is stored at once
		rows := []datasource.Entry{at(1, 1, 1)}
		u.Seen(t.Context(), after(0), rows, 0)
		rows[0].Data["body"] = "in plain text"
		u.save()
		stored, _ := c.User("jo").Messages(t.Context())
		require.Len(t, stored, 1)
		assert.Equal(t, "x", stored[0].Data["body"])
	})
}

func TestMessagesAreWrittenNowAndThen(t *testing.T) {
	virtual(t, func(t *testing.T) {
		writes := 0
		g := &gated{Store: storage.NewMemory(), written: func(string) { writes++ }}
		u := open(g).User("jo")
		for i := range 100 { // 10 s
			u.Seen(t.Context(), newest, []datasource.Entry{at(int64(i+1), i, i)}, 0)
			time.Sleep(100 * time.Millisecond)
		}
		assert.Equal(t, 2, writes)
		u.save()
		u.save()
		assert.Equal(t, 3, writes)
		rows, _ := u.Messages(t.Context())
		assert.Equal(t, []int64{100}, ids(rows))
	})
}

// A Store that hangs delays the poll loop for a moment, and not at every page. What it
// did not take is written when it is well again.
func TestSeenGoesOnWithoutTheStore(t *testing.T) {
	virtual(t, func(t *testing.T) {
		var well atomic.Bool
		ill := func(ctx context.Context, key string) error {
			if well.Load() {
				return nil
			}
			return hang(ctx, key)
		}
		s := storage.NewMemory()
		u := open(&gated{Store: s, set: ill, get: ill}).User("jo")
		took := func(id int64) time.Duration {
			began := time.Now()
			u.Seen(t.Context(), newest, []datasource.Entry{at(id, int(id), int(id))}, 0)
			return time.Since(began)
		}
		assert.Equal(t, patience, took(1), "it waits a moment for what an earlier session stored, and then for nothing")
		for id := range int64(100) {
			assert.Zero(t, took(id+2))
			time.Sleep(saveEvery / 2)
		}
		well.Store(true)
		time.Sleep(writeTimeout)
		took(102)
		synctest.Wait()
		rows, _ := open(s).User("jo").Messages(t.Context())
		assert.Equal(t, []int64{102}, ids(rows))
	})
}

func TestNothingIsKeptForAStoreThatDiesWithTheProcess(t *testing.T) {
	virtual(t, func(t *testing.T) {
		s := storage.NewMemory()
		c := open(s)
		c.cfg.Page = 0
		u := c.User("jo")
		u.Seen(t.Context(), newest, []datasource.Entry{at(1, 1, 1)}, 0)
		assert.Nil(t, u.Saver())
		assert.Empty(t, dump(t, s))
	})
}

// What comes before the Store has answered is added to what it had.
func TestSeenAddsToWhatASlowStoreHadWhenItAnswers(t *testing.T) {
	virtual(t, func(t *testing.T) {
		s := storage.NewMemory()
		before := open(s).User("jo")
		before.Seen(t.Context(), newest, []datasource.Entry{at(3, 3, 3), at(2, 2, 2), at(1, 1, 1)}, 0)
		slow := func(context.Context, string) error { time.Sleep(time.Second); return nil }
		u := open(&gated{Store: s, get: slow}).User("jo")
		after := feed.Query{Kind: feed.Changes, After: feed.Key{Time: 2}, Limit: 10}
		for id := range 2 {
			began := time.Now()
			row := at(int64(id+4), id+4, id+4)
			row.Data = datasource.M{"body": "as it came"}
			u.Seen(t.Context(), after, []datasource.Entry{row}, 0)
			row.Data["body"] = "changed by a listener"
			assert.LessOrEqual(t, time.Since(began), patience)
			if id == 0 {
				assert.Equal(t, patience, time.Since(began))
			}
		}
		time.Sleep(2 * time.Second)
		u.save()
		u.Seen(t.Context(), after, []datasource.Entry{at(6, 6, 6)}, 0)
		time.Sleep(2 * saveEvery)
		u.save()
		rows, upto := open(s).User("jo").Messages(t.Context())
		require.Equal(t, []int64{4, 5, 6}, ids(rows))
		assert.Equal(t, "as it came", rows[0].Data["body"])
		assert.Equal(t, feed.Time(rows[2].UpdatedAt.UnixMicro()), upto)
	})
}
