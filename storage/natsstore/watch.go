package natsstore

import (
	"context"
	"time"

	"github.com/nats-io/nats.go/jetstream"

	"github.com/fliplet/fliplet-chat-go/storage"
)

var _ storage.Watcher = (*Store)(nil)

// Watch tells of changes of a key, each about as fast as a message travels. It takes one consumer
// of the server, and one goroutine, until ctx ends.
//
// Errors: a key that is too long; the context's cause.
func (s *Store) Watch(ctx context.Context, key string) (_ <-chan struct{}, err error) {
	defer wrap("watch", &err)
	if err := checkKey(key); err != nil {
		return nil, err
	}
	if err := cause(ctx); err != nil {
		return nil, err
	}
	told := make(chan struct{}, 1)
	go func() {
		for {
			s.watch(ctx, s.prefix+encode(key), told)
			t := time.NewTimer(pause)
			select {
			case <-t.C:
			case <-ctx.Done():
				t.Stop()
				return
			}
		}
	}()
	return told, nil
}

// watch tells until something fails.
func (s *Store) watch(ctx context.Context, subject string, told chan<- struct{}) {
	tell := func() {
		select {
		case told <- struct{}{}:
		default:
		}
	}
	part, cancel := context.WithTimeout(ctx, s.timeout)
	defer cancel()
	epoch := s.js.Conn().Stats().Reconnects
	cfg := jetstream.ConsumerConfig{
		DeliverPolicy: jetstream.DeliverNewPolicy, AckPolicy: jetstream.AckNonePolicy, HeadersOnly: true,
		MemoryStorage: true, Replicas: 1, InactiveThreshold: time.Minute, FilterSubjects: []string{subject},
	}
	c := &call{store: s, parent: ctx, ctx: part}
	var consumer jetstream.Consumer
	err := c.try(func(ctx context.Context) (err error) {
		consumer, err = s.js.CreateConsumer(ctx, s.stream, cfg)
		return err
	})
	if err != nil {
		return
	}
	defer func() {
		part, cancel := context.WithTimeout(context.WithoutCancel(ctx), time.Second)
		defer cancel()
		_ = s.js.DeleteConsumer(part, s.stream, consumer.CachedInfo().Name) // or it ends by itself
	}()
	messages, err := consumer.Messages(jetstream.PullHeartbeat(5 * time.Second))
	if err != nil {
		return
	}
	defer messages.Stop()
	for tell(); ; tell() {
		if _, err := s.next(ctx, messages, epoch); err != nil {
			return
		}
	}
}
