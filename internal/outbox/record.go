package outbox

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"time"

	"github.com/fliplet/fliplet-chat-go/datasource"
	"github.com/fliplet/fliplet-chat-go/internal/wire"
)

// MaxRecord bounds a stored message; see [storage.Store].
const MaxRecord = 1 << 20

// Record is a message as it is stored: the row as it goes on the wire.
type Record struct {
	Version      int          `json:"version"`
	GUID         string       `json:"guid"`
	Conversation int64        `json:"conversation"`
	QueuedAt     time.Time    `json:"queuedAt"`
	Data         datasource.M `json:"data"`
	Files        []FilePart   `json:"files,omitempty"`

	raw []byte // what is stored, until it is
}

// FilePart is a file that is uploaded with a message.
type FilePart struct {
	Field       string `json:"field"`
	Filename    string `json:"filename"`
	ContentType string `json:"contentType,omitempty"`
	Content     []byte `json:"content"`
}

// NewRecord is the record of a row. The content of its files must be at hand.
func NewRecord(conversation int64, w datasource.Write) (Record, error) {
	rec := Record{Version: 1, GUID: wire.Text(w.Data[wire.GUID]), Conversation: conversation, QueuedAt: time.Now().UTC(), Data: w.Data}
	for _, p := range w.Files {
		rec.Files = append(rec.Files, FilePart{Field: p.Field, Filename: p.Filename, ContentType: p.ContentType, Content: p.Content})
	}
	raw, err := json.Marshal(rec)
	if err != nil {
		return Record{}, fmt.Errorf("it cannot be written as JSON: %w", err)
	}
	if len(raw) > MaxRecord {
		return Record{}, fmt.Errorf("%d bytes with its files; the outbox stores at most %d, so upload large files first and give their URLs", len(raw), MaxRecord)
	}
	// What is sent is what a later process would send: the stored form.
	if rec, err = parseRecord(raw); err != nil {
		return Record{}, err
	}
	rec.raw = raw
	return rec, nil
}

var errUnreadable = errors.New("not a message of a version that is known here")

// parseRecord reads a stored message with exact numbers.
func parseRecord(raw []byte) (rec Record, err error) {
	dec := json.NewDecoder(bytes.NewReader(raw))
	dec.UseNumber()
	if err := dec.Decode(&rec); err != nil {
		return Record{}, err
	}
	if rec.Version != 1 || rec.Conversation <= 0 || rec.GUID == "" {
		return Record{}, errUnreadable
	}
	return rec, nil
}

// Write is the row, and what is uploaded with it.
func (r *Record) Write() datasource.Write {
	w := datasource.Write{Data: r.Data}
	for _, f := range r.Files {
		w.Files = append(w.Files, datasource.Part{Field: f.Field, Filename: f.Filename, ContentType: f.ContentType, Content: f.Content})
	}
	return w
}
