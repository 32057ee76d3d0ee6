package fake

import (
	"encoding/json"
	"fmt"
	"net/http"
	"strconv"
	"strings"
	"sync"
)

func slackMessage(seq int) string {
	return fmt.Sprintf(`{"type":"message","user":"U0123JANE","client_msg_id":%q,"text":%s,"team":"T0123ABCD","ts":"%d.%06d","channel":"C0123BENCH","event_ts":"%d.%06d","channel_type":"channel"}`,
		GUID(seq), quote(Text(seq)), sent(seq).Unix(), seq%1e6, sent(seq).Unix(), seq%1e6)
}

func slackEnvelope(seq int) string {
	return fmt.Sprintf(`{"envelope_id":"e-%d","payload":{"token":"t","team_id":"T0123ABCD","api_app_id":"A0123ABCD","event":%s,"type":"event_callback","event_id":"Ev%010d","event_time":%d,"authorizations":[{"enterprise_id":null,"team_id":"T0123ABCD","user_id":"U0BOT","is_bot":true,"is_enterprise_install":false}],"is_ext_shared_channel":false},"type":"events_api","accepts_response_payload":false,"retry_attempt":0,"retry_reason":""}`,
		seq, slackMessage(seq), seq, sent(seq).Unix())
}

// slack is the Web API and Socket Mode of Slack. What is not acknowledged on one
// connection comes again on the next one, as Slack does it.
func (s *Service) slack() {
	var mu sync.Mutex
	acknowledged := map[string]bool{} // by app and envelope
	s.mux.HandleFunc("/api/conversations.history", func(w http.ResponseWriter, r *http.Request) {
		first := s.count()
		if at, err := strconv.Atoi(r.FormValue("cursor")); err == nil {
			first = at
		}
		last := max(first-PageSize+1, 1)
		var b strings.Builder
		b.WriteString(`{"ok":true,"messages":[`)
		if first > 0 {
			s.list(&b, first, last, slackMessage)
		}
		cursor := ""
		if last > 1 {
			cursor = strconv.Itoa(last - 1)
		}
		fmt.Fprintf(&b, `],"has_more":%v,"pin_count":0,"response_metadata":{"next_cursor":%q}}`, last > 1, cursor)
		answer(w, b.String())
	})
	s.mux.HandleFunc("/api/chat.postMessage", func(w http.ResponseWriter, r *http.Request) {
		answer(w, fmt.Sprintf(`{"ok":true,"channel":"C0123BENCH","ts":"1769932800.000001","message":%s}`, slackMessage(s.arrive(field(r, "text")))))
	})
	s.mux.HandleFunc("/api/apps.connections.open", func(w http.ResponseWriter, r *http.Request) {
		answer(w, fmt.Sprintf(`{"ok":true,"url":"ws://%s/link?app=%s"}`, r.Host, strings.TrimPrefix(r.Header.Get("Authorization"), "Bearer ")))
	})
	s.mux.HandleFunc("/link", func(w http.ResponseWriter, r *http.Request) {
		c, err := upgrade(w, r)
		if err != nil {
			return
		}
		defer c.Close()
		ctx, cancel := s.live(r)
		defer cancel()
		if c.say(`{"type":"hello","num_connections":1,"debug_info":{"host":"fake","build_number":1,"approximate_connection_time":18060},"connection_info":{"app_id":"A0123ABCD"}}`) != nil {
			return
		}
		go func() {
			defer cancel()
			for {
				_, raw, err := c.ReadMessage()
				if err != nil {
					return
				}
				var ack struct {
					ID string `json:"envelope_id"`
				}
				if json.Unmarshal(raw, &ack) == nil {
					mu.Lock()
					acknowledged[r.FormValue("app")+ack.ID] = true
					mu.Unlock()
				}
			}
		}()
		for at := 0; ; {
			n := s.wait(ctx, at)
			if ctx.Err() != nil {
				return
			}
			for ; at < n; at++ {
				mu.Lock()
				known := acknowledged[fmt.Sprintf("%se-%d", r.FormValue("app"), at+1)]
				mu.Unlock()
				if known {
					continue
				}
				text := slackEnvelope(at + 1)
				s.bytes.Store(int64(len(text)))
				if c.say(text) != nil {
					return
				}
			}
		}
	})
}
