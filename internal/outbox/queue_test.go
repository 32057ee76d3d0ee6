package outbox_test

import (
	"math/rand/v2"
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/fliplet/fliplet-chat-go/internal/outbox"
)

var start = time.Date(2026, 1, 1, 0, 0, 0, 0, time.UTC)

func newQueue(change ...func(*outbox.QueueConfig)) *outbox.Queue {
	cfg := outbox.QueueConfig{Rand: rand.New(rand.NewPCG(1, 2))}
	for _, c := range change {
		c(&cfg)
	}
	return outbox.NewQueue(cfg)
}

// accept takes a message whose copy is saved.
func accept(t *testing.T, q *outbox.Queue, conversation int64) outbox.ID {
	t.Helper()
	id, err := q.Accept(conversation, false)
	require.NoError(t, err)
	q.Saved(id)
	return id
}

func next(t *testing.T, q *outbox.Queue, now time.Time, kind outbox.Kind, id outbox.ID) {
	t.Helper()
	a := q.Next(now)
	assert.Equal(t, outbox.Action{Kind: kind, ID: id}, a)
}

// idle asserts that there is nothing to do before a moment, and returns it.
func idle(t *testing.T, q *outbox.Queue, now time.Time) time.Time {
	t.Helper()
	a := q.Next(now)
	require.Equal(t, outbox.Wait, a.Kind)
	return a.Until
}

func TestNothingIsSentBeforeItIsSaved(t *testing.T) {
	q := newQueue()
	id, err := q.Accept(7, false)
	require.NoError(t, err)
	assert.Zero(t, idle(t, q, start))
	q.Saved(id)
	next(t, q, start, outbox.Send, id)
	assert.Zero(t, idle(t, q, start))
	q.Stored(id)
	next(t, q, start, outbox.Forget, id)
	q.Forgotten(id)
	assert.Zero(t, q.Len())
}

func TestAMessageThatCannotBeSavedIsDroppedAndHoldsNobodyBack(t *testing.T) {
	q := newQueue()
	first, err := q.Accept(7, false)
	require.NoError(t, err)
	second := accept(t, q, 7)
	assert.Zero(t, idle(t, q, start), "the first may still be saved")
	assert.True(t, q.Drop(first))
	next(t, q, start, outbox.Send, second)
	assert.False(t, q.Drop(second), "it is being sent")
	assert.False(t, q.Drop(first), "it is gone")
}

func TestAFailureHoldsBackItsConversationOnly(t *testing.T) {
	q := newQueue()
	a1, a2, b1 := accept(t, q, 1), accept(t, q, 1), accept(t, q, 2)
	next(t, q, start, outbox.Send, a1)
	q.Retry(start, a1, 0)
	next(t, q, start, outbox.Send, b1)
	due := idle(t, q, start)
	assert.True(t, due.After(start) && !due.After(start.Add(time.Second)))
	next(t, q, due, outbox.Send, a1)
	q.Refused(a1)
	next(t, q, due, outbox.Forget, a1)
	next(t, q, due, outbox.Send, a2)
}

func TestDoubtIsSettledByALookUpThatComesLateEnough(t *testing.T) {
	q := newQueue()
	id := accept(t, q, 1)
	next(t, q, start, outbox.Send, id)
	q.Doubtful(start, id)
	next(t, q, start, outbox.LookUp, id)
	q.Absent(id)
	settled := idle(t, q, start)
	assert.Equal(t, start.Add(5*time.Second), settled)
	next(t, q, settled, outbox.LookUp, id)
	q.Absent(id)
	next(t, q, settled, outbox.Send, id)
	q.Doubtful(settled, id)
	next(t, q, settled, outbox.LookUp, id)
	q.Stored(id)
	next(t, q, settled, outbox.Forget, id)
}

func TestAFailedLookUpProvesNothing(t *testing.T) {
	q := newQueue()
	id := accept(t, q, 1)
	next(t, q, start, outbox.Send, id)
	q.Doubtful(start, id)
	now := start
	for range 20 {
		next(t, q, now, outbox.LookUp, id)
		q.Retry(now, id, 0)
		then := idle(t, q, now)
		assert.LessOrEqual(t, then.Sub(now), 10*time.Second)
		now = then
	}
	next(t, q, now, outbox.LookUp, id)
	q.Absent(id)
	next(t, q, now, outbox.Send, id)
}

func TestALookUpThatHadNoAnswerIsMadeAgainSoonHoweverOftenThatWasSo(t *testing.T) {
	q := newQueue()
	id := accept(t, q, 7)
	next(t, q, start, outbox.Send, id)
	now := start.Add(15 * time.Second)
	q.Doubtful(now, id)
	for range 20 {
		next(t, q, now, outbox.LookUp, id)
		now = now.Add(15 * time.Second)
		q.Unanswered(now, id)
		until := idle(t, q, now)
		assert.Greater(t, until.Sub(now), 400*time.Millisecond)
		assert.LessOrEqual(t, until.Sub(now), time.Second)
		now = until
	}
	q.Unanswered(now, id) // nothing is under way
	next(t, q, now, outbox.LookUp, id)
}

func TestWhatWasLoadedComesFirstAndIsLookedUp(t *testing.T) {
	q := newQueue()
	own := accept(t, q, 1)
	ids := q.Load(start, []int64{1, 1, 2})
	next(t, q, start, outbox.LookUp, ids[0])
	next(t, q, start, outbox.LookUp, ids[2])
	q.Stored(ids[0])
	next(t, q, start, outbox.Forget, ids[0])
	next(t, q, start, outbox.LookUp, ids[1])
	q.Stored(ids[1])
	next(t, q, start, outbox.Forget, ids[1])
	next(t, q, start, outbox.Send, own)
}

func TestAKnownMessageIsLookedUpOnce(t *testing.T) {
	q := newQueue()
	id, err := q.Accept(1, true)
	require.NoError(t, err)
	q.Saved(id)
	next(t, q, start, outbox.LookUp, id)
	q.Absent(id)
	next(t, q, start, outbox.Send, id)
}

func TestARateLimitHoldsEverybodyBackForAtLeastItsTime(t *testing.T) {
	q := newQueue()
	a, b := accept(t, q, 1), accept(t, q, 2)
	next(t, q, start, outbox.Send, a)
	q.Retry(start, a, 10*time.Second)
	due := idle(t, q, start)
	assert.GreaterOrEqual(t, due.Sub(start), 10*time.Second)
	assert.Less(t, due.Sub(start), 14*time.Second)
	assert.Equal(t, due, q.Due(b))
	next(t, q, due, outbox.Send, b)
	next(t, q, due, outbox.Send, a)
}

func TestAFullQueueRefuses(t *testing.T) {
	q := newQueue(func(c *outbox.QueueConfig) { c.Limit = 2 })
	id := accept(t, q, 1)
	accept(t, q, 1)
	_, err := q.Accept(1, false)
	require.ErrorIs(t, err, outbox.ErrFull)
	next(t, q, start, outbox.Send, id)
	q.Stored(id)
	next(t, q, start, outbox.Forget, id)
	q.Forgotten(id)
	accept(t, q, 1)
	assert.Len(t, q.Load(start, []int64{1, 2}), 2, "what is there already is never refused")
}

func TestConversationsShareNoPlacesThatHangsCouldFill(t *testing.T) {
	q := newQueue(func(c *outbox.QueueConfig) { c.Parallel = 3 })
	var ids []outbox.ID
	for conv := range int64(1000) {
		ids = append(ids, accept(t, q, conv+1))
	}
	for _, id := range ids {
		next(t, q, start, outbox.Send, id)
	}
	assert.Zero(t, idle(t, q, start))
	assert.Equal(t, 1000, q.Busy())
	for _, id := range ids {
		q.Stored(id)
	}
	for _, id := range ids[:3] {
		next(t, q, start, outbox.Forget, id)
	}
	assert.Zero(t, idle(t, q, start), "a Store gets few calls at a time")
	q.Retry(start, ids[0], 0)
	next(t, q, start, outbox.Forget, ids[3])
	q.Forgotten(ids[1])
	next(t, q, start, outbox.Forget, ids[4])
	assert.Equal(t, 3, q.Busy())
}

func TestHeldQueuesForgetOnly(t *testing.T) {
	q := newQueue()
	a := accept(t, q, 1)
	accept(t, q, 2)
	next(t, q, start, outbox.Send, a)
	q.Stored(a)
	q.Hold(true)
	next(t, q, start, outbox.Forget, a)
	assert.Zero(t, idle(t, q, start))
	q.Hold(false)
	assert.Equal(t, outbox.Send, q.Next(start).Kind)
}

func TestAnswersThatNobodyAskedForChangeNothing(t *testing.T) {
	q := newQueue()
	id := accept(t, q, 1)
	q.Stored(id)
	q.Refused(id)
	q.Absent(id)
	q.Doubtful(start, id)
	q.Retry(start, id, time.Hour)
	q.Forgotten(id)
	q.Saved(99)
	q.Stored(99)
	assert.False(t, q.Drop(99))
	assert.Zero(t, q.Due(99))
	next(t, q, start, outbox.Send, id)
}

func TestNoServerSilencesTheQueueForLong(t *testing.T) {
	for _, named := range []time.Duration{time.Minute, time.Hour, 68 * 365 * 24 * time.Hour, 1<<63 - 1} {
		q := newQueue()
		id := accept(t, q, 1)
		next(t, q, start, outbox.Send, id)
		q.Retry(start, id, named)
		wait := idle(t, q, start).Sub(start)
		assert.GreaterOrEqual(t, wait, time.Minute, named)
		assert.LessOrEqual(t, wait, 76*time.Second, named)
	}
}

func TestBackoffGrowsAndIsSpread(t *testing.T) {
	q := newQueue()
	id := accept(t, q, 1)
	now, top := start, time.Duration(0)
	for i := range 40 {
		next(t, q, now, outbox.Send, id)
		q.Retry(now, id, 0)
		wait := idle(t, q, now).Sub(now)
		full := 10 * time.Second
		if i < 4 {
			full = time.Second << i
		}
		assert.GreaterOrEqual(t, wait, full/2-1)
		assert.LessOrEqual(t, wait, full)
		top = max(top, wait)
		now = now.Add(wait)
	}
	assert.Greater(t, top, 5*time.Second)
}

func TestWhatTheRateLimitHadNoPlaceForIsTriedLaterAndCountsAsNoTry(t *testing.T) {
	q := newQueue()
	id := accept(t, q, 1)
	now := start
	for range 10 {
		next(t, q, now, outbox.Send, id)
		q.Crowded(now, id)
		then := idle(t, q, now)
		assert.GreaterOrEqual(t, then.Sub(now), 4*time.Second-1)
		assert.LessOrEqual(t, then.Sub(now), 8*time.Second)
		now = then
	}
	next(t, q, now, outbox.Send, id)
	q.Retry(now, id, 0)
	assert.LessOrEqual(t, idle(t, q, now).Sub(now), time.Second, "the first try")
	q.Crowded(now, id) // nothing is under way
}
