package flipletlocal

import (
	"bufio"
	"bytes"
	"encoding/json"
	"fmt"
	"io"
	"math/rand/v2"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"strings"
	"sync"
	"syscall"
	"testing"
	"testing/synctest"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/fliplet/fliplet-chat-go/internal/longtest"
)

// program is a fliplet-local that runs in a process of its own.
type program struct {
	t     *testing.T
	cmd   *exec.Cmd
	out   *bufio.Reader
	errs  *bytes.Buffer // read it after the end
	ready string
	url   string
	token string
	http  http.Client
}

var readyLine = regexp.MustCompile(`^fliplet-local: (http://127\.0\.0\.1:[0-9]+) token eu--local app 1 organization 1(?: contacts ([0-9]+))?\n$`)

func launch(t *testing.T, args ...string) *program {
	t.Helper()
	p := spawn(t, append([]string{"-token", "eu--local"}, args...)...)
	var err error
	p.ready, err = p.out.ReadString('\n')
	require.NoError(t, err, "no ready line: %s", p.errs)
	match := readyLine.FindStringSubmatch(p.ready)
	require.NotNil(t, match, p.ready)
	p.url = match[1]
	transport := &http.Transport{MaxIdleConnsPerHost: 16}
	t.Cleanup(transport.CloseIdleConnections)
	p.http = http.Client{Transport: transport, Timeout: time.Minute}
	return p
}

func spawn(t *testing.T, args ...string) *program {
	t.Helper()
	exe, err := os.Executable()
	require.NoError(t, err)
	p := &program{t: t, token: "eu--local", cmd: exec.CommandContext(t.Context(), exe, append([]string{"-addr", "127.0.0.1:0"}, args...)...), errs: &bytes.Buffer{}}
	p.cmd.Env = append(os.Environ(), asProgram+"=1")
	p.cmd.Stderr = p.errs
	out, err := p.cmd.StdoutPipe()
	require.NoError(t, err)
	p.out = bufio.NewReader(out)
	require.NoError(t, p.cmd.Start())
	t.Cleanup(func() { _ = p.cmd.Wait() }) // the context has killed it, unless it had ended
	return p
}

// end waits for the end and returns the exit status and the rest of the output.
func (p *program) end() (status int, rest string) {
	p.t.Helper()
	raw, err := io.ReadAll(p.out)
	require.NoError(p.t, err)
	_ = p.cmd.Wait() // the status says it all
	return p.cmd.ProcessState.ExitCode(), string(raw)
}

// call makes one request; an error means that nobody knows what became of it.
func (p *program) call(method, path, body string) (status int, answer []byte, err error) {
	r, err := http.NewRequestWithContext(p.t.Context(), method, p.url+path, strings.NewReader(body))
	if err != nil {
		return 0, nil, err
	}
	r.Header.Set("Auth-token", p.token)
	r.Header.Set("Content-Type", "application/json")
	resp, err := p.http.Do(r)
	if err != nil {
		return 0, nil, err
	}
	defer resp.Body.Close()
	answer, err = io.ReadAll(resp.Body)
	return resp.StatusCode, answer, err
}

// change makes a request that is not refused, unless nobody knows.
func (p *program) change(method, path, body string) ([]byte, error) {
	status, answer, err := p.call(method, path, body)
	if err == nil {
		assert.Equal(p.t, 200, status, "%s", answer)
	}
	return answer, err
}

// get makes a request that must succeed and decodes the answer.
func (p *program) get(method, path, body string, into any) {
	p.t.Helper()
	status, answer, err := p.call(method, path, body)
	require.NoError(p.t, err)
	require.Less(p.t, status, 300, "%s", answer)
	require.NoError(p.t, json.Unmarshal(answer, into), "%s", answer)
}

func TestReadyLineAndCleanEnd(t *testing.T) {
	t.Parallel()
	for _, signal := range []syscall.Signal{syscall.SIGTERM, syscall.SIGINT} {
		t.Run(signal.String(), func(t *testing.T) {
			t.Parallel()
			data := filepath.Join(t.TempDir(), "fliplet.db")
			p := launch(t, "-data", data, "-seed-demo")
			var made struct{ DataSource struct{ ID int64 } }
			p.get("POST", "/v1/data-sources", `{"appId":1,"name":"Mine"}`, &made)
			require.NoError(t, p.cmd.Process.Signal(signal))
			status, rest := p.end()
			assert.Zero(t, status, p.errs)
			assert.Empty(t, rest, "one line is all that goes to standard output")
			assert.NotContains(t, p.errs.String(), "eu--local", "the log holds no token")
			assert.Contains(t, p.errs.String(), "path=/v1/data-sources")

			again := launch(t, "-data", data, "-seed-demo")
			var list struct{ DataSources []struct{ Name string } }
			again.get("GET", "/v1/data-sources", "", &list)
			assert.Len(t, list.DataSources, 3, "the demo is not added twice")
			_, rows, err := again.call("GET", fmt.Sprintf("/v1/data-sources/%d/data", made.DataSource.ID), "")
			require.NoError(t, err)
			assert.JSONEq(t, `{"entries":[]}`, string(rows))
		})
	}
}

func TestDefaultTokenIsInTheReadyLineOnly(t *testing.T) {
	t.Parallel()
	p := spawn(t)
	ready, err := p.out.ReadString('\n')
	require.NoError(t, err, p.errs)
	match := regexp.MustCompile(`^fliplet-local: (http://\S+) token (eu--[A-Z2-7]{26,}) app 1 organization 1\n$`).FindStringSubmatch(ready)
	require.NotNil(t, match, ready)
	p.url = match[1]
	status, _, err := p.call("GET", "/v1/data-sources", "")
	require.NoError(t, err)
	assert.Equal(t, 401, status, "nobody can guess the token")
	status, _, err = p.call("GET", "/v1/data-sources?auth_token="+match[2], "")
	require.NoError(t, err)
	assert.Equal(t, 401, status, "the header counts first")
	p.token = match[2]
	status, _, err = p.call("GET", "/v1/data-sources", "")
	require.NoError(t, err)
	assert.Equal(t, 200, status)
	require.NoError(t, p.cmd.Process.Signal(syscall.SIGTERM))
	_, rest := p.end()
	assert.NotContains(t, rest+p.errs.String(), match[2])
}

func TestFilesThatCannotBeUsed(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	used, broken := filepath.Join(dir, "used.db"), filepath.Join(dir, "broken.db")
	launch(t, "-data", used)
	require.NoError(t, os.WriteFile(broken, []byte(strings.Repeat("not a database ", 1000)), 0o600))
	for path, why := range map[string]string{
		used:                               "the file is in use by another process: stop the other fliplet-local, or use another file",
		broken:                             "move it away to start anew; nothing in it was changed",
		filepath.Join(dir, "none", "f.db"): "no such file or directory",
		dir:                                "not a regular file",
	} {
		// The other process is real; the time in which it might end is not.
		synctest.Test(t, func(t *testing.T) {
			var out, errs bytes.Buffer
			assert.Equal(t, 2, Run(t.Context(), []string{"-addr", "127.0.0.1:0", "-data", path}, &out, &errs), path)
			assert.Empty(t, out.String())
			assert.Contains(t, errs.String(), "fliplet-local: -data: "+path, path)
			assert.Contains(t, errs.String(), why, path)
		})
	}
}

// batch is how many rows one import or commit of the test writes.
const batch = 25

// TestKilledProgramKeepsWhatItAcknowledged lets several writers insert, import,
// update and delete, kills the program while they do, and looks at what is there
// after the next start: everything that was acknowledged, and of a request that
// nobody knows about all or nothing.
func TestKilledProgramKeepsWhatItAcknowledged(t *testing.T) {
	t.Parallel()
	rounds := longtest.Size(3, 12)
	data := filepath.Join(t.TempDir(), "fliplet.db")
	first := launch(t, "-data", data)
	var made struct{ DataSource struct{ ID int64 } }
	first.get("POST", "/v1/data-sources", `{"appId":1,"name":"Mine"}`, &made)
	l := &ledger{path: fmt.Sprintf("/v1/data-sources/%d", made.DataSource.ID), rows: map[int64]string{}, doubt: map[int64]string{}, batches: map[string]bool{}}
	rng := rand.New(rand.NewPCG(1, 2))
	p := first
	for round := range rounds {
		l.write(p, rng.IntN(20)+1, rng.IntN(40), round)
		p = launch(t, "-data", data)
		l.check(p, round)
	}
	assert.Greater(t, len(l.rows), rounds, "something was written")
}

// ledger is what the writers know: the rows that were acknowledged, and those that
// a request without an answer may have changed.
type ledger struct {
	path string

	mu      sync.Mutex
	acked   int
	enough  chan struct{}    // closed when the program is to be killed
	rows    map[int64]string // id → the value acknowledged last; "" is deleted
	doubt   map[int64]string // id → the value of a request without an answer
	batches map[string]bool  // imports that were acknowledged
}

// write lets four writers work until the program has acknowledged n requests, and
// kills it some moments later. A moment is a request that the program answers
// without its store, so that it can end in the middle of a transaction.
func (l *ledger) write(p *program, n, moments, round int) {
	l.acked, l.enough = 0, make(chan struct{})
	var all sync.WaitGroup
	for w := range 4 {
		all.Go(func() {
			l.writer(p, n, fmt.Sprintf("%d-%d", round, w), rand.New(rand.NewPCG(uint64(round), uint64(w))))
		})
	}
	done := make(chan struct{})
	go func() { defer close(done); all.Wait() }()
	select {
	case <-l.enough:
	case <-done:
		require.Fail(p.t, "the program ended by itself")
	}
	for range moments {
		_, _, _ = p.call("GET", "/v1/nothing", "")
	}
	require.NoError(p.t, p.cmd.Process.Kill())
	<-done
	_, _ = p.end()
}

func (l *ledger) writer(p *program, n int, name string, rng *rand.Rand) {
	var mine []int64
	for i := 0; ; i++ {
		value := fmt.Sprintf("%s-%d", name, i)
		var err error
		switch kind := rng.IntN(5); {
		case kind == 0:
			err = l.importRows(p, value, "data")
		case kind == 1:
			err = l.importRows(p, value, "commit")
		case kind == 2 || len(mine) == 0:
			var row struct{ ID int64 }
			var answer []byte
			if answer, err = p.change("PUT", l.path+"/data", fmt.Sprintf(`{"v":%q}`, value)); err == nil {
				err = json.Unmarshal(answer, &row)
			}
			if err == nil {
				mine = append(mine, row.ID)
				l.note(row.ID, value)
			}
		case kind == 3:
			err = l.change(p, "PUT", mine[rng.IntN(len(mine))], value)
		default:
			at := rng.IntN(len(mine))
			err = l.change(p, "DELETE", mine[at], "")
			mine = append(mine[:at], mine[at+1:]...)
		}
		if err != nil {
			return // killed
		}
		l.mu.Lock()
		if l.acked++; l.acked == n {
			close(l.enough)
		}
		l.mu.Unlock()
	}
}

func (l *ledger) note(id int64, value string) {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.rows[id] = value
	delete(l.doubt, id)
}

func (l *ledger) change(p *program, method string, id int64, value string) error {
	l.mu.Lock()
	l.doubt[id] = value
	l.mu.Unlock()
	_, err := p.change(method, fmt.Sprintf("%s/data/%d", l.path, id), fmt.Sprintf(`{"v":%q}`, value))
	if err == nil {
		l.note(id, value)
	}
	return err
}

func (l *ledger) importRows(p *program, name, how string) error {
	rows := make([]string, batch)
	for i := range rows {
		if rows[i] = fmt.Sprintf(`{"batch":%q,"i":%d}`, name, i); how == "commit" {
			rows[i] = `{"data":` + rows[i] + `}`
		}
	}
	_, err := p.change("POST", l.path+"/"+how, `{"append":true,"entries":[`+strings.Join(rows, ",")+`]}`)
	if err == nil {
		l.mu.Lock()
		defer l.mu.Unlock()
		l.batches[name] = true
	}
	return err
}

func (l *ledger) check(p *program, round int) {
	p.t.Helper()
	var all struct {
		Entries []struct {
			ID   int64
			Data struct{ V, Batch string }
		}
	}
	p.get("GET", l.path+"/data", "", &all)
	found, counts := map[int64]string{}, map[string]int{}
	for _, e := range all.Entries {
		if e.Data.Batch != "" {
			counts[e.Data.Batch]++
			continue
		}
		require.NotEmpty(p.t, e.Data.V)
		found[e.ID] = e.Data.V
	}
	for name := range l.batches {
		assert.Equal(p.t, batch, counts[name], "round %d: import %s was acknowledged", round, name)
	}
	for name, n := range counts {
		assert.Equal(p.t, batch, n, "round %d: import %s is half applied", round, name)
	}
	for id, want := range l.rows {
		got := found[id]
		if doubt, ok := l.doubt[id]; ok && got == doubt {
			l.rows[id] = got
			continue
		}
		assert.Equal(p.t, want, got, "round %d: entry %d", round, id)
	}
	clear(l.doubt)
}

// What clients in other languages need to know is in the one line.
func TestTheReadyLineNamesContactsAndAStudioUser(t *testing.T) {
	t.Parallel()
	p := spawn(t, "-seed-demo", "-studio-user", "studio@example.org")
	ready, err := p.out.ReadString('\n')
	require.NoError(t, err, p.errs)
	match := regexp.MustCompile(`^fliplet-local: (http://\S+) token (\S+) app 1 organization 1 contacts ([0-9]+) studio-user studio@example\.org password (\S+) studio-token (eu--\S+)\n$`).FindStringSubmatch(ready)
	require.NotNil(t, match, ready)
	p.url, p.token = match[1], match[2]
	var rows struct {
		Entries []struct{ Data map[string]any }
	}
	p.get("GET", "/v1/data-sources/"+match[3]+"/data", "", &rows)
	assert.Len(t, rows.Entries, 3)
	var user map[string]any
	p.get("POST", "/v1/auth/login", fmt.Sprintf(`{"email":"studio@example.org","password":%q}`, match[4]), &user)
	assert.Equal(t, match[5], user["auth_token"])
	p.token = match[5]
	status, _, err := p.call("DELETE", "/v1/data-sources/"+match[3], "")
	require.NoError(t, err)
	assert.Equal(t, 200, status, "access rules are for others")
	require.NoError(t, p.cmd.Process.Signal(syscall.SIGTERM))
	_, rest := p.end()
	for _, secret := range []string{match[2], match[4], match[5]} {
		assert.NotContains(t, rest+p.errs.String(), secret)
	}
}

func TestASeedMakesTheSameTokensInEveryStart(t *testing.T) {
	t.Parallel()
	port := regexp.MustCompile(`:[0-9]+ `)
	lines := map[string]int{}
	for _, args := range [][]string{{"-seed", "7"}, {"-seed", "7"}, {"-seed", "8"}, {}, {}} {
		p := spawn(t, append([]string{"-seed-demo", "-studio-user", "studio@example.org"}, args...)...)
		ready, err := p.out.ReadString('\n')
		require.NoError(t, err, p.errs)
		lines[port.ReplaceAllString(ready, " ")]++
		require.NoError(t, p.cmd.Process.Signal(syscall.SIGTERM))
		p.end()
	}
	assert.Len(t, lines, 4, "the two starts with one seed say the same, and no other two")
}

// TestTheProgramInTheREADMETalksToThisOne runs what the README says to run, with the
// address of a port that is free, and then the program beside it with the values of the line
// that this one prints.
func TestTheProgramInTheREADMETalksToThisOne(t *testing.T) {
	t.Parallel()
	longtest.Only(t, "it compiles the README's program")
	readme, err := os.ReadFile(filepath.Join("..", "..", "README.md"))
	require.NoError(t, err)
	match := regexp.MustCompile("(?s)\\$ go run ./cmd/fliplet-local (-token eu--local -seed-demo)\n(fliplet-local: [^\n]*\n)```.*?```go\n(package main\n.*?)```").FindSubmatch(readme)
	require.NotNil(t, match)
	p := launch(t, strings.Fields(string(match[1]))[2:]...)
	assert.Equal(t, string(match[2]), strings.Replace(p.ready, p.url, "http://127.0.0.1:8899", 1), "the line in the README is the one that comes")
	source := filepath.Join(t.TempDir(), "main.go")
	require.NoError(t, os.WriteFile(source, bytes.Replace(match[3], []byte("http://127.0.0.1:8899"), []byte(p.url), 1), 0o600))
	out, err := exec.CommandContext(t.Context(), "go", "run", source).CombinedOutput()
	require.NoError(t, err, "%s", out)
	assert.Equal(t, "demo-jane: See you at /, then.\n", string(out))
	var rows struct {
		Entries []struct{ Data map[string]any }
	}
	p.get("GET", "/v1/data-sources/102/data", "", &rows)
	require.Len(t, rows.Entries, 4)
	assert.Equal(t, "I see you", rows.Entries[0].Data["body"])
}
