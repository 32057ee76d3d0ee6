package envelope_test

import (
	"encoding/hex"
	"path/filepath"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
)

func TestFilesJSInNodeAndGoReadEachOther(t *testing.T) {
	t.Parallel()
	node, dir := node(t, 20), t.TempDir()
	type file struct {
		Key            string `json:"key"`
		ConversationID int64  `json:"conversationId"`
		GUID           string `json:"guid"`
		Index          int    `json:"index"`
		Sealed         string `json:"sealed"`
		Plain          string `json:"plain"`
		Refuse         bool   `json:"refuse"`
	}
	var task []file
	add := func(sealed []byte, plain []byte, refuse bool) {
		task = append(task, file{hex.EncodeToString(testKey(1)), here.ConversationID, here.GUID, here.Index, hex.EncodeToString(sealed), hex.EncodeToString(plain), refuse})
	}
	for _, n := range []int{0, 1, chunk - 1, chunk, chunk + 1, 2 * chunk, 2*chunk + 3} {
		add(sealFile(t, testKey(1), here, content(n)), content(n), false)
	}
	sealed := sealFile(t, testKey(1), here, content(2*chunk+3))
	for _, bad := range [][]byte{{}, sealed[:10], sealed[:fileHeader], sealed[:fileHeader+sealedChunk], sealed[:len(sealed)-1], append(sealed[:len(sealed):len(sealed)], 0)} {
		add(bad, nil, true)
	}
	other := here
	other.GUID = "other"
	add(sealFile(t, testKey(1), other, content(5)), nil, true)

	in, out := filepath.Join(dir, "in.json"), filepath.Join(dir, "out.json")
	writeJSON(t, in, task)
	runNode(t, node, filepath.Join("testdata", "js", "files_node.mjs"), filepath.Join(repositoryRoot(t), "docs", "js", "files.js"), in, out)
	var got struct{ Opened, Sealed []string }
	readJSON(t, out, &got)
	require.Len(t, got.Opened, len(task))
	for i, c := range task {
		if c.Refuse {
			assert.Equal(t, "refused", got.Opened[i], i)
			continue
		}
		assert.True(t, c.Plain == got.Opened[i], i)
		plain, err := openFile(t, testKey(1), here, unhex(t, got.Sealed[i]), 1000)
		require.NoError(t, err, i)
		assert.True(t, c.Plain == hex.EncodeToString(plain), i)
	}
}
