package fleet

import "time"

// audits is the strategy whose index is the audit log of the organisation, which tells of
// deletions, too. It needs a token of the organisation. The list is read for new
// conversations, and all are swept, since it is not documented that the log has them.
type audits struct {
	byJoins
	lister
	entry int64
	due   time.Time
}

// auditPage is the most entries that the audit log gives at once.
const auditPage = 500

// NewAudit returns the strategy that reads the audit log.
func NewAudit() Strategy {
	return &audits{lister: lister{every: time.Minute, users: time.Minute}}
}

func (*audits) Name() string { return "audit" }
func (*audits) Pace() Pace   { return Pace{Sweep: time.Minute, Share: 0.25} }

func (s *audits) Index(now time.Time) (Request, time.Time) {
	list, at := s.lister.Index(now)
	if !now.Before(at) || at.Before(s.due) {
		return list, at
	}
	return Request{Kind: Audit, Entry: s.entry, Limit: auditPage}, s.due
}

func (s *audits) Indexed(now time.Time, r Request, a Answer, err error, v *View) {
	if r.Kind == List {
		s.lister.Indexed(now, r, a, err, v)
		return
	}
	s.due = now.Add(time.Second)
	if err != nil {
		s.due = now.Add(3 * time.Second)
		return
	}
	for _, m := range a.Marks {
		s.entry = max(s.entry, m.Entry)
		v.Mark(now, m.Conversation, m.At, m.Deleted)
	}
	if a.Full {
		s.due = now.Add(350 * time.Millisecond) // the log allows 30 requests in 10 s
	}
}
