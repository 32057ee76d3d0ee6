package chat_test

import (
	"bufio"
	"bytes"
	"context"
	"encoding/json"
	"fmt"
	"io"
	"net/http"
	"os"
	"os/exec"
	"runtime"
	"slices"
	"strconv"
	"strings"
	"sync"
	"sync/atomic"
	"syscall"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	chat "github.com/fliplet/fliplet-chat-go"
	"github.com/fliplet/fliplet-chat-go/datasource"
	"github.com/fliplet/fliplet-chat-go/fliplettest"
)

// The benchmarks run the SDK and a bare loop of net/http and encoding/json in turn,
// against a local Fliplet in a process of its own, and report the medians of the
// ratios. Only ratios mean something on a machine that does other things.

const benchServerEnv = "CHAT_BENCH_SERVER"

// benchRows is how many messages a receive benchmark delivers.
const benchRows = 20_000

// benchWorld is what the server tells about itself.
type benchWorld struct {
	URL, Token   string
	Contacts     int64
	Conversation int64
	UserToken    string
}

// runBenchServer serves a chat until its standard input ends. A number on a line
// makes it store that many messages more.
func runBenchServer() {
	s, err := fliplettest.Start()
	if err != nil {
		panic(err)
	}
	defer s.Close()
	w := benchWorld{URL: s.URL, Token: s.Token, UserToken: "token-bob"}
	var rows []datasource.M
	for _, name := range people {
		rows = append(rows, datasource.M{"Email": name + "@example.org", "flUserId": "u-" + name, "flUserToken": "token-" + name})
	}
	w.Contacts, _ = s.AddContacts(rows...)
	w.Conversation = s.AddDataSource(datasource.M{
		"name": "bench", "type": "conversation", "appId": s.AppID,
		"definition": datasource.M{"participants": []string{"u-jane", "u-bob"}, "encryptionKey": "0123456789abcdef0123456789abcdef"},
	})
	answer := json.NewEncoder(os.Stdout)
	_ = answer.Encode(w)
	sent := 0
	for in := bufio.NewScanner(os.Stdin); in.Scan(); {
		n, _ := strconv.Atoi(in.Text())
		for ; n > 0; n -= 200 {
			s.ShiftClock(time.Second) // a history did not come at once
			batch := make([]datasource.M, min(n, 200))
			for i := range batch {
				sent++
				from := fmt.Sprintf("5f2b6c0e9d7a4c1b8e3f0a1d2c4b6e%02d", sent%7)
				batch[i] = datasource.M{
					"body":       "V2FsdGVkX1" + strings.Repeat(fmt.Sprintf("%04x+/Zq", sent%65536), 15) + "=",
					"fromUserId": from, "readBy": []string{from, "u-bob"}, "conversationId": w.Conversation,
					"guid": fmt.Sprintf("0b8f3f7e-6f0a-4d63-9d5e-%012d", sent), "sentTime": "2026-02-01T08:00:00.000Z",
				}
			}
			s.AddRows(w.Conversation, batch...)
		}
		s.ShiftClock(10 * time.Second)
		_ = answer.Encode(sent)
	}
}

// benchServer is the handle on the server's process.
type benchServer struct {
	benchWorld
	in  io.Writer
	out *json.Decoder
}

func startBenchServer(b *testing.B) *benchServer {
	b.Helper()
	cmd := exec.Command(os.Args[0])
	cmd.Env = append(os.Environ(), benchServerEnv+"=1")
	in, err := cmd.StdinPipe()
	require.NoError(b, err)
	out, err := cmd.StdoutPipe()
	require.NoError(b, err)
	require.NoError(b, cmd.Start())
	b.Cleanup(func() {
		_ = in.Close()
		_ = cmd.Wait()
	})
	s := &benchServer{in: in, out: json.NewDecoder(out)}
	require.NoError(b, s.out.Decode(&s.benchWorld))
	return s
}

// add stores messages.
func (s *benchServer) add(b *testing.B, n int) {
	_, err := fmt.Fprintln(s.in, n)
	require.NoError(b, err)
	var total int
	require.NoError(b, s.out.Decode(&total))
}

func (s *benchServer) connect(b *testing.B, change ...func(*chat.Options)) *chat.Chat {
	client, err := datasource.NewClient(datasource.Config{Token: s.Token, BaseURL: s.URL, Limiter: datasource.Unlimited()})
	require.NoError(b, err)
	o := chat.Options{
		Client: client, DataSourceID: s.Contacts, AppID: 1,
		LivePollInterval: time.Hour, PollInterval: time.Hour, MaxPollInterval: time.Hour,
	}
	for _, c := range change {
		c(&o)
	}
	c, err := chat.Connect(context.Background(), o)
	require.NoError(b, err)
	_, err = c.Login(context.Background(), chat.M{"flUserToken": s.UserToken})
	require.NoError(b, err)
	return c
}

// used is what one run cost this process.
type used struct {
	cpu, wall time.Duration
	allocs    uint64
}

func measure(run func()) used {
	processor := func() time.Duration {
		var u syscall.Rusage
		_ = syscall.Getrusage(syscall.RUSAGE_SELF, &u)
		return time.Duration(u.Utime.Nano() + u.Stime.Nano())
	}
	runtime.GC()
	var before, after runtime.MemStats
	runtime.ReadMemStats(&before)
	c, t := processor(), time.Now()
	run()
	u := used{cpu: processor() - c, wall: time.Since(t)}
	runtime.ReadMemStats(&after)
	u.allocs = after.Mallocs - before.Mallocs
	return u
}

// compare runs both in turn and reports the medians of their ratios.
func compare(b *testing.B, per int, sdk, floor func()) {
	b.Helper()
	sdk()
	floor()
	var cpus, walls []float64
	var mine, theirs used
	for b.Loop() {
		theirs, mine = measure(floor), measure(sdk)
		cpus = append(cpus, float64(mine.cpu)/float64(max(theirs.cpu, 1)))
		walls = append(walls, float64(mine.wall)/float64(max(theirs.wall, 1)))
	}
	slices.Sort(cpus)
	slices.Sort(walls)
	b.ReportMetric(cpus[len(cpus)/2], "cpu-x-floor")
	b.ReportMetric(walls[len(walls)/2], "wall-x-floor")
	b.ReportMetric(float64(mine.cpu.Nanoseconds())/float64(per), "cpu-ns/each")
	b.ReportMetric(float64(mine.allocs)/float64(per), "allocs/each")
	b.ReportMetric(float64(theirs.allocs)/float64(per), "floor-allocs/each")
}

// floorRow is a message in typed structs, as a hand-made loop would read it.
type floorRow struct {
	ID           int64  `json:"id"`
	DataSourceID int64  `json:"dataSourceId"`
	Order        *int64 `json:"order"`
	Data         struct {
		Body           string   `json:"body"`
		FromUserID     string   `json:"fromUserId"`
		ReadBy         []string `json:"readBy"`
		ConversationID int64    `json:"conversationId"`
		GUID           string   `json:"guid"`
		SentTime       string   `json:"sentTime"`
	} `json:"data"`
	CreatedAt time.Time  `json:"createdAt"`
	UpdatedAt time.Time  `json:"updatedAt"`
	DeletedAt *time.Time `json:"deletedAt"`
}

// floorClient is the least that net/http and encoding/json can do.
type floorClient struct {
	http *http.Client
	s    *benchServer
	buf  bytes.Buffer
	page struct {
		Entries []floorRow `json:"entries"`
	}
}

func newFloor(s *benchServer) *floorClient {
	return &floorClient{s: s, http: &http.Client{Transport: &http.Transport{MaxIdleConnsPerHost: 64}}}
}

func (f *floorClient) do(method, path string, body, into any) {
	raw, err := json.Marshal(body)
	if err != nil {
		panic(err)
	}
	req, err := http.NewRequest(method, f.s.URL+path, bytes.NewReader(raw))
	if err != nil {
		panic(err)
	}
	req.Header.Set("Auth-token", f.s.Token)
	req.Header.Set("Content-Type", "application/json")
	resp, err := f.http.Do(req)
	if err != nil {
		panic(err)
	}
	defer resp.Body.Close()
	f.buf.Reset()
	if _, err := f.buf.ReadFrom(resp.Body); err != nil || resp.StatusCode >= 300 {
		panic(fmt.Sprint(resp.StatusCode, err))
	}
	if err := json.Unmarshal(f.buf.Bytes(), into); err != nil {
		panic(err)
	}
}

// receive pages through everything and hands it to fn.
func (f *floorClient) receive(fn func(*floorRow)) {
	where := map[string]any{}
	for {
		clear(f.page.Entries) // who gets a message may keep it
		f.page.Entries = f.page.Entries[:0]
		f.do(http.MethodPost, "/v1/data-sources/data", map[string]any{
			"flUserToken": f.s.UserToken, "where": where, "limit": 200,
			"order": [][2]string{{"createdAt", "ASC"}, {"id", "ASC"}},
		}, &f.page)
		for i := range f.page.Entries {
			fn(&f.page.Entries[i])
		}
		if len(f.page.Entries) < 200 {
			return
		}
		last := f.page.Entries[len(f.page.Entries)-1]
		t := last.CreatedAt.UTC().Format("2006-01-02T15:04:05.000Z")
		where = map[string]any{"$or": []any{
			map[string]any{"createdAt": map[string]any{"$gt": t}},
			map[string]any{"createdAt": t, "id": map[string]any{"$gt": last.ID}},
		}}
	}
}

// BenchmarkReceive delivers a backlog: rows to listener, decoded, de-duplicated, in
// order.
func BenchmarkReceive(b *testing.B) {
	s := startBenchServer(b)
	s.add(b, benchRows)
	f := newFloor(s)
	defer f.http.CloseIdleConnections()
	c := s.connect(b)
	defer c.Close()
	compare(b, benchRows, func() {
		n, last := 0, int64(0)
		for m, err := range c.Events(context.Background(), chat.StartAt(chat.FromBeginning)) {
			if err != nil || m.ID <= last {
				require.FailNow(b, "out of order", "%v %v", m, err)
			}
			last = m.ID
			if n++; n == benchRows {
				break
			}
		}
	}, func() {
		n := 0
		f.receive(func(*floorRow) { n++ })
		require.Equal(b, benchRows, n)
	})
}

// BenchmarkEmptyPoll polls a quiet chat. With no wait between polls the stream makes some of
// its own, so the floor makes as many requests as the chat has made, while it rests.
func BenchmarkEmptyPoll(b *testing.B) {
	const polls = 200
	s := startBenchServer(b)
	s.add(b, 200)
	s.add(b, 1) // ten seconds later: a quiet chat
	f := newFloor(s)
	defer f.http.CloseIdleConnections()
	tap := &counting{next: f.http.Transport}
	client, err := datasource.NewClient(datasource.Config{
		Token: s.Token, BaseURL: s.URL, Limiter: datasource.Unlimited(), HTTPClient: &http.Client{Transport: tap},
	})
	require.NoError(b, err)
	c := s.connect(b, func(o *chat.Options) { o.Client, o.LivePollInterval = client, time.Nanosecond })
	defer c.Close()
	requests := int64(0)
	where := map[string]any{"updatedAt": map[string]any{"$gt": "2100-01-01T00:00:00.000Z"}}
	compare(b, polls, func() {
		before := tap.n.Load()
		stream, err := c.Stream(context.Background(), func(*chat.Message) {}, chat.StartAt(chat.FromNow))
		require.NoError(b, err)
		for range polls {
			require.NoError(b, c.Poll(context.Background()))
		}
		stream.Stop()
		<-stream.Done()
		requests = tap.n.Load() - before
	}, func() {
		for range requests {
			f.do(http.MethodPost, "/v1/data-sources/data", map[string]any{
				"flUserToken": s.UserToken, "where": where, "limit": 200, "includeDeleted": true,
				"order": [][2]string{{"updatedAt", "ASC"}, {"id", "ASC"}},
			}, &f.page)
		}
	})
	b.ReportMetric(float64(requests)/polls, "requests/each")
}

// BenchmarkSend sends messages one after another, and 32 at once.
func BenchmarkSend(b *testing.B) {
	const sends, text = 320, "a text of about the usual length, sent by a backend"
	for _, at := range []int{1, 32} {
		b.Run(fmt.Sprintf("%d at once", at), func(b *testing.B) {
			s := startBenchServer(b)
			c := s.connect(b)
			defer c.Close()
			floors := make([]*floorClient, at)
			for i := range floors {
				floors[i] = newFloor(s)
				floors[i].http = floors[0].http
			}
			defer floors[0].http.CloseIdleConnections()
			var n atomic.Int64
			each := func(send func(worker int)) func() {
				return func() {
					var wg sync.WaitGroup
					for w := range at {
						wg.Go(func() {
							for range sends / at {
								send(w)
							}
						})
					}
					wg.Wait()
				}
			}
			compare(b, sends, each(func(int) {
				_, err := c.Message(context.Background(), s.Conversation, chat.Draft{Body: text})
				require.NoError(b, err)
			}), each(func(w int) {
				var row floorRow
				floors[w].do(http.MethodPut, fmt.Sprintf("/v1/data-sources/%d/data?flUserToken=%s", s.Conversation, s.UserToken), map[string]any{
					"body": text, "fromUserId": "u-bob", "readBy": []string{"u-bob"}, "conversationId": s.Conversation,
					"guid": fmt.Sprintf("0b8f3f7e-6f0a-4d63-9d5e-%012d", n.Add(1)), "file": []string{},
				}, &row)
			}))
		})
	}
}

// inUse is the memory of heap and stacks at rest.
func inUse() uint64 {
	runtime.GC()
	runtime.GC()
	var m runtime.MemStats
	runtime.ReadMemStats(&m)
	return m.HeapAlloc + m.StackInuse
}
