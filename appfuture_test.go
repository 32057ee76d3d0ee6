package chat_test

import (
	"fmt"
	"slices"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	chat "github.com/fliplet/fliplet-chat-go"
	"github.com/fliplet/fliplet-chat-go/fliplettest"
)

// later is where somebody writes whose server's clock is ahead.
type later struct {
	*aftermath
	ahead time.Duration
	from  chat.From
}

// stamped lets writes have a time in the future.
func (l later) stamped(by time.Duration, do func()) {
	defer l.Always(fliplettest.Insert, fliplettest.Backdate(-by)).Off()
	defer l.Always(fliplettest.Update, fliplettest.Backdate(-by)).Off()
	do()
	time.Sleep(5 * time.Second)
}

// early writes messages from the future.
func (l later) early(n int) (ids []int64) {
	l.stamped(l.ahead, func() {
		for i := range n {
			guid := fmt.Sprint("early-", i)
			e, err := l.Client().Insert(l.t.Context(), l.room.ID, chat.M{"body": guid, "fromUserId": l.bob.User().UserID, "guid": guid, "readBy": []string{l.bob.User().UserID}})
			require.NoError(l.t, err)
			ids = append(ids, e.ID)
		}
	})
	return ids
}

// quickly changes the body of a message.
func (l later) quickly(id int64, body string) {
	_, err := l.Client().Update(l.t.Context(), l.room.ID, id, chat.M{"body": body})
	require.NoError(l.t, err)
}

func (l later) editedAtOnce() {
	l.begin(l.from)
	id := l.early(1)[0]
	l.change(id, chat.M{"body": "edited"})
	l.change(id, chat.M{"body": "edited twice"})
	l.mark(id)
	l.others(60)
	l.change(id, chat.M{"body": "edited thrice"})
	l.remove(id)
}

func (l later) editedFromTheFuture() {
	l.begin(l.from)
	id := l.write("g", "hello")
	time.Sleep(time.Minute)
	l.stamped(l.ahead, func() { l.quickly(id, "ahead") })
	time.Sleep(3 * time.Minute)
	l.change(id, chat.M{"body": "edited"})
	l.stamped(l.ahead, func() { l.quickly(id, "ahead again") })
	time.Sleep(3 * time.Minute)
	l.stamped(l.ahead/2, func() { l.quickly(id, "less ahead") })
	time.Sleep(3 * time.Minute)
	l.mark(id)
	l.remove(id)
}

func (l later) thereBefore() {
	ids := l.early(2)
	time.Sleep(3 * time.Minute)
	l.begin(l.from)
	l.change(ids[0], chat.M{"body": "edited"})
	l.mark(ids[0])
	l.mark(ids[1])
	l.write("i", "new")
	l.others(60)
	l.change(ids[1], chat.M{"body": "edited, too"})
	l.remove(ids[0])
}

func (l later) many() {
	l.begin(l.from)
	ids := l.early(120)
	time.Sleep(3 * time.Minute)
	l.write("z1", "between")
	for _, id := range ids[:5] {
		l.change(id, chat.M{"body": "edited"})
	}
	l.write("z2", "after")
	time.Sleep(3 * time.Minute)
	l.change(ids[0], chat.M{"body": "edited twice"})
}

func TestAListenerOfAnAppIsToldOfWhatHasATimeInTheFutureAsAPlainOneIs(t *testing.T) {
	t.Parallel()
	const century = 100 * 365 * 24 * time.Hour
	for name, c := range map[string]struct {
		ahead time.Duration
		from  chat.From
		scene func(later)
	}{
		"edited at once, a minute ahead":               {time.Minute, chat.FromNow, later.editedAtOnce},
		"edited at once, ten minutes ahead":            {10 * time.Minute, chat.FromNow, later.editedAtOnce},
		"edited at once, a century ahead":              {century, chat.FromNewest, later.editedAtOnce},
		"edited there":                                 {century, chat.FromNow, later.editedFromTheFuture},
		"edited there, ten minutes ahead":              {10 * time.Minute, chat.FromNow, later.editedFromTheFuture},
		"it was there before, ten minutes ahead":       {10 * time.Minute, chat.FromNewest, later.thereBefore},
		"it was there before, a century ahead":         {century, chat.FromNewest, later.thereBefore},
		"more of them than are asked for, a day ahead": {24 * time.Hour, chat.FromNow, later.many},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			same(t, toldIn(func(a *aftermath) { c.scene(later{a, c.ahead, c.from}) }))
		})
	}
}

// What is new of a conversation is found by the list also while its time there is in the future.
func TestAnAppFindsWhatIsNewSoonInAConversationWhoseTimeIsInTheFuture(t *testing.T) {
	t.Parallel()
	same(t, func(b *both) any {
		var waits []time.Duration
		a := &aftermath{both: b}
		_, err := a.Stream(a.t.Context(), func(m *chat.Message) {
			if a.mu.Lock(); m.Body == "new" {
				waits = append(waits, time.Since(m.CreatedAt))
			}
			a.mu.Unlock()
		}, chat.StartAt(chat.FromNow))
		require.NoError(a.t, err)
		time.Sleep(time.Minute)
		later{a, time.Hour, chat.FromNow}.early(1)
		for i := range 5 {
			a.write(fmt.Sprint(i), "new")
			time.Sleep(time.Minute)
		}
		a.mu.Lock()
		defer a.mu.Unlock()
		return []any{len(waits), slices.Max(waits) < 25*time.Second}
	})
}
