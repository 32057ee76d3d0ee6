package chathttp

import (
	"context"
	"encoding/json"
	"fmt"
	"io"
	"net/http"
	"net/url"
	"path"
	"strconv"
	"strings"

	chat "github.com/fliplet/fliplet-chat-go"
)

// show replaces the addresses of a message's files by references to the handler. The
// message is the handler's own.
func (h *Handler) show(m *chat.Message) {
	if m == nil || len(m.Files) == 0 || h.opts.FileURLs {
		return
	}
	refs := make([]string, len(m.Files))
	for i := range refs {
		refs[i] = fmt.Sprintf("file/%d/%d/%d", m.ConversationID, m.ID, i)
	}
	m.Data["file"] = refs
}

// messageJSON is a message for a page.
func (h *Handler) messageJSON(m *chat.Message) ([]byte, error) {
	h.show(m)
	return json.Marshal(m)
}

func (q *request) shown(m *chat.Message, err error) (any, error) {
	q.h.show(m)
	return m, err
}

func (q *request) shownAll(found []*chat.Message, err error) (any, error) {
	for _, m := range found {
		q.h.show(m)
	}
	return list(found, err)
}

// reference is a file of a message.
type reference struct {
	conversation, message int64
	index                 int
}

// readReference reads a reference that show has made.
func readReference(parts []string) (ref reference, ok bool) {
	if len(parts) != 3 {
		return ref, false
	}
	var err [3]error
	ref.conversation, err[0] = strconv.ParseInt(parts[0], 10, 64)
	ref.message, err[1] = strconv.ParseInt(parts[1], 10, 64)
	ref.index, err[2] = strconv.Atoi(parts[2])
	return ref, err == [3]error{} && ref.conversation > 0 && ref.message > 0 && ref.index >= 0
}

// find reads the message of a reference, as the user may.
func (q *request) find(ctx context.Context, ref reference) (*chat.Message, error) {
	conv, err := q.chat().Conversation(ctx, ref.conversation)
	if err != nil {
		return nil, err
	}
	m, err := conv.Messages().Get(ctx, ref.message)
	if err != nil {
		return nil, err
	}
	if ref.index >= len(m.Files) {
		return nil, chat.ErrNotFound
	}
	return m, nil
}

// file serves file/{conversation}/{message}/{n}.
func (q *request) file(parts []string) error {
	ref, ok := readReference(parts)
	if !ok {
		return refusal(http.StatusNotFound, "no such file")
	}
	if err := q.allowed("file"); err != nil {
		return err
	}
	m, err := q.find(q.r.Context(), ref)
	if err != nil {
		return err
	}
	q.w.Header().Del("Cache-Control")
	q.chat().ServeFile(q.w, q.r, m, ref.index)
	return nil
}

// refersTo reads what a page gives as a file: a reference, or anything else.
func refersTo(s string) (ref reference, is bool, err error) {
	rest, is := strings.CutPrefix(s, "file/")
	if !is {
		return ref, false, nil
	}
	ref, ok := readReference(strings.Split(rest, "/"))
	if !ok {
		return ref, true, badArgument("file: %q is no file of a message", clip(s))
	}
	return ref, true, nil
}

// resend makes a file of a message one of another message. It is uploaded anew, since
// a private or sealed file opens in its own message only.
func (q *request) resend(ctx context.Context, ref reference, spool *spool) (chat.File, error) {
	m, err := q.find(ctx, ref)
	if err != nil {
		return chat.File{}, err
	}
	f, err := spool.create()
	if err != nil {
		return chat.File{}, err
	}
	kind, n, err := q.chat().Download(ctx, m, ref.index, &limited{f, q.h.opts.MaxUpload})
	if err != nil {
		return chat.File{}, err
	}
	return spool.file(f, chat.File{Name: nameOf(m.Files[ref.index]), ContentType: kind, Size: n})
}

// nameOf is the name at the end of an address; "" without an extension.
func nameOf(address string) string {
	u, err := url.Parse(address)
	if err != nil || path.Ext(u.Path) == "" {
		return ""
	}
	return path.Base(u.Path)
}

// limited is a Writer that refuses more than so many bytes.
type limited struct {
	w    io.Writer
	left int64
}

func (l *limited) Write(b []byte) (int, error) {
	if l.left -= int64(len(b)); l.left < 0 {
		return 0, errPartTooLarge
	}
	return l.w.Write(b)
}
