package chat_test

import (
	"bytes"
	"context"
	"encoding/base64"
	"encoding/json"
	"errors"
	"fmt"
	"image"
	"image/color"
	"image/gif"
	"image/jpeg"
	"image/png"
	"io"
	"net/http"
	"net/http/httptest"
	"net/netip"
	"net/url"
	"strings"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	chat "github.com/fliplet/fliplet-chat-go"
	"github.com/fliplet/fliplet-chat-go/datasource"
	"github.com/fliplet/fliplet-chat-go/fliplettest"
)

// picture is an image of a size in a format.
func picture(t testing.TB, format string, width, height int) []byte {
	t.Helper()
	img := image.NewPaletted(image.Rect(0, 0, width, height), color.Palette{color.Black, color.White})
	var b bytes.Buffer
	switch format {
	case "png":
		require.NoError(t, png.Encode(&b, img))
	case "jpeg":
		require.NoError(t, jpeg.Encode(&b, img, nil))
	case "gif":
		require.NoError(t, gif.Encode(&b, img, nil))
	}
	return b.Bytes()
}

func plainBodies(o *chat.Options) { o.EncryptMessages = false }

// fetch downloads an attachment.
func fetch(t testing.TB, c *chat.Chat, m *chat.Message, i int) (contentType, content string) {
	t.Helper()
	var b bytes.Buffer
	contentType, n, err := c.Download(t.Context(), m, i, &b)
	require.NoError(t, err)
	require.EqualValues(t, b.Len(), n)
	return contentType, b.String()
}

func TestURLsOfAttachmentsAreStoredAsTheyAre(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	jane := w.login("jane")
	conv := w.converse(jane, "bob")
	urls := []string{"https://example.org/a b.png?x=1", "https://cdn.fliplet.com/x.pdf"}
	sent, err := jane.Message(t.Context(), conv.ID, chat.Draft{Files: []chat.File{{URL: urls[0]}, {URL: urls[1]}}})
	require.NoError(t, err)
	assert.Equal(t, urls, sent.Files)
	assert.Equal(t, []any{urls[0], urls[1]}, w.Rows(conv.ID)[0].Data["file"])
	assert.NotContains(t, w.Rows(conv.ID)[0].Data, "hasMediaFileWithPrivateEncryptionKey")
}

func TestContentIsUploadedWithItsNameTypeAndSize(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	jane := w.login("jane", plainBodies)
	conv := w.converse(jane, "bob")
	encoded := base64.StdEncoding.EncodeToString(picture(t, "gif", 9, 4))
	for name, test := range map[string]struct {
		file                      chat.File
		storedName, storedType    string
		fileType                  any
		imageWidth, imageHeight   any
		content                   []byte
		data                      chat.M
		wantedType, wantedContent string
	}{
		"png":                {file: chat.File{Name: "a.png", Content: picture(t, "png", 7, 5)}, storedName: "a.png", storedType: "image/png", fileType: "image", imageWidth: json.Number("7"), imageHeight: json.Number("5")},
		"jpeg without type":  {file: chat.File{Content: picture(t, "jpeg", 300, 2)}, storedName: "file.jpg", storedType: "image/jpeg", fileType: "image", imageWidth: json.Number("300"), imageHeight: json.Number("2")},
		"gif reader":         {file: chat.File{Name: "x.gif", Reader: bytes.NewReader(picture(t, "gif", 3, 2))}, storedName: "x.gif", storedType: "image/gif", fileType: "image", imageWidth: json.Number("3"), imageHeight: json.Number("2")},
		"one-way reader":     {file: chat.File{Reader: io.MultiReader(bytes.NewReader(picture(t, "png", 11, 12)))}, storedName: "file.png", storedType: "image/png", fileType: "image", imageWidth: json.Number("11"), imageHeight: json.Number("12")},
		"text":               {file: chat.File{Name: "n.txt", Content: []byte("notes")}, storedName: "n.txt", storedType: "text/plain"},
		"sniffed text":       {file: chat.File{Content: []byte("just words")}, storedName: "file.txt", storedType: "text/plain"},
		"given type":         {file: chat.File{Name: "n.dat", ContentType: "application/x-own", Content: []byte("x")}, storedName: "n.dat", storedType: "application/x-own"},
		"data URL":           {file: chat.File{URL: "data:image/gif;base64," + encoded}, storedName: "file.gif", storedType: "image/gif", fileType: "image", imageWidth: json.Number("9"), imageHeight: json.Number("4")},
		"data URL with name": {file: chat.File{URL: "data:image/gif;base64," + encoded + ";filename:my%20dog.gif"}, storedName: "my dog.gif", storedType: "image/gif", fileType: "image", imageWidth: json.Number("9"), imageHeight: json.Number("4")},
		"no real image":      {file: chat.File{Name: "a.png", Content: []byte("lie")}, storedName: "a.png", storedType: "image/png", fileType: "image"},
		"size told by caller": {file: chat.File{Name: "a.png", Content: picture(t, "png", 7, 5)}, data: chat.M{"imageWidth": 1, "imageHeight": 2},
			storedName: "a.png", storedType: "image/png", fileType: "image", imageWidth: json.Number("1"), imageHeight: json.Number("2")},
	} {
		t.Run(name, func(t *testing.T) {
			m, err := jane.Message(t.Context(), conv.ID, chat.Draft{Files: []chat.File{test.file}, Data: test.data})
			require.NoError(t, err)
			require.Len(t, m.Files, 1)
			assert.True(t, strings.HasSuffix(m.Files[0], "/"+strings.ReplaceAll(test.storedName, " ", "%20")), m.Files[0])
			assert.Empty(t, m.Body)
			assert.Equal(t, test.fileType, m.Data["fileType"])
			assert.Equal(t, test.imageWidth, m.Data["imageWidth"])
			assert.Equal(t, test.imageHeight, m.Data["imageHeight"])
			assert.Equal(t, []string{jane.User().UserID}, m.ReadBy)
			assert.True(t, m.IsReadByCurrentUser)
			assert.NotContains(t, m.Data, "hasMediaFileWithPrivateEncryptionKey")
			contentType, content := fetch(t, jane, m, 0)
			assert.Equal(t, test.storedType, contentType)
			if test.file.Content != nil {
				assert.Equal(t, string(test.file.Content), content)
			}
			assert.NotEmpty(t, content)
		})
	}
}

func TestURLsAndUploadsShareOneMessage(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	jane, bob := w.login("jane"), w.login("bob")
	conv := w.converse(jane, "bob")
	toBob := stream(t, bob)
	_, err := jane.Message(t.Context(), conv.ID, chat.Draft{Body: "see", Files: []chat.File{
		{URL: "https://example.org/1"}, {Name: "a.txt", Content: []byte("A")}, {URL: "https://example.org/2"}, {Name: "b.txt", Content: []byte("B")},
	}})
	require.NoError(t, err)
	m := toBob.wait(t, 1)[0]
	assert.Equal(t, "see", m.Body)
	require.Len(t, m.Files, 4)
	assert.Contains(t, m.Files, "https://example.org/1")
	assert.Contains(t, m.Files, "https://example.org/2")
	var uploads []string
	for i, url := range m.Files {
		if strings.HasPrefix(url, w.URL) {
			_, content := fetch(t, bob, m, i)
			uploads = append(uploads, content)
		}
	}
	assert.Equal(t, []string{"A", "B"}, uploads)
}

func TestAnUploadedMessageIsReadAndCountedLikeAnyOther(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	jane, bob := w.login("jane"), w.login("bob")
	conv := w.converse(jane, "bob")
	_, err := jane.Message(t.Context(), conv.ID, chat.Draft{Files: []chat.File{{Name: "a.txt", Content: []byte("A")}}})
	require.NoError(t, err)
	n, err := jane.Unread().Count(t.Context())
	require.NoError(t, err)
	assert.Zero(t, n)
	unread, err := bob.Unread().Get(t.Context())
	require.NoError(t, err)
	require.Len(t, unread, 1)
	assert.Equal(t, conv.ID, unread[0].ConversationID)
	require.NoError(t, unread[0].Err)
	assert.Empty(t, unread[0].Body)
	assert.Empty(t, w.Rows(conv.ID)[0].Data["body"], "stored as it is: there is nothing to encrypt")
	require.NoError(t, bob.MarkMessagesAsRead(t.Context(), unread...))
	n, err = bob.Unread().Count(t.Context())
	require.NoError(t, err)
	assert.Zero(t, n)
}

func TestPrivateMediaOpenWithTheConversationsKeyOnly(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	jane, bob := w.login("jane"), w.login("bob")
	conv := w.converse(jane, "bob")
	toBob := stream(t, bob)
	sent, err := jane.Message(t.Context(), conv.ID, chat.Draft{Files: []chat.File{{Name: "s.txt", Content: []byte("secret")}}})
	require.NoError(t, err)
	m := toBob.wait(t, 1)[0]
	assert.Equal(t, sent.Files, m.Files, "the stored URL, without a key")
	_, content := fetch(t, bob, m, 0)
	assert.Equal(t, "secret", content)

	key := conv.EncryptionKey()
	for _, shown := range []string{m.Files[0], fmt.Sprint(m.Data), fmt.Sprintf("%+v", m), string(must(json.Marshal(m)))} {
		assert.NotContains(t, shown, key)
	}
	// The key goes to the media of the API alone. A caller's own key is not what the server
	// asks for, and is not sent. The server's own list of requests shows neither.
	tap := &requestTap{next: w.Transport()}
	own := w.login("bob", func(o *chat.Options) { o.Keys = fixedKey("not the key") }, w.through(tap))
	_, content = fetch(t, own, m, 0)
	assert.Equal(t, "secret", content)
	told := 0
	for _, r := range tap.all() {
		whole := r.url.String() + fmt.Sprint(r.header) + r.body
		assert.False(t, holds(whole, "not the key"), r.String())
		if holds(whole, key) {
			told++
			assert.Regexp(t, `^GET /v1/media/files/\d+/contents/s\.txt$`, r.String())
			assert.Equal(t, key, r.url.Query().Get("encryptionKey"))
		}
	}
	assert.Equal(t, 1, told)
	_, _, err = w.Client().Download(t.Context(), m.Files[0], url.Values{"encryptionKey": {"wrong"}}, io.Discard, nil)
	require.ErrorIs(t, err, datasource.ErrAccessDenied)
}

type fixedKey string

func (k fixedKey) Key(context.Context, int64) (string, error) { return string(k), nil }

func must[T any](v T, err error) T {
	if err != nil {
		panic(err)
	}
	return v
}

func TestKeyAndTokenNeverReachAForeignHost(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	var seen []string
	foreign := httptest.NewServer(http.HandlerFunc(func(rw http.ResponseWriter, r *http.Request) {
		seen = append(seen, r.URL.String(), fmt.Sprint(r.Header))
		if r.URL.Path == "/gone" {
			http.NotFound(rw, r)
			return
		}
		_, _ = io.WriteString(rw, "foreign")
	}))
	defer foreign.Close()
	client, err := datasource.NewClient(datasource.Config{
		Token: w.Token, BaseURL: w.URL, HTTPClient: &http.Client{Transport: w.Transport()},
		FileHosts: []string{foreign.URL}, FileNetworks: []netip.Prefix{netip.MustParsePrefix("127.0.0.0/8")},
	})
	require.NoError(t, err)
	defer client.CloseIdle()
	jane := w.login("jane", func(o *chat.Options) { o.Client = client })
	conv := w.converse(jane, "bob")
	id := w.AddRows(conv.ID, datasource.M{
		"file": []string{foreign.URL + "/x?y=1", foreign.URL + "/gone", w.URL + "/v1/user"}, "hasMediaFileWithPrivateEncryptionKey": "true", "readBy": []string{},
	})[0]
	msgs, err := jane.Messages(t.Context())
	require.NoError(t, err)
	require.Equal(t, id, msgs[0].ID)
	_, content := fetch(t, jane, msgs[0], 0)
	assert.Equal(t, "foreign", content)
	_, _, err = jane.Download(t.Context(), msgs[0], 1, io.Discard)
	require.ErrorIs(t, err, chat.ErrNotFound)
	before := len(w.Requests())
	_, _, other := jane.Download(t.Context(), msgs[0], 2, io.Discard)
	require.ErrorIs(t, other, datasource.ErrFileRefused, "another path of the API")
	assert.Len(t, w.Requests(), before)
	require.NotEmpty(t, seen)
	for _, s := range append(seen, err.Error()) {
		assert.NotContains(t, s, conv.EncryptionKey())
		assert.NotContains(t, s, w.Token)
		assert.NotContains(t, s, "encryptionKey")
	}
}

func TestTransfersTellTheirProgressAndCanBeCancelled(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	jane := w.login("jane")
	conv := w.converse(jane, "bob")
	content := bytes.Repeat([]byte("0123456789"), 50_000)
	var sent, size int64
	m, err := jane.Message(t.Context(), conv.ID, chat.Draft{
		Files:    []chat.File{{Name: "big.txt", Reader: bytes.NewReader(content), Size: int64(len(content))}},
		Progress: func(s, total int64) { assert.GreaterOrEqual(t, s, sent); sent, size = s, total },
	})
	require.NoError(t, err)
	assert.Greater(t, size, int64(len(content)))
	assert.Equal(t, size, sent)
	var got int64
	_, n, err := jane.Download(t.Context(), m, 0, io.Discard, chat.Progress(func(g, total int64) {
		assert.True(t, total == -1 || total == int64(len(content)))
		got = g
	}))
	require.NoError(t, err)
	assert.EqualValues(t, len(content), n)
	assert.EqualValues(t, len(content), got)

	ctx, cancel := context.WithCancel(t.Context())
	_, err = jane.Message(ctx, conv.ID, chat.Draft{
		Files: []chat.File{{Name: "big.txt", Reader: bytes.NewReader(content)}}, Progress: func(int64, int64) { cancel() },
	})
	require.ErrorIs(t, err, context.Canceled)
	assert.Len(t, w.Rows(conv.ID), 1, "nothing of it is stored")
}

func TestAnUploadCanBeCancelledOnItsWay(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	jane := w.login("jane")
	conv := w.converse(jane, "bob")
	ctx, cancel := context.WithCancelCause(t.Context())
	enough := errors.New("enough")
	read, write := io.Pipe() // a reader that never ends by itself
	defer write.Close()
	go func() {
		_, _ = write.Write(make([]byte, 64<<10))
		cancel(enough)
	}()
	_, err := jane.Message(ctx, conv.ID, chat.Draft{Files: []chat.File{{Name: "x.txt", Reader: read}}})
	require.ErrorIs(t, err, enough)
	read.Close()
	assert.Empty(t, w.Rows(conv.ID))
}

func TestLookingAtAReaderEndsWithTheContext(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	jane := w.login("jane")
	conv := w.converse(jane, "bob")
	ctx, cancel := context.WithCancel(t.Context())
	read, write := io.Pipe()
	defer write.Close()
	go func() {
		_, _ = write.Write([]byte("\x89PNG")) // the header goes on, but never comes
		cancel()
	}()
	_, err := jane.Message(ctx, conv.ID, chat.Draft{Files: []chat.File{{Name: "x.png", Reader: read}}})
	require.ErrorIs(t, err, context.Canceled)
	read.Close()
}

func TestAnUploadWhoseAnswerWasLostIsFoundAgain(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	jane := w.login("jane")
	conv := w.converse(jane, "bob")
	w.Next(1, fliplettest.Insert, fliplettest.LoseAnswer())
	m, err := jane.Message(t.Context(), conv.ID, chat.Draft{Body: "once", Files: []chat.File{{Name: "a.txt", Reader: strings.NewReader("A")}}})
	require.NoError(t, err)
	assert.Equal(t, "once", m.Body)
	require.Len(t, m.Files, 1)
	assert.Len(t, w.Rows(conv.ID), 1)
	_, content := fetch(t, jane, m, 0)
	assert.Equal(t, "A", content)
}

func TestAnUploadSurvivesANewLoginIfItsReaderCanGoBack(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	jane := w.login("jane")
	conv := w.converse(jane, "bob")
	w.Next(1, fliplettest.Insert, fliplettest.Status(403))
	picture := picture(t, "png", 5, 6)
	m, err := jane.Message(t.Context(), conv.ID, chat.Draft{Files: []chat.File{{Name: "a.png", Reader: bytes.NewReader(picture)}}})
	require.NoError(t, err)
	_, content := fetch(t, jane, m, 0)
	assert.Equal(t, string(picture), content)

	// The local server reads a request before it refuses it.
	w.Next(1, fliplettest.Insert, fliplettest.Status(403))
	_, err = jane.Message(t.Context(), conv.ID, chat.Draft{Files: []chat.File{{Name: "a.txt", Reader: io.MultiReader(strings.NewReader("A"))}}})
	require.ErrorIs(t, err, datasource.ErrForbidden)
	assert.Len(t, w.Rows(conv.ID), 1, "half a file is not stored")
}

func TestUnusableFilesAreRefusedBeforeAnyRequest(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	jane := w.login("jane")
	conv := w.converse(jane, "bob")
	before := len(w.Requests())
	for text, f := range map[string]chat.File{
		"neither URL nor Content": {},
		"more than one of":        {URL: "https://x", Content: []byte("x")},
		"not valid base64":        {URL: "data:image/png;base64,###"},
		"Name: empty":             {Content: []byte{0, 1, 2, 3}},
		"Size: -1 is negative":    {Reader: strings.NewReader("x"), Size: -1},
		"only a Reader needs it":  {Content: []byte("x"), Size: 1},
		"a header cannot carry":   {Content: []byte("x"), ContentType: "text/plain\r\nX: y"},
	} {
		_, err := jane.Message(t.Context(), conv.ID, chat.Draft{Files: []chat.File{{URL: "https://ok"}, f}})
		require.ErrorIs(t, err, chat.ErrInvalid, text)
		assert.ErrorContains(t, err, "Draft.Files[1]")
		assert.ErrorContains(t, err, text)
	}
	m := &chat.Message{Files: []string{"https://x"}}
	for text, call := range map[string]func() error{
		"m: nil":                  func() error { _, _, err := jane.Download(t.Context(), nil, 0, io.Discard); return err },
		"there is no number 1":    func() error { _, _, err := jane.Download(t.Context(), m, 1, io.Discard); return err },
		"there is no number -1":   func() error { _, _, err := jane.Download(t.Context(), m, -1, io.Discard); return err },
		"w: nil; give io.Discard": func() error { _, _, err := jane.Download(t.Context(), m, 0, nil); return err },
	} {
		err := call()
		require.ErrorIs(t, err, chat.ErrInvalid, text)
		assert.ErrorContains(t, err, text)
	}
	assert.Len(t, w.Requests(), before)
}

func TestTheServersRefusalOfAFileIsPassedOn(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	jane := w.login("jane")
	conv := w.converse(jane, "bob")
	_, err := jane.Message(t.Context(), conv.ID, chat.Draft{Files: []chat.File{{Name: "virus.exe", Content: []byte("x")}}})
	var refused *datasource.Error
	require.ErrorAs(t, err, &refused)
	assert.Equal(t, 422, refused.StatusCode)
}

func TestAFileInsideARowIsDownloadedWithoutARequest(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	jane := w.login("jane")
	before := len(w.Requests())
	m := &chat.Message{Files: []string{"data:text/plain;base64,aGk="}}
	contentType, content := fetch(t, jane, m, 0)
	assert.Equal(t, "text/plain", contentType)
	assert.Equal(t, "hi", content)
	assert.Len(t, w.Requests(), before)
}

func TestASendConfirmedWithNothingIsLookedUp(t *testing.T) {
	t.Parallel()
	for _, answer := range []fliplettest.Fault{fliplettest.EmptyBody(), fliplettest.CreatedOnInsert()} {
		w := newWorld(t)
		jane := w.login("jane")
		conv := w.converse(jane, "bob")
		w.Always(fliplettest.Insert, answer)
		m := w.say(jane, conv, "hi")
		require.Len(t, w.Rows(conv.ID), 1)
		assert.Equal(t, w.Rows(conv.ID)[0].ID, m.ID)
		assert.Equal(t, "hi", m.Body)
	}
}
