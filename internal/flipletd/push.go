package flipletd

import (
	"slices"
	"time"
)

// pushDelay is how long a message may stay unread before its readers are
// notified. Documented.
const pushDelay = 30 * time.Second

// Push is a notification that the push-message hook would have sent.
type Push struct {
	Time           time.Time // 30 s after the message
	UserID         string    // the flUserId of the one who is notified
	MessageID      int64
	ConversationID int64
	AppID          int64
}

// pushLog is what push-message hooks have done. It has no timers: what is due is settled
// before the next write and before anybody looks, and as nothing changes in
// between, each notification is decided on the state of its own moment.
// Guarded by the store's lock.
type pushLog struct {
	waiting []HookCall // push-message hooks, the oldest first
	sent    []Push
}

func (p *pushLog) expect(h HookCall) { p.waiting = append(p.waiting, h) }

// settle decides every notification that is due.
func (p *pushLog) settle(st *store, now time.Time) {
	for len(p.waiting) > 0 {
		h := p.waiting[0]
		due := h.Time.Add(pushDelay)
		if due.After(now) {
			return
		}
		p.waiting = p.waiting[1:]
		p.notify(st, h, due)
	}
}

// notify skips the sender, users who have read the message and users who muted the
// conversation. It sends nothing for a deleted message.
func (p *pushLog) notify(st *store, h HookCall, due time.Time) {
	v := st.entries[h.EntryID]
	s, m := st.find(h.DataSourceID, primary)
	if v == nil || !v.live() || s == nil {
		return
	}
	definition, _ := m.definition.(map[string]any)
	muted := textList(definition["mutedParticipants"])
	read := textList(v.data()["readBy"])
	sender, _ := v.data()["fromUserId"].(string)
	for _, u := range m.participants {
		if u == sender || slices.Contains(read, u) || slices.Contains(muted, u) {
			continue
		}
		p.sent = append(p.sent, Push{
			Time: due, UserID: u, MessageID: v.ID, ConversationID: s.id, AppID: h.AppID,
		})
	}
}
