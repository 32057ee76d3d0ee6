package flipletlocal

import (
	"cmp"
	"maps"
	"net/http"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/fliplet/fliplet-chat-go/internal/flipletd"
)

// How much of everything the page shows.
const (
	shownSources       = 200
	shownConversations = 100 // at first; the page can ask for more
	maxConversations   = 5000
	shownPeople        = 12
	shownViewers       = 100
	countedUnread      = 1000 // of more messages, the newest are looked at
	shownName          = 200  // characters
)

// wish is what the page wants to see.
type wish struct {
	known         uint64 // the revision of what it has, 0 for none
	conversations int
	filter        string // lower case; in the names of conversations and people
	as            string // the flUserId of the person whose side is the right one; "" chooses
}

func wishOf(r *http.Request) wish {
	q := r.URL.Query()
	known, _ := strconv.ParseUint(q.Get("known"), 10, 64)
	n, _ := strconv.Atoi(q.Get("n"))
	if n <= 0 {
		n = shownConversations
	}
	return wish{known: known, conversations: min(n, maxConversations), filter: strings.ToLower(strings.TrimSpace(q.Get("q"))), as: q.Get("as")}
}

// state is all that the page shows beside the messages of a conversation.
type state struct {
	Now      string  `json:"now"`
	Faults   int     `json:"faults"`
	Revision uint64  `json:"revision"`
	Stored   *stored `json:"stored,omitempty"` // absent while it is what the page has
	Traffic  traffic `json:"traffic"`
}

// stored is names, numbers, times and the last message of conversations. Of rows it has
// only the names of contacts; it has no definition and no token.
type stored struct {
	Conversations []conversation `json:"conversations"`
	Found         int            `json:"found"` // conversations that the filter lets through
	Total         int            `json:"total"` // conversations
	As            person         `json:"as"`
	Viewers       []person       `json:"viewers"`
	Sources       []source       `json:"sources"`
	SourcesTotal  int            `json:"sourcesTotal"`
}

type conversation struct {
	ID       int64    `json:"id"`
	Name     string   `json:"name"`
	Kind     string   `json:"kind"` // direct, group or channel
	People   []person `json:"people"`
	MoreThan int      `json:"moreThan"` // people who are not in People
	Messages int      `json:"messages"`
	Unread   int      `json:"unread"`
	Counted  bool     `json:"counted"` // false: at least Unread are
	Last     *message `json:"last,omitempty"`
	Updated  string   `json:"updated"`

	members []string
	hay     string // what the filter looks at
}

// person is a contact, or somebody whose flUserId no contact has.
type person struct {
	Name   string `json:"name"`
	UserID string `json:"id"`
	Known  bool   `json:"known"`
}

type source struct {
	ID      int64  `json:"id"`
	Name    string `json:"name"`
	Type    string `json:"type"`
	Live    int    `json:"live"`
	Deleted int    `json:"deleted"`
	Columns string `json:"columns"`
	Updated string `json:"updated"`
	Trashed bool   `json:"trashed"`
}

// look takes a picture of the server.
func (p *page) look(w wish) state {
	s := state{
		Now: timeText(p.core.Now()), Faults: len(p.core.Faults()),
		Revision: p.core.Revision(), // before it is read: what is written meanwhile shows the next time
		Traffic:  p.traffic(),
	}
	if w.known == 0 || w.known != s.Revision {
		s.Stored = p.stored(w)
	}
	return s
}

func (p *page) stored(w wish) *stored {
	all := p.core.Sources()
	slices.SortStableFunc(all, func(a, b flipletd.Source) int { return b.UpdatedAt.Compare(a.UpdatedAt) })
	names := p.names.of(p.core, all)
	out := &stored{Conversations: []conversation{}, Sources: []source{}, Viewers: []person{}, SourcesTotal: len(all)}
	for _, s := range all[:min(len(all), shownSources)] {
		out.Sources = append(out.Sources, newSource(s))
	}
	seen := map[string]int{}
	for _, s := range all {
		if !isConversation(s) {
			continue
		}
		out.Total++
		c := newConversation(s, names)
		for _, id := range c.members {
			seen[id]++
		}
		if strings.Contains(c.hay, w.filter) {
			if out.Found++; out.Found <= w.conversations {
				out.Conversations = append(out.Conversations, c)
			}
		}
	}
	out.Viewers = viewers(seen, names)
	switch {
	case w.as != "":
		out.As = names.person(w.as)
	case len(out.Viewers) > 0:
		out.As = out.Viewers[0]
	}
	for i := range out.Conversations {
		p.complete(&out.Conversations[i], names, out.As.UserID)
	}
	return out
}

// complete adds what is read from messages.
func (p *page) complete(c *conversation, names people, as string) {
	c.Counted = c.Messages <= countedUnread
	if last, _ := p.core.RowsBefore(c.ID, time.Time{}, 0, 1); len(last) > 0 {
		m := newMessage(last[0], names, shownPreview)
		c.Last = &m
	}
	if slices.Contains(c.members, as) {
		c.Unread = p.core.Unread(c.ID, as, countedUnread)
	}
}

// viewers are the people who take part in the most conversations.
func viewers(seen map[string]int, names people) []person {
	ids := slices.SortedFunc(maps.Keys(seen), func(a, b string) int {
		return cmp.Or(seen[b]-seen[a], cmp.Compare(names.person(a).Name, names.person(b).Name), cmp.Compare(a, b))
	})
	out := []person{}
	for _, id := range ids[:min(len(ids), shownViewers)] {
		out = append(out, names.person(id))
	}
	return out
}

func isConversation(s flipletd.Source) bool { return s.Type == "conversation" && !s.Trashed }

func newConversation(s flipletd.Source, names people) conversation {
	c := conversation{ID: s.ID, Name: cut(s.Name, shownName), Kind: kind(s.Definition), People: []person{}, Messages: s.Live, Updated: timeText(s.UpdatedAt), members: members(s.Definition)}
	hay := []string{c.Name}
	for i, id := range c.members {
		who := names.person(id)
		hay = append(hay, who.Name)
		if i < shownPeople {
			c.People = append(c.People, who)
		}
	}
	c.MoreThan = len(c.members) - len(c.People)
	c.hay = strings.ToLower(strings.Join(hay, "\n"))
	return c
}

// kind is what package chat takes a conversation for.
func kind(definition map[string]any) string {
	group, _ := definition["group"].(map[string]any)
	removed, _ := definition["removedParticipants"].([]any)
	switch {
	case group["public"] == true:
		return "channel"
	case len(members(definition)) > 2, len(removed) > 0:
		return "group"
	}
	for name, v := range group {
		if v != nil && (name != "readOnly" || v == true) {
			return "group"
		}
	}
	return "direct"
}

// members are the participants, each once.
func members(definition map[string]any) []string {
	list, _ := definition["participants"].([]any)
	out := make([]string, 0, len(list))
	for _, m := range list {
		if id, ok := m.(string); ok && id != "" {
			out = append(out, id)
		}
	}
	if len(out) < 2 {
		return out
	}
	met := make(map[string]bool, len(out))
	return slices.DeleteFunc(out, func(id string) bool {
		again := met[id]
		met[id] = true
		return again
	})
}

func newSource(s flipletd.Source) source {
	columns := slices.DeleteFunc(slices.Clone(s.Columns), isSecret)
	return source{
		ID: s.ID, Name: cut(s.Name, shownName), Type: cut(s.Type, shownName), Live: s.Live, Deleted: s.Deleted, Trashed: s.Trashed,
		Columns: cut(strings.Join(columns, ", "), 300), Updated: timeText(s.UpdatedAt),
	}
}

// isSecret says that a column is of no concern to whoever looks.
func isSecret(column string) bool {
	plain := strings.NewReplacer(" ", "", "-", "", "_", "").Replace(strings.ToLower(column))
	for _, word := range []string{"token", "password", "passphrase", "secret", "encryptionkey", "privatekey", "apikey", "sealed", "schema"} {
		if strings.Contains(plain, word) {
			return true
		}
	}
	return false
}

// timeText is how JSON of Fliplet writes a time.
func timeText(t time.Time) string { return t.UTC().Format("2006-01-02T15:04:05.000Z") }

// cut shortens a text to n characters.
func cut(text string, n int) string {
	short, left := split(text, n)
	if left > 0 {
		short += "…"
	}
	return short
}

// split returns the first n characters of a text, and how many come after them.
func split(text string, n int) (first string, left int) {
	if len(text) <= n {
		return text, 0
	}
	count := 0
	for i := range text {
		if count == n {
			first = text[:i]
		}
		count++
	}
	if count <= n {
		return text, 0
	}
	return first, count - n
}
