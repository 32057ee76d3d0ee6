package fliplettest

import (
	"errors"
	"fmt"
	"net"
	"net/http"
	"strconv"
	"sync"
	"testing"
	"time"

	"github.com/fliplet/fliplet-chat-go/datasource"
	"github.com/fliplet/fliplet-chat-go/internal/flipletd"
)

// Server is a local Fliplet. Its fields are set by [New] and [Start] and not
// changed afterwards; its methods are safe for concurrent use.
type Server struct {
	// URL is the base of the API, without a slash at the end.
	URL string
	// Token is an API token of the app AppID. It may do what access rules grant
	// to everybody, which includes everything on sources without rules.
	Token string
	// AppID is the app that the token belongs to.
	AppID int64
	// OrganizationID is the organisation that everything belongs to.
	OrganizationID int64

	core      *flipletd.Server
	hooks     *ears // nil: web hooks go over sockets
	transport http.RoundTripper
	pool      *http.Transport // nil in process
	http      *http.Server    // nil in process
	served    chan struct{}   // closed when http accepts no more connections
	closed    chan struct{}   // in process: closed by Close
	open      sync.WaitGroup  // connections that the server has open

	closeOnce sync.Once
	closeErr  error
}

// New starts a server and closes it when the test ends. It fails the test when
// the server cannot start. When the test has failed for whatever reason, the
// state and the last requests are logged, without any secret; a bug inside the
// server fails the test.
func New(t testing.TB, opts ...Option) *Server {
	t.Helper()
	s, err := Start(opts...)
	if err != nil {
		t.Fatalf("fliplettest: %v", err)
	}
	t.Cleanup(func() {
		if err := s.Close(); err != nil {
			t.Errorf("fliplettest: closing: %v", err)
		}
		for _, err := range s.core.Faults() {
			t.Errorf("fliplettest: the server failed: %v", err)
		}
		if t.Failed() {
			t.Log(s.String())
		}
	})
	return s
}

// Start starts a server outside tests. Close it when it is not needed any
// more.
func Start(opts ...Option) (*Server, error) {
	var cfg config
	for _, o := range opts {
		if o != nil {
			o(&cfg)
		}
	}
	var hooks *ears
	if cfg.inProcess || cfg.onHook != nil {
		hooks = &ears{handler: cfg.onHook}
		cfg.HookTransport = hooks
	}
	core, err := flipletd.New(cfg.Config)
	if err != nil {
		return nil, fmt.Errorf("fliplettest: %w", err)
	}
	s := &Server{
		Token: core.Token(), AppID: max(cfg.AppID, 1), OrganizationID: max(cfg.OrganizationID, 1), core: core, hooks: hooks,
	}
	for _, id := range cfg.apps {
		core.AddApp(id, "App "+strconv.FormatInt(id, 10), 0)
	}
	for _, r := range cfg.rules {
		core.Pull(r)
	}
	if cfg.inProcess {
		s.closed = make(chan struct{})
		s.URL, s.transport = "http://fliplet.test", inProcess{core, s.closed}
		return s, nil
	}
	listener, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		return nil, fmt.Errorf("fliplettest: %w", err)
	}
	s.URL = "http://" + listener.Addr().String()
	s.pool = &http.Transport{MaxIdleConns: 256, MaxIdleConnsPerHost: 256, IdleConnTimeout: time.Minute}
	s.transport = s.pool
	s.http = &http.Server{
		Handler: core, ReadHeaderTimeout: 10 * time.Second,
		ConnState: func(_ net.Conn, state http.ConnState) {
			switch state {
			case http.StateNew:
				s.open.Add(1)
			case http.StateClosed, http.StateHijacked:
				s.open.Done()
			}
		},
	}
	s.served = make(chan struct{})
	go func() {
		defer close(s.served)
		if err := s.http.Serve(listener); !errors.Is(err, http.ErrServerClosed) {
			s.closeErr = err
		}
	}()
	return s, nil
}

// Close stops the server: requests in progress are cut off, connections are
// closed, later requests are refused, no goroutine stays behind. Closing again
// does nothing. What the server has seen and stored can still be inspected.
func (s *Server) Close() error {
	s.closeOnce.Do(func() {
		s.core.Close()
		if s.hooks != nil {
			s.hooks.close()
		}
		if s.http == nil {
			close(s.closed)
			return
		}
		s.pool.CloseIdleConnections()
		err := s.http.Close()
		<-s.served
		s.open.Wait()
		s.closeErr = errors.Join(s.closeErr, err)
		s.pool.CloseIdleConnections()
	})
	return s.closeErr
}

// Handler is the server itself, for programs that listen on their own. It does not
// look at Host and Origin, so a program that browsers can reach has to.
func (s *Server) Handler() http.Handler { return s.core }

// Transport is a RoundTripper that reaches the server: in process when it was
// started with [InProcess], a connection pool of its own otherwise. It is
// shared and closed by Close.
func (s *Server) Transport() http.RoundTripper { return s.transport }

// Client is a new client with the server's token, without a limit of its own
// and with retries that wait a millisecond instead of seconds.
func (s *Server) Client() *datasource.Client { return s.ClientFor(s.Token) }

// ClientFor is [Server.Client] with another token; see [Server.AddToken].
func (s *Server) ClientFor(token string) *datasource.Client {
	c, err := datasource.NewClient(datasource.Config{
		Token: token, BaseURL: s.URL, HTTPClient: &http.Client{Transport: s.transport},
		Limiter: datasource.Unlimited(),
		Retry:   datasource.RetryPolicy{BaseDelay: time.Millisecond, MaxDelay: 10 * time.Millisecond},
	})
	if err != nil {
		panic("fliplettest: " + err.Error()) // a malformed token
	}
	return c
}

// AddContacts makes a data source of contacts with these rows, columns as
// given, and returns its id and the ids of the rows in their order. Its access
// rules are those that Fliplet's chat proposes: everybody may select and
// update, nobody may insert or delete.
func (s *Server) AddContacts(rows ...datasource.M) (dataSourceID int64, ids []int64) {
	id := s.AddDataSource(datasource.M{
		"name": "Contacts",
		"accessRules": []any{
			datasource.M{"type": []any{"select", "update"}, "allow": "all", "enabled": true},
		},
	})
	return id, s.AddRows(id, rows...)
}

// AddDataSource makes a data source from the fields that POST v1/data-sources
// takes and returns its id; "name" is required, "appId" defaults to AppID,
// accessRules to none, which allows everything. It panics on fields that the
// API refuses.
func (s *Server) AddDataSource(fields datasource.M) int64 {
	id, err := s.core.CreateSource(fields)
	if err != nil {
		panic("fliplettest: " + err.Error())
	}
	return id
}

// AddRows stores rows in one step with one timestamp, past access rules, hooks
// and levers, and returns their ids. It panics when there is no such data
// source.
func (s *Server) AddRows(dataSourceID int64, rows ...datasource.M) []int64 {
	ids, err := s.core.Insert(dataSourceID, rows...)
	if err != nil {
		panic("fliplettest: " + err.Error())
	}
	return ids
}
