package chat

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"io"
	"net/url"

	"github.com/fliplet/fliplet-chat-go/datasource"
	"github.com/fliplet/fliplet-chat-go/internal/bodies"
	"github.com/fliplet/fliplet-chat-go/internal/envelope"
	"github.com/fliplet/fliplet-chat-go/internal/upload"
	"github.com/fliplet/fliplet-chat-go/internal/wire"
)

// File is an attachment: a URL, or content to upload.
//
// A URL is stored as it is. The exception is a data URL, such as
// "data:image/png;base64,…": its content is uploaded like Content. One that cannot be
// read is refused.
type File struct {
	// URL, Content and Reader are alternatives: set exactly one of them.
	URL string
	// Name is the file's name. The server takes the file's type from its extension.
	// Default: "file" with the extension of ContentType.
	Name string
	// ContentType is the media type. Default: derived from Name, or else from the
	// content.
	ContentType string
	// Content is the file's bytes.
	Content []byte
	// Reader yields the file, which is streamed rather than held in memory. It is
	// not closed. When the server refuses the chat token, the upload is repeated
	// after a new login, but only if Reader is an io.Seeker.
	Reader io.Reader
	// Size is how many bytes Reader yields; 0 when unknown.
	Size int64
}

// attach adds the files of a draft to its row: URLs are stored as they are,
// content is uploaded with the row.
func (c *Chat) attach(ctx context.Context, conversationID int64, row M, d *Draft) (datasource.Write, error) {
	files := upload.Files{Row: row, Seal: c.sealsFiles(), ConversationID: conversationID, GUID: wire.Text(row[wire.GUID])}
	for i, f := range d.Files {
		var private bool
		var err error
		if f.URL, private, err = c.storedURL(ctx, conversationID, f.URL); err != nil {
			return datasource.Write{}, fmt.Errorf("Draft.Files[%d]: %w", i, err)
		}
		if private {
			row[wire.PrivateMedia] = true
		}
		if err := files.Add(ctx, upload.File(f)); err != nil {
			return datasource.Write{}, cmp.Or(context.Cause(ctx), fmt.Errorf("Draft.Files[%d]: %w", i, err)) // it can be read no more
		}
	}
	if files.Seal && len(d.Files) > 0 {
		if err := c.sealFiles(ctx, &datasource.Entry{DataSourceID: conversationID, Data: row}, files.List, row); err != nil {
			return datasource.Write{}, err
		}
	}
	switch private := c.opts.EncryptMessages || wire.Bool(row[wire.PrivateMedia]); {
	case files.Seal && len(files.Parts) == len(d.Files):
		delete(row, wire.PrivateMedia) // no file needs the conversation's key
	case len(files.Parts) > 0 && private && !files.Seal:
		key, err := c.pins.KeyToWrite(ctx, conversationID)
		if err != nil {
			return datasource.Write{}, fmt.Errorf("key of conversation %d: %w", conversationID, err)
		}
		row[wire.PrivateMedia], row[wire.FileSchema] = true, wire.FileKey(key)
	}
	return files.Write(d.Progress), nil
}

// sealsFiles reports whether files are encrypted before they are uploaded. With the
// conversation's own key the server does that, as for Fliplet's widgets; a key of the
// caller's own must not leave the process.
func (c *Chat) sealsFiles() bool {
	return c.opts.EncryptMessages && (c.opts.Keys != nil || c.opts.Cipher != nil)
}

// filesBinding is what the list of a row's files is sealed to. It differs from the
// body's, so that neither can take the place of the other.
func filesBinding(row *datasource.Entry) envelope.Binding {
	at := binding(row)
	at.GUID += "\x00files"
	return at
}

// sealFiles puts a list of files into a patch of row.
func (c *Chat) sealFiles(ctx context.Context, row *datasource.Entry, list upload.List, patch M) (err error) {
	patch[wire.SealedFiles], err = c.bodies.Seal(ctx, filesBinding(row), list.String())
	return err
}

// sealedFiles opens the list of a row's files, nil if it has none.
func (c *Chat) sealedFiles(ctx context.Context, row *datasource.Entry) (upload.List, error) {
	if row.Data[wire.SealedFiles] == nil {
		if c.sealsFiles() && c.opts.MinProtection > Plain {
			return nil, ErrUnprotected
		}
		return nil, nil
	}
	list, _, err := openFiles(ctx, &c.bodies, row)
	return list, err
}

// openFiles is sealedFiles of a row that has a list, and says how that was protected.
func openFiles(ctx context.Context, b *bodies.Bodies, row *datasource.Entry) (upload.List, bodies.Protection, error) {
	stored := row.Data[wire.SealedFiles]
	text, had, err := b.Open(ctx, filesBinding(row), stored)
	if err == nil && text == wire.Text(stored) {
		err = fmt.Errorf("%w: %w", ErrUnreadable, ErrUnprotected) // anybody who writes rows can write that
	}
	if err != nil {
		return nil, had, err
	}
	list, err := upload.ParseList(text)
	if err != nil {
		return nil, had, fmt.Errorf("%w: %w: %w", ErrUnreadable, ErrTampered, err)
	}
	return list, had, nil
}

// DownloadOption changes a [Chat.Download].
type DownloadOption interface{ applyDownload(*downloadOptions) }

type downloadOptions struct{ progress func(got, total int64) }

type progressOption func(got, total int64)

func (o progressOption) applyDownload(d *downloadOptions) { d.progress = o }

// Progress makes a [Chat.Download] call fn on its own goroutine with the number of
// bytes written so far and in total; total is -1 when the server does not send it.
func Progress(fn func(got, total int64)) DownloadOption { return progressOption(fn) }

// Download writes the attachment m.Files[i] to w and returns its content type and
// size in bytes. The size is not limited: w has to enforce a limit.
//
// With Options.Keys or Options.Cipher files are encrypted before they are uploaded, and
// decrypted here. Nothing is written to w that was not verified; a file that was
// changed, cut or moved ends with [ErrTampered], and w then has its verified beginning.
// A message whose Err is ErrTampered has no genuine files, so its are refused.
// Options.MinProtection refuses other files. Those of Fliplet's widgets are private: the
// server needs the conversation's own key with the request.
//
// That key and the token are sent to media of the API and of its own hosts only. A message can
// name any address, so all others are refused before any request, unless the client
// allows their host; see [datasource.Client.Download]. A failed download is retried until
// the first byte is written. After an error w may hold a part of the file.
//
// Errors: [ErrInvalid] for a message without such a file or a nil w; [ErrNotFound];
// [ErrNotLoggedIn]; [ErrClosed]; those of Message.Err. [datasource.ErrFileRefused] for an
// address that is not allowed, and [datasource.ErrAccessDenied] when the server does not
// accept the key.
func (c *Chat) Download(ctx context.Context, m *Message, i int, w io.Writer, opts ...DownloadOption) (contentType string, n int64, err error) {
	defer wrap("download", &err)
	if w == nil {
		return "", 0, invalid("w: nil; give io.Discard to throw the file away")
	}
	o := chosen(downloadOptions{}, opts, DownloadOption.applyDownload)
	ctx, list, end, err := c.enterFile(ctx, m, i)
	if err != nil {
		return "", 0, err
	}
	defer end()
	contentType, n, err = list.Open(m.Files, i, m.ConversationID, wire.Text(m.Data[wire.GUID]), w, o.progress,
		func(w io.Writer, progress func(got, total int64)) (string, int64, error) {
			return c.fetchFile(ctx, m, i, w, progress)
		})
	if errors.Is(err, envelope.ErrAuth) || errors.Is(err, upload.ErrNotListed) {
		err = fmt.Errorf("file %d: %w: %w", i, ErrTampered, err)
	}
	return contentType, n, err
}

// enterFile is enter for the file of a message, with the list that it may be in.
func (c *Chat) enterFile(ctx context.Context, m *Message, i int) (_ context.Context, _ upload.List, end func(), err error) {
	switch {
	case m == nil:
		return nil, nil, nil, invalid("m: nil")
	case i < 0 || i >= len(m.Files):
		return nil, nil, nil, invalid("i: the message has %d files, there is no number %d", len(m.Files), i)
	case errors.Is(m.Err, ErrTampered):
		return nil, nil, nil, fmt.Errorf("file %d: %w", i, m.Err) // a copy's file is a copy, too
	}
	ctx, s, end, err := c.enter(ctx)
	if err != nil {
		return nil, nil, nil, err
	}
	if m.ConversationID > 0 { // else the message was made by the caller
		err = s.roster.Check(ctx, m.ConversationID)
	}
	var list upload.List
	if err == nil {
		if list, err = c.sealedFiles(ctx, &datasource.Entry{DataSourceID: m.ConversationID, Data: m.Data}); err != nil {
			err = fmt.Errorf("file %d: %w", i, err)
		}
	}
	if err != nil {
		end()
		return nil, nil, nil, err
	}
	return ctx, list, end, nil
}

// showFileKeys appends the key to the URLs of a message's private files.
func (c *Chat) showFileKeys(ctx context.Context, m *Message) {
	key, err := c.pins.KeyToWrite(ctx, m.ConversationID)
	if err != nil {
		c.log.Warn("private files keep URLs without a key", "conversation", m.ConversationID, "message", m.ID, "error", err)
		return
	}
	m.Data[wire.File] = wire.EachFile(m.Data[wire.File], func(file string) string {
		if c.client.TakesExtra(file) {
			return wire.WithKey(file, key)
		}
		return file
	})
	m.Files = wire.Strings(m.Data[wire.File])
}

// storedURL undoes showFileKeys in a URL that is given back, so that no key is stored in a
// row. private says that there was one, and that the row has to say so.
//
// The file of another conversation stays under the key of that one, with which nobody
// here would ask for it. It is not read and stored anew: a URL may come from a page, and
// the token reads more than whoever is behind that.
func (c *Chat) storedURL(ctx context.Context, conversationID int64, file string) (stored string, private bool, err error) {
	if !c.client.TakesExtra(file) {
		return file, false, nil
	}
	stored, key, ok := wire.CutKey(file)
	switch {
	case !ok:
		return "", false, invalid("the query of the URL cannot be read")
	case key == "":
		return stored, false, nil
	}
	own, err := c.pins.KeyToWrite(ctx, conversationID)
	switch {
	case err != nil:
		return "", false, fmt.Errorf("key of conversation %d: %w", conversationID, err)
	case key != own:
		return "", false, invalid("a private file that is not under the key of conversation %d, such as one of another conversation; Download it and send its content", conversationID)
	}
	return stored, true, nil
}

// storedURLs is storedURL for the files of a patch.
func (c *Chat) storedURLs(ctx context.Context, conversationID int64, patch M) (err error) {
	file, has := patch[wire.File]
	if !has {
		return nil
	}
	patch[wire.File] = wire.EachFile(file, func(file string) string {
		stored, private, failed := c.storedURL(ctx, conversationID, file)
		if failed != nil {
			err = cmp.Or(err, fmt.Errorf("data: column %q: %w", wire.File, failed))
		}
		if private {
			patch[wire.PrivateMedia] = true
		}
		return stored
	})
	return err
}

// fetchFile writes an attachment to w as it is stored.
func (c *Chat) fetchFile(ctx context.Context, m *Message, i int, w io.Writer, progress func(got, total int64)) (string, int64, error) {
	file := m.Files[i]
	if wire.IsDataURL(file) { // some clients store small files in the row itself
		data, err := wire.ParseDataURL(file)
		if err != nil {
			return "", 0, fmt.Errorf("file %d: %w", i, err)
		}
		written, err := w.Write(data.Content)
		return data.ContentType, int64(written), err
	}
	var extra url.Values
	if wire.Bool(m.Data[wire.PrivateMedia]) {
		key, err := c.pins.KeyToWrite(ctx, m.ConversationID)
		if err != nil {
			return "", 0, fmt.Errorf("key of conversation %d: %w", m.ConversationID, err)
		}
		extra = wire.DownloadKey(key)
	}
	contentType, n, err := c.client.Download(ctx, file, extra, w, progress)
	if errors.Is(err, datasource.ErrNotFound) { // a host of files has words of its own for it
		err = fmt.Errorf("file of message %d: %w: %w", m.ID, ErrNotFound, err)
	}
	return contentType, n, err
}
