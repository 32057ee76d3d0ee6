package storm

import (
	"net/http"
	"slices"
	"strconv"
	"strings"
)

// portal is the page of a captive portal.
const portal = `<!DOCTYPE html><html><head><title>Welcome</title></head><body><h1>Log in to the network</h1></body></html>`

// statuses are what gateways answer with. before: only what was not forwarded can be
// answered so, since the status says that the request was not carried out.
var statuses = []struct {
	code   int
	before bool
}{
	{400, false}, {401, true}, {402, false}, {403, false}, {404, false}, {405, false}, {406, false}, {408, true},
	{409, false}, {410, false}, {413, true}, {414, true}, {415, false}, {418, false}, {421, true}, {423, false},
	{424, false}, {425, true}, {429, true}, {431, true}, {451, false}, {499, false}, {500, false}, {501, false},
	{502, false}, {503, false}, {504, false}, {507, false}, {511, true}, {520, false}, {521, false}, {522, false},
	{523, false}, {524, false}, {530, false},
}

// gateways are the answers of somebody on the way: instead of the server, or although it
// has carried the request out.
func gateways() (all []kind) {
	for _, s := range statuses {
		all = append(all, kind{strconv.Itoa(s.code) + " of a gateway", nil, func(x *exchange) bool {
			if !s.before && x.rand.IntN(2) == 0 && x.forward() == nil {
				return false
			}
			a := answer{status: strconv.Itoa(s.code) + " " + http.StatusText(s.code)}
			switch x.rand.IntN(3) {
			case 0:
				a.headers, a.body = []string{"Content-Type: text/html"}, []byte(strings.ReplaceAll(portal, "Log in to the network", a.status))
				x.note = " with a page"
			case 1:
				a.headers, a.body = []string{"Content-Type: application/json"}, []byte(`{"message":"no route for this request"}`)
				x.note = " with JSON"
			default:
				x.note = " with nothing"
			}
			if s.code == 429 || s.code == 503 {
				wait := []string{"", "Retry-After: 1", "Retry-After: 2", "Retry-After: soon", "Retry-After: -5"}[x.rand.IntN(5)]
				if wait != "" {
					a.headers = append(a.headers, wait)
				}
				x.note += " " + wait
			}
			return x.write(a.bytes())
		}})
	}
	for _, code := range []int{301, 302, 303, 307, 308} {
		all = append(all, kind{strconv.Itoa(code) + " to another host", nil, func(x *exchange) bool {
			a := answer{status: strconv.Itoa(code) + " Moved", headers: []string{"Location: http://" + x.c.p.elsewhere.l.Addr().String() + "/login?from=" + strconv.FormatUint(x.n, 10)}}
			return x.write(a.bytes())
		}})
	}
	return append(all, lies...)
}

// lie answers with a success that the server has not given. In half of the cases the
// server had the request.
func lie(name string, fits func(*request) bool, status string, bodies ...string) kind {
	return kind{name, fits, func(x *exchange) bool {
		if x.rand.IntN(2) == 0 && x.forward() == nil {
			return false
		}
		a := answer{status: status, headers: []string{"Content-Type: application/json"}, body: []byte(bodies[x.rand.IntN(len(bodies))])}
		if strings.HasPrefix(string(a.body), "<") {
			a.headers = []string{"Content-Type: text/html"}
		}
		return x.write(a.bytes())
	}}
}

// unlikeRows fits what an empty list of rows is no answer to: neither questions for rows
// nor deletions.
func unlikeRows(q *request) bool { return q.method != http.MethodDelete && !q.rows() }

// lies are successes that say nothing, or something else than what was asked. Deletions
// may be confirmed with nothing and with any object, so these fit nothing else.
var lies = []kind{
	lie("200 with nothing", hasBody, "200 OK", ""),
	lie("200 with {}", hasBody, "200 OK", "{}"),
	lie("200 with a portal's page", nil, "200 OK", portal),
	lie("200 with words", nil, "200 OK", "OK", `"OK"`, "true"),
	lie("200 with null", hasBody, "200 OK", "null"),
	lie("200 with []", unlikeRows, "200 OK", "[]"),
	lie("200 with an empty list of rows", unlikeRows, "200 OK", `{"entries":[]}`),
	lie("200 with an error in it", nil, "200 OK", `{"error":{"message":"upstream failed"}}`),
	lie("200 with somebody's health", hasBody, "200 OK", `{"status":"ok","uptime":86400}`),
	lie("201 with nothing", hasBody, "201 Created", ""),
	lie("202 with {}", hasBody, "202 Accepted", "{}"),
	lie("204", hasBody, "204 No Content", ""),
	{"the answer to another insert", inserts, func(x *exchange) bool {
		if x.rand.IntN(2) == 0 && x.forward() == nil {
			return false
		}
		x.c.p.mu.Lock()
		others := slices.Clone(x.c.p.inserts)
		x.c.p.mu.Unlock()
		if x.sent > 0 && len(others) > 0 {
			others = others[:len(others)-1] // not its own
		}
		others = slices.DeleteFunc(others, func(a answer) bool { return strings.Contains(string(a.body), x.q.guid()) })
		if len(others) == 0 {
			return false
		}
		return x.write(others[x.rand.IntN(len(others))].bytes())
	}},
	{"101 Switching Protocols", nil, func(x *exchange) bool {
		x.write([]byte("HTTP/1.1 101 Switching Protocols\r\nConnection: Upgrade\r\nUpgrade: websocket\r\n\r\n"))
		return false
	}},
}
