package flipletd

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"time"
)

// The kinds of [Record].
const (
	kindSource  = "dataSource"
	kindEntry   = "entry"
	kindFile    = "file"
	kindFolder  = "folder"
	kindVersion = "version"
	kindWidget  = "widget"
	kindCounter = "counter"

	kindNotification = "notification" // handed out, but not kept
)

// Record is one thing worth keeping across restarts: its kind and id name it,
// Value is its JSON. A nil Value deletes it.
type Record struct {
	Kind  string
	ID    int64
	Value []byte
}

// Journal keeps records. Apply must keep all of its records or none; it is
// called with one request's changes at a time, never concurrently. Load calls
// yield for every record that is kept, in any order. Both see whatever kinds of
// record there are: a journal does not look into them.
type Journal interface {
	Apply(records []Record) error
	Load(yield func(Record) error) error
}

func (v *version) record() Record {
	return Record{Kind: kindEntry, ID: v.ID, Value: appendEntry(nil, v, &listing{shape: &Shape{KeepTombstones: true}})}
}

func (m *meta) record() Record {
	return Record{Kind: kindSource, ID: m.id, Value: appendSource(nil, m, nil, &Shape{Omit: unstored})}
}

// unstored are the fields of a source that are the same for all.
var unstored = map[string]bool{"permissions": true, "masterDataSourceId": true, "dataSourceRoles": true}

// load fills an empty store from its journal.
func (st *store) load() error {
	if st.journal == nil {
		return nil
	}
	var rows []*version
	err := st.journal.Load(func(r Record) error {
		var err error
		switch r.Kind {
		case kindSource:
			var m *meta
			if m, err = readMeta(r.Value); err == nil {
				st.putMeta(m)
			}
		case kindEntry:
			var v *version
			if v, err = readVersion(r.Value); err == nil {
				rows = append(rows, v)
			}
		case kindFile:
			err = st.loadFile(r.Value)
		case kindFolder:
			err = st.loadFolder(r.Value)
		case kindVersion:
			err = st.loadSnapshot(r.Value)
		case kindWidget:
			err = st.loadWidget(r.ID, r.Value)
		case kindCounter:
			err = st.loadCounters(r.Value)
		default:
			err = errors.New("a newer version of this program wrote it")
		}
		if err != nil {
			return fmt.Errorf("flipletd: stored %s %d: %w", r.Kind, r.ID, err)
		}
		return nil
	})
	if err != nil {
		return err
	}
	st.fill(rows)
	st.sortSnapshots()
	return nil
}

// counters makes sure that ids are not handed out again after what held them
// is gone for good.
func (st *store) counters() Record {
	value := make(map[string]any, len(st.lastID))
	for kind, id := range st.lastID {
		value[kind] = id
	}
	return Record{Kind: kindCounter, ID: 1, Value: appendValue(nil, value)}
}

func (st *store) loadCounters(raw []byte) error {
	var last map[string]int64
	if err := json.Unmarshal(raw, &last); err != nil {
		return err
	}
	for kind, id := range last {
		st.lastID[kind] = max(st.lastID[kind], id)
	}
	return nil
}

func readVersion(raw []byte) (*version, error) {
	var e struct {
		ID, DataSourceID     int64
		Data                 json.RawMessage
		Order                *int64
		CreatedAt, UpdatedAt time.Time
		DeletedAt            time.Time
	}
	if err := json.Unmarshal(raw, &e); err != nil {
		return nil, err
	}
	data, err := decodeJSON(bytes.Clone(e.Data))
	if err != nil {
		return nil, err
	}
	columns, _ := data.(map[string]any)
	v := newVersion(e.ID, e.DataSourceID, columns, e.Order, e.CreatedAt, e.UpdatedAt, e.DeletedAt)
	return v, nil
}
