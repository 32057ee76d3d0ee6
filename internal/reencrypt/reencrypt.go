// Package reencrypt moves the stored bodies of a conversation to another format,
// while people go on writing. It knows nothing of keys: Reseal does the work.
package reencrypt

import (
	"cmp"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"log/slog"
	"slices"

	"github.com/fliplet/fliplet-chat-go/datasource"
	"github.com/fliplet/fliplet-chat-go/internal/wire"
	"github.com/fliplet/fliplet-chat-go/storage"
)

// columns are sealed: the body, and the keys of files.
var columns = [...]string{wire.Body, wire.SealedFiles}

// maxPasses bounds the passes while programs with older options keep writing.
const maxPasses = 5

// Progress is how far a Run has come; see chat.Reencryption.
type Progress struct {
	Seen, Moved, Unreadable, Pass int
	MessageID                     int64
}

// Config says what is moved, and how. All fields are required.
type Config struct {
	Client       *datasource.Client
	Conversation int64
	PageSize     int
	Attempts     int // at one message that keeps changing
	Log          *slog.Logger

	// Store keeps the progress of the first pass under Key, towards Target.
	Store  storage.Store
	Key    string
	Target string

	// Reseal returns a row's column in the new format, "" if it has that already.
	Reseal func(ctx context.Context, row *datasource.Entry, column, stored string) (string, error)
	// Skip reports whether an error of Reseal says that the body is to be left alone.
	Skip func(error) bool
}

// mover moves the bodies of one conversation.
type mover struct {
	Progress
	cfg    Config
	report func(Progress)
}

// savedPass is the progress of the first pass, kept in Store.
type savedPass struct {
	Target string `json:"target"`
	After  int64  `json:"after"`
	Moved  int    `json:"moved"`
}

// Run moves the bodies of a conversation, and calls report after each page and each
// write. The result is valid beside an error.
func Run(ctx context.Context, cfg Config, report func(Progress)) (Progress, error) {
	m := &mover{cfg: cfg, report: report}
	m.Pass = 1
	raw, err := cfg.Store.Get(ctx, cfg.Key)
	if err != nil && !errors.Is(err, storage.ErrNotFound) {
		return Progress{}, fmt.Errorf("storage: %w", err)
	}
	var saved savedPass
	if err == nil && json.Unmarshal(raw, &saved) == nil && saved.Target == cfg.Target {
		m.MessageID, m.Moved = saved.After, saved.Moved
	}
	err = m.run(ctx)
	return m.Progress, err
}

// run makes passes until one moves nothing.
func (m *mover) run(ctx context.Context) error {
	for {
		before := m.Moved
		if err := m.pass(ctx); err != nil {
			return err
		}
		if m.Pass > 1 && m.Moved == before || m.Pass == maxPasses {
			return m.forget(ctx)
		}
		m.Pass++
		m.MessageID, m.Unreadable = 0, 0
	}
}

// pass reads every message once, by ascending id.
func (m *mover) pass(ctx context.Context) error {
	for {
		rows, err := m.page(ctx)
		if err != nil || len(rows) == 0 {
			return err
		}
		for i := range rows {
			for _, column := range columns {
				if err := m.move(ctx, &rows[i], column); err != nil {
					return err
				}
			}
			m.MessageID = rows[i].ID
			m.Seen++
		}
		if err := m.save(ctx); err != nil {
			return err
		}
		m.report(m.Progress)
	}
}

// page reads the messages after the last one.
func (m *mover) page(ctx context.Context) ([]datasource.Entry, error) {
	q := datasource.Query{
		Type: "select", ID: datasource.M{"$gt": m.MessageID}, Limit: m.cfg.PageSize,
		Order: []datasource.Order{{Column: "id", Direction: datasource.Asc}},
	}
	rows, err := m.cfg.Client.Find(ctx, m.cfg.Conversation, q)
	for tooLarge(err) && q.Limit > 1 {
		q.Limit /= 2
		rows, err = m.cfg.Client.Find(ctx, m.cfg.Conversation, q)
	}
	if err != nil {
		return nil, err
	}
	full := len(rows) >= q.Limit
	rows = slices.DeleteFunc(rows, func(e datasource.Entry) bool { return e.ID <= m.MessageID })
	if full && len(rows) == 0 {
		return nil, errors.New("the server does not page by id")
	}
	slices.SortFunc(rows, func(a, b datasource.Entry) int { return cmp.Compare(a.ID, b.ID) })
	return rows, nil
}

// tooLarge reports whether fewer rows could be read.
func tooLarge(err error) bool {
	_, ok := errors.AsType[*datasource.ResponseTooLargeError](err)
	return ok
}

// save keeps the position of the first pass; later ones begin anew.
func (m *mover) save(ctx context.Context) error {
	if m.Pass > 1 {
		return nil
	}
	raw, err := json.Marshal(savedPass{Target: m.cfg.Target, After: m.MessageID, Moved: m.Moved})
	if err == nil {
		err = m.cfg.Store.Set(ctx, m.cfg.Key, raw)
	}
	if err != nil {
		return fmt.Errorf("storage: %w", err)
	}
	return nil
}

func (m *mover) forget(ctx context.Context) error {
	if err := m.cfg.Store.Delete(ctx, m.cfg.Key); err != nil {
		return fmt.Errorf("storage: %w", err)
	}
	return nil
}

// move writes one column of a row in the new format. If the row was changed meanwhile, or the
// outcome of the write is unknown, it reads the row again.
func (m *mover) move(ctx context.Context, row *datasource.Entry, column string) error {
	for range m.cfg.Attempts {
		stored := wire.Text(row.Data[column])
		if row.Err != nil {
			m.Unreadable++
			m.cfg.Log.Warn("a row was left as it is", "conversation", m.cfg.Conversation, "message", row.ID, "error", row.Err)
			return nil
		}
		if stored == "" || wire.Deleted(row.DeletedAt, row.Data) {
			return nil
		}
		row.DataSourceID = m.cfg.Conversation
		sealed, err := m.cfg.Reseal(ctx, row, column, stored)
		if err != nil && m.cfg.Skip(err) {
			m.Unreadable++
			m.cfg.Log.Warn("a column was left as it is", "conversation", m.cfg.Conversation, "message", row.ID, "column", column, "error", err)
			return nil
		}
		if err != nil {
			return fmt.Errorf("message %d: %w", row.ID, err)
		}
		if sealed == "" {
			return nil
		}
		done, err := m.replace(ctx, row, column, stored, sealed)
		if err != nil && !datasource.Doubtful(err) {
			return err
		}
		if done {
			m.Moved++
			m.report(m.Progress)
			return nil
		}
		fresh, err := m.cfg.Client.FindByID(ctx, m.cfg.Conversation, row.ID)
		if errors.Is(err, datasource.ErrNotFound) {
			return nil // deleted meanwhile
		}
		if err != nil {
			return err
		}
		if wire.Text(fresh.Data[column]) == sealed { // written, but the answer was lost
			m.Moved++
			m.report(m.Progress)
			return nil
		}
		row = fresh
	}
	return fmt.Errorf("message %d keeps changing", row.ID)
}

// replace writes a column if the stored one is still the one that was read. The server
// compares and writes in one step.
func (m *mover) replace(ctx context.Context, row *datasource.Entry, column, stored, sealed string) (bool, error) {
	where := datasource.M{column: datasource.M{"$eq": stored}}
	if guid := wire.Text(row.Data[wire.GUID]); guid != "" {
		where[wire.GUID] = guid
	}
	if from, ok := row.Data[wire.From].(string); ok && from != "" {
		where[wire.From] = from
	}
	rows, err := m.cfg.Client.UpdateWhere(ctx, m.cfg.Conversation, datasource.Query{ID: row.ID, Where: where}, datasource.M{column: sealed})
	if err != nil {
		return false, err
	}
	for i := range rows {
		if rows[i].ID != row.ID {
			return false, fmt.Errorf("the server changed message %d instead of %d", rows[i].ID, row.ID)
		}
	}
	return len(rows) == 1 && wire.Text(rows[0].Data[column]) == sealed, nil
}
