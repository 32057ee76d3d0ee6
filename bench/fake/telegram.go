package fake

import (
	"context"
	"fmt"
	"net/http"
	"strconv"
	"strings"
	"sync"
	"time"
)

func telegramMessage(seq int) string {
	return fmt.Sprintf(`{"message_id":%d,"from":{"id":7000000001,"is_bot":false,"first_name":"Jane","last_name":"Doe","username":"jane","language_code":"en"},"chat":{"id":-1001234567890,"title":"Bench","type":"supergroup"},"date":%d,"text":%s,"entities":[{"offset":0,"length":6,"type":"bold"}]}`,
		seq, sent(seq).Unix(), quote(Text(seq)))
}

func telegramUpdate(seq int) string {
	return fmt.Sprintf(`{"update_id":%d,"message":%s}`, seq, telegramMessage(seq))
}

// telegram is the Bot API. An update is confirmed, and does not come again, when updates
// are asked for with an offset that is higher than its number.
func (s *Service) telegram() {
	var mu sync.Mutex
	confirmed := map[string]int{} // by bot
	s.mux.HandleFunc("/{bot}/getUpdates", func(w http.ResponseWriter, r *http.Request) {
		offset, _ := strconv.Atoi(r.FormValue("offset"))
		seconds, _ := strconv.Atoi(r.FormValue("timeout"))
		mu.Lock()
		after := max(confirmed[r.PathValue("bot")], offset-1)
		confirmed[r.PathValue("bot")] = after
		mu.Unlock()
		live, done := s.live(r)
		defer done()
		ctx, cancel := context.WithTimeout(live, time.Duration(seconds)*time.Second)
		defer cancel()
		n := min(s.wait(ctx, after), after+PageSize)
		var b strings.Builder
		b.WriteString(`{"ok":true,"result":[`)
		if n > after {
			s.list(&b, after+1, n, telegramUpdate)
		}
		b.WriteString(`]}`)
		answer(w, b.String())
	})
	s.mux.HandleFunc("/{bot}/sendMessage", func(w http.ResponseWriter, r *http.Request) {
		answer(w, fmt.Sprintf(`{"ok":true,"result":%s}`, telegramMessage(s.arrive(field(r, "text")))))
	})
}
