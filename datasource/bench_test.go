package datasource_test

import (
	"bytes"
	"context"
	"encoding/json"
	"fmt"
	"io"
	"net"
	"net/http"
	"os"
	"os/exec"
	"runtime"
	"slices"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/fliplet/fliplet-chat-go/datasource"
)

// The benchmarks run this client and a bare loop of net/http and encoding/json in turn, against one server in a
// process of its own, and report the medians of the ratios: cpu-x-floor and wall-x-floor. Only ratios mean something
// on a machine that does other things.

const benchServer = "DATASOURCE_BENCH_SERVER"

// benchRow is a stored chat message, 531 bytes with its comma.
func benchRow(i int) string {
	at := time.Date(2026, 2, 1, 8, 0, 0, 0, time.UTC).Add(time.Duration(i) * 1234 * time.Millisecond).Format("2006-01-02T15:04:05.000Z")
	return fmt.Sprintf(`{"id":%d,"dataSourceId":777,"order":null,"data":{"body":"U2FsdGVkX1%s=","fromUserId":"5f2b6c0e9d7a4c1b8e3f0a1d2c4b6e%02d",`+
		`"readBy":["5f2b6c0e9d7a4c1b8e3f0a1d2c4b6e%02d","u-bob"],"conversationId":777,"guid":"0b8f3f7e-6f0a-4d63-9d5e-0d7a%08d","sentTime":"%s"},`+
		`"createdAt":"%s","updatedAt":"%s","deletedAt":null}`,
		413900000+i, strings.Repeat(fmt.Sprintf("%04x+/Zq", i), 15), i%7, i%7, i, at, at, at)
}

func benchPage(rows int) string {
	list := make([]string, rows)
	for i := range list {
		list[i] = benchRow(i)
	}
	return `{"entries":[` + strings.Join(list, ",") + `],"count":` + fmt.Sprint(rows) + `}`
}

// runBenchServer serves until its standard input ends.
func runBenchServer() {
	bodies := map[string]string{"/empty": benchPage(0), "/page": benchPage(200), "/row": benchRow(1)}
	var connections atomic.Int64
	server := &http.Server{
		ConnState: func(_ net.Conn, s http.ConnState) {
			if s == http.StateNew {
				connections.Add(1)
			}
		},
		Handler: http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
			_, _ = io.Copy(io.Discard, r.Body)
			w.Header().Set("Content-Type", "application/json")
			first, _, _ := strings.Cut(r.URL.Path[1:], "/")
			body, ok := bodies["/"+first]
			if !ok {
				body = fmt.Sprint(connections.Load())
			}
			w.Header().Set("Content-Length", fmt.Sprint(len(body)))
			_, _ = io.WriteString(w, body)
		}),
	}
	listener, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		os.Exit(1)
	}
	fmt.Println(listener.Addr())
	go func() {
		_, _ = io.Copy(io.Discard, os.Stdin)
		os.Exit(0)
	}()
	_ = server.Serve(listener)
}

// benchURL starts the server and returns its address.
func benchURL(b *testing.B) string {
	b.Helper()
	cmd := exec.Command(os.Args[0])
	cmd.Env = append(os.Environ(), benchServer+"=1")
	in, err := cmd.StdinPipe()
	require.NoError(b, err)
	out, err := cmd.StdoutPipe()
	require.NoError(b, err)
	require.NoError(b, cmd.Start())
	b.Cleanup(func() {
		_ = in.Close()
		_ = cmd.Wait()
	})
	line := make([]byte, 64)
	n, err := out.Read(line)
	require.NoError(b, err)
	return "http://" + strings.TrimSpace(string(line[:n]))
}

// connections asks the server how many there have been. It needs one itself.
func connections(b *testing.B, url string) (n int) {
	resp, err := (&http.Client{Transport: &http.Transport{DisableKeepAlives: true}}).Get(url + "/connections")
	require.NoError(b, err)
	defer resp.Body.Close()
	require.NoError(b, json.NewDecoder(resp.Body).Decode(&n))
	return n
}

// A floor is the least that net/http and encoding/json can do: pooled connections, reused buffers, typed structs.
type floor struct {
	http *http.Client
	url  string
}

type floorEntry struct {
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

type floorRow struct {
	Body           string   `json:"body"`
	ConversationID int64    `json:"conversationId"`
	FromUserID     string   `json:"fromUserId"`
	GUID           string   `json:"guid"`
	ReadBy         []string `json:"readBy"`
}

func (f *floor) do(method, path string, in, out any, buf *bytes.Buffer) error {
	body, ok := in.([]byte)
	if !ok {
		var err error
		if body, err = json.Marshal(in); err != nil {
			return err
		}
	}
	req, err := http.NewRequestWithContext(context.Background(), method, f.url+path, bytes.NewReader(body))
	if err != nil {
		return err
	}
	req.Header.Set("Auth-token", token)
	req.Header.Set("Content-Type", "application/json")
	resp, err := f.http.Do(req)
	if err != nil {
		return err
	}
	defer resp.Body.Close()
	buf.Reset()
	if resp.ContentLength > 0 {
		buf.Grow(int(resp.ContentLength) + bytes.MinRead)
	}
	if _, err := buf.ReadFrom(resp.Body); err != nil {
		return err
	}
	return json.Unmarshal(buf.Bytes(), out)
}

// bench sets both up. The client sees the server's answer at prefix.
func bench(b *testing.B, prefix string) (*floor, *datasource.Client, string) {
	b.Helper()
	url := benchURL(b)
	transport := &http.Transport{MaxIdleConnsPerHost: 64}
	b.Cleanup(transport.CloseIdleConnections)
	c, err := datasource.NewClient(datasource.Config{Token: token, BaseURL: url + prefix, Limiter: datasource.Unlimited()})
	require.NoError(b, err)
	b.Cleanup(c.CloseIdle)
	return &floor{&http.Client{Transport: transport}, url + prefix}, c, url
}

// compare runs blocks of floor and ours in turn and reports the medians of ours divided by the floor.
func compare(b *testing.B, block int, floor, ours func()) {
	b.Helper()
	run := func(f func()) (cpu, wall float64, allocs uint64) {
		var before, after runtime.MemStats
		runtime.GC()
		runtime.ReadMemStats(&before)
		startCPU, start := cpuTime(), time.Now()
		for range block {
			f()
		}
		cpu, wall = (cpuTime() - startCPU).Seconds(), time.Since(start).Seconds()
		runtime.ReadMemStats(&after)
		return cpu, wall, after.Mallocs - before.Mallocs
	}
	run(floor)
	run(ours)
	var cpus, walls []float64
	var floorCPU, oursCPU float64
	var floorAllocs, oursAllocs uint64
	n := 0
	for b.Loop() {
		fc, fw, fa := run(floor)
		oc, ow, oa := run(ours)
		cpus, walls = append(cpus, oc/fc), append(walls, ow/fw)
		floorCPU, oursCPU, floorAllocs, oursAllocs = floorCPU+fc, oursCPU+oc, floorAllocs+fa, oursAllocs+oa
		n += block
	}
	slices.Sort(cpus)
	slices.Sort(walls)
	b.ReportMetric(0, "ns/op") // a pair of blocks is nothing that anybody wants to know the time of
	b.ReportMetric(cpus[len(cpus)/2], "cpu-x-floor")
	b.ReportMetric(walls[len(walls)/2], "wall-x-floor")
	b.ReportMetric(oursCPU/float64(n)*1e6, "cpu-µs/call")
	b.ReportMetric(floorCPU/float64(n)*1e6, "floor-cpu-µs/call")
	b.ReportMetric(float64(oursAllocs)/float64(n), "allocs/call")
	b.ReportMetric(float64(floorAllocs)/float64(n), "floor-allocs/call")
}

func pollBody(i int) []byte {
	return fmt.Appendf(nil, `{"flUserToken":"b1c2","where":{"updatedAt":{"$gte":"2026-02-01T08:02:00.%03dZ"}},"order":[["updatedAt","ASC"],["id","ASC"]],"limit":200,"includeDeleted":true}`, i%1000)
}

// benchPoll compares receiving a page.
func benchPoll(b *testing.B, prefix string, rows, block int) {
	f, c, _ := bench(b, prefix)
	var buf bytes.Buffer
	var page struct{ Entries []floorEntry }
	var entries []datasource.Entry
	i := 0
	compare(b, block, func() {
		i++
		clear(page.Entries)
		page.Entries = page.Entries[:0]
		if err := f.do(http.MethodPost, "/v1/data-sources/data", pollBody(i), &page, &buf); err != nil || len(page.Entries) != rows {
			b.Fatal(len(page.Entries), err)
		}
	}, func() {
		i++
		var err error
		if entries, err = c.FindAcross(context.Background(), pollBody(i), entries); err != nil || len(entries) != rows {
			b.Fatal(len(entries), err)
		}
	})
}

func BenchmarkReceivePage(b *testing.B)  { benchPoll(b, "/page", 200, 30) }
func BenchmarkReceiveEmpty(b *testing.B) { benchPoll(b, "/empty", 0, 300) }

func sendBoth(b *testing.B, f *floor, c *datasource.Client) (floor, ours func()) {
	buffers := sync.Pool{New: func() any { return new(bytes.Buffer) }}
	const body, guid = "U2FsdGVkX18BAgMEBQYHCPrGgxVGNWwEPfj39z0S7e0U2FsdGVkX18BAgMEBQYHCPrGgxVGNWwEPfj39z0S7e0=", "0b8f3f7e-6f0a-4d63-9d5e-0d7a5a3c9a11"
	return func() {
			buf := buffers.Get().(*bytes.Buffer)
			defer buffers.Put(buf)
			var e floorEntry
			if err := f.do(http.MethodPut, "/v1/data-sources/777/data", floorRow{body, 777, "u-jane", guid, []string{"u-jane"}}, &e, buf); err != nil || e.ID != 413900001 {
				b.Error(e.ID, err)
			}
		}, func() {
			e, err := c.Insert(context.Background(), 777, M{"body": body, "conversationId": 777, "fromUserId": "u-jane", "guid": guid, "readBy": []string{"u-jane"}})
			if err != nil || e.ID != 413900001 {
				b.Error(err)
			}
		}
}

func BenchmarkSend(b *testing.B) {
	f, c, _ := bench(b, "/row")
	floor, ours := sendBoth(b, f, c)
	compare(b, 300, floor, ours)
}

func BenchmarkSend32AtOnce(b *testing.B) {
	f, c, url := bench(b, "/row")
	floor, ours := sendBoth(b, f, c)
	crowd := func(send func()) func() {
		return func() {
			var wg sync.WaitGroup
			for range 32 {
				wg.Go(func() {
					for range 10 {
						send()
					}
				})
			}
			wg.Wait()
		}
	}
	floors, all := crowd(floor), crowd(ours)
	for range 5 { // warm: every connection that a burst needs is there
		floors()
		all()
	}
	before := connections(b, url)
	compare(b, 1, floors, all)
	b.ReportMetric(float64(connections(b, url)-before-1), "new-connections")
}

func BenchmarkDecodePage(b *testing.B) {
	page := []byte(benchPage(200))
	b.SetBytes(int64(len(page)))
	b.ReportAllocs()
	for b.Loop() {
		entries, _, err := datasource.DecodePage(page)
		if err != nil || len(entries) != 200 {
			b.Fatal(err)
		}
	}
}

func BenchmarkNewClient(b *testing.B) {
	b.ReportAllocs()
	for b.Loop() {
		if _, err := datasource.NewClient(datasource.Config{Token: token}); err != nil {
			b.Fatal(err)
		}
	}
}
