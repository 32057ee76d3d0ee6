package fake

import (
	"encoding/json"
	"fmt"
	"net/http"
	"strconv"
	"strings"
	"sync"
	"time"
)

// discordFirst makes numbers as long as Discord's.
const discordFirst = 1334567890000000000

func discordMessage(seq int) string {
	return fmt.Sprintf(`{"type":0,"content":%s,"mentions":[],"mention_roles":[],"attachments":[],"embeds":[],"timestamp":%q,"edited_timestamp":null,"flags":0,"components":[],"id":"%d","channel_id":"1300000000000000001","guild_id":"1300000000000000002","author":{"id":"1300000000000000003","username":"jane","avatar":"0123456789abcdef0123456789abcdef","discriminator":"0","public_flags":0,"flags":0,"global_name":"Jane"},"pinned":false,"mention_everyone":false,"tts":false,"nonce":%q}`,
		quote(Text(seq)), sent(seq).Format("2006-01-02T15:04:05.000000-07:00"), discordFirst+seq, GUID(seq))
}

// discord is the REST API and the gateway of Discord. A session that is resumed goes on
// where it was. A new one gets what comes from then on; only the first one gets what is
// there already, as if it had come right after.
func (s *Service) discord() {
	s.mux.HandleFunc("GET /channels/{id}/messages", func(w http.ResponseWriter, r *http.Request) {
		first := s.count()
		if before, err := strconv.Atoi(r.FormValue("before")); err == nil {
			first = before - discordFirst - 1
		}
		limit, err := strconv.Atoi(r.FormValue("limit"))
		if err != nil || limit <= 0 {
			limit = 50
		}
		var b strings.Builder
		b.WriteByte('[')
		if first > 0 {
			s.list(&b, first, max(first-limit+1, 1), discordMessage)
		}
		b.WriteByte(']')
		answer(w, b.String())
	})
	s.mux.HandleFunc("POST /channels/{id}/messages", func(w http.ResponseWriter, r *http.Request) {
		answer(w, discordMessage(s.arrive(field(r, "content"))))
	})
	s.mux.HandleFunc("/gateway", func(w http.ResponseWriter, r *http.Request) {
		answer(w, fmt.Sprintf(`{"url":"ws://%s/link/"}`, r.Host))
	})
	var mu sync.Mutex
	sessions := map[string]int{} // the number before a session's first
	s.mux.HandleFunc("/link/", func(w http.ResponseWriter, r *http.Request) {
		c, err := upgrade(w, r)
		if err != nil {
			return
		}
		defer c.Close()
		ctx, cancel := s.live(r)
		defer cancel()
		if c.say(`{"op":10,"s":null,"t":null,"d":{"heartbeat_interval":41250}}`) != nil {
			return
		}
		type op struct {
			Op   int `json:"op"`
			Data struct {
				Session string `json:"session_id"`
				Seq     int    `json:"seq"`
			} `json:"d"`
		}
		from := make(chan [2]int, 1) // the number before the first, and the sequence of the session
		go func() {
			defer cancel()
			for {
				_, raw, err := c.ReadMessage()
				if err != nil {
					return
				}
				var in op
				_ = json.Unmarshal(raw, &in) // a heartbeat's d is a number
				switch in.Op {
				case 1:
					_ = c.say(`{"op":11}`)
				case 2:
					mu.Lock()
					at := 0
					if len(sessions) > 0 {
						at = s.count()
					}
					id := fmt.Sprintf("session-%d", len(sessions)+1)
					sessions[id] = at
					mu.Unlock()
					_ = c.say(fmt.Sprintf(`{"op":0,"s":1,"t":"READY","d":{"v":9,"session_id":%q,"user":{"id":"1300000000000000009","username":"bot"},"guilds":[],"application":{"id":"1","flags":0}}}`, id))
					from <- [2]int{at, 1}
				case 6:
					mu.Lock()
					at := sessions[in.Data.Session] + in.Data.Seq - 1
					mu.Unlock()
					_ = c.say(fmt.Sprintf(`{"op":0,"s":%d,"t":"RESUMED","d":{}}`, in.Data.Seq))
					from <- [2]int{at, in.Data.Seq}
				}
			}
		}()
		var at, seq int
		select {
		case f := <-from:
			at, seq = f[0], f[1]
		case <-time.After(10 * time.Second):
			return
		case <-ctx.Done():
			return
		}
		for {
			n := s.wait(ctx, at)
			if ctx.Err() != nil {
				return
			}
			for at < n {
				at++
				seq++
				text := fmt.Sprintf(`{"t":"MESSAGE_CREATE","s":%d,"op":0,"d":%s}`, seq, discordMessage(at))
				s.bytes.Store(int64(len(text)))
				if c.say(text) != nil {
					return
				}
			}
		}
	})
}
