package chat_test

import (
	"errors"
	"fmt"
	"net/http"
	"runtime"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	chat "github.com/fliplet/fliplet-chat-go"
	"github.com/fliplet/fliplet-chat-go/datasource"
	"github.com/fliplet/fliplet-chat-go/fliplettest"
	"github.com/fliplet/fliplet-chat-go/internal/longtest"
	"github.com/fliplet/fliplet-chat-go/internal/wire"
	"github.com/fliplet/fliplet-chat-go/storage"
)

// little lets a Chat read answers of this many bytes, so that small rows are large ones here.
func (w *world) little(most int64) func(*chat.Options) {
	return func(o *chat.Options) {
		o.Client = must(datasource.NewClient(datasource.Config{
			Token: w.Token, BaseURL: w.URL, HTTPClient: &http.Client{Transport: w.Transport()}, MaxResponseBytes: most,
			Limiter: datasource.Unlimited(), Retry: datasource.RetryPolicy{MaxAttempts: 1},
		}))
	}
}

// bulky stores n messages of about size bytes each, numbered from 0.
func bulky(w *world, conversation int64, n, size int) []int64 {
	list := make([]datasource.M, n)
	for i := range list {
		list[i] = datasource.M{"body": fmt.Sprint(i, " ", strings.Repeat("x", size)), "guid": fmt.Sprint("bulky-", i), "readBy": []string{}}
	}
	return w.AddRows(conversation, list...)
}

func TestAnAnswerThatIsTooLargeShowsNothingOfOtherPeople(t *testing.T) {
	t.Parallel()
	w := newWorld(t, fliplettest.InProcess())
	jane := w.login("jane", patient)
	secret := w.converse(jane, "bob")
	w.say(jane, secret, "secret")
	eve := w.login("eve", patient, w.little(64<<10))
	bulky(w, w.converse(eve, "bob").ID, 20, 8<<10)
	w.say(jane, secret, "secret")
	w.Always(fliplettest.CrossSource, fliplettest.Everybody())
	n, err := eve.Unread().Count(t.Context())
	require.NoError(t, err)
	assert.Equal(t, 20, n)
	for name, read := range map[string]func() ([]*chat.Message, error){
		"Messages": func() ([]*chat.Message, error) { return eve.Messages(t.Context()) },
		"OrderBy":  func() ([]*chat.Message, error) { return eve.Messages(t.Context(), chat.OrderBy("id", datasource.Asc)) },
		"Unread":   func() ([]*chat.Message, error) { return eve.Unread().Get(t.Context()) },
		"Stream":   func() ([]*chat.Message, error) { return stream(t, eve, chat.StartAt(chat.FromBeginning)).all(), nil },
	} {
		msgs, err := read()
		require.NoError(t, err, name)
		assert.Len(t, msgs, 20, name)
		for _, m := range msgs {
			assert.NotEqual(t, secret.ID, m.ConversationID, name)
		}
	}
	n, err = eve.Unread().Count(t.Context())
	require.NoError(t, err)
	assert.Equal(t, 20, n)
}

// More than is read of a data source at all.
func TestLargeRowsBreakNoListForGood(t *testing.T) {
	longtest.Heavy(t, "it moves gigabytes")
	w := newWorld(t, fliplettest.InProcess())
	jane := w.login("jane", patient)
	conv := w.converse(jane, "bob")
	for range 8 {
		bulky(w, conv.ID, 100, 350<<10)
	}
	w.say(jane, conv, "hello")
	for name, opts := range map[string][]chat.FetchOption{
		"first": {chat.Limit(200)}, "last": {chat.Limit(200), chat.OrderBy("id", datasource.Desc)}, "all": nil,
	} {
		before := len(w.Requests())
		msgs, err := conv.Messages().Fetch(t.Context(), opts...)
		require.NoError(t, err, name)
		whole := 0
		for _, m := range msgs {
			if m.Err == nil {
				whole++
			} else {
				require.ErrorIs(t, m.Err, datasource.ErrRowLimit)
			}
		}
		if name == "all" {
			assert.Len(t, msgs, 801)
			assert.Greater(t, whole, 300)
			continue
		}
		assert.Len(t, msgs, 200)
		assert.Equal(t, 200, whole, name)
		assert.LessOrEqual(t, len(w.Requests())-before, 6, name)
	}

	bio := strings.Repeat("x", 900<<10)
	members := []any{jane.User().UserID, wire.DeriveUserID(w.contacts, "bob@example.org")}
	for i := range 300 {
		members = append(members, fmt.Sprint("u", i))
		w.AddRows(w.contacts, datasource.M{"Email": fmt.Sprint("c", i, "@example.org"), "flUserId": fmt.Sprint("u", i), "bio": bio})
	}
	contacts, err := jane.Contacts(t.Context())
	require.NoError(t, err)
	assert.Greater(t, len(contacts), 100)
	small := 0
	for _, c := range contacts {
		if c.Data["bio"] == nil {
			small++
		}
	}
	assert.Equal(t, 3, small, "of all others")
	contacts, err = jane.Contacts(t.Context(), chat.Limit(100))
	require.NoError(t, err)
	assert.Len(t, contacts, 100)
	group, err := jane.Conversation(t.Context(), w.AddDataSource(datasource.M{"name": "All", "type": "conversation", "definition": datasource.M{"participants": members}}))
	require.NoError(t, err)
	contacts, err = group.Participants().Fetch(t.Context())
	require.NoError(t, err)
	assert.Greater(t, len(contacts), 100)
	assert.Equal(t, jane.User().UserID, contacts[0].UserID)
}

// The values of definitions, of which a text of a megabyte can have hundreds of thousands.
func TestTheMemoryOfAListOfConversationsIsBounded(t *testing.T) {
	longtest.Heavy(t, "it reads 60 MiB")
	w := newWorld(t, fliplettest.InProcess())
	jane := w.login("jane", patient)
	healthy := w.converse(jane, "bob")
	me := jane.User().UserID
	for name, value := range map[string]string{"objects": "{},", "texts": `"a",`} {
		bad := `{"participants":["` + me + `"],"metadata":{"x":[` + strings.Repeat(value, 1000<<10/len(value)) + `0]}}`
		var answer strings.Builder
		answer.WriteString(`{"dataSources":[`)
		for i := range 62 {
			fmt.Fprintf(&answer, `{"id":%d,"type":"conversation","name":"n","definition":%s},`, 70000+i, bad)
		}
		fmt.Fprintf(&answer, `{"id":%d,"type":"conversation","name":"n","definition":{"participants":[%q]}}]}`, healthy.ID, me)
		lever := w.Always(fliplettest.ListSources, fliplettest.Answer(200, answer.String()))
		var before, after runtime.MemStats
		runtime.ReadMemStats(&before)
		list, err := jane.Conversations(t.Context())
		runtime.ReadMemStats(&after)
		lever.Off()
		require.NoError(t, err)
		require.Len(t, list, 1, name)
		assert.Equal(t, healthy.ID, list[0].ID)
		assert.Less(t, after.TotalAlloc-before.TotalAlloc, uint64(9*answer.Len()), "%s: the answer, as it is read, kept and sifted", name)
	}
}

func TestDeletedRowsStopNoPoll(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		w := newWorld(t, fliplettest.InProcess())
		bob := w.login("bob", patient)
		w.Always(fliplettest.CrossSource, fliplettest.Status(404))
		w.Always(fliplettest.Query, fliplettest.KeepTombstoneData())
		jane := w.login("jane", patient, w.little(64<<10))
		healthy, sick := w.converse(bob, "jane"), w.converse(bob, "jane", "eve")
		toJane := stream(t, jane, chat.StartAt(chat.FromBeginning))
		var ids []int64
		for range 4 { // what is read in pieces
			ids = append(ids, bulky(w, sick.ID, 10, 8<<10)...)
			require.NoError(t, jane.Poll(t.Context()))
		}
		time.Sleep(time.Second)
		for _, id := range ids {
			require.NoError(t, w.Client().Delete(t.Context(), sick.ID, id))
		}
		w.say(bob, healthy, "after")
		require.NoError(t, jane.Poll(t.Context()))
		synctest.Wait()
		gone, after := 0, false
		for _, m := range toJane.all() {
			after = after || m.Body == "after"
			if m.IsDeleted {
				gone++
			}
		}
		assert.True(t, after)
		assert.Equal(t, len(ids), gone)
	})
}

func TestWhatCouldNotBeReadAgainIsRefusedBeforeItIsStored(t *testing.T) {
	t.Parallel()
	long := strings.Repeat("y", 2<<20)
	for name, change := range map[string]func(*chat.Options){
		"plain": plainBodies, "sealed": func(*chat.Options) {}, "outbox": func(o *chat.Options) {
			o.Storage, o.Outbox = storage.NewMemory(), &chat.OutboxOptions{}
		},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			w := newWorld(t, fliplettest.InProcess())
			jane := w.login("jane", patient, change)
			conv := w.converse(jane, "bob")
			m := w.say(jane, conv, "short")
			before := len(w.Requests())
			for field, d := range map[string]chat.Draft{
				"Draft.Body":                      {Body: long},
				"Draft.Body: ":                    {Body: long, GUID: "mine"},
				"Draft.Data":                      {Body: "a", Data: chat.M{"x": long}},
				"Draft.Data: ":                    {Body: "a", Data: chat.M{"x": nested(1500)}},
				"Draft.Data: datasource":          {Body: "a", Data: chat.M{"x": repeat(datasource.M{}, 20_000)}},
				"Draft: datasource: it breaks":    {Body: strings.Repeat("y", 350<<10), Data: chat.M{"x": strings.Repeat("z", 650<<10)}},
				"Draft.Body: datasource: it brea": {Body: strings.Repeat("y", 1000<<10)},
			} {
				_, err := jane.Message(t.Context(), conv.ID, d)
				require.ErrorIs(t, err, chat.ErrInvalid, field)
				assert.False(t, datasource.Doubtful(err), field)
				if name == "outbox" && !errors.Is(err, datasource.ErrRowLimit) {
					continue // it stores less
				}
				require.ErrorIs(t, err, datasource.ErrRowLimit, field)
				if name != "sealed" {
					assert.ErrorContains(t, err, field)
				}
			}
			_, err := jane.UpdateMessage(t.Context(), conv.ID, m.ID, chat.M{"body": long})
			require.ErrorIs(t, err, chat.ErrInvalid)
			require.ErrorIs(t, err, datasource.ErrRowLimit)
			for field, n := range map[string]chat.NewConversation{"Metadata": {Metadata: chat.M{"x": long}}, "Group": {Group: chat.M{"x": nested(1500)}}} {
				n.Participants = []int64{w.ids["eve"]}
				_, err := jane.Create(t.Context(), n)
				require.ErrorIs(t, err, chat.ErrInvalid)
				require.ErrorIs(t, err, datasource.ErrRowLimit)
				assert.ErrorContains(t, err, field)
			}
			assert.Len(t, w.Requests(), before, "no request")
			assert.Len(t, w.Rows(conv.ID), 1)

			// What just fits can be read, by everybody and after many have read it.
			if name == "plain" {
				fits, err := jane.Message(t.Context(), conv.ID, chat.Draft{Body: strings.Repeat("y", 950<<10)})
				require.NoError(t, err)
				_, err = w.Client().Update(t.Context(), conv.ID, fits.ID, datasource.M{"readBy": repeat("e46d2b6e-27e4-4e6a-8a55-7a1e8b4d5f60", 1500)})
				require.NoError(t, err)
				_, err = conv.Messages().Get(t.Context(), fits.ID)
				require.NoError(t, err)
			}
		})
	}
}
