package view_test

import (
	"bytes"
	"context"
	"encoding/json"
	"encoding/xml"
	"fmt"
	"image/png"
	"io"
	"log/slog"
	"math"
	"math/rand/v2"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	chat "github.com/fliplet/fliplet-chat-go"
	"github.com/fliplet/fliplet-chat-go/cmd/flchat/internal/archive"
	"github.com/fliplet/fliplet-chat-go/cmd/flchat/internal/archive/view"
	"github.com/fliplet/fliplet-chat-go/datasource"
	"github.com/fliplet/fliplet-chat-go/fliplettest"
	"github.com/fliplet/fliplet-chat-go/storage"
)

// hostile is text that would run if it got into a page as it is.
const hostile = `</script><script>document.title='owned'</script><img src=x onerror="document.title='owned'"> & "quotes" ` + "\u2028 <!--<svg onload=document.title='owned'>"

// dot is a picture of one pixel.
var dot = []byte("\x89PNG\r\n\x1a\n\x00\x00\x00\rIHDR\x00\x00\x00\x01\x00\x00\x00\x01\b\x06\x00\x00\x00\x1f\x15\xc4\x89\x00\x00\x00\rIDATx\x9cc\xf8\xcf\xc0\xf0\x1f\x00\x05\x00\x01\xff\x89\x99=\x1d\x00\x00\x00\x00IEND\xaeB`\x82")

// place is an app in which people chat.
type place struct {
	t        testing.TB
	server   *fliplettest.Server
	contacts int64
	ids      []int64
	chats    []*chat.Chat
}

func (p *place) connect(ctx context.Context, n int, store storage.Store) (*chat.Chat, error) {
	c, err := chat.Connect(ctx, chat.Options{
		Client: p.server.Client(), DataSourceID: p.contacts, AppID: p.server.AppID, PrimaryKey: "Email", Storage: store,
		LivePollInterval: 20 * time.Millisecond, Logger: slog.New(slog.DiscardHandler),
	})
	if err == nil {
		_, err = c.Login(ctx, chat.M{"Email": fmt.Sprintf("person%d@example.org", n)})
	}
	return c, err
}

func newPlace(t testing.TB, names ...string) *place {
	p := &place{t: t, server: fliplettest.New(t, fliplettest.WithClockAt(time.Date(2026, 3, 2, 9, 0, 0, 0, time.UTC)))}
	var rows []datasource.M
	for i, name := range names {
		rows = append(rows, datasource.M{"Email": fmt.Sprintf("person%d@example.org", i), "Name": name})
	}
	p.contacts, p.ids = p.server.AddContacts(rows...)
	for i := range names {
		c, err := p.connect(t.Context(), i, nil)
		require.NoError(t, err)
		t.Cleanup(func() { _ = c.Close() })
		p.chats = append(p.chats, c)
	}
	return p
}

func (p *place) say(from int, conv int64, d chat.Draft) *chat.Message {
	p.t.Helper()
	m, err := p.chats[from].Message(p.t.Context(), conv, d)
	require.NoError(p.t, err)
	p.server.ShiftClock(time.Minute)
	return m
}

func (p *place) export() *archive.Archive {
	p.t.Helper()
	path := filepath.Join(p.t.TempDir(), "chat.flchat")
	_, err := archive.Export(p.t.Context(), archive.Options{
		Path: path, API: p.server.URL, Contacts: p.contacts, PrimaryKey: "Email",
		Connect: func(ctx context.Context, store storage.Store) (*chat.Chat, error) { return p.connect(ctx, 0, store) },
	})
	require.NoError(p.t, err)
	a, err := archive.Open(p.t.Context(), path)
	require.NoError(p.t, err)
	p.t.Cleanup(func() { _ = a.Close() })
	return a
}

// odd is an archive of what hostile and careless people write.
func odd(t testing.TB) (*archive.Archive, int64) {
	p := newPlace(t, "Jane "+hostile, "Bob", "Eve")
	conv, err := p.chats[0].Create(t.Context(), chat.NewConversation{Participants: p.ids[1:], Group: chat.M{"name": "Team " + hostile}})
	require.NoError(t, err)
	first := p.say(0, conv.ID, chat.Draft{Body: hostile})
	p.say(1, conv.ID, chat.Draft{Body: "needle in a haystack"})
	p.say(1, conv.ID, chat.Draft{Body: "a picture", Files: []chat.File{{Name: "dot.png", Content: dot}}})
	p.say(2, conv.ID, chat.Draft{Body: "no picture", Files: []chat.File{{Name: "evil.png", Content: []byte("<script>document.title='owned'</script>")}}})
	gone := p.say(2, conv.ID, chat.Draft{Body: "said too much"})
	a := p.export()
	_, err = p.chats[0].UpdateMessage(t.Context(), conv.ID, first.ID, chat.M{"body": "edited " + hostile})
	require.NoError(t, err)
	require.NoError(t, p.chats[2].DeleteMessage(t.Context(), conv.ID, gone.ID))
	p.server.ShiftClock(time.Hour)
	_, err = archive.Export(t.Context(), archive.Options{
		Path: a.Path, API: p.server.URL, Contacts: p.contacts, PrimaryKey: "Email",
		Connect: func(ctx context.Context, store storage.Store) (*chat.Chat, error) { return p.connect(ctx, 0, store) },
	})
	require.NoError(t, err)
	return a, conv.ID
}

func page(t testing.TB, a *archive.Archive, o view.Options) string {
	t.Helper()
	o.LargestPicture, o.Pictures = 1<<20, 1<<20
	var out bytes.Buffer
	require.NoError(t, view.HTML(t.Context(), a, &out, o))
	return out.String()
}

func TestLinesHaveNamesVersionsAndFiles(t *testing.T) {
	t.Parallel()
	a, conv := odd(t)
	var out bytes.Buffer
	require.NoError(t, view.NDJSON(t.Context(), a, &out, view.Options{Versions: true}))
	var lines []map[string]any
	for d := json.NewDecoder(&out); d.More(); {
		var l map[string]any
		require.NoError(t, d.Decode(&l))
		lines = append(lines, l)
	}
	require.Len(t, lines, 5)
	assert.InDelta(t, conv, lines[0]["conversationId"], 0)
	assert.Equal(t, "Team "+hostile, lines[0]["conversation"])
	assert.Equal(t, "edited "+hostile, lines[0]["body"])
	assert.InDelta(t, 1, lines[0]["edits"], 0)
	assert.Len(t, lines[0]["versions"], 2)
	assert.Equal(t, "Bob", lines[1]["from"])
	assert.Equal(t, "2026-03-02T09:01:00.000Z", lines[1]["createdAt"])
	assert.Equal(t, "dot.png", lines[2]["files"].([]any)[0].(map[string]any)["name"])
	assert.Equal(t, true, lines[4]["deleted"])
	assert.Equal(t, "said too much", lines[4]["body"])
}

func TestTimesAndConversationsBoundAView(t *testing.T) {
	t.Parallel()
	a, conv := odd(t)
	count := func(o view.Options) int {
		var out bytes.Buffer
		require.NoError(t, view.NDJSON(t.Context(), a, &out, o))
		return bytes.Count(out.Bytes(), []byte("\n"))
	}
	at := time.Date(2026, 3, 2, 9, 2, 0, 0, time.UTC)
	assert.Equal(t, 3, count(view.Options{Since: at}))
	assert.Equal(t, 2, count(view.Options{Until: at}))
	assert.Equal(t, 5, count(view.Options{Conversations: []int64{conv}}))
	var usage *archive.UsageError
	require.ErrorAs(t, view.NDJSON(t.Context(), a, io.Discard, view.Options{Conversations: []int64{7}}), &usage)
	assert.Contains(t, page(t, a, view.Options{Since: at}), "3 messages of 2 people")
}

// What people have written is in the page only where it is data, with nothing in it that
// could end that.
func TestNothingThatPeopleWroteIsMarkupInThePage(t *testing.T) {
	t.Parallel()
	a, _ := odd(t)
	text := page(t, a, view.Options{})
	assert.NotContains(t, text, "<img")
	assert.NotContains(t, text, "<svg onload")
	assert.NotContains(t, text, "<!--")
	assert.Equal(t, 4, strings.Count(text, "<script"), "the data, one picture, what is known, and the page's own") // evil.png is none
	assert.Equal(t, 4, strings.Count(text, "</script>"))
	policy := regexp.MustCompile(`Content-Security-Policy" content="([^"]*)"`).FindStringSubmatch(text)
	require.Len(t, policy, 2)
	assert.Contains(t, policy[1], "default-src 'none'")
	assert.NotContains(t, policy[1], "unsafe")
	assert.NotContains(t, strings.ReplaceAll(policy[1], "img-src data:", ""), ":", "no address is allowed")
}

// bars are the rectangles of a class in a plot of the page.
func bars(t testing.TB, text, id, class string) (list []rect) {
	t.Helper()
	svg := regexp.MustCompile(`(?s)<svg id="` + id + `".*?</svg>`).FindString(text)
	require.NotEmpty(t, svg)
	var plot struct {
		Rects []rect `xml:"rect"`
	}
	require.NoError(t, xml.Unmarshal([]byte(svg), &plot), "a plot is XML")
	for _, r := range plot.Rects {
		if r.Class == class {
			list = append(list, r)
		}
	}
	return list
}

type rect struct {
	Class   string  `xml:"class,attr"`
	X       float64 `xml:"x,attr"`
	Y       float64 `xml:"y,attr"`
	Width   float64 `xml:"width,attr"`
	Height  float64 `xml:"height,attr"`
	Opacity float64 `xml:"fill-opacity,attr"`
	Title   string  `xml:"title"`
}

func TestPlotsShowWhatIsInTheArchive(t *testing.T) {
	t.Parallel()
	p := newPlace(t, "Jane", "Bob")
	conv, err := p.chats[0].Create(t.Context(), chat.NewConversation{Participants: p.ids[1:]})
	require.NoError(t, err)
	for day, n := range []int{4, 0, 2, 8} { // from Monday, the 2nd of March
		for i := range n {
			p.say(min(1, i%4), conv.ID, chat.Draft{Body: fmt.Sprint(day, i)})
		}
		p.server.ShiftClock(24*time.Hour - time.Duration(n)*time.Minute)
	}
	text := page(t, p.export(), view.Options{})
	days := bars(t, text, "per-day", "bar")
	require.Len(t, days, 3)
	assert.Equal(t, []string{"2026-03-02: 4", "2026-03-04: 2", "2026-03-05: 8"}, []string{days[0].Title, days[1].Title, days[2].Title})
	assert.InDelta(t, days[2].Height, 2*days[0].Height, 0.3)
	assert.InDelta(t, days[2].Height, 4*days[1].Height, 0.5)
	assert.InDelta(t, days[1].X-days[0].X, 2*(days[2].X-days[1].X), 0.1, "the silent day has its place")
	people := bars(t, text, "per-person", "bar")
	require.Len(t, people, 2)
	assert.InDelta(t, people[0].Width*4/10, people[1].Width, 0.3, "10 messages of Bob's, 4 of Jane's")
	hours := bars(t, text, "heat-map", "cell")
	require.Len(t, hours, 7*24)
	for i, h := range hours {
		want := 0.06
		switch i {
		case 0*24 + 9:
			want += 0.94 * 0.7071
		case 2*24 + 9:
			want += 0.94 * 0.5
		case 3*24 + 9:
			want = 1
		}
		assert.InDelta(t, want, h.Opacity, 0.002, h.Title)
	}
	moved := bars(t, page(t, p.export(), view.Options{Zone: time.FixedZone("Tokyo", 9*3600)}), "heat-map", "cell")
	assert.InDelta(t, 1, moved[3*24+18].Opacity, 0.002, "hours are those of the zone")
}

// chromium is the browser's path; without one the test is skipped and says so.
func chromium(t testing.TB) string {
	t.Helper()
	path, err := exec.LookPath("chromium")
	if err != nil {
		t.Skip("there is no Chromium: that the page works in a browser was NOT checked")
	}
	return path
}

// browse runs Chromium over a page, and returns what it writes.
func browse(t testing.TB, path string, args ...string) string {
	t.Helper()
	profile, err := os.MkdirTemp("", "flchat-chromium-") // helpers of the browser may still write while it ends
	require.NoError(t, err)
	defer os.RemoveAll(profile)
	ctx, cancel := context.WithTimeout(t.Context(), 2*time.Minute)
	defer cancel()
	cmd := exec.CommandContext(ctx, path, append([]string{
		"--headless", "--no-sandbox", "--disable-gpu", "--no-first-run", "--disable-extensions", "--disable-background-networking", "--force-color-profile=srgb",
		"--hide-scrollbars", "--lang=en", "--user-data-dir=" + profile, "--virtual-time-budget=5000",
	}, args...)...)
	cmd.Env = append(os.Environ(), "HOME="+profile, "TZ=UTC")
	out, err := cmd.Output()
	require.NoError(t, err)
	return string(out)
}

func TestThePageInChromium(t *testing.T) {
	if os.Getenv("CHAT_LONG") != "1" {
		t.Skip("it starts a browser: run it with CHAT_LONG=1")
	}
	browser := chromium(t)
	a, _ := odd(t)
	file := filepath.Join(t.TempDir(), "page.html")
	text := page(t, a, view.Options{})
	// Whatever else somebody gets into the file does not run, either.
	text = strings.Replace(text, "</header>", `<script>document.title='owned'</script><b onclick="1"></b><img src="https://example.org/x" onerror="document.title='owned'"></header>`, 1)
	require.NoError(t, os.WriteFile(file, []byte(text), 0o600))

	dom := browse(t, browser, "--dump-dom", "file://"+file)
	assert.NotContains(t, dom, "<title>owned", "nothing that was written has run")
	assert.Contains(t, dom, "<title>Chats of Jane &lt;/script&gt;")
	assert.Contains(t, dom, `<span class="from">Bob</span>`)
	assert.Contains(t, dom, `src="data:image/png;base64,iVBOR`, "the picture is shown")
	assert.Contains(t, dom, `<span class="file">📎 evil.png</span>`, "what is no picture is not")
	assert.Contains(t, dom, `class="message deleted"`)
	assert.Contains(t, dom, "Versions before")
	assert.Contains(t, dom, "needle in a haystack")
	assert.Equal(t, 7*24, strings.Count(dom, `class="cell"`))

	dom = browse(t, browser, "--dump-dom", "file://"+file+"#q=NEEDLE")
	assert.Contains(t, dom, "1 message<")
	assert.Equal(t, 1, strings.Count(dom, `class="hit"`))
}

// TestThePlotsAreDrawn looks at what a browser paints. With FLCHAT_SCREENSHOT the picture is
// kept there.
func TestThePlotsAreDrawn(t *testing.T) {
	if os.Getenv("CHAT_LONG") != "1" {
		t.Skip("it starts a browser: run it with CHAT_LONG=1")
	}
	browser := chromium(t)
	dir := t.TempDir()
	file := filepath.Join(dir, "page.html")
	require.NoError(t, os.WriteFile(file, []byte(page(t, office(t), view.Options{})), 0o600))
	shot := filepath.Join(dir, "page.png")
	browse(t, browser, "--window-size=1100,1790", "--screenshot="+shot, "file://"+file)
	raw, err := os.ReadFile(shot)
	require.NoError(t, err)
	picture, err := png.Decode(bytes.NewReader(raw))
	require.NoError(t, err)
	ink := 0 // pixels of the colour of bars
	for y := range picture.Bounds().Dy() {
		for x := range picture.Bounds().Dx() {
			if r, g, b, _ := picture.At(x, y).RGBA(); r>>8 == 0x0b && g>>8 == 0x66 && b>>8 == 0x78 {
				ink++
			}
		}
	}
	t.Logf("%d pixels are of bars", ink)
	assert.Greater(t, ink, 20_000)
	if keep := os.Getenv("FLCHAT_SCREENSHOT"); keep != "" {
		require.NoError(t, os.WriteFile(keep, raw, 0o600))
	}
}

// office is an archive of some months of work.
func office(t testing.TB) *archive.Archive {
	p := newPlace(t, "Jane Doe", "Bob Smith", "Eve Adams", "Tom Brown", "Ann Lee")
	r := rand.New(rand.NewPCG(1, 2))
	var talks []int64
	for _, c := range []struct {
		name   string
		people []int64
	}{{"Daily round", p.ids[1:]}, {"Launch", p.ids[1:4]}, {"", p.ids[1:2]}, {"Lunch", p.ids[2:]}} {
		n := chat.NewConversation{Participants: c.people}
		if c.name != "" {
			n.Group = chat.M{"name": c.name}
		}
		conv, err := p.chats[0].Create(t.Context(), n)
		require.NoError(t, err)
		talks = append(talks, conv.ID)
	}
	said := []string{
		"Good morning!", "The build is green again.", "Who takes the support shift today?", "I do.", "Can somebody look at the draft?", "Looks good to me.",
		"The customer has called: they like it.", "Lunch at noon?", "Let us move the meeting to 3.", "Done, the tickets are updated.", "See you tomorrow.", "Where is the contract?", "In the shared folder.",
	}
	at := p.server.Now()
	for day := range 120 {
		start := time.Date(2026, 3, 2+day, 0, 0, 0, 0, time.UTC)
		n := 12 + r.IntN(18) + day/8
		if start.Weekday() == time.Saturday || start.Weekday() == time.Sunday {
			n = r.IntN(4)
		}
		var minutes []int
		for range n {
			minutes = append(minutes, 8*60+int(math.Abs(r.NormFloat64())*120)+[]int{30, 300}[r.IntN(2)])
		}
		slices.Sort(minutes)
		for _, minute := range minutes {
			next := start.Add(time.Duration(minute) * time.Minute)
			if next.After(at) {
				p.server.ShiftClock(next.Sub(at))
				at = next
			}
			talk := talks[r.IntN(len(talks))]
			author := p.chats[[]int{0, 0, 1, 1, 1, 2, 3}[r.IntN(7)]].User().UserID
			p.server.AddRows(talk, datasource.M{"body": said[r.IntN(len(said))], "fromUserId": author, "readBy": []any{author}})
		}
	}
	return p.export()
}
