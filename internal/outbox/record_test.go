package outbox_test

import (
	"encoding/json"
	"math"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/fliplet/fliplet-chat-go/datasource"
	"github.com/fliplet/fliplet-chat-go/internal/outbox"
)

func TestARecordIsWhatALaterProcessWouldSend(t *testing.T) {
	t.Parallel()
	file := datasource.Part{Field: "file[]", Filename: "a.txt", ContentType: "text/plain", Content: []byte("text")}
	rec, err := outbox.NewRecord(7, datasource.Write{Data: datasource.M{"guid": "g", "n": int64(9007199254740993)}, Files: []datasource.Part{file}})
	require.NoError(t, err)
	assert.Equal(t, "g", rec.GUID)
	w := rec.Write()
	assert.Equal(t, json.Number("9007199254740993"), w.Data["n"])
	assert.Equal(t, []datasource.Part{file}, w.Files)
}

func TestWhatCannotBeStoredIsNoRecord(t *testing.T) {
	t.Parallel()
	_, err := outbox.NewRecord(7, datasource.Write{Data: datasource.M{"guid": "g", "n": math.Inf(1)}})
	require.ErrorContains(t, err, "JSON")
	big := datasource.Part{Content: make([]byte, 1<<20)}
	_, err = outbox.NewRecord(7, datasource.Write{Data: datasource.M{"guid": "g"}, Files: []datasource.Part{big}})
	require.ErrorContains(t, err, "at most 1048576")
}
