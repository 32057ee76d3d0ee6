package chat

import (
	"context"
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"fmt"
	"io"
	"net/http"

	"github.com/fliplet/fliplet-chat-go/datasource"
	"github.com/fliplet/fliplet-chat-go/internal/serve"
	"github.com/fliplet/fliplet-chat-go/internal/wire"
)

// ServeFile answers a GET or HEAD with the attachment m.Files[i], as [Chat.Download]
// reads it: private and sealed files are opened here, and no key and no token is in any
// URL or header of the answer. Take m from a call of this package for the user whose
// request it is; see [Chat.FileHandler].
//
// Each answer downloads the file once, as far as it is needed, and streams it: a range
// downloads what is before it, too. Several ranges in one request, and ranges of a file
// whose size the server does not tell, get the whole file. A browser keeps a private copy
// and asks each time whether it may use it, which downloads nothing; the content behind a
// URL is taken not to change.
//
// Pictures, sound, video and plain text are shown. Everything else is saved, as
// application/octet-stream or PDF: HTML, SVG and scripts never run in the page's origin.
//
// Errors are answered with the text of a status only, and logged: 404 for no such file or
// [ErrNotFound], 403 for an address or key that is refused, 503 without login or network
// slots, 502 for everything else, such as [ErrTampered]. What goes wrong after the first
// bytes breaks the connection off.
func (c *Chat) ServeFile(w http.ResponseWriter, r *http.Request, m *Message, i int) {
	if !serve.Allowed(w, r) {
		return
	}
	failed := func(err error) {
		if c.made() == nil {
			c.log.Warn("a file is not served", "error", err)
		}
	}
	ctx, list, end, err := c.enterFile(r.Context(), m, i)
	if err != nil {
		serve.Refuse(w, fileStatus(err))
		failed(err)
		return
	}
	defer end()
	name, kind, err := list.Describe(m.Files, i)
	if err != nil {
		serve.Refuse(w, fileStatus(err))
		failed(err)
		return
	}
	tag := sha256.Sum256(fmt.Appendf(nil, "%d\x00%d\x00%q\x00%q\x00%s", m.ConversationID, i, wire.Text(m.Data[wire.GUID]), m.Files[i], list))
	serve.Serve(w, r.WithContext(ctx), serve.File{
		Tag: hex.EncodeToString(tag[:16]), Name: name, Type: kind, Status: fileStatus, Failed: failed,
		Fetch: func(ctx context.Context, w io.Writer, progress func(got, total int64)) error {
			_, _, err := c.Download(ctx, m, i, w, Progress(progress))
			return err
		},
	})
}

// FileHandler serves the attachments that find names: a message, such as one of
// [ConversationMessages.Get], and the number of its file. find says who may see what; a
// message from the page itself is not to be trusted. An error of find is answered like
// those of [Chat.ServeFile].
func (c *Chat) FileHandler(find func(*http.Request) (*Message, int, error)) http.Handler {
	if find == nil && c.made() == nil {
		c.alarm(false).Error("FileHandler: find is nil, so there is no file; give a function")
	}
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if !serve.Allowed(w, r) {
			return
		}
		if find == nil || c.made() != nil {
			serve.Refuse(w, http.StatusNotFound)
			return
		}
		m, i, err := find(r)
		if err != nil {
			serve.Refuse(w, fileStatus(err))
			c.log.Warn("a file is not found", "error", err)
			return
		}
		c.ServeFile(w, r, m, i)
	})
}

// fileStatus is the HTTP status of an error of a file.
func fileStatus(err error) int {
	switch {
	case errors.Is(err, ErrNotFound), errors.Is(err, ErrInvalid):
		return http.StatusNotFound
	case errors.Is(err, datasource.ErrFileRefused), errors.Is(err, datasource.ErrAccessDenied):
		return http.StatusForbidden
	case errors.Is(err, ErrNotLoggedIn), errors.Is(err, ErrClosed), errors.Is(err, datasource.ErrRateLimited):
		return http.StatusServiceUnavailable
	}
	return http.StatusBadGateway
}
