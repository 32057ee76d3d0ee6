package marks

import (
	"context"
	"slices"
	"sync"
	"time"

	"github.com/fliplet/fliplet-chat-go/internal/life"
)

// Counter counts what many users have not read with requests that they share, where that takes
// fewer than one for each of them. It is safe for concurrent use.
type Counter struct {
	// Members returns the conversations of users. It may take a request or a few.
	Members func(ctx context.Context, users []string) (map[string][]int64, error)
	// Unread returns who has read those messages of some conversations that somebody of their
	// users has not: a list for each, and at most limit of a conversation. It takes one request.
	Unread func(ctx context.Context, conversations []int64, users map[int64][]string, limit int) (map[int64][][]string, error)
	Life   *life.Life
	// Window is how long a count waits for others.
	Window time.Duration
	// Shared reports whether an error would meet each of several counts by itself, too.
	Shared func(error) bool

	mu      sync.Mutex
	waiting []*count
	runs    bool
}

const (
	// fewCounts is how many counts at a time are made one by one.
	fewCounts = 4
	// mostJoined is how many conversations one request is about, and mostUnread how many messages of
	// each it brings. Whoever has not read more counts by a request of their own.
	mostJoined, mostUnread = 100, 100
)

// count is one that waits.
type count struct {
	user string
	over chan struct{} // closed when the rest is set
	n    int
	err  error
	own  bool // it is to be made by itself
}

// Count counts what a user has not read; own does that with a request for this user alone.
func (c *Counter) Count(ctx context.Context, user string, own func(context.Context) (int, error)) (int, error) {
	j := &count{user: user, over: make(chan struct{})}
	c.mu.Lock()
	if !c.runs {
		c.runs = c.Life.Go(func() { c.run(c.Life.Context()) })
	}
	if !c.runs {
		c.mu.Unlock()
		return own(ctx)
	}
	c.waiting = append(c.waiting, j)
	c.mu.Unlock()
	select {
	case <-j.over:
	case <-ctx.Done():
		return 0, context.Cause(ctx)
	}
	if j.own {
		return own(ctx)
	}
	return j.n, j.err
}

// run answers the counts that wait after the window.
func (c *Counter) run(ctx context.Context) {
	timer := time.NewTimer(c.Window)
	defer timer.Stop()
	select {
	case <-timer.C:
	case <-ctx.Done():
	}
	c.mu.Lock()
	batch := c.waiting
	c.waiting, c.runs = nil, false
	c.mu.Unlock()
	if len(batch) < fewCounts {
		alone(batch)
	} else if err := c.count(ctx, batch); err != nil && ctx.Err() == nil && !c.Shared(err) {
		alone(batch)
	} else if err != nil {
		if ctx.Err() != nil {
			err = context.Cause(ctx)
		}
		for _, j := range batch {
			j.err = err
		}
	}
	for _, j := range batch {
		close(j.over)
	}
}

func alone(batch []*count) {
	for _, j := range batch {
		j.own = true
	}
}

// count counts for all of a batch.
func (c *Counter) count(ctx context.Context, batch []*count) error {
	var users []string
	for _, j := range batch {
		users = append(users, j.user)
	}
	slices.Sort(users)
	users = slices.Compact(users)
	of, err := c.Members(ctx, users)
	if err != nil {
		return err
	}
	by := map[int64][]string{}
	var conversations []int64
	for _, u := range users {
		for _, id := range of[u] {
			if by[id] == nil {
				conversations = append(conversations, id)
			}
			by[id] = append(by[id], u)
		}
	}
	if looks := (len(conversations) + mostJoined - 1) / mostJoined; looks+1 >= len(users) {
		alone(batch)
		return nil
	}
	lacks, many := map[string]int{}, map[string]bool{}
	for chunk := range slices.Chunk(conversations, mostJoined) {
		found, err := c.Unread(ctx, chunk, by, mostUnread)
		if err != nil {
			return err
		}
		for _, id := range chunk {
			for _, u := range by[id] {
				for _, readers := range found[id] {
					if !slices.Contains(readers, u) {
						lacks[u]++
					}
				}
				many[u] = many[u] || len(found[id]) >= mostUnread
			}
		}
	}
	for _, j := range batch {
		j.n, j.own = lacks[j.user], many[j.user]
	}
	return nil
}
