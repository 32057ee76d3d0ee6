package fliplettest

import (
	"strings"
	"time"

	"github.com/fliplet/fliplet-chat-go/datasource"
	"github.com/fliplet/fliplet-chat-go/internal/flipletd"
)

// Request is a request that the server has seen. Headers and bodies are not
// kept, and tokens and keys in a query string are replaced by "…".
type Request struct {
	Time     time.Time
	Method   string
	Path     string // as sent, escaped
	Query    string
	Route    Route // "unknown" for a path that is none
	BodySize int   // bytes
	Status   int   // 0 while it is being served, and when the connection was dropped
}

// Requests returns the requests seen so far, the oldest first; of very many
// the last ten thousand at least.
func (s *Server) Requests() []Request {
	seen := s.core.Requests()
	out := make([]Request, len(seen))
	for i, r := range seen {
		out[i] = Request{r.Time, r.Method, r.Path, r.Query, Route(r.Route), r.BodySize, r.Status}
	}
	return out
}

// Count is how often a route was called since the start; groups such as
// [AnyWrite] add up their routes. Of [WebHook] it is how many requests web hooks have made.
func (s *Server) Count(route Route) int { return s.core.Count(flipletd.Route(route)) }

// Row is an entry as it is stored. Data is a copy with numbers as json.Number.
type Row struct {
	ID, DataSourceID     int64
	Data                 datasource.M
	Order                *int64
	CreatedAt, UpdatedAt time.Time
	DeletedAt            *time.Time // nil while the entry lives
}

// Rows returns every entry of a data source, deleted ones included, ascending
// by id. A source that does not exist has none.
func (s *Server) Rows(dataSourceID int64) []Row {
	stored := s.core.Rows(dataSourceID)
	out := make([]Row, len(stored))
	for i, r := range stored {
		out[i] = Row(r)
	}
	return out
}

// Source describes a data source as it is stored. Its slices and maps are
// copies.
type Source struct {
	ID, AppID            int64
	Name, Type           string
	Columns              []string
	Definition           datasource.M // nil when there is none
	Live, Deleted        int          // entries
	CreatedAt, UpdatedAt time.Time
	Trashed              bool
}

// Sources returns every data source by id, trashed ones included.
func (s *Server) Sources() []Source {
	stored := s.core.Sources()
	out := make([]Source, len(stored))
	for i, x := range stored {
		out[i] = Source(x)
	}
	return out
}

// Push is a notification that a push-message hook has caused: somebody had not
// read a message 30 s after it was sent.
type Push struct {
	Time           time.Time // when it was due
	UserID         string    // the flUserId of the one who is notified
	MessageID      int64
	ConversationID int64
	AppID          int64 // of the hook
}

// Pushes returns the notifications that are due by now, the oldest first.
func (s *Server) Pushes() []Push {
	sent := s.core.Pushes()
	out := make([]Push, len(sent))
	for i, p := range sent {
		out[i] = Push(p)
	}
	return out
}

// RowsDropped is how many rows were deleted because a commit or bulk import
// did not list them, the documented default that destroys. A client that never
// means to do that can assert that it is zero.
func (s *Server) RowsDropped() int { return int(s.core.Dropped()) }

// String is the state and the last requests for a person to read. It shows
// names of columns but no values other than flUserIds, so that no token, key
// or message gets into a log.
func (s *Server) String() string {
	var b strings.Builder
	s.core.Dump(&b)
	return b.String()
}
