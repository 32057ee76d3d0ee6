package chat

import (
	"encoding/json"
	"time"

	"github.com/fliplet/fliplet-chat-go/datasource"
	"github.com/fliplet/fliplet-chat-go/internal/wire"
)

// maxRecord bounds a stored message; see storage.Store.
const maxRecord = 1 << 20

// record is a message in Storage: the row as it goes on the wire.
type record struct {
	Version      int        `json:"version"`
	GUID         string     `json:"guid"`
	Conversation int64      `json:"conversation"`
	QueuedAt     time.Time  `json:"queuedAt"`
	Data         M          `json:"data"`
	Files        []filePart `json:"files,omitempty"`
}

type filePart struct {
	Field       string `json:"field"`
	Filename    string `json:"filename"`
	ContentType string `json:"contentType,omitempty"`
	Content     []byte `json:"content"`
}

func (r *record) write() datasource.Write {
	w := datasource.Write{Data: r.Data}
	for _, f := range r.Files {
		w.Files = append(w.Files, datasource.Part{Field: f.Field, Filename: f.Filename, ContentType: f.ContentType, Content: f.Content})
	}
	return w
}

// newRecord is a row as it is stored, and the JSON of it.
func newRecord(conversationID int64, w datasource.Write, sealed bool) (*record, []byte, error) {
	rec := &record{Version: 1, GUID: wire.Text(w.Data[wire.GUID]), Conversation: conversationID, QueuedAt: time.Now().UTC(), Data: w.Data}
	for _, p := range w.Files {
		switch {
		case p.Content == nil:
			return nil, nil, invalid("Draft.Files: a Reader cannot wait in the outbox; give Content, or the URL of a file that is uploaded")
		case sealed:
			return nil, nil, invalid("Draft.Files: content would lie in Storage unsealed while it waits in the outbox; give the URL of a file that is uploaded")
		}
		rec.Files = append(rec.Files, filePart{Field: p.Field, Filename: p.Filename, ContentType: p.ContentType, Content: p.Content})
	}
	raw, err := json.Marshal(rec)
	if err != nil {
		return nil, nil, invalid("Draft.Data: cannot be written as JSON: %v", err)
	}
	if len(raw) > maxRecord {
		return nil, nil, invalid("Draft: %d bytes with its files; the outbox stores at most %d, so upload large files first and give their URLs", len(raw), maxRecord)
	}
	// What is sent is what a later process would send: the stored form.
	rec = &record{}
	if err := unmarshal(raw, rec); err != nil {
		return nil, nil, err
	}
	return rec, raw, nil
}
