package chathttp_test

import (
	"bytes"
	"context"
	"encoding/json"
	"image"
	"image/png"
	"io"
	"mime"
	"mime/multipart"
	"net/http"
	"net/textproto"
	"os"
	"strconv"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	chat "github.com/fliplet/fliplet-chat-go"
	"github.com/fliplet/fliplet-chat-go/chathttp"
	"github.com/fliplet/fliplet-chat-go/fliplettest"
)

// file is a file of a form.
type file struct{ name, kind, content string }

// form is what a page uploads.
func form(t testing.TB, message any, files ...file) (body, contentType string) {
	t.Helper()
	var b bytes.Buffer
	w := multipart.NewWriter(&b)
	if message != nil {
		raw, err := json.Marshal(message)
		require.NoError(t, err)
		require.NoError(t, w.WriteField("message", string(raw)))
	}
	for _, f := range files {
		header := textproto.MIMEHeader{}
		header.Set("Content-Disposition", `form-data; name="file"; filename="`+f.name+`"`)
		header.Set("Content-Type", f.kind)
		part, err := w.CreatePart(header)
		require.NoError(t, err)
		_, err = io.WriteString(part, f.content)
		require.NoError(t, err)
	}
	require.NoError(t, w.Close())
	return b.String(), w.FormDataContentType()
}

func (w *world) upload(who string, conversation int64, message any, files ...file) (*http.Response, []byte) {
	w.t.Helper()
	body, kind := form(w.t, message, files...)
	return w.request(who, http.MethodPost, "upload/"+strconv.FormatInt(conversation, 10), body, func(r *http.Request) { r.Header.Set("Content-Type", kind) })
}

// FormData gives a Blob the name of a file, whatever it is.
func TestAMessageThatIsABlobIsTheMessageAndNoFile(t *testing.T) {
	t.Parallel()
	w := newWorld(t, chathttp.Options{})
	conv := w.converse("jane", "bob")
	body := "--b\r\nContent-Disposition: form-data; name=\"file\"\r\n\r\n\r\n" + // nothing was chosen
		"--b\r\nContent-Disposition: form-data; name=\"message\"; filename=\"blob\"\r\nContent-Type: application/json\r\n\r\n{\"body\":\"Hello\"}\r\n--b--\r\n"
	res, raw := w.request("jane", http.MethodPost, "upload/"+strconv.FormatInt(conv.ID, 10), body, func(r *http.Request) { r.Header.Set("Content-Type", "multipart/form-data; boundary=b") })
	require.Equal(t, http.StatusOK, res.StatusCode, "%s", raw)
	rows := w.Rows(conv.ID)
	require.Len(t, rows, 1)
	assert.Contains(t, string(raw), `"body":"Hello"`)
	assert.Empty(t, rows[0].Data["file"])
}

func pixel(t testing.TB) string {
	t.Helper()
	var b bytes.Buffer
	require.NoError(t, png.Encode(&b, image.NewRGBA(image.Rect(0, 0, 3, 2))))
	return b.String()
}

// Everything that a page gets is looked through for what it must not get.
func TestFilesComeAndGoWithoutAnyKey(t *testing.T) {
	// Temporary files are looked for, so nothing else may make any.
	dir := t.TempDir()
	t.Setenv("TMPDIR", dir)
	for name, change := range map[string]func(*chat.Options){
		"private": func(*chat.Options) {}, "private, with keys in URLs": func(o *chat.Options) { o.FileKeysInURLs = true },
		"plain": func(o *chat.Options) { o.EncryptMessages = false },
	} {
		t.Run(name, func(t *testing.T) {
			w := newWorld(t, chathttp.Options{}, change, func(o *chat.Options) { o.LivePollInterval = 10 * time.Millisecond })
			conv := w.converse("jane", "bob")
			s := w.open("bob", "", "")
			s.want("open")
			large := strings.Repeat("0123456789", 60_000)
			picture := pixel(t)
			res, body := w.upload("jane", conv.ID, object{"body": "Look", "guid": "g1", "mood": 7},
				file{"pic.png", "image/png", picture}, file{"large.txt", "application/octet-stream", large}, file{"run.html", "text/html", "<script>alert(1)</script>"})
			require.Equal(t, http.StatusOK, res.StatusCode, "%s", body)
			seen := []string{string(body)}
			var sent struct {
				ID   int64
				Data struct {
					Body string
					File []string
					Mood int
				}
			}
			require.NoError(t, json.Unmarshal(body, &sent))
			at := strconv.FormatInt(conv.ID, 10) + "/" + strconv.FormatInt(sent.ID, 10)
			refs := sent.Data.File
			require.Len(t, refs, 3)
			for i, ref := range refs {
				assert.Regexp(t, "^file/"+at+"/"+strconv.Itoa(i)+"-[0-9a-f]{16}$", ref)
			}
			assert.Equal(t, 7, sent.Data.Mood)
			var streamed event
			for { // the row has text first, and then its types
				if streamed = s.want(""); streamed.message(t).Body == "Look" {
					break
				}
			}
			assert.Equal(t, refs, streamed.message(t).Files)
			seen = append(seen, streamed.data)

			get := func(who, path string, headers ...string) (*http.Response, string) {
				res, body := w.request(who, http.MethodGet, path, "", func(r *http.Request) {
					for i := 0; i < len(headers); i += 2 {
						r.Header.Set(headers[i], headers[i+1])
					}
				})
				seen = append(seen, res.Header.Get("Content-Disposition"), res.Header.Get("Location"))
				return res, string(body)
			}
			res, got := get("bob", refs[0])
			assert.Equal(t, "image/png", res.Header.Get("Content-Type"))
			assert.Equal(t, picture, got)
			assert.Equal(t, "private, no-cache", res.Header.Get("Cache-Control"))
			before := len(w.Requests())
			again, _ := get("bob", refs[0], "If-None-Match", res.Header.Get("ETag"))
			assert.Equal(t, http.StatusNotModified, again.StatusCode)
			assert.Len(t, w.Requests(), before, "a file that the page has costs nothing")
			res, got = get("bob", refs[1], "Range", "bytes=599990-599999")
			assert.Equal(t, http.StatusPartialContent, res.StatusCode)
			assert.Equal(t, "0123456789", got)
			res, _ = get("bob", refs[2])
			assert.Equal(t, "application/octet-stream", res.Header.Get("Content-Type"), "HTML does not run")
			assert.Contains(t, res.Header.Get("Content-Disposition"), "attachment")
			assert.Contains(t, res.Header.Get("Content-Security-Policy"), "sandbox")
			assert.Equal(t, "nosniff", res.Header.Get("X-Content-Type-Options"))
			for _, who := range []string{"eve", "nobody"} {
				res, got = get(who, refs[0])
				assert.Contains(t, []int{http.StatusNotFound, http.StatusUnauthorized}, res.StatusCode)
				assert.NotContains(t, got, "PNG")
			}
			res, _ = get("bob", "file/"+at+"/3")
			assert.Equal(t, http.StatusNotFound, res.StatusCode)

			var on object // sent on by its reference, and put into a message by an update
			w.call("bob", "message", &on, conv.ID, object{"body": "see", "file": refs[:1]})
			res, got = get("jane", on["data"].(object)["file"].([]any)[0].(string))
			assert.Equal(t, http.StatusOK, res.StatusCode, got)
			assert.Equal(t, picture, got)
			status, message := w.refused("jane", "updateMessage", conv.ID, sent.ID, object{"file": []any{on["data"].(object)["file"].([]any)[0]}})
			assert.Equal(t, http.StatusBadRequest, status)
			assert.Contains(t, message, "its own message")
			other := w.converse("bob", "eve")
			w.call("bob", "message", &on, other.ID, object{"body": "to another one", "file": refs[:1]})
			res, got = get("eve", on["data"].(object)["file"].([]any)[0].(string))
			assert.Equal(t, http.StatusOK, res.StatusCode, got)
			assert.Equal(t, picture, got)
			w.call("jane", "updateMessage", &on, conv.ID, sent.ID, object{"file": refs[1:2]})
			moved := on["data"].(object)["file"].([]any)
			require.Len(t, moved, 1, "it has one file now")
			for _, ref := range []string{moved[0].(string), refs[1], "file/" + at + "/0"} {
				_, got = get("bob", ref)
				assert.Equal(t, large, got, ref)
			}
			res, _ = get("jane", refs[0])
			assert.Equal(t, http.StatusNotFound, res.StatusCode, "a reference is never that of another file")
			status, _ = w.refused("eve", "message", conv.ID, object{"body": "x", "file": refs[:1]})
			assert.Equal(t, http.StatusNotFound, status)

			seen = append(seen, func() string {
				raw, err := json.Marshal(w.fetch(conv.ID, 10))
				require.NoError(t, err)
				return string(raw)
			}())
			key := conv.EncryptionKey()
			for _, text := range seen {
				for _, secret := range []string{key, w.Token, "encryptionKey", "v1/media"} {
					assert.NotContains(t, text, secret)
				}
			}
			for _, r := range w.net.requested() {
				assert.NotContains(t, r, key)
			}
			left, err := os.ReadDir(dir)
			require.NoError(t, err)
			assert.Empty(t, left, "temporary files")
		})
	}
}

func TestAnUploadWithoutAMessageIsOneOfItsFiles(t *testing.T) {
	t.Parallel()
	w := newWorld(t, chathttp.Options{})
	conv := w.converse("jane", "bob")
	res, body := w.upload("jane", conv.ID, nil, file{"a.txt", "text/plain", "x"})
	require.Equal(t, http.StatusOK, res.StatusCode, "%s", body)
	res, body = w.upload("jane", conv.ID, nil)
	assert.Equal(t, http.StatusBadRequest, res.StatusCode)
	assert.Contains(t, rejected(t, res, body), "empty")
	res, _ = w.upload("eve", conv.ID, nil, file{"a.txt", "text/plain", "x"})
	assert.Equal(t, http.StatusNotFound, res.StatusCode)
	require.Len(t, w.Rows(conv.ID), 1)
}

// A page repeats a send when its answer is lost. Meanwhile the first one may still run.
func TestSendsOfOneGUIDAreStoredOnceHoweverTheyOverlap(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		w := newWorld(t, chathttp.Options{})
		conv := w.converse("jane", "bob")
		w.Always(fliplettest.Insert, fliplettest.Delay(3*time.Second))
		raw, err := json.Marshal([]any{conv.ID, object{"body": "once", "guid": "g1"}})
		require.NoError(t, err)
		leave := func(raw []byte) { // a page sends, and goes
			ctx, cancel := context.WithTimeout(t.Context(), time.Second)
			defer cancel()
			r, err := http.NewRequestWithContext(ctx, http.MethodPost, "http://chat.example.org/chat/call/message", bytes.NewReader(raw))
			require.NoError(t, err)
			r.Header.Set(asking, "jane")
			r.Header.Set("Content-Type", "application/json")
			_, err = w.client.Do(r) //nolint:bodyclose // it fails
			require.Error(t, err)
		}
		leave(bytes.ReplaceAll(raw, []byte("g1"), []byte("g0")))
		time.Sleep(10 * time.Second)
		require.Len(t, w.Rows(conv.ID), 1, "what a page has sent before it went is stored")
		leave(raw)
		var calls sync.WaitGroup
		ids := make(chan int64, 10)
		for range 10 {
			calls.Go(func() {
				res, body := w.request("jane", http.MethodPost, "call/message", string(raw))
				assert.Equal(t, http.StatusOK, res.StatusCode, "%s", body)
				var m chat.Message
				assert.NoError(t, json.Unmarshal(body, &m))
				assert.Equal(t, "once", m.Body)
				ids <- m.ID
			})
		}
		calls.Wait()
		close(ids)
		first := <-ids
		for id := range ids {
			assert.Equal(t, first, id)
		}
		assert.Len(t, w.Rows(conv.ID), 2)
	})
}

// What the public chat widget relies on; see docs/protocol.md.
func TestTheCallsOfTheWidget(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		w := newWorld(t, chathttp.Options{})
		do := func(who, method string, args ...any) (out any) {
			t.Helper()
			w.call(who, method, &out, args...)
			return out
		}
		// An offline start with nothing cached is empty, and not refused.
		do("bob", "login", object{"Email": object{"$iLike": "bob@example.org"}}, object{"offline": true})
		assert.Equal(t, []any{}, do("bob", "conversations", object{"offline": true}))
		assert.NotNil(t, do("bob", "contacts", object{"offline": true}))
		assert.Len(t, do("bob", "contacts"), 3)
		s := w.open("bob", "", "offline=1")
		s.want("open")

		conv := do("jane", "create", object{"participants": []int64{w.ids["bob"]}, "group": object{"readOnly": false}}).(object)
		c := conv["id"]
		// One object, with guid, columns and files, as the widget sends it.
		sent := do("jane", "message", c, object{
			"body": "Hello", "guid": "w-1", "conversationId": c, "sent": false, "isEdited": false,
			"file": []string{"data:image/gif;base64,R0lGODlhAQABAAAAACw="}, "_flSchema": object{"file": object{"encryptionKey": "K", "name": "a.gif"}},
		}).(object)
		var got []*chat.Message
		for len(got) == 0 || got[len(got)-1].Data["sent"] != false {
			got = append(got, s.want("").message(t))
		}
		assert.False(t, got[0].IsUpdate)
		before := len(got)
		// Files are loaded as pictures directly.
		res, body := w.request("bob", http.MethodGet, got[len(got)-1].Files[0], "")
		assert.Equal(t, "image/gif", res.Header.Get("Content-Type"), "%s", body)

		// A conversation that exists already: the widget waits for what a reset streams again.
		assert.Equal(t, false, do("bob", "create", object{"participants": []int64{w.ids["jane"]}}).(object)["isNew"])
		do("bob", "poll", object{"reset": true})
		again := s.want("").message(t)
		assert.Equal(t, got[before-1].ID, again.ID)
		assert.False(t, again.IsUpdate)
		assert.True(t, again.IsReplay)

		// Read marks are told from other updates.
		do("bob", "markMessagesAsRead", []any{sent})
		time.Sleep(time.Minute)
		marked := s.want("")
		assert.True(t, marked.message(t).IsUpdate)
		assert.Contains(t, marked.data, `"change":["readers"]`)

		// The latest messages come oldest first.
		for _, text := range []string{"second", "third"} {
			do("jane", "message", c, object{"body": text})
			time.Sleep(time.Minute)
			m := s.want("").message(t)
			assert.Equal(t, text, m.Body)
			assert.False(t, m.IsUpdate, "nobody has changed it")
		}
		list := do("bob", "messages", object{"conversations": []any{c}, "limit": 50, "where": object{"createdAt": object{"$lt": "2999-01-01T00:00:00.000Z"}}}).([]any)
		require.Len(t, list, 3)
		assert.Equal(t, "third", column(t, list[2], "body"))
		assert.Nil(t, list[2].(object)["deletedAt"])
		assert.Contains(t, list[2].(object), "deletedAt")

		// Rejections have a code.
		res, body = w.request("bob", http.MethodPost, "call/login", `[{"Email":"nobody@example.org"}]`)
		assert.Equal(t, http.StatusNotFound, res.StatusCode)
		assert.Contains(t, string(body), `"code":404`)
	})
}

// The server may read more than a page, so what a page names is not fetched for it.
func TestAPageCannotHaveTheServerReadAnAddressForIt(t *testing.T) {
	t.Parallel()
	for name, opts := range map[string]chathttp.Options{"references": {}, "addresses": {FileURLs: true}} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			w := newWorld(t, opts, func(o *chat.Options) { o.EncryptMessages = false })
			hers, others := w.converse("jane", "bob"), w.converse("bob", "eve")
			secret, err := w.chats["bob"].Message(t.Context(), others.ID, chat.Draft{Body: "see", Files: []chat.File{{Name: "p.txt", Content: []byte("TOP SECRET")}}})
			require.NoError(t, err)
			own, err := w.chats["jane"].Message(t.Context(), hers.ID, chat.Draft{Body: "mine", Files: []chat.File{{Name: "o.txt", Content: []byte("my own")}}})
			require.NoError(t, err)
			stored := len(w.Rows(hers.ID))
			address := secret.Files[0]
			_, path, _ := strings.Cut(address, "/v1/")
			for _, given := range []string{address, "v1/" + path, "/v1/" + path, strings.Replace(address, "://", "://user@", 1), "https://files.example.org/a.png"} {
				status, message := w.refused("jane", "message", hers.ID, object{"body": "x", "file": []string{given}})
				assert.Equal(t, http.StatusForbidden, status, "%s: %s", given, message)
				assert.Contains(t, message, "addresses")
				status, message = w.refused("jane", "updateMessage", hers.ID, own.ID, object{"file": []string{own.Files[0], given}})
				assert.Equal(t, http.StatusForbidden, status, "%s: %s", given, message)
				res, body := w.upload("jane", hers.ID, object{"body": "x", "file": []string{given}}, file{"a.txt", "text/plain", "x"})
				assert.Equal(t, http.StatusForbidden, res.StatusCode, "%s: %s", given, body)
			}
			for _, ref := range []string{"file/" + strconv.FormatInt(others.ID, 10) + "/" + strconv.FormatInt(secret.ID, 10) + "/0"} {
				status, _ := w.refused("jane", "message", hers.ID, object{"body": "x", "file": []string{ref}})
				assert.Equal(t, http.StatusNotFound, status)
			}
			require.Len(t, w.Rows(hers.ID), stored, "nothing of it is stored")
			// What the page's own message has already it may keep, and send on by reference.
			w.call("jane", "updateMessage", nil, hers.ID, own.ID, object{"body": "still mine", "file": own.Files})
			ref := "file/" + strconv.FormatInt(hers.ID, 10) + "/" + strconv.FormatInt(own.ID, 10) + "/0"
			var on chat.Message
			w.call("jane", "message", &on, hers.ID, object{"body": "on", "file": []string{ref, "data:image/gif;base64,R0lGODlhAQABAAAAACw="}})
			require.Len(t, on.Files, 2)
			for i, want := range []string{"my own", "GIF89a"} {
				res, body := w.request("bob", http.MethodGet, "file/"+strconv.FormatInt(hers.ID, 10)+"/"+strconv.FormatInt(on.ID, 10)+"/"+strconv.Itoa(i), "")
				assert.Equal(t, http.StatusOK, res.StatusCode)
				assert.Contains(t, string(body), want)
			}
		})
	}
}

// A send that is answered as one in doubt is repeated for ever, and holds up what comes after it.
func TestAFileThatFlipletRefusesIsARefusal(t *testing.T) {
	t.Parallel()
	w := newWorld(t, chathttp.Options{})
	conv := w.converse("jane", "bob")
	res, body := w.upload("jane", conv.ID, object{"body": "run it", "guid": "g1"}, file{"setup.exe", "application/octet-stream", "MZ"})
	assert.Equal(t, http.StatusUnprocessableEntity, res.StatusCode, "%s", body)
	assert.Empty(t, res.Header.Get("Retry-After"))
	assert.Contains(t, rejected(t, res, body), "type of file")
	assert.Empty(t, w.Rows(conv.ID))
	// What a gateway says leaves open whether the message went on.
	w.Next(1, fliplettest.Insert, fliplettest.Answer(422, "<h1>Unprocessable</h1>"))
	res, body = w.upload("jane", conv.ID, object{"body": "text", "guid": "g2"}, file{"a.txt", "text/plain", "x"})
	assert.Equal(t, http.StatusGatewayTimeout, res.StatusCode, "%s", body)
}

func TestAFileCanBeReadWhateverItsName(t *testing.T) {
	t.Parallel()
	w := newWorld(t, chathttp.Options{}, func(o *chat.Options) { o.EncryptMessages = false })
	conv := w.converse("jane", "bob")
	for name, want := range map[string]string{
		"a%2fb.txt": "a_2fb.txt", "a%5Cb.txt": "a_5Cb.txt", "a%252fb.txt": "a_252fb.txt", "a%0Ab.txt": "a_0Ab.txt", "a\tb.txt": "a_b.txt", `a\\b.txt`: "a_b.txt",
		"..": "_..", "%2e%2e.txt": "_2e_2e.txt", ";b.txt": "_;b.txt", "a%u002fb.txt": "a_u002fb.txt", "a%41%zz.txt": "a_41%zz.txt", "a%00.txt": "a_00.txt",
		"100%.txt": "100%.txt", "ä ü.txt": "ä ü.txt", "a;b.txt": "a;b.txt", "%.txt": "%.txt", "%%41.txt": "%_41.txt",
	} {
		res, body := w.upload("jane", conv.ID, object{"body": "x"}, file{name, "text/plain", "content of it"})
		require.Equal(t, http.StatusOK, res.StatusCode, "%q: %s", name, body)
		var m chat.Message
		require.NoError(t, json.Unmarshal(body, &m))
		require.Len(t, m.Files, 1)
		res, body = w.request("bob", http.MethodGet, m.Files[0], "")
		assert.Equal(t, http.StatusOK, res.StatusCode, "%q: %s", name, body)
		_, params, err := mime.ParseMediaType(res.Header.Get("Content-Disposition"))
		assert.NoError(t, err)
		assert.Equal(t, want, params["filename"], "%q", name)
	}
}
