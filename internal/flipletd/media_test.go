package flipletd_test

import (
	"bytes"
	"crypto/md5"
	"encoding/hex"
	"encoding/json"
	"fmt"
	"image"
	"image/png"
	"mime/multipart"
	"net/http/httptest"
	"net/textproto"
	"net/url"
	"strings"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/fliplet/fliplet-chat-go/internal/flipletd"
)

// part is one part of a form; a file when it has a file name.
type part struct{ name, file, contentType, content string }

func (k *kit) form(method, path string, parts ...part) answer {
	k.t.Helper()
	var body bytes.Buffer
	w := multipart.NewWriter(&body)
	for _, p := range parts {
		h := textproto.MIMEHeader{}
		disposition := fmt.Sprintf(`form-data; name=%q`, p.name)
		if p.file != "" {
			disposition += fmt.Sprintf(`; filename=%q`, p.file)
		}
		h.Set("Content-Disposition", disposition)
		if p.contentType != "" {
			h.Set("Content-Type", p.contentType)
		}
		pw, err := w.CreatePart(h)
		require.NoError(k.t, err)
		_, _ = pw.Write([]byte(p.content))
	}
	require.NoError(k.t, w.Close())
	r := httptest.NewRequest(method, path, &body)
	r.Header.Set("Content-Type", w.FormDataContentType())
	r.Header.Set("Auth-token", k.token)
	return k.send(r)
}

func TestInsertWithFiles(t *testing.T) {
	t.Parallel()
	k := start(t)
	k.Freeze(moment)
	k.source(m{})
	a := k.form("PUT", "/v1/data-sources/101/data",
		part{name: "foo", content: "bar"}, part{name: "n", content: "5"}, part{name: "readBy", content: `["u-jane"]`}, part{name: "odd", content: `{not json`},
		part{name: "baz", file: "a b.png", contentType: "image/png", content: "bytes"})
	assert.Equal(t, `{"id":5001,"dataSourceId":101,"data":{"baz":"http://example.com/v1/media/files/901/contents/a%20b.png","bazMediaFileId":901,`+
		`"foo":"bar","n":"5","odd":"{not json","readBy":["u-jane"]},"order":null,"createdAt":`+at+`,"updatedAt":`+at+`,"deletedAt":null}`, a.body)
	file := k.do("GET", "/v1/media/files/901/contents/a%20b.png", "")
	assert.Equal(t, "bytes", file.body)
	assert.Equal(t, "image/png", file.header.Get("Content-Type"))
}

func TestContentsAreSavedAndNotShown(t *testing.T) {
	t.Parallel()
	k := start(t)
	for _, f := range []part{
		{file: "page.html", contentType: "text/html"}, {file: "drawing.svg"}, {file: "a.xml", contentType: "application/xhtml+xml"},
		{file: "photo.png", contentType: "text/html"}, {file: "é\".png", contentType: "image/png"},
	} {
		f.name, f.content = "files[0]", "<script>alert(1)</script>"
		made := k.form("POST", "/v1/media/files?appId=1", f).ok(201)["files"].([]any)[0].(m)
		url := strings.TrimPrefix(made["url"].(string), "http://example.com")
		for _, method := range []string{"GET", "HEAD"} {
			a := k.do(method, url, "")
			assert.Equal(t, 200, a.status, f.file)
			assert.Regexp(t, `^attachment; filename`, a.header.Get("Content-Disposition"), f.file)
			assert.Equal(t, "nosniff", a.header.Get("X-Content-Type-Options"), f.file)
			assert.Contains(t, a.header.Get("Content-Security-Policy"), "default-src 'none'; sandbox", f.file)
		}
		assert.Equal(t, f.content, k.do("GET", url, "").body)
		denied := k.as("eu--nobody").do("GET", url, "")
		assert.Equal(t, 401, denied.status)
		assert.Empty(t, denied.header.Get("Content-Disposition"))
	}
}

func TestImageMessage(t *testing.T) {
	t.Parallel()
	k := talk(t)
	a := k.form("PUT", "/v1/data-sources/102/data?flUserToken=ta",
		part{name: "body"}, part{name: "readBy", content: `["a"]`}, part{name: "imageWidth", content: "1024"},
		part{name: "_flSchema", content: `{"file":{"encryptionKey":"k&y"}}`},
		part{name: "file[]", content: "https://cdn.fliplet.com/old.png"},
		part{name: "file[]", file: "file.png", content: "one"}, part{name: "file[]", file: "again.jpg", content: "two"})
	data := a.ok(200)["data"].(m)
	assert.Equal(t, []any{"https://cdn.fliplet.com/old.png", "http://example.com/v1/media/files/901/contents/file.png", "http://example.com/v1/media/files/902/contents/again.jpg"}, data["file"])
	assert.Equal(t, []any{901.0, 902.0}, data["fileMediaFileId"])
	assert.Equal(t, "1024", data["imageWidth"], "a form has texts")
	assert.Equal(t, []any{"a"}, data["readBy"])
	assert.Empty(t, data["body"])
	assert.NotContains(t, data, "_flSchema")

	const path = "/v1/media/files/901/contents/file.png"
	denied := `{"error":"file.access","message":"You do not have permission to access this file"}`
	assert.Equal(t, denied, k.do("GET", path, "").body)
	assert.Equal(t, 401, k.do("GET", path+"?encryptionKey=wrong", "").status)
	assert.Equal(t, denied, k.as("eu--nobody").do("GET", path+"?encryptionKey=k%26y", "").body)
	assert.Equal(t, "one", k.do("GET", path+"?encryptionKey="+url.QueryEscape("k&y"), "").body)
	r := httptest.NewRequest("GET", path+"?auth_token="+token+"&encryptionKey=k%26y", nil)
	assert.Equal(t, "one", k.send(r).body)
	k.do("GET", "/v1/media/files/999/contents", "").refused(404)
	for _, r := range k.Requests() {
		assert.NotContains(t, r.Query, "k%26y")
		assert.NotContains(t, r.Query, token)
	}
}

func TestUpdateAddsToAttachments(t *testing.T) {
	t.Parallel()
	k := start(t)
	source := k.source(m{"entries": []any{m{"f": []any{"u1"}, "fMediaFileId": []any{1}, "keep": "x"}}})
	file := part{name: "f[]", file: "a.txt", content: "x"}
	k.form("PUT", "/v1/data-sources/101/data/5001", file).ok(200)
	assert.Equal(t, []any{"u1", "http://example.com/v1/media/files/901/contents/a.txt"}, k.Rows(source)[0].Data["f"])
	assert.Equal(t, []any{json.Number("1"), json.Number("901")}, k.Rows(source)[0].Data["fMediaFileId"])
	k.form("PUT", "/v1/data-sources/101/data/5001", part{name: "_flSchema", content: `{"f":{"append":false,"name":"new.txt"}}`}, file).ok(200)
	assert.Equal(t, []any{"http://example.com/v1/media/files/902/contents/new.txt"}, k.Rows(source)[0].Data["f"])
	k.form("PUT", "/v1/data-sources/101/data/5001", part{name: "f", file: "a.txt", content: "x"}).ok(200)
	assert.Equal(t, "http://example.com/v1/media/files/903/contents/a.txt", k.Rows(source)[0].Data["f"])
	assert.Equal(t, "x", k.Rows(source)[0].Data["keep"])
}

func TestUploadsThatAreRefused(t *testing.T) {
	t.Parallel()
	k := start(t, func(c *flipletd.Config) { c.MaxFile = 10 })
	source := k.source(m{})
	for _, p := range []part{
		{file: "virus.EXE", contentType: "image/png", content: "x"}, {file: "a.zip", content: "x"}, {file: "a.tar.gz", content: "x"},
		{file: "noextension", content: "x"}, {file: "a.unheardof", contentType: "application/octet-stream", content: "x"},
		{file: "big.png", content: "12345678901"},
	} {
		p.name = "f[]"
		k.form("PUT", "/v1/data-sources/101/data", part{name: "a", content: "b"}, part{name: "f[]", file: "ok.png", content: "x"}, p).refused(422)
		p.name = "files[0]"
		k.form("POST", "/v1/media/files", p).refused(422)
	}
	assert.Empty(t, k.Rows(source))
	assert.Empty(t, k.do("GET", "/v1/media", "").ok(200)["files"], "nothing of a refused request is kept")
	k.form("PUT", "/v1/data-sources/101/data", part{name: "f[]", file: "odd.unheardof", contentType: "model/vrml", content: "x"}).ok(200)
}

func TestMediaFiles(t *testing.T) {
	t.Parallel()
	k := start(t)
	k.Freeze(moment)
	var picture bytes.Buffer
	require.NoError(t, png.Encode(&picture, image.NewGray(image.Rect(0, 0, 3, 2))))
	sum := md5.Sum(picture.Bytes())
	files := k.form("POST", "/v1/media/files?appId=1", part{name: "files[0]", file: "x.png", content: picture.String()}, part{name: "name[0]", content: "../nice.png"}).ok(201)["files"].([]any)
	require.Len(t, files, 1)
	assert.Equal(t, m{
		"id": 901.0, "name": "nice.png", "contentType": "image/png", "path": "organizations/1/files/901/nice.png", "url": "http://example.com/v1/media/files/901/contents/nice.png",
		"thumbnail": "http://example.com/v1/media/files/901/thumb/preview.jpg", "size": []any{3.0, 2.0}, "isEncrypted": nil, "masterMediaFileId": nil, "versions": m{}, "isOrganizationMedia": false,
		"createdAt": strings.Trim(at, `"`), "updatedAt": strings.Trim(at, `"`), "deletedAt": nil, "appId": 1.0, "dataSourceEntryId": nil,
		"dataTrackingId": nil, "mediaFolderId": nil, "userId": nil, "organizationId": 1.0,
		"metadata": m{"size": float64(picture.Len()), "checksum": hex.EncodeToString(sum[:]), "av": m{"status": "clean"}},
	}, files[0])
	assert.Equal(t, picture.String(), k.do("GET", "/v1/media/files/901/thumb/preview.jpg", "").body)
	folder := k.do("POST", "/v1/media/folders", `{"name":"Pictures","appId":1}`).ok(200)
	assert.Equal(t, "Pictures", folder["name"])
	in := fmt.Sprintf("/v1/media/files?folderId=%.0f", folder["id"])
	k.form("POST", in, part{name: "files[0]", file: "y.png", content: "y"}).ok(201)
	list := k.do("GET", "/v1/media?appId=1", "").ok(200)
	assert.Len(t, list["files"], 1)
	assert.Len(t, list["folders"], 1)
	assert.Len(t, k.do("GET", fmt.Sprintf("/v1/media?folderId=%.0f", folder["id"]), "").ok(200)["files"], 1)
	k.do("DELETE", "/v1/media/files/901", "").ok(200)
	k.do("DELETE", "/v1/media/files/901", "").refused(404)
	k.do("GET", "/v1/media/files/901/contents", "").refused(404)
	k.do("DELETE", fmt.Sprintf("/v1/media/folders/%.0f", folder["id"]), "").ok(200)
	k.do("DELETE", "/v1/media/folders/1", "").refused(404)
	for _, path := range []string{"?appId=77", "?organizationId=77", "?folderId=77"} {
		assert.Equal(t, `{"error":"file.access","message":"You do not have permission to create files here"}`,
			k.form("POST", "/v1/media/files"+path, part{name: "files[0]", file: "x.png", content: "x"}).body)
	}
	for _, path := range []string{"?appId=77", "/deleted?appId=77"} {
		assert.Equal(t, `{"error":"file.access","message":"You do not have permission to see files here"}`, k.do("GET", "/v1/media"+path, "").body)
	}
	k.form("POST", "/v1/media/files?appId=x", part{name: "files[0]", file: "x.png", content: "x"}).refused(400)
	k.form("POST", "/v1/media/files").refused(400)
	k.do("POST", "/v1/media/files", "{}").refused(400)
	k.do("POST", "/v1/media/folders", `{"name":""}`).refused(400)
}
