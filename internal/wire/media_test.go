package wire_test

import (
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/fliplet/fliplet-chat-go/internal/wire"
)

func TestDataURLs(t *testing.T) {
	t.Parallel()
	for text, want := range map[string]wire.DataURL{
		"data:image/png;base64,aGk=":                       {ContentType: "image/png", Content: []byte("hi")},
		"DATA:text/plain;charset=utf-8;BASE64,aGk":         {ContentType: "text/plain", Content: []byte("hi")},
		"data:image/png;base64,aGk=;filename:dog.png":      {ContentType: "image/png", Name: "dog.png", Content: []byte("hi")},
		"data:image/png;base64,aGk=;filename:..%2Fa%20b.p": {ContentType: "image/png", Name: "a b.p", Content: []byte("hi")},
		`data:image/png;base64,aGk=;filename:C:\x\dog.png`: {ContentType: "image/png", Name: "dog.png", Content: []byte("hi")},
		"data:;base64,": {Content: []byte{}},
		"data:image/png;base64,aGk=;filename:100%":          {ContentType: "image/png", Name: "100%", Content: []byte("hi")},
		"data:application/x-none;base64,aGk=;other:dog.png": {ContentType: "application/x-none", Content: []byte("hi")},
		"data:text/plain,hi%20there":                        {ContentType: "text/plain", Content: []byte("hi there")},
		"data:text/plain;charset=utf-8,hi;filename:a":       {ContentType: "text/plain", Content: []byte("hi;filename:a")},
		"data:,hi":                                          {ContentType: "text/plain", Content: []byte("hi")},
		"data:text/html;base64;x=y,aGk=":                    {ContentType: "text/html", Content: []byte("aGk=")},
		" \tdata:text/plain;base64,aGk=":                    {ContentType: "text/plain", Content: []byte("hi")},
		"\u00a0\ufeff\x00d\na\tta\r:text/plain;base64,aGk=": {ContentType: "text/plain", Content: []byte("hi")},
		"data:;base64 ,aGk=":                                {Content: []byte("hi")},
		"data:image/png; base64,aGk%3D":                     {ContentType: "image/png", Content: []byte("hi")},
		"data:image/png;base64,aG\r\n k=":                   {ContentType: "image/png", Content: []byte("hi")},
	} {
		require.True(t, wire.IsDataURL(text), text)
		got, err := wire.ParseDataURL(text)
		require.NoError(t, err, text)
		assert.Equal(t, want, got, text)
	}
	for _, text := range []string{"", "data", "dat:a,", "database:x", "https://x/data:image/png;base64,aGk=", "/data:,hi", "blob:https://x/1"} {
		assert.False(t, wire.IsDataURL(text), text)
		_, err := wire.ParseDataURL(text)
		assert.Error(t, err, text)
	}
	for text, want := range map[string]string{
		"data:":                        "no comma",
		"data:image/png;base64":        "no comma",
		"data:image/png;base64,%%%":    "not valid base64",
		"data:image/png;base64,###":    "not valid base64",
		"data:text/plain,100%":         "damaged escape",
		"data:text/plain\x01;x,hi":     "a header cannot carry",
		"data:text/pl\u00e4in;x=y,hi":  "a header cannot carry",
		"data:text/plain\r\nX: y;b,hi": "a header cannot carry",
	} {
		require.True(t, wire.IsDataURL(text), "%q is refused, not stored", text)
		got, err := wire.ParseDataURL(text)
		require.ErrorContains(t, err, want, text)
		assert.Empty(t, got, text)
	}
}

func TestTypesAndNamesOfFiles(t *testing.T) {
	t.Parallel()
	assert.Equal(t, "image/jpeg", wire.ContentTypeOf("A.JPG"))
	assert.Equal(t, "image/jpeg", wire.ContentTypeOf("a.jpeg"))
	assert.Equal(t, "", wire.ContentTypeOf("png"))
	assert.Equal(t, "", wire.ContentTypeOf("a.unknown"))
	assert.Equal(t, "file.jpg", wire.NameFor("image/jpeg"))
	assert.Equal(t, "file.txt", wire.NameFor("Text/Plain; charset=utf-8"))
	assert.Equal(t, "", wire.NameFor("application/octet-stream"))
}
