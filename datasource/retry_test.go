package datasource_test

import (
	"context"
	"crypto/tls"
	"errors"
	"io"
	"net"
	"net/http"
	"net/http/httptest"
	"net/http/httptrace"
	"sync/atomic"
	"syscall"
	"testing"
	"testing/synctest"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/fliplet/fliplet-chat-go/datasource"
)

// failures are what can go wrong, with how often a read and a write are attempted, and whether the write is in doubt.
var failures = []struct {
	name        string
	rt          roundTrip
	read, write int
	doubtful    bool
}{
	{"400", status(400), 1, 1, false},
	{"401", status(401), 1, 1, false},
	{"403", status(403), 1, 1, false},
	{"404", status(404), 1, 1, false},
	{"422", status(422), 1, 1, false},
	{"429", status(429), 4, 4, false},
	{"500", status(500), 1, 1, true},
	{"501", status(501), 1, 1, true},
	{"502", status(502), 4, 1, true},
	{"503", status(503), 4, 1, true},
	{"504", status(504), 4, 1, true},
	{"505", status(505), 1, 1, true},
	{"511", status(511), 1, 1, true},
	{"520", status(520), 1, 1, true},
	{"521", status(521), 1, 1, true},
	{"304", status(304), 1, 1, false},
	{"connection refused", func(r *http.Request) (*http.Response, error) {
		return nil, &net.OpError{Op: "dial", Net: "tcp", Err: syscall.ECONNREFUSED}
	}, 4, 4, false},
	{"no such host", func(r *http.Request) (*http.Response, error) {
		return nil, &net.DNSError{Err: "no such host", Name: "api.fliplet.com", IsNotFound: true}
	}, 4, 4, false},
	{"no connection, by the trace", func(r *http.Request) (*http.Response, error) {
		traced(r, func(tr *httptrace.ClientTrace) { tr.GetConn("api.fliplet.com:443") })
		return nil, errors.New("proxy says no")
	}, 4, 4, false},
	{"reset after the request was written", func(r *http.Request) (*http.Response, error) {
		traced(r, func(tr *httptrace.ClientTrace) { tr.GetConn("api.fliplet.com:443"); tr.WroteHeaders() })
		return nil, &net.OpError{Op: "read", Net: "tcp", Err: syscall.ECONNRESET}
	}, 4, 1, true},
	{"dial error after the request was written once", func(r *http.Request) (*http.Response, error) {
		traced(r, func(tr *httptrace.ClientTrace) { tr.GetConn("api.fliplet.com:443"); tr.WroteHeaders() })
		return nil, &net.OpError{Op: "dial", Net: "tcp", Err: syscall.ECONNREFUSED}
	}, 4, 1, true},
	{"reset, nobody knows when", func(*http.Request) (*http.Response, error) {
		return nil, &net.OpError{Op: "read", Net: "tcp", Err: syscall.ECONNRESET}
	}, 4, 1, true},
	{"timeout of the transport", func(*http.Request) (*http.Response, error) { return nil, context.DeadlineExceeded }, 4, 1, true},
	{"body breaks off", func(r *http.Request) (*http.Response, error) {
		resp := respond(r, 200, ``)
		resp.Body, resp.ContentLength = io.NopCloser(broken{}), 100
		return resp, nil
	}, 4, 1, true},
	{"untrusted certificate", func(r *http.Request) (*http.Response, error) {
		traced(r, func(tr *httptrace.ClientTrace) { tr.GetConn("api.fliplet.com:443") })
		return nil, &tls.CertificateVerificationError{Err: errors.New("unknown authority")}
	}, 1, 1, false},
}

func status(code int) roundTrip {
	return func(r *http.Request) (*http.Response, error) { return respond(r, code, ``), nil }
}

// traced reports to the trace of r's context as net/http would, if there is one.
func traced(r *http.Request, report func(*httptrace.ClientTrace)) {
	tr := httptrace.ContextClientTrace(r.Context())
	if tr == nil {
		return
	}
	if tr.GetConn != nil && tr.WroteHeaders != nil {
		report(tr)
	}
}

type broken struct{}

func (broken) Read([]byte) (int, error) { return 0, io.ErrUnexpectedEOF }

func TestReadsAreRepeatedAndWritesOnlyWhenTheyCannotHaveBeenApplied(t *testing.T) {
	t.Parallel()
	for _, f := range failures {
		for _, op := range operations {
			t.Run(f.name+"/"+op.name, func(t *testing.T) {
				t.Parallel()
				synctest.Test(t, func(t *testing.T) {
					attempts := 0
					c := through(t, func(r *http.Request) (*http.Response, error) {
						attempts++
						if r.Body != nil {
							_, _ = io.Copy(io.Discard, r.Body)
						}
						return f.rt(r)
					})
					err := op.run(t.Context(), c)
					require.Error(t, err)
					want := f.read
					if !op.read {
						want = f.write
					}
					assert.Equal(t, want, attempts)
					assert.Equal(t, f.doubtful && !op.read, datasource.Doubtful(err), "%v", err)
					if f.doubtful && !op.read {
						assert.ErrorContains(t, err, "may have been applied")
					}
				})
			})
		}
	}
}

func TestARepeatedCallSendsTheSameRequestAndSucceeds(t *testing.T) {
	t.Parallel()
	for _, op := range operations {
		server := serve(t, answer(429, `{}`), answer(429, ``), answer(200, `{"id":1,"name":"n","data":{}}`))
		_ = op.run(t.Context(), server.client(t))
		seen := server.seen()
		require.Len(t, seen, 3, op.name)
		for _, again := range seen[1:] {
			assert.Equal(t, seen[0].line, again.line, op.name)
			assert.Equal(t, seen[0].body, again.body, op.name)
			assert.Equal(t, seen[0].header, again.header, op.name)
		}
	}
}

func TestMaxAttemptsBoundsTheRepetition(t *testing.T) {
	t.Parallel()
	for configured, want := range map[int]int{0: 4, 1: 1, 2: 2, 7: 7} {
		server := serve(t, answer(503, ``))
		_, err := server.client(t, func(cfg *datasource.Config) { cfg.Retry.MaxAttempts = configured }).Find(t.Context(), 1, datasource.Query{})
		require.Error(t, err)
		assert.Len(t, server.seen(), want)
	}
}

// attemptTimes runs a Find against answers and returns when each attempt came.
func attemptTimes(t *testing.T, ctx context.Context, answers ...roundTrip) (at []time.Duration, err error) {
	began := time.Now()
	c := through(t, func(r *http.Request) (*http.Response, error) {
		at = append(at, time.Since(began))
		return answers[min(len(at), len(answers))-1](r)
	})
	_, err = c.Find(ctx, 1, datasource.Query{})
	return at, err
}

func TestWaitsDoubleWithJitter(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		seen := map[time.Duration]bool{}
		for range 50 {
			at, err := attemptTimes(t, t.Context(), status(502))
			require.Error(t, err)
			require.Len(t, at, 4)
			for i, most := range []time.Duration{250 * time.Millisecond, 500 * time.Millisecond, time.Second} {
				wait := at[i+1] - at[i]
				assert.LessOrEqual(t, wait, most)
				assert.GreaterOrEqual(t, wait, most/2)
				seen[wait] = true
			}
		}
		assert.Greater(t, len(seen), 100, "waits are spread")
	})
	p := datasource.RetryPolicy{BaseDelay: time.Second, MaxDelay: 5 * time.Second, MaxWait: time.Minute}
	for _, attempt := range []int{4, 10, 100, 1 << 30} {
		assert.LessOrEqual(t, datasource.WaitTime(p, attempt, 0), 5*time.Second)
		assert.GreaterOrEqual(t, datasource.WaitTime(p, attempt, 0), 2500*time.Millisecond)
	}
}

func TestANamedWaitIsHonouredByTheServersClock(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		for _, skew := range []time.Duration{0, 10 * time.Minute, -10 * time.Minute} {
			refusal := func(r *http.Request) (*http.Response, error) {
				now := time.Now().Add(skew).UTC().Truncate(time.Second)
				return respond(r, 429, `{"nextValidRequestDate":"`+now.Add(7*time.Second).Format("2006-01-02T15:04:05.000Z")+`"}`,
					"Date", now.Format(http.TimeFormat)), nil
			}
			at, err := attemptTimes(t, t.Context(), refusal, func(r *http.Request) (*http.Response, error) { return respond(r, 200, `{"entries":[]}`), nil })
			require.NoError(t, err)
			require.Len(t, at, 2)
			assert.GreaterOrEqual(t, at[1], 7*time.Second, "skew %s", skew)
			assert.LessOrEqual(t, at[1], 7700*time.Millisecond, "skew %s", skew)
		}
	})
}

func TestANamedWaitIsCappedAtAMinute(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		refusal := func(r *http.Request) (*http.Response, error) { return respond(r, 503, ``, "Retry-After", "86400"), nil }
		at, err := attemptTimes(t, t.Context(), refusal)
		require.Error(t, err)
		assert.Equal(t, []time.Duration{0, time.Minute, 2 * time.Minute, 3 * time.Minute}, at)
	})
}

func TestAWaitBeyondTheDeadlineIsNotBegun(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		began := time.Now()
		ctx, cancel := context.WithTimeout(t.Context(), 5*time.Second)
		defer cancel()
		at, err := attemptTimes(t, ctx, func(r *http.Request) (*http.Response, error) { return respond(r, 429, ``, "Retry-After", "6"), nil })
		require.ErrorIs(t, err, datasource.ErrRateLimited)
		assert.Len(t, at, 1)
		assert.Zero(t, time.Since(began))
	})
}

func TestCancellingEndsAWaitAndKeepsBothReasons(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		reason := errors.New("closing")
		ctx, cancel := context.WithCancelCause(t.Context())
		time.AfterFunc(2*time.Second, func() { cancel(reason) })
		began := time.Now()
		_, err := attemptTimes(t, ctx, func(r *http.Request) (*http.Response, error) { return respond(r, 429, ``, "Retry-After", "30"), nil })
		assert.Equal(t, 2*time.Second, time.Since(began))
		for _, target := range []error{context.Canceled, reason, datasource.ErrRateLimited} {
			require.ErrorIs(t, err, target)
		}
	})
}

func TestAnEndedContextIsFoundInTheErrorWithItsCause(t *testing.T) {
	t.Parallel()
	reason := errors.New("closing")
	for _, op := range operations {
		t.Run(op.name, func(t *testing.T) {
			t.Parallel()
			synctest.Test(t, func(t *testing.T) {
				c := through(t, func(r *http.Request) (*http.Response, error) {
					traced(r, func(tr *httptrace.ClientTrace) { tr.GetConn(""); tr.WroteHeaders() })
					<-r.Context().Done()
					return nil, context.Cause(r.Context())
				})
				ctx, cancel := context.WithCancelCause(t.Context())
				time.AfterFunc(time.Second, func() { cancel(reason) })
				err := op.run(ctx, c)
				require.ErrorIs(t, err, context.Canceled)
				require.ErrorIs(t, err, reason)
				assert.Equal(t, !op.read, datasource.Doubtful(err))

				err = op.run(ctx, c) // ended before it began
				require.ErrorIs(t, err, context.Canceled)
				assert.False(t, datasource.Doubtful(err))

				deadline, cancel2 := context.WithTimeout(t.Context(), time.Second)
				defer cancel2()
				require.ErrorIs(t, op.run(deadline, c), context.DeadlineExceeded)
			})
		})
	}
}

func TestOverSocketsADeadServerIsKnownToHaveSeenNothing(t *testing.T) {
	t.Parallel()
	server := httptest.NewServer(http.NotFoundHandler())
	server.Close()
	c := (&recorder{Server: server}).client(t)
	_, err := c.Insert(t.Context(), 1, M{})
	require.Error(t, err)
	assert.False(t, datasource.Doubtful(err), "%v", err)
}

func TestOverSocketsALostAnswerIsDoubtfulAndTheWriteIsSentOnce(t *testing.T) {
	t.Parallel()
	var arrived atomic.Int32
	hangUp := func(w http.ResponseWriter, _ *http.Request) {
		arrived.Add(1)
		conn, _, err := w.(http.Hijacker).Hijack()
		if err == nil {
			_ = conn.Close()
		}
	}
	server := serve(t, answer(200, `{"id":1}`), hangUp)
	c := server.client(t)
	_, err := c.Insert(t.Context(), 1, M{"a": 1}) // the next one finds a warm connection, which net/http itself likes to retry
	require.NoError(t, err)
	for _, op := range operations {
		if op.read {
			continue
		}
		arrived.Store(0)
		err := op.run(t.Context(), c)
		require.Error(t, err, op.name)
		assert.True(t, datasource.Doubtful(err), "%s: %v", op.name, err)
		assert.Equal(t, int32(1), arrived.Load(), op.name)
	}
	arrived.Store(0)
	_, err = c.Find(t.Context(), 1, datasource.Query{})
	require.Error(t, err)
	assert.False(t, datasource.Doubtful(err))
	assert.GreaterOrEqual(t, arrived.Load(), int32(4))
}

// Whoever is asked for the reason is told 429, and not that the server cannot be reached.
func TestACallWhoseTimeEndsWhileA429HoldsItBackIsRateLimited(t *testing.T) {
	t.Parallel()
	const refuse, hang = "429", "hang"
	window := func() datasource.Limiter { return datasource.NewLimiter(200, 10*time.Second) }
	unlimited := func() datasource.Limiter { return datasource.Unlimited() }
	for name, tc := range map[string]struct {
		limiter func() datasource.Limiter
		answers []string // the last one repeats
		before  bool     // another call met the first answer, 10 s before
		within  time.Duration
		limited bool
	}{
		"it waits for the limiter":            {window, []string{refuse}, true, 30 * time.Second, true},
		"it waits before it is repeated":      {unlimited, []string{refuse}, false, 30 * time.Second, true},
		"its repetition has no answer":        {unlimited, []string{refuse, hang}, false, 65 * time.Second, true},
		"it asks whether that holds, in vain": {window, []string{refuse, hang}, true, 55 * time.Second, true},
		"the limiter is full without a 429":   {func() datasource.Limiter { return datasource.NewLimiter(1, time.Minute) }, []string{"ok"}, true, 30 * time.Second, false},
		"nothing was refused":                 {window, []string{hang}, false, 30 * time.Second, false},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			synctest.Test(t, func(t *testing.T) {
				asked := 0
				c, err := datasource.NewClient(datasource.Config{
					Token: token, BaseURL: "https://fliplet.test", Limiter: tc.limiter(),
					HTTPClient: &http.Client{Transport: roundTrip(func(r *http.Request) (*http.Response, error) {
						says := tc.answers[min(asked, len(tc.answers)-1)]
						asked++
						switch says {
						case refuse:
							return respond(r, 429, `{"message":"Try later","nextValidRequestDate":"2000-01-01T00:10:00.000Z"}`), nil
						case hang:
							<-r.Context().Done()
							return nil, r.Context().Err()
						}
						return respond(r, 200, `[]`), nil
					})},
				})
				require.NoError(t, err)
				call := func(within time.Duration) error {
					ctx, cancel := context.WithTimeout(t.Context(), within)
					defer cancel()
					_, err := c.Select(ctx, 1, datasource.Query{})
					return err
				}
				if tc.before {
					_ = call(10 * time.Second)
				}
				err = call(tc.within)
				require.Error(t, err)
				assert.Equal(t, tc.limited, errors.Is(err, datasource.ErrRateLimited), "%v", err)
			})
		})
	}
}
