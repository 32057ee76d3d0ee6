package storm

import (
	"bytes"
	"fmt"
	"math/rand/v2"
	"strings"
	"time"
)

// kind is one thing that can happen to a request.
type kind struct {
	// Name says what happens.
	Name string
	// fits says which requests it can happen to: all of them if nil. What no client could
	// tell from an honest answer does not fit.
	fits func(*request) bool
	// do serves the request. It reports whether the connection can go on.
	do func(*exchange) bool
}

// exchange is a request that is being served.
type exchange struct {
	c    *conn
	q    *request
	rand *rand.Rand
	n    uint64
	sent int    // how often it was forwarded
	note string // what the event says beside the kind
}

// draw picks one of the kinds that fit.
func (x *exchange) draw() kind {
	for {
		all := x.c.p.kinds
		if k := all[x.rand.IntN(len(all))]; k.fits == nil || k.fits(x.q) {
			return k
		}
	}
}

// between draws a duration, in milliseconds.
func (x *exchange) between(from, to int) time.Duration {
	return time.Duration(from+x.rand.IntN(to-from)) * time.Millisecond
}

// forward gives the request to the server. nil: there is no answer, and the connection
// is to be closed.
func (x *exchange) forward() *answer {
	a, err := x.c.forward(x.q)
	if err != nil {
		return nil
	}
	x.sent++
	if x.q.insert() && strings.HasPrefix(a.status, "2") {
		p := x.c.p
		p.mu.Lock()
		if x.sent > 1 {
			p.doubled[x.q.guid()]++
		}
		if p.inserts = append(p.inserts, *a); len(p.inserts) > 10 {
			p.inserts = p.inserts[1:]
		}
		p.mu.Unlock()
	}
	return a
}

// write gives bytes to the client.
func (x *exchange) write(b []byte) bool {
	_, err := x.c.nc.Write(b)
	return err == nil
}

// reset ends the connection without a word.
func (x *exchange) reset() bool {
	x.c.reset()
	return false
}

// pass is what happens to most requests: nothing.
func pass(x *exchange) bool {
	a := x.forward()
	return a != nil && x.write(a.bytes())
}

// after forwards the request and does something to the answer.
func after(do func(*exchange, *answer) bool) func(*exchange) bool {
	return func(x *exchange) bool {
		a := x.forward()
		return a != nil && do(x, a)
	}
}

// right answers as it should be, in an unusual way.
func right(change func(*exchange, *answer) []byte) func(*exchange) bool {
	return after(func(x *exchange, a *answer) bool { return x.write(change(x, a)) })
}

// last is right, and closes the connection.
func last(change func(*exchange, *answer) []byte) func(*exchange) bool {
	return after(func(x *exchange, a *answer) bool {
		x.write(change(x, a))
		return false
	})
}

// part cuts bytes somewhere in the middle.
func (x *exchange) part(b []byte) []byte {
	if len(b) < 2 {
		return nil
	}
	return b[:1+x.rand.IntN(len(b)-1)]
}

// drip writes little by little, for some seconds at most.
func (x *exchange) drip(b []byte) bool {
	for pieces := 8; len(b) > 0; pieces-- {
		n := len(b)
		if pieces > 0 {
			n = min(n, 1+len(b)/(pieces+1))
		}
		if !x.write(b[:n]) {
			return false
		}
		if b = b[n:]; len(b) > 0 && !x.c.hold(x.between(20, 250)) {
			return false
		}
	}
	return true
}

// hang waits until the client gives up, or the storm is over.
func (x *exchange) hang() bool {
	x.c.hold(10 * time.Minute)
	return x.reset()
}

// hasBody fits answers that can be cut in the middle: all but those to deletions.
func hasBody(q *request) bool { return q.method != "DELETE" }

// inserts fits what stores a message.
func inserts(q *request) bool { return q.insert() }

// repeatable fits what may reach the server twice: reads, inserts, which are counted, and
// what changes or deletes a row. The creation of a conversation may not.
func repeatable(q *request) bool {
	return q.method == "GET" || q.rows() || q.insert() || strings.Contains(q.route(), "/data/")
}

// kinds are what happens. What the network does comes first, then what is done to an
// answer, and then what is right but unusual; answers of others are in gateways.go.
var kinds = append([]kind{
	{"connection refused", nil, func(x *exchange) bool {
		x.c.p.shut(x.between(50, 400))
		return x.reset()
	}},
	{"reset before the request was forwarded", nil, (*exchange).reset},
	{"closed before the request was forwarded", nil, func(*exchange) bool { return false }},
	{"swallowed before the request was forwarded", nil, (*exchange).hang},
	{"request forwarded late", nil, func(x *exchange) bool {
		return x.c.hold(x.between(50, 500)) && pass(x)
	}},
	{"request forwarded twice", repeatable, func(x *exchange) bool {
		a := x.forward()
		return a != nil && x.forward() != nil && x.write(a.bytes())
	}},
	{"request forwarded twice, and the second answer given", repeatable, func(x *exchange) bool {
		if x.forward() == nil {
			return false
		}
		a := x.forward()
		return a != nil && x.write(a.bytes())
	}},

	{"answer lost: reset", nil, after(func(x *exchange, _ *answer) bool { return x.reset() })},
	{"answer lost: closed", nil, after(func(*exchange, *answer) bool { return false })},
	{"answer lost: swallowed", nil, after(func(x *exchange, _ *answer) bool { return x.hang() })},
	{"answer lost: half closed", nil, after(func(x *exchange, _ *answer) bool {
		_ = x.c.nc.CloseWrite()
		x.c.hold(10 * time.Second)
		return false
	})},
	{"answer late by seconds", nil, after(func(x *exchange, a *answer) bool {
		return x.c.hold(x.between(500, 4000)) && x.write(a.bytes())
	})},
	{"reset in the header", nil, after(func(x *exchange, a *answer) bool {
		x.write(x.part(a.head("HTTP/1.1", length(len(a.body)))))
		return x.reset()
	})},
	{"closed in the header", nil, last(func(x *exchange, a *answer) []byte {
		return x.part(a.head("HTTP/1.1", length(len(a.body))))
	})},
	{"swallowed in the header", nil, after(func(x *exchange, a *answer) bool {
		x.write(x.part(a.head("HTTP/1.1", length(len(a.body)))))
		return x.hang()
	})},
	{"reset in the body", hasBody, after(func(x *exchange, a *answer) bool {
		x.write(append(a.head("HTTP/1.1", length(len(a.body))), x.part(a.body)...))
		return x.reset()
	})},
	{"closed in the body", hasBody, last(func(x *exchange, a *answer) []byte {
		return append(a.head("HTTP/1.1", length(len(a.body))), x.part(a.body)...)
	})},
	{"swallowed in the body", hasBody, after(func(x *exchange, a *answer) bool {
		x.write(append(a.head("HTTP/1.1", length(len(a.body))), x.part(a.body)...))
		return x.hang()
	})},
	{"half a body with its own Content-Length", hasBody, right(func(x *exchange, a *answer) []byte {
		a.body = x.part(a.body)
		return a.bytes()
	})},
	{"half a body without Content-Length", hasBody, last(func(x *exchange, a *answer) []byte {
		return append(a.head("HTTP/1.1", "Connection: close"), x.part(a.body)...)
	})},
	{"half a body with status 206", hasBody, right(func(x *exchange, a *answer) []byte {
		a.status, a.body = "206 Partial Content", x.part(a.body)
		return a.bytes()
	})},
	{"Content-Length too small", hasBody, last(func(x *exchange, a *answer) []byte {
		return append(a.head("HTTP/1.1", length(len(x.part(a.body)))), a.body...)
	})},
	{"two different Content-Lengths", nil, last(func(_ *exchange, a *answer) []byte {
		return a.with(length(len(a.body) + 7))
	})},
	{"chunks of a size that is none", hasBody, last(func(x *exchange, a *answer) []byte {
		return append(append(a.head("HTTP/1.1", "Transfer-Encoding: chunked"), chunk(x.part(a.body))...), "zz\r\n"...)
	})},
	{"chunks without an end", hasBody, last(func(_ *exchange, a *answer) []byte {
		return append(a.head("HTTP/1.1", "Transfer-Encoding: chunked"), chunk(a.body)...)
	})},
	{"gzip that is none", hasBody, right(func(_ *exchange, a *answer) []byte { return a.with("Content-Encoding: gzip") })},
	{"an encoding that nobody asked for", hasBody, right(func(x *exchange, a *answer) []byte {
		a.body = bytes.Map(func(r rune) rune { return r ^ 1 }, x.part(a.body))
		return a.with("Content-Encoding: br")
	})},
	{"a page behind the JSON", hasBody, right(func(_ *exchange, a *answer) []byte {
		a.body = append(a.body, portal...)
		return a.bytes()
	})},
	{"bytes that are no HTTP", nil, last(func(x *exchange, _ *answer) []byte {
		return [][]byte{[]byte("SSH-2.0-OpenSSH_9.9\r\n"), {0x15, 3, 1, 0, 2, 2, 40}, []byte("ICY 200 OK\r\n\r\n{}"), make([]byte, 100)}[x.rand.IntN(4)]
	})},
	{"a status that is none", nil, last(func(_ *exchange, a *answer) []byte {
		a.status = "abc OK"
		return a.bytes()
	})},
	{"a header that is none", nil, last(func(_ *exchange, a *answer) []byte { return a.with("this is no header") })},

	{"header dripping", nil, after(func(x *exchange, a *answer) bool {
		return x.drip(a.head("HTTP/1.1", length(len(a.body)))) && x.write(a.body)
	})},
	{"body dripping", nil, after(func(x *exchange, a *answer) bool {
		return x.write(a.head("HTTP/1.1", length(len(a.body)))) && x.drip(a.body)
	})},
	{"chunks", nil, right(func(x *exchange, a *answer) []byte {
		b, some := a.head("HTTP/1.1", "Transfer-Encoding: chunked"), x.part(a.body)
		if len(some) > 0 {
			b = append(b, chunk(some)...)
		}
		if rest := a.body[len(some):]; len(rest) > 0 {
			b = append(b, chunk(rest)...)
		}
		return append(b, "0\r\n\r\n"...)
	})},
	{"an end that is the end of the connection", nil, last(func(_ *exchange, a *answer) []byte {
		return append(a.head("HTTP/1.1", "Connection: close"), a.body...)
	})},
	{"HTTP/1.0", nil, last(func(_ *exchange, a *answer) []byte {
		return append(a.head("HTTP/1.0", length(len(a.body))), a.body...)
	})},
	{"Connection: close", nil, last(func(_ *exchange, a *answer) []byte { return a.with("Connection: close") })},
	{"100 Continue before", nil, right(func(_ *exchange, a *answer) []byte {
		return append([]byte("HTTP/1.1 100 Continue\r\n\r\n"), a.bytes()...)
	})},
	{"103 Early Hints before", nil, right(func(_ *exchange, a *answer) []byte {
		return append([]byte("HTTP/1.1 103 Early Hints\r\nLink: </x.css>; rel=preload\r\n\r\n"), a.bytes()...)
	})},
	{"Content-Type of something else", nil, right(func(x *exchange, a *answer) []byte {
		a.headers = without(a.headers, "content-type")
		return a.with([]string{"Content-Type: text/html", "Content-Type: image/png", "Content-Type: ;;", "X-None: 1"}[x.rand.IntN(4)])
	})},
	{"no Date", nil, right(func(_ *exchange, a *answer) []byte {
		a.headers = without(a.headers, "date")
		return a.bytes()
	})},
	{"a Date that is wrong", nil, right(func(x *exchange, a *answer) []byte {
		by := []time.Duration{-24 * time.Hour, -time.Hour, -10 * time.Second, 10 * time.Second, time.Hour, 24 * time.Hour}[x.rand.IntN(6)]
		x.note = fmt.Sprint(" by ", by)
		a.headers = without(a.headers, "date")
		return a.with("Date: " + time.Now().Add(by).UTC().Format("Mon, 02 Jan 2006 15:04:05 GMT"))
	})},
	{"a Date that is none", nil, right(func(_ *exchange, a *answer) []byte {
		a.headers = without(a.headers, "date")
		return a.with("Date: today")
	})},
	{"headers twice", nil, right(func(_ *exchange, a *answer) []byte {
		return a.with(append(append([]string(nil), a.headers...), length(len(a.body)))...)
	})},
	{"a very long header", nil, right(func(_ *exchange, a *answer) []byte {
		return a.with("X-Trace: " + strings.Repeat("x", 100_000))
	})},
	{"a thousand headers", nil, right(func(_ *exchange, a *answer) []byte {
		return a.with(strings.Split(strings.TrimSpace(strings.Repeat("X-Trace: 1\n", 1000)), "\n")...)
	})},
	{"header names in other letters", nil, right(func(_ *exchange, a *answer) []byte {
		for i, h := range a.headers {
			n, v, _ := strings.Cut(h, ":")
			a.headers[i] = strings.ToUpper(n) + ":" + v
		}
		return a.bytes()
	})},
	{"white space around the JSON", hasBody, right(func(_ *exchange, a *answer) []byte {
		a.body = []byte(" \r\n\t" + string(a.body) + "\n\n")
		return a.bytes()
	})},
	{"a byte order mark before the JSON", hasBody, right(func(_ *exchange, a *answer) []byte {
		a.body = []byte("\ufeff" + string(a.body))
		return a.bytes()
	})},
	{"408 on the idle connection behind the answer", nil, last(func(_ *exchange, a *answer) []byte {
		return append(a.bytes(), "HTTP/1.1 408 Request Time-out\r\nConnection: close\r\n\r\n"...)
	})},
}, gateways()...)

// Kinds are the names of all faults.
func Kinds() []string {
	names := make([]string, len(kinds))
	for i, k := range kinds {
		names[i] = k.Name
	}
	return names
}
