package fleet_test

import (
	"testing"
	"time"

	"github.com/stretchr/testify/assert"

	"github.com/fliplet/fliplet-chat-go/internal/feed"
	"github.com/fliplet/fliplet-chat-go/internal/fleet"
)

// changes asks an inbox for what came after a stamp.
func changes(b *fleet.Inbox, after feed.Time, limit int) fleet.Page {
	return b.Answer(feed.Query{Kind: feed.Changes, After: feed.Key{Time: after, ID: 1<<63 - 1}, Limit: limit})
}

func TestRowsThatArriveLateComeAfterThoseThatWereThere(t *testing.T) {
	t.Parallel()
	l := fleet.NewLog(fleet.LogConfig{})
	b := fleet.NewInbox(l, 1, []int64{1, 2})
	now := at(epoch)
	l.Append(now, []feed.Row{row(2, 1, epoch)})
	first := changes(b, 0, 200)
	l.Append(now, []feed.Row{row(1, 2, epoch.Add(-time.Hour)), row(3, 3, epoch)})
	second := changes(b, first.Rows[0].Updated, 200)
	assert.Len(t, second.Rows, 1)
	assert.Equal(t, int64(1), second.Rows[0].ID)
	assert.Greater(t, second.Rows[0].Updated, first.Rows[0].Updated)
}

func TestTheLogIsBoundedAndSaysWhatItHasForgotten(t *testing.T) {
	t.Parallel()
	l := fleet.NewLog(fleet.LogConfig{Contents: 100, Keys: 1000})
	var b *fleet.Inbox
	early, idle := fleet.NewInbox(l, 1, []int64{1}), fleet.NewInbox(l, 1, []int64{2})
	for i := range int64(5000) {
		if i == 4500 {
			b = fleet.NewInbox(l, 1, []int64{1})
		}
		l.Append(at(epoch)+feed.Time(i)*10, []feed.Row{row(i+1, 1, epoch)})
		entries, contents := l.Len()
		assert.LessOrEqual(t, entries, 1250)
		assert.LessOrEqual(t, contents, 100)
	}
	p := changes(b, l.Now()-500*10, 200)
	assert.Len(t, p.Rows, 199)
	assert.True(t, p.More)
	assert.Len(t, p.Without, 199, "their content has to be read again")
	assert.True(t, changes(early, at(epoch), 200).Lost)
	assert.False(t, changes(idle, at(epoch), 200).Lost, "nothing of its own was forgotten")
	assert.Empty(t, changes(b, l.Now()-50*10, 200).Without)
}

func TestTheContentThatALogKeepsIsBoundedInBytes(t *testing.T) {
	t.Parallel()
	l := fleet.NewLog(fleet.LogConfig{Contents: 100, Bytes: 10_000})
	large := func(id int64, size int) feed.Row {
		r := row(id, 1, epoch)
		r.Size = size
		return r
	}
	for i := range int64(200) {
		l.Append(at(epoch), []feed.Row{large(i+1, 500)})
	}
	_, contents := l.Len()
	assert.Equal(t, 20, contents)
	l.Append(at(epoch), []feed.Row{large(1001, 9_000), large(1002, 9_000)})
	_, contents = l.Len()
	assert.Equal(t, 2, contents, "what has just been read stays")
	for i := range int64(200) {
		l.Append(at(epoch), []feed.Row{large(i+2000, 10)})
	}
	_, contents = l.Len()
	assert.Equal(t, 100, contents)
}

func TestWhatWasThereBeforeAListenerIsNotTold(t *testing.T) {
	t.Parallel()
	l := fleet.NewLog(fleet.LogConfig{})
	since := epoch.Add(time.Minute)
	l.Tick(at(since))
	b := fleet.NewInbox(l, at(since), []int64{1})
	e := feed.New(fleet.EngineConfig(feed.Config{}))
	e.Subscribe(since, feed.FromNow)
	assert.Empty(t, drain(e, b, since, []int64{1}))
	l.Append(at(since), []feed.Row{row(1, 1, epoch)}) // found late
	edited := row(2, 1, epoch)
	edited.Updated = at(since.Add(time.Second))
	l.Append(at(since.Add(2*time.Second)), []feed.Row{edited, row(3, 1, since.Add(time.Second))})
	events := drain(e, b, since.Add(3*time.Second), []int64{1})
	assert.Len(t, events, 2)
	assert.Equal(t, int64(3), events[len(events)-1].Row.ID)
}

func TestAJoinHasWhatTheServerAndTheLogHaveOnce(t *testing.T) {
	t.Parallel()
	l := fleet.NewLog(fleet.LogConfig{})
	l.Tick(at(epoch))
	b := fleet.NewInbox(l, at(epoch), nil)
	inLog, later := row(2, 9, epoch.Add(time.Second)), row(3, 9, epoch.Add(2*time.Second))
	l.Append(at(epoch.Add(3*time.Second)), []feed.Row{inLog})
	settled := func(*feed.Row) feed.Time { return at(epoch.Add(time.Second)) }
	b.Joined(9, []feed.Row{later, inLog, row(1, 9, epoch.Add(-time.Hour))}, settled)
	q := fleet.JoinQuery(9, 200)
	var ids []int64
	for _, r := range b.Answer(q).Rows {
		ids = append(ids, r.ID)
	}
	assert.Equal(t, []int64{2, 1}, ids, "the log brings the newest one later, in order")
	l.Append(at(epoch.Add(4*time.Second)), []feed.Row{later})
	p := changes(b, 0, 200)
	assert.Len(t, p.Rows, 1)
	assert.Equal(t, int64(3), p.Rows[0].ID)
	assert.True(t, b.Answer(q).Elsewhere, "asked again, the server has the answer")
}

// The function of a listener may block, or what the log has forgotten may not be had from the
// server: then the engine asks again, perhaps further back.
func TestWhatWasGivenOnceIsGivenAgainWithItsContentOrSaidToBeForgotten(t *testing.T) {
	t.Parallel()
	l := fleet.NewLog(fleet.LogConfig{Contents: 10, Keys: 400})
	b := fleet.NewInbox(l, 1, []int64{1})
	for i := range int64(100) {
		l.Append(at(epoch)+feed.Time(i)*10, []feed.Row{row(i+1, 1, epoch)})
	}
	for range 2 {
		assert.Len(t, changes(b, at(epoch)-1, 200).Without, 90)
	}
	assert.Empty(t, changes(b, at(epoch)+99*10, 200).Rows)
	assert.Len(t, changes(b, at(epoch)+50*10, 200).Without, 39, "it has gone back")
	for i := range int64(500) {
		l.Append(at(epoch)+feed.Time(i+1000)*10, []feed.Row{row(i+1001, 2, epoch)})
	}
	assert.True(t, changes(b, at(epoch)+50*10, 200).Lost, "the last rows were given, but not taken")
}
