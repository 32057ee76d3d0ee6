package archive_test

import (
	"bytes"
	"encoding/json"
	"fmt"
	"os"
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	chat "github.com/fliplet/fliplet-chat-go"
	"github.com/fliplet/fliplet-chat-go/cmd/flchat/internal/archive"
	"github.com/fliplet/fliplet-chat-go/datasource"
	"github.com/fliplet/fliplet-chat-go/storage/sqlstore"
)

// kinds are the kinds of the versions of a message.
func kinds(m *archive.Message) (list []string) {
	for _, v := range m.Versions {
		list = append(list, v.Kind)
	}
	return list
}

func TestAnExportHasEveryVersionADeletionAndTheFiles(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	conv, said := w.story()
	w.talk("Talk", 450)
	path := file(t)
	first := w.export(path)
	assert.EqualValues(t, 2, first.Conversations)
	assert.EqualValues(t, 3, first.Contacts)
	assert.EqualValues(t, 456, first.Messages)
	assert.EqualValues(t, 1, first.Missing, "the page is not on Fliplet's hosts")

	w.server.ShiftClock(time.Hour)
	_, err := w.jane.UpdateMessage(t.Context(), conv.ID, said[1].ID, chat.M{"body": "Second, edited", "isEdited": true})
	require.NoError(t, err)
	bob := w.login(t.Context(), "bob", nil)
	require.NoError(t, bob.MarkMessagesAsRead(t.Context(), said[0]))
	require.NoError(t, w.jane.DeleteMessage(t.Context(), conv.ID, said[2].ID))
	second := w.export(path)
	assert.EqualValues(t, 3, second.Written)
	assert.NotEqual(t, first.Seal, second.Seal)
	third := w.export(path)
	assert.Zero(t, third.Written, "nothing is new")
	assert.Equal(t, second.Seal, third.Seal)

	a := w.open(path)
	var list []*archive.Message
	for m, err := range a.Messages(t.Context(), conv.ID) {
		require.NoError(t, err)
		list = append(list, m)
	}
	require.Len(t, list, 6)
	assert.Equal(t, []string{"new", "read"}, kinds(list[0]))
	assert.Equal(t, []string{w.people[0], w.people[1]}, list[0].ReadBy())
	assert.Contains(t, list[0].Columns, `"mood":"good","n":12345678901234567`)
	assert.Equal(t, []string{"new", "edit"}, kinds(list[1]))
	assert.Equal(t, "Second, edited", list[1].Body)
	assert.Equal(t, "Second", list[1].Versions[0].Body)
	assert.Equal(t, []string{"new", "deletion"}, kinds(list[2]))
	assert.True(t, list[2].Deleted)
	assert.Equal(t, "Third", list[2].Body, "what it said is kept")
	require.Len(t, list[3].Files, 1)
	assert.Equal(t, list[3].Files[0].SHA256, list[4].Files[0].SHA256)
	var picture bytes.Buffer
	require.NoError(t, a.WriteFile(t.Context(), list[3].Files[0].SHA256, &picture))
	assert.Equal(t, dot, picture.Bytes())
	assert.Contains(t, list[5].Files[0].Missing, "host")
}

func TestWhatIsNoTextWhereATextBelongsIsKeptAsAColumn(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	conv, _ := w.talk("Talk", 1)
	bob := w.people[1]
	cases := []struct{ column, value, want string }{
		{"body", `["a",{"b":1}]`, `{"body":["a",{"b":1}]}`},
		{"body", `true`, ``}, // its text is "true"
		{"body", `12`, ``},
		{"body", `null`, ``},
		{"fromUserId", `["x"]`, `{"fromUserId":["x"]}`},
		{"guid", `{"a":1}`, `{"guid":{"a":1}}`},
		{"readBy", `{"a":1}`, `{"readBy":{"a":1}}`},
		{"readBy", `["y",{"a":1}]`, `{"readBy":["y",{"a":1}]}`},
		{"readBy", `["y",3]`, ``},
		{"flUserToken", `["secret"]`, ``},
	}
	for i, c := range cases {
		row := datasource.M{"body": "text", "fromUserId": bob, "readBy": []any{bob}, "guid": fmt.Sprint("odd-", i)}
		row[c.column] = json.RawMessage(c.value)
		w.server.AddRows(conv, row)
	}
	path := file(t)
	w.export(path)
	i := -1
	for m, err := range w.open(path).Messages(t.Context(), conv) {
		require.NoError(t, err)
		if i >= 0 {
			assert.Equal(t, cases[i].want, m.Columns, "%s: %s", cases[i].column, cases[i].value)
		}
		i++
	}
	assert.Len(t, cases, i)
}

func TestAnArchiveHoldsNoTokenAndNoKey(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	conv, _ := w.story()
	path := file(t)
	w.export(path)
	raw, err := os.ReadFile(path)
	require.NoError(t, err)
	_, err = content(t, path)
	require.NoError(t, err)
	require.NoFileExists(t, path+"-wal", "it is one file, also when it has been read")
	require.NoFileExists(t, path+"-shm")
	assert.NotContains(t, string(raw), w.server.Token)
	require.NotEmpty(t, conv.EncryptionKey())
	assert.NotContains(t, string(raw), conv.EncryptionKey())
	for _, row := range w.server.Rows(w.contacts) {
		token, _ := row.Data["flUserToken"].(string)
		require.NotEmpty(t, token)
		assert.NotContains(t, string(raw), token)
	}
	info, err := os.Stat(path)
	require.NoError(t, err)
	assert.Equal(t, os.FileMode(0o600), info.Mode().Perm())
}

func TestWhatChangesOfContactsAndConversationsIsARecordOfItsOwn(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	conv, _ := w.talk("Talk", 3)
	path := file(t)
	w.export(path)
	client := w.server.Client()
	_, err := client.Update(t.Context(), w.contacts, w.ids[1], datasource.M{"Name": "Robert"})
	require.NoError(t, err)
	r := w.export(path)
	assert.EqualValues(t, 1, r.Written)
	people, err := w.open(path).Contacts(t.Context())
	require.NoError(t, err)
	require.Len(t, people, 3)
	assert.Equal(t, "Robert", people[1].Name())
	talks, err := w.open(path).Conversations(t.Context())
	require.NoError(t, err)
	require.Len(t, talks, 1)
	assert.Equal(t, conv, talks[0].ID)
	assert.Equal(t, w.people, talks[0].Definition.Participants)
}

// A row that breaks a limit cannot be read. It is in the archive as a gap, and comes once it
// can be read.
func TestWhatCannotBeReadIsAGapInTheArchive(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	conv, _ := w.talk("Talk", 2)
	deep := any("bottom")
	for range 2000 {
		deep = []any{deep}
	}
	id := w.server.AddRows(conv, datasource.M{"body": "deep", "fromUserId": w.people[0], "deep": deep})[0]
	path := file(t)
	r := w.export(path)
	assert.EqualValues(t, 1, r.Gaps)
	w.server.ShiftClock(time.Minute)
	_, err := w.server.Client().Commit(t.Context(), conv, datasource.Commit{Entries: []datasource.CommitEntry{{ID: id, Data: datasource.M{"deep": "no more"}}}})
	require.NoError(t, err)
	w.export(path)
	var bodies []string
	for m, err := range w.open(path).Messages(t.Context(), conv) {
		require.NoError(t, err)
		bodies = append(bodies, m.Body)
	}
	assert.Equal(t, []string{"Talk: message number 0 of the talk", "Talk: message number 1 of the talk", "deep"}, bodies)
	assert.Empty(t, verify(t, path).Damage)
}

func TestAConversationThatComesDuringAnExportHasItsNameInTheArchive(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	w.talk("Talk", 300)
	path := file(t)
	o := w.options(path)
	o.Eager()
	var late int64
	o.Progress = func(p archive.Progress) {
		if p.Messages > 10 && late == 0 {
			late, _ = w.talk("Late", 20)
		}
	}
	_, err := archive.Export(t.Context(), o)
	require.NoError(t, err)
	talks, err := w.open(path).Conversations(t.Context())
	require.NoError(t, err)
	require.Len(t, talks, 2)
	assert.Equal(t, late, talks[1].ID)
	assert.Equal(t, "Late", talks[1].Name)
}

func TestTwoExportsIntoOneFileDoNotMeet(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	w.talk("Talk", 300)
	path := file(t)
	w.export(path)
	other, err := sqlstore.Open(t.Context(), path, sqlstore.Alone())
	require.NoError(t, err)
	_, err = archive.Export(t.Context(), w.options(path))
	var usage *archive.UsageError
	require.ErrorAs(t, err, &usage)
	assert.Contains(t, usage.Text, "is in use by another export")
	require.NoError(t, other.Close())
	w.export(path)
}
