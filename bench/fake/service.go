package fake

import (
	"context"
	"encoding/json"
	"fmt"
	"io"
	"net/http"
	"net/http/httptest"
	"strconv"
	"strings"
	"sync"
	"sync/atomic"
	"time"

	"github.com/gorilla/websocket"

	"github.com/fliplet/fliplet-chat-go/datasource"
	"github.com/fliplet/fliplet-chat-go/fliplettest"
)

// Where is what a client has to know of a service.
type Where struct {
	URL          string
	Control      string // POST Control?n=5 adds five messages
	Token        string // of Fliplet, as are the others
	UserToken    string
	Contacts     int64
	Conversation int64
}

// Service is a service that runs.
type Service struct {
	Where
	messages
	mux     *http.ServeMux
	servers []*httptest.Server
	fliplet *fliplettest.Server
	bytes   atomic.Int64 // of messages that were shown
	arrived arrivals
	ended   context.Context
	end     context.CancelFunc
}

// Start starts the service of that name: fliplet, slack, discord, matrix or telegram.
func Start(name string) (*Service, error) {
	s := &Service{mux: http.NewServeMux()}
	s.ended, s.end = context.WithCancel(context.Background())
	control := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		n, err := strconv.Atoi(r.FormValue("n"))
		if err != nil {
			http.Error(w, err.Error(), http.StatusBadRequest)
			return
		}
		s.Add(n)
	}))
	s.servers = append(s.servers, control)
	s.Control = control.URL
	switch name {
	case "fliplet":
		return s, s.startFliplet()
	case "slack":
		s.slack()
	case "discord":
		s.discord()
	case "matrix":
		s.matrix()
	case "telegram":
		s.telegram()
	default:
		s.Close()
		return nil, fmt.Errorf("there is no fake of %q", name)
	}
	server := httptest.NewServer(s.mux)
	s.servers = append(s.servers, server)
	s.URL = server.URL
	return s, nil
}

// Close ends the service and all its connections.
func (s *Service) Close() {
	s.end()
	for _, server := range s.servers {
		server.CloseClientConnections()
		server.Close()
	}
	if s.fliplet != nil {
		_ = s.fliplet.Close()
	}
}

// Add adds n messages.
func (s *Service) Add(n int) {
	if s.fliplet == nil {
		s.add(n)
		return
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	for ; n > 0; n -= PageSize {
		rows := make([]datasource.M, min(n, PageSize))
		for i := range rows {
			s.n++
			rows[i] = datasource.M{
				"body": Text(s.n), "fromUserId": "u-jane", "readBy": []string{"u-jane"}, "conversationId": s.Conversation,
				"guid": GUID(s.n), "sentTime": sent(s.n).Format(time.RFC3339),
			}
		}
		s.fliplet.AddRows(s.Conversation, rows...)
	}
}

// AddOld adds n messages that came one after the other, some time ago.
func (s *Service) AddOld(n int) {
	for ; n > 0; n -= PageSize {
		if s.fliplet != nil {
			s.fliplet.ShiftClock(time.Second)
		}
		s.Add(min(n, PageSize))
	}
	if s.fliplet != nil {
		s.fliplet.ShiftClock(10 * time.Second)
	}
}

// BytesEach is how long a message is on the wire, as this service writes it; 0 when none
// was shown.
func (s *Service) BytesEach() int {
	if s.fliplet != nil && s.count() > 0 {
		if raw, err := s.page(); err == nil {
			return len(raw) / min(s.count(), PageSize)
		}
	}
	return int(s.bytes.Load())
}

// page is the first page of a Fliplet.
func (s *Service) page() ([]byte, error) {
	body := fmt.Sprintf(`{"flUserToken":%q,"where":{},"limit":%d}`, s.UserToken, PageSize)
	req, err := http.NewRequestWithContext(s.ended, http.MethodPost, s.URL+"/v1/data-sources/data", strings.NewReader(body))
	if err != nil {
		return nil, err
	}
	req.Header.Set("Auth-token", s.Token)
	req.Header.Set("Content-Type", "application/json")
	resp, err := http.DefaultClient.Do(req)
	if err != nil {
		return nil, err
	}
	defer resp.Body.Close()
	return io.ReadAll(resp.Body)
}

func (s *Service) startFliplet() error {
	f, err := fliplettest.Start()
	if err != nil {
		return err
	}
	s.fliplet = f
	s.URL, s.Token, s.UserToken = f.URL, f.Token, "token-bob"
	s.Contacts, _ = f.AddContacts(
		datasource.M{"Email": "jane@example.org", "flUserId": "u-jane", "flUserToken": "token-jane"},
		datasource.M{"Email": "bob@example.org", "flUserId": "u-bob", "flUserToken": s.UserToken},
	)
	s.Conversation = f.AddDataSource(datasource.M{
		"name": "bench", "type": "conversation", "appId": f.AppID,
		"definition": datasource.M{"participants": []string{"u-jane", "u-bob"}},
	})
	return nil
}

// list writes messages from first to last, either way round, with commas between them.
func (s *Service) list(b *strings.Builder, first, last int, one func(seq int) string) {
	step := 1
	if last < first {
		step = -1
	}
	for seq := first; ; seq += step {
		if seq != first {
			b.WriteByte(',')
		}
		text := one(seq)
		s.bytes.Store(int64(len(text)))
		b.WriteString(text)
		if seq == last {
			return
		}
	}
}

func answer(w http.ResponseWriter, body string) {
	w.Header().Set("Content-Type", "application/json")
	w.Header().Set("Content-Length", strconv.Itoa(len(body)))
	_, _ = w.Write([]byte(body))
}

func quote(text string) string {
	raw, _ := json.Marshal(text)
	return string(raw)
}

// socket is a connection with one writer at a time.
type socket struct {
	*websocket.Conn
	mu sync.Mutex
}

func upgrade(w http.ResponseWriter, r *http.Request) (*socket, error) {
	up := websocket.Upgrader{CheckOrigin: func(*http.Request) bool { return true }}
	c, err := up.Upgrade(w, r, nil)
	if err != nil {
		return nil, err
	}
	return &socket{Conn: c}, nil
}

func (s *socket) say(text string) error {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.WriteMessage(websocket.TextMessage, []byte(text))
}

// live is a context that ends with the request's connection or with the service.
func (s *Service) live(r *http.Request) (context.Context, context.CancelFunc) {
	ctx, cancel := context.WithCancel(r.Context())
	stop := context.AfterFunc(s.ended, cancel)
	return ctx, func() { stop(); cancel() }
}
