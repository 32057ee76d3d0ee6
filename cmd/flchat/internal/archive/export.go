package archive

import (
	"context"
	"errors"
	"slices"
	"sync"
	"sync/atomic"
	"time"

	chat "github.com/fliplet/fliplet-chat-go"
	"github.com/fliplet/fliplet-chat-go/storage"
	"github.com/fliplet/fliplet-chat-go/storage/sqlstore"
)

// Phase is what an export is doing.
type Phase string

// The phases of an export, in their order.
const (
	Reading     Phase = "contacts and conversations"
	Messages    Phase = "messages"
	Attachments Phase = "attachments"
	Done        Phase = "done"
)

// Progress is how far an export is. Counts are those of this run.
type Progress struct {
	Phase Phase
	// Messages were read, or Files in the phase of attachments.
	Messages, Files int64
	// Written are the records that were added, and Bytes their size and that of files.
	Written, Bytes int64
	// Total is how many messages or files there are for this run; 0: not known.
	Total int64
	// Missing counts files that could not be had.
	Missing int64
}

// Options says what to export.
type Options struct {
	// Path is the file, which is made if it is not there.
	Path string
	// Connect returns a Chat that keeps what it keeps in a Storage, with somebody logged in.
	// The export closes it.
	Connect func(ctx context.Context, store storage.Store) (*chat.Chat, error)
	// API, Contacts and PrimaryKey say where the chats come from.
	API        string
	Contacts   int64
	PrimaryKey string
	// NoFiles leaves attachments out.
	NoFiles bool
	// Progress is told several times a second at most, one call at a time. nil: nobody.
	Progress func(Progress)
	// Patience is how long the service may be away before the export ends. Default 1 min.
	Patience time.Duration

	late  bool // for tests: records are written after the position
	eager bool // for tests: Progress is told of each message
}

// Result is what an export has done.
type Result struct {
	Progress
	// Seal is the hash of the whole archive.
	Seal string
	// Conversations and Contacts are in the archive.
	Conversations, Contacts int64
	// Gaps are records of what could not be read, in this run and those before.
	Gaps int64
}

// batch is how many messages share a transaction.
const batch = 100

// consumer is the name under which the position is kept.
const consumer = "archive"

// Export brings an archive up to date, and returns when it has everything that was there when
// it began. When it ends before, because ctx ends, the service is away for longer than Patience or
// the disk is full, the file is consistent, and the next Export goes on where this one was.
//
// Errors: a [UsageError]; those of the chat; the cause of ctx.
func Export(ctx context.Context, o Options) (_ Result, err error) {
	source := Source{API: o.API, Contacts: o.Contacts, PrimaryKey: o.PrimaryKey}
	if err := peek(ctx, o.Path, source); err != nil {
		return Result{}, err
	}
	position := newPositions()
	c, err := o.Connect(ctx, position)
	if err != nil {
		return Result{}, err
	}
	defer c.Close()
	source.UserID = c.User().UserID
	if err := peek(ctx, o.Path, source); err != nil {
		return Result{}, err
	}
	store, err := openToWrite(ctx, o.Path)
	if err != nil {
		return Result{}, err
	}
	defer func() {
		_ = c.Close() // it uses the store
		closed := store.Close()
		alone(o.Path)
		if err == nil {
			err = explain(o.Path, closed)
		}
	}()
	position.file = store
	sweep(o.Path)
	within, cancel := context.WithCancel(ctx)
	e := &exporter{Options: o, store: store, chat: c}
	defer e.counting.Wait()
	defer cancel()
	if e.Patience <= 0 {
		e.Patience = time.Minute
	}
	if err := claim(ctx, o.Path, store.DB(), source); err != nil {
		return Result{}, err
	}
	for _, phase := range []func(context.Context) error{e.people, e.messages, e.newcomers, e.attachments} {
		if err := phase(within); err != nil {
			if cause := context.Cause(ctx); cause != nil {
				err = cause
			}
			return Result{Progress: e.progress()}, e.explain(err)
		}
	}
	e.phase(Done)
	e.tell()
	r := Result{Progress: e.progress()}
	if r.Seal, err = seal(ctx, store.DB()); err == nil {
		err = store.DB().QueryRowContext(ctx, `SELECT (SELECT count(*) FROM heads WHERE chain > 0), (SELECT count(DISTINCT item) FROM records WHERE kind IN ('conversation', 'contact', 'contact-gone') AND chain = 0), (SELECT count(*) FROM records WHERE kind = 'gap')`).Scan(&r.Conversations, &r.Contacts, &r.Gaps)
	}
	return r, e.explain(err)
}

// exporter is one export under way.
type exporter struct {
	Options
	store *sqlstore.Store
	chat  *chat.Chat

	now                                           atomic.Value // Phase
	handled, files, written, size, total, missing atomic.Int64
	telling                                       sync.Mutex
	told                                          time.Time

	counting sync.WaitGroup

	found   []chat.Gap // since the last record
	delayed []*chat.Message
}

// fileError is an error of the file, rather than of the service.
type fileError struct{ error }

func (e fileError) Unwrap() error { return e.error }

func (e *exporter) explain(err error) error {
	var file fileError
	if errors.As(err, &file) || diskFull(err) {
		return explain(e.Path, errors.Unwrap(fileError{err}))
	}
	return err
}

// update runs fn in a transaction of the file.
func (e *exporter) update(ctx context.Context, fn func(ctx context.Context, tx execer) error) error {
	err := e.store.Update(ctx, func(ctx context.Context, _ storage.Store) error {
		tx, err := sqlstore.Tx(ctx)
		if err != nil {
			return err
		}
		return fn(ctx, tx)
	})
	if err != nil && ctx.Err() == nil {
		return fileError{err}
	}
	return err
}

// people writes what is new of contacts and conversations.
func (e *exporter) people(ctx context.Context) error {
	e.phase(Reading)
	contacts, err := e.chat.Contacts(ctx)
	if err != nil {
		return err
	}
	conversations, err := e.chat.Conversations(ctx)
	if err != nil {
		return err
	}
	slices.SortFunc(contacts, func(a, b *chat.Contact) int { return int(a.ID - b.ID) })
	slices.SortFunc(conversations, func(a, b *chat.Conversation) int { return int(a.ID - b.ID) })
	err = e.update(ctx, func(ctx context.Context, tx execer) error {
		there := map[int64]bool{}
		for _, c := range contacts {
			there[c.ID] = true
			r, err := contactRecord(c)
			if err == nil {
				err = e.wrote(r)(addIfChanged(ctx, tx, r))
			}
			if err != nil {
				return err
			}
		}
		for _, c := range conversations {
			r, err := conversationRecord(c)
			if err == nil {
				err = e.wrote(r)(addIfChanged(ctx, tx, r))
			}
			if err != nil {
				return err
			}
		}
		return e.gone(ctx, tx, there)
	})
	if err == nil {
		e.counting.Go(func() { e.count(ctx, conversations) })
	}
	return err
}

// newcomers reads conversations again when one has come meanwhile, whose messages are here
// already.
func (e *exporter) newcomers(ctx context.Context) error {
	var n int
	err := e.store.DB().QueryRowContext(ctx, `SELECT count(*) FROM heads WHERE chain > 0 AND NOT EXISTS (SELECT 1 FROM records WHERE kind IN ('conversation', 'contact', 'contact-gone') AND chain = heads.chain AND item = heads.chain)`).Scan(&n)
	if err != nil {
		return fileError{err}
	}
	if n == 0 {
		return nil
	}
	return e.people(ctx)
}

// gone writes which contacts of the archive are not there any more.
func (e *exporter) gone(ctx context.Context, tx execer, there map[int64]bool) error {
	stored, err := column[int64](ctx, tx, `SELECT item FROM records WHERE kind IN ('conversation', 'contact', 'contact-gone') AND chain = 0 GROUP BY item ORDER BY item`)
	if err != nil {
		return err
	}
	for _, id := range stored {
		if there[id] {
			continue
		}
		r := &Record{Kind: KindContactGone, Item: id}
		if err := e.wrote(r)(addIfChanged(ctx, tx, r)); err != nil {
			return err
		}
	}
	return nil
}

// wrote counts a record that was written.
func (e *exporter) wrote(r *Record) func(written bool, err error) error {
	return func(written bool, err error) error {
		if written {
			e.written.Add(1)
			e.size.Add(int64(len(r.Body) + len(r.Columns) + len(r.Readers) + len(r.Files)))
		}
		return err
	}
}

// countable is of how many conversations the messages are counted: each costs a request.
const countable = 100

// count finds out how many messages there are, for the time that is left. Nothing depends
// on it.
func (e *exporter) count(ctx context.Context, conversations []*chat.Conversation) {
	if len(conversations) > countable || e.Progress == nil {
		return
	}
	var had, all int64
	if e.store.DB().QueryRowContext(ctx, `SELECT count(*) FROM records WHERE first = 1`).Scan(&had) != nil {
		return
	}
	for _, c := range conversations {
		n := -1
		if _, err := c.Messages().Fetch(ctx, chat.Limit(1), chat.Total(&n)); err != nil || n < 0 {
			return
		}
		all += int64(n)
	}
	e.total.CompareAndSwap(0, max(1, all-had))
}

// messages writes what is new of messages.
func (e *exporter) messages(parent context.Context) error {
	e.phase(Messages)
	ctx, cancel := context.WithCancelCause(parent)
	defer cancel(nil)
	add := func(ctx context.Context, m *chat.Message) error {
		err := e.add(ctx, m)
		if err != nil && ctx.Err() == nil {
			cancel(fileError{err}) // another attempt would meet the same
		}
		return err
	}
	failed := func(err error) {
		var file fileError
		if errors.As(err, &file) || diskFull(err) || errors.Is(err, sqlstore.ErrMoved) || errors.Is(err, sqlstore.ErrReadOnly) || errors.Is(err, sqlstore.ErrCorrupt) {
			cancel(fileError{err})
		}
	}
	ended := make(chan error, 1)
	go func() {
		ended <- e.chat.Consume(ctx, consumer, add,
			chat.StartAt(chat.FromBeginning), chat.Batch(batch), chat.OnGap(func(g chat.Gap) { e.found = append(e.found, g) }), chat.OnError(failed))
	}()
	over := make(chan error, 1)
	go func() { over <- e.upToDate(ctx) }()
	var why error
	select {
	case why = <-ended:
		cancel(why)
		<-over
	case why = <-over:
		cancel(why)
		if stopped := <-ended; why == nil && !errors.Is(stopped, context.Canceled) {
			why = stopped
		}
	}
	if cause := context.Cause(ctx); why != nil && !errors.Is(cause, context.Canceled) {
		why = cause // what has ended it, rather than what that looked like
	}
	if err := e.gaps(context.WithoutCancel(parent)); why == nil {
		why = err
	}
	if why == nil && e.late {
		why = e.flush(parent)
	}
	return why
}

// add writes what is new of one message, in the transaction that moves the position.
func (e *exporter) add(ctx context.Context, m *chat.Message) error {
	e.handled.Add(1)
	e.tell()
	if m.IsReplay {
		return nil
	}
	if e.late {
		e.delayed = append(e.delayed, m)
		return nil
	}
	tx, err := sqlstore.Tx(ctx)
	if err != nil {
		return err
	}
	written, err := addMessage(ctx, tx, m)
	if written {
		e.written.Add(1)
		e.size.Add(int64(len(m.Body)) + 200)
	}
	return err
}

// flush writes what a test has held back.
func (e *exporter) flush(ctx context.Context) error {
	return e.update(ctx, func(ctx context.Context, tx execer) error {
		for _, m := range e.delayed {
			if _, err := addMessage(ctx, tx, m); err != nil {
				return err
			}
		}
		return nil
	})
}

// gaps writes what could not be read.
func (e *exporter) gaps(ctx context.Context) error {
	if len(e.found) == 0 {
		return nil
	}
	return e.update(ctx, func(ctx context.Context, tx execer) error {
		for _, g := range e.found {
			r := &Record{Kind: KindGap, Chain: g.ConversationID, Item: g.MessageID, At: stamp(g.Before), Note: g.String()}
			if err := appendRecord(ctx, tx, r); err != nil {
				return err
			}
		}
		e.found = nil
		return nil
	})
}

// phase begins a phase.
func (e *exporter) phase(p Phase) {
	e.now.Store(p)
	if p == Attachments {
		e.total.Store(0)
	}
	e.telling.Lock()
	e.told = time.Time{}
	e.telling.Unlock()
	e.tell()
}

// often is how often somebody is told of progress.
const often = 200 * time.Millisecond

func (e *exporter) tell() {
	if e.Progress == nil {
		return
	}
	e.telling.Lock()
	defer e.telling.Unlock()
	now := time.Now()
	if !e.eager && now.Sub(e.told) < often {
		return
	}
	e.told = now
	e.Progress(e.progress())
}

func (e *exporter) progress() Progress {
	p, _ := e.now.Load().(Phase)
	return Progress{
		Phase: p, Messages: e.handled.Load(), Files: e.files.Load(), Written: e.written.Load(), Bytes: e.size.Load(),
		Total: e.total.Load(), Missing: e.missing.Load(),
	}
}
