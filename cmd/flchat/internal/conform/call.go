package conform

import (
	"bytes"
	"context"
	"encoding/base64"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"mime/multipart"
	"net/http"
	"net/textproto"
	"net/url"
	"regexp"
	"slices"
	"strconv"
	"strings"
	"time"
	"unicode"
	"unicode/utf16"
)

// call is a request.
type call struct {
	method, path string
	query        url.Values
	body         any    // as JSON
	text         string // instead, as it is
	parts        []part // instead, as a form
	as           credential
}

// part is one of a form.
type part struct{ name, file, content string }

// credential is what a request shows.
type credential int

const (
	asUser credential = iota
	asAPI             // the token of the app
	asUserBearer
	asUserBearerRaw
	asUserCookie
	asNobody
	asStranger     // a token that there is not
	asUserStranger // the user's, and in another header one that there is not
)

// stranger is a token of nobody's.
const stranger = "eu--flchat-conform-belongs-to-nobody"

func (r *run) sign(req *http.Request, as credential) {
	switch as {
	case asUser:
		req.Header.Set("Auth-token", r.Token)
	case asAPI:
		req.Header.Set("Auth-token", r.APIToken)
	case asUserBearer:
		req.Header.Set("Authorization", "Bearer "+base64.StdEncoding.EncodeToString([]byte(r.Token)))
	case asUserBearerRaw:
		req.Header.Set("Authorization", "Bearer "+r.Token)
	case asUserCookie:
		req.Header.Set("Cookie", "auth_token="+r.Token)
	case asStranger:
		req.Header.Set("Auth-token", stranger)
	case asUserStranger:
		req.Header.Set("Auth-token", r.Token)
		req.Header.Set("Authorization", "Bearer "+base64.StdEncoding.EncodeToString([]byte(stranger)))
	case asNobody:
	}
}

// Write is a request that changes something.
type Write struct {
	Probe  string `json:"probe"`
	Method string `json:"method"`
	Path   string `json:"path"`
	What   string `json:"what,omitempty"`
}

// limited is what a 429 has shown of the scope of limits.
type limited struct{ other string }

// maxAnswer bounds what is read of an answer.
const maxAnswer = 64 << 20

// do makes a request, at the pace of the run, and again when it was one too many. What was not
// answered stops the run, since a write may have been applied; reads are tried three times.
func (r *run) do(c call) *answer {
	r.owns(c)
	if c.writes() {
		r.writes = append(r.writes, Write{Probe: r.probe, Method: c.method, Path: r.shown(c), What: r.what(c)})
	}
	for try := 1; ; try++ {
		a, err := r.once(c)
		switch {
		case err != nil && r.ctx.Err() != nil:
			panic(stopped{context.Cause(r.ctx)})
		case err != nil && (c.writes() || try >= 3):
			panic(stopped{err})
		case err != nil:
			r.pause(time.Second)
		case a.status == http.StatusTooManyRequests && try < 8:
			r.scope(c)
			wait := r.told(a)
			r.pause(wait)
			r.waited += wait
		default:
			return a
		}
	}
}

// told is how long a 429 asks to wait.
func (r *run) told(a *answer) time.Duration {
	wait := window
	if at := when(a.object()["nextValidRequestDate"]); !at.IsZero() {
		wait = time.Until(at)
	}
	return min(max(wait, time.Second), time.Minute) + time.Second
}

// scope asks with the other token at once, when one was refused for too many requests.
func (r *run) scope(c call) {
	if r.limited != nil || r.APIToken == "" || c.as == asAPI {
		return
	}
	r.limited = &limited{}
	other, err := r.once(call{method: "GET", path: "/v1/data-sources", query: url.Values{"appId": {strconv.FormatInt(r.App, 10)}, "attributes": {"id"}}, as: asAPI})
	if err == nil {
		r.limited.other = other.said()
	}
}

func (r *run) once(c call) (*answer, error) {
	limiter := r.Calls
	if strings.HasSuffix(c.path, "/logs") {
		limiter = r.Logs
	}
	if err := limiter.Wait(r.ctx); err != nil {
		return nil, err
	}
	r.requests++
	body, kind, err := c.content()
	if err != nil {
		return nil, err
	}
	target := r.URL + c.path
	if len(c.query) > 0 {
		target += "?" + c.query.Encode()
	}
	req, err := http.NewRequestWithContext(r.ctx, c.method, target, body)
	if err != nil {
		return nil, errors.New("a request cannot be made") // its text would have the address
	}
	if kind != "" {
		req.Header.Set("Content-Type", kind)
	}
	req.Header.Set("User-Agent", "flchat conform")
	r.sign(req, c.as)
	r.sent = time.Now()
	a := &answer{}
	res, err := r.http.Do(req)
	if err != nil {
		return nil, r.lost(c, err)
	}
	defer res.Body.Close() //nolint:errcheck // it was read
	if a.raw, err = io.ReadAll(io.LimitReader(res.Body, maxAnswer)); err != nil {
		return nil, r.lost(c, err)
	}
	a.status, a.header, a.body = res.StatusCode, res.Header, decode(a.raw)
	for name := range res.Header {
		if lower := strings.ToLower(name); (strings.Contains(lower, "ratelimit") || strings.Contains(lower, "rate-limit")) && !slices.Contains(r.headers, lower) {
			r.headers = append(r.headers, lower)
		}
	}
	return a, nil
}

// lost is an error without the address, which may have a secret.
func (r *run) lost(c call, err error) error {
	if inner, ok := errors.AsType[*url.Error](err); ok {
		err = inner.Err
	}
	return &ServiceError{fmt.Sprintf("no answer to %s %s: %s", c.method, r.shown(c), r.guard.clean(err.Error()))}
}

// ServiceError: the network or the service failed.
type ServiceError struct{ text string }

func (e *ServiceError) Error() string { return e.text }

func (c *call) content() (io.Reader, string, error) {
	switch {
	case c.parts != nil:
		var b bytes.Buffer
		w := multipart.NewWriter(&b)
		for _, p := range c.parts {
			head := textproto.MIMEHeader{"Content-Disposition": {fmt.Sprintf(`form-data; name=%q`, p.name)}}
			if p.file != "" {
				head.Set("Content-Disposition", fmt.Sprintf(`form-data; name=%q; filename=%q`, p.name, p.file))
				head.Set("Content-Type", "application/octet-stream")
				if strings.HasSuffix(p.file, ".png") {
					head.Set("Content-Type", "image/png")
				}
			}
			to, err := w.CreatePart(head)
			if err != nil {
				return nil, "", err
			}
			if _, err := io.WriteString(to, p.content); err != nil {
				return nil, "", err
			}
		}
		return &b, w.FormDataContentType(), w.Close()
	case c.text != "":
		return strings.NewReader(c.text), "application/json", nil
	case c.body != nil:
		text, err := json.Marshal(c.body)
		return bytes.NewReader(text), "application/json", err
	}
	return http.NoBody, "", nil
}

// writes reports whether a request may change something.
func (c *call) writes() bool {
	switch {
	case c.method == http.MethodGet:
		return false
	case c.path == "/v1/data-sources/data", strings.HasSuffix(c.path, "/logs"):
		return false
	case strings.HasSuffix(c.path, "/data/query"):
		o, _ := c.body.(object)
		return o["type"] == "update" || o["type"] == "delete"
	}
	return true
}

// owns refuses every request for rows, data sources and files that the run has not made: a
// probe that would make one is a bug.
func (r *run) owns(c call) {
	s := strings.Split(strings.Trim(c.path, "/"), "/")
	id := func(at int) int64 {
		n, _ := strconv.ParseInt(s[at], 10, 64)
		return n
	}
	ok := true
	switch {
	case len(s) < 2 || s[0] != "v1":
		ok = false
	case len(s) == 2:
		ok = !c.writes() || s[1] == "data-sources"
	case s[1] == "data-sources" && s[2] == "deleted":
		ok = len(s) == 3 && !c.writes() || len(s) == 4 && r.roles[id(3)] != ""
	case s[1] == "data-sources" && s[2] == "data":
	case s[1] == "data-sources":
		name, _ := url.PathUnescape(s[2])
		_, named := r.names[name]
		ok = r.roles[id(2)] != "" || named && !c.writes()
	case s[1] == "media" && s[2] == "deleted":
		ok = len(s) == 3 && !c.writes() || len(s) == 5 && r.files[id(4)] != ""
	case s[1] == "media":
		ok = len(s) >= 4 && r.files[id(3)] != ""
	default:
		ok = !c.writes()
	}
	if !ok {
		panic(stopped{fmt.Errorf("%s %s is about something that this run has not made: a bug in the probe %s", c.method, r.shown(c), r.probe)})
	}
}

// shown is a path with names instead of ids.
func (r *run) shown(c call) string {
	s := strings.Split(c.path, "/")
	for i := range s {
		n, err := strconv.ParseInt(s[i], 10, 64)
		switch {
		case err != nil:
			if name, _ := url.PathUnescape(s[i]); strings.HasPrefix(name, prefix) {
				s[i] = "{" + r.role(name) + "}"
			}
		case r.roles[n] != "" && s[i-1] != "data":
			s[i] = "{" + r.roles[n] + "}"
		case s[i-1] == "data":
			s[i] = "{row}"
		case s[i-1] == "files":
			s[i] = "{file}"
		default:
			s[i] = "{id}"
		}
	}
	return strings.Join(s, "/")
}

// longWhat is how much of a body is shown.
const longWhat = 400

// drawn is what is random in a body.
var drawn = regexp.MustCompile("[0-9a-f]{32}")

func (r *run) what(c call) string {
	var text string
	switch {
	case c.parts != nil:
		var names []string
		for _, p := range c.parts {
			names = append(names, p.name+yes(p.file != "", " (a file of "+strconv.Itoa(len(p.content))+" bytes)", ""))
		}
		text = "a form: " + strings.Join(names, ", ")
	case c.text != "":
		text = c.text
	case c.body != nil:
		var b strings.Builder
		e := json.NewEncoder(&b)
		e.SetEscapeHTML(false)
		_ = e.Encode(c.body) // for people
		text = strings.TrimSpace(b.String())
	}
	text, _ = r.guard.mask(text)
	text = drawn.ReplaceAllString(text, "…")
	if cut := []rune(text); len(cut) > longWhat {
		text = string(cut[:longWhat]) + "… (" + strconv.Itoa(len(text)) + " bytes)"
	}
	return harmless(text)
}

// harmless shows what a terminal would obey as JSON does.
func harmless(text string) string {
	var b strings.Builder
	for _, r := range text {
		switch {
		case unicode.IsPrint(r):
			b.WriteRune(r)
		case r < 0x10000:
			fmt.Fprintf(&b, `\u%04x`, r)
		default:
			high, low := utf16.EncodeRune(r)
			fmt.Fprintf(&b, `\u%04x\u%04x`, high, low)
		}
	}
	return b.String()
}
