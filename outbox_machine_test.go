package chat_test

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"io"
	"net/http"
	"strings"
	"sync/atomic"

	"github.com/stretchr/testify/require"

	chat "github.com/fliplet/fliplet-chat-go"
	"github.com/fliplet/fliplet-chat-go/datasource"
	"github.com/fliplet/fliplet-chat-go/storage"
)

var errPower = errors.New("the machine has no power")

// machine is a computer that can lose power: whatever a Chat on it does to the
// disk or the network from then on has no effect, as if its process were gone.
type machine struct {
	disk    storage.Store
	network http.RoundTripper
	// cutAt is the operation at which the power goes, before, after, or, for a
	// request, long before it arrives.
	cutAt int64
	how   cut
	ops   atomic.Int64
	dead  atomic.Bool
	late  func(func()) // runs what is still on the wire
	blind bool         // look-ups find nothing
	off   func()       // tells whoever waits that the power is gone
}

type cut int

const (
	before cut = iota
	after
	onTheWire
	cuts
)

// run does one operation, unless the power is gone or goes.
func (m *machine) run(do func(), send bool) error {
	n := m.ops.Add(1)
	switch {
	case m.dead.Load():
		return errPower
	case n != m.cutAt:
		do()
		if m.dead.Load() {
			return errPower
		}
		return nil
	}
	m.dead.Store(true)
	if m.off != nil {
		defer m.off()
	}
	switch {
	case m.how == after:
		do()
	case m.how == onTheWire && send && m.late != nil:
		m.late(do)
	}
	return errPower
}

func (m *machine) Get(ctx context.Context, key string) (v []byte, err error) {
	if off := m.run(func() { v, err = m.disk.Get(ctx, key) }, false); off != nil {
		return nil, off
	}
	return v, err
}

func (m *machine) Set(ctx context.Context, key string, value []byte) (err error) {
	if off := m.run(func() { err = m.disk.Set(ctx, key, value) }, false); off != nil {
		return off
	}
	return err
}

func (m *machine) Delete(ctx context.Context, key string) (err error) {
	if off := m.run(func() { err = m.disk.Delete(ctx, key) }, false); off != nil {
		return off
	}
	return err
}

func (m *machine) CompareAndSwap(ctx context.Context, key string, old, new []byte) (ok bool, err error) {
	if off := m.run(func() { ok, err = m.disk.CompareAndSwap(ctx, key, old, new) }, false); off != nil {
		return false, off
	}
	return ok, err
}

func (m *machine) RoundTrip(r *http.Request) (*http.Response, error) {
	r = r.WithContext(context.WithoutCancel(r.Context())) // the wire knows no cancelling
	if m.blind && isLookUp(r) {
		return &http.Response{
			StatusCode: http.StatusOK, Header: http.Header{"Content-Type": {"application/json"}}, Request: r,
			Body: io.NopCloser(strings.NewReader(`{"entries":[]}`)),
		}, nil
	}
	var res *http.Response
	var err error
	if off := m.run(func() { res, err = m.network.RoundTrip(r) }, true); off != nil {
		return nil, off
	}
	return res, err
}

// isLookUp tells the request that asks for a row by its guid.
func isLookUp(r *http.Request) bool {
	if r.Body == nil || r.Method != http.MethodPost {
		return false
	}
	body, err := io.ReadAll(r.Body)
	r.Body = io.NopCloser(bytes.NewReader(body))
	var q struct {
		Where map[string]any `json:"where"`
	}
	return err == nil && json.Unmarshal(body, &q) == nil && q.Where["guid"] != nil
}

// boot returns a Chat that runs on the machine.
func (m *machine) boot(w *world, change ...func(*chat.Options)) *chat.Chat {
	client, err := datasource.NewClient(datasource.Config{
		Token: w.Token, BaseURL: w.URL, HTTPClient: &http.Client{Transport: m}, Limiter: datasource.Unlimited(),
		Retry: datasource.RetryPolicy{MaxAttempts: 1},
	})
	require.NoError(w.t, err)
	opts := chat.Options{
		Client: client, DataSourceID: w.contacts, AppID: w.AppID, PrimaryKey: "Email", Storage: m,
		Outbox: &chat.OutboxOptions{},
	}
	for _, c := range change {
		c(&opts)
	}
	c, err := chat.Connect(context.Background(), opts)
	require.NoError(w.t, err)
	return c
}

// guids are those of a conversation's rows, in the order in which they were stored.
func guids(w *world, conversationID int64) []string {
	out := []string{}
	for _, r := range w.Rows(conversationID) {
		out = append(out, r.Data["guid"].(string))
	}
	return out
}
