package chat

import (
	"encoding/base64"
	"encoding/json"
	"maps"
	"strings"
	"unicode/utf8"

	"github.com/fliplet/fliplet-chat-go/internal/outbox"
	"github.com/fliplet/fliplet-chat-go/internal/upload"
	"github.com/fliplet/fliplet-chat-go/internal/wire"
)

// checkDraft refuses before any request a draft that cannot be sent.
func (c *Chat) checkDraft(conversationID int64, d *Draft) error {
	if err := d.check(conversationID); err != nil {
		return err
	}
	if err := c.made(); err != nil {
		return err
	}
	if c.opts.Outbox != nil {
		if err := c.checkQueued(d); err != nil {
			return err
		}
	}
	sealed := c.sealedSize(len(d.Body))
	if len(d.Data) == 0 && !largeDraft(sealed, d.Files) {
		return nil
	}
	row := make(M, len(d.Data)+3)
	maps.Copy(row, d.Data)
	if row[wire.Body] = d.Body; sealed > len(d.Body) {
		row[wire.Body] = strings.Repeat("x", sealed)
	}
	urls := make([]string, 0, len(d.Files))
	for _, f := range d.Files {
		if !wire.IsDataURL(f.URL) {
			urls = append(urls, f.URL+f.Name)
		}
	}
	row[wire.File] = urls
	row[""] = strings.Repeat("x", ownColumns) // for what is added
	return c.checkSize(d, row)
}

// ownColumns is more than the columns of a message take beside its body and files.
const ownColumns = 1 << 10

// sealedSize is what a body has at most when it is stored.
func (c *Chat) sealedSize(n int) int {
	if n == 0 || c.writes() == Plain {
		return n
	}
	return (n+64)*4/3 + 256 // of base64, with what the formats put around it
}

// check refuses a draft that cannot be sent.
func (d *Draft) check(conversationID int64) error {
	if conversationID <= 0 {
		return invalid("conversationID: %d is not the id of a conversation", conversationID)
	}
	if err := d.checkText(); err != nil {
		return err
	}
	for i, f := range d.Files {
		if err := upload.File(f).Check(); err != nil {
			return invalid("Draft.Files[%d]: %v", i, err)
		}
	}
	return nil
}

// checkText is check for all but the files.
func (d *Draft) checkText() error {
	if d.Body == "" && len(d.Files) == 0 && len(d.Data) == 0 {
		return invalid("Draft: empty; give it a Body, Files or Data")
	}
	if !utf8.ValidString(d.Body) {
		return invalid("Draft.Body: not UTF-8 text")
	}
	if len(d.GUID) > 255 || !utf8.ValidString(d.GUID) || strings.ContainsFunc(d.GUID, func(r rune) bool { return r < ' ' }) {
		return invalid("Draft.GUID: want at most 255 bytes of UTF-8 without control characters, such as a UUID")
	}
	for _, column := range []string{wire.Body, wire.File, wire.FileParts, wire.GUID, wire.From, wire.UserToken, wire.FileSchema, wire.SealedFiles} {
		if _, ok := d.Data[column]; ok {
			return invalid("Draft.Data: column %q is the message's own; use the fields of Draft", column)
		}
	}
	if err := wire.CheckColumns(d.Data); err != nil {
		return invalid("Draft.Data: %v", err)
	}
	return nil
}

// smallDraft is the size up to which text breaks no limit.
const smallDraft = 16 << 10

// largeDraft reports whether the text of a message may break a limit.
func largeDraft(body int, files []File) bool {
	for _, f := range files {
		body += len(f.URL) + len(f.Name)
	}
	return body > smallDraft
}

// checkSize refuses the row of a draft that nobody could read again. The server stores it, and what it answers would
// be an error that leaves open whether it did.
func (c *Chat) checkSize(d *Draft, row M) error {
	err := c.client.CheckLimits(row)
	switch {
	case err == nil:
		return nil
	case c.client.CheckLimits(d.Data) != nil:
		return invalid("Draft.Data: %w", err)
	case c.client.CheckLimits(M{wire.Body: row[wire.Body]}) != nil:
		return invalid("Draft.Body: %w", err)
	}
	return invalid("Draft: %w", err)
}

// checkQueued refuses what cannot wait in the outbox.
func (c *Chat) checkQueued(d *Draft) error {
	size := c.sealedSize(len(d.Body))
	for i, f := range d.Files {
		content := len(f.Content)
		if wire.IsDataURL(f.URL) {
			content = len(f.URL) * 3 / 4
		}
		switch {
		case f.Reader != nil:
			return invalid("Draft.Files[%d]: a Reader cannot wait in the outbox; give Content, or the URL of a file that is uploaded", i)
		case content > 0 && c.opts.EncryptMessages && !c.sealsFiles():
			return invalid("Draft.Files[%d]: content would lie in Storage unsealed while it waits in the outbox; give the URL of a file that is uploaded", i)
		}
		size += base64.StdEncoding.EncodedLen(content) + len(f.Name) + len(f.URL)
	}
	if len(d.Data) > 0 {
		raw, err := json.Marshal(d.Data)
		if err != nil {
			return invalid("Draft.Data: %v", err)
		}
		size += len(raw)
	}
	if size += ownColumns; size > outbox.MaxRecord {
		return invalid("Draft: %d bytes with its files; the outbox stores at most %d, so upload large files first and give their URLs", size, outbox.MaxRecord)
	}
	return nil
}
