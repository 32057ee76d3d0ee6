package chathttp

import (
	"context"
	"encoding/json"
	"fmt"
	"net/http"
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
func (q *request) file(path []string) error {
	ref, ok := readReference(path)
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

// original is the address behind a reference; what is none stays.
func (q *request) original(ctx context.Context, s string) (string, error) {
	rest, ok := strings.CutPrefix(s, "file/")
	if !ok {
		return s, nil
	}
	ref, ok := readReference(strings.Split(rest, "/"))
	if !ok {
		return "", badArgument("file: %q is no file of a message", clip(s))
	}
	m, err := q.find(ctx, ref)
	if err != nil {
		return "", err
	}
	return m.Files[ref.index], nil
}
