package chat_test

import (
	"fmt"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	chat "github.com/fliplet/fliplet-chat-go"
)

// aftermath is what somebody's stream is told of a few messages, with many others in between,
// of which nothing is noted.
type aftermath struct {
	*both
	other *chat.Conversation
	said  int

	mu   sync.Mutex
	told []string
}

func (a *aftermath) begin(from chat.From) {
	a.other = a.converse(a.bob, "jane", "eve")
	_, err := a.Stream(a.t.Context(), func(m *chat.Message) {
		if a.mu.Lock(); m.ConversationID == a.room.ID {
			a.told = append(a.told, fmt.Sprintf("%d %q update=%v deleted=%v %v", m.ID, m.Body, m.IsUpdate, m.IsDeleted, m.Change))
		}
		a.mu.Unlock()
	}, chat.StartAt(from))
	require.NoError(a.t, err)
	time.Sleep(20 * time.Second)
}

// others are messages that are not noted, in five minutes.
func (a *aftermath) others(n int) {
	for range n {
		a.said++
		a.AddRows(a.other.ID, chat.M{"body": "other", "fromUserId": "eve", "guid": fmt.Sprint("other-", a.said)})
		time.Sleep(5 * time.Minute / time.Duration(n))
	}
	time.Sleep(3 * time.Minute)
}

func (a *aftermath) write(guid, body string) int64 {
	return a.AddRows(a.room.ID, chat.M{"body": body, "fromUserId": a.bob.User().UserID, "guid": guid, "readBy": []string{a.bob.User().UserID}})[0]
}

// change changes columns of a row, and waits until everybody has been told.
func (a *aftermath) change(id int64, columns chat.M) {
	_, err := a.Client().Update(a.t.Context(), a.room.ID, id, columns)
	require.NoError(a.t, err)
	time.Sleep(3 * time.Minute)
}

func (a *aftermath) mark(id int64) {
	a.change(id, chat.M{"readBy": []string{a.bob.User().UserID, a.User().UserID}})
}

func (a *aftermath) remove(id int64) {
	require.NoError(a.t, a.Client().Delete(a.t.Context(), a.room.ID, id))
	time.Sleep(4 * time.Hour) // an App looks for deletions now and then
}

// aftermaths are about messages that an App's listener has forgotten.
var aftermaths = map[string]func(a *aftermath){
	"the second row of a send is nothing": func(a *aftermath) {
		a.begin(chat.FromNow)
		a.write("g", "hello")
		a.others(60)
		again := a.write("g", "hello")
		a.others(60)
		a.mark(again)
		a.remove(again)
	},
	"the second row of a send stands in for the first when that is another message": func(a *aftermath) {
		a.begin(chat.FromNow)
		first := a.write("g", "hello")
		a.others(60)
		again := a.write("g", "hello")
		a.others(60)
		a.change(first, chat.M{"guid": "else", "body": "something else"})
		a.others(60)
		a.mark(again)
	},
	"a message that wanders to another row is new once": func(a *aftermath) {
		a.begin(chat.FromNow)
		first := a.write("g", "hello")
		a.others(60)
		a.change(first, chat.M{"guid": "else", "body": "something else"})
		a.others(60)
		a.write("g", "hello")
		a.others(60)
	},
	"an edit of the time in which the user was out of the conversation is told on their return": func(a *aftermath) {
		a.begin(chat.FromNow)
		id := a.write("g", "hello")
		a.others(60)
		require.NoError(a.t, a.room.Participants().Remove(a.t.Context(), a.ids["jane"]))
		time.Sleep(10 * time.Minute)
		a.change(id, chat.M{"body": "hello, edited"})
		require.NoError(a.t, a.room.Participants().Add(a.t.Context(), a.ids["jane"]))
		time.Sleep(10 * time.Minute)
	},
	"what is written again as it was is no change": func(a *aftermath) {
		a.begin(chat.FromNow)
		id := a.write("g", "hello")
		a.mark(id)
		a.others(60)
		a.mark(id)
		a.others(60)
	},
	"marks on what was loaded are marks": func(a *aftermath) {
		ids := []int64{a.write("a", "one"), a.write("b", "two")}
		time.Sleep(time.Hour)
		a.begin(chat.FromNewest)
		a.others(100)
		for _, id := range ids {
			a.mark(id)
		}
	},
}

// toldIn is what a listener is told in a scene.
func toldIn(scene func(*aftermath)) func(*both) any {
	return func(b *both) any {
		a := &aftermath{both: b}
		scene(a)
		a.mu.Lock()
		defer a.mu.Unlock()
		return a.told
	}
}

func TestAListenerOfAnAppThatHasForgottenIsToldWhatAPlainOneIs(t *testing.T) {
	t.Parallel()
	for name, scene := range aftermaths {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			same(t, toldIn(scene))
		})
	}
}

// An App that has only just begun knows no id of a message.
func TestTheFirstListenerOfAnAppTakesChangesOfOldMessagesForChanges(t *testing.T) {
	t.Parallel()
	same(t, func(b *both) any {
		a := &aftermath{both: b}
		old := []int64{a.write("a", "one"), a.write("b", "two"), a.write("c", "three")}
		time.Sleep(24 * time.Hour)
		a.begin(chat.FromNow)
		a.mark(old[0])
		a.write("d", "new")
		a.change(old[1], chat.M{"body": "two, edited"})
		a.remove(old[2])
		a.mu.Lock()
		defer a.mu.Unlock()
		for i := range a.told { // what has changed is not known of what was there before
			a.told[i] = a.told[i][:strings.LastIndexByte(a.told[i], ' ')]
		}
		slices.Sort(a.told)
		return a.told
	})
}
