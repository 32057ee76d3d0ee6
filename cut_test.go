package chat_test

import (
	"context"
	"errors"
	"fmt"
	"maps"
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
)

// limitsOfPages are limits of a server, or of a gateway before it, that it does not tell of.
var limitsOfPages = map[string]fliplettest.Fault{
	"10 rows": fliplettest.MostRows(10), "25 rows": fliplettest.MostRows(25), "100 rows": fliplettest.MostRows(100),
	"130 rows": fliplettest.MostRows(130), "300 KB": fliplettest.MostBytes(300 << 10),
}

// cut lets all answers with rows be cut, and the query over all conversations be missing if
// across is not set.
func (w *world) cut(name string, across bool) {
	routes := []fliplettest.Route{fliplettest.Query, fliplettest.ListEntries}
	if across {
		routes = append(routes, fliplettest.CrossSource)
	} else {
		w.Always(fliplettest.CrossSource, fliplettest.Status(404))
	}
	for _, r := range routes {
		w.Always(r, limitsOfPages[name])
	}
}

// everyDay skips most limits where long tests do not run.
func everyDay(t *testing.T, name string) {
	t.Helper()
	if name != "25 rows" && name != "300 KB" {
		longtest.Only(t, "others show the same")
	}
}

// numbered are the bodies of messages from 0 on, each once.
func numbered(n int) map[string]int {
	out := map[string]int{}
	for i := range n {
		out[fmt.Sprint(i)] = 1
	}
	return out
}

// number is the beginning of a body that fill has made.
func number(m *chat.Message) string {
	n, _, _ := strings.Cut(m.Body, " ")
	return n
}

// fill stores messages from one number on, several of them at one moment.
func (w *world) fill(conversation int64, from, n int) {
	list := make([]datasource.M, n)
	for i := range list {
		list[i] = datasource.M{"body": fmt.Sprint(from+i, " ", strings.Repeat("x", 4<<10)), "guid": fmt.Sprint("n", from+i), "fromUserId": "somebody", "readBy": []string{}}
	}
	w.AddRows(conversation, list...)
	time.Sleep(time.Minute)
}

// Whatever reads pages of a server that gives fewer rows than it was asked for reads all of them.
func TestNothingIsMissedOfAServerThatCutsItsAnswers(t *testing.T) {
	t.Parallel()
	const before, since = 450, 210
	for _, across := range []bool{true, false} {
		for name := range limitsOfPages {
			t.Run(fmt.Sprintf("%s, across %v", name, across), func(t *testing.T) {
				t.Parallel()
				everyDay(t, name)
				synctest.Test(t, func(t *testing.T) {
					w := newWorld(t, fliplettest.InProcess())
					w.cut(name, across)
					jane := w.login("jane", unhurried)
					conv := w.converse(jane, "bob")
					w.fill(conv.ID, 0, before)

					n, err := jane.Unread().Count(t.Context())
					require.NoError(t, err)
					assert.Equal(t, before, n, "counted")
					msgs, err := jane.Messages(t.Context(), chat.Limit(before))
					require.NoError(t, err)
					assert.Len(t, msgs, before, "Messages")
					msgs, err = conv.Messages().Fetch(t.Context())
					require.NoError(t, err)
					assert.Len(t, msgs, before, "Fetch")
					for _, size := range []int{200, 7} {
						history := map[string]int{}
						for m, err := range jane.History(t.Context(), conv.ID, chat.PageSize(size)) {
							require.NoError(t, err)
							history[number(m)]++
						}
						assert.Equal(t, numbered(before), history, "History")
					}

					var all, newest, consumed inbox
					_, err = jane.Stream(t.Context(), func(m *chat.Message) { m.Body = number(m); all.take(m) }, chat.StartAt(chat.FromBeginning))
					require.NoError(t, err)
					_, err = jane.Stream(t.Context(), func(m *chat.Message) { m.Body = number(m); newest.take(m) })
					require.NoError(t, err)
					stop := consume(jane, "log", func(_ context.Context, m *chat.Message) error { m.Body = number(m); consumed.take(m); return nil }, chat.StartAt(chat.FromBeginning))
					time.Sleep(time.Minute)
					assert.Equal(t, numbered(before), all.bodies(), "Stream")
					assert.Len(t, newest.bodies(), 200, "the newest page")
					w.fill(conv.ID, before, since)
					joined := w.AddDataSource(datasource.M{"name": "More", "type": "conversation", "definition": datasource.M{"participants": []any{jane.User().UserID, "somebody"}}})
					w.fill(joined, before+since, since)
					time.Sleep(10 * time.Minute)
					assert.Equal(t, numbered(before+2*since), all.bodies(), "Stream")
					assert.Equal(t, numbered(before+2*since), consumed.bodies(), "Consume")
					if err := stop(); !errors.Is(err, context.Canceled) {
						require.NoError(t, err)
					}
				})
			})
		}
	}
}

func TestAnAppMissesNothingOfAServerThatCutsItsAnswers(t *testing.T) {
	t.Parallel()
	const before, since = 450, 210
	for name := range limitsOfPages {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			everyDay(t, name)
			synctest.Test(t, func(t *testing.T) {
				w, app, _, rooms := openApp(t, 60)
				w.cut(name, false)
				w.fill(rooms[0], 0, before)
				var all, mine inbox
				_, err := app.Stream(t.Context(), func(m *chat.Message) { m.Body = number(m); all.take(m) }, chat.StartAt(chat.FromBeginning))
				require.NoError(t, err)
				c, err := app.User(t.Context(), chat.M{"flUserId": "user-0"})
				require.NoError(t, err)
				_, err = c.Stream(t.Context(), func(m *chat.Message) { m.Body = number(m); mine.take(m) }, chat.StartAt(chat.FromBeginning))
				require.NoError(t, err)
				time.Sleep(5 * time.Minute)
				assert.Equal(t, numbered(before), all.bodies(), "what was there, to the App")
				assert.Equal(t, numbered(before), mine.bodies(), "what was there, to a user")
				w.fill(rooms[0], before, since)
				for i, room := range rooms { // more than a look may have
					w.fill(room, before+since+4*i, 4)
				}
				time.Sleep(10 * time.Minute)
				want := numbered(before + since + 4*len(rooms))
				assert.Equal(t, want, all.bodies(), "to the App")
				own := maps.Clone(want)
				maps.DeleteFunc(own, func(n string, _ int) bool {
					var i int
					_, _ = fmt.Sscan(n, &i)
					room := (i - before - since) / 4
					return i >= before+since && room != 0 && room != len(rooms)-1
				})
				assert.Equal(t, own, mine.bodies(), "to a user")
				require.NoError(t, c.Shutdown(t.Context()))
			})
		})
	}
}
