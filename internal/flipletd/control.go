package flipletd

import (
	"context"
	"errors"
	"fmt"
	"iter"
	"math"
	"slices"
	"time"
)

// This file is the side door: what a test or a program may do to a server
// without a request. Nothing here is subject to levers or access rules.

// Row is an entry as it is stored.
type Row struct {
	ID, DataSourceID     int64
	Data                 map[string]any // a copy; numbers are json.Number
	Order                *int64
	CreatedAt, UpdatedAt time.Time
	DeletedAt            *time.Time // nil while the entry lives
}

// Token is the first API token.
func (s *Server) Token() string { return s.token }

// Secret makes up a text that nobody can guess, such as a password; with a seed, who knows
// the seed can.
func (s *Server) Secret() string { return s.random.hex(16) }

// Now is the server's time.
func (s *Server) Now() time.Time { return s.clock.now() }

// Freeze stops the server's clock at t, or where it stands for the zero time.
func (s *Server) Freeze(t time.Time) { s.clock.freeze(t) }

// Thaw lets the clock run again.
func (s *Server) Thaw() { s.clock.thaw() }

// Shift moves the clock by d, which may be negative.
func (s *Server) Shift(d time.Duration) { s.clock.shift(d) }

// Limit sets one limit and forgets what was counted for it.
func (s *Server) Limit(l Limit) error {
	if err := l.Check(); err != nil {
		return fmt.Errorf("flipletd: %w", err)
	}
	s.limiter.set(l)
	return nil
}

// LimitTokens limits the data source calls of each token, and of nobody else; 0 requests is
// no limit.
func (s *Server) LimitTokens(requests int, window time.Duration) {
	for _, scope := range AllScopes {
		l := Limit{Calls: DataSourceCalls, Scope: scope}
		if scope == PerToken {
			l.Requests, l.Window = requests, window
		}
		s.limiter.set(l)
	}
}

// Usage is how many requests everybody has made, by group of calls, scope and id.
func (s *Server) Usage() []Usage { return s.limiter.usage(s.clock.now()) }

// Pull puts a rule into force.
func (s *Server) Pull(r Rule) *Lever {
	var fx Effects
	for _, f := range r.Faults {
		f(&fx)
	}
	if fx.Lag > 0 {
		s.st.mu.Lock()
		s.st.history = true
		s.st.mu.Unlock()
	}
	return s.levers.add(r)
}

// Release takes every rule out of force.
func (s *Server) Release() { s.levers.clear() }

// AddToken makes a token of a kind for an app (0 for tokens of users and organizations) and returns
// it with the id that access rules know it by. An empty token is made up.
func (s *Server) AddToken(kind string, appID, userID int64, token string) (string, int64, error) {
	switch kind {
	case UserToken, APIToken, AppToken, OrganizationToken:
	default:
		return "", 0, fmt.Errorf("flipletd: there is no kind of token called %q", kind)
	}
	if token == "" {
		token = s.random.token()
	}
	c := &credential{kind: kind, appID: appID, orgID: s.orgID, userID: userID, token: token, createdAt: s.clock.now()}
	if kind != UserToken {
		c.name = "Another " + kind + " token"
	}
	c, err := s.people.addToken(c)
	if err != nil {
		return "", 0, err
	}
	return token, c.id, nil
}

// AddTwin makes another token of whoever has this one, as for a second device: of the same
// kind, app and user.
func (s *Server) AddTwin(of, token string) (string, int64, error) {
	s.people.mu.RLock()
	first := s.people.tokens[of]
	s.people.mu.RUnlock()
	if first == nil {
		return "", 0, errors.New("flipletd: there is no such token")
	}
	if token == "" {
		token = s.random.token()
	}
	c, err := s.people.addToken(&credential{
		kind: first.kind, name: first.name, appID: first.appID, orgID: first.orgID, userID: first.userID,
		twinOf: orElse(first.twinOf, first.id), token: token, createdAt: s.clock.now(), row: first.loggedInWith(),
	})
	if err != nil {
		return "", 0, err
	}
	return token, c.id, nil
}

// RevokeToken makes a token unknown.
func (s *Server) RevokeToken(token string) { s.people.revoke(token) }

// AddApp registers another app of the organisation; productionID is 0 unless
// it is the draft of a published one. Adding one that exists changes nothing.
func (s *Server) AddApp(id int64, name string, productionID int64) {
	if s.people.app(id) != nil {
		return
	}
	now := s.clock.now()
	s.people.addApp(app{id: id, orgID: s.orgID, name: name, productionID: productionID, createdAt: now, updatedAt: now})
}

// CreateSource makes a data source from the fields that POST v1/data-sources
// takes. appId defaults to the server's app.
func (s *Server) CreateSource(fields map[string]any) (int64, error) {
	v, err := copyValue(fields)
	if err != nil {
		return 0, err
	}
	in, _ := v.(map[string]any)
	m := &meta{orgID: s.orgID, appID: s.appID}
	if in["name"] == nil {
		return 0, errors.New("flipletd: a data source needs a name")
	}
	if err := s.checkHooks(in["hooks"]); err != nil {
		return 0, err
	}
	if err := m.set(in); err != nil {
		return 0, err
	}
	m.kind, _ = in["type"].(string)
	if id, ok := wholeNumber(in["appId"]); ok {
		m.appID = id
	}
	rows, err := flatRows(in["entries"])
	if err != nil {
		return 0, err
	}
	s.st.mu.Lock()
	defer s.st.mu.Unlock()
	tx := s.st.begin(s.clock.now(), &Effects{})
	tx.logs = logSourceCreate
	tx.create(m)
	for _, r := range rows {
		tx.insert(m, 0, s.st.withGUID(m, r.data), nil)
	}
	if err := tx.commit(); err != nil {
		return 0, err
	}
	return m.id, nil
}

// Insert stores rows in one step, with one timestamp, without running hooks,
// and returns their ids.
func (s *Server) Insert(dataSourceID int64, rows ...map[string]any) ([]int64, error) {
	copies := make([]map[string]any, len(rows))
	for i, r := range rows {
		v, err := copyValue(r)
		if err != nil {
			return nil, fmt.Errorf("flipletd: row %d: %w", i, err)
		}
		if copies[i], _ = v.(map[string]any); copies[i] == nil {
			copies[i] = map[string]any{}
		}
	}
	s.st.mu.Lock()
	defer s.st.mu.Unlock()
	src, m := s.st.find(dataSourceID, primary)
	if src == nil {
		return nil, fmt.Errorf("flipletd: there is no data source %d", dataSourceID)
	}
	tx := s.st.begin(s.clock.now(), &Effects{})
	edited := tx.edit(src)
	ids := make([]int64, len(copies))
	for i, data := range copies {
		ids[i] = tx.insert(edited, 0, s.st.withGUID(m, data), nil).ID
	}
	return ids, tx.commit()
}

// Rows returns every entry of a data source, tombstones included, by id. It is
// empty for a source that does not exist.
func (s *Server) Rows(dataSourceID int64) []Row {
	return slices.Collect(s.EachRow(dataSourceID))
}

// EachRow is [Server.Rows] one by one, for who needs only some. The rows are
// those of the moment at which the loop begins.
func (s *Server) EachRow(dataSourceID int64) iter.Seq[Row] {
	return func(yield func(Row) bool) {
		var versions []*version
		s.st.mu.RLock()
		if src := s.st.sources[dataSourceID]; src != nil {
			versions = slices.Clone(src.rows)
		}
		s.st.mu.RUnlock()
		for _, v := range versions { // which are never changed
			if !yield(copyRow(v)) {
				return
			}
		}
	}
}

func copyRow(v *version) Row {
	data, _ := copyValue(v.data()) // decoded JSON can be copied
	row := Row{ID: v.ID, DataSourceID: v.DataSourceID, Order: v.Order, CreatedAt: v.created, UpdatedAt: v.updated}
	row.Data, _ = data.(map[string]any)
	if !v.live() {
		row.DeletedAt = &v.deleted
	}
	return row
}

// Source describes a data source.
type Source struct {
	ID, AppID            int64
	Name, Type           string
	Columns              []string
	Definition           map[string]any // a copy; nil when there is none
	Live, Deleted        int            // entries
	CreatedAt, UpdatedAt time.Time
	Trashed              bool
}

// Sources returns every data source by id, trashed ones included.
func (s *Server) Sources() []Source {
	s.st.mu.RLock()
	defer s.st.mu.RUnlock()
	var out []Source
	for _, src := range s.st.sorted() {
		m := src.meta
		definition, _ := copyValue(m.definition)
		d, _ := definition.(map[string]any)
		out = append(out, Source{
			ID: m.id, AppID: m.appID, Name: m.name, Type: m.kind, Columns: slices.Clone(m.columns), Definition: d,
			Live: src.live, Deleted: len(src.rows) - src.live,
			CreatedAt: m.createdAt, UpdatedAt: m.updatedAt, Trashed: !m.deletedAt.IsZero(),
		})
	}
	return out
}

// Pushes returns the notifications that are due by now, the oldest first.
func (s *Server) Pushes() []Push {
	s.st.mu.Lock()
	defer s.st.mu.Unlock()
	s.st.pushes.settle(s.st, s.clock.now())
	return slices.Clone(s.st.pushes.sent)
}

// HookCalls returns the hooks that ran, the oldest first; of very many the last ten thousand.
func (s *Server) HookCalls() []HookCall { return s.hooks.all() }

// WaitForHooks returns when no request of a web hook is waiting or under way, or with the
// cause of ctx.
func (s *Server) WaitForHooks(ctx context.Context) error { return s.ringer.wait(ctx) }

// Requests returns the requests seen, the oldest first; of very many the last
// ten thousand.
func (s *Server) Requests() []Request { return s.log.last(math.MaxInt) }

// LastRequests returns up to n of the requests seen last, the oldest first.
func (s *Server) LastRequests(n int) []Request { return s.log.last(max(0, n)) }

// Dropped is how many rows went because a commit or an import did not list
// them.
func (s *Server) Dropped() int64 {
	s.log.mu.Lock()
	defer s.log.mu.Unlock()
	return s.log.dropped
}

// Faults returns errors of the server itself, panics of handlers included. It
// is empty unless there is a bug here or a journal failed.
func (s *Server) Faults() []error {
	s.log.mu.Lock()
	defer s.log.mu.Unlock()
	return slices.Clone(s.log.faults)
}

// Routes returns the name of every route.
func (s *Server) Routes() []Route {
	names := make([]Route, len(routes))
	for i, r := range routes {
		names[i] = r.name
	}
	return names
}

// AddUser makes a Studio user who can log in with the password, unless that is
// empty, and returns the user's token.
func (s *Server) AddUser(email, firstName, lastName, password string) (token string, id int64, err error) {
	token = s.random.token()
	id = s.people.addPerson(person{
		orgID: s.orgID, email: email, firstName: firstName, lastName: lastName, password: password, token: token,
	})
	_, err = s.people.addToken(&credential{kind: UserToken, orgID: s.orgID, userID: id, token: token})
	return token, id, err
}

// SetWidget sets what GET v1/widget-instances answers for a widget of an app.
func (s *Server) SetWidget(name string, appID int64, settings map[string]any) error {
	v, err := copyValue(settings)
	if err != nil {
		return err
	}
	copied, _ := v.(map[string]any)
	s.st.mu.Lock()
	defer s.st.mu.Unlock()
	return s.st.setWidget(s.st.begin(s.clock.now(), &Effects{}), name, appID, copied)
}

// Count is how often a route, or the routes of a group, were called, or web hooks rang.
func (s *Server) Count(r Route) int {
	if r == WebHook {
		return s.hooks.count()
	}
	counts := s.log.counters()
	n := 0
	for _, rt := range append(routes[:len(routes):len(routes)], unknownRoute) {
		if r.matches(rt) {
			n += counts[rt.name]
		}
	}
	return n
}

// SetSession logs the session of a token in with an entry, 0 for nobody, as
// authorizing would.
func (s *Server) SetSession(token string, entryID int64) error {
	s.people.mu.RLock()
	c := s.people.tokens[token]
	s.people.mu.RUnlock()
	if c == nil {
		return errors.New("flipletd: there is no such token")
	}
	c.login(entryID)
	return nil
}
