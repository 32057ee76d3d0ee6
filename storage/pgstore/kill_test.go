//go:build unix

package pgstore_test

import (
	"math/rand/v2"
	"os"
	"strconv"
	"syscall"
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/fliplet/fliplet-chat-go/storage/pgstore/pgtest"
)

// size is a number from the environment.
func size(t *testing.T, name string, usual int) int {
	t.Helper()
	said := os.Getenv(name)
	if said == "" {
		return usual
	}
	n, err := strconv.Atoi(said)
	require.NoError(t, err, name)
	return n
}

// ownServer is a server for tests of many processes.
func ownServer(t *testing.T) string {
	t.Helper()
	return pgtest.Start(t).Database(t)
}

// A consumer is killed at random moments while it handles messages, and when it starts.
// PGSTORE_KILLS and PGSTORE_KILL_MESSAGES make it as long as one likes.
func TestAConsumerThatIsKilledArchivesEveryMessageOnce(t *testing.T) {
	t.Parallel()
	kills, messages := size(t, "PGSTORE_KILLS", 20), size(t, "PGSTORE_KILL_MESSAGES", 3000)
	s := newScene(t, ownServer(t), fenced)
	rnd := rand.New(rand.NewPCG(uint64(size(t, "PGSTORE_KILL_SEED", 1)), 2))
	each := messages / (kills + 1)
	began, early := time.Now(), 0
	for range kills {
		s.add(each)
		s.order.Parallel, s.order.Batch = 1+rnd.IntN(8), []int{1, 1, 5, 50}[rnd.IntN(4)]
		before, p := s.tried(), s.start()
		if rnd.IntN(4) == 0 { // when it starts, too
			time.Sleep(time.Duration(rnd.IntN(500)) * time.Millisecond)
		} else {
			s.reach("messages were handled", s.tried, before+1+rnd.IntN(2*each), 2*time.Second)
			time.Sleep(time.Duration(rnd.IntN(3000)) * time.Microsecond)
		}
		p.kill()
		if s.tried() == before {
			early++
		}
		s.expire()
	}
	s.add(messages - s.all)
	p := s.start()
	assert.True(t, s.reach("messages are archived", s.rows, messages, 2*time.Minute))
	p.kill()
	assert.Equal(t, verdict{rows: messages}, s.verdict())
	t.Logf("%d kills, %d of them before a message was handled, %d messages: %d rows, %d attempts, %v", kills, early, messages, s.rows(), s.tried(), time.Since(began).Round(time.Second))
}

// One of two consumers is suspended at random moments, and goes on when the other one has
// taken over, with what it was at.
func TestAConsumerThatWasSuspendedArchivesNothingTwice(t *testing.T) {
	t.Parallel()
	turns := size(t, "PGSTORE_SUSPENSIONS", 6)
	s := newScene(t, ownServer(t), fenced)
	suspend(t, s, turns, func() bool { return true })
	messages := s.all
	assert.True(t, s.reach("messages are archived", s.rows, messages, 2*time.Minute))
	s.end()
	assert.Equal(t, verdict{rows: messages}, s.verdict())
	t.Logf("%d suspensions, %d messages, %d attempts", turns, messages, s.tried())
}

// suspend lets two consumers take turns, of which one is suspended and goes on again.
func suspend(t *testing.T, s *scene, turns int, more func() bool) {
	rnd := rand.New(rand.NewPCG(3, 4))
	active, standby := s.start(), s.start()
	var longest time.Duration
	defer func() { t.Logf("the longest take-over took %v", longest.Round(time.Millisecond)) }()
	for range turns {
		if !more() {
			return
		}
		before := s.tried()
		s.add(300)
		s.reach("messages were handled", s.tried, before+20+rnd.IntN(100), 10*time.Second)
		// Which of the two it is that works is asked of the archive.
		pid := number(t, s.conn, "SELECT coalesce((SELECT pid FROM archive ORDER BY n DESC LIMIT 1), 0)")
		if pid == standby.cmd.Process.Pid {
			active, standby = standby, active
		}
		active.signal(syscall.SIGSTOP)
		at := s.tried()
		s.expire()
		taken := func() int {
			return number(t, s.conn, "SELECT count(*) FROM archive WHERE pid = $1 AND n > $2", standby.cmd.Process.Pid, at)
		}
		s.add(100)
		began := time.Now()
		assert.True(t, s.reach("messages were taken over", taken, 5, 2*time.Minute))
		longest = max(longest, time.Since(began))
		active.signal(syscall.SIGCONT)
	}
}

// The tests above would find what they are for.
func TestWithoutAFenceOrATransactionMessagesAreArchivedTwice(t *testing.T) {
	t.Parallel()
	t.Run(string(unfenced), func(t *testing.T) {
		t.Parallel()
		s := newScene(t, ownServer(t), unfenced)
		suspend(t, s, 100, func() bool { return s.verdict().twice == 0 })
		v := s.verdict()
		t.Logf("%+v", v)
		assert.Positive(t, v.twice)
	})
	t.Run(string(apart), func(t *testing.T) {
		t.Parallel()
		s := newScene(t, ownServer(t), apart)
		for i := 0; i < 100 && s.verdict().twice == 0; i++ {
			s.add(100)
			before, p := s.tried(), s.start()
			s.reach("messages were handled", s.tried, before+20+i, 10*time.Second)
			p.kill()
			s.expire()
		}
		v := s.verdict()
		t.Logf("%+v", v)
		assert.Positive(t, v.twice)
	})
}
