package storm_test

import (
	"context"
	"errors"
	"fmt"
	"math/rand/v2"
	"sync"
	"time"

	chat "github.com/fliplet/fliplet-chat-go"
	"github.com/fliplet/fliplet-chat-go/storage"
)

var errPower = errors.New("the machine has no power")

// disk is the store of a machine, which has no effect once the machine is dead.
type disk struct {
	storage.Store
	m *machine
}

func (m *machine) off() bool {
	m.mu.Lock()
	defer m.mu.Unlock()
	return m.dead
}

func (d *disk) Exclusive() bool {
	one, ok := d.Store.(storage.Exclusive)
	return ok && one.Exclusive()
}

func (d *disk) Get(ctx context.Context, key string) ([]byte, error) {
	if d.m.off() {
		return nil, errPower
	}
	return d.Store.Get(ctx, key)
}

func (d *disk) Set(ctx context.Context, key string, value []byte) error {
	if d.m.off() {
		return errPower
	}
	return d.Store.Set(ctx, key, value)
}

func (d *disk) Delete(ctx context.Context, key string) error {
	if d.m.off() {
		return errPower
	}
	return d.Store.Delete(ctx, key)
}

func (d *disk) CompareAndSwap(ctx context.Context, key string, old, new []byte) (bool, error) {
	if d.m.off() {
		return false, errPower
	}
	return d.Store.CompareAndSwap(ctx, key, old, new)
}

// work is what outlives Jane's processes.
type work struct {
	n    int // messages so far
	rnd  *rand.Rand
	next *sent // what the outbox may or may not have accepted
	seen *view // what the consumer has handled
}

// jane runs one process after the other over one store. The last one begins before the
// storm is over, and ends in good order.
func (s *story) jane() {
	w := &work{rnd: s.draw("jane"), seen: newView(s, "jane's consumer")}
	w.seen.durable = true
	s.mu.Lock()
	s.views = append(s.views, w.seen)
	s.mu.Unlock()
	for s.life(w) {
	}
}

// killed reports whether power has gone at least once.
func (s *story) killed() bool {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.kills > 0
}

// life runs one process. It reports whether it has died, and another one is to follow.
func (s *story) life(w *work) (again bool) {
	store, closes, err := s.open()
	if err != nil {
		s.wrong("jane's store: %v", err)
		return false
	}
	defer func() {
		if err := closes(); err != nil {
			s.wrong("jane's store: %v", err)
		}
	}()
	m := s.machine("jane")
	ctx, cancel := context.WithCancel(context.Background())
	defer cancel()
	least := s.lasts / 12
	if s.shared != nil {
		least = s.lasts / 4
	}
	death := time.NewTimer(least + time.Duration(w.rnd.Int64N(int64(2*least))))
	defer death.Stop()
	go func() { // ends with the life
		select {
		case <-death.C:
			cancel()
		case <-s.calm:
		case <-ctx.Done():
		}
	}()
	outbox := &chat.OutboxOptions{Settle: time.Second, OnChange: func(c chat.SendChange) {
		if c.State == chat.SendFailed {
			s.wrong("the outbox gave %s up: %v", c.GUID, c.Err)
		}
	}}
	c := s.boot(ctx, "jane", m, &disk{store, m}, outbox)
	var runs sync.WaitGroup
	if ctx.Err() == nil {
		fn := s.handle(w, m)
		runs.Go(func() {
			err := c.Consume(context.Background(), "archive", fn, chat.StartAt(chat.FromBeginning), chat.Parallel(parallel),
				chat.RetryBackoff(50*time.Millisecond, 500*time.Millisecond), chat.OnError(func(error) {}))
			if !m.off() && ctx.Err() == nil && !errors.Is(err, chat.ErrClosed) {
				s.wrong("Consume ended: %v", err)
			}
		})
		s.add(ctx, c, w)
	}
	select {
	case <-ctx.Done():
	case <-s.end:
		s.leave("jane", c, m)
		runs.Wait()
		return false
	}
	s.die(c, m, w)
	runs.Wait()
	m.pool.CloseIdleConnections()
	return true
}

// die ends a process in one of three ways.
func (s *story) die(c *chat.Chat, m *machine, w *work) {
	how := w.rnd.IntN(4)
	if how == 0 { // it has a second for what it would like to finish
		ctx, cancel := context.WithTimeout(context.Background(), time.Second)
		defer cancel()
		_ = c.Shutdown(ctx)
	}
	s.mu.Lock()
	if how < 2 {
		s.stops++
	} else {
		s.kills++
	}
	s.mu.Unlock()
	if how >= 2 { // power goes, and with it whatever was under way
		m.mu.Lock()
		m.dead = true
		m.mu.Unlock()
		m.net.Cut()
	}
	began := time.Now()
	_ = c.Close()
	if d := time.Since(began); d > soon {
		s.wrong("Close took %v", d)
	}
	ctx, cancel := context.WithTimeout(context.Background(), patience)
	defer cancel()
	if err := c.Shutdown(ctx); err != nil {
		s.wrong("what ran did not end within %v of Close: %v", time.Since(began), err)
	}
	m.mu.Lock()
	m.dead = true
	m.mu.Unlock()
	m.net.Cut()
	w.seen.lived()
}

// add accepts messages, in an order that holds for each conversation.
func (s *story) add(ctx context.Context, c *chat.Chat, w *work) {
	for {
		for w.next != nil { // the process before may have died while it was accepted
			_, err := c.Outbox().Add(ctx, w.next.conv, chat.Draft{Body: w.next.body, GUID: w.next.guid})
			if err == nil {
				w.next = nil
				break
			}
			select {
			case <-ctx.Done():
				return
			case <-time.After(100 * time.Millisecond): // offline, and the key is not known yet
			}
		}
		select {
		case <-ctx.Done():
			return
		case <-s.calm:
			return
		case <-time.After(s.pace/2 + time.Duration(w.rnd.Int64N(int64(s.pace)))):
		}
		w.next = s.mean("jane", s.somewhere(w.rnd), fmt.Sprint("jane-", w.n))
		w.n++
	}
}

// handle is the consumer's function. It fails now and then, and has no effect when the
// machine is dead.
func (s *story) handle(w *work, m *machine) func(context.Context, *chat.Message) error {
	var mu sync.Mutex
	rnd := s.draw(fmt.Sprint("handle ", w.n))
	return func(_ context.Context, msg *chat.Message) error {
		mu.Lock()
		fails, before, behind := rnd.Float64() < 0.03, rnd.IntN(10), rnd.IntN(200)
		mu.Unlock()
		time.Sleep(time.Duration(before) * time.Millisecond)
		if fails {
			return errors.New("not now")
		}
		m.mu.Lock()
		dead := m.dead
		if !dead {
			w.seen.take(msg)
		}
		m.mu.Unlock()
		if dead {
			return errPower
		}
		time.Sleep(time.Duration(behind) * time.Millisecond)
		return nil
	}
}
