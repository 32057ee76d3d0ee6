package natsstore

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"regexp"
	"strings"
	"time"

	"github.com/nats-io/nats.go"
	"github.com/nats-io/nats.go/jetstream"
)

const (
	// version of the names and headers that this package writes.
	version = "1"
	// versionKey is where a bucket says it.
	versionKey = "fliplet-chat-store"
	// marker is how long a deleted key keeps its revision, so that a write that was sent before
	// and arrives late does not bring the key back.
	marker = time.Hour
	// room is what a chat needs for one value.
	room = 1 << 20
	// maxReplicas is what a server allows.
	maxReplicas = 5
)

// Option changes how [Open] works.
type Option func(*config) error

type config struct {
	replicas int
	timeout  time.Duration
	memory   bool
}

// Replicas is on how many servers of a cluster the values are, if Open makes the bucket:
// 1 to 5. Default 1. A bucket that exists keeps its own number.
func Replicas(n int) Option {
	return func(c *config) error {
		if n < 1 || n > maxReplicas {
			return fmt.Errorf("Replicas: %d; give a number from 1 to %d, usually 3", n, maxReplicas)
		}
		c.replicas = n
		return nil
	}
}

// Timeout is how long one call waits for the server, reconnecting and a change of the stream's
// leader included, if its context does not end first. Default 4 s, which is less than a chat
// gives a Store. From 100 ms to 1 min.
func Timeout(d time.Duration) Option {
	return func(c *config) error {
		if d < 100*time.Millisecond || d > time.Minute {
			return fmt.Errorf("Timeout: %v; give a time from 100ms to 1m", d)
		}
		c.timeout = d
		return nil
	}
}

// InMemory allows a bucket that is kept in the memory of the servers, and makes it so if there
// is none. It is for tests: a restart of all servers loses every value.
func InMemory() Option {
	return func(c *config) error { c.memory = true; return nil }
}

// Store is a bucket as a [storage.Store] and a [storage.Lister]. It is safe for concurrent use.
// It starts nothing, and there is nothing to close but the connection, which is its owner's.
//
// [storage.Store]: https://pkg.go.dev/github.com/fliplet/fliplet-chat-go/storage#Store
// [storage.Lister]: https://pkg.go.dev/github.com/fliplet/fliplet-chat-go/storage#Lister
type Store struct {
	js      jetstream.JetStream
	api     string // the prefix of requests to JetStream
	stream  string
	prefix  string // of the subjects of keys
	ttl     bool   // messages may expire
	timeout time.Duration
}

var bucketName = regexp.MustCompile(`^[a-zA-Z0-9_-]{1,200}$`)

// Open opens a bucket, and makes it if there is none. It asks the server once or twice, and
// does not wait longer than the [Timeout] for it to come up. A connection with
// nats.MaxReconnects(-1) finds the server again after an outage of any length.
//
// Errors: a bad argument or option, which names it; [ErrSettings]; [ErrUnavailable]; what the
// server said; the context's cause.
func Open(ctx context.Context, js jetstream.JetStream, bucket string, opts ...Option) (_ *Store, err error) {
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
	case !bucketName.MatchString(bucket):
		return nil, fmt.Errorf("bucket: %.40q; give 1 to 200 letters, digits, dashes and underscores", bucket)
	}
	s := &Store{js: js, api: apiPrefix(js.Options()), stream: "KV_" + bucket, prefix: "$KV." + bucket + ".", timeout: cfg.timeout}
	within, cancel := context.WithTimeout(ctx, cfg.timeout)
	defer cancel()
	c := &call{store: s, parent: ctx, ctx: within}
	var have jetstream.StreamConfig
	err = c.try(func(ctx context.Context) (err error) { have, err = s.settings(ctx, cfg); return err })
	if err != nil {
		if cause := cause(ctx); cause != nil {
			return nil, cause
		}
		if errors.Is(err, nats.ErrNoResponders) {
			return nil, fmt.Errorf("%w: JetStream is not enabled there, or not for this account, or has no leader now: %w", ErrUnavailable, err)
		}
		if !answered(err) {
			return nil, fmt.Errorf("%w: %w", ErrUnavailable, err)
		}
		return nil, err
	}
	s.ttl = have.AllowMsgTTL
	return s, check(have, s.prefix, cfg)
}

func apiPrefix(o jetstream.JetStreamOptions) string {
	if o.Domain != "" {
		return "$JS." + o.Domain + ".API."
	}
	return strings.TrimSuffix(cmp.Or(o.APIPrefix, "$JS.API"), ".") + "."
}

// settings returns those of the bucket, which it makes if there is none.
func (s *Store) settings(ctx context.Context, cfg config) (jetstream.StreamConfig, error) {
	stream, err := s.js.Stream(ctx, s.stream)
	if errors.Is(err, jetstream.ErrStreamNotFound) {
		want := jetstream.StreamConfig{
			Name: s.stream, Subjects: []string{s.prefix + ">"}, Description: "storage of a chat",
			MaxMsgsPerSubject: 1, MaxMsgs: -1, MaxBytes: -1, MaxConsumers: -1, MaxMsgSize: -1,
			Discard: jetstream.DiscardNew, AllowRollup: true, DenyDelete: true,
			AllowMsgTTL: true, Duplicates: 2 * time.Minute, SubjectDeleteMarkerTTL: marker,
			Replicas: cfg.replicas, Metadata: map[string]string{versionKey: version},
		}
		if cfg.memory {
			want.Storage = jetstream.MemoryStorage
		}
		if stream, err = s.js.CreateStream(ctx, want); errors.Is(err, jetstream.ErrStreamNameAlreadyInUse) {
			stream, err = s.js.Stream(ctx, s.stream) // somebody else was faster
		}
	}
	if err != nil {
		return jetstream.StreamConfig{}, err
	}
	return stream.CachedInfo().Config, nil
}

// check refuses settings with which a Store would lose values.
func check(have jetstream.StreamConfig, prefix string, cfg config) error {
	bad := func(format string, args ...any) error {
		return fmt.Errorf("bucket %s: %w: %s", strings.TrimPrefix(have.Name, "KV_"), ErrSettings, fmt.Sprintf(format, args...))
	}
	v := have.Metadata[versionKey]
	switch {
	case v != "" && v != version:
		return bad("it says version %.20q, this package reads %s; use the newer version of this package", v, version)
	case have.MaxMsgsPerSubject != 1:
		return bad("history is %d, so replaced values stay; set it to 1", have.MaxMsgsPerSubject)
	case have.MaxAge != 0:
		return bad("ttl is %v, after which values vanish; set it to 0 (none)", have.MaxAge)
	case have.MaxMsgSize > 0 && have.MaxMsgSize < room:
		return bad("max value size is %d bytes; set it to -1 (the server's max_payload) or at least %d", have.MaxMsgSize, room)
	case have.Storage != jetstream.FileStorage && !cfg.memory:
		return bad("storage is memory, which a restart empties; make it with file storage, or give InMemory() in a test")
	case have.Discard != jetstream.DiscardNew && (have.MaxBytes > 0 || have.MaxMsgs > 0):
		return bad("discard is %v, so a full bucket drops its oldest values; set it to new", have.Discard)
	case have.Retention != jetstream.LimitsPolicy:
		return bad("retention is %v; make it with limits", have.Retention)
	case have.Mirror != nil || len(have.Sources) > 0:
		return bad("it is a mirror or has sources; give the bucket that it copies")
	case have.Sealed:
		return bad("it is sealed; give another bucket")
	case have.NoAck:
		return bad("no_ack is set, so no write is answered; unset it")
	case have.Duplicates < time.Minute:
		return bad("its duplicate window is %v, too short to settle lost answers; set it to 2m", have.Duplicates)
	case have.SubjectTransform != nil:
		return bad("it has a subject transform, which changes keys; remove it")
	case !have.AllowRollup:
		return bad("allow_rollup_hdrs is not set, so nothing can be deleted; set it")
	case len(have.Subjects) != 1 || have.Subjects[0] != prefix+">":
		return bad("its subjects are not %s>; make it with \"nats kv add\" or let Open make it", prefix)
	}
	return nil
}
