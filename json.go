package chat

import (
	"bytes"
	"encoding/json"
	"time"

	"github.com/fliplet/fliplet-chat-go/internal/wire"
)

// rowJSON is a row as the JavaScript API returns it. deletedAt is written even when
// null: Fliplet's widget ignores a message without it.
type rowJSON struct {
	ID           int64   `json:"id"`
	DataSourceID int64   `json:"dataSourceId"`
	Data         M       `json:"data"`
	CreatedAt    *string `json:"createdAt"`
	UpdatedAt    *string `json:"updatedAt"`
	DeletedAt    *string `json:"deletedAt"`
}

// timestamp formats a time as the API does, nil for the zero time.
func timestamp(t time.Time) *string {
	if t.IsZero() {
		return nil
	}
	return new(wire.Timestamp(t))
}

// unmarshal reads JSON with exact numbers.
func unmarshal(raw []byte, into any) error {
	dec := json.NewDecoder(bytes.NewReader(raw))
	dec.UseNumber()
	return dec.Decode(into)
}
