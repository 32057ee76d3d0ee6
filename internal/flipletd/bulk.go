package flipletd

import (
	"maps"
	"net/http"
)

// flatRow is a row of a bulk import: its columns, and the entry id that a
// top-level "id" asks for.
type flatRow struct {
	id   int64
	data map[string]any
}

// flatRows reads a list of flat rows.
func flatRows(v any) ([]flatRow, error) {
	if v == nil {
		return nil, nil
	}
	list, ok := v.([]any)
	if !ok {
		return nil, badRequest("entries must be an array.")
	}
	rows := make([]flatRow, len(list))
	for i, e := range list {
		data, ok := e.(map[string]any)
		if !ok {
			return nil, badRequest("entries[%d] must be an object.", i)
		}
		if id, given := data["id"]; given {
			n, ok := wholeNumber(id)
			if id != nil && (!ok || n <= 0 || n > maxEntryID) {
				return nil, badRequest("entries[%d].id must be a positive number, at most %d.", i, int64(maxEntryID))
			}
			delete(data, "id")
			rows[i].id = n
		}
		rows[i].data = data
	}
	return rows, nil
}

// maxEntryID bounds the ids that a request may choose: all later ids are higher, and
// JavaScript has to tell them apart.
const maxEntryID = 1 << 52

// withGUID fills the column that the definition names as "guid".
func (st *store) withGUID(m *meta, data map[string]any) map[string]any {
	column := m.setting("guid")
	if column == "" {
		return data
	}
	if v, ok := data[column]; ok && v != nil && v != "" {
		return data
	}
	data = maps.Clone(data)
	if data == nil {
		data = make(map[string]any, 1)
	}
	data[column] = st.random.guid()
	return data
}

// importEntries appends rows, or replaces every row when append is not asked
// for: the documented default.
func (c *call) importEntries() error {
	fields, err := c.object()
	if err != nil {
		return err
	}
	if _, ok := fields["entries"]; !ok {
		return badRequest("entries is required.")
	}
	rows, err := flatRows(fields["entries"])
	if err != nil {
		return err
	}
	appending := truthy(fields["append"]) || truthy(c.param("append"))
	hooks := true
	if v, ok := fields["runHooks"]; ok {
		hooks = truthy(v)
		c.asksForHooks = hooks
	}
	c.st.mu.Lock()
	defer c.st.mu.Unlock()
	s, m, err := c.source(primary)
	if err != nil {
		return err
	}
	if err := c.allowBulk(m, verbInsert, rows); err != nil {
		return err
	}
	logs := logSourceImport
	if appending {
		logs = logRowsOnly
	}
	tx := c.begin(logs)
	edited := tx.edit(s)
	dropped := 0
	if !appending {
		if _, err := c.allow(m, access{verb: verbDelete}); err != nil && s.live > 0 {
			return err
		}
		for _, v := range s.rows {
			if v.live() {
				tx.remove(v)
				dropped++
			}
		}
	}
	made := make([]*version, 0, len(rows))
	for i, r := range rows {
		if c.fx.Partial && i == c.fx.PartialBatch {
			return c.breakOff(tx, dropped)
		}
		if r.id != 0 {
			if old := c.st.entries[r.id]; old != nil && (old.DataSourceID != s.id || tx.entry(s, r.id).live()) {
				return badRequest("entries[%d].id is taken.", i)
			}
			if _, twice := tx.byID[r.id]; twice && tx.entry(s, r.id).live() {
				return badRequest("entries[%d].id comes twice.", i)
			}
		}
		data := c.st.withGUID(m, r.data)
		if hooks {
			data = c.runHooks(m, runInsert, data)
		}
		v := tx.insert(edited, r.id, data, nil)
		if hooks {
			c.afterWrite(tx, m, runInsert, v)
		}
		made = append(made, v)
	}
	if err := tx.commit(); err != nil {
		return err
	}
	c.srv.log.drop(dropped)
	c.status = http.StatusOK
	c.out = c.out[:0]
	l := &listing{shape: &c.fx.Shape, deletedAt: true}
	if c.fx.Shape.Bulk == "wrapped" {
		c.out = append(appendEntries(append(c.out, `{"entries":`...), made, l), '}')
		return nil
	}
	c.out = appendEntries(c.out, made, l)
	return nil
}

// breakOff keeps what was planned so far and fails: batches are documented not
// to be atomic.
func (c *call) breakOff(tx *tx, dropped int) error {
	if err := tx.commit(); err != nil {
		return err
	}
	c.srv.log.drop(dropped)
	return &refusal{status: http.StatusInternalServerError, message: "Something went wrong."}
}
