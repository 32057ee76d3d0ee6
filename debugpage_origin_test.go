package chat_test

import (
	"context"
	"encoding/json"
	"fmt"
	"net/http"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	chat "github.com/fliplet/fliplet-chat-go"
	"github.com/fliplet/fliplet-chat-go/datasource"
	"github.com/fliplet/fliplet-chat-go/fliplettest"
	"github.com/fliplet/fliplet-chat-go/storage"
)

// foul is every part of a program that a Chat calls. When it is told to, all of them fail
// with the same error.
type foul struct {
	storage.Store
	next http.RoundTripper
	mu   sync.Mutex
	err  map[string]error
}

func (f *foul) of(part string) error {
	f.mu.Lock()
	defer f.mu.Unlock()
	return f.err[part]
}

func (f *foul) set(part string, err error) {
	f.mu.Lock()
	defer f.mu.Unlock()
	f.err[part] = err
}

func (f *foul) Get(ctx context.Context, key string) ([]byte, error) {
	if err := f.of("Storage"); err != nil {
		return nil, err
	}
	return f.Store.Get(ctx, key)
}

func (f *foul) CompareAndSwap(ctx context.Context, key string, old, value []byte) (bool, error) {
	if err := f.of("Storage"); err != nil {
		return false, err
	}
	return f.Store.CompareAndSwap(ctx, key, old, value)
}

func (f *foul) RoundTrip(r *http.Request) (*http.Response, error) {
	if err := f.of("transport"); err != nil {
		return nil, err
	}
	return f.next.RoundTrip(r)
}

func (f *foul) Wait(context.Context) error  { return f.of("wait") }
func (f *foul) Delay() time.Duration        { return 0 }
func (f *foul) Load() (used, of, waits int) { return 0, 0, 0 }
func (f *foul) Err() error                  { return f.of("limiter") }

func TestOfErrorsOfTheProgramThePageHasTheTypeAloneWhateverTheyWrap(t *testing.T) {
	t.Parallel()
	const secret = "my PIN is CANARY"
	for name, wrapped := range map[string]func(*testing.T, *world) error{
		"an error that it made": func(*testing.T, *world) error {
			return &datasource.Error{StatusCode: 400, Type: "datasource.access", Message: secret}
		},
		"an answer of the server": func(t *testing.T, w *world) error {
			w.Next(1, fliplettest.AnyRoute, fliplettest.Answer(400, `{"message":"`+secret+`","type":"datasource.access"}`))
			_, err := w.Client().DataSource(t.Context(), 9)
			require.Error(t, err)
			return err
		},
		"an error of a call": func(t *testing.T, w *world) error {
			bob := w.login("bob")
			w.Next(1, fliplettest.AnyRoute, fliplettest.Answer(400, `{"message":"`+secret+`","type":"datasource.access"}`))
			_, err := bob.Conversations(t.Context())
			require.Error(t, err)
			return err
		},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			synctest.Test(t, func(t *testing.T) {
				w := newWorld(t, fliplettest.InProcess())
				own := fmt.Errorf("archive of %q: %w", secret, wrapped(t, w))
				f := &foul{Store: storage.NewMemory(), next: w.Transport(), err: map[string]error{}}
				client, err := datasource.NewClient(datasource.Config{
					Token: w.Token, BaseURL: w.URL, HTTPClient: &http.Client{Transport: f}, Limiter: f, Retry: datasource.RetryPolicy{MaxAttempts: 1},
				})
				require.NoError(t, err)
				jane := w.login("jane", func(o *chat.Options) {
					o.Client, o.Storage, o.Outbox, o.LivePollInterval, o.PollInterval = client, f, &chat.OutboxOptions{}, time.Second, time.Second
				})
				conv := w.converse(jane, "bob")
				ctx, cancel := context.WithCancel(t.Context())
				defer cancel()
				done := make(chan struct{})
				go func() {
					defer close(done)
					_ = jane.Consume(ctx, "archive", func(context.Context, *chat.Message) error { return own }, chat.OnError(func(error) {}))
				}()
				w.say(jane, conv, "x")
				look := func(part string, want ...string) { // for a minute
					t.Helper()
					seen := map[string]map[string]bool{}
					note := func(where, text string) {
						if seen[where] == nil {
							seen[where] = map[string]bool{}
						}
						seen[where][text] = text != ""
					}
					for range 60 {
						time.Sleep(time.Second)
						text := debugPage(t, jane, "application/json")
						assert.NotContains(t, text, "CANARY", part)
						assert.NotContains(t, debugPage(t, jane, "text/html"), "CANARY", part)
						var s struct {
							Errors    []struct{ Where, Text string }
							Consumers []struct{ Storage string }
						}
						require.NoError(t, json.Unmarshal([]byte(text), &s))
						for _, e := range s.Errors {
							note(e.Where, e.Text)
						}
						for _, c := range s.Consumers {
							note("storage", c.Storage)
						}
					}
					for _, at := range want {
						assert.True(t, seen[at]["*datasource.Error"], "%s: %v", part, seen)
					}
				}
				look("function", "consumer archive")
				f.set("limiter", own)
				look("limiter", "limiter")
				for _, part := range []string{"wait", "transport"} {
					f.set(part, own)
					look(part)
					f.set(part, nil)
					time.Sleep(3 * time.Minute)
				}
				f.set("transport", own)
				queue(t, jane, conv.ID, "a")
				time.Sleep(time.Second) // it is tried, and will be again
				f.set("Storage", own)
				look("Storage", "storage")
				f.set("Storage", nil)
				f.set("transport", nil)
				require.NoError(t, jane.Outbox().Flush(t.Context()))
				cancel()
				<-done
			})
		})
	}
}
