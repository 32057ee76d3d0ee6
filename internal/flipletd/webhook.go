package flipletd

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"maps"
	"net/http"
	"net/url"
	"slices"
	"strings"

	"github.com/fliplet/fliplet-chat-go/internal/flipletd/handlebars"
)

// hookWeb is the type of hooks that send a request.
const hookWeb = "web"

// What one web hook may hold and send, in bytes.
const (
	maxHookPayload = 256 << 10
	maxHookBody    = 1 << 20
)

// webHook is the request of a hook, its texts read as templates.
type webHook struct {
	method, endpoint *handlebars.Template
	shown            string // the endpoint without its query, not filled in
	headers          []hookHeader
	body             any // texts in it are templates
	sendsBody        bool
}

type hookHeader struct {
	name  string
	value *handlebars.Template
}

var (
	errNoPayload  = errors.New("payload must be an object with an endpoint")
	errNoEndpoint = errors.New("payload.endpoint is missing: nothing can be sent")
)

// readWebHook reads the payload of a web hook.
func readWebHook(payload any) (*webHook, error) {
	fields, ok := payload.(map[string]any)
	if !ok {
		return nil, errNoPayload
	}
	if fields["endpoint"] == nil {
		return nil, errNoEndpoint
	}
	endpoint, ok := fields["endpoint"].(string)
	if !ok {
		return nil, errors.New("payload.endpoint must be a text")
	}
	if len(appendValue(nil, payload)) > maxHookPayload {
		return nil, fmt.Errorf("payload is larger than %d KiB", maxHookPayload>>10)
	}
	w := &webHook{shown: withoutQuery(endpoint)}
	var err error
	if w.endpoint, err = handlebars.Parse(endpoint); err != nil {
		return nil, fmt.Errorf("payload.endpoint: %w", err)
	}
	method, ok := fields["method"].(string)
	if !ok && fields["method"] != nil {
		return nil, errors.New("payload.method must be a text")
	}
	method = orElse(method, defaultHookMethod)
	if w.method, err = handlebars.Parse(method); err != nil {
		return nil, fmt.Errorf("payload.method: %w", err)
	}
	if _, ok := hookMethod(method); !ok && !strings.Contains(method, "{{") {
		return nil, errHookMethod
	}
	headers, ok := fields["headers"].(map[string]any)
	if !ok && fields["headers"] != nil {
		return nil, errors.New("payload.headers must be an object")
	}
	for _, name := range slices.Sorted(maps.Keys(headers)) {
		value, ok := headers[name].(string)
		if headers[name] == nil {
			continue
		}
		if !ok {
			switch headers[name].(type) {
			case []any, map[string]any:
				return nil, fmt.Errorf("payload.headers: the value of %.60q must be a text", name)
			}
			value = plainText(headers[name])
		}
		if !isToken(name) {
			return nil, fmt.Errorf("payload.headers: %.60q is no name of a header", name)
		}
		h := hookHeader{name: name}
		if h.value, err = handlebars.Parse(value); err != nil {
			return nil, fmt.Errorf("payload.headers: the value of %.60q: %w", name, err)
		}
		w.headers = append(w.headers, h)
	}
	w.sendsBody = fields["body"] != nil
	if w.body, err = readTemplates(fields["body"]); err != nil {
		return nil, fmt.Errorf("payload.body: %w", err)
	}
	return w, nil
}

var errHookMethod = errors.New("payload.method must be GET, POST, PUT, PATCH, DELETE or HEAD")

func hookMethod(s string) (method string, ok bool) {
	method = strings.ToUpper(strings.TrimSpace(s))
	return method, slices.Contains([]string{"GET", "POST", "PUT", "PATCH", "DELETE", "HEAD"}, method)
}

// isToken says that a header can be called that.
func isToken(s string) bool {
	return s != "" && !strings.ContainsFunc(s, func(r rune) bool {
		return !(r >= 'a' && r <= 'z' || r >= 'A' && r <= 'Z' || r >= '0' && r <= '9' || strings.ContainsRune("!#$%&'*+-.^_`|~", r))
	})
}

// withoutQuery cuts off what may hold a secret.
func withoutQuery(endpoint string) string {
	endpoint, _, _ = strings.Cut(endpoint, "?")
	for i := range endpoint {
		if endpoint[i] == '#' && (i == 0 || endpoint[i-1] != '{') {
			return endpoint[:i]
		}
	}
	return endpoint
}

// readTemplates puts a template in the place of every text. Keys are no templates.
func readTemplates(v any) (any, error) {
	switch v := v.(type) {
	case string:
		return handlebars.Parse(v)
	case []any:
		out := make([]any, len(v))
		for i, e := range v {
			t, err := readTemplates(e)
			if err != nil {
				return nil, fmt.Errorf("[%d]: %w", i, err)
			}
			out[i] = t
		}
		return out, nil
	case map[string]any:
		out := make(map[string]any, len(v))
		for k, e := range v {
			t, err := readTemplates(e)
			if err != nil {
				return nil, fmt.Errorf("%.60q: %w", k, err)
			}
			out[k] = t
		}
		return out, nil
	}
	return v, nil
}

// filling fills the templates of one request, within limits.
type filling struct {
	row    map[string]any
	left   int // bytes
	budget handlebars.Budget
}

func (f *filling) text(t *handlebars.Template) (string, error) {
	s, err := t.Render(f.row, &f.budget)
	if f.left -= len(s); err == nil && f.left < 0 {
		err = handlebars.ErrTooLarge
	}
	return s, err
}

func (f *filling) value(v any) (any, error) {
	var err error
	switch v := v.(type) {
	case *handlebars.Template:
		return f.text(v)
	case []any:
		out := make([]any, len(v))
		for i, e := range v {
			if out[i], err = f.value(e); err != nil {
				return nil, err
			}
		}
		return out, nil
	case map[string]any:
		out := make(map[string]any, len(v))
		for k, e := range v {
			if out[k], err = f.value(e); err != nil {
				return nil, err
			}
		}
		return out, nil
	}
	return v, nil
}

// request fills a hook in. It also returns the payload as it may be shown: values of headers
// and of the query are left out. No error repeats anything of a row.
func (w *webHook) request(ctx context.Context, hosts hookHosts, row map[string]any, body any) (*http.Request, map[string]any, error) {
	f := &filling{row: row, left: maxHookBody, budget: handlebars.Budget{Steps: hookSteps, Ctx: ctx}}
	method, err := f.text(w.method)
	if err != nil {
		return nil, nil, fmt.Errorf("payload.method: %w", err)
	}
	endpoint, err := f.text(w.endpoint)
	if err != nil {
		return nil, nil, fmt.Errorf("payload.endpoint: %w", err)
	}
	method, ok := hookMethod(method)
	if !ok {
		return nil, nil, errHookMethod
	}
	if err := hosts.check(endpoint); err != nil {
		return nil, nil, fmt.Errorf("payload.endpoint: %w", err)
	}
	to, err := url.Parse(endpoint)
	if err != nil {
		return nil, nil, errors.New("payload.endpoint: what the row fills in makes no address")
	}
	// The last word: what is parsed is what is asked.
	if host, port, err := splitAuthority(to.Host); err != nil || to.User != nil || !hosts.named(host, orElse(port, defaultPort(to.Scheme))) && !isLoopback(host) {
		return nil, nil, errors.New("payload.endpoint: the host is not plain")
	}
	if body == nil && w.sendsBody {
		if body, err = f.value(w.body); err != nil {
			return nil, nil, fmt.Errorf("payload.body: %w", err)
		}
	}
	var encoded []byte
	switch b := body.(type) {
	case nil:
	case string:
		encoded = []byte(b)
	default:
		encoded = appendValue(nil, b)
	}
	if len(encoded) > maxHookBody {
		return nil, nil, fmt.Errorf("payload.body: %w", handlebars.ErrTooLarge)
	}
	req, err := http.NewRequestWithContext(ctx, method, to.String(), bytes.NewReader(encoded))
	if err != nil {
		return nil, nil, errors.New("payload.endpoint: what the row fills in makes no address")
	}
	if body != nil {
		req.Header.Set("Content-Type", hookContentType(body, encoded))
	}
	req.Header.Set("User-Agent", "fliplet-local")
	names := make(map[string]any, len(w.headers))
	for _, h := range w.headers {
		value, err := f.text(h.value)
		if err != nil {
			return nil, nil, fmt.Errorf("payload.headers: %w", err)
		}
		if strings.ContainsFunc(value, func(r rune) bool { return r < ' ' && r != '\t' || r == 0x7f }) {
			return nil, nil, fmt.Errorf("payload.headers: the value of %.60q has a control character in it", h.name)
		}
		req.Header.Set(h.name, value)
		names[h.name] = "…"
	}
	shown := *to
	shown.RawQuery, shown.Fragment, shown.RawFragment = hideValues(to.RawQuery), "", ""
	return req, map[string]any{"method": method, "endpoint": shown.String(), "headers": names, "body": body}, nil
}

// hideValues keeps the names of a query only.
func hideValues(raw string) string {
	if raw == "" {
		return ""
	}
	pairs := strings.Split(raw, "&")
	for i, pair := range pairs {
		pairs[i] = "…"
		if name, _, found := strings.Cut(pair, "="); found {
			pairs[i] = name + "=…"
		}
	}
	return strings.Join(pairs, "&")
}

// checkHooks refuses web hooks that could never be sent, or that point to a host that is not
// allowed. Those without an endpoint point nowhere.
func (s *Server) checkHooks(v any) error {
	list, _ := v.([]any)
	for i, e := range list {
		fields, _ := e.(map[string]any)
		if fields["type"] != hookWeb {
			continue
		}
		payload, _ := fields["payload"].(map[string]any)
		endpoint, isText := payload["endpoint"].(string)
		if isText {
			if err := s.ringer.hosts.check(endpoint); err != nil {
				return badRequest("hooks[%d].payload.endpoint: %s.", i, err)
			}
			if _, err := url.Parse(endpoint); err != nil && !strings.Contains(endpoint, "{{") {
				return badRequest("hooks[%d].payload.endpoint is no address.", i)
			}
		}
		_, err := readWebHook(fields["payload"])
		if err != nil && !errors.Is(err, errNoPayload) && !errors.Is(err, errNoEndpoint) {
			return badRequest("hooks[%d].%s.", i, err)
		}
	}
	return nil
}
