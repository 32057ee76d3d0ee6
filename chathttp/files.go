package chathttp

import (
	"context"
	"crypto/sha256"
	"encoding/hex"
	"fmt"
	"io"
	"net/http"
	"net/url"
	"path"
	"regexp"
	"slices"
	"strconv"
	"strings"
	"unicode"
	"unicode/utf8"

	chat "github.com/fliplet/fliplet-chat-go"
)

// show replaces the addresses of a message's files by references to the handler. The
// message is the handler's own.
func (u *user) show(h *Handler, m *chat.Message) {
	if m == nil || h.opts.FileURLs {
		return
	}
	u.keepFiles(m)
	if len(m.Files) == 0 {
		return
	}
	if m.Data == nil {
		m.Data = chat.M{}
	}
	refs := make([]string, len(m.Files))
	for i, address := range m.Files {
		refs[i] = fmt.Sprintf("file/%d/%d/%d-%s", m.ConversationID, m.ID, i, tagOf(address))
	}
	m.Data["file"] = refs
}

// tagOf tells the files of a message apart, also when an update has moved them.
func tagOf(address string) string {
	sum := sha256.Sum256([]byte(address))
	return hex.EncodeToString(sum[:8])
}

func (q *request) show(m *chat.Message) { q.user.show(q.h, m) }

func (q *request) shown(m *chat.Message, err error) (any, error) {
	q.show(m)
	return m, err
}

func (q *request) shownAll(found []*chat.Message, err error) (any, error) {
	for _, m := range found {
		q.show(m)
	}
	return list(found, err)
}

// reference is a file of a message.
type reference struct {
	conversation, message int64
	number                int    // the file's, when there was no other
	tag                   string // "" for whichever has the number
}

// in finds the file in its message.
func (ref reference) in(m *chat.Message) (i int, ok bool) {
	if ref.tag == "" {
		return ref.number, ref.number < len(m.Files)
	}
	i = slices.IndexFunc(m.Files, func(address string) bool { return tagOf(address) == ref.tag })
	return i, i >= 0
}

// readReference reads a reference that show has made.
func readReference(parts []string) (ref reference, ok bool) {
	if len(parts) != 3 {
		return ref, false
	}
	var err [3]error
	ref.conversation, err[0] = strconv.ParseInt(parts[0], 10, 64)
	ref.message, err[1] = strconv.ParseInt(parts[1], 10, 64)
	number, tag, _ := strings.Cut(parts[2], "-")
	ref.number, err[2] = strconv.Atoi(number)
	ref.tag = tag
	return ref, err == [3]error{} && ref.conversation > 0 && ref.message > 0 && ref.number >= 0
}

// find reads the message of a reference, as the user may, and finds the file in it.
func (q *request) find(ctx context.Context, ref reference) (m *chat.Message, i int, err error) {
	if m := q.user.keptFiles(ref.conversation, ref.message); m != nil && ref.tag != "" {
		if i, ok := ref.in(m); ok {
			return m, i, nil
		}
	}
	conv, err := q.chat().Conversation(ctx, ref.conversation)
	if err != nil {
		return nil, 0, err
	}
	if m, err = conv.Messages().Get(ctx, ref.message); err != nil {
		return nil, 0, err
	}
	i, ok := ref.in(m)
	if !ok {
		return nil, 0, chat.ErrNotFound
	}
	q.user.keepFiles(m)
	return m, i, nil
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
	m, i, err := q.find(q.r.Context(), ref)
	if err != nil {
		return err
	}
	q.w.Header().Del("Cache-Control")
	q.chat().ServeFile(q.w, q.r, m, i)
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

// errAddress refuses an address that a page gives as a file. The server would fetch it with its
// own rights, and serve it as a file of the page's message: it may read more than the page.
var errAddress = refusal(http.StatusForbidden,
	"file: pages may not give addresses; give a data URL, upload the file, or give what a message has in data.file, such as file/{conversation}/{message}/{n}")

// isDataURL reports whether a file is its own content, and no address.
func isDataURL(s string) bool { return len(s) >= 5 && strings.EqualFold(s[:5], "data:") }

// resend makes a file of a message one of another message. It is uploaded anew, since
// a private or sealed file opens in its own message only.
func (q *request) resend(ctx context.Context, ref reference, spool *spool) (chat.File, error) {
	m, i, err := q.find(ctx, ref)
	if err != nil {
		return chat.File{}, err
	}
	f, err := spool.create()
	if err != nil {
		return chat.File{}, err
	}
	kind, n, err := q.chat().Download(ctx, m, i, &limited{f, q.h.opts.MaxUpload})
	if err != nil {
		return chat.File{}, err
	}
	return spool.file(f, chat.File{Name: nameOf(m.Files[i]), ContentType: kind, Size: n})
}

// nameOf is the name at the end of an address; "" without an extension.
func nameOf(address string) string {
	u, err := url.Parse(address)
	if err != nil || path.Ext(u.Path) == "" {
		return ""
	}
	return path.Base(u.Path)
}

// escapes is what somebody could take for an escape in a path.
var escapes = regexp.MustCompile(`%([0-9A-Fa-f]{2}|[uU])`)

// fileName is a name under which a file can be read again. Addresses with a slash or a
// control character behind an escape, however often it is escaped, or with dots for a name,
// are refused by [chat.Chat.Download], since servers read them differently.
func fileName(name string) string {
	name = escapes.ReplaceAllString(strings.TrimSpace(name), "_$1")
	name = strings.Map(func(r rune) rune {
		if unicode.IsControl(r) || r == '/' || r == '\\' || r == utf8.RuneError {
			return '_'
		}
		return r
	}, name)
	if head, _, _ := strings.Cut(name, ";"); name != "" && (head == "" || head == "." || head == "..") {
		return "_" + name
	}
	return name
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
