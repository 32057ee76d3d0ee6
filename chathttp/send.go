package chathttp

import (
	"context"
	"encoding/json"
	"errors"
	"io"
	"mime/multipart"
	"net/http"
	"os"
	"strconv"
	"time"

	chat "github.com/fliplet/fliplet-chat-go"
)

// sendWithin is how long a send may take, and goes on when its page has gone; uploadWithin
// is that of one with files.
const sendWithin, uploadWithin = time.Minute, 10 * time.Minute

// send serves message(id, {body, …}).
func send(ctx context.Context, q *request, a *args) (any, error) {
	conv, raw := a.id(0, "conversationId"), a.raw(1)
	if raw == nil {
		a.wrong(`message: give an object such as {"body": "Hello"}`)
	}
	if a.err != nil {
		return nil, nil
	}
	d, err := chat.DraftFromJS(raw)
	if err != nil {
		return nil, err
	}
	spool := &spool{}
	defer spool.remove()
	if err := q.resolve(ctx, &d, spool); err != nil {
		return nil, q.uploadFailed(err)
	}
	return q.shown(q.user.send(ctx, conv, d))
}

// resolve replaces references to files of other messages, and refuses addresses.
func (q *request) resolve(ctx context.Context, d *chat.Draft, spool *spool) error {
	for i, f := range d.Files {
		ref, is, err := refersTo(f.URL)
		switch {
		case err != nil:
		case is:
			d.Files[i], err = q.resend(ctx, ref, spool)
		case !isDataURL(f.URL):
			err = errAddress
		default:
			d.Files[i].Name = fileName(f.Name)
		}
		if err != nil {
			return err
		}
	}
	return nil
}

// send sends a message. It goes on when the page goes, so that a send is not cut off in the
// middle; one with the same guid that comes meanwhile waits for it.
func (u *user) send(ctx context.Context, conversation int64, d chat.Draft) (*chat.Message, error) {
	key := strconv.FormatInt(conversation, 10) + "/" + d.GUID
	s := &sending{done: make(chan struct{})}
	if d.GUID != "" {
		u.mu.Lock()
		other := u.sends[key]
		if other == nil {
			u.sends[key] = s
		}
		u.mu.Unlock()
		if other != nil {
			select {
			case <-other.done:
				if other.m == nil {
					return nil, other.err
				}
				m := *other.m
				m.Data = copyOf(m.Data)
				return &m, other.err
			case <-ctx.Done():
				return nil, context.Cause(ctx)
			}
		}
	}
	within := sendWithin
	if len(d.Files) > 0 {
		within = uploadWithin
	}
	own, cancel := context.WithTimeout(context.WithoutCancel(ctx), within)
	defer cancel()
	m, err := u.chat.Message(own, conversation, d)
	if d.GUID != "" {
		if m != nil {
			first := *m
			first.Data = copyOf(m.Data)
			s.m = &first
		}
		s.err = err
		u.mu.Lock()
		delete(u.sends, key)
		u.mu.Unlock()
		close(s.done)
	}
	return m, err
}

func copyOf(m chat.M) chat.M {
	out := make(chat.M, len(m))
	for k, v := range m {
		out[k] = v
	}
	return out
}

// kept is how much of a file of an upload stays in memory.
const kept = 256 << 10

// mostFiles bounds the files of one upload.
const mostFiles = 20

// upload serves upload/{conversation}: a form with a part "message", which has the object
// of message(), and files. It is read as it comes; large files wait on the disk, since a
// send is repeated after a login.
func (q *request) upload(path []string) error {
	conv, ok := parseID([]byte(path[0]))
	if !ok {
		return refusal(http.StatusNotFound, "no such conversation")
	}
	if err := q.allowed("message"); err != nil {
		return err
	}
	control := http.NewResponseController(q.w)
	q.r.Body = http.MaxBytesReader(q.w, &unhurried{q.r.Body, control}, q.h.opts.MaxUpload)
	form, err := q.r.MultipartReader()
	if err != nil {
		return refusal(http.StatusUnsupportedMediaType, "Content-Type: give multipart/form-data")
	}
	var raw []byte
	var files []chat.File
	spool := &spool{}
	defer spool.remove()
	for {
		part, err := form.NextPart()
		if errors.Is(err, io.EOF) {
			break
		}
		if err == nil && part.FormName() == "message" { // perhaps a Blob of JSON, which has a file's name
			if raw != nil {
				return badArgument("message: it is there twice; give one")
			}
			raw, err = readPart(part, q.h.opts.MaxBody)
		} else if err == nil && part.FileName() == "" && part.FormName() == "file" {
			if n, _ := io.ReadFull(part, make([]byte, 1)); n > 0 { // none where nothing was chosen
				return badArgument("file: a text; give a File or a Blob, or put a data URL into message")
			}
		} else if err == nil && part.FileName() != "" {
			var file chat.File
			file, err = spool.read(part)
			if files = append(files, file); err == nil && len(files) > mostFiles {
				return badArgument("files: more than %d; send several messages", mostFiles)
			}
		}
		if err != nil {
			return q.uploadFailed(errors.Join(errForm, err))
		}
	}
	if raw == nil {
		raw = []byte("{}")
	}
	d, err := besideFiles(raw, len(files))
	if err != nil {
		return err
	}
	if err := q.resolve(q.r.Context(), &d, spool); err != nil {
		return q.uploadFailed(err)
	}
	d.Files = append(d.Files, files...)
	m, err := q.shown(q.user.send(q.r.Context(), conv, d))
	if err != nil {
		return err
	}
	answer(q.w, http.StatusOK, m)
	return nil
}

// unhurried reads an upload that may take long, as long as it goes on.
type unhurried struct {
	io.ReadCloser
	control *http.ResponseController
}

func (u *unhurried) Read(b []byte) (int, error) {
	_ = u.control.SetReadDeadline(time.Now().Add(bodyWithin))
	n, err := u.ReadCloser.Read(b)
	_ = u.control.SetReadDeadline(time.Time{})
	return n, err
}

// besideFiles reads the object of a message that has n files besides, and so needs no text.
func besideFiles(raw []byte, n int) (chat.Draft, error) {
	var object chat.M
	if n == 0 || decode(raw, &object) != nil || object == nil || object["body"] != nil && object["body"] != "" {
		return chat.DraftFromJS(raw)
	}
	object["body"] = " "
	raw, err := json.Marshal(object)
	if err != nil {
		return chat.Draft{}, badArgument("message: no JSON")
	}
	d, err := chat.DraftFromJS(raw)
	d.Body = ""
	return d, err
}

// uploadFailed is the answer to an upload that cannot be read.
func (q *request) uploadFailed(err error) error {
	if f, ok := errors.AsType[*failure](err); ok {
		return f
	}
	switch {
	case tooLarge(err), errors.Is(err, errPartTooLarge):
		return refusal(http.StatusRequestEntityTooLarge, "the upload has more than %d bytes", q.h.opts.MaxUpload)
	case errors.Is(err, errDisk):
		return &failure{status: http.StatusInsufficientStorage, text: "the server has no room for the upload", cause: err, retry: 30}
	case errors.Is(err, errForm):
		return badArgument("the form cannot be read")
	}
	return err
}

var (
	errPartTooLarge = errors.New("too large")
	errDisk         = errors.New("no temporary file")
	errForm         = errors.New("no form")
	errEmpty        = badArgument("files: one is empty")
)

func readPart(r io.Reader, most int64) ([]byte, error) {
	raw, err := io.ReadAll(io.LimitReader(r, most+1))
	if err == nil && int64(len(raw)) > most {
		err = errPartTooLarge
	}
	return raw, err
}

// spool keeps the files of one upload until it is sent.
type spool struct{ temporary []*os.File }

func (s *spool) remove() {
	for _, f := range s.temporary {
		_ = f.Close()
		_ = os.Remove(f.Name())
	}
}

func (s *spool) create() (*os.File, error) {
	f, err := os.CreateTemp("", "chathttp-*")
	if err != nil {
		return nil, errors.Join(errDisk, err)
	}
	s.temporary = append(s.temporary, f)
	_ = os.Remove(f.Name()) // where that works while it is open, a process that is killed leaves nothing
	return f, nil
}

// file is a file that was written to the disk.
func (s *spool) file(f *os.File, file chat.File) (chat.File, error) {
	if file.Size == 0 {
		return file, errEmpty
	}
	if _, err := f.Seek(0, io.SeekStart); err != nil {
		return file, errors.Join(errDisk, err)
	}
	file.Reader = f
	return file, nil
}

// read reads a file of a form: a small one into memory, a large one to the disk.
func (s *spool) read(part *multipart.Part) (chat.File, error) {
	file := chat.File{Name: fileName(part.FileName()), ContentType: part.Header.Get("Content-Type")}
	if file.ContentType == "application/octet-stream" {
		file.ContentType = "" // the browser does not know either
	}
	head, err := io.ReadAll(io.LimitReader(part, kept))
	if err != nil {
		return file, errors.Join(errForm, err)
	}
	if len(head) < kept {
		if file.Content = head; len(head) == 0 {
			err = errEmpty
		}
		return file, err
	}
	f, err := s.create()
	if err != nil {
		return file, err
	}
	if _, err = f.Write(head); err != nil {
		return file, errors.Join(errDisk, err)
	}
	n, err := io.Copy(f, part)
	if _, disk := errors.AsType[*os.PathError](err); disk {
		return file, errors.Join(errDisk, err)
	}
	if err != nil {
		return file, errors.Join(errForm, err)
	}
	file.Size = n + int64(len(head))
	return s.file(f, file)
}

// login serves login(query). Who the user is was settled by the one who mounted the
// handler, so it only says whether the query is theirs.
func login(_ context.Context, q *request, a *args) (any, error) {
	query := a.object(0, "query")
	if a.err != nil {
		return nil, nil
	}
	own := q.chat().User()
	if own == nil {
		return nil, chat.ErrNotLoggedIn
	}
	if where, ok := query["where"].(map[string]any); ok && len(query) == 1 {
		query = where
	}
	if q.h.asksHidden(query, false) { // whether it matches would tell what is in the column
		return nil, refusal(http.StatusForbidden, "query: it names a column that pages may not ask about")
	}
	ok, err := matches(own.Data, query)
	if err != nil {
		return nil, err
	}
	if !ok {
		return nil, chat.ErrContactNotFound
	}
	return q.h.contact(own), nil
}
