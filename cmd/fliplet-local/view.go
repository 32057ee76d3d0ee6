package main

import (
	"cmp"
	"slices"
	"strings"
	"time"

	"github.com/fliplet/fliplet-chat-go/internal/flipletd"
)

// How much of everything the page shows.
const (
	shownSources  = 200
	shownPeople   = 12
	shownRequests = 100
	namedContacts = 2000 // rows per data source that are looked at for names
)

// view is what the page shows: names, numbers and times. It holds no value of a
// row except the names of contacts, no definition and no token.
type view struct {
	URL           string
	App, Org      int64
	Now           string
	Conversations []conversation
	Sources       []source
	Requests      []request
	More          int // data sources and conversations that are not shown
	Seen          int // requests since the start
	Faults        int
}

type conversation struct {
	ID       int64
	Name     string
	Channel  bool
	People   []person
	MoreThan int // people who are not in People
	Messages int
	Last     string
}

// person is a participant: a contact's name, or the bare flUserId of nobody known.
type person struct {
	Name, UserID string
	Known        bool
}

type source struct {
	ID            int64
	Name, Type    string
	Live, Deleted int
	Columns       string
	Updated       string
	Trashed       bool
}

type request struct {
	Time, Method, Target string
	Bytes, Status        int
	Class                string // of the status: ok, refused, failed or open
}

// look takes a picture of the server.
func (p *page) look() view {
	all := p.core.Sources()
	slices.SortStableFunc(all, func(a, b flipletd.Source) int { return b.UpdatedAt.Compare(a.UpdatedAt) })
	v := view{
		URL: p.url, App: appID, Org: organizationID, Now: p.core.Now().UTC().Format(time.DateTime),
		More: max(0, len(all)-shownSources), Seen: p.core.Count(flipletd.AnyRoute), Faults: len(p.core.Faults()),
	}
	all = all[:min(len(all), shownSources)]
	names := p.names(all)
	for _, s := range all {
		if s.Type == "conversation" && !s.Trashed {
			v.Conversations = append(v.Conversations, newConversation(s, names))
		}
		v.Sources = append(v.Sources, source{
			ID: s.ID, Name: s.Name, Type: s.Type, Live: s.Live, Deleted: s.Deleted, Trashed: s.Trashed,
			Columns: strings.Join(s.Columns, ", "), Updated: clock(s.UpdatedAt),
		})
	}
	for _, r := range slices.Backward(p.core.LastRequests(shownRequests)) {
		v.Requests = append(v.Requests, newRequest(r))
	}
	return v
}

func clock(t time.Time) string { return t.UTC().Format(time.Stamp) }

func newConversation(s flipletd.Source, names map[string]string) conversation {
	c := conversation{ID: s.ID, Name: s.Name, Messages: s.Live, Last: clock(s.UpdatedAt)}
	group, _ := s.Definition["group"].(map[string]any)
	c.Channel = group["public"] == true
	members, _ := s.Definition["participants"].([]any)
	for _, m := range members {
		id, ok := m.(string)
		if !ok {
			continue
		}
		if len(c.People) == shownPeople {
			c.MoreThan++
			continue
		}
		name, known := names[id]
		c.People = append(c.People, person{Name: cmp.Or(name, id), UserID: id, Known: known})
	}
	return c
}

func newRequest(r flipletd.Request) request {
	out := request{Time: r.Time.UTC().Format("15:04:05.000"), Method: r.Method, Target: r.Path, Bytes: r.BodySize, Status: r.Status, Class: "ok"}
	if r.Query != "" {
		out.Target += "?" + r.Query
	}
	switch {
	case r.Status == 0:
		out.Class = "open"
	case r.Status >= 500:
		out.Class = "failed"
	case r.Status >= 400:
		out.Class = "refused"
	}
	return out
}

// names finds what contacts are called, by flUserId.
func (p *page) names(all []flipletd.Source) map[string]string {
	names := map[string]string{}
	for _, s := range all {
		if s.Trashed || s.Type == "conversation" || !slices.Contains(s.Columns, "flUserId") {
			continue
		}
		seen := 0
		for row := range p.core.EachRow(s.ID) {
			if seen++; seen > namedContacts {
				break
			}
			if id, _ := row.Data["flUserId"].(string); id != "" && row.DeletedAt == nil {
				names[id] = cmp.Or(contactName(row.Data), names[id])
			}
		}
	}
	return names
}

// contactName is the first of the usual columns that holds something.
func contactName(data map[string]any) string {
	text := func(names ...string) string {
		for key, v := range data {
			if s, ok := v.(string); ok && slices.ContainsFunc(names, func(n string) bool { return strings.EqualFold(n, key) }) {
				return strings.TrimSpace(s)
			}
		}
		return ""
	}
	return cmp.Or(
		text("Full name", "fullName"), text("Name"),
		strings.TrimSpace(text("First name", "firstName")+" "+text("Last name", "lastName")),
		text("Email", "E-mail"),
	)
}
