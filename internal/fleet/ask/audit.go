package ask

import (
	"cmp"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"net/http"
	"slices"
	"time"

	"github.com/fliplet/fliplet-chat-go/datasource"
	"github.com/fliplet/fliplet-chat-go/internal/fleet"
	"github.com/fliplet/fliplet-chat-go/internal/rows"
	"github.com/fliplet/fliplet-chat-go/internal/wire"
)

var (
	// ErrAudit: the audit log is answered, but not as documented.
	ErrAudit = errors.New("the audit log is not what is documented")
	// ErrOrganization: it is not known whose log to ask.
	ErrOrganization = errors.New("neither the list of conversations nor that of organisations says whose audit log it is")
)

// auditTimeout is how long a request for the log may take with its repetitions: the list, which
// finds the same, waits for it.
const auditTimeout = 5 * time.Second

// audit reads entries of the audit log.
func (s *Source) audit(ctx context.Context, r fleet.Request) (a fleet.Answer, err error) {
	ctx, cancel := context.WithTimeout(ctx, auditTimeout)
	defer cancel()
	org, err := s.organization(ctx)
	if err != nil {
		return a, err
	}
	var answer json.RawMessage
	query := wire.AuditQuery(time.UnixMicro(int64(max(r.Since, 0))), r.Limit, r.Offset)
	if err := s.cfg.Client.Call(ctx, http.MethodGet, wire.AuditPath(org), query, nil, &answer); err != nil {
		return a, err
	}
	entries, lines, err := wire.ParseAudit(answer)
	if err != nil {
		return a, fmt.Errorf("%w: %w", ErrAudit, err)
	}
	slices.SortStableFunc(entries, func(x, y wire.AuditEntry) int { return cmp.Or(x.At.Compare(y.At), cmp.Compare(x.ID, y.ID)) })
	now := time.Now()
	for _, e := range entries {
		if e.At.IsZero() {
			e.At = now // it has happened before
		}
		a.Marks = append(a.Marks, fleet.Mark{Entry: e.ID, Conversation: e.DataSource, At: rows.Micros(e.At), Deleted: e.Deleted})
	}
	a.Full = lines >= r.Limit
	return a, nil
}

// organization is the one whose log is asked: that of the conversations, or else the only one
// that the token sees.
func (s *Source) organization(ctx context.Context) (int64, error) {
	s.mu.Lock()
	org := s.org
	s.mu.Unlock()
	if org != 0 {
		return org, nil
	}
	var answer json.RawMessage
	if err := s.cfg.Client.Call(ctx, http.MethodGet, wire.OrganizationsPath, nil, nil, &answer); err != nil {
		return 0, err
	}
	if org = wire.ParseOrganization(answer); org == 0 {
		return 0, ErrOrganization
	}
	s.belongs(org)
	return org, nil
}

// belongs notes whose conversations these are.
func (s *Source) belongs(org int64) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.org = org
}

// organizationOf is the organisation that the conversations of a list are of; 0 if they say none, or
// several.
func organizationOf(list []datasource.DataSource) (org int64) {
	for i := range list {
		switch o := list[i].OrganizationID; {
		case o <= 0 || o == org:
		case org != 0:
			return 0
		default:
			org = o
		}
	}
	return org
}
