package flipletd

import (
	"cmp"
	"encoding/json"
	"maps"
	"net/http"
	"slices"
	"time"

	"github.com/fliplet/fliplet-chat-go/internal/flipletd/sift"
)

// keptVersions is how many versions of a source are kept.
const keptVersions = 20

// snapshot is a version of a data source: its columns and live rows as they
// were. Rows are shared with the store, which never changes them. Commits make
// one, restores make one of what they overwrite; sources with a type, which
// Studio hides, have none, since every read mark is a commit.
type snapshot struct {
	id, dataSourceID, userID int64
	action                   string
	at                       time.Time
	columns                  []string
	rows                     []*version
}

// snapshot plans a version of a source as it is before the write.
func (st *store) snapshot(tx *tx, s *source, action string, userID int64) {
	snap := &snapshot{
		id: st.newID(kindVersion), dataSourceID: s.id, userID: userID, action: action, at: tx.stamp,
		columns: slices.Clone(s.meta.columns), rows: s.liveRows(),
	}
	if st.journal != nil {
		tx.extra = append(tx.extra, snap.record())
	}
	old := st.versions[s.id]
	if extra := len(old) + 1 - keptVersions; extra > 0 {
		for _, o := range old[:extra] {
			tx.extra = append(tx.extra, Record{Kind: kindVersion, ID: o.id})
		}
		old = old[extra:]
	}
	tx.after = append(tx.after, func() {
		st.versions[s.id] = append(slices.Clone(old), snap)
	})
}

func (st *store) sortSnapshots() {
	for _, list := range st.versions {
		slices.SortFunc(list, func(a, b *snapshot) int { return cmp.Compare(a.id, b.id) })
	}
}

// storedSnapshot is a snapshot in the journal.
type storedSnapshot struct {
	ID, DataSourceID, UserID int64
	Action                   string
	At                       time.Time
	Columns                  []string
	Rows                     []json.RawMessage
}

func (s *snapshot) record() Record {
	rows := make([]json.RawMessage, len(s.rows))
	for i, v := range s.rows {
		rows[i] = v.record().Value
	}
	raw, _ := json.Marshal(storedSnapshot{s.id, s.dataSourceID, s.userID, s.action, s.at, s.columns, rows}) // marshals
	return Record{Kind: kindVersion, ID: s.id, Value: raw}
}

func (st *store) loadSnapshot(raw []byte) error {
	var in storedSnapshot
	if err := json.Unmarshal(raw, &in); err != nil {
		return err
	}
	s := &snapshot{
		id: in.ID, dataSourceID: in.DataSourceID, userID: in.UserID, action: in.Action, at: in.At, columns: in.Columns,
	}
	for _, r := range in.Rows {
		v, err := readVersion(r)
		if err != nil {
			return err
		}
		s.rows = append(s.rows, v)
	}
	st.versions[s.dataSourceID] = append(st.versions[s.dataSourceID], s)
	st.lastID[kindVersion] = max(st.lastID[kindVersion], s.id)
	return nil
}

// listVersions serves the versions of a source, the newest first.
func (c *call) listVersions() error {
	c.st.mu.RLock()
	defer c.st.mu.RUnlock()
	s, m, err := c.source(primary)
	if err != nil {
		return err
	}
	if _, err := c.allow(m, access{verb: verbSelect}); err != nil {
		return err
	}
	list := make([]any, 0, len(c.st.versions[s.id]))
	for _, snap := range slices.Backward(c.st.versions[s.id]) {
		list = append(list, map[string]any{
			"id": snap.id, "dataSourceId": s.id, "pageId": nil, "userId": nullable(snap.userID),
			"createdAt": timeText(snap.at), "updatedAt": timeText(snap.at), "user": c.srv.people.brief(snap.userID),
			"data": map[string]any{
				"action": snap.action, "columns": snap.columns,
				"entries": map[string]any{"count": len(snap.rows), "key": nil},
			},
		})
	}
	return c.value(http.StatusOK, map[string]any{"versions": list})
}

// version finds the version that a path names.
func (c *call) version(verb string) (*source, *snapshot, error) {
	s, m, err := c.source(primary)
	if err != nil {
		return nil, nil, err
	}
	if _, err := c.allow(m, access{verb: verb, any: true}); err != nil {
		return nil, nil, err
	}
	id, _ := wholeNumber(c.args[1])
	for _, snap := range c.st.versions[s.id] {
		if snap.id == id {
			return s, snap, nil
		}
	}
	return nil, nil, notFound("The version")
}

// versionEntries serves the rows of a version.
func (c *call) versionEntries() error {
	fields, err := c.object()
	if err != nil {
		return err
	}
	if v := c.param("limit"); v != "" && fields["limit"] == nil {
		fields["limit"] = v
	}
	limit, _, err := size("limit", fields["limit"])
	if err != nil {
		return err
	}
	var filter *sift.Filter
	if where := fields["where"]; where != nil {
		if filter, err = sift.Compile(where); err != nil {
			return err
		}
	}
	c.st.mu.RLock()
	defer c.st.mu.RUnlock()
	_, snap, err := c.version(verbSelect)
	if err != nil {
		return err
	}
	var rows []*version
	for _, v := range snap.rows {
		ok := true
		if filter != nil {
			if ok, err = c.match(filter, v.Data); err != nil {
				return err
			}
		}
		if ok {
			rows = append(rows, v)
		}
	}
	defaultOrder(rows)
	c.status = http.StatusOK
	c.out = appendEntries(append(c.out[:0], `{"entries":`...), paginate(rows, 0, limit), &listing{shape: &c.fx.Shape, deletedAt: true})
	c.out = append(c.out, '}')
	return nil
}

// restoreVersion brings rows and columns back to what they were, after a
// version of the present was made.
func (c *call) restoreVersion() error {
	c.st.mu.Lock()
	defer c.st.mu.Unlock()
	s, snap, err := c.version(verbUpdate)
	if err != nil {
		return err
	}
	tx := c.begin(logSourceRollback)
	c.st.snapshot(tx, s, "pre-restore", c.cred.userID)
	m := tx.edit(s)
	m.columns = slices.Clone(snap.columns)
	m.derive()
	then := make(map[int64]*version, len(snap.rows))
	for _, v := range snap.rows {
		then[v.ID] = v
	}
	for _, v := range s.rows {
		if v.live() && then[v.ID] == nil {
			tx.remove(v)
		}
	}
	for _, id := range slices.Sorted(maps.Keys(then)) {
		old, now := then[id], c.st.entries[id]
		if now != nil && now.live() && string(now.raw) == string(old.raw) && compareOrder(now.Order, old.Order) == 0 {
			continue
		}
		m.grow(old.data())
		tx.plan(newVersion(id, s.id, old.data(), old.Order, old.created, tx.stamp, time.Time{}))
	}
	if err := tx.commit(); err != nil {
		return err
	}
	c.status, c.out = http.StatusOK, append(c.out[:0], "{}"...)
	return nil
}
