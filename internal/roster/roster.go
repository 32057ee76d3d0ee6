package roster

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"sync"
	"time"

	"github.com/fliplet/fliplet-chat-go/internal/wait"
	"github.com/fliplet/fliplet-chat-go/internal/wire"
)

// ErrNoConversation is in the chain of an error of Config.Read for a data source that is
// something else. It is remembered for good, since the type of a data source stays.
var ErrNoConversation = errors.New("not a conversation")

// Config is what a [Roster] needs; all of it is required.
type Config struct {
	UserID string
	// All: the user is taken to be in every conversation.
	All   bool
	Known *Known
	Reader
	// NotFound is in the chain of Read's error for what is no conversation, and of
	// what Check says about a conversation that the user is not in.
	NotFound error
	// Certain reports whether an error of Read with NotFound in its chain is beyond doubt. What
	// is not counts only when it has been said several times in a row. nil: all are.
	Certain func(err error) bool
	Log     *slog.Logger
}

// Reader reads one conversation, and the list of the user's. It puts what it reads into Known.
type Reader interface {
	Read(ctx context.Context, id int64) (wire.Definition, error)
	List(ctx context.Context) error
	// Class tells callers apart of whom the one must not wait for a reading of the other.
	Class(ctx context.Context) uint8
}

// Roster says of which conversations one user is a member. It is safe for concurrent
// use.
type Roster struct {
	cfg Config

	mu       sync.Mutex
	denied   map[int64]denial
	readings map[subject]*reading // those under way
	joins    joins
}

// subject is a conversation, and the class of those who ask.
type subject struct {
	id    int64
	class uint8
}

// reading is of one conversation, for all who want it meanwhile.
type reading struct {
	wait.Shared
	callers int
}

// denial is why the rows of a conversation are not shown.
type denial struct {
	err   error
	at    time.Time
	wait  time.Duration // doubles while rows keep coming
	final bool
	times int // in a row that there was nothing, in words that are not certain; 0 if they are
}

// New returns a Roster. It makes no request.
func New(cfg Config) *Roster { return new(Roster).Init(cfg) }

// Init is New for a zero Roster that is a part of something else.
func (r *Roster) Init(cfg Config) *Roster {
	r.cfg = cfg
	return r
}

// Check reports whether the user is a member of all these conversations. It makes a
// request for one that is not known, once for all of a class who ask meanwhile. Its error
// names the first that is none, or none of the user's, and then matches Config.NotFound;
// any other error says nothing about them.
func (r *Roster) Check(ctx context.Context, ids ...int64) error {
	unknown, err := r.unknown(ids, false)
	if err != nil || len(unknown) == 0 {
		return err
	}
	if len(unknown) > 1 {
		if err := r.cfg.List(ctx); err != nil {
			return err
		}
		if unknown, err = r.unknown(unknown, false); err != nil {
			return err
		}
	}
	for _, id := range unknown {
		if err := r.readOnce(ctx, id); err != nil {
			return err
		}
	}
	return nil
}

// readOnce is read, unless that is under way, or has ended meanwhile.
func (r *Roster) readOnce(ctx context.Context, id int64) error {
	of := subject{id, r.cfg.Class(ctx)}
	r.mu.Lock()
	one := r.readings[of]
	if one == nil {
		if one = new(reading); r.readings == nil {
			r.readings = map[subject]*reading{}
		}
		r.readings[of] = one
	}
	one.callers++
	r.mu.Unlock()
	defer func() {
		r.mu.Lock()
		defer r.mu.Unlock()
		if one.callers--; one.callers == 0 {
			delete(r.readings, of)
		}
	}()
	return one.Do(ctx, func() (bool, error) {
		unknown, err := r.unknown([]int64{id}, false)
		return len(unknown) == 0, err
	}, func(ctx context.Context) error { return r.read(ctx, id) })
}

// unknown returns those of the ids that have to be read. fromRows: they come from rows,
// not from a caller. Otherwise err says why the user is not a member of one.
func (r *Roster) unknown(ids []int64, fromRows bool) (unknown []int64, err error) {
	now := time.Now()
	for _, id := range ids {
		e, read := r.cfg.Known.get(id)
		if read && (e.shows(r.cfg.UserID) || r.cfg.All && !e.unlisted) {
			continue
		}
		d, ok := r.denial(id)
		switch {
		case ok && (d.final || now.Before(d.at.Add(d.patience(fromRows)))):
			err = d.err
		case read && !r.cfg.All && !e.has(r.cfg.UserID) && now.Before(e.read.Add(rest)):
			err = r.notMember(id)
		default:
			unknown = append(unknown, id)
			continue
		}
		if !fromRows {
			return nil, err
		}
	}
	return unknown, nil
}

// patience is how long a denial is believed. Callers get a fresh answer sooner.
func (d denial) patience(fromRows bool) time.Duration {
	if fromRows {
		return d.wait
	}
	return min(d.wait, rest)
}

func (r *Roster) denial(id int64) (denial, bool) {
	r.mu.Lock()
	defer r.mu.Unlock()
	d, ok := r.denied[id]
	return d, ok
}

func (r *Roster) notMember(id int64) error { return notMember(id, r.cfg.NotFound) }

func notMember(id int64, notFound error) error {
	return fmt.Errorf("conversation %d: the user is not a member: %w", id, notFound)
}

// read reads one conversation. It remembers when the user is not in it.
func (r *Roster) read(ctx context.Context, id int64) error {
	_, err := r.cfg.Read(ctx, id)
	if err == nil {
		if e, ok := r.cfg.Known.get(id); ok && !r.cfg.All && !e.has(r.cfg.UserID) {
			err = r.notMember(id)
		}
	}
	if err == nil {
		r.mu.Lock()
		defer r.mu.Unlock()
		delete(r.denied, id)
		return nil
	}
	if errors.Is(err, r.cfg.NotFound) {
		r.deny(id, err)
	}
	return err
}

// deny remembers that a conversation is not the user's, as far as is known.
func (r *Roster) deny(id int64, err error) {
	r.mu.Lock()
	defer r.mu.Unlock()
	if len(r.denied) >= maxDenied {
		clear(r.denied)
	}
	wait := rest
	if before, ok := r.denied[id]; ok {
		wait = min(2*before.wait, longestRest)
	}
	times := 0
	if errors.Is(err, r.cfg.NotFound) && r.cfg.Certain != nil && !r.cfg.Certain(err) {
		times = r.denied[id].times + 1
	}
	if r.denied == nil {
		r.denied = map[int64]denial{}
	}
	r.denied[id] = denial{err: err, at: time.Now(), wait: wait, final: errors.Is(err, ErrNoConversation), times: times}
}

// ConfirmNone makes sure of an empty list of conversations, which something on the way may
// have answered with: it reads one that the user was in, if one is known. A user who leaves
// all conversations and is in all of them again would get their history again.
func (r *Roster) ConfirmNone(ctx context.Context) error {
	id, known := r.cfg.Known.Of(r.cfg.UserID)
	if !known {
		return nil
	}
	if _, err := r.cfg.Read(ctx, id); err != nil && !errors.Is(err, r.cfg.NotFound) {
		return err
	} else if e, ok := r.cfg.Known.get(id); err == nil && ok && e.has(r.cfg.UserID) {
		return fmt.Errorf("an empty list of conversations, although the user is in conversation %d", id)
	}
	return nil
}

// Gone reports whether the user is not in a conversation that a list lacks. It costs a request
// unless that is known. What fails says nothing, nor does a first answer that is not certain.
func (r *Roster) Gone(ctx context.Context, id int64) bool {
	return errors.Is(r.Check(ctx, id), r.cfg.NotFound) && !r.Unsure(id)
}

// Unsure reports whether it is not known if a conversation is the user's, since it could not
// be read, or what was said of it is not certain yet.
func (r *Roster) Unsure(id int64) bool {
	d, denied := r.denial(id)
	return denied && (!errors.Is(d.err, r.cfg.NotFound) || 0 < d.times && d.times < confirmations)
}

// Unanswered is why a conversation could not be read when that was tried lately; nil if it
// could, or does not exist.
func (r *Roster) Unanswered(id int64) error {
	d, denied := r.denial(id)
	if !denied || errors.Is(d.err, r.cfg.NotFound) {
		return nil
	}
	return d.err
}

// Foreign returns those of some conversations whose rows must not be shown. One that is
// not known costs a request, several cost one for the list and at most a few more.
//
// It fails only if the list cannot be read or ctx ends: what is wrong with one
// conversation hides that one.
func (r *Roster) Foreign(ctx context.Context, ids []int64) (map[int64]bool, error) {
	unknown, err := r.unknown(ids, true)
	if err != nil {
		return nil, err
	}
	if len(unknown) > 1 {
		if err := r.cfg.List(ctx); err != nil {
			return nil, err
		}
		if unknown, err = r.unknown(unknown, true); err != nil {
			return nil, err
		}
	}
	for i, id := range unknown {
		if i >= maxReads {
			r.deny(id, r.notMember(id))
			continue
		}
		if err := r.read(ctx, id); err != nil {
			if ctx.Err() != nil {
				return nil, context.Cause(ctx)
			}
			if !errors.Is(err, r.cfg.NotFound) {
				r.deny(id, err)
			}
			r.cfg.Log.Warn("rows of a conversation that the user is not in were left out", "conversation", id, "error", err)
		}
	}
	var foreign map[int64]bool
	for _, id := range ids {
		if e, ok := r.cfg.Known.get(id); ok && e.shows(r.cfg.UserID) {
			continue
		}
		if foreign == nil {
			foreign = map[int64]bool{}
		}
		foreign[id] = true
	}
	return foreign, nil
}
