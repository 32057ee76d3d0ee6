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
	} {
		require.True(t, wire.IsDataURL(text), text)
		got, err := wire.ParseDataURL(text)
		require.NoError(t, err, text)
		assert.Equal(t, want, got, text)
	}
	for _, text := range []string{"", "https://x/data:image/png;base64,aGk=", "data:text/plain,hi", "data:image/png;base64"} {
		assert.False(t, wire.IsDataURL(text), text)
		_, err := wire.ParseDataURL(text)
		assert.Error(t, err, text)
	}
	_, err := wire.ParseDataURL("data:image/png;base64,%%%")
	assert.Error(t, err)
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
