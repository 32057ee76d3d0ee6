package chat_test

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"mime"
	"net/http"
	"net/http/httptest"
	"strconv"
	"strings"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	chat "github.com/fliplet/fliplet-chat-go"
	"github.com/fliplet/fliplet-chat-go/datasource"
	"github.com/fliplet/fliplet-chat-go/fliplettest"
)

// pageOf serves the files of a conversation at /<message>/<number>.
func pageOf(t *testing.T, c *chat.Chat, conv *chat.Conversation) *httptest.Server {
	t.Helper()
	s := httptest.NewServer(c.FileHandler(func(r *http.Request) (*chat.Message, int, error) {
		id, number, _ := strings.Cut(strings.TrimPrefix(r.URL.Path, "/"), "/")
		message, _ := strconv.ParseInt(id, 10, 64)
		i, err := strconv.Atoi(number)
		if err != nil {
			return nil, 0, chat.ErrNotFound
		}
		m, err := conv.Messages().Get(r.Context(), message)
		return m, i, err
	}))
	s.Config.ErrorLog = slog.NewLogLogger(slog.DiscardHandler, 0)
	t.Cleanup(s.Close)
	return s
}

// ask makes a request; headers are name, value, ….
func ask(t *testing.T, method, url string, headers ...string) (*http.Response, string, error) {
	t.Helper()
	r, err := http.NewRequestWithContext(t.Context(), method, url, nil)
	require.NoError(t, err)
	for i := 0; i < len(headers); i += 2 {
		r.Header.Set(headers[i], headers[i+1])
	}
	resp, err := http.DefaultClient.Do(r)
	if err != nil {
		return nil, "", err
	}
	defer func() { assert.NoError(t, resp.Body.Close()) }()
	body, err := io.ReadAll(resp.Body)
	return resp, string(body), err
}

func fileModes(t *testing.T) map[string]func(*chat.Options) {
	modes := ownKeys(t)
	modes["the conversation's key"] = func(*chat.Options) {}
	modes["plain"] = plainBodies
	return modes
}

func TestAPageGetsPrivateFilesWithoutAnyKey(t *testing.T) {
	t.Parallel()
	for name, mode := range fileModes(t) {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			w := newWorld(t)
			jane, bob := w.login("jane", mode), w.login("bob", mode)
			conv := w.converse(jane, "bob")
			large := []byte(strings.Repeat("0123456789", 60_000)) // ten chunks of a sealed file
			m, err := jane.Message(t.Context(), conv.ID, chat.Draft{Files: []chat.File{
				{Name: "pic.png", Content: picture(t, "png", 4, 4)}, {Name: "large.mp4", Content: large}, {Name: "one.txt", Content: []byte("1")},
			}})
			require.NoError(t, err)
			his, err := bob.Conversation(t.Context(), conv.ID)
			require.NoError(t, err)
			page := pageOf(t, bob, his)
			url := func(i int) string { return fmt.Sprintf("%s/%d/%d", page.URL, m.ID, i) }

			resp, body, err := ask(t, "GET", url(0))
			require.NoError(t, err)
			assert.Equal(t, 200, resp.StatusCode)
			assert.Equal(t, string(picture(t, "png", 4, 4)), body)
			h := resp.Header
			assert.Equal(t, []string{"image/png", "nosniff", "private, no-cache", "bytes", `inline; filename=pic.png`},
				[]string{h.Get("Content-Type"), h.Get("X-Content-Type-Options"), h.Get("Cache-Control"), h.Get("Accept-Ranges"), h.Get("Content-Disposition")})
			assert.Contains(t, h.Get("Content-Security-Policy"), "sandbox")
			for _, secret := range []string{conv.EncryptionKey(), w.Token, passphrase, "encryptionKey", "auth_token"} {
				assert.NotContains(t, fmt.Sprint(h), secret)
			}

			for spec, want := range map[string]string{
				"bytes=0-9": "0123456789", "bytes=599990-": "0123456789", "bytes=-5": "56789", "bytes=131071-131073": "123", "bytes=0-": string(large),
			} {
				resp, body, err := ask(t, "GET", url(1), "Range", spec)
				require.NoError(t, err)
				assert.Equal(t, 206, resp.StatusCode, spec)
				assert.True(t, want == body, spec)
				assert.True(t, strings.HasSuffix(resp.Header.Get("Content-Range"), "/600000"))
			}
			resp, _, err = ask(t, "GET", url(1), "Range", "bytes=600000-")
			require.NoError(t, err)
			assert.Equal(t, 416, resp.StatusCode)
			resp, body, err = ask(t, "GET", url(1), "Range", "bytes=5-6,1-2")
			require.NoError(t, err)
			assert.Equal(t, 200, resp.StatusCode, "several ranges get the whole")
			assert.True(t, string(large) == body)
			resp, body, err = ask(t, "HEAD", url(1))
			require.NoError(t, err)
			assert.Equal(t, []any{200, int64(600_000), "", "video/mp4"}, []any{resp.StatusCode, resp.ContentLength, body, resp.Header.Get("Content-Type")})
			tag := resp.Header.Get("ETag")
			require.NotEmpty(t, tag)
			resp, body, err = ask(t, "GET", url(1), "Range", "bytes=0-1", "If-Range", tag)
			require.NoError(t, err)
			assert.Equal(t, []any{206, "01"}, []any{resp.StatusCode, body})
			resp, _, err = ask(t, "GET", url(1), "Range", "bytes=0-1", "If-Range", `"another"`)
			require.NoError(t, err)
			assert.Equal(t, 200, resp.StatusCode)

			resp, body, err = ask(t, "GET", url(2))
			require.NoError(t, err)
			assert.Equal(t, []string{"text/plain; charset=utf-8", "1"}, []string{resp.Header.Get("Content-Type"), body})
			assert.NotEqual(t, tag, resp.Header.Get("ETag"))
		})
	}
}

func TestAFileThatABrowserHasIsNotDownloadedAgain(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	jane := w.login("jane")
	conv := w.converse(jane, "bob")
	m, err := jane.Message(t.Context(), conv.ID, chat.Draft{Files: []chat.File{{Name: "a.txt", Content: []byte("x")}}})
	require.NoError(t, err)
	serve := func(headers ...string) *httptest.ResponseRecorder {
		r := httptest.NewRequest("GET", "/", nil)
		for i := 0; i < len(headers); i += 2 {
			r.Header.Add(headers[i], headers[i+1])
		}
		rec := httptest.NewRecorder()
		jane.ServeFile(rec, r, m, 0)
		return rec
	}
	tag := serve().Header().Get("ETag")
	before := len(w.Requests())
	for _, known := range []string{tag, "W/" + tag, `"x", ` + tag, "*"} {
		rec := serve("If-None-Match", known)
		assert.Equal(t, 304, rec.Code, known)
		assert.Empty(t, rec.Body.String())
		assert.Equal(t, tag, rec.Header().Get("ETag"))
	}
	assert.Len(t, w.Requests(), before)
	assert.Equal(t, 200, serve("If-None-Match", `"x"`).Code)

	require.NoError(t, conv.Participants().Remove(t.Context(), w.ids["jane"]))
	_, err = jane.Conversations(t.Context())
	require.NoError(t, err)
	assert.Equal(t, 404, serve("If-None-Match", tag).Code, "who has left is not told that the copy is good")
}

func TestAFileRunsNothingInThePagesOrigin(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	jane := w.login("jane", plainBodies)
	conv := w.converse(jane, "bob")
	const script = "<script>alert(1)</script>"
	for name, want := range map[string][2]string{ // by the file's URL in the row
		"data:text/html;base64,PHNjcmlwdD4=":              {"application/octet-stream", "attachment"},
		"data:image/svg+xml;base64,PHNjcmlwdD4=":          {"application/octet-stream", "attachment"},
		"data:text/javascript;base64,YWxlcnQoMSk=":        {"application/octet-stream", "attachment"},
		"data:application/xhtml+xml;base64,PHNjcmlwdD4=":  {"application/octet-stream", "attachment"},
		"data:text/css;base64,PHNjcmlwdD4=":               {"application/octet-stream", "attachment"},
		"data:;base64,PHNjcmlwdD5hPC9zY3JpcHQ+":           {"application/octet-stream", "attachment"},
		"data:application/pdf;base64,JVBERg==":            {"application/pdf", "attachment"},
		"data:text/plain;charset=utf-16;base64,PHNjcmk=":  {"text/plain; charset=utf-8", "inline"},
		"data:IMAGE/PNG;base64,PHNjcmlwdD4=":              {"image/png", "inline"},
		"data:image/gif;base64,R0lGODlhAQABAAAAACw=":      {"image/gif", "inline"},
		"data:image/png, text/html;base64,PHNjcmlwdD4=":   {"image/png", "inline"},
		"data:image/gif;base64,R0k=;filename:a%0d%0ab\".": {"image/gif", "inline"},
	} {
		m := &chat.Message{ConversationID: conv.ID, Files: []string{name}, Data: chat.M{}}
		rec := httptest.NewRecorder()
		jane.ServeFile(rec, httptest.NewRequest("GET", "/", nil), m, 0)
		if rec.Code != 200 {
			continue // a URL that cannot be read
		}
		how, _, err := mime.ParseMediaType(rec.Header().Get("Content-Disposition"))
		require.NoError(t, err)
		assert.Equal(t, want, [2]string{rec.Header().Get("Content-Type"), how}, name)
		assert.Equal(t, "nosniff", rec.Header().Get("X-Content-Type-Options"))
		assert.NotContains(t, fmt.Sprint(rec.Header()), "\r")
	}
	m, err := jane.Message(t.Context(), conv.ID, chat.Draft{Files: []chat.File{{Name: "evil.html", Content: []byte(script)}, {Name: "evil.svg", Content: []byte(script)}}})
	require.NoError(t, err)
	for i, name := range []string{"evil.html", "evil.svg"} {
		rec := httptest.NewRecorder()
		jane.ServeFile(rec, httptest.NewRequest("GET", "/", nil), m, i)
		assert.Equal(t, []string{"application/octet-stream", "attachment; filename=" + name, script}, []string{rec.Header().Get("Content-Type"), rec.Header().Get("Content-Disposition"), rec.Body.String()})
	}
}

func TestAFileThatCannotBeServedIsAStatusWithoutReasons(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	jane, conv, msgs := sealedPair(t, w, ownKeys(t)["Cipher"])
	var logs bytes.Buffer
	logged := w.login("jane", ownKeys(t)["Cipher"], func(o *chat.Options) { o.Logger = slog.New(slog.NewTextHandler(&logs, nil)) })
	serve := func(c *chat.Chat, method string, m *chat.Message, i int) *httptest.ResponseRecorder {
		rec := httptest.NewRecorder()
		c.ServeFile(rec, httptest.NewRequest(method, "/", nil), m, i)
		return rec
	}
	planted := func(data datasource.M) *chat.Message {
		id := w.AddRows(conv.ID, data)[0]
		m, err := conv.Messages().Get(t.Context(), id)
		require.NoError(t, err)
		return m
	}
	moved := *msgs[0]
	moved.Files = []string{msgs[0].Files[1], msgs[0].Files[0]}
	other := *msgs[0]
	other.ConversationID = w.converse(w.login("bob"), "eve").ID
	closed := w.connect()
	require.NoError(t, closed.Close())
	for name, tc := range map[string]struct {
		c      *chat.Chat
		method string
		m      *chat.Message
		i      int
		want   int
	}{
		"no message":        {jane, "GET", nil, 0, 404},
		"no such file":      {jane, "GET", msgs[0], 2, 404},
		"a negative number": {jane, "GET", msgs[0], -1, 404},
		"not a member":      {jane, "GET", &other, 0, 404},
		"POST":              {jane, "POST", msgs[0], 0, 405},
		"files swapped":     {logged, "GET", &moved, 0, 502},
		"a foreign address": {jane, "GET", planted(datasource.M{"file": []string{"https://evil.example/x"}}), 0, 403},
		"the API":           {jane, "GET", planted(datasource.M{"file": []string{w.URL + "/v1/user"}}), 0, 403},
		"a file not there":  {jane, "HEAD", planted(datasource.M{"file": []string{w.URL + "/v1/media/files/99999/contents/x.png"}}), 0, 404},
		"another key":       {w.login("jane", func(o *chat.Options) { o.Keys = fixedKey("x") }), "GET", msgs[0], 0, 502},
		"nobody":            {w.connect(), "GET", msgs[0], 0, 503},
		"closed":            {closed, "GET", msgs[0], 0, 503},
	} {
		rec := serve(tc.c, tc.method, tc.m, tc.i)
		assert.Equal(t, tc.want, rec.Code, name)
		assert.Equal(t, http.StatusText(tc.want)+"\n", rec.Body.String(), name)
		assert.Equal(t, "no-store", rec.Header().Get("Cache-Control"), name)
		assert.Empty(t, rec.Header().Get("ETag"))
	}
	assert.Contains(t, logs.String(), "was changed after it was sealed")
	rec := httptest.NewRecorder()
	jane.FileHandler(func(*http.Request) (*chat.Message, int, error) { return nil, 0, errors.New("SECRET") }).ServeHTTP(rec, httptest.NewRequest("GET", "/", nil))
	assert.Equal(t, []any{502, "Bad Gateway\n"}, []any{rec.Code, rec.Body.String()})
}

func TestAFileThatBreaksOffIsNoWholeFile(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	f := newFront(t, w)
	jane := w.login("jane", plainBodies, behind(t, w, f))
	conv := w.converse(jane, "bob")
	content := bytes.Repeat([]byte("x"), 300_000)
	m, err := jane.Message(t.Context(), conv.ID, chat.Draft{Files: []chat.File{{Name: "a.txt", Content: content}}})
	require.NoError(t, err)
	page := pageOf(t, jane, conv)
	url := fmt.Sprintf("%s/%d/0", page.URL, m.ID)
	for _, sized := range []bool{true, false} {
		f.set(func(rw http.ResponseWriter, r *http.Request) bool {
			if !strings.Contains(r.URL.Path, "/media/files/") {
				return false
			}
			if sized {
				rw.Header().Set("Content-Length", "300000")
			}
			_, _ = rw.Write(content[:200_000])
			panic(http.ErrAbortHandler)
		})
		_, body, err := ask(t, "GET", url)
		require.Error(t, err, "the page sees that it is a part")
		assert.Less(t, len(body), 300_000)
	}
	f.set(func(rw http.ResponseWriter, r *http.Request) bool {
		if !strings.Contains(r.URL.Path, "/media/files/") {
			return false
		}
		for part := content; len(part) > 0; part = part[100_000:] { // no size
			_, _ = rw.Write(part[:100_000])
			rw.(http.Flusher).Flush()
		}
		return true
	})
	for _, method := range []string{"GET", "HEAD"} {
		resp, body, err := ask(t, method, url, "Range", "bytes=0-1")
		require.NoError(t, err)
		assert.Equal(t, []any{200, "none", method == "GET"}, []any{resp.StatusCode, resp.Header.Get("Accept-Ranges"), body == string(content)})
	}
}

func TestAServedFileEndsWithItsRequest(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	jane := w.login("jane")
	conv := w.converse(jane, "bob")
	m, err := jane.Message(t.Context(), conv.ID, chat.Draft{Files: []chat.File{{Name: "a.txt", Content: bytes.Repeat([]byte("x"), 2<<20)}}})
	require.NoError(t, err)
	rec := httptest.NewRecorder()
	r := httptest.NewRequest("GET", "/", nil)
	r.Header.Set("Range", "bytes=0-9") // the rest is not waited for
	jane.ServeFile(rec, r, m, 0)
	assert.Equal(t, "xxxxxxxxxx", rec.Body.String())
	w.Always(fliplettest.AnyRoute, fliplettest.LoseRequest())
	rec = httptest.NewRecorder()
	jane.ServeFile(rec, httptest.NewRequest("GET", "/", nil), m, 0)
	assert.Equal(t, 502, rec.Code, "%d bytes, %v", rec.Body.Len(), rec.Header())
}

func TestURLsOfPrivateFilesGetTheKeyOnRequestOnly(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	withKeys := func(o *chat.Options) { o.FileKeysInURLs = true }
	jane, bob, eve := w.login("jane", withKeys), w.login("bob", withKeys), w.login("eve")
	conv := w.converse(jane, "bob", "eve")
	d := chat.Draft{Files: []chat.File{{Name: "a b.txt", Content: []byte("secret")}, {URL: "https://evil.example/x.png?a=1"}}}
	m, err := jane.Message(t.Context(), conv.ID, d)
	require.NoError(t, err)
	msgs, err := bob.Messages(t.Context())
	require.NoError(t, err)
	key := "encryptionKey=" + conv.EncryptionKey()
	for _, m := range []*chat.Message{m, msgs[0], stream(t, bob).wait(t, 1)[0]} {
		require.Len(t, m.Files, 2)
		for i, file := range m.Files {
			assert.Equal(t, strings.HasPrefix(file, w.URL), strings.Contains(file, key), "to Fliplet only: %s", file)
			if strings.HasPrefix(file, w.URL) {
				resp, err := w.Transport().RoundTrip(httptest.NewRequest("GET", file+"&auth_token="+w.Token, nil))
				require.NoError(t, err)
				body, err := io.ReadAll(resp.Body)
				require.NoError(t, err)
				assert.Equal(t, "secret", string(body), "it opens in a page")
				_, content := fetch(t, bob, m, i)
				assert.Equal(t, "secret", content)
			}
		}
		back, text := throughJSON[chat.Message](t, m)
		assert.Contains(t, text, key)
		assert.Equal(t, m.Files, back.Files)
	}
	planted := []string{w.URL + "/v1/user", w.URL + "/v1/media/files/1/thumb/x.png", w.URL + "/v1/media/files/1/contents/..%2fx", "//evil.example/v1/media/files/1/contents/x", "data:,x"}
	got, err := conv.Messages().Get(t.Context(), w.AddRows(conv.ID, datasource.M{"file": planted, "hasMediaFileWithPrivateEncryptionKey": true})[0])
	require.NoError(t, err)
	assert.Equal(t, planted, got.Files, "only the content of media gets it")
	// What a page gives back puts no key into a row.
	m, err = bob.UpdateMessage(t.Context(), conv.ID, m.ID, chat.M{"file": m.Files, "isEdited": true})
	require.NoError(t, err)
	assert.Contains(t, strings.Join(m.Files, " "), key)
	_, err = bob.Message(t.Context(), conv.ID, chat.Draft{Files: []chat.File{{URL: m.Files[0]}, {URL: m.Files[1]}}})
	require.NoError(t, err)
	for _, row := range w.Rows(conv.ID) {
		assert.NotContains(t, fmt.Sprint(row.Data), "encryptionKey")
	}
	msgs, err = eve.Messages(t.Context())
	require.NoError(t, err)
	for _, m := range msgs {
		assert.NotContains(t, fmt.Sprint(m.Files, m.Data), "encryptionKey", "the default")
	}
}

func TestAPrivateFileStaysPrivateWhenItIsSentOn(t *testing.T) {
	t.Parallel()
	for _, encrypting := range []bool{true, false} {
		for _, receiver := range []bool{true, false} { // whether the Chat that sends it on has the option, too
			w := newWorld(t)
			shows := func(o *chat.Options) { o.FileKeysInURLs = true }
			mode := func(o *chat.Options) { o.EncryptMessages, o.FileKeysInURLs = encrypting, receiver }
			jane, bob, eve := w.login("jane", shows), w.login("bob", mode), w.login("eve", shows)
			conv := w.converse(jane, "bob", "eve")
			m, err := jane.Message(t.Context(), conv.ID, chat.Draft{Files: []chat.File{{Name: "a.txt", Content: []byte("secret")}}})
			require.NoError(t, err)
			require.Contains(t, m.Files[0], "encryptionKey=")
			draft, err := json.Marshal(chat.M{"body": "again", "file": m.Files})
			require.NoError(t, err)
			fromPage, err := chat.DraftFromJS(draft)
			require.NoError(t, err)
			plain, err := bob.Message(t.Context(), conv.ID, chat.Draft{Body: "no file yet"})
			require.NoError(t, err)

			var sent []*chat.Message
			for _, d := range []chat.Draft{{Files: []chat.File{{URL: m.Files[0]}}}, fromPage, {Files: []chat.File{{URL: m.Files[0]}, {Name: "b.txt", Content: []byte("secret")}}}} {
				on, err := bob.Message(t.Context(), conv.ID, d)
				require.NoError(t, err)
				sent = append(sent, on)
			}
			on, err := bob.UpdateMessage(t.Context(), conv.ID, plain.ID, chat.M{"file": m.Files})
			require.NoError(t, err)
			for _, on := range append(sent, on) {
				for _, reader := range []*chat.Chat{bob, eve} {
					got, err := sure(reader.Conversation(t.Context(), conv.ID)).Messages().Get(t.Context(), on.ID)
					require.NoError(t, err)
					for i := range got.Files {
						_, content := fetch(t, reader, got, i)
						assert.Equal(t, "secret", content)
					}
				}
			}
			other := w.converse(jane, "bob")
			before := len(w.Requests())
			_, err = bob.Message(t.Context(), other.ID, chat.Draft{Files: []chat.File{{URL: m.Files[0]}}})
			require.ErrorIs(t, err, chat.ErrInvalid, "nobody there has its key")
			require.ErrorContains(t, err, "Draft.Files[0]")
			_, err = bob.UpdateMessage(t.Context(), other.ID, 1, chat.M{"file": m.Files})
			require.ErrorIs(t, err, chat.ErrInvalid)
			_, err = bob.Message(t.Context(), conv.ID, chat.Draft{Files: []chat.File{{URL: m.Files[0] + ";x&a=%zz"}}})
			require.ErrorIs(t, err, chat.ErrInvalid)
			for _, r := range w.Requests()[before:] {
				assert.Equal(t, "GET", r.Method, "only what the conversation is may be asked")
			}
			for _, row := range append(w.Rows(conv.ID), w.Rows(other.ID)...) {
				assert.NotContains(t, fmt.Sprint(row.Data), "encryptionKey")
				assert.NotContains(t, fmt.Sprint(row.Data), conv.EncryptionKey())
			}
		}
	}
}
