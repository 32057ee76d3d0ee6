package datasource_test

import (
	"bytes"
	"encoding/json"
	"errors"
	"io"
	"mime"
	"mime/multipart"
	"net/http"
	"net/url"
	"strings"
	"sync"
	"testing"
	"testing/iotest"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/fliplet/fliplet-chat-go/datasource"
)

// parts reads a multipart request: "name=text" for fields, "name;filename;type=bytes" for files, in their order.
func parts(t *testing.T, sent recorded) (list []string) {
	t.Helper()
	kind, params, err := mime.ParseMediaType(sent.header.Get("Content-Type"))
	require.NoError(t, err)
	require.Equal(t, "multipart/form-data", kind)
	r := multipart.NewReader(strings.NewReader(sent.body), params["boundary"])
	for {
		p, err := r.NextRawPart()
		if err == io.EOF {
			return list
		}
		require.NoError(t, err)
		content, err := io.ReadAll(p)
		require.NoError(t, err)
		name := p.FormName()
		if f := p.FileName(); f != "" {
			name += ";" + f + ";" + p.Header.Get("Content-Type")
		}
		list = append(list, name+"="+string(content))
	}
}

func TestAnAttachmentIsSentAsDocumented(t *testing.T) {
	t.Parallel()
	server := serve(t, answer(200, `{"id":5002,"dataSourceId":777,"data":{"body":"","conversationId":"777",
		"file":["https://api.fliplet.com/v1/media/files/900/contents/file.png"],"fileMediaFileId":[900]},"createdAt":null,"updatedAt":"…"}`))
	row, err := server.client(t).InsertEntry(t.Context(), 777, datasource.Write{
		Params: url.Values{"folderId": {"5"}},
		Data: M{"body": "", "fromUserId": "u-jane", "readBy": []string{"u-jane"}, "conversationId": 777, "imageWidth": 1024, "ratio": json.Number("1.50"),
			"hasMediaFileWithPrivateEncryptionKey": true, "_flSchema": M{"file": M{"encryptionKey": "k&<>"}}, "none": nil,
			"when": time.Date(2026, 2, 1, 8, 0, 0, 0, time.UTC), "quote": "a\"b\\ é\n", "list": []any{"https://x/y"}},
		Files: []datasource.Part{
			{Field: "file[]", Filename: "file.png", ContentType: "image/png", Content: []byte("\x89PNG")},
			{Field: "file[]", Filename: "q\"\\\r\nX-Evil: 1.txt", Reader: strings.NewReader("text")},
			{Field: "é[]", Filename: "é.bin", Content: []byte{}},
		},
	})
	require.NoError(t, err)
	assert.Equal(t, int64(5002), row.ID)
	sent := server.last(t)
	assert.Equal(t, "PUT /v1/data-sources/777/data?folderId=5", sent.line)
	assert.Equal(t, token, sent.header.Get("Auth-Token"))
	got := parts(t, sent)
	assert.Equal(t, []string{
		`_flSchema={"file":{"encryptionKey":"k&<>"}}`, `body=`, `conversationId=777`, `fromUserId=u-jane`, `hasMediaFileWithPrivateEncryptionKey=true`,
		`imageWidth=1024`, `list=["https://x/y"]`, "quote=a\"b\\ é\n", `ratio=1.50`, `readBy=["u-jane"]`, `when=2026-02-01T08:00:00Z`,
		"file[];file.png;image/png=\x89PNG",
	}, got[:12])
	assert.True(t, strings.HasPrefix(got[12], `file[];q"\`), got[12])
	assert.NotContains(t, got[12], "\n")
	assert.True(t, strings.HasSuffix(got[12], ";application/octet-stream=text"), got[12])
	assert.Equal(t, "é[];é.bin;application/octet-stream=", got[13])
}

func TestAFileOfKnownSizeIsAnnouncedAndProgressReported(t *testing.T) {
	t.Parallel()
	content := strings.Repeat("x", 300_000)
	for name, c := range map[string]struct {
		part  datasource.Part
		known bool
	}{
		"content":       {datasource.Part{Content: []byte(content)}, true},
		"sized reader":  {datasource.Part{Reader: strings.NewReader(content), Size: int64(len(content))}, true},
		"open reader":   {datasource.Part{Reader: strings.NewReader(content)}, false},
		"many segments": {datasource.Part{Reader: iotest.HalfReader(strings.NewReader(content)), Size: int64(len(content))}, true},
	} {
		var length int64
		server := serve(t, func(w http.ResponseWriter, r *http.Request) {
			length = r.ContentLength
			answer(200, `{"id":2,"data":{}}`)(w, r)
		})
		c.part.Field, c.part.Filename = "file", "a.bin"
		var calls []int64
		var total int64
		_, err := server.client(t).UpdateEntry(t.Context(), 1, 2, datasource.Write{Files: []datasource.Part{c.part}, Progress: func(sent, of int64) {
			calls, total = append(calls, sent), of
		}})
		require.NoError(t, err, name)
		assert.Equal(t, []string{"file;a.bin;application/octet-stream=" + content}, parts(t, server.last(t)), name)
		assert.IsIncreasing(t, calls, name)
		body := int64(len(server.last(t).body))
		assert.Equal(t, body, calls[len(calls)-1], name)
		if c.known {
			assert.Equal(t, []int64{body, body}, []int64{length, total}, name)
		} else {
			assert.Equal(t, []int64{-1, -1}, []int64{length, total}, name)
		}
	}
}

func TestARequestIsNotRepeatedOnceAReaderWasRead(t *testing.T) {
	t.Parallel()
	for name, c := range map[string]struct {
		part     datasource.Part
		attempts int
	}{
		"content is sent again": {datasource.Part{Content: []byte("abc")}, 4},
		"a reader is not":       {datasource.Part{Reader: strings.NewReader("abc"), Size: 3}, 1},
	} {
		c.part.Field, c.part.Filename = "file", "a.bin"
		server := serve(t, answer(429, ``))
		_, err := server.client(t).InsertEntry(t.Context(), 1, datasource.Write{Files: []datasource.Part{c.part}})
		require.ErrorIs(t, err, datasource.ErrRateLimited, name)
		assert.Len(t, server.seen(), c.attempts, name)
		for _, sent := range server.seen() {
			assert.Equal(t, []string{"file;a.bin;application/octet-stream=abc"}, parts(t, sent), name)
		}
	}
	attempts := 0
	client := through(t, func(*http.Request) (*http.Response, error) {
		attempts++
		return nil, &noConnection{}
	}, func(cfg *datasource.Config) { cfg.Retry.BaseDelay, cfg.Retry.MaxDelay = 1, 1 })
	_, err := client.InsertEntry(t.Context(), 1, datasource.Write{Files: []datasource.Part{{Field: "f", Filename: "a.bin", Reader: strings.NewReader("abc")}}})
	require.Error(t, err)
	assert.Equal(t, 1, attempts, "what cannot be told apart is not repeated")
}

type noConnection struct{}

func (*noConnection) Error() string { return "no connection" }

func TestAReaderThatFailsFailsTheWrite(t *testing.T) {
	t.Parallel()
	broken := errors.New("disk error")
	server := serve(t, answer(200, `{"id":1}`))
	_, err := server.client(t).InsertEntry(t.Context(), 1, datasource.Write{Files: []datasource.Part{{Field: "f", Filename: "a.bin", Reader: iotest.ErrReader(broken)}}})
	require.ErrorIs(t, err, broken)
}

// A reader that notes whether it is read after its owner got it back.
type guarded struct {
	mu   sync.Mutex
	back bool
	late bool
}

func (g *guarded) Read(p []byte) (int, error) {
	g.mu.Lock()
	defer g.mu.Unlock()
	g.late = g.late || g.back
	return len(p), nil // without end
}

func TestNothingIsReadAfterTheCallHasReturned(t *testing.T) {
	t.Parallel()
	// The handler answers at once, while the client is still sending.
	server := serve(t)
	early := http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) { answer(400, `{"message":"no"}`)(w, nil) })
	server.Config.Handler = early
	for range 20 {
		g := &guarded{}
		after := false
		_, err := server.client(t).InsertEntry(t.Context(), 1, datasource.Write{
			Files:    []datasource.Part{{Field: "f", Filename: "a.bin", Reader: g}},
			Progress: func(int64, int64) { assert.False(t, after) },
		})
		require.Error(t, err)
		g.mu.Lock()
		g.back, after = true, true
		g.mu.Unlock()
		server.CloseClientConnections()
		g.mu.Lock()
		assert.False(t, g.late)
		g.mu.Unlock()
	}
}

func TestUploadSendsFilesToTheMediaLibrary(t *testing.T) {
	t.Parallel()
	server := serve(t, answer(201, `{"files":[{"id":900,"name":"a.png","contentType":"image/png","path":"p","url":"https://cdn.fliplet.com/apps/2/a.png",
		"thumbnail":null,"size":[10,20],"isEncrypted":true,"appId":9,"mediaFolderId":"4","organizationId":2,"dataSourceEntryId":null,
		"createdAt":"2026-02-01T08:00:00.000Z","updatedAt":"2026-02-01T08:00:00.001Z","deletedAt":null},null,{}]}`))
	var sentBytes int64
	files, err := server.client(t).Upload(t.Context(), url.Values{"appId": {"9"}}, []datasource.Part{
		{Filename: "a.png", ContentType: "image/png", Content: []byte("A")}, {Filename: "b.png", Reader: strings.NewReader("B"), Size: 1},
		{Field: "cover", Filename: "c.png", Content: []byte("C")},
	}, func(n, _ int64) { sentBytes = n })
	require.NoError(t, err)
	assert.Equal(t, []datasource.MediaFile{{ID: 900, Name: "a.png", ContentType: "image/png", Path: "p", URL: "https://cdn.fliplet.com/apps/2/a.png",
		IsEncrypted: true, AppID: 9, OrganizationID: 2, MediaFolderID: 4, CreatedAt: ms("2026-02-01T08:00:00.000Z"), UpdatedAt: ms("2026-02-01T08:00:00.001Z"),
		Extra: map[string]json.RawMessage{"size": json.RawMessage("[10,20]")}}}, files)
	assert.Equal(t, "POST /v1/media/files?appId=9", server.last(t).line)
	assert.Equal(t, []string{"name[0]=a.png", "name[1]=b.png", "files[0];a.png;image/png=A", "files[1];b.png;application/octet-stream=B",
		"cover;c.png;application/octet-stream=C"}, parts(t, server.last(t)))
	assert.Equal(t, int64(len(server.last(t).body)), sentBytes)
}

func TestBadFilesAreRefusedBeforeAnyRequest(t *testing.T) {
	t.Parallel()
	server := serve(t)
	c := server.client(t)
	file := func(p datasource.Part) error {
		return second(c.InsertEntry(t.Context(), 1, datasource.Write{Files: []datasource.Part{{Field: "f", Filename: "a", Content: []byte{}}, p}}))
	}
	ok := []datasource.Part{{Field: "f", Filename: "a.png", Content: []byte("x")}}
	app := url.Values{"appId": {"1"}}
	for want, err := range map[string]error{
		"Files[1]: Field is empty":    file(datasource.Part{Filename: "a", Content: []byte{}}),
		"Filename is empty":           file(datasource.Part{Field: "f", Content: []byte{}}),
		"neither Content nor Reader":  file(datasource.Part{Field: "f", Filename: "a"}),
		"are both set":                file(datasource.Part{Field: "f", Filename: "a", Content: []byte{}, Reader: strings.NewReader("")}),
		"larger than the 524288000":   file(datasource.Part{Field: "f", Filename: "a", Reader: strings.NewReader(""), Size: 500<<20 + 1}),
		"ContentType holds":           file(datasource.Part{Field: "f", Filename: "a", Content: []byte{}, ContentType: "a\r\nb"}),
		`Data["a"] is null`:           second(c.UpdateEntry(t.Context(), 1, 2, datasource.Write{Data: M{"a": nil}, Files: ok})),
		`Data["a"]: func()`:           second(c.InsertEntry(t.Context(), 1, datasource.Write{Data: M{"a": func() {}}, Files: ok})),
		"holds a line end":            second(c.InsertEntry(t.Context(), 1, datasource.Write{Data: M{"a\nb": 1}, Files: ok})),
		"names no place":              second(c.Upload(t.Context(), nil, ok, nil)),
		"there are no files":          second(c.Upload(t.Context(), app, nil, nil)),
		"Files[0]: Filename is empty": second(c.Upload(t.Context(), app, []datasource.Part{{Content: []byte{}}}, nil)),
	} {
		require.ErrorContains(t, err, want)
	}
	assert.Empty(t, server.seen())
}

func TestADownloadIsStreamedWithProgress(t *testing.T) {
	t.Parallel()
	content := strings.Repeat("x", 200_000)
	server := serve(t, func(w http.ResponseWriter, r *http.Request) {
		w.Header().Set("Content-Type", "image/png")
		_, _ = io.WriteString(w, content[:100_000])
		if r.URL.Path == "/v1/media/files/9/contents" {
			w.(http.Flusher).Flush()
		}
		_, _ = io.WriteString(w, content[100_000:])
	})
	client := server.client(t, func(cfg *datasource.Config) { cfg.MaxResponseBytes = 10 })
	var got bytes.Buffer
	var seen []int64
	kind, n, err := client.Download(t.Context(), "v1/media/files/9/contents?size=small", url.Values{"encryptionKey": {"k"}}, &got, func(g, of int64) { seen = append(seen, g, of) })
	require.NoError(t, err)
	assert.Equal(t, "GET /v1/media/files/9/contents?encryptionKey=k&size=small", server.last(t).line)
	assert.Equal(t, []any{"image/png", int64(200_000), content}, []any{kind, n, got.String()})
	assert.Equal(t, []int64{200_000, -1}, seen[len(seen)-2:])
}

func TestADownloadIsRepeatedUntilItsFirstByte(t *testing.T) {
	t.Parallel()
	cut := func(n int) http.HandlerFunc {
		return func(w http.ResponseWriter, _ *http.Request) {
			w.Header().Set("Content-Length", "10")
			_, _ = io.WriteString(w, "0123456789"[:n])
			w.(http.Flusher).Flush()
			panic(http.ErrAbortHandler)
		}
	}
	server := serve(t, answer(503, ``), cut(0), answer(429, ``), answer(200, "0123456789"))
	var got bytes.Buffer
	_, n, err := server.client(t).Download(t.Context(), server.URL+"/v1/media/files/9/contents", nil, &got, nil)
	require.NoError(t, err)
	assert.Equal(t, []any{int64(10), "0123456789"}, []any{n, got.String()})

	server, got = serve(t, cut(4)), bytes.Buffer{}
	_, n, err = server.client(t).Download(t.Context(), "/v1/media/files/9/contents", nil, &got, nil)
	require.ErrorIs(t, err, io.ErrUnexpectedEOF)
	assert.Equal(t, []any{int64(4), "0123"}, []any{n, got.String()}, "what is written cannot be taken back")
	assert.Len(t, server.seen(), 1)
}

func TestADownloadReportsARefusalAndItsWriter(t *testing.T) {
	t.Parallel()
	server := serve(t, answer(401, `{"error":"file.access","message":"You do not have permission to access this file"}`))
	_, _, err := server.client(t).Download(t.Context(), "v1/media/files/9/contents", nil, io.Discard, nil)
	require.ErrorIs(t, err, datasource.ErrAccessDenied)
	full := errors.New("disk full")
	server = serve(t, answer(200, "abc"))
	_, _, err = server.client(t).Download(t.Context(), "v1/media/files/9/contents", nil, failing{full}, nil)
	require.ErrorIs(t, err, full)
	assert.Len(t, server.seen(), 1)
	for _, bad := range []string{"", "ftp://x/y", "data:image/png;base64,AA", "https://", "https://u:p@h/", "%zz", "file:///etc/passwd"} {
		_, _, err := server.client(t).Download(t.Context(), bad, nil, io.Discard, nil)
		require.ErrorIs(t, err, datasource.ErrFileRefused, bad)
		require.ErrorContains(t, err, "rawURL", bad)
	}
	_, _, err = server.client(t).Download(t.Context(), "v1/media/files/9/contents", nil, nil, nil)
	require.ErrorContains(t, err, "w is nil")
}

type failing struct{ err error }

func (f failing) Write([]byte) (int, error) { return 0, f.err }

func TestDownloadsFromOtherHostsDoNotCountAgainstTheLimit(t *testing.T) {
	t.Parallel()
	client := through(t, func(r *http.Request) (*http.Response, error) { return respond(r, 200, `x`), nil },
		func(cfg *datasource.Config) { cfg.Limiter = datasource.NewLimiter(1, time.Hour) })
	for range 3 {
		_, _, err := client.Download(t.Context(), "https://cdn.fliplet.com/a.png", nil, io.Discard, nil)
		require.NoError(t, err)
	}
}

func TestURLsStandBesideTheFilesOfAColumn(t *testing.T) {
	t.Parallel()
	server := serve(t, answer(200, `{"id":1}`))
	_, err := server.client(t).InsertEntry(t.Context(), 777, datasource.Write{
		Data:  M{"file[]": []string{"https://x/1", "https://x/2"}, "tags": []string{"a"}},
		Files: []datasource.Part{{Field: "file[]", Filename: "a.txt", ContentType: "text/plain", Content: []byte("x")}},
	})
	require.NoError(t, err)
	assert.Equal(t, []string{"file[]=https://x/1", "file[]=https://x/2", `tags=["a"]`, "file[];a.txt;text/plain=x"}, parts(t, server.last(t)))
}
