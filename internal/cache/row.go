package cache

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"time"

	"github.com/fliplet/fliplet-chat-go/datasource"
	"github.com/fliplet/fliplet-chat-go/internal/feed"
	"github.com/fliplet/fliplet-chat-go/internal/wait"
	"github.com/fliplet/fliplet-chat-go/internal/wire"
	"github.com/fliplet/fliplet-chat-go/storage"
)

// The types below are stored as JSON. Fields may be added; none may change.

// row is a row as the server sent it, with the body encrypted.
type row struct {
	ID           int64        `json:"id"`
	DataSourceID int64        `json:"dataSourceId"`
	Data         datasource.M `json:"data"`
	CreatedAt    time.Time    `json:"createdAt"`
	UpdatedAt    time.Time    `json:"updatedAt"`
	DeletedAt    *time.Time   `json:"deletedAt"`
}

func toRow(e *datasource.Entry) row {
	return row{e.ID, e.DataSourceID, e.Data, e.CreatedAt, e.UpdatedAt, e.DeletedAt}
}

func (r row) entry() datasource.Entry {
	return datasource.Entry{ID: r.ID, DataSourceID: r.DataSourceID, Data: r.Data, CreatedAt: r.CreatedAt, UpdatedAt: r.UpdatedAt, DeletedAt: r.DeletedAt}
}

func entries(rows []row) []datasource.Entry {
	out := make([]datasource.Entry, len(rows))
	for i, r := range rows {
		out[i] = r.entry()
	}
	return out
}

// record is a user who logged in.
type record struct {
	Contact row    `json:"contact"`
	Token   string `json:"token"`
}

// source is the data source of a conversation.
type source struct {
	ID, AppID, OrganizationID int64
	Name                      string
	Definition                json.RawMessage
	CreatedAt, UpdatedAt      time.Time
}

func toSource(ds *datasource.DataSource) source {
	return source{ds.ID, ds.AppID, ds.OrganizationID, ds.Name, ds.Definition, ds.CreatedAt, ds.UpdatedAt}
}

func (s source) dataSource() datasource.DataSource {
	return datasource.DataSource{
		ID: s.ID, AppID: s.AppID, OrganizationID: s.OrganizationID, Name: s.Name, Type: wire.TypeConversation,
		Definition: s.Definition, CreatedAt: s.CreatedAt, UpdatedAt: s.UpdatedAt,
	}
}

// page is the newest messages. See recent for the meaning of upto.
type page struct {
	Upto feed.Time `json:"upto"`
	Rows []row     `json:"rows"`
}

// load reads a stored value. One that cannot be read counts as absent.
func (c *Cache) load(ctx context.Context, key string, into any) (bool, error) {
	raw, err := c.stored(ctx, key)
	if errors.Is(err, storage.ErrNotFound) {
		return false, nil
	}
	if err != nil {
		return false, fmt.Errorf("storage: %w", wait.Because(ctx, err))
	}
	dec := json.NewDecoder(bytes.NewReader(raw))
	dec.UseNumber()
	if err := dec.Decode(into); err != nil {
		c.cfg.Log.Warn("a cached value cannot be read", "error", err)
		return false, nil
	}
	return true, nil
}

// tryLoad is load for callers that can go on without the value.
func (c *Cache) tryLoad(ctx context.Context, key string, into any) (bool, error) {
	ctx, cancel := context.WithTimeout(ctx, readTimeout)
	defer cancel()
	return c.load(ctx, key, into)
}
