package upload_test

import (
	"bytes"
	"context"
	"errors"
	"io"
	"strings"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/fliplet/fliplet-chat-go/datasource"
	"github.com/fliplet/fliplet-chat-go/internal/envelope"
	"github.com/fliplet/fliplet-chat-go/internal/upload"
	"github.com/fliplet/fliplet-chat-go/internal/wire"
)

// compose collects files and reads what would be uploaded.
func compose(t *testing.T, files ...upload.File) (upload.List, []string, datasource.Write) {
	t.Helper()
	c := upload.Files{Row: wire.M{}, Seal: true, ConversationID: 7, GUID: "g"}
	for _, f := range files {
		require.NoError(t, f.Check())
		require.NoError(t, c.Add(t.Context(), f))
	}
	var sent []string
	for _, p := range c.Parts {
		content := p.Content
		if p.Reader != nil {
			var err error
			content, err = io.ReadAll(p.Reader)
			require.NoError(t, err)
			assert.True(t, p.Size == 0 || p.Size == int64(len(content)))
		}
		sent = append(sent, string(content))
	}
	return c.List, sent, c.Write(nil)
}

func TestAListFindsFilesWhereverTheServerPutsTheURLs(t *testing.T) {
	t.Parallel()
	list, sent, write := compose(t, upload.File{Name: "a.txt", Content: []byte("A")}, upload.File{URL: "https://x/1"},
		upload.File{Name: "b.txt", Reader: strings.NewReader("B"), Size: 1}, upload.File{URL: "https://x/2"})
	assert.Equal(t, []string{"https://x/1", "https://x/2"}, write.Data[wire.FileParts])
	assert.Equal(t, "a.txt.txt", write.Files[0].Filename)
	list, err := upload.ParseList(list.String())
	require.NoError(t, err)
	stored := map[string]string{"https://s/a": sent[0], "https://s/b": sent[1], "https://x/1": "one", "https://x/2": "two"}
	open := func(l upload.List, files []string, i int) (string, error) {
		var got bytes.Buffer
		_, _, err := l.Open(files, i, 7, "g", &got, nil, func(w io.Writer, progress func(got, total int64)) (string, int64, error) {
			n, err := io.WriteString(w, stored[files[i]])
			if progress != nil {
				progress(int64(n), int64(n))
			}
			return "", int64(n), err
		})
		return got.String(), err
	}
	want := map[string]string{"https://s/a": "A", "https://s/b": "B", "https://x/1": "one", "https://x/2": "two"}
	for _, files := range [][]string{
		{"https://x/1", "https://x/2", "https://s/a", "https://s/b"}, {"https://s/a", "https://x/1", "https://s/b", "https://x/2"},
		{"https://s/a", "https://s/b", "https://x/2", "https://x/1"},
	} {
		for i, file := range files {
			got, err := open(list, files, i)
			require.NoError(t, err, files)
			assert.Equal(t, want[file], got)
		}
		next := list.Replace(files, []string{"https://s/b", "https://new/", "https://x/1"})
		got, err := open(next, []string{"https://s/b", "https://new/", "https://x/1"}, 0)
		require.NoError(t, err, "it keeps its index")
		assert.Equal(t, "B", got)
	}
	_, err = open(list, []string{"https://s/b", "https://s/a"}, 0)
	require.ErrorIs(t, err, envelope.ErrAuth)
	_, err = open(list, []string{"https://s/a", "https://s/b", "https://evil/"}, 2)
	require.ErrorIs(t, err, upload.ErrNotListed)
	stored["https://x/3"] = "flfile:2 is no sealed file"
	for url, content := range map[string]string{"https://x/1": "one", "https://x/3": stored["https://x/3"], "https://x/empty": ""} {
		got, err := open(nil, []string{url}, 0)
		require.NoError(t, err)
		assert.Equal(t, content, got)
	}
	got, err := open(nil, []string{"https://s/a"}, 0)
	require.ErrorIs(t, err, upload.ErrNotListed, "somebody took its list away")
	assert.Empty(t, got)
}

func TestAListThatIsNoneIsRefused(t *testing.T) {
	t.Parallel()
	for _, text := range []string{"", "null", "{}", "[1]", "[{}]", `[{"key":"AA=="}]`, `[{"url":"x"},{"index":1}]`, `[{"key":"` + strings.Repeat("A", 43) + `=","index":-1}]`} {
		_, err := upload.ParseList(text)
		require.Error(t, err, text)
	}
	list, err := upload.ParseList("[]")
	require.NoError(t, err)
	assert.NotNil(t, list, "not the same as none")
}

func TestAFileEndsWithItsContext(t *testing.T) {
	t.Parallel()
	enough := errors.New("enough")
	ctx, cancel := context.WithCancelCause(t.Context())
	cancel(enough)
	c := upload.Files{Row: wire.M{}, Seal: true, ConversationID: 7}
	require.ErrorIs(t, c.Add(ctx, upload.File{Name: "a.png", Reader: strings.NewReader("x")}), enough)
}
