package chat_test

import (
	"context"
	"errors"
	"fmt"
	"net/http"
	"runtime"
	"runtime/debug"
	"slices"
	"strings"
	"sync"
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

// nested is a value n levels deep.
func nested(n int) any {
	var v any = "bottom"
	for i := range n {
		if v = []any{v}; i%2 == 0 {
			v = datasource.M{"x": v.([]any)[0]}
		}
	}
	return v
}

func repeat(v any, n int) []any {
	out := make([]any, n)
	for i := range out {
		out[i] = v
	}
	return out
}

func manyColumns(n int) datasource.M {
	m := datasource.M{}
	for i := range n {
		m[fmt.Sprint("column", i)] = i
	}
	return m
}

// poisons are rows that somebody who can write rows may store.
var poisons = map[string]struct {
	rows     func() []datasource.M
	readable bool
	slow     bool // for an everyday test
}{
	"one row of 2 MiB": {rows: func() []datasource.M {
		return []datasource.M{{"body": strings.Repeat("x", 2<<20)}}
	}},
	"one row of 65 MiB": {slow: true, rows: func() []datasource.M {
		return []datasource.M{{"body": strings.Repeat("x", 65<<20)}}
	}},
	"one row of 65 MiB in many columns": {slow: true, rows: func() []datasource.M {
		m := datasource.M{}
		for i := range 65 {
			m[fmt.Sprint("c", i)] = strings.Repeat("x", 1<<20)
		}
		return []datasource.M{m}
	}},
	"200 rows of 350 KB": {slow: true, readable: true, rows: func() []datasource.M {
		out := make([]datasource.M, 200)
		for i := range out {
			out[i] = datasource.M{"body": fmt.Sprint(i, strings.Repeat("x", 350<<10)), "guid": fmt.Sprint("large-", i)}
		}
		return out
	}},
	"70 rows of 1 MiB": {slow: true, rows: func() []datasource.M {
		out := make([]datasource.M, 70)
		for i := range out {
			out[i] = datasource.M{"body": strings.Repeat("x", 1<<20)}
		}
		return out
	}},
	"a row nested 10,001 deep":     {rows: func() []datasource.M { return []datasource.M{{"body": "deep", "x": nested(10_001)}} }},
	"a row nested 9,999 deep":      {rows: func() []datasource.M { return []datasource.M{{"body": "deep", "x": nested(9_999)}} }},
	"a row of 10 million objects":  {slow: true, rows: func() []datasource.M { return []datasource.M{{"x": repeat(datasource.M{}, 10_000_000)}} }},
	"a row of 20,000 objects":      {rows: func() []datasource.M { return []datasource.M{{"x": repeat(datasource.M{}, 20_000)}} }},
	"a row of 60,000 columns":      {slow: true, rows: func() []datasource.M { return []datasource.M{manyColumns(60_000)} }},
	"60 rows of 40,000 texts each": {slow: true, readable: true, rows: func() []datasource.M { return slices.Repeat([]datasource.M{{"x": repeat("a", 40_000)}}, 60) }},
}

// patient makes a Chat poll when it is told to only.
func patient(o *chat.Options) {
	o.LivePollInterval, o.PollInterval, o.MaxPollInterval = time.Hour, time.Hour, time.Hour
}

// gaps keeps what OnGap reports.
type gaps struct {
	mu  sync.Mutex
	all []chat.Gap
}

func (g *gaps) add(gap chat.Gap) {
	g.mu.Lock()
	defer g.mu.Unlock()
	g.all = append(g.all, gap)
}

// unreadable returns the ids of the messages that could not be read, ascending.
func (g *gaps) unreadable(t *testing.T, conversation int64) []int64 {
	t.Helper()
	g.mu.Lock()
	defer g.mu.Unlock()
	out := []int64{}
	for _, gap := range g.all {
		require.Equal(t, chat.GapUnreadable, gap.Kind)
		require.Equal(t, conversation, gap.ConversationID)
		require.True(t, gap.Before.IsZero())
		require.Contains(t, gap.Reason, fmt.Sprintf("message %d", gap.MessageID))
		out = append(out, gap.MessageID)
	}
	slices.Sort(out)
	return out
}

// sorted splits messages into those of a conversation that can be read, and the ids
// of those that cannot.
func sortOut(t *testing.T, msgs []*chat.Message, healthy int64) (bodies []string, readable int, bad []int64) {
	t.Helper()
	bad = []int64{}
	for _, m := range msgs {
		switch {
		case m.ConversationID == healthy:
			require.NoError(t, m.Err)
			bodies = append(bodies, m.Body)
		case m.Err != nil:
			require.ErrorIs(t, m.Err, chat.ErrUnreadable)
			require.ErrorIs(t, m.Err, datasource.ErrRowLimit)
			require.Contains(t, m.Err.Error(), fmt.Sprintf("message %d", m.ID))
			require.False(t, m.CreatedAt.IsZero())
			require.Empty(t, m.Body)
			bad = append(bad, m.ID)
		default:
			readable++
		}
	}
	slices.Sort(bad)
	return bodies, readable, bad
}

func TestAPoisonousRowStopsNothing(t *testing.T) {
	for name, poison := range poisons {
		for _, endpoint := range []bool{true, false} {
			t.Run(fmt.Sprintf("%s, endpoint %v", name, endpoint), func(t *testing.T) {
				if poison.slow || !endpoint && poison.readable {
					longtest.Heavy(t, "it moves gigabytes")
				}
				defer debug.FreeOSMemory()
				synctest.Test(t, func(t *testing.T) { besidePoison(t, poison.rows, poison.readable, endpoint) })
			})
		}
	}
}

// besidePoison lets everything that reads meet the rows.
func besidePoison(t *testing.T, rows func() []datasource.M, readable, endpoint bool) {
	w := newWorld(t, fliplettest.InProcess())
	bob, eve := w.login("bob", patient), w.login("eve", patient)
	jane := w.login("jane", patient)
	healthy, sick := w.converse(bob, "jane"), w.converse(eve, "jane")
	w.say(bob, healthy, "one")
	if !endpoint {
		w.Always(fliplettest.CrossSource, fliplettest.Status(404))
	}
	var early, late, durable gaps
	toEarly := stream(t, jane, chat.OnGap(early.add))

	planted := w.AddRows(sick.ID, rows()...)
	bad, good := planted, 0
	if readable {
		bad, good = []int64{}, len(planted)
	}
	w.say(bob, healthy, "two")
	before := len(w.Requests())
	require.NoError(t, jane.Poll(t.Context()))
	most := 3 * 20
	if readable { // a page has some megabytes, and a read of a conversation takes two requests for it
		most = 180
	}
	assert.LessOrEqual(t, len(w.Requests())-before, most, "requests of a poll")
	check := func(what string, msgs []*chat.Message, bodies []string, badIDs []int64) {
		t.Helper()
		got, whole, none := sortOut(t, msgs, healthy.ID)
		assert.Equal(t, bodies, got, what)
		assert.Equal(t, good, whole, what)
		assert.Equal(t, badIDs, none, what)
	}
	settle() // a poll ends before a stream that has no room for more
	check("stream", toEarly.all(), []string{"one", "two"}, []int64{})
	assert.Equal(t, bad, early.unreadable(t, sick.ID), "gaps")

	// Whoever begins now has the row on the first page.
	begin := chat.FromNewest
	if len(planted) > 190 { // the first message is not on the first page
		begin = chat.FromBeginning
	}
	toLate := stream(t, jane, chat.OnGap(late.add), chat.StartAt(begin))
	check("late stream", toLate.all(), []string{"one", "two"}, []int64{})
	assert.Equal(t, bad, late.unreadable(t, sick.ID))

	msgs, err := jane.Messages(t.Context(), chat.Limit(500))
	require.NoError(t, err)
	check("Messages", msgs, []string{"one", "two"}, bad)
	unread, err := jane.Unread().Get(t.Context())
	require.NoError(t, err)
	check("Unread", unread, []string{"one", "two"}, bad)
	n, err := jane.Unread().Count(t.Context())
	require.NoError(t, err)
	assert.Equal(t, 2+len(planted), n)
	var history []*chat.Message
	for m, err := range jane.History(t.Context(), sick.ID) {
		require.NoError(t, err)
		history = append(history, m)
	}
	check("History", history, nil, bad)
	fetched, err := sick.Messages().Fetch(t.Context())
	require.NoError(t, err)
	check("Fetch", fetched, nil, bad)
	list, err := jane.Conversations(t.Context())
	require.NoError(t, err)
	assert.Len(t, list, 2)
	require.NoError(t, jane.MarkMessagesAsRead(t.Context(), unread...))

	// A consumer goes past it, and stays past it.
	ctx, stop := context.WithCancel(t.Context())
	defer stop()
	var consumed []*chat.Message
	var mu sync.Mutex
	done := make(chan error)
	go func() {
		done <- jane.Consume(ctx, "bot", func(_ context.Context, m *chat.Message) error {
			mu.Lock()
			defer mu.Unlock()
			if consumed = append(consumed, m); m.Body == "three" {
				stop()
			}
			return nil
		}, chat.OnGap(durable.add), chat.StartAt(chat.FromBeginning))
	}()
	w.say(bob, healthy, "three")
	for waiting := true; waiting; {
		select {
		case err := <-done:
			require.ErrorIs(t, err, context.Canceled)
			waiting = false
		default:
			require.NoError(t, jane.Poll(t.Context()))
		}
	}
	check("Consume", slices.DeleteFunc(consumed, func(m *chat.Message) bool { return m.IsUpdate }), []string{"one", "two", "three"}, []int64{})
	assert.Equal(t, bad, durable.unreadable(t, sick.ID))
}

func TestOneMessageThatCannotBeReadIsAnErrorThatNamesIt(t *testing.T) {
	t.Parallel()
	w := newWorld(t, fliplettest.InProcess())
	jane := w.login("jane", patient)
	conv := w.converse(jane, "bob")
	id := w.AddRows(conv.ID, datasource.M{"x": repeat(datasource.M{}, 20_000)})[0]
	_, err := conv.Messages().Get(t.Context(), id)
	require.ErrorIs(t, err, datasource.ErrRowLimit)
	assert.Contains(t, err.Error(), fmt.Sprint("row ", id))
	// It can be deleted.
	require.NoError(t, jane.DeleteMessage(t.Context(), conv.ID, id))
	msgs, err := jane.Messages(t.Context())
	require.NoError(t, err)
	assert.Empty(t, msgs)
}

func TestAMessageThatBecomesReadableComesAsAnUpdate(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		w := newWorld(t, fliplettest.InProcess())
		jane := w.login("jane", patient)
		conv := w.converse(jane, "bob")
		var g gaps
		toJane := stream(t, jane, chat.OnGap(g.add))
		id := w.AddRows(conv.ID, datasource.M{"body": "there", "x": repeat(datasource.M{}, 20_000)})[0]
		require.NoError(t, jane.Poll(t.Context()))
		require.NoError(t, jane.Poll(t.Context()))
		assert.Equal(t, []int64{id}, g.unreadable(t, conv.ID), "once")
		_, err := w.Client().Update(t.Context(), conv.ID, id, datasource.M{"x": nil})
		require.NoError(t, err)
		require.NoError(t, jane.Poll(t.Context()))
		m := toJane.wait(t, 1)[0]
		assert.Equal(t, "there", m.Body)
		assert.True(t, m.IsUpdate)
		assert.Len(t, g.unreadable(t, conv.ID), 1)
	})
}

func TestADefinitionThatCannotBeReadCostsItsConversationOnly(t *testing.T) {
	longtest.Heavy(t, "it moves hundreds of megabytes")
	t.Parallel()
	for name, definition := range map[string]func(jane string) datasource.M{
		"of 65 MiB": func(jane string) datasource.M {
			return datasource.M{"participants": []string{jane}, "group": datasource.M{"public": true}, "metadata": strings.Repeat("x", 65<<20)}
		},
		"nested 10,001 deep": func(jane string) datasource.M {
			return datasource.M{"participants": []string{jane}, "group": datasource.M{"public": true}, "metadata": nested(10_001)}
		},
		"of 65 MiB of participants": func(jane string) datasource.M {
			return datasource.M{"participants": append(repeat(strings.Repeat("x", 98), 650_000), jane), "group": datasource.M{"public": true}}
		},
	} {
		t.Run(name, func(t *testing.T) {
			w := newWorld(t, fliplettest.InProcess())
			bob, jane := w.login("bob", patient), w.login("jane", patient)
			healthy := w.converse(bob, "jane")
			channel, err := bob.Channels().Create(t.Context(), "News")
			require.NoError(t, err)
			bad := w.AddDataSource(datasource.M{"name": "Bad", "type": "conversation", "definition": definition(jane.User().UserID)})
			w.AddRows(bad, datasource.M{"body": "there"})
			w.say(bob, healthy, "one")

			toJane := stream(t, jane)
			assert.Contains(t, bodies(toJane.all()), "one")
			list, err := jane.Conversations(t.Context())
			require.NoError(t, err)
			require.Len(t, list, 1)
			assert.Equal(t, healthy.ID, list[0].ID)
			channels, err := jane.Channels().List(t.Context())
			require.NoError(t, err)
			require.Len(t, channels, 1)
			assert.Equal(t, channel.ID, channels[0].ID)
			w.say(bob, healthy, "two")
			require.NoError(t, jane.Poll(t.Context()))
			assert.Contains(t, bodies(toJane.all()), "two")
			_, err = jane.Conversation(t.Context(), bad)
			require.Error(t, err)
			assert.NotErrorIs(t, err, chat.ErrNotFound)
			assert.Contains(t, err.Error(), fmt.Sprint(bad))
			_, err = jane.Message(t.Context(), bad, chat.Draft{Body: "secret"})
			require.Error(t, err, "the key is not known")
			_, err = jane.Message(t.Context(), healthy.ID, chat.Draft{Body: "three"})
			require.NoError(t, err)
		})
	}
}

func TestManyDefinitionsThatAreLargeTogetherCostTheLargestOnly(t *testing.T) {
	longtest.Heavy(t, "it moves hundreds of megabytes")
	w := newWorld(t, fliplettest.InProcess())
	bob, jane := w.login("bob", patient), w.login("jane", patient)
	healthy := w.converse(bob, "jane")
	for range 200 {
		w.AddDataSource(datasource.M{"name": "Bad", "type": "conversation", "definition": datasource.M{
			"participants": []string{jane.User().UserID}, "metadata": strings.Repeat("x", 350<<10),
		}})
	}
	list, err := jane.Conversations(t.Context())
	require.NoError(t, err)
	assert.True(t, slices.ContainsFunc(list, func(v *chat.Conversation) bool { return v.ID == healthy.ID }))
	toJane := stream(t, jane)
	w.say(bob, healthy, "one")
	require.NoError(t, jane.Poll(t.Context()))
	assert.Contains(t, bodies(toJane.all()), "one")
}

func TestAPoisonousContactStopsNoLogin(t *testing.T) {
	for name, bio := range map[string]func() any{
		"of 65 MiB":          func() any { return strings.Repeat("x", 65<<20) },
		"nested 10,001 deep": func() any { return nested(10_001) },
	} {
		t.Run(name, func(t *testing.T) {
			if name == "of 65 MiB" {
				longtest.Heavy(t, "it moves hundreds of megabytes")
			}
			row := datasource.M{"Email": "mallory@example.org", "bio": bio()}
			w := newWorld(t, fliplettest.InProcess())
			w.AddRows(w.contacts, row)
			jane := w.login("jane", patient)
			contacts, err := jane.Contacts(t.Context())
			require.NoError(t, err)
			assert.Len(t, contacts, 3)
			w.say(jane, w.converse(jane, "bob"), "hello")
			w.Always(fliplettest.Query, fliplettest.Ignore("where"))
			w.login("bob", patient)
		})
	}
}

func TestThirtyMegabytesOfEmptyRowsAreNotMillionsOfRows(t *testing.T) {
	longtest.Heavy(t, "it moves hundreds of megabytes")
	w := newWorld(t, fliplettest.InProcess())
	jane := w.login("jane", patient)
	w.converse(jane, "bob")
	toJane := stream(t, jane)
	flood := "[{}" + strings.Repeat(",{}", 10<<20) + "]"
	l := w.Always(fliplettest.CrossSource, fliplettest.Answer(200, flood))
	var before, after runtime.MemStats
	runtime.ReadMemStats(&before)
	_ = jane.Poll(t.Context())
	_, _ = jane.Messages(t.Context())
	_, _ = jane.Unread().Get(t.Context())
	_, _ = jane.Unread().Count(t.Context())
	runtime.ReadMemStats(&after)
	assert.LessOrEqual(t, l.Hits(), 8)
	assert.Less(t, int64(after.TotalAlloc-before.TotalAlloc), int64(l.Hits())*(250<<20), "of which the server's part is 120 MiB")
	l.Off()
	_, err := jane.Message(t.Context(), must(jane.Conversations(t.Context()))[0].ID, chat.Draft{Body: "still here"})
	require.NoError(t, err)
	require.NoError(t, jane.Poll(t.Context()))
	assert.Equal(t, []string{"still here"}, bodies(toJane.all()))
}

func TestUnreadReturnsTheNewestThousand(t *testing.T) {
	t.Parallel()
	for _, endpoint := range []bool{true, false} {
		w := newWorld(t, fliplettest.InProcess())
		jane := w.login("jane", patient)
		conv := w.converse(jane, "bob")
		if !endpoint {
			w.Always(fliplettest.CrossSource, fliplettest.Status(404))
		}
		list := make([]datasource.M, 1205)
		for i := range list {
			list[i] = datasource.M{"body": fmt.Sprint(i), "readBy": []string{"u-bob"}}
		}
		w.AddRows(conv.ID, list...)
		msgs, err := jane.Unread().Get(t.Context())
		require.NoError(t, err)
		require.Len(t, msgs, 1000)
		assert.Equal(t, "205", msgs[0].Body)
		assert.Equal(t, "1204", msgs[999].Body)
		n, err := jane.Unread().Count(t.Context())
		require.NoError(t, err)
		assert.Equal(t, 1205, n)
		require.NoError(t, jane.MarkMessagesAsRead(t.Context(), msgs...))
		msgs, err = jane.Unread().Get(t.Context())
		require.NoError(t, err)
		require.Len(t, msgs, 205)
		assert.Equal(t, "0", msgs[0].Body)
	}
}

func TestPoisonousRowsBehindAServerThatIgnoresTheLimit(t *testing.T) {
	longtest.Heavy(t, "it moves hundreds of megabytes")
	for _, endpoint := range []bool{true, false} {
		w := newWorld(t, fliplettest.InProcess())
		bob, jane := w.login("bob", patient), w.login("jane", patient)
		healthy, sick := w.converse(bob, "jane"), w.converse(bob, "jane", "eve")
		route := fliplettest.CrossSource
		if !endpoint {
			w.Always(route, fliplettest.Status(404))
			route = fliplettest.Query
		}
		w.Always(route, fliplettest.Ignore("limit"))
		var g gaps
		toJane := stream(t, jane, chat.OnGap(g.add), chat.StartAt(chat.FromBeginning))
		for i := range 3 {
			w.say(bob, healthy, fmt.Sprint("before ", i))
			list := make([]datasource.M, 300)
			for i := range list {
				list[i] = datasource.M{"body": strings.Repeat("x", 200<<10)}
			}
			list[150] = datasource.M{"x": nested(10_001)}
			w.AddRows(sick.ID, list...)
		}
		w.say(bob, healthy, "after")
		// A poll leaves a conversation whose read takes seconds, as these may, to a later one.
		for ends := time.Now().Add(3 * time.Minute); len(toJane.all()) < 4+3*299; {
			require.NoError(t, jane.Poll(t.Context()))
			require.True(t, time.Now().Before(ends), "all of them arrive")
		}
		assert.Len(t, g.unreadable(t, sick.ID), 3)
		var got []string
		for _, m := range toJane.all() {
			if m.ConversationID == healthy.ID {
				got = append(got, m.Body)
			}
		}
		assert.Equal(t, []string{"before 0", "before 1", "before 2", "after"}, got)
	}
}

func TestAFailureThatIsNotAboutARowIsNotHalved(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		for name, fault := range map[string]fliplettest.Fault{
			"503": fliplettest.Status(503), "lost": fliplettest.LoseAnswer(), "cut": fliplettest.Cut(), "no JSON": fliplettest.Answer(200, "<html>"),
		} {
			w := newWorld(t, fliplettest.InProcess())
			jane := w.login("jane", patient, func(o *chat.Options) { o.Client = once(t, w) })
			conv := w.converse(jane, "bob")
			w.say(jane, conv, "hello")
			stream(t, jane)
			l := w.Always(fliplettest.CrossSource, fault)
			for i, call := range []func() error{
				func() error { return jane.Poll(t.Context()) },
				func() error { _, err := jane.Messages(t.Context()); return err },
				func() error { _, err := jane.Unread().Get(t.Context()); return err },
				func() error {
					for _, err := range jane.History(t.Context(), conv.ID) {
						return err
					}
					return errors.New("no error")
				},
			} {
				require.Error(t, call(), name)
				assert.Equal(t, i+1, l.Hits(), name)
			}
		}
	})
}

// once is a client that never repeats a request.
func once(t *testing.T, w *world) *datasource.Client {
	c, err := datasource.NewClient(datasource.Config{
		Token: w.Token, BaseURL: w.URL, HTTPClient: &http.Client{Transport: w.Transport()}, Limiter: datasource.Unlimited(), Retry: datasource.RetryPolicy{MaxAttempts: 1},
	})
	require.NoError(t, err)
	return c
}
