package pgtest

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"math/rand/v2"
	"net"
	"os"
	"os/exec"
	"path/filepath"
	"runtime"
	"strconv"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/jackc/pgx/v5"
)

// ErrNotFound says that the programs of a PostgreSQL server were not found.
var ErrNotFound = errors.New("pgtest: no PostgreSQL server is installed: initdb and postgres are neither in PATH nor in /usr/lib/postgresql/*/bin")

// user owns every database of a server.
const user = "fliplet"

// Option changes how a server runs.
type Option func(*Server)

// Durable lets the server wait for the disk with every commit, as servers do, which is what
// a measurement needs. By default it does not: what was committed then outlives the server
// (see [Server.Kill]), but not a crash of the machine.
func Durable() Option { return func(s *Server) { s.durable = true } }

// Setting sets a parameter of the server, as in postgresql.conf.
func Setting(name, value string) Option {
	return func(s *Server) { s.settings = append(s.settings, name+"="+value) }
}

// Server is a PostgreSQL server in a process of its own. It is safe for concurrent use.
type Server struct {
	bin, dir string
	port     int
	durable  bool
	settings []string

	mu      sync.Mutex
	process *process
	names   int
}

// Start starts a server for a test, and stops it at its end. It skips the test where no
// PostgreSQL is installed, and fails it when one does not start.
func Start(t testing.TB, opts ...Option) *Server {
	t.Helper()
	s, err := Run(t.Context(), opts...)
	if errors.Is(err, ErrNotFound) {
		t.Skip(err)
	}
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := s.Close(); err != nil {
			t.Error(err)
		}
	})
	return s
}

// Run starts a server outside of tests. Close stops it and removes its folder. ctx is only
// for the start, which takes about a second.
//
// Errors: [ErrNotFound]; the output of a program that fails.
func Run(ctx context.Context, opts ...Option) (_ *Server, err error) {
	s := &Server{}
	for _, o := range opts {
		if o != nil {
			o(s)
		}
	}
	if s.bin, err = programs(); err != nil {
		return nil, err
	}
	if s.dir, err = os.MkdirTemp("", "pgtest-"); err != nil {
		return nil, err
	}
	defer func() {
		if err != nil {
			err = errors.Join(err, s.Close())
		}
	}()
	if err := give(s.dir); err != nil {
		return nil, fmt.Errorf("pgtest: %w", err)
	}
	initdb := exec.CommandContext(ctx, filepath.Join(s.bin, "initdb"), "--pgdata="+s.data(), "--username="+user, "--auth=trust", //nolint:gosec // a program that was looked up
		"--encoding=UTF8", "--locale=C", "--no-sync", "--no-instructions")
	initdb.Dir = s.dir
	ordinary(initdb)
	if out, err := initdb.CombinedOutput(); err != nil {
		return nil, fmt.Errorf("pgtest: initdb: %w: %s", err, bytes.TrimSpace(out))
	}
	for range 3 { // somebody else may take the port first
		if s.port, err = freePort(); err != nil {
			return nil, fmt.Errorf("pgtest: %w", err)
		}
		if err = s.Start(ctx); err == nil || ctx.Err() != nil {
			break
		}
	}
	return s, err
}

// Installed reports whether there is a PostgreSQL to start.
func Installed() bool {
	_, err := programs()
	return err == nil
}

// programs returns the folder of the newest server that is installed.
func programs() (string, error) {
	folders, _ := filepath.Glob("/usr/lib/postgresql/*/bin") // the pattern is well formed
	best, version := "", 0
	for _, dir := range folders {
		n, _ := strconv.Atoi(filepath.Base(filepath.Dir(dir)))
		if complete(dir) && n > version {
			best, version = dir, n
		}
	}
	if best != "" {
		return best, nil
	}
	if path, err := exec.LookPath("initdb"); err == nil {
		if path, err = filepath.EvalSymlinks(path); err == nil && complete(filepath.Dir(path)) {
			return filepath.Dir(path), nil
		}
	}
	return "", ErrNotFound
}

func complete(dir string) bool {
	for _, name := range []string{"initdb", "postgres"} {
		if info, err := os.Stat(filepath.Join(dir, name)); err != nil || info.IsDir() {
			return false
		}
	}
	return true
}

// freePort returns a port that nobody listens on now. One below those that the system gives to
// whoever wants any is not taken by somebody else while the server is stopped.
func freePort() (int, error) {
	for range 10 {
		port := 20_000 + rand.IntN(10_000) //nolint:gosec // it chooses a port
		if l, err := net.Listen("tcp", net.JoinHostPort("127.0.0.1", strconv.Itoa(port))); err == nil {
			return port, l.Close()
		}
	}
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		return 0, err
	}
	defer l.Close()
	return l.Addr().(*net.TCPAddr).Port, nil
}

func (s *Server) data() string { return filepath.Join(s.dir, "data") }

// Addr is where the server listens, for instance "127.0.0.1:54321". It stays the same when
// the server is started again.
func (s *Server) Addr() string { return net.JoinHostPort("127.0.0.1", strconv.Itoa(s.port)) }

// DSN names the database that is there from the beginning.
func (s *Server) DSN() string { return s.Via(s.Addr(), "postgres") }

// Via names a database at another address, such as that of a proxy before the server.
func (s *Server) Via(addr, database string) string {
	return fmt.Sprintf("postgres://%s@%s/%s?sslmode=disable", user, addr, database)
}

// Database makes a database that is empty, and returns its DSN. It fails the test when it
// cannot.
func (s *Server) Database(t testing.TB) string {
	t.Helper()
	dsn, err := s.Create(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	return dsn
}

// Create makes a database that is empty, and returns its DSN.
func (s *Server) Create(ctx context.Context) (string, error) {
	s.mu.Lock()
	s.names++
	name := fmt.Sprint("test_", s.names)
	s.mu.Unlock()
	conn, err := pgx.Connect(ctx, s.DSN())
	if err != nil {
		return "", fmt.Errorf("pgtest: %w", err)
	}
	defer conn.Close(ctx) //nolint:errcheck // it has done its work
	if _, err := conn.Exec(ctx, "CREATE DATABASE "+name); err != nil {
		return "", fmt.Errorf("pgtest: %w", err)
	}
	return s.Via(s.Addr(), name), nil
}

// process is one run of the server.
type process struct {
	cmd    *exec.Cmd
	ended  chan struct{} // closed when it has ended
	err    error         // how, after that
	output string        // the file that it writes to
}

// Start starts the server after [Server.Stop] or [Server.Kill], with what it had stored, and
// returns when it answers.
func (s *Server) Start(ctx context.Context) error {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.process != nil {
		return errors.New("pgtest: the server is running")
	}
	durable := "off"
	if s.durable {
		durable = "on"
	}
	args := []string{"-D", s.data(), "-p", strconv.Itoa(s.port), "-k", "", "-h", "127.0.0.1"}
	for _, set := range append([]string{"fsync=" + durable, "full_page_writes=" + durable, "max_connections=200", "shared_buffers=32MB"}, s.settings...) {
		args = append(args, "-c", set)
	}
	// The server outlives the context of its start.
	p := &process{cmd: exec.CommandContext(context.WithoutCancel(ctx), filepath.Join(s.bin, "postgres"), args...), ended: make(chan struct{}), output: filepath.Join(s.dir, "log")} //nolint:gosec // a program that was looked up
	p.cmd.Dir = s.dir
	ordinary(p.cmd)
	log, err := os.OpenFile(p.output, os.O_CREATE|os.O_APPEND|os.O_WRONLY, 0o600)
	if err != nil {
		return err
	}
	defer log.Close()
	p.cmd.Stdout, p.cmd.Stderr = log, log
	started := make(chan error)
	go func() {
		// Linux tells a child of the death of the thread that has started it.
		runtime.LockOSThread()
		defer runtime.UnlockOSThread()
		err := p.cmd.Start()
		started <- err
		if err == nil {
			p.err = p.cmd.Wait()
			close(p.ended)
		}
	}()
	if err := <-started; err != nil {
		return fmt.Errorf("pgtest: %w", err)
	}
	if err := s.answers(ctx, p); err != nil {
		_ = p.cmd.Process.Kill()
		<-p.ended
		return err
	}
	s.process = p
	return nil
}

// answers waits until the server takes connections.
func (s *Server) answers(ctx context.Context, p *process) error {
	ctx, cancel := context.WithTimeout(ctx, time.Minute)
	defer cancel()
	for {
		conn, err := pgx.Connect(ctx, s.DSN())
		if err == nil {
			return conn.Close(ctx)
		}
		select {
		case <-p.ended:
			log, _ := os.ReadFile(p.output)
			return fmt.Errorf("pgtest: the server ended at its start: %w: %s", p.err, tail(log))
		case <-ctx.Done():
			return fmt.Errorf("pgtest: the server does not answer: %w", err)
		case <-time.After(20 * time.Millisecond):
		}
	}
}

func tail(log []byte) string {
	lines := strings.Split(strings.TrimSpace(string(log)), "\n")
	return strings.Join(lines[max(0, len(lines)-5):], "\n")
}

// Stop stops the server and waits for it. Connections are ended first, as by an
// administrator ("fast").
func (s *Server) Stop() error { return s.end(os.Interrupt) }

// Kill ends the server at once ("immediate"), so that it has to recover when it is started
// again. Whoever waits for an answer loses the connection.
func (s *Server) Kill() error { return s.end(quit) }

// end lets the server end as a signal says, and waits.
func (s *Server) end(how os.Signal) error {
	s.mu.Lock()
	defer s.mu.Unlock()
	p := s.process
	if p == nil {
		return nil
	}
	s.process = nil
	if err := p.cmd.Process.Signal(how); err != nil && !errors.Is(err, os.ErrProcessDone) {
		return fmt.Errorf("pgtest: %w", err)
	}
	late := time.NewTimer(time.Minute)
	defer late.Stop()
	select {
	case <-p.ended:
		return nil
	case <-late.C:
		_ = p.cmd.Process.Kill()
		<-p.ended
		return errors.New("pgtest: the server did not end within a minute, and was killed")
	}
}

// Close ends the server and removes its folder.
func (s *Server) Close() error {
	return errors.Join(s.Kill(), os.RemoveAll(s.dir))
}
