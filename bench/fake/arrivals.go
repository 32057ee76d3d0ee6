package fake

import (
	"encoding/json"
	"io"
	"mime"
	"net/http"
	"slices"
	"sync"

	"github.com/fliplet/fliplet-chat-go/fliplettest"
)

// arrivals are the texts of the messages that clients have sent, in the order of their
// requests.
type arrivals struct {
	mu    sync.Mutex
	texts []string
}

// arrive notes a message, and returns the number to answer with.
func (s *Service) arrive(text string) int {
	s.arrived.mu.Lock()
	defer s.arrived.mu.Unlock()
	s.arrived.texts = append(s.arrived.texts, text)
	return max(Seq(text), 1)
}

// Arrived are the texts of the messages that clients have sent, in the order in which they
// came. What [Service.Add] adds is not among them.
func (s *Service) Arrived() []string {
	if s.fliplet == nil {
		s.arrived.mu.Lock()
		defer s.arrived.mu.Unlock()
		return slices.Clone(s.arrived.texts)
	}
	rows := s.fliplet.Rows(s.Conversation)
	slices.SortFunc(rows, func(a, b fliplettest.Row) int { return int(a.ID - b.ID) })
	out := make([]string, 0, len(rows))
	for _, row := range rows[min(s.count(), len(rows)):] {
		text, _ := row.Data["body"].(string)
		out = append(out, text)
	}
	return out
}

// field is a field of a request, which is a form or JSON. Libraries and floors differ in that.
func field(r *http.Request, name string) string {
	kind, _, _ := mime.ParseMediaType(r.Header.Get("Content-Type"))
	if kind != "application/json" {
		return r.FormValue(name)
	}
	raw, err := io.ReadAll(r.Body)
	if err != nil {
		return ""
	}
	var in map[string]any
	if json.Unmarshal(raw, &in) != nil {
		return ""
	}
	text, _ := in[name].(string)
	return text
}
