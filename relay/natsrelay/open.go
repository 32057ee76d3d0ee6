package natsrelay

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"regexp"
	"slices"
	"strings"
	"time"

	"github.com/nats-io/nats.go"
	"github.com/nats-io/nats.go/jetstream"

	"github.com/fliplet/fliplet-chat-go/relay"
)

// ErrUnavailable: the server did not answer in time, or there is no connection to it. The next
// call may work; nothing has to be opened again.
var ErrUnavailable = errors.New("natsrelay: no answer from NATS")

const (
	// version is that of a position's headers.
	version = 1
	// least is the smallest max_msg_size that a stream may have.
	least       = 64 << 10
	maxReplicas = 5
	maxAge      = 10 * 365 * 24 * time.Hour
)

// Option changes how [Open] works.
type Option func(*config) error

type config struct {
	replicas int
	maxAge   time.Duration
	timeout  time.Duration
	memory   bool
	unsafe   bool // tests show what happens without the fence
}

// Replicas is on how many servers of a cluster the stream is, if Open makes it: 1 to 5.
// Default 1. A stream that exists keeps its own number.
func Replicas(n int) Option {
	return func(c *config) error {
		if n < 1 || n > maxReplicas {
			return fmt.Errorf("Replicas: %d; give a number from 1 to %d, usually 3", n, maxReplicas)
		}
		c.replicas = n
		return nil
	}
}

// MaxAge is after what time events expire, if Open makes the stream, from 1 s to 10 years.
// Default: never. Positions never do.
func MaxAge(d time.Duration) Option {
	return func(c *config) error {
		if d < time.Second || d > maxAge {
			return fmt.Errorf("MaxAge: %v; give a time from 1s to %v, or leave it out", d, maxAge)
		}
		c.maxAge = d
		return nil
	}
}

// Timeout is how long one call waits for the server, reconnecting and a change of the stream's
// leader included, if its context does not end first. Default 4 s. From 100 ms to 1 min.
func Timeout(d time.Duration) Option {
	return func(c *config) error {
		if d < 100*time.Millisecond || d > time.Minute {
			return fmt.Errorf("Timeout: %v; give a time from 100ms to 1m", d)
		}
		c.timeout = d
		return nil
	}
}

// InMemory allows a stream that is kept in the memory of the servers, and makes it so if there is
// none. It is for tests: a restart of all servers loses every event.
func InMemory() Option {
	return func(c *config) error { c.memory = true; return nil }
}

// Relay is a shard of a stream. It is safe for concurrent use. It starts nothing, and there is
// nothing to close but the connection, which is its owner's.
type Relay struct {
	js      jetstream.JetStream
	api     string // the prefix of requests to JetStream
	stream  string
	subject string // of the position
	maxMsg  int    // of the stream, -1 for none
	timeout time.Duration
	unsafe  bool
}

var _ relay.Relay = (*Relay)(nil)

var (
	streamName = regexp.MustCompile(`^[a-zA-Z0-9_-]{1,200}$`)
	subjects   = []string{"chat.msg.>", "chat.pos.>"}
)

// Open opens a shard of a stream, and makes the stream if there is none. One stream takes many
// shards, each for one consumer: of one user, say. An account has one such stream.
//
// Errors: a bad argument or option, which names it; [relay.ErrSettings]; [ErrUnavailable]; what the
// server said; the context's cause.
func Open(ctx context.Context, js jetstream.JetStream, stream, shard string, opts ...Option) (_ *Relay, err error) {
	defer wrap("open", &err)
	cfg := config{replicas: 1, timeout: 4 * time.Second}
	for _, o := range opts {
		if o == nil {
			continue
		}
		if err := o(&cfg); err != nil {
			return nil, err
		}
	}
	switch {
	case js == nil:
		return nil, errors.New("js is nil; give what jetstream.New returns")
	case !streamName.MatchString(stream):
		return nil, fmt.Errorf("stream: %.40q; give 1 to 200 letters, digits, dashes and underscores", stream)
	case !streamName.MatchString(shard):
		return nil, fmt.Errorf("shard: %.40q; give 1 to 200 letters, digits, dashes and underscores", shard)
	}
	r := &Relay{js: js, api: apiPrefix(js.Options()), stream: stream, subject: "chat.pos." + shard, timeout: cfg.timeout, unsafe: cfg.unsafe}
	c, end, err := r.begin(ctx)
	if err != nil {
		return nil, err
	}
	defer end()
	var have jetstream.StreamConfig
	if err := c.try(func(ctx context.Context) (err error) { have, err = r.settings(ctx, cfg); return err }); err != nil {
		switch {
		case ctx.Err() != nil:
			return nil, context.Cause(ctx)
		case errors.Is(err, nats.ErrNoResponders):
			return nil, fmt.Errorf("%w: JetStream is not enabled there, or not for this account, or has no leader now: %w", ErrUnavailable, err)
		case !answered(err):
			return nil, fmt.Errorf("%w: %w", ErrUnavailable, err)
		}
		return nil, err
	}
	r.maxMsg = int(have.MaxMsgSize)
	return r, check(have, cfg)
}

func apiPrefix(o jetstream.JetStreamOptions) string {
	if o.Domain != "" {
		return "$JS." + o.Domain + ".API."
	}
	return strings.TrimSuffix(cmp.Or(o.APIPrefix, "$JS.API"), ".") + "."
}

// settings returns those of the stream, which it makes if there is none.
func (r *Relay) settings(ctx context.Context, cfg config) (jetstream.StreamConfig, error) {
	stream, err := r.js.Stream(ctx, r.stream)
	if errors.Is(err, jetstream.ErrStreamNotFound) {
		want := jetstream.StreamConfig{
			Name: r.stream, Subjects: subjects, Description: "messages of chats, and up to where they are here",
			MaxMsgsPerSubject: -1, MaxMsgs: -1, MaxBytes: -1, MaxConsumers: -1, MaxMsgSize: -1, MaxAge: cfg.maxAge,
			Discard: jetstream.DiscardNew, AllowRollup: true, AllowMsgTTL: true, AllowAtomicPublish: true, Replicas: cfg.replicas,
		}
		if cfg.memory {
			want.Storage = jetstream.MemoryStorage
		}
		if stream, err = r.js.CreateStream(ctx, want); errors.Is(err, jetstream.ErrStreamNameAlreadyInUse) {
			stream, err = r.js.Stream(ctx, r.stream) // somebody else was faster
		}
	}
	if err != nil {
		return jetstream.StreamConfig{}, err
	}
	return stream.CachedInfo().Config, nil
}

// check refuses settings with which events or positions would be lost, or stored in part.
func check(have jetstream.StreamConfig, cfg config) error {
	bad := func(format string, args ...any) error {
		return fmt.Errorf("stream %s: %w: %s", have.Name, relay.ErrSettings, fmt.Sprintf(format, args...))
	}
	switch {
	case !slices.Contains(have.Subjects, subjects[0]) || !slices.Contains(have.Subjects, subjects[1]):
		return bad("its subjects are %.200q; they have to include %q", have.Subjects, subjects)
	case !have.AllowAtomicPublish:
		return bad("allow_atomic is not set; set it, which needs nats-server 2.12 or later")
	case !have.AllowMsgTTL:
		return bad("allow_msg_ttl is not set, so positions would expire; set it")
	case !have.AllowRollup || have.DenyPurge:
		return bad("allow_rollup_hdrs is not set, or deny_purge is, so no position replaces another; set the first, unset the second")
	case have.MaxMsgsPerSubject > 0:
		return bad("max_msgs_per_subject is %d, so events are dropped; set it to -1", have.MaxMsgsPerSubject)
	case have.Discard != jetstream.DiscardNew && (have.MaxBytes > 0 || have.MaxMsgs > 0):
		return bad("discard is %v with max_bytes or max_msgs, so the oldest events and positions are dropped; set discard to new", have.Discard)
	case have.MaxMsgSize > 0 && have.MaxMsgSize < least:
		return bad("max_msg_size is %d; set it to -1 (the server's max_payload) or at least %d", have.MaxMsgSize, least)
	case have.Retention != jetstream.LimitsPolicy:
		return bad("retention is %v, which removes positions; make it with limits", have.Retention)
	case have.Storage != jetstream.FileStorage && !cfg.memory:
		return bad("storage is memory, which a restart empties; make it with file storage, or give InMemory() in a test")
	case have.Mirror != nil || len(have.Sources) > 0:
		return bad("it is a mirror or has sources; give the stream that it copies")
	case have.NoAck:
		return bad("no_ack is set, so no batch is answered; unset it")
	case have.Sealed:
		return bad("it is sealed; give another stream")
	case have.SubjectTransform != nil:
		return bad("it has a subject transform, which hides positions; remove it")
	case have.PersistMode != jetstream.DefaultPersistMode:
		return bad("persist_mode is async, so answers come before anything is written; make it with the default")
	}
	return nil
}

// wrap adds the operation, once.
func wrap(op string, err *error) {
	if *err != nil {
		*err = fmt.Errorf("natsrelay: %s: %w", op, *err)
	}
}
