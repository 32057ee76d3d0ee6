package natsstore

import (
	"context"
	"errors"
	"fmt"
	"iter"
	"slices"
	"strings"
	"time"

	"github.com/nats-io/nats.go"
	"github.com/nats-io/nats.go/jetstream"

	"github.com/fliplet/fliplet-chat-go/storage"
)

var (
	_ storage.Store  = (*Store)(nil)
	_ storage.Lister = (*Store)(nil)
)

// fence is where a listing notes that it has begun. It is the name of no key.
const fence = "_list"

// List yields the keys with a prefix, in ascending order. It keeps them in memory, and reads no
// values: some 200 bytes a key come from the server, of those whose parts before the last
// slash of the prefix are the same. A listing writes one small message.
//
// Errors: [ErrUnavailable], the context's cause.
func (s *Store) List(ctx context.Context, prefix string) iter.Seq2[string, error] {
	return func(yield func(string, error) bool) {
		keys, err := s.keys(ctx, prefix)
		for _, key := range keys {
			if err = cause(ctx); err != nil {
				break
			}
			if !yield(key, nil) {
				return
			}
		}
		if err != nil {
			wrap("list", &err)
			yield("", err)
		}
	}
}

func (s *Store) keys(ctx context.Context, prefix string) ([]string, error) {
	if err := cause(ctx); err != nil {
		return nil, err
	}
	c := &call{store: s, parent: ctx, ctx: ctx, subject: s.prefix + fence}
	for began := time.Now(); ; {
		keys, err := s.read(ctx, prefix)
		if err == nil || answered(err) && !lost(err) {
			return keys, err
		}
		if time.Since(began) > s.timeout {
			return nil, c.ended(err)
		}
		within, cancel := context.WithTimeout(ctx, s.timeout)
		c.ctx = within
		err = c.again(err)
		cancel()
		if err != nil {
			return nil, err
		}
	}
}

// lost reports whether the consumer of a listing is gone, as after a change of the leader.
func lost(err error) bool {
	return errors.Is(err, jetstream.ErrConsumerNotFound) || errors.Is(err, jetstream.ErrConsumerDeleted)
}

// read makes one listing. A consumer may sit on a replica that is behind, so the listing
// is over when it has brought what was written at its beginning: then it has brought all that
// came before, too.
func (s *Store) read(ctx context.Context, prefix string) ([]string, error) {
	part, cancel := context.WithTimeout(ctx, s.timeout)
	defer cancel()
	epoch := s.js.Conn().Stats().Reconnects
	if !s.js.Conn().IsConnected() {
		return nil, nats.ErrDisconnected
	}
	began := nats.NewMsg(s.prefix + fence)
	began.Header.Set(operation, purge) // no value, for other tools
	began.Header.Set(jetstream.MsgRollup, jetstream.MsgRollupSubject)
	if s.ttl {
		began.Header.Set(jetstream.MsgTTLHeader, marker.String())
	}
	c := &call{store: s, parent: ctx, ctx: part}
	var ack *jetstream.PubAck
	err := c.try(func(ctx context.Context) (err error) { ack, err = s.js.PublishMsg(ctx, began); return err })
	if err != nil {
		return nil, err
	}
	cfg := jetstream.ConsumerConfig{
		DeliverPolicy: jetstream.DeliverLastPerSubjectPolicy, AckPolicy: jetstream.AckNonePolicy, HeadersOnly: true,
		MemoryStorage: true, Replicas: 1, InactiveThreshold: time.Minute, FilterSubjects: []string{s.prefix + filter(prefix)},
	}
	if filter(prefix) != ">" {
		cfg.FilterSubjects = append(cfg.FilterSubjects, began.Subject)
	}
	var consumer jetstream.Consumer
	err = c.try(func(ctx context.Context) (err error) {
		consumer, err = s.js.CreateConsumer(ctx, s.stream, cfg)
		return err
	})
	if err != nil {
		return nil, err
	}
	defer func() {
		part, cancel := context.WithTimeout(context.WithoutCancel(ctx), time.Second)
		defer cancel()
		_ = s.js.DeleteConsumer(part, s.stream, consumer.CachedInfo().Name) // or it ends by itself
	}()
	messages, err := consumer.Messages(jetstream.PullMaxMessages(1000), jetstream.PullHeartbeat(time.Second))
	if err != nil {
		return nil, err
	}
	defer messages.Stop()
	found := map[string]struct{}{}
	for n := uint64(1); ; n++ {
		m, err := s.next(ctx, messages, epoch)
		if err != nil {
			return nil, err
		}
		meta, err := m.Metadata()
		if err != nil {
			return nil, err
		}
		if meta.Sequence.Consumer != n {
			return nil, fmt.Errorf("message %d of a listing is missing", n)
		}
		name := strings.TrimPrefix(m.Subject(), s.prefix)
		if name == fence {
			if meta.Sequence.Stream >= ack.Sequence {
				break
			}
			continue
		}
		key, ok := decode(name)
		switch {
		case !ok || !strings.HasPrefix(key, prefix): // somebody else's, or beside the prefix
		case deleted(m.Headers()):
			delete(found, key)
		default:
			found[key] = struct{}{}
		}
	}
	keys := make([]string, 0, len(found))
	for key := range found {
		keys = append(keys, key)
	}
	slices.Sort(keys)
	return keys, nil
}

// next waits for a message, but not for one that was lost with its connection. The consumer's
// heartbeat tells when the server has not got, or has forgotten, what was asked of it.
func (s *Store) next(ctx context.Context, messages jetstream.MessagesContext, epoch uint64) (jetstream.Msg, error) {
	ctx, cancel := context.WithCancel(ctx)
	defer cancel()
	type result struct {
		m   jetstream.Msg
		err error
	}
	done := make(chan result, 1)
	go func() {
		m, err := messages.Next(jetstream.NextContext(ctx))
		done <- result{m, err}
	}()
	look := time.NewTicker(pause)
	defer look.Stop()
	for {
		select {
		case r := <-done:
			return r.m, r.err
		case <-look.C:
			if !s.js.Conn().IsConnected() || s.js.Conn().Stats().Reconnects != epoch {
				cancel()
				if r := <-done; r.err == nil {
					return r.m, nil
				}
				return nil, errCut
			}
		}
	}
}
