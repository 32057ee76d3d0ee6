package fake

import (
	"context"
	"fmt"
	"io"
	"net/http"
	"strconv"
	"strings"
	"sync"
	"time"
)

func matrixMessage(seq int) string {
	return fmt.Sprintf(`{"type":"m.room.message","sender":"@jane:example.org","content":{"msgtype":"m.text","body":%s,"m.mentions":{}},"origin_server_ts":%d,"unsigned":{"age":1234,"transaction_id":%q,"membership":"join"},"event_id":"$%043d"}`,
		quote(Text(seq)), sent(seq).UnixMilli(), GUID(seq), seq)
}

// matrix is the client API of a Matrix server. A sync without a position begins with
// the first message.
func (s *Service) matrix() {
	var mu sync.Mutex
	data := map[string]string{}
	s.mux.HandleFunc("POST /_matrix/client/v3/user/{user}/filter", func(w http.ResponseWriter, _ *http.Request) {
		answer(w, `{"filter_id":"1"}`)
	})
	s.mux.HandleFunc("PUT /_matrix/client/v3/user/{user}/account_data/{type}", func(w http.ResponseWriter, r *http.Request) {
		raw, _ := io.ReadAll(r.Body)
		mu.Lock()
		data[r.PathValue("type")] = string(raw)
		mu.Unlock()
		answer(w, `{}`)
	})
	s.mux.HandleFunc("GET /_matrix/client/v3/user/{user}/account_data/{type}", func(w http.ResponseWriter, r *http.Request) {
		mu.Lock()
		body, ok := data[r.PathValue("type")]
		mu.Unlock()
		if !ok {
			w.WriteHeader(http.StatusNotFound)
			body = `{"errcode":"M_NOT_FOUND","error":"no such data"}`
		}
		_, _ = io.WriteString(w, body)
	})
	s.mux.HandleFunc("GET /_matrix/client/v3/sync", func(w http.ResponseWriter, r *http.Request) {
		since, _ := strconv.Atoi(r.FormValue("since"))
		ms, _ := strconv.Atoi(r.FormValue("timeout"))
		live, done := s.live(r)
		defer done()
		ctx, cancel := context.WithTimeout(live, time.Duration(ms)*time.Millisecond)
		defer cancel()
		n := min(s.wait(ctx, since), since+PageSize)
		var b strings.Builder
		fmt.Fprintf(&b, `{"next_batch":"%d","rooms":{`, n)
		if n > since {
			b.WriteString(`"join":{"!bench:example.org":{"timeline":{"events":[`)
			s.list(&b, since+1, n, matrixMessage)
			fmt.Fprintf(&b, `],"limited":false,"prev_batch":"%d"},"state":{"events":[]},"account_data":{"events":[]},"ephemeral":{"events":[]},"unread_notifications":{"notification_count":0,"highlight_count":0},"summary":{}}}`, since)
		}
		b.WriteString(`}}`)
		answer(w, b.String())
	})
	s.mux.HandleFunc("PUT /_matrix/client/v3/rooms/{room}/send/m.room.message/{txn}", func(w http.ResponseWriter, r *http.Request) {
		answer(w, fmt.Sprintf(`{"event_id":"$%043d"}`, s.arrive(field(r, "body"))))
	})
}
