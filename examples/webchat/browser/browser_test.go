package browser

import (
	"bufio"
	"context"
	"encoding/json"
	"fmt"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/chromedp/cdproto/cdp"
	"github.com/chromedp/cdproto/emulation"
	"github.com/chromedp/cdproto/input"
	"github.com/chromedp/cdproto/log"
	"github.com/chromedp/cdproto/network"
	"github.com/chromedp/cdproto/runtime"
	"github.com/chromedp/chromedp"
	"github.com/stretchr/testify/require"
)

// patience is how long a condition may take to hold. Nothing is slow by itself; machines are.
const patience = 2 * time.Minute

// program is webchat, built once.
var program = sync.OnceValues(func() (string, error) {
	folder, err := os.MkdirTemp("", "webchat-test-")
	if err != nil {
		return "", err
	}
	path := filepath.Join(folder, "webchat")
	cmd := exec.CommandContext(context.Background(), "go", "build", "-o", path, "./examples/webchat")
	cmd.Dir = filepath.Join("..", "..", "..")
	cmd.Env = append(os.Environ(), "GOWORK=off")
	if out, err := cmd.CombinedOutput(); err != nil {
		return folder, fmt.Errorf("%w: %s", err, out)
	}
	return path, nil
})

var built atomic.Bool

func TestMain(m *testing.M) {
	code := m.Run()
	if built.Load() {
		path, _ := program()
		_ = os.RemoveAll(filepath.Dir(path))
	}
	os.Exit(code)
}

// webchat starts the program and returns the address that it prints.
func webchat(t *testing.T) string {
	t.Helper()
	chromium(t) // without one there is nothing to start
	built.Store(true)
	path, err := program()
	require.NoError(t, err)
	ctx, cancel := context.WithCancel(context.Background())
	cmd := exec.CommandContext(ctx, path, "-addr", "127.0.0.1:0", "-v")
	var said strings.Builder
	cmd.Stderr = &said
	cmd.Cancel = func() error { return cmd.Process.Signal(os.Interrupt) }
	cmd.WaitDelay = 10 * time.Second
	out, err := cmd.StdoutPipe()
	require.NoError(t, err)
	require.NoError(t, cmd.Start())
	t.Cleanup(func() {
		cancel()
		_ = cmd.Wait() // interrupted
		if t.Failed() {
			t.Logf("what webchat said:\n%s", said.String()[max(0, said.Len()-8000):])
		}
	})
	line, err := bufio.NewReader(out).ReadString('\n')
	require.NoError(t, err)
	return strings.TrimSpace(line)
}

// chromium is the browser's path; without one the test is skipped and says so.
func chromium(t *testing.T) string {
	t.Helper()
	for _, name := range []string{"chromium", "chromium-browser", "google-chrome"} {
		if path, err := exec.LookPath(name); err == nil {
			return path
		}
	}
	t.Skip("there is no Chromium: that the pages work in a browser was NOT checked")
	return ""
}

// browser is one browser with its pages.
type browser struct {
	t    *testing.T
	ctx  context.Context
	site string

	mu     sync.Mutex
	asked  []string // addresses
	errs   []string // what scripts complained of
	failed []string // what could not be loaded
	bytes  float64  // that came over the network
}

// open starts a browser that ends with the test.
func open(t *testing.T, site string) *browser {
	t.Helper()
	path := chromium(t)
	// Not t.TempDir: helpers of the browser may still write while it ends.
	profile, err := os.MkdirTemp("", "webchat-chromium-")
	require.NoError(t, err)
	opts := append(slices.Clone(chromedp.DefaultExecAllocatorOptions[:]), chromedp.ExecPath(path), chromedp.NoSandbox, chromedp.UserDataDir(profile),
		chromedp.Flag("hide-scrollbars", true), chromedp.Flag("force-color-profile", "srgb"), chromedp.Flag("lang", "en"),
		chromedp.Flag("disable-background-networking", true), chromedp.Flag("disable-component-update", true),
		chromedp.Flag("blink-settings", "primaryHoverType=2,availableHoverTypes=2,primaryPointerType=4,availablePointerTypes=4"), // there is a mouse
		chromedp.Flag("disable-renderer-backgrounding", true), chromedp.Flag("disable-backgrounding-occluded-windows", true), chromedp.Flag("disable-background-timer-throttling", true),
		chromedp.Env("HOME="+profile, "TZ=UTC"), chromedp.WSURLReadTimeout(patience))
	alloc, endAlloc := chromedp.NewExecAllocator(context.Background(), opts...)
	ctx, end := chromedp.NewContext(alloc)
	b := &browser{t: t, ctx: ctx, site: site}
	t.Cleanup(func() {
		_ = chromedp.Cancel(ctx)
		end()
		endAlloc()
		_ = os.RemoveAll(profile) // helpers may still write
	})
	require.NoError(t, chromedp.Do(ctx))
	return b
}

// run runs a part of a test in the same browser.
func (b *browser) run(name string, part func(*testing.T)) {
	b.t.Helper()
	whole := b.t
	whole.Run(name, func(t *testing.T) {
		b.t = t
		defer func() { b.t = whole }()
		part(t)
	})
}

// tab is one page.
type tab struct {
	*browser
	ctx context.Context
}

// page opens an address of the site in a tab of its own.
func (b *browser) page(path string, width, height int64, media ...string) *tab {
	b.t.Helper()
	ctx, cancel := chromedp.NewContext(b.ctx)
	b.t.Cleanup(cancel)
	require.NoError(b.t, chromedp.Listen(ctx, b.listen))
	p := &tab{b, ctx}
	p.do(command(network.Enable, network.EnableParams{}), command(log.Enable, cdp.Empty{}), command(runtime.Enable, cdp.Empty{}), chromedp.EmulateViewport(width, height))
	p.prefer(media...)
	p.do(chromedp.Navigate(b.site + strings.TrimPrefix(path, "/")))
	return p
}

// command is a command of the protocol as an action.
func command[P, R any](c cdp.Command[P, R], params P) chromedp.Action[chromedp.Void] {
	return chromedp.Func(func(ctx context.Context, _ *chromedp.Target) error {
		_, err := chromedp.Call(ctx, c, params)
		return err
	})
}

// prefer sets media features, such as "prefers-color-scheme=dark".
func (p *tab) prefer(media ...string) {
	var features []*emulation.MediaFeature
	for _, m := range media {
		name, value, _ := strings.Cut(m, "=")
		features = append(features, &emulation.MediaFeature{Name: name, Value: value})
	}
	p.do(command(emulation.SetEmulatedMedia, emulation.SetEmulatedMediaParams{Features: features}))
}

// listen writes down what happens in a page.
func (b *browser) listen(ev any) {
	b.mu.Lock()
	defer b.mu.Unlock()
	switch ev := ev.(type) {
	case *network.EventRequestWillBeSent:
		b.asked = append(b.asked, ev.Request.URL)
	case *network.EventLoadingFinished:
		b.bytes += ev.EncodedDataLength
	case *runtime.EventExceptionThrown:
		text := ev.ExceptionDetails.Text
		if ev.ExceptionDetails.Exception != nil {
			text += " " + ev.ExceptionDetails.Exception.Description
		}
		b.errs = append(b.errs, text)
	case *runtime.EventConsoleAPICalled:
		if slices.Contains([]runtime.ConsoleAPICalledType{"error", "warning", "assert"}, ev.Type) {
			text := string(ev.Type)
			for _, a := range ev.Args {
				text += " " + a.Description + string(a.Value)
			}
			b.errs = append(b.errs, text)
		}
	case *log.EventEntryAdded:
		switch {
		case ev.Entry.Level != "error" && ev.Entry.Level != "warning":
		case ev.Entry.Source == "network" || strings.HasPrefix(ev.Entry.Text, "Failed to load resource"):
			b.failed = append(b.failed, ev.Entry.Text+" "+ev.Entry.URL)
		default:
			b.errs = append(b.errs, ev.Entry.Text+" "+ev.Entry.URL)
		}
	}
}

// complaints are what scripts complained of, and what could not be loaded.
func (b *browser) complaints() (errs, failed []string) {
	b.mu.Lock()
	defer b.mu.Unlock()
	return slices.Clone(b.errs), slices.Clone(b.failed)
}

// foreign are the requests to other hosts.
func (b *browser) foreign() (out []string) {
	b.mu.Lock()
	defer b.mu.Unlock()
	for _, a := range b.asked {
		if !strings.HasPrefix(a, b.site) && !strings.HasPrefix(a, "blob:"+b.site) && !strings.HasPrefix(a, "data:") {
			out = append(out, a)
		}
	}
	return out
}

func (p *tab) do(actions ...chromedp.Action[chromedp.Void]) {
	p.t.Helper()
	ctx, cancel := context.WithTimeout(p.ctx, patience)
	defer cancel()
	require.NoError(p.t, chromedp.Do(ctx, actions...))
}

// eval runs a script in a page and returns what it gives.
func eval[T any](p *tab, script string) T {
	p.t.Helper()
	ctx, cancel := context.WithTimeout(p.ctx, patience)
	defer cancel()
	out, err := chromedp.Run(ctx, chromedp.Evaluate[T](script, chromedp.EvalAwaitPromise))
	require.NoError(p.t, err, script)
	return out
}

// until waits until a condition holds in the page.
func (p *tab) until(condition string) {
	p.t.Helper()
	for end := time.Now().Add(patience); time.Now().Before(end); time.Sleep(50 * time.Millisecond) {
		if eval[bool](p, "(async () => Boolean(await ("+condition+")))()") {
			return
		}
	}
	require.Fail(p.t, "never so: "+condition, "%s", eval[string](p, "document.body.innerText"))
}

// press presses keys, such as kb.Enter.
func (p *tab) press(keys string, options ...chromedp.KeyOption) {
	p.t.Helper()
	p.do(chromedp.KeyEvent(keys, options...))
}

// write puts a text where the cursor is, at once, as a keyboard of a phone does.
func (p *tab) write(text string) {
	p.t.Helper()
	p.do(command(input.InsertText, input.InsertTextParams{Text: text}))
}

// click clicks what a selector finds.
func (p *tab) click(selector string) {
	p.t.Helper()
	p.clickOn("document.querySelector(" + quoted(selector) + ")")
}

// clickOn clicks what a script finds, with the mouse: it has to be there, and nothing may
// be in front of it. When a page moves it away from under the mouse, which takes a while to
// click on a busy machine, the click has met something else, and is made again.
func (p *tab) clickOn(script string) {
	p.t.Helper()
	at := `(() => {
		const e = ` + script + `;
		if (!e) return null;
		e.scrollIntoView({ block: "nearest", behavior: "instant" });
		const r = e.getBoundingClientRect(), x = r.x + r.width / 2, y = r.y + r.height / 2, top = document.elementFromPoint(x, y);
		return top && (e === top || e.contains(top) || top.contains(e)) && !e.disabled ? [x, y, e.contains(top) ? 1 : 0] : null;
	})()`
	met := `window.clickMissed = false, document.addEventListener("click", (click) => {
		const e = ` + script + `;
		window.clickMissed = Boolean(e) && !click.composedPath().includes(e);
	}, { capture: true, once: true }), true`
	var before []float64
	for end := time.Now().Add(patience); time.Now().Before(end); time.Sleep(30 * time.Millisecond) {
		where := eval[[]float64](p, at)
		if len(where) == 3 && slices.Equal(where, before) { // it has come to rest
			eval[bool](p, met)
			p.do(chromedp.MouseClickXY(where[0], where[1]))
			if where[2] == 0 || !eval[bool](p, `Boolean(window.clickMissed)`) { // a label around it takes its clicks
				return
			}
			where = nil
		}
		before = where
	}
	require.Fail(p.t, "nothing to click: "+script)
}

// lab is what the drawer shows.
type lab struct {
	Up       bool
	Restarts int
	Counters struct{ Sent, Shown, OnTheWay, Lost, Twice, Disorder int }
}

func (b *browser) state() (s lab) {
	b.t.Helper()
	r, err := http.Get(b.site + "lab/state")
	require.NoError(b.t, err)
	defer r.Body.Close()
	require.NoError(b.t, json.NewDecoder(r.Body).Decode(&s))
	return s
}

// quoted is a value as JavaScript has it.
func quoted(v any) string {
	raw, _ := json.Marshal(v)
	return string(raw)
}
