package pgstore

import (
	"bytes"
	"context"
	"math/rand/v2"
	"slices"
	"sync"
	"time"

	"github.com/jackc/pgx/v5"
)

const (
	// announceEvery is how often a Store says again which keys it waits for, and
	// announcedFor how long that lasts.
	announceEvery = 20 * time.Second
	announcedFor  = time.Minute
	// The wait before another attempt to listen.
	shortestBackoff, longestBackoff = 100 * time.Millisecond, 10 * time.Second
	// listenWithin is how long each statement of the listener may take.
	listenWithin = 10 * time.Second
	// The wait before another look at writes that had begun before a key was announced.
	shortestLook, longestLook = 20 * time.Millisecond, 2 * time.Second
)

// watch is one call of Watch.
type watch struct {
	key       string
	told      chan struct{}
	connected bool // it was told that it is connected
}

func (w *watch) tell() {
	select {
	case w.told <- struct{}{}:
	default:
	}
}

// listener hears notifications for all who wait, over one connection. It has a goroutine
// while there is somebody.
type listener struct {
	store *Store

	mu      sync.Mutex
	watches map[string]map[*watch]struct{} // by what a notification says
	fresh   bool                           // a watch was added that was not announced
	wake    context.CancelFunc             // ends the wait for notifications; nil if there is none
	stop    context.CancelFunc             // ends the goroutine; nil if none runs
	done    chan struct{}                  // closed when the last goroutine has ended
	closed  bool
}

// Watch tells of changes of a key, see [storage.Watcher]. It returns at once, without a
// request; the first watch of a Store opens a connection, and the end of the last one
// closes it. A connection that is lost is made again, at most 10 s later. What was written
// before the watch and is committed after it is told once all transactions have ended that
// were writing then, at most 2 s later; it looks at pg_locks until they have.
//
// Errors: [ErrClosed], the context's.
func (s *Store) Watch(ctx context.Context, key string) (<-chan struct{}, error) {
	if err := s.begin(ctx, key); err != nil {
		return nil, err
	}
	w := &watch{key: key, told: make(chan struct{}, 1)}
	notice := s.notice(key)
	if !s.listener.add(notice, w) {
		return nil, ErrClosed
	}
	context.AfterFunc(ctx, func() { s.listener.remove(notice, w) })
	return w.told, nil
}

// add reports false when the Store is closed.
func (l *listener) add(notice string, w *watch) bool {
	l.mu.Lock()
	defer l.mu.Unlock()
	if l.closed {
		return false
	}
	if l.watches == nil {
		l.watches = map[string]map[*watch]struct{}{}
	}
	if l.watches[notice] == nil {
		l.watches[notice] = map[*watch]struct{}{}
	}
	l.watches[notice][w] = struct{}{}
	l.fresh = true
	if l.wake != nil {
		l.wake()
	}
	if l.stop == nil {
		ctx, stop := context.WithCancel(context.Background())
		before, done := l.done, make(chan struct{})
		l.stop, l.done = stop, done
		go func() {
			defer close(done)
			if before != nil {
				<-before
			}
			l.run(ctx)
		}()
	}
	return true
}

func (l *listener) remove(notice string, w *watch) {
	l.mu.Lock()
	defer l.mu.Unlock()
	delete(l.watches[notice], w)
	if len(l.watches[notice]) == 0 {
		delete(l.watches, notice)
	}
	if len(l.watches) == 0 && l.stop != nil {
		l.stop()
		l.stop = nil
	}
}

// close ends all watches, and waits for the goroutine.
func (l *listener) close() {
	l.mu.Lock()
	l.closed = true
	if l.stop != nil {
		l.stop()
		l.stop = nil
	}
	done := l.done
	l.mu.Unlock()
	if done != nil {
		<-done
	}
}

// run listens until ctx ends, and tries again when it cannot.
func (l *listener) run(ctx context.Context) {
	for backoff := shortestBackoff; ctx.Err() == nil; backoff = min(2*backoff, longestBackoff) {
		began := time.Now()
		l.listen(ctx)
		if time.Since(began) > longestBackoff {
			backoff = shortestBackoff
		}
		select {
		case <-ctx.Done():
		case <-time.After(backoff/2 + rand.N(backoff/2)):
		}
	}
}

// listen hears notifications until the connection is lost, or ctx ends.
func (l *listener) listen(ctx context.Context) {
	conn, err := l.connect(ctx)
	if err != nil {
		return
	}
	defer func() {
		tidy, cancel := context.WithTimeout(context.WithoutCancel(ctx), time.Second)
		defer cancel()
		_ = conn.Close(tidy) // it is of no use any more
	}()
	defer l.disconnected()
	exec := func(sql string, args ...any) error {
		within, cancel := context.WithTimeout(ctx, listenWithin)
		defer cancel()
		_, err := conn.Exec(within, sql, args...)
		return err
	}
	if exec("LISTEN "+l.store.sql.channel) != nil || exec(l.store.sql.forgotten) != nil {
		return
	}
	var begun []string // the transactions that may write without a notification
	for {
		// In an order that all Stores have, so that none waits for another's row in a ring.
		keys, anew := l.keys()
		err := exec(l.store.sql.watched, l.store.namespace, keys, announcedFor)
		if err == nil && anew {
			begun, err = l.writingNow(ctx, conn, begun)
		}
		if err != nil {
			return
		}
		if begun, err = l.hear(ctx, conn, begun); err != nil {
			return
		}
	}
}

// writing returns the transactions that are writing to the Store's table, or those of them
// that begun names. One that took its snapshot before a key was announced notifies nobody,
// and may be committed long after. It has locked the table before, and what has locked it
// since sees the announcement.
func (l *listener) writing(ctx context.Context, conn *pgx.Conn, begun []string) ([]string, error) {
	ctx, cancel := context.WithTimeout(ctx, listenWithin)
	defer cancel()
	rows, err := conn.Query(ctx, l.store.sql.writing, l.store.sql.tables.store, begun)
	if err != nil {
		return nil, err
	}
	return pgx.CollectRows(rows, pgx.RowTo[string])
}

// writingNow returns all transactions that are writing, and tells everybody when one of those
// before is not among them: who comes now must not take from others what they wait for.
func (l *listener) writingNow(ctx context.Context, conn *pgx.Conn, before []string) ([]string, error) {
	now, err := l.writing(ctx, conn, nil)
	if err == nil && slices.ContainsFunc(before, func(one string) bool { return !slices.Contains(now, one) }) {
		l.tellAll()
	}
	return now, err
}

// connect opens a connection as the pool does.
func (l *listener) connect(ctx context.Context) (*pgx.Conn, error) {
	ctx, cancel := context.WithTimeout(ctx, listenWithin)
	defer cancel()
	cfg := l.store.pool.Config()
	if cfg.BeforeConnect != nil {
		if err := cfg.BeforeConnect(ctx, cfg.ConnConfig); err != nil {
			return nil, err
		}
	}
	conn, err := pgx.ConnectConfig(ctx, cfg.ConnConfig)
	if err == nil && cfg.AfterConnect != nil {
		if err = cfg.AfterConnect(ctx, conn); err != nil {
			_ = conn.Close(ctx)
		}
	}
	return conn, err
}

// hear tells what it is notified of, until it is time to announce the keys again. Once the
// transactions have ended that had begun before, it tells everybody; it returns those that
// have not. An error says that the connection is lost.
func (l *listener) hear(ctx context.Context, conn *pgx.Conn, begun []string) ([]string, error) {
	hearing, cancel := context.WithTimeout(ctx, announceEvery)
	defer cancel()
	if !l.connected(cancel) {
		return begun, nil
	}
	defer l.deaf()
	for look := shortestLook; ; look = min(2*look, longestLook) {
		if len(begun) == 0 {
			look = announceEvery
		}
		if err := l.notified(hearing, conn, look); err != nil || hearing.Err() != nil {
			return begun, err
		}
		var err error
		if begun, err = l.writing(ctx, conn, begun); err != nil {
			return nil, err
		}
		if len(begun) == 0 {
			l.tellAll()
		}
	}
}

// notified tells what it is notified of for as long as it is given.
func (l *listener) notified(ctx context.Context, conn *pgx.Conn, within time.Duration) error {
	ctx, cancel := context.WithTimeout(ctx, within)
	defer cancel()
	for {
		n, err := conn.WaitForNotification(ctx)
		if err != nil && ctx.Err() != nil && !conn.IsClosed() {
			return nil
		}
		if err != nil {
			return err
		}
		l.mu.Lock()
		for w := range l.watches[n.Payload] {
			w.tell()
		}
		l.mu.Unlock()
	}
}

// tellAll tells everybody.
func (l *listener) tellAll() {
	l.mu.Lock()
	defer l.mu.Unlock()
	for _, same := range l.watches {
		for w := range same {
			w.tell()
		}
	}
}

// deaf notes that nothing waits for notifications now.
func (l *listener) deaf() {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.wake = nil
}

// keys are those that somebody waits for. anew says that somebody was not told yet that it
// is connected.
func (l *listener) keys() (sorted [][]byte, anew bool) {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.fresh = false
	for _, same := range l.watches {
		var key string
		for w := range same {
			key = w.key
			anew = anew || !w.connected
		}
		sorted = append(sorted, []byte(key))
	}
	slices.SortFunc(sorted, bytes.Compare)
	return sorted, anew
}

// connected tells those who were announced now, and notes how to end the wait that follows.
// It reports false when somebody else has come meanwhile.
func (l *listener) connected(wake context.CancelFunc) bool {
	l.mu.Lock()
	defer l.mu.Unlock()
	if l.fresh {
		return false
	}
	for _, same := range l.watches {
		for w := range same {
			if !w.connected {
				w.connected = true
				w.tell()
			}
		}
	}
	l.wake = wake
	return true
}

// disconnected makes everybody be told when there is a connection again.
func (l *listener) disconnected() {
	l.mu.Lock()
	defer l.mu.Unlock()
	for _, same := range l.watches {
		for w := range same {
			w.connected = false
		}
	}
}
