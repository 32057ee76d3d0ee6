package chat_test

import (
	"encoding/json"
	"net/http"
	"strings"
	"testing"
	"testing/synctest"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	chat "github.com/fliplet/fliplet-chat-go"
	"github.com/fliplet/fliplet-chat-go/datasource"
	"github.com/fliplet/fliplet-chat-go/fliplettest"
	"github.com/fliplet/fliplet-chat-go/storage"
)

// typed are columns of every type, two of which look like another.
func typed() chat.M {
	return chat.M{
		"sent": false, "isPinned": true, "count": 7, "ratio": 0.25, "large": json.Number("9007199254740993"), "none": nil,
		"list": []any{1, "2", true}, "object": chat.M{"n": 1.5, "s": "x"}, "text": "7", "looksLikeAList": "[1, 2]", "looksLikeAnObject": `{"a":1}`,
	}
}

// storedTyped is typed as the server has to have it.
func storedTyped(conversation int64) map[string]any {
	return map[string]any{
		"sent": false, "isPinned": true, "count": json.Number("7"), "ratio": json.Number("0.25"), "large": json.Number("9007199254740993"), "none": nil,
		"list": []any{json.Number("1"), "2", true}, "object": map[string]any{"n": json.Number("1.5"), "s": "x"}, "text": "7",
		"looksLikeAList": "[1, 2]", "looksLikeAnObject": `{"a":1}`, "conversationId": json.Number(jsonNumber(conversation)), "imageWidth": json.Number("4"),
	}
}

func TestAnUploadKeepsTheTypesOfColumns(t *testing.T) {
	t.Parallel()
	modes := ownKeys(t)
	modes["the conversation's key"] = func(*chat.Options) {}
	modes["plain"] = plainBodies
	modes["an outbox"] = func(o *chat.Options) { plainBodies(o); o.Outbox = &chat.OutboxOptions{} }
	for name, mode := range modes {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			synctest.Test(t, func(t *testing.T) {
				w := newWorld(t, fliplettest.InProcess())
				jane := w.login("jane", mode, atLeisure)
				conv := w.converse(jane, "bob")
				own := stream(t, jane)
				before := len(w.Requests())
				m, err := jane.Message(t.Context(), conv.ID, chat.Draft{
					Body: "look", Data: typed(), Files: []chat.File{{Name: "a.png", Content: picture(t, "png", 4, 4)}},
				})
				require.NoError(t, err)
				if name != "an outbox" {
					assert.Len(t, w.Requests(), before+2, "one for the form, one for the types")
				}
				row, err := w.Client().FindByID(t.Context(), conv.ID, m.ID)
				require.NoError(t, err)
				for column, want := range storedTyped(conv.ID) {
					assert.Equal(t, want, row.Data[column], "stored %s", column)
					assert.Equal(t, want, m.Data[column], "returned %s", column)
				}
				assert.Contains(t, row.Data, "none")
				assert.Equal(t, "look", m.Body)
				_, content := fetch(t, jane, m, 0)
				assert.Equal(t, string(picture(t, "png", 4, 4)), content)
				own.wait(t, 1)
				require.NoError(t, jane.Poll(t.Context()))
				got := own.all()
				require.Len(t, got, 1, "the sender gets it once")
				assert.Equal(t, false, got[0].Data["sent"])
			})
		})
	}
}

func TestAnUploadOfTextAloneTakesOneRequest(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	client := w.Client()
	id := w.AddDataSource(datasource.M{"name": "x", "type": "conversation"})
	before := len(w.Requests())
	_, err := client.InsertEntry(t.Context(), id, datasource.Write{Data: datasource.M{"a": "b"}, Files: []datasource.Part{{Field: "f", Filename: "a.txt", Content: []byte("x")}}})
	require.NoError(t, err)
	assert.Len(t, w.Requests(), before+1)
}

func TestAnUploadIsSentEvenIfItsTypesCannotBeRestored(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	jane := w.login("jane", plainBodies)
	conv := w.converse(jane, "bob")
	w.Always(fliplettest.Update, fliplettest.Status(500))
	m, err := jane.Message(t.Context(), conv.ID, chat.Draft{Data: chat.M{"count": 7}, Files: []chat.File{{Name: "a.txt", Content: []byte("x")}}})
	require.NoError(t, err)
	assert.Equal(t, "7", m.Data["count"])
	assert.Len(t, w.Rows(conv.ID), 1)
}

func TestAnUploadInDoubtKeepsItsTypes(t *testing.T) {
	t.Parallel()
	for _, outbox := range []bool{false, true} {
		synctest.Test(t, func(t *testing.T) {
			w := newWorld(t, fliplettest.InProcess())
			jane := w.login("jane", plainBodies, func(o *chat.Options) {
				if o.Storage = storage.NewMemory(); outbox {
					o.Outbox = &chat.OutboxOptions{}
				}
			})
			conv := w.converse(jane, "bob")
			w.Next(1, fliplettest.Insert, fliplettest.LoseAnswer())
			d := chat.Draft{GUID: "g", Body: "x", Data: chat.M{"count": 7}, Files: []chat.File{{Name: "a.txt", Content: []byte("x")}}}
			for range 2 { // the second finds what the first has stored, with its types
				m, err := jane.Message(t.Context(), conv.ID, d)
				require.NoError(t, err)
				assert.Equal(t, json.Number("7"), m.Data["count"])
			}
			rows := w.Rows(conv.ID)
			require.Len(t, rows, 1)
			assert.Equal(t, json.Number("7"), rows[0].Data["count"])
		})
	}
}

func TestAColumnThatAnotherHasChangedMeanwhileKeepsItsValue(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	var conv int64
	jane := w.login("jane", ownKeys(t)["Cipher"], w.through(&watcher{next: w.Transport(), see: func(r *http.Request) {
		if !strings.HasSuffix(r.URL.Path, "/data/query") || conv == 0 || len(w.Rows(conv)) == 0 {
			return
		}
		_, err := w.Client().Update(t.Context(), conv, w.Rows(conv)[0].ID, datasource.M{"count": "8", "readBy": []string{"somebody"}})
		assert.NoError(t, err)
	}}))
	conv = w.converse(jane, "bob").ID
	w.Next(1, fliplettest.Insert, fliplettest.LoseAnswer())
	m, err := jane.Message(t.Context(), conv, chat.Draft{Body: "x", Data: chat.M{"count": 7, "other": 1}, Files: []chat.File{{Name: "a.txt", Content: []byte("x")}}})
	require.NoError(t, err)
	assert.Equal(t, "8", m.Data["count"])
	assert.Equal(t, json.Number("1"), m.Data["other"])
	assert.Equal(t, []string{"somebody"}, m.ReadBy)
}

// A hook of the app may turn a number into text. Only what a form did is undone.
func TestAMessageWithoutFilesIsLeftAsTheServerStoredIt(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	jane := w.login("jane", plainBodies)
	conv := w.converse(jane, "bob")
	_, err := w.Client().UpdateDataSource(t.Context(), conv.ID, datasource.SourcePatch{Hooks: json.RawMessage(`[{"type":"operations","runOn":["insert"],"payload":{"count":"{{count}}"}}]`)})
	require.NoError(t, err)
	before := len(w.Requests())
	m, err := jane.Message(t.Context(), conv.ID, chat.Draft{Body: "look", Data: chat.M{"count": 7}})
	require.NoError(t, err)
	assert.Len(t, w.Requests(), before+1)
	row, err := w.Client().FindByID(t.Context(), conv.ID, m.ID)
	require.NoError(t, err)
	assert.Equal(t, "7", row.Data["count"])
}
