package envelope_test

import (
	"context"
	"encoding/json"
	"io"
	"net/http"
	"net/http/httptest"
	"os"
	"os/exec"
	"path/filepath"
	"sync"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/fliplet/fliplet-chat-go/internal/longtest"
)

// browser finds headless Chromium, or skips the test and says why.
func browser(t *testing.T) string {
	t.Helper()
	const path = "/usr/bin/chromium"
	if !fileExists(path) {
		t.Skip(path + " is not installed: that envelope.js works in a browser was NOT checked")
	}
	return path
}

// page serves a page that runs the exchange and posts what came of it.
type page struct {
	cases    *exchange
	once     sync.Once
	received chan struct{} // closed when the report is in
	report   exchangeResult
	err      error
}

func (p *page) handler(root string) http.Handler {
	mux := http.NewServeMux()
	file := func(pattern string, path ...string) {
		mux.HandleFunc(pattern, func(w http.ResponseWriter, r *http.Request) { http.ServeFile(w, r, filepath.Join(path...)) })
	}
	file("GET /{$}", "testdata", "js", "page.html")
	file("GET /exchange.mjs", "testdata", "js", "exchange.mjs")
	file("GET /envelope.js", root, "docs", "js", "envelope.js")
	mux.HandleFunc("GET /cases.json", func(w http.ResponseWriter, _ *http.Request) {
		w.Header().Set("Content-Type", "application/json")
		_ = json.NewEncoder(w).Encode(p.cases)
	})
	mux.HandleFunc("POST /report", func(_ http.ResponseWriter, r *http.Request) {
		p.once.Do(func() {
			var data []byte
			if data, p.err = io.ReadAll(r.Body); p.err == nil {
				p.err = json.Unmarshal(data, &p.report)
			}
			close(p.received)
		})
	})
	mux.HandleFunc("GET /report-received", func(w http.ResponseWriter, r *http.Request) {
		select {
		case <-p.received:
			w.WriteHeader(http.StatusNoContent)
		case <-r.Context().Done():
		}
	})
	return mux
}

func TestEnvelopeJSInChromiumAndGoReadEachOther(t *testing.T) {
	t.Parallel()
	longtest.Only(t, "it starts a browser")
	chromium := browser(t)
	p := &page{cases: newExchange(t), received: make(chan struct{})}
	server := httptest.NewServer(p.handler(repositoryRoot(t))) // loopback is a secure context, which WebCrypto asks for
	defer server.Close()

	// Not t.TempDir: helpers of the browser may still write while it ends, and a directory left behind is no failure.
	profile, err := os.MkdirTemp("", "envelope-chromium-")
	require.NoError(t, err)
	defer os.RemoveAll(profile)
	ctx, cancel := context.WithTimeout(t.Context(), 3*time.Minute)
	defer cancel()
	command := exec.CommandContext(ctx, chromium, "--headless", "--no-sandbox", "--disable-gpu", "--disable-quic", "--no-first-run",
		"--disable-background-networking", "--disable-component-update", "--disable-sync", "--user-data-dir="+profile, "--dump-dom", server.URL)
	command.Env = append(os.Environ(), "HOME="+profile)
	command.WaitDelay = 10 * time.Second
	output, err := command.CombinedOutput()
	select {
	case <-p.received: // how the browser ended does not matter any more
	default:
		t.Fatalf("the page reported nothing (%v):\n%s", err, output)
	}
	require.NoError(t, p.err)
	p.cases.judge(t, "Chromium", p.report)
}
