package flipletlocal

import (
	"bufio"
	"bytes"
	"cmp"
	"encoding/base64"
	"encoding/json"
	"errors"
	"fmt"
	"image"
	"image/color"
	"image/png"
	"io"
	"maps"
	"os"
	"os/exec"
	"slices"
	"sync"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
)

// browser is a Chromium that a test drives through a pipe: it presses real keys and
// looks at what is painted.
type browser struct {
	t    testing.TB
	pipe io.Writer

	mu      sync.Mutex
	last    int
	waiting map[int]chan answer
	asked   []string // the URLs of all requests
	said    []string // errors that pages told
	ended   error
}

type answer struct {
	Result json.RawMessage
	Error  *struct{ Message string }
}

// drive starts a browser that ends with the test, or skips the test where there is none.
func drive(t testing.TB) *browser {
	t.Helper()
	path := chromium(t)
	// Not t.TempDir: helpers of the browser may still write while it ends.
	profile, err := os.MkdirTemp("", "fliplet-local-chromium-")
	require.NoError(t, err)
	theirIn, in, err := os.Pipe()
	require.NoError(t, err)
	out, theirOut, err := os.Pipe()
	require.NoError(t, err)
	cmd := exec.CommandContext(t.Context(), path, append(quiet(profile), "--remote-debugging-pipe", "--hide-scrollbars", "--force-color-profile=srgb", "--lang=en")...)
	cmd.Env = append(os.Environ(), "HOME="+profile)
	cmd.ExtraFiles = []*os.File{theirIn, theirOut} // descriptors 3 and 4
	require.NoError(t, cmd.Start())
	theirIn.Close()
	theirOut.Close()
	b := &browser{t: t, pipe: in, waiting: map[int]chan answer{}}
	read := make(chan struct{})
	go func() { b.read(out); close(read) }()
	t.Cleanup(func() {
		_, _ = io.WriteString(in, `{"id":0,"method":"Browser.close"}`+"\x00")
		in.Close()
		_ = cmd.Wait() // whatever its status, it is over
		<-read
		out.Close()
		_ = os.RemoveAll(profile) // helpers may still write
	})
	return b
}

// read takes what the browser says until it ends.
func (b *browser) read(out io.Reader) {
	lines := bufio.NewReader(out)
	for {
		line, err := lines.ReadBytes(0)
		if err != nil {
			b.mu.Lock()
			b.ended = errors.New("the browser has ended")
			for id, c := range b.waiting {
				close(c)
				delete(b.waiting, id)
			}
			b.mu.Unlock()
			return
		}
		var said struct {
			ID     int
			Method string
			Params struct {
				Request          struct{ URL string }
				ExceptionDetails json.RawMessage
				Entry            struct{ Level, Text, URL string }
			}
			answer
		}
		if json.Unmarshal(line[:len(line)-1], &said) != nil {
			continue
		}
		b.mu.Lock()
		switch {
		case said.Method == "Network.requestWillBeSent":
			b.asked = append(b.asked, said.Params.Request.URL)
		case said.Method == "Runtime.exceptionThrown":
			b.said = append(b.said, string(said.Params.ExceptionDetails))
		case said.Method == "Log.entryAdded" && said.Params.Entry.Level == "error":
			b.said = append(b.said, said.Params.Entry.Text+" "+said.Params.Entry.URL)
		case b.waiting[said.ID] != nil:
			b.waiting[said.ID] <- said.answer
			delete(b.waiting, said.ID)
		}
		b.mu.Unlock()
	}
}

func (b *browser) call(session, method string, params m) json.RawMessage {
	b.t.Helper()
	reply := make(chan answer, 1)
	b.mu.Lock()
	require.NoError(b.t, b.ended)
	b.last++
	id := b.last
	b.waiting[id] = reply
	b.mu.Unlock()
	if params == nil {
		params = m{}
	}
	line, err := json.Marshal(m{"id": id, "sessionId": session, "method": method, "params": params})
	if session == "" {
		line, err = json.Marshal(m{"id": id, "method": method, "params": params})
	}
	require.NoError(b.t, err)
	_, err = b.pipe.Write(append(line, 0))
	require.NoError(b.t, err)
	select {
	case a, ok := <-reply:
		require.True(b.t, ok, "the browser has ended during %s", method)
		require.Nil(b.t, a.Error, "%s: %v", method, a.Error)
		return a.Result
	case <-time.After(2 * time.Minute):
		require.Fail(b.t, "the browser does not answer", method)
		return nil
	}
}

// requests are the URLs that were asked for so far, and errors what pages complained of.
func (b *browser) requests() (urls, errs []string) {
	b.mu.Lock()
	defer b.mu.Unlock()
	return append([]string{}, b.asked...), append([]string{}, b.said...)
}

// tab is one page.
type tab struct {
	*browser
	session string
}

// open shows an address in a new page of this size, in CSS pixels.
func (b *browser) open(url string, width, height int) *tab {
	b.t.Helper()
	var target struct{ TargetID string }
	require.NoError(b.t, json.Unmarshal(b.call("", "Target.createTarget", m{"url": "about:blank"}), &target))
	var session struct{ SessionID string }
	require.NoError(b.t, json.Unmarshal(b.call("", "Target.attachToTarget", m{"targetId": target.TargetID, "flatten": true}), &session))
	p := &tab{b, session.SessionID}
	for _, domain := range []string{"Page", "Network", "Runtime", "Log"} {
		p.do(domain+".enable", nil)
	}
	p.do("Emulation.setDeviceMetricsOverride", m{"width": width, "height": height, "deviceScaleFactor": 1, "mobile": width < 600})
	p.do("Emulation.setFocusEmulationEnabled", m{"enabled": true})
	p.prefer("prefers-color-scheme", "light")
	p.visit(url)
	return p
}

func (p *tab) visit(url string) {
	p.t.Helper()
	p.do("Page.navigate", m{"url": url})
	p.until(`document.getElementById("state")?.textContent === "live"`)
}

func (p *tab) do(method string, params m) json.RawMessage {
	p.t.Helper()
	return p.call(p.session, method, params)
}

// prefer sets one thing that a person has asked the browser for.
func (p *tab) prefer(feature, value string) {
	p.t.Helper()
	p.do("Emulation.setEmulatedMedia", m{"features": []any{m{"name": feature, "value": value}}})
}

// eval returns the value of an expression, decoded from JSON.
func (p *tab) eval(expression string) any {
	p.t.Helper()
	var got struct {
		Result           struct{ Value any }
		ExceptionDetails json.RawMessage
	}
	require.NoError(p.t, json.Unmarshal(p.do("Runtime.evaluate", m{"expression": expression, "returnByValue": true, "awaitPromise": true}), &got))
	require.Empty(p.t, string(got.ExceptionDetails), expression)
	return got.Result.Value
}

func (p *tab) text(selector string) string {
	p.t.Helper()
	s, _ := p.eval(`document.querySelector(` + quoted(selector) + `)?.innerText ?? "(there is no such element)"`).(string)
	return s
}

// until waits for an expression to become true. The page has a clock of its own.
func (p *tab) until(expression string) {
	p.t.Helper()
	for end := time.Now().Add(2 * time.Minute); time.Now().Before(end); time.Sleep(30 * time.Millisecond) {
		if p.eval(expression) == true {
			return
		}
	}
	_, errs := p.requests()
	require.Fail(p.t, "it never became true", "%s\n%v\n%s", expression, errs, p.eval("document.body?.innerText.slice(0, 2000)"))
}

// press types a key that has this name.
func (p *tab) press(key string) {
	p.t.Helper()
	codes := map[string]int{"Tab": 9, "Enter": 13, "Escape": 27, " ": 32, "End": 35, "Home": 36, "ArrowLeft": 37, "ArrowUp": 38, "ArrowRight": 39, "ArrowDown": 40}
	down := m{"type": "rawKeyDown", "key": key, "code": key, "windowsVirtualKeyCode": codes[key]}
	if key == "Enter" {
		down["type"], down["text"] = "keyDown", "\r"
	}
	p.do("Input.dispatchKeyEvent", down)
	p.do("Input.dispatchKeyEvent", m{"type": "keyUp", "key": key, "code": key, "windowsVirtualKeyCode": codes[key]})
}

// picture writes what is seen as a PNG.
func (p *tab) picture(file string) {
	p.t.Helper()
	var shot struct{ Data string }
	require.NoError(p.t, json.Unmarshal(p.do("Page.captureScreenshot", m{"format": "png"}), &shot))
	fast, err := base64.StdEncoding.DecodeString(shot.Data)
	require.NoError(p.t, err)
	seen, err := png.Decode(bytes.NewReader(fast))
	require.NoError(p.t, err)
	var small bytes.Buffer
	require.NoError(p.t, (&png.Encoder{CompressionLevel: png.BestCompression}).Encode(&small, fewColors(seen)))
	require.NoError(p.t, os.WriteFile(file, small.Bytes(), 0o644)) //nolint:gosec // G306: everybody may see the pictures
}

// fewColors paints a picture with the 256 colors that it has most of, which makes it a
// third as large and looks the same.
func fewColors(in image.Image) *image.Paletted {
	count := map[color.Color]int{}
	at := in.Bounds()
	for y := at.Min.Y; y < at.Max.Y; y++ {
		for x := at.Min.X; x < at.Max.X; x++ {
			count[in.At(x, y)]++
		}
	}
	colors := slices.SortedFunc(maps.Keys(count), func(a, b color.Color) int {
		return cmp.Or(count[b]-count[a], cmp.Compare(fmt.Sprint(a), fmt.Sprint(b)))
	})
	out := image.NewPaletted(at, colors[:min(len(colors), 256)])
	nearest := map[color.Color]uint8{}
	for c := range count {
		nearest[c] = uint8(out.Palette.Index(c)) //nolint:gosec // G115: it has 256 at most
	}
	for y := at.Min.Y; y < at.Max.Y; y++ {
		for x := at.Min.X; x < at.Max.X; x++ {
			out.SetColorIndex(x, y, nearest[in.At(x, y)])
		}
	}
	return out
}

func quoted(text string) string {
	b, _ := json.Marshal(text) // a text always marshals
	return string(b)
}
