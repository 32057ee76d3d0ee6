package chat

import (
	"context"
	"fmt"
	"io"
	"net/url"

	"github.com/fliplet/fliplet-chat-go/internal/wire"
)

// DownloadOption changes a [Chat.Download].
type DownloadOption interface{ applyDownload(*downloadOptions) }

type downloadOptions struct{ progress func(got, total int64) }

type progressOption func(got, total int64)

func (o progressOption) applyDownload(d *downloadOptions) { d.progress = o }

// Progress is called while a [Chat.Download] runs, on its goroutine, with the bytes
// written so far and how many there are, -1 when the server does not say.
func Progress(fn func(got, total int64)) DownloadOption { return progressOption(fn) }

// Download writes the attachment m.Files[i] to w and returns its content type and
// size.
//
// An attachment that was uploaded by an encrypting chat is private: the server
// wants the conversation's key with the request. That key and the token go to
// Fliplet's own hosts only. Any other host gets a plain request, and since a
// message can name any address, a program that must not reach internal hosts has
// to check the URL itself. There is no limit on the size: let w have one.
//
// Until the first byte is written a failed download is repeated; afterwards w may
// hold a part of the file.
//
// Errors: [ErrInvalid] for a message without such a file or a nil w; [ErrNotFound];
// [ErrNotLoggedIn]; [ErrClosed]. A [datasource.Error] that matches
// [datasource.ErrAccessDenied] when the server does not accept the key.
func (c *Chat) Download(ctx context.Context, m *Message, i int, w io.Writer, opts ...DownloadOption) (contentType string, n int64, err error) {
	defer wrap("download", &err)
	switch {
	case m == nil:
		return "", 0, invalid("m: nil")
	case i < 0 || i >= len(m.Files):
		return "", 0, invalid("i: the message has %d files, there is no number %d", len(m.Files), i)
	case w == nil:
		return "", 0, invalid("w: nil; give io.Discard to throw the file away")
	}
	var o downloadOptions
	for _, opt := range opts {
		opt.applyDownload(&o)
	}
	ctx, _, end, err := c.enter(ctx)
	if err != nil {
		return "", 0, err
	}
	defer end()
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
		key, err := c.keys().Key(ctx, m.ConversationID)
		if err != nil {
			return "", 0, fmt.Errorf("key of conversation %d: %w", m.ConversationID, err)
		}
		extra = wire.DownloadKey(key)
	}
	contentType, n, err = c.client.Download(ctx, file, extra, w, o.progress)
	return contentType, n, missing(err, "file of message", m.ID)
}
