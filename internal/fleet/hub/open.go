package hub

import (
	"context"
	"time"

	"github.com/fliplet/fliplet-chat-go/internal/feed"
	"github.com/fliplet/fliplet-chat-go/internal/fleet"
	"github.com/fliplet/fliplet-chat-go/internal/fleet/ask"
	"github.com/fliplet/fliplet-chat-go/internal/rows"
	"github.com/fliplet/fliplet-chat-go/profile"
)

// tried is how many conversations the first query with joins is about.
const tried = 3

// Open reads the list of conversations, and the server's time with a query that has joins, which
// tells whether the server takes them. It takes two requests, and up to three more where it does not.
func Open(ctx context.Context, cfg Config) (*Hub, error) {
	h := &Hub{cfg: cfg, log: fleet.NewLog(cfg.Keeps), desks: map[int32]map[*Desk]bool{}, watches: map[*Watch]bool{}, endpoint: rows.NoEndpoint(), wanted: make(chan struct{}), relisting: relisting{turn: make(chan struct{}, 1)}}
	c := ask.Config{Client: cfg.Client, Apps: cfg.Apps, Wanted: cfg.Wanted, Listed: h.listed, Genuine: cfg.Genuine, Log: cfg.Log}
	if cfg.Contacts != 0 {
		c.Token = ask.TokenOf(cfg.Client, cfg.Contacts)
	}
	h.source = ask.New(c)
	a, err := h.source.Ask(ctx, fleet.Request{Kind: fleet.List, Users: true})
	if err != nil {
		return nil, err
	}
	h.since = rows.Micros(time.Now())
	joins := cfg.Profile.Joins != profile.Avoid
	if len(a.Listed) > 0 {
		if h.since, joins, err = h.first(ctx, a.Listed, joins); err != nil {
			return nil, err
		}
	}
	h.opened = time.Now()
	h.chosen = fleet.NewChooser(fleet.Ways{
		Bell: cfg.Bell, Forced: cfg.Strategy, Audit: cfg.Profile.AuditLog != profile.Avoid, Times: cfg.Profile.ListTimes != profile.Avoid,
		Joins: cfg.Profile.Joins != profile.Avoid, Across: cfg.Profile.CrossSource != profile.Avoid && cfg.Contacts != 0,
	})
	sizes := fleet.Config{Since: h.since, Overlap: cfg.Profile.Overlap, Batch: cfg.Profile.MaxJoins}
	if cfg.Profile.Joins == profile.Avoid {
		sizes.Batch = 1
	}
	h.driver = fleet.NewDriver(fleet.DriverConfig{
		Fleet: sizes, Log: h.log, Source: h, Judge: h.judge, Strategy: h.chosen, Changed: h.changed, Moved: h.moved,
	})
	h.driver.With(func(f *fleet.Fleet, now time.Time) {
		f.List(now, a.Listed)
		if !joins {
			f.NoJoins(now)
		}
	})
	return h, nil
}

// first asks for the newest row of some conversations, for the server's time. joins: by a query
// with joins, which is judged only if each of the conversations can be read without.
func (h *Hub) first(ctx context.Context, list []fleet.Listing, joins bool) (at feed.Time, take bool, err error) {
	var ids []int64
	for i := range list[:min(len(list), tried)] {
		ids = append(ids, list[i].Conversation)
	}
	if !joins {
		ids = ids[:1]
	}
	a, err := h.source.Ask(ctx, look(ids...))
	if err == nil || len(ids) == 1 {
		return a.Clock, joins, err
	}
	refused := ask.Judge(err).Refused
	if a, err = h.source.Ask(ctx, look(ids[0])); err != nil || !refused {
		return a.Clock, joins, err
	}
	for _, id := range ids[1:] {
		if _, err := h.source.Ask(ctx, look(id)); err != nil {
			return a.Clock, true, nil // that one may be why
		}
	}
	return a.Clock, false, nil
}

// look is a request for the newest row of conversations.
func look(conversations ...int64) fleet.Request {
	limits := make([]int, len(conversations))
	for i := range limits {
		limits[i] = 1
	}
	return fleet.Request{Kind: fleet.Look, Conversations: conversations, Limits: limits}
}

// Choice is how the hub finds out what is new, and why so.
func (h *Hub) Choice() (c fleet.Choice) {
	h.driver.With(func(*fleet.Fleet, time.Time) { c = h.chosen.Choice() })
	return c
}

// Err is why nothing comes; nil if something does. See [Desk.Down].
func (h *Hub) Err() error {
	h.trouble.mu.Lock()
	defer h.trouble.mu.Unlock()
	return h.trouble.told
}
