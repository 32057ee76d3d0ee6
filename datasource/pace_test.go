package datasource_test

import (
	"context"
	"encoding/json"
	"io"
	"net"
	"net/http"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/fliplet/fliplet-chat-go/datasource"
)

// taking is a network that takes chunks of a body, one every pause, until it has most of them. Then it answers after a
// wait; negative: never.
type taking struct {
	chunk int
	pause time.Duration
	most  int // of bytes; 0: all
	wait  time.Duration
	took  int
}

func (n *taking) RoundTrip(r *http.Request) (*http.Response, error) {
	ctx := r.Context()
	rest := func(d time.Duration) bool {
		select {
		case <-time.After(d):
			return true
		case <-ctx.Done():
			return false
		}
	}
	part := make([]byte, n.chunk)
	for r.Body != nil && n.chunk > 0 {
		if n.most > 0 && n.took >= n.most {
			<-ctx.Done()
			return nil, ctx.Err()
		}
		read, err := io.ReadFull(r.Body, part)
		n.took += read
		if !rest(n.pause) {
			return nil, ctx.Err()
		}
		if err != nil || r.ContentLength > 0 && int64(n.took) >= r.ContentLength { // net/http does not ask beyond it
			break
		}
	}
	if n.wait < 0 || n.chunk == 0 {
		<-ctx.Done()
		return nil, ctx.Err()
	}
	if !rest(n.wait) {
		return nil, ctx.Err()
	}
	return respond(r, 200, `{"id":1,"data":{}}`), nil
}

var writes = map[string]func(context.Context, *datasource.Client) error{
	"insert": func(ctx context.Context, c *datasource.Client) error {
		_, err := c.Insert(ctx, 1, datasource.M{"a": strings.Repeat("a", 100<<10)})
		return err
	},
	"upload": func(ctx context.Context, c *datasource.Client) error {
		_, err := c.InsertEntry(ctx, 1, datasource.Write{Files: []datasource.Part{{Field: "file", Filename: "a.txt", Content: make([]byte, 100<<10)}}})
		return err
	},
	"upload of a Reader": func(ctx context.Context, c *datasource.Client) error {
		_, err := c.InsertEntry(ctx, 1, datasource.Write{Files: []datasource.Part{{Field: "file", Filename: "a.txt", Reader: strings.NewReader(strings.Repeat("a", 100<<10))}}})
		return err
	},
	"append": func(ctx context.Context, c *datasource.Client) error {
		_, err := c.Append(ctx, 1, []datasource.M{{"a": strings.Repeat("a", 100<<10)}})
		return err
	},
	"call": func(ctx context.Context, c *datasource.Client) error {
		return c.Call(ctx, http.MethodPost, "v1/x", nil, json.RawMessage(`"`+strings.Repeat("a", 100<<10)+`"`), nil)
	},
	"delete": func(ctx context.Context, c *datasource.Client) error { return c.Delete(ctx, 1, 2) },
}

func TestAWriteThatHangsEndsAndIsDoubtful(t *testing.T) {
	t.Parallel()
	for name, write := range writes {
		long := 31 * time.Second // and a second for 64 KiB
		if name == "append" || name == "call" {
			long = 10 * time.Minute
		}
		for where, is := range map[string]struct {
			network taking
			takes   time.Duration
		}{
			"nothing is taken":    {taking{}, 30 * time.Second},
			"half of it is taken": {taking{chunk: 10 << 10, most: 50 << 10, pause: 20 * time.Second}, 5*20*time.Second + 30*time.Second - 20*time.Second},
			"no answer":           {taking{chunk: 200 << 10, wait: -1}, long},
		} {
			if name == "delete" { // it has no body
				if is.network.most > 0 {
					continue
				}
				is.takes = 30 * time.Second
			}
			t.Run(name+" "+where, func(t *testing.T) {
				t.Parallel()
				synctest.Test(t, func(t *testing.T) {
					c, err := datasource.NewClient(datasource.Config{Token: token, HTTPClient: &http.Client{Transport: &is.network}})
					require.NoError(t, err)
					began := time.Now()
					err = write(t.Context(), c)
					require.ErrorIs(t, err, datasource.ErrNoAnswer)
					assert.True(t, datasource.Doubtful(err))
					assert.InDelta(t, is.takes.Seconds(), time.Since(began).Seconds(), 1, err)
				})
			})
		}
	}
}

func TestAWriteThatGetsOnIsNotCut(t *testing.T) {
	t.Parallel()
	for name, write := range writes {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			synctest.Test(t, func(t *testing.T) {
				n := &taking{chunk: 1 << 10, pause: 20 * time.Second, wait: 9 * time.Second} // half an hour
				c, err := datasource.NewClient(datasource.Config{Token: token, HTTPClient: &http.Client{Transport: n}})
				require.NoError(t, err)
				require.NoError(t, write(t.Context(), c))
			})
		})
	}
}

// slowReader takes an hour for each part of a file.
type slowReader struct{ io.Reader }

func (r slowReader) Read(p []byte) (int, error) {
	time.Sleep(time.Hour)
	return r.Reader.Read(p[:min(len(p), 1<<10)])
}

func TestTheTimeOfACallersReaderDoesNotCount(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		c, err := datasource.NewClient(datasource.Config{Token: token, HTTPClient: &http.Client{Transport: &taking{chunk: 4 << 10}}})
		require.NoError(t, err)
		file := datasource.Part{Field: "file", Filename: "a.txt", Reader: slowReader{strings.NewReader(strings.Repeat("a", 10<<10))}}
		_, err = c.InsertEntry(t.Context(), 1, datasource.Write{Files: []datasource.Part{file}})
		require.NoError(t, err)
	})
}

func TestAWriteThatNeverHadAConnectionIsTriedAgainAndNotDoubtful(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		over := make(chan struct{})
		defer synctest.Wait()
		defer close(over)
		transport := &http.Transport{DialContext: func(context.Context, string, string) (net.Conn, error) {
			<-over // net/http goes on dialling for whoever comes next
			return nil, io.ErrUnexpectedEOF
		}}
		c, err := datasource.NewClient(datasource.Config{Token: token, HTTPClient: &http.Client{Transport: transport}})
		require.NoError(t, err)
		began := time.Now()
		_, err = c.Insert(t.Context(), 1, datasource.M{"a": 1})
		require.ErrorIs(t, err, datasource.ErrNoAnswer)
		assert.False(t, datasource.Doubtful(err))
		assert.InDelta(t, 2*30, time.Since(began).Seconds(), 1)
	})
}
