package archive

import (
	"context"
	"crypto/sha256"
	"database/sql"
	"encoding/hex"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net/url"
	"os"
	"path"
	"path/filepath"
	"slices"
	"strconv"
	"strings"

	chat "github.com/fliplet/fliplet-chat-go"
	"github.com/fliplet/fliplet-chat-go/datasource"
)

// partSize is how much of a file is in one row, so that none has to be in memory as a whole.
const partSize = 256 << 10

// File is what an archive knows about an attachment.
type File struct {
	Index  int    `json:"index"` // in the list of the message's files
	SHA256 string `json:"sha256,omitempty"`
	Size   int64  `json:"size"`
	Type   string `json:"type,omitempty"`
	Name   string `json:"name,omitempty"`
	// URL is where it came from, and Missing why it is not here.
	URL     string `json:"-"`
	Missing string `json:"-"`
}

// filesDone is up to which record the attachments are here.
const filesDone = "filesDone"

// attachments fetches the files of the records that were written since the last time.
func (e *exporter) attachments(ctx context.Context) error {
	if e.NoFiles {
		return nil
	}
	var done int64
	err := e.store.DB().QueryRowContext(ctx, `SELECT value FROM meta WHERE name = ?`, filesDone).Scan(&done)
	if err != nil && !errors.Is(err, sql.ErrNoRows) {
		return fileError{err}
	}
	e.phase(Attachments)
	var total int64
	if err := e.store.DB().QueryRowContext(ctx, `SELECT coalesce(sum(json_array_length(files)), 0) FROM records WHERE files <> '' AND seq > ?`, done).Scan(&total); err != nil {
		return fileError{err}
	}
	e.total.Store(total)
	for {
		var r Record
		err := r.scan(e.store.DB().QueryRowContext(ctx, `SELECT `+columns+` FROM records WHERE files <> '' AND seq > ? ORDER BY seq LIMIT 1`, done))
		if errors.Is(err, sql.ErrNoRows) {
			return nil
		}
		if err != nil {
			return fileError{err}
		}
		if err := e.filesOf(ctx, &r); err != nil {
			return err
		}
		done = r.Seq
	}
}

// filesOf fetches the files of one version of a message.
func (e *exporter) filesOf(ctx context.Context, r *Record) error {
	m, err := r.message()
	if err != nil {
		return fileError{err}
	}
	for i, from := range m.Files {
		var n int
		if err := e.store.DB().QueryRowContext(ctx, `SELECT count(*) FROM records WHERE item = ? AND kind = 'file' AND body = ?`, r.Item, from).Scan(&n); err != nil {
			return fileError{err}
		}
		if n > 0 {
			e.files.Add(1)
			continue
		}
		if err := e.fetch(ctx, r, m, i); err != nil {
			return err
		}
		e.files.Add(1)
		e.tell()
	}
	return e.update(ctx, func(ctx context.Context, tx execer) error { return setDone(ctx, tx, r.Seq) })
}

func setDone(ctx context.Context, tx execer, seq int64) error {
	if err := setMeta(ctx, tx, filesDone, strconv.FormatInt(seq, 10)); err != nil {
		return err
	}
	return sign(ctx, tx)
}

// fetch reads a file into the archive, or notes why it is missing. An error says that it may
// be had later.
func (e *exporter) fetch(ctx context.Context, r *Record, m *chat.Message, i int) error {
	temp, err := os.CreateTemp(filepath.Dir(e.Path), partOf(e.Path))
	if err != nil {
		return fileError{err}
	}
	defer func() {
		_ = temp.Close()
		_ = os.Remove(temp.Name())
	}()
	sum := sha256.New()
	out := &counted{w: io.MultiWriter(temp, sum)}
	kind, size, err := e.chat.Download(ctx, m, i, out)
	f := File{Index: i, Size: size, Type: kind, Name: nameOf(m.Files[i])}
	record := &Record{Kind: KindFile, Chain: r.Chain, Item: r.Item, Created: r.Created, At: r.At, Body: m.Files[i]}
	switch {
	case out.err != nil:
		return fileError{out.err}
	case err == nil:
		f.SHA256 = hex.EncodeToString(sum.Sum(nil))
	case lost(err):
		f.Size, f.Type, record.Note = 0, "", reason(err)
		e.missing.Add(1)
	default:
		return fmt.Errorf("attachment %d of message %d: %w", i, r.Item, err)
	}
	if record.Columns, err = encode(f); err != nil {
		return fileError{err}
	}
	return e.update(ctx, func(ctx context.Context, tx execer) error {
		if f.SHA256 != "" {
			if err := storeBlob(ctx, tx, f.SHA256, temp); err != nil {
				return err
			}
		}
		e.size.Add(f.Size)
		return e.wrote(record)(true, appendRecord(ctx, tx, record))
	})
}

// partOf is what files are called that are being fetched.
func partOf(path string) string { return "." + filepath.Base(path) + ".part-*" }

// sweep removes what an export that was killed has left. The archive is locked.
func sweep(path string) {
	left, _ := filepath.Glob(filepath.Join(filepath.Dir(path), partOf(path))) // a pattern that is none finds nothing
	for _, name := range left {
		_ = os.Remove(name)
	}
}

// counted notes errors of writing, which are not those of the download.
type counted struct {
	w   io.Writer
	err error
}

func (c *counted) Write(p []byte) (int, error) {
	n, err := c.w.Write(p)
	if err != nil {
		c.err = err
	}
	return n, err
}

// lost reports whether a file cannot be had later, either.
func lost(err error) bool {
	if datasource.Temporary(err) || errors.Is(err, chat.ErrOffline) || errors.Is(err, context.Canceled) || errors.Is(err, chat.ErrClosed) || errors.Is(err, datasource.ErrUnauthorized) {
		return false
	}
	for _, known := range []error{datasource.ErrFileRefused, datasource.ErrAccessDenied, datasource.ErrForbidden, datasource.ErrNotFound, chat.ErrNotFound, chat.ErrTampered, chat.ErrUnreadable, chat.ErrInvalid} {
		if errors.Is(err, known) {
			return true
		}
	}
	var answer *datasource.Error
	return errors.As(err, &answer) && answer.StatusCode >= 400 && answer.StatusCode < 500
}

// reason is why a file is missing, the same for the same cause.
func reason(err error) string {
	switch {
	case errors.Is(err, datasource.ErrFileRefused):
		return "its host is not Fliplet's, so it was not asked"
	case errors.Is(err, datasource.ErrNotFound), errors.Is(err, chat.ErrNotFound):
		return "not found"
	case errors.Is(err, chat.ErrTampered):
		return "it was changed after it was sealed"
	}
	return "the service does not give it"
}

// nameOf is the name of a file at an address.
func nameOf(address string) string {
	u, err := url.Parse(address)
	if err != nil || u.Path == "" || strings.HasSuffix(u.Path, "/") {
		return ""
	}
	return path.Base(u.Path)
}

// storeBlob stores the content of a file, unless it is there already.
func storeBlob(ctx context.Context, tx execer, hash string, file io.ReadSeeker) error {
	var n int
	if err := tx.QueryRowContext(ctx, `SELECT count(*) FROM blobs WHERE hash = ?`, hash).Scan(&n); err != nil || n > 0 {
		return err
	}
	if _, err := file.Seek(0, io.SeekStart); err != nil {
		return err
	}
	part := make([]byte, partSize)
	for i := 0; ; i++ {
		n, err := io.ReadFull(file, part)
		if n > 0 || i == 0 {
			if _, err := tx.ExecContext(ctx, `INSERT INTO blobs VALUES (?, ?, ?)`, hash, i, part[:n:n]); err != nil {
				return err
			}
		}
		if errors.Is(err, io.EOF) || errors.Is(err, io.ErrUnexpectedEOF) {
			return nil
		}
		if err != nil {
			return err
		}
	}
}

// message is a record as a message.
func (r *Record) message() (*chat.Message, error) {
	m := &chat.Message{ID: r.Item, ConversationID: r.Chain, GUID: r.GUID, Body: r.Body, FromUserID: r.Author, Data: chat.M{}}
	if r.Columns != "" {
		d := json.NewDecoder(strings.NewReader(r.Columns))
		d.UseNumber()
		if err := d.Decode(&m.Data); err != nil {
			return nil, err
		}
	}
	var err error
	if m.ReadBy, err = texts(r.Readers); err != nil {
		return nil, err
	}
	if m.Files, err = texts(r.Files); err != nil {
		return nil, err
	}
	m.Data["guid"], m.Data["fromUserId"] = r.GUID, r.Author
	if len(m.Files) > 0 {
		files := make([]any, len(m.Files))
		for i, f := range m.Files {
			files[i] = f
		}
		m.Data["file"] = files
	}
	if strings.Contains(r.Note, chat.ErrTampered.Error()) {
		m.Err = chat.ErrTampered
	}
	return m, nil
}

// texts reads a list of texts.
func texts(raw string) (list []string, err error) {
	if raw == "" {
		return nil, nil
	}
	err = json.Unmarshal([]byte(raw), &list)
	return slices.Clip(list), err
}
