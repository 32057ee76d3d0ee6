package chat_test

import (
	"bytes"
	"encoding/base64"
	"encoding/hex"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net/http"
	"net/http/httptest"
	"net/netip"
	"net/url"
	"strings"
	"sync"
	"testing"
	"testing/synctest"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	chat "github.com/fliplet/fliplet-chat-go"
	"github.com/fliplet/fliplet-chat-go/datasource"
	"github.com/fliplet/fliplet-chat-go/fliplettest"
	"github.com/fliplet/fliplet-chat-go/storage"
)

const passphrase = "PASSPHRASE of Options.Keys +/&"

var aesKey = []byte("AESKEY 89 123456789 123456789 12")

// ownKeys are the ways in which a caller brings keys.
func ownKeys(t testing.TB) map[string]func(*chat.Options) {
	return map[string]func(*chat.Options){
		"Keys":   func(o *chat.Options) { o.Keys = fixedKey(passphrase) },
		"Cipher": func(o *chat.Options) { o.Cipher = newCipher(t, sure(chat.NewKey("k1", aesKey))) },
		"Keys and Cipher": func(o *chat.Options) {
			o.Keys, o.Cipher = fixedKey(passphrase), newCipher(t, sure(chat.DeriveKeys("k1", aesKey)))
		},
		"Keys and a Cipher that only reads": func(o *chat.Options) {
			o.Keys, o.Cipher = fixedKey(passphrase), newCipher(t, nil, sure(chat.NewKey("k1", aesKey)))
		},
	}
}

// wiretap keeps everything that leaves.
type wiretap struct {
	next http.RoundTripper
	mu   sync.Mutex
	sent []string
}

func (w *wiretap) RoundTrip(r *http.Request) (*http.Response, error) {
	var body []byte
	if r.Body != nil {
		var err error
		if body, err = io.ReadAll(r.Body); err != nil {
			return nil, err
		}
		r = r.Clone(r.Context())
		r.Body = io.NopCloser(bytes.NewReader(body))
	}
	w.mu.Lock()
	w.sent = append(w.sent, r.Method+" "+r.URL.String(), fmt.Sprint(r.Header), string(body))
	w.mu.Unlock()
	return w.next.RoundTrip(r)
}

// tapped logs somebody in with a client that is listened to.
func (w *world) tapped(name string, change func(*chat.Options)) (*chat.Chat, *wiretap) {
	w.t.Helper()
	tap := &wiretap{next: w.Transport()}
	return w.login(name, change, w.through(tap)), tap
}

func TestTheCallersKeysNeverLeaveTheProcess(t *testing.T) {
	t.Parallel()
	for name, keys := range ownKeys(t) {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			w := newWorld(t)
			jane, tap := w.tapped("jane", keys)
			conv := w.converse(jane, "bob")
			_, err := jane.Message(t.Context(), conv.ID, chat.Draft{Body: "hello", Files: []chat.File{
				{Name: "a.txt", Content: []byte("A")}, {Name: "b.txt", Reader: strings.NewReader("B")}, {URL: "data:text/plain;base64,Qw=="},
			}})
			require.NoError(t, err)
			var planted []datasource.M
			for _, file := range []string{
				"v1/anything", "v1/media/files/1/contents", w.URL + "/v1/media/files/1/contents/x.png", w.URL + "/anything", "//evil.example/x",
				"https://evil.example/x", "http://127.0.0.1:1/x", "v1/media/../user", "https://api.fliplet.com/v1/media/files/1/contents",
			} {
				planted = append(planted, datasource.M{"file": []string{file}, "hasMediaFileWithPrivateEncryptionKey": true, "guid": file, "readBy": []string{}})
			}
			w.AddRows(conv.ID, planted...)
			msgs, err := jane.Messages(t.Context())
			require.NoError(t, err)
			require.Len(t, msgs, len(planted)+1)
			for _, m := range msgs {
				for i := range m.Files {
					_, _, _ = jane.Download(t.Context(), m, i, io.Discard)
				}
			}
			all := strings.Join(tap.sent, "\n")
			require.Contains(t, all, "/v1/media/files/")
			for _, secret := range []string{passphrase, string(aesKey)} {
				for _, form := range []string{
					secret, url.QueryEscape(secret), url.PathEscape(secret), hex.EncodeToString([]byte(secret)),
					base64.StdEncoding.EncodeToString([]byte(secret)), base64.RawURLEncoding.EncodeToString([]byte(secret)), strings.Fields(secret)[0],
				} {
					assert.NotContains(t, all, form)
				}
			}
		})
	}
}

func TestFilesAreEncryptedBeforeTheyLeave(t *testing.T) {
	t.Parallel()
	for name, keys := range ownKeys(t) {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			w := newWorld(t)
			jane, tap := w.tapped("jane", keys)
			bob := w.login("bob", keys)
			conv := w.converse(jane, "bob")
			secret := "the secret plan, "
			large := strings.Repeat(secret, 20_000)
			pic := picture(t, "png", 7, 5)
			_, err := jane.Message(t.Context(), conv.ID, chat.Draft{Files: []chat.File{
				{Name: "plan.txt", Content: []byte(secret)},
				{URL: "https://example.org/link"},
				{Name: "large.csv", Reader: strings.NewReader(large), Size: int64(len(large))},
				{Name: "unsized.pdf", Reader: io.MultiReader(strings.NewReader(large))},
				{Content: pic},
				{URL: "data:text/plain;base64," + base64.StdEncoding.EncodeToString([]byte(secret))},
			}})
			require.NoError(t, err)
			for _, what := range []string{secret, string(pic[:16]), "_flSchema", "hasMediaFileWithPrivateEncryptionKey"} {
				assert.False(t, strings.Contains(strings.Join(tap.sent, ""), what), what)
			}
			msgs, err := bob.Messages(t.Context())
			require.NoError(t, err)
			m := msgs[0]
			require.Len(t, m.Files, 6)
			assert.Equal(t, []any{"image", json.Number("7")}, []any{m.Data["fileType"], m.Data["imageWidth"]})
			var kinds, contents []string
			for i, file := range m.Files {
				if strings.HasPrefix(file, "https://example.org") {
					continue
				}
				var raw bytes.Buffer
				_, _, err := w.Client().Download(t.Context(), file, nil, &raw, nil)
				require.NoError(t, err)
				assert.True(t, strings.HasPrefix(raw.String(), "flfile:1"), file)
				kind, content := fetch(t, bob, m, i)
				kinds, contents = append(kinds, kind), append(contents, content)
			}
			assert.Equal(t, []string{"text/plain", "text/csv", "application/pdf", "image/png", "text/plain"}, kinds)
			assert.Equal(t, []string{secret, large, large, string(pic), secret}, contents)

			stranger := w.login("bob", func(o *chat.Options) { o.Keys = fixedKey("another") })
			for i, file := range m.Files {
				var got bytes.Buffer
				_, _, err := stranger.Download(t.Context(), m, i, &got)
				require.ErrorIs(t, err, chat.ErrWrongKey, file)
				assert.Empty(t, got.String())
			}
		})
	}
}

func TestProgressOfASealedFileCountsItsOwnBytes(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	jane := w.login("jane", ownKeys(t)["Cipher"])
	conv := w.converse(jane, "bob")
	content := bytes.Repeat([]byte("0123456789"), 50_000)
	m, err := jane.Message(t.Context(), conv.ID, chat.Draft{Files: []chat.File{{Name: "big.txt", Content: content}}})
	require.NoError(t, err)
	var got int64
	_, n, err := jane.Download(t.Context(), m, 0, io.Discard, chat.Progress(func(g, total int64) {
		assert.GreaterOrEqual(t, g, got)
		assert.True(t, total == -1 || total == int64(len(content)))
		got = g
	}))
	require.NoError(t, err)
	assert.Equal(t, []int64{int64(len(content)), int64(len(content))}, []int64{n, got})
}

// sealedPair is a conversation with two messages of two sealed files each.
func sealedPair(t *testing.T, w *world, keys func(*chat.Options)) (jane *chat.Chat, conv *chat.Conversation, msgs [2]*chat.Message) {
	t.Helper()
	jane = w.login("jane", keys)
	conv = w.converse(jane, "bob")
	for i := range msgs {
		var files []chat.File
		for j := range 2 {
			files = append(files, chat.File{Name: "f.txt", Content: bytes.Repeat([]byte{byte('a' + 2*i + j)}, 200_000)})
		}
		var err error
		msgs[i], err = jane.Message(t.Context(), conv.ID, chat.Draft{GUID: fmt.Sprintf("guid-%d", i), Files: files})
		require.NoError(t, err)
	}
	return jane, conv, msgs
}

func TestAFileThatWasChangedCutOrMovedIsNoticed(t *testing.T) {
	t.Parallel()
	for name, keys := range ownKeys(t) {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			w := newWorld(t)
			jane, conv, msgs := sealedPair(t, w, keys)
			other := w.converse(jane, "eve")
			a, b := msgs[0], msgs[1]
			stored := func(i int) []byte {
				var raw bytes.Buffer
				_, _, err := w.Client().Download(t.Context(), a.Files[i], nil, &raw, nil)
				require.NoError(t, err)
				return raw.Bytes()
			}
			upload := func(content []byte) []string {
				files, err := w.Client().Upload(t.Context(), url.Values{"appId": {fmt.Sprint(w.AppID)}}, []datasource.Part{{Filename: "x.txt", Content: content}}, nil)
				require.NoError(t, err)
				return []string{files[0].URL, a.Files[1]}
			}
			row := func(change datasource.M) datasource.M {
				r := datasource.M{"readBy": []string{}}
				for _, column := range []string{"guid", "fromUserId", "flSealedFiles", "file"} {
					r[column] = a.Data[column]
				}
				for column, v := range change {
					r[column] = v
				}
				return r
			}
			raw := stored(0)
			const header, chunk = 15, 64<<10 + 16
			swapped := bytes.Join([][]byte{raw[:header], raw[header+chunk : header+2*chunk], raw[header : header+chunk], raw[header+2*chunk:]}, nil)
			flipped := bytes.Clone(raw)
			flipped[header+2*chunk+5] ^= 1
			hostile := map[string]struct {
				conversation int64
				row          datasource.M
			}{
				"two files swapped":       {conv.ID, row(datasource.M{"file": []string{a.Files[1], a.Files[0]}})},
				"the files of another":    {conv.ID, row(datasource.M{"file": b.Files})},
				"another list of keys":    {conv.ID, row(datasource.M{"flSealedFiles": b.Data["flSealedFiles"], "file": b.Files})},
				"another message":         {conv.ID, row(datasource.M{"guid": "guid-1"})},
				"no guid":                 {conv.ID, row(datasource.M{"guid": ""})},
				"another conversation":    {other.ID, row(nil)},
				"cut at a chunk":          {conv.ID, row(datasource.M{"file": upload(raw[:header+2*chunk])})},
				"cut by a byte":           {conv.ID, row(datasource.M{"file": upload(raw[:len(raw)-1])})},
				"longer":                  {conv.ID, row(datasource.M{"file": upload(append(bytes.Clone(raw), 0))})},
				"chunks swapped":          {conv.ID, row(datasource.M{"file": upload(swapped)})},
				"a bit of the third":      {conv.ID, row(datasource.M{"file": upload(flipped)})},
				"a plain file instead":    {conv.ID, row(datasource.M{"file": upload([]byte("a plain lie"))})},
				"an empty file instead":   {conv.ID, row(datasource.M{"file": upload([]byte{})})},
				"a file inside the row":   {conv.ID, row(datasource.M{"file": []string{"data:text/plain;base64,aGk="}})},
				"no list of keys":         {conv.ID, row(datasource.M{"flSealedFiles": nil})},
				"keys in plain text":      {conv.ID, row(datasource.M{"flSealedFiles": `[{"key":"` + strings.Repeat("A", 43) + `="}]`})},
				"a list that is no list":  {conv.ID, row(datasource.M{"flSealedFiles": []any{1}})},
				"a list of a later kind":  {conv.ID, row(datasource.M{"flSealedFiles": "flsealed:9:k1:" + strings.Repeat("A", 60)})},
				"a list that was cut":     {conv.ID, row(datasource.M{"flSealedFiles": a.Data["flSealedFiles"].(string)[:60]})},
				"a third file, a foreign": {conv.ID, row(datasource.M{"file": []string{a.Files[0], a.Files[1], "https://evil.example/x"}})},
			}
			if body := w.sealed(t, jane, conv, "guid-list"); strings.HasPrefix(body, "flsealed:") { // the other format binds nothing
				hostile["a body for a list"] = struct {
					conversation int64
					row          datasource.M
				}{conv.ID, row(datasource.M{"guid": "guid-list", "flSealedFiles": body, "file": []string{"https://evil.example/x"}})}
			}
			for name, h := range hostile {
				id := w.AddRows(h.conversation, h.row)[0]
				msgs, err := jane.Messages(t.Context())
				require.NoError(t, err)
				i := 0
				if name == "a third file, a foreign" {
					i = 2
				}
				for _, m := range msgs {
					if m.ID != id {
						continue
					}
					var got bytes.Buffer
					_, n, err := jane.Download(t.Context(), m, i, &got)
					require.Error(t, err, name)
					assert.True(t, errors.Is(err, chat.ErrTampered) || errors.Is(err, chat.ErrUnreadable) || errors.Is(err, chat.ErrUnprotected), "%s: %v", name, err)
					assert.EqualValues(t, got.Len(), n)
					assert.True(t, bytes.HasPrefix(bytes.Repeat([]byte("a"), 200_000), got.Bytes()), "%s: only what was verified", name)
				}
			}
			_, content := fetch(t, jane, a, 0)
			assert.Equal(t, strings.Repeat("a", 200_000), content, "the genuine one is readable beside them")
		})
	}
}

// sealed is the body of a message of that guid, as it is stored. It says what a list of files could.
func (w *world) sealed(t *testing.T, c *chat.Chat, conv *chat.Conversation, guid string) string {
	t.Helper()
	other, err := c.Message(t.Context(), conv.ID, chat.Draft{GUID: guid, Body: `[{"url":"https://evil.example/x"}]`})
	require.NoError(t, err)
	row, err := w.Client().FindByID(t.Context(), conv.ID, other.ID)
	require.NoError(t, err)
	return row.Data["body"].(string)
}

func TestMinProtectionRefusesFilesThatAreNotSealed(t *testing.T) {
	t.Parallel()
	for _, least := range []chat.Protection{chat.Encrypted, chat.Authenticated} {
		w := newWorld(t)
		jane := w.login("jane", ownKeys(t)["Cipher"], func(o *chat.Options) { o.MinProtection = least })
		conv := w.converse(jane, "bob")
		m, err := jane.Message(t.Context(), conv.ID, chat.Draft{Files: []chat.File{{Name: "a.txt", Content: []byte("A")}}})
		require.NoError(t, err)
		_, content := fetch(t, jane, m, 0)
		assert.Equal(t, "A", content)
		w.AddRows(conv.ID, datasource.M{"file": m.Files, "guid": "g1"}, datasource.M{"file": []string{"data:text/plain;base64,aGk="}, "guid": "g2"})
		msgs, err := jane.Messages(t.Context())
		require.NoError(t, err)
		for _, planted := range msgs {
			if planted.ID == m.ID {
				continue
			}
			var got bytes.Buffer
			_, _, err = jane.Download(t.Context(), planted, 0, &got)
			require.ErrorIs(t, err, chat.ErrUnprotected)
			assert.Empty(t, got.String())
		}
	}
}

func TestMediaOfFlipletsWidgetsStayReadable(t *testing.T) {
	t.Parallel()
	for name, keys := range ownKeys(t) {
		w := newWorld(t)
		widget := w.login("jane") // does what the widget does
		conv := w.converse(widget, "bob")
		_, err := widget.Message(t.Context(), conv.ID, chat.Draft{Files: []chat.File{{Name: "a.txt", Content: []byte("A")}}})
		require.NoError(t, err)
		bob, tap := w.tapped("bob", keys)
		msgs, err := bob.Messages(t.Context())
		require.NoError(t, err)
		_, content := fetch(t, bob, msgs[0], 0)
		assert.Equal(t, "A", content, name)
		assert.Contains(t, strings.Join(tap.sent, ""), "encryptionKey="+conv.EncryptionKey())
	}
}

func TestTheConversationsKeyGoesToMediaPathsOnly(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	jane, tap := w.tapped("jane", func(*chat.Options) {})
	conv := w.converse(jane, "bob")
	outside := httptest.NewServer(http.HandlerFunc(func(http.ResponseWriter, *http.Request) { t.Error("asked") }))
	defer outside.Close()
	contacts := fmt.Sprintf("v1/data-sources/%d/data", w.contacts)
	for _, file := range []string{
		"v1/anything", "v1/user", contacts, "/" + contacts, w.URL + "/" + contacts, "v1/media", "v1/media?appId=1", "v1/media/../user",
		"v1/media/files/1/contents/%2e%2e/%2e%2e/%2e%2e/%2e%2e/user", "v1/media/files/1/contents/../../../../user", `v1\user`, "V1/USER",
		strings.Replace(w.URL, "127.0.0.1", "127.0.0.1.", 1) + "/v1/user", strings.Replace(w.URL, "http://", "http://u:p@", 1) + "/v1/media/files/1/contents",
		outside.URL + "/x", strings.Replace(outside.URL, "127.0.0.1", "localhost", 1) + "/x", "https://evil.example/x", "//evil.example/x",
		"https://cdn.fliplet.com/x", "https://api.fliplet.com/v1/media/files/1/contents",
	} {
		id := w.AddRows(conv.ID, datasource.M{"file": []string{file}, "hasMediaFileWithPrivateEncryptionKey": "true", "readBy": []string{}})[0]
		msgs, err := jane.Messages(t.Context())
		require.NoError(t, err)
		for _, m := range msgs {
			if m.ID != id {
				continue
			}
			before := len(tap.sent)
			var got bytes.Buffer
			_, _, err = jane.Download(t.Context(), m, 0, &got)
			require.ErrorIs(t, err, datasource.ErrFileRefused, file)
			assert.NotContains(t, err.Error(), conv.EncryptionKey())
			assert.Empty(t, got.String())
			assert.Len(t, tap.sent, before, "%s: a request", file)
		}
	}
	m, err := jane.Message(t.Context(), conv.ID, chat.Draft{Files: []chat.File{{Name: "a.txt", Content: []byte("A")}}})
	require.NoError(t, err)
	_, content := fetch(t, jane, m, 0)
	assert.Equal(t, "A", content)
}

func TestAForeignFileIsFetchedOnlyIfTheClientAllowsItsHost(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	foreign := httptest.NewServer(http.HandlerFunc(func(rw http.ResponseWriter, r *http.Request) {
		assert.Empty(t, r.Header.Get("Auth-Token"))
		assert.Empty(t, r.URL.RawQuery)
		_, _ = io.WriteString(rw, "foreign")
	}))
	defer foreign.Close()
	loopback := []netip.Prefix{netip.MustParsePrefix("127.0.0.0/8")}
	for _, c := range []struct {
		hosts    []string
		networks []netip.Prefix
		works    bool
	}{
		{nil, nil, false}, {nil, loopback, false}, {[]string{foreign.URL}, nil, false}, {[]string{"http://other.example"}, loopback, false},
		{[]string{foreign.URL}, loopback, true},
	} {
		client, err := datasource.NewClient(datasource.Config{
			Token: w.Token, BaseURL: w.URL, HTTPClient: &http.Client{Transport: w.Transport()}, Limiter: datasource.Unlimited(),
			FileHosts: c.hosts, FileNetworks: c.networks,
		})
		require.NoError(t, err)
		t.Cleanup(client.CloseIdle)
		jane := w.login("jane", func(o *chat.Options) { o.Client = client })
		conv := w.converse(jane, "bob")
		m, err := jane.Message(t.Context(), conv.ID, chat.Draft{Files: []chat.File{{URL: foreign.URL + "/x"}}})
		require.NoError(t, err)
		var got bytes.Buffer
		_, _, err = jane.Download(t.Context(), m, 0, &got)
		assert.Equal(t, c.works, err == nil, "%+v: %v", c, err)
		if !c.works {
			require.ErrorIs(t, err, datasource.ErrFileRefused)
		}
	}
}

func TestAnEditOfTheFilesKeepsThoseThatStay(t *testing.T) {
	t.Parallel()
	for name, keys := range ownKeys(t) {
		w := newWorld(t)
		jane := w.login("jane", keys)
		conv := w.converse(jane, "bob")
		m, err := jane.Message(t.Context(), conv.ID, chat.Draft{Files: []chat.File{{Name: "a.txt", Content: []byte("A")}, {Name: "b.txt", Content: []byte("B")}}})
		require.NoError(t, err)
		m, err = jane.UpdateMessage(t.Context(), conv.ID, m.ID, chat.M{"file": []string{"https://example.org/x", m.Files[1]}, "isEdited": true})
		require.NoError(t, err)
		require.Len(t, m.Files, 2)
		_, content := fetch(t, jane, m, 1)
		assert.Equal(t, "B", content, name)
		_, _, err = jane.Download(t.Context(), m, 0, io.Discard)
		require.ErrorIs(t, err, datasource.ErrFileRefused, "a URL like any other")
		_, err = jane.UpdateMessage(t.Context(), conv.ID, m.ID, chat.M{"guid": "another"})
		require.ErrorIs(t, err, chat.ErrSealed, "the files are sealed to it")
		m, err = jane.UpdateMessage(t.Context(), conv.ID, m.ID, chat.M{"file": []string{}})
		require.NoError(t, err)
		assert.Empty(t, m.Files)
	}
}

func TestFilesStayReadableWhenKeysAreChanged(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	cipher := newCipher(t, sure(chat.NewKey("k1", aesKey)))
	jane := w.login("jane", func(o *chat.Options) { o.Cipher = cipher })
	conv := w.converse(jane, "bob")
	var ids []int64
	for _, body := range []string{"", "with text"} {
		m, err := jane.Message(t.Context(), conv.ID, chat.Draft{Body: body, Files: []chat.File{{Name: "a.txt", Content: []byte("A")}}})
		require.NoError(t, err)
		ids = append(ids, m.ID)
	}
	w.AddRows(conv.ID, datasource.M{"flSealedFiles": `[{"url":"https://evil.example"}]`, "guid": "planted", "file": []string{"https://evil.example"}})
	require.NoError(t, cipher.Add(sure(chat.NewKey("k2", bytes.Repeat([]byte{9}, 32)))))
	require.NoError(t, cipher.Promote("k2"))
	p, err := jane.Reencrypt(t.Context(), conv.ID, nil)
	require.NoError(t, err)
	assert.Equal(t, 3, p.Moved, "a body and two lists of files")
	assert.Equal(t, 1, p.Unreadable, "a planted list does not become a genuine one")
	require.NoError(t, cipher.Remove("k1"))
	for _, id := range ids {
		m, err := conv.Messages().Get(t.Context(), id)
		require.NoError(t, err)
		_, content := fetch(t, jane, m, 0)
		assert.Equal(t, "A", content)
	}
}

func TestSealedContentWaitsInTheOutbox(t *testing.T) {
	for name, keys := range ownKeys(t) {
		t.Run(name, func(t *testing.T) {
			inOutbox(t, func(t *testing.T, w *world, conv int64) {
				store := storage.NewMemory()
				jane := w.login("jane", keys, func(o *chat.Options) { o.Storage, o.Outbox = store, &chat.OutboxOptions{} })
				down := w.Always(fliplettest.AnyWrite, fliplettest.LoseRequest())
				_, err := jane.Outbox().Add(t.Context(), conv, chat.Draft{GUID: "g", Files: []chat.File{{Name: "a.txt", Content: []byte("the secret")}}})
				require.NoError(t, err)
				stored := 0
				for k, err := range store.(storage.Lister).List(t.Context(), "") {
					require.NoError(t, err)
					raw, err := store.Get(t.Context(), k)
					require.NoError(t, err)
					assert.NotContains(t, string(raw), "the secret")
					assert.NotContains(t, string(raw), base64.StdEncoding.EncodeToString([]byte("the secret"))[:12])
					stored += strings.Count(string(raw), "flSealedFiles")
				}
				assert.Equal(t, 1, stored)
				down.Off()
				m, err := jane.Message(t.Context(), conv, chat.Draft{Body: "after"})
				require.NoError(t, err)
				_ = m
				rows := w.Rows(conv)
				require.Len(t, rows, 2)
				sent, err := jane.Message(t.Context(), conv, chat.Draft{GUID: "g", Files: []chat.File{{Name: "a.txt", Content: []byte("the secret")}}})
				require.Len(t, w.Rows(conv), 2, "it is found, though each attempt has keys of its own")
				require.NoError(t, err)
				_, content := fetch(t, jane, sent, 0)
				assert.Equal(t, "the secret", content)
				_, err = jane.Outbox().Add(t.Context(), conv, chat.Draft{Files: []chat.File{{Name: "r.txt", Reader: strings.NewReader("x")}}})
				require.ErrorIs(t, err, chat.ErrInvalid)
			})
		})
	}
}

func TestASealedUploadSurvivesANewLoginIfItsReaderCanGoBack(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		w := newWorld(t, fliplettest.InProcess())
		jane := w.login("jane", ownKeys(t)["Cipher"])
		conv := w.converse(jane, "bob")
		content := strings.Repeat("x", 150_000)
		w.Next(1, fliplettest.Insert, fliplettest.Status(403))
		m, err := jane.Message(t.Context(), conv.ID, chat.Draft{Files: []chat.File{{Name: "a.txt", Reader: strings.NewReader(content)}, {Name: "b.txt", Content: []byte("B")}}})
		require.NoError(t, err)
		_, got := fetch(t, jane, m, 0)
		assert.Equal(t, content, got)
		_, got = fetch(t, jane, m, 1)
		assert.Equal(t, "B", got)
		w.Next(1, fliplettest.Insert, fliplettest.Status(403))
		_, err = jane.Message(t.Context(), conv.ID, chat.Draft{Files: []chat.File{{Name: "a.txt", Reader: io.MultiReader(strings.NewReader("A"))}}})
		require.ErrorIs(t, err, datasource.ErrForbidden)
		assert.Len(t, w.Rows(conv.ID), 1, "half a file is not stored")
		w.Next(1, fliplettest.Insert, fliplettest.TooMany(0))
		_, err = jane.Message(t.Context(), conv.ID, chat.Draft{Files: []chat.File{{Name: "b.txt", Content: []byte("B")}}})
		require.NoError(t, err, "content is sent again")
	})
}
