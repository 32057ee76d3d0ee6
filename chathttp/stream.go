package chathttp

import (
	"bytes"
	"cmp"
	"encoding/json"
	"errors"
	"net/http"
	"strconv"
	"time"

	chat "github.com/fliplet/fliplet-chat-go"
)

// stream serves the events of a stream, a new one or one that waits.
func (q *request) stream(_ []string) error {
	opts, acks, err := streamOptions(q.r)
	if err != nil {
		return err
	}
	var s *session
	var kicked <-chan struct{}
	id, reason := cmp.Or(q.r.Header.Get("Last-Event-ID"), q.r.URL.Query().Get("after")), ""
	if id != "" {
		var after uint64
		if s, after, reason = q.user.find(id); s != nil {
			kicked, reason = s.attach(after)
		}
	}
	resumed := kicked != nil
	if !resumed {
		if s, err = q.user.open(q.h, acks, opts); err != nil {
			return err
		}
		if kicked, _ = s.attach(0); kicked == nil {
			return chat.ErrClosed
		}
	}
	defer s.detach(kicked)
	header := q.w.Header()
	header.Set("Content-Type", "text/event-stream")
	header.Set("X-Accel-Buffering", "no") // proxies are not to collect events
	c := &conn{w: q.w, control: http.NewResponseController(q.w), within: q.h.opts.WriteTimeout, session: s}
	_ = c.control.SetReadDeadline(time.Time{}) // that of the server is for requests that end
	q.w.WriteHeader(http.StatusOK)
	var first []event
	if reason != "" {
		raw, _ := json.Marshal(struct {
			Reason string `json:"reason"`
		}{reason})
		first = append(first, event{kind: "reset", data: raw})
	}
	if !resumed {
		first = append(first, event{kind: "open", data: []byte("{}")})
	}
	if c.write(first, !resumed) != nil {
		return nil
	}
	return c.run(q, kicked)
}

// streamOptions reads the parameters of a stream.
func streamOptions(r *http.Request) (opts []chat.StreamOption, acks bool, err error) {
	query := r.URL.Query()
	from := map[string]chat.From{"": chat.FromNewest, "newest": chat.FromNewest, "now": chat.FromNow, "beginning": chat.FromBeginning}
	start, ok := from[query.Get("from")]
	if !ok {
		return nil, false, badArgument("from: give newest, now or beginning")
	}
	opts = append(opts, chat.StartAt(start))
	flag := func(name string, or bool) bool {
		switch v := query.Get(name); v {
		case "":
			return or
		case "0", "1":
			return v == "1"
		}
		err = badArgument("%s: give 0 or 1", name)
		return or
	}
	if flag("offline", false) {
		opts = append(opts, chat.Offline())
	}
	if !flag("marks", true) {
		opts = append(opts, chat.WithoutReadMarks())
	}
	return opts, flag("ack", false), err
}

// ack takes what a page says has arrived.
func (q *request) ack(_ []string) error {
	s, n, err := q.named()
	if s != nil {
		s.arrived(n)
	}
	return err
}

// giveUp ends a stream whose page will not come back.
func (q *request) giveUp(_ []string) error {
	s, _, err := q.named()
	if s != nil {
		q.user.remove(s)
		s.stop(errGivenUp)
	}
	return err
}

// named reads the id of an event, and answers. The stream is nil if there is none.
func (q *request) named() (s *session, n uint64, err error) {
	var body struct {
		ID string `json:"id"`
	}
	raw, err := q.body(1 << 10)
	if err != nil {
		return nil, 0, err
	}
	if err := json.Unmarshal(raw, &body); err != nil {
		return nil, 0, badArgument(`the body: give {"id": "…"}`)
	}
	s, n, _ = q.user.find(body.ID)
	answer(q.w, http.StatusOK, nil)
	return s, n, nil
}

// conn writes to one connection.
type conn struct {
	w       http.ResponseWriter
	control *http.ResponseController
	within  time.Duration
	session *session
	buffer  bytes.Buffer
}

// run writes what there is until the connection, or the stream, ends.
func (c *conn) run(q *request, kicked <-chan struct{}) error {
	beat := time.NewTimer(q.h.opts.Heartbeat)
	defer beat.Stop()
	for asked := time.Now(); ; {
		if time.Since(asked) >= askAgain {
			asked = time.Now()
			if over, err := q.lost(); over {
				if err != nil {
					_ = c.write([]event{{kind: "end", data: rejectionOf(err)}}, false)
				}
				return nil
			}
		}
		select {
		case <-q.r.Context().Done():
			return nil
		case <-kicked:
			return nil
		case <-beat.C:
			if c.comment() != nil {
				return nil
			}
		case <-c.session.more:
			list, over, ok := c.session.take(kicked)
			if !ok {
				return nil
			}
			if over != nil {
				list = append(list, event{kind: "end", data: rejectionOf(over)})
			}
			if c.write(list, false) != nil {
				return nil
			}
			if over != nil {
				q.user.remove(c.session)
				c.session.stop(over)
				return nil
			}
		}
		beat.Reset(q.h.opts.Heartbeat)
	}
}

// askAgain is how often it is asked whose stream this is.
const askAgain = 30 * time.Second

// lost reports whether the request of a stream is not its user's any more, such as after a
// login has run out. err is what its page is told; nil: it is to connect again.
func (q *request) lost() (over bool, err error) {
	u, err := q.h.identify(q.r)
	switch {
	case err != nil:
		return status(err) == http.StatusUnauthorized, err
	case u != q.user:
		return true, nil
	}
	return false, nil
}

func (c *conn) comment() error {
	c.buffer.WriteString(": \n\n")
	return c.flush()
}

// write writes events. opened: the last one begins the stream.
func (c *conn) write(list []event, opened bool) error {
	for i, e := range list {
		if e.kind != "" {
			c.buffer.WriteString("event: " + e.kind + "\n")
		}
		if e.n > 0 || opened && i == len(list)-1 {
			c.buffer.WriteString("id: " + c.session.id + "." + strconv.FormatUint(e.n, 10) + "\n")
		}
		c.buffer.WriteString("data: ")
		c.buffer.Write(e.data) // JSON has no line breaks
		c.buffer.WriteString("\n\n")
	}
	return c.flush()
}

// flush sends what is in the buffer. A page that does not read it in time is cut off.
func (c *conn) flush() error {
	_ = c.control.SetWriteDeadline(time.Now().Add(c.within))
	if _, err := c.w.Write(c.buffer.Bytes()); err != nil {
		return err
	}
	if err := c.control.Flush(); err != nil && !errors.Is(err, http.ErrNotSupported) {
		return err
	}
	_ = c.control.SetWriteDeadline(time.Time{}) // HTTP/2 ends a stream whose time is over, quiet or not
	if c.buffer.Cap() > 4*batch {
		c.buffer = bytes.Buffer{}
	}
	c.buffer.Reset()
	return nil
}
