package flipletlocal

import (
	"fmt"
	"log/slog"
	"net/http"
	"net/http/httptest"
	"net/url"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/fliplet/fliplet-chat-go/internal/flipletd"
	"github.com/fliplet/fliplet-chat-go/internal/longtest"
)

// shown is a site that a browser can open, behind the guard.
type shown struct {
	*site
	*browser
	url   string
	looks atomic.Int32 // how often the page asked what is new
}

func show(t *testing.T, s *site) *shown {
	t.Helper()
	b := drive(t) // before the server, so that it ends after it
	out := &shown{site: s, browser: b}
	server := httptest.NewServer(newGuard(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if r.URL.Path == "/live.json" {
			out.looks.Add(1)
		}
		s.page.ServeHTTP(w, r)
	}), nil, slog.New(slog.DiscardHandler)))
	t.Cleanup(server.Close)
	out.url = server.URL
	t.Cleanup(func() {
		urls, errs := b.requests()
		assert.Empty(t, errs, "the browser has complained")
		for _, u := range urls {
			assert.True(t, strings.HasPrefix(u, server.URL+"/") || strings.HasPrefix(u, "data:image/svg+xml,"), "asked elsewhere: %s", u)
		}
		assert.NotEmpty(t, urls)
	})
	return out
}

func TestBubblesInChromium(t *testing.T) {
	t.Parallel()
	longtest.Only(t, "it starts a browser")
	s := show(t, newSite(t))
	p := s.open(s.url+"/?#102", 1280, 800)
	p.until(`document.querySelectorAll("#bubbles > li").length === 7`)
	p.eval(`as.value = "u-jane"; document.getElementById("as").dispatchEvent(new Event("change"))`)
	p.until(`document.querySelectorAll("#bubbles > .own").length === 2`)
	side := func(selector string) float64 {
		at, _ := p.eval(`{ const b = document.querySelector(` + quoted(selector) + `).getBoundingClientRect(), l = bubbles.getBoundingClientRect();
			(b.left + b.right) / 2 - (l.left + l.right) / 2 }`).(float64)
		return at
	}
	assert.Positive(t, side("#bubbles .own .card"), "one's own are on the right")
	assert.Negative(t, side("#bubbles .other .card"))
	assert.Contains(t, p.text("#bubbles > :nth-child(1)"), "Hello <img src=x")
	assert.Contains(t, p.text("#bubbles > :nth-child(2)"), "edited")
	for _, n := range []string{"3", "4"} {
		assert.Contains(t, p.text("#bubbles > .encrypted:nth-child("+n+")"), "Encrypted message")
	}
	assert.Contains(t, p.text("#bubbles > :nth-child(3)"), "Bob Roe")
	assert.Contains(t, p.text("#bubbles > .deleted"), "Message deleted")
	assert.Contains(t, p.text("#bubbles > :nth-child(6)"), "Plan <b>.pdf")
	assert.Regexp(t, `\d\d:\d\d`, p.text("#bubbles > :nth-child(1)"))
	assert.Equal(t, "group", p.text("#talk-kind"))
	assert.Contains(t, p.text("#list"), "channel")
	assert.Contains(t, p.text("#list .badge"), "4", "bob's, and who is not known")
	html, _ := p.eval(`document.documentElement.outerHTML`).(string)
	assert.NotContains(t, html, "canary")

	// What is written while it is open comes in, and is told without its text.
	_, err := s.Insert(102, m{"fromUserId": "u-bob", "body": "Just now"})
	require.NoError(t, err)
	p.until(`bubbles.lastElementChild.innerText.includes("Just now")`)
	p.until(`said.innerText === "1 new message"`)
	s.do("PUT", "/v1/data-sources/102/data/5006", `{"body":"Better still"}`)
	p.until(`bubbles.children[1].innerText.includes("Better still")`)
	p.until(`list.innerText.includes("Just now")`)
	s.do("DELETE", "/v1/data-sources/102/data/5006", "")
	p.until(`bubbles.children[1].innerText.includes("Message deleted")`)
}

func TestGraphInChromium(t *testing.T) {
	t.Parallel()
	longtest.Only(t, "it starts a browser")
	s := show(t, newSite(t))
	start := time.Date(2026, 5, 4, 12, 30, 0, 0, time.UTC)
	s.Freeze(start)
	p := s.open(s.url, 1280, 800)
	assert.Contains(t, p.text("#chart"), "limit 200 in 10 s, not enforced")
	s.LimitTokens(30, 3*time.Second)
	for range 40 {
		s.do("GET", "/v1/data-sources", "")
	}
	s.Freeze(start.Add(5 * time.Second))
	s.do("GET", "/v1/nothing", "")
	s.Freeze(start.Add(6 * time.Second))
	s.Pull(flipletd.Rule{Route: flipletd.AnyRoute, Times: 1, Faults: []flipletd.Fault{func(fx *flipletd.Effects) { fx.Status = 500 }}})
	s.do("GET", "/v1/user", "")
	p.until(`chart.querySelector(".column.failed") !== null`)
	for _, class := range []string{"ok", "toomany", "refused"} {
		assert.Equal(t, true, p.eval(`chart.querySelector(".column.`+class+`").getBBox().height > 0`), class)
	}
	assert.Contains(t, p.text("#chart"), "limit 30 in 3 s")
	// The line of ten a second lies where the axis says 10, and columns end at 30 and 40.
	at := func(expression string) float64 { f, _ := p.eval(expression).(float64); return f }
	zero, line := at(`chart.querySelector(".rule").getBBox().y`), at(`chart.querySelector(".limit.enforced").getBBox().y`)
	ok := at(`chart.querySelector(".column.ok").getBBox().height`)
	assert.InDelta(t, 3, ok/(zero-line), 0.05, "thirty were answered, three times the limit")
	assert.Contains(t, p.text("#rates-limit"), "for each token")
	assert.Contains(t, p.text("#legend"), "429 10 over the limit")
	assert.Contains(t, p.text("#readout"), "12:30:06: 1 failed")
	p.eval(`chart.focus()`)
	p.press("ArrowLeft")
	assert.Contains(t, p.text("#readout"), "12:30:05: 1 refused")
	for range 5 {
		p.press("ArrowLeft")
	}
	assert.Equal(t, "12:30:00: 30 answered, 10 over the limit", p.eval(`chart.getAttribute("aria-valuetext")`))
	p.press("Escape")
	assert.Contains(t, p.text("#readout"), "12:30:06")
}

func TestHooksInChromium(t *testing.T) {
	t.Parallel()
	longtest.Only(t, "it starts a browser")
	s := show(t, newSite(t))
	p := s.open(s.url, 1280, 800)
	s.add(m{"name": "Orders", "hooks": []any{m{"type": "web", "runOn": []any{"insert"}, "payload": m{"endpoint": "http://127.0.0.1:9000/canary", "body": "canary"}}}})
	s.do("PUT", "/v1/data-sources/104/data", `{"Item":"Tea"}`)
	p.until(`document.getElementById("hooks-count").innerText === "1"`)
	p.eval(`document.getElementById("tab-hooks").click()`)
	p.until(`hooks.innerText.includes("Orders")`)
	p.until(`hooks.innerText.includes("204")`)
	assert.Regexp(t, `204\s+web on insert → http://127.0.0.1:9000\s+Orders entry \d+`, p.text("#hooks"))
	assert.NotContains(t, p.text("body"), "canary")
	s.do("GET", "/v1/later", "")
	p.eval(`document.getElementById("tab-requests").click()`)
	p.until(`requests.innerText.includes("/v1/later")`)
	p.eval(`document.getElementById("tab-log").click()`)
	p.until(`log.innerText.includes("dataSource.entry.create")`)
	assert.Regexp(t, `dataSource.entry.create\s+Orders entry \d+: Item`, p.text("#log"))
}

// Everything that can be used is reached by the Tab key, or by arrows from there, and can
// be seen to be.
func TestKeyboardReachesEverythingInChromium(t *testing.T) {
	t.Parallel()
	longtest.Only(t, "it starts a browser")
	s := show(t, newSite(t))
	for i := range 120 {
		s.add(m{"name": fmt.Sprint("Talk ", i), "type": "conversation", "definition": m{"participants": []any{"u-jane"}}})
	}
	rows := make([]any, 80)
	for i := range rows {
		rows[i] = m{"fromUserId": "u-jane", "body": strings.Repeat("A long message. ", 20)}
	}
	s.Freeze(s.Now().Add(time.Minute))
	s.add(m{"name": "Long", "type": "conversation", "entries": rows, "definition": m{"participants": []any{"u-jane"}}})
	s.Thaw()
	p := s.open(s.url, 1280, 800)
	p.until(`bubbles.children.length >= 50 && document.querySelectorAll("#list button").length === 100`)
	p.eval(`document.getElementById("messages").scrollTop = 500`)
	p.until(`!newest.hidden`)

	const name = `(e) => e.id || e.dataset.id || (e.name && e.name + " " + e.value) || e.tagName + " " + e.innerText`
	reached := map[string]bool{}
	walk := func(key string) {
		reached[p.eval(`(`+name+`)(document.activeElement)`).(string)] = true
		p.until(`document.activeElement === document.body || ((e) => getComputedStyle(e).outlineStyle !== "none" || getComputedStyle(e.closest("label") ?? e).outlineStyle !== "none")(document.activeElement)`)
		p.press(key)
	}
	all, _ := p.eval(`[...document.querySelectorAll("a, button, input, select, [tabindex='0']")].filter((e) => e.checkVisibility() && e.id !== "main").map(` + name + `)`).([]any)
	p.press("Tab")
	assert.Contains(t, p.text(":focus"), "Skip to the conversations")
	for range 30 {
		walk("Tab")
	}
	for _, group := range []struct {
		first, key string
		n          int
	}{{`document.querySelector("#list [tabindex='0']")`, "ArrowDown", 101}, {`document.querySelector("[role=tab]")`, "ArrowRight", 3}, {`document.getElementsByName("theme")[0]`, "ArrowRight", 3}} {
		p.eval(group.first + `.focus()`)
		for range group.n {
			walk(group.key)
		}
	}
	assert.Greater(t, len(all), 110)
	for _, want := range all {
		assert.True(t, reached[want.(string)], "%s is not reached", want)
	}

	// Enter opens what has the focus, and the focus stays there when something comes in.
	p.eval(`document.querySelector("#list [tabindex='0']").focus()`)
	p.press("Home")
	p.press("ArrowDown")
	p.press("ArrowDown")
	third, _ := p.eval(`document.activeElement.dataset.id`).(string)
	p.press("Enter")
	p.until(`document.querySelector("#list [aria-current]").dataset.id === ` + quoted(third) + ` && document.getElementById("talk-title").innerText.startsWith("Talk")`)
	_, err := s.Insert(104, m{"fromUserId": "u-jane", "body": "It moves to the top"})
	require.NoError(t, err)
	p.until(`list.innerText.includes("It moves to the top")`)
	assert.Equal(t, third, p.eval(`document.activeElement.dataset.id`))
	p.press("End")
	assert.Equal(t, p.eval(`list.lastElementChild.firstElementChild.dataset.id`), p.eval(`document.activeElement.dataset.id`))

	// Roles and names for who cannot see it.
	unnamed := p.eval(`[...document.querySelectorAll("button, input, select, [role], [tabindex='0']")].filter((e) => e.checkVisibility() &&
		!(e.getAttribute("aria-label") || e.getAttribute("aria-labelledby") || e.labels?.length || e.textContent.trim()) && e.role !== "status").map((e) => e.outerHTML)`)
	assert.Empty(t, unnamed)
	live := p.eval(`[...document.querySelectorAll("[role=status], [aria-live], [role=log], [role=alert]")].map((e) => e.id).join(" ")`)
	assert.Equal(t, "state messages said", live, "nothing else is read out, and of messages only how many")
	assert.Equal(t, "off", p.eval(`document.getElementById("messages").ariaLive`))
}

func TestPhoneInChromium(t *testing.T) {
	t.Parallel()
	longtest.Only(t, "it starts a browser")
	s := show(t, newSite(t))
	long := strings.Repeat("Averyverylongwordwithoutanyspace", 10)
	s.Freeze(s.Now().Add(time.Hour))
	s.add(m{"name": long, "type": "conversation", "columns": []any{long, "b"}, "definition": m{"participants": []any{"u-jane", long}, "group": m{"public": true}},
		"entries": []any{m{"fromUserId": "u-jane", "body": long}, m{"fromUserId": long, "body": long, "isEdited": true, "file": []any{"https://cdn.example/" + long}}}})
	s.do("GET", "/v1/"+long+"?x="+long, "")
	s.add(m{"name": long + "2", "hooks": []any{m{"type": long, "runOn": []any{"insert"}, "payload": m{"endpoint": "http://" + long + "/"}}}})
	s.do("PUT", "/v1/data-sources/105/data", `{}`)
	p := s.open(s.url, 360, 740)
	fits := func(when string) {
		assert.Equal(t, 360.0, p.eval(`document.documentElement.scrollWidth`), when)
		wide := p.eval(`[...document.querySelectorAll("body *")].filter((e) => e.checkVisibility() && !e.closest(".hidden, .skip, thead, svg, .preview *, .people *") /* these end in … */ && (e.getBoundingClientRect().right > 360.5 || e.scrollWidth > e.clientWidth + 1 && ["auto", "scroll"].includes(getComputedStyle(e).overflowX))).map((e) => e.tagName + "." + e.className + "#" + e.id)`)
		assert.Empty(t, wide, when)
	}
	p.until(`!document.getElementById("talk").checkVisibility() && list.children.length === 3`)
	fits("the list")
	p.eval(`list.querySelector("button").click()`)
	p.until(`bubbles.children.length === 2`)
	assert.Equal(t, false, p.eval(`document.getElementById("conversations").checkVisibility()`), "one at a time")
	assert.Equal(t, "back", p.eval(`document.activeElement.id`))
	fits("a conversation")
	p.eval(`document.getElementById("tab-hooks").click()`)
	p.until(`hooks.children.length === 1`)
	fits("hooks")
	p.press("Enter")
	p.until(`document.getElementById("conversations").checkVisibility()`)
	assert.Equal(t, true, p.eval(`document.activeElement === document.querySelector("#list [aria-current]")`), "back to where it was")
}

// contrasts are texts whose color has less than 4.5 to 1 against what is behind them.
const contrasts = `(async () => {
	await new Promise((done) => setTimeout(done, 400)); // colors that fade
	const paint = document.createElement("canvas").getContext("2d", { willReadFrequently: true });
	const rgba = (color) => { paint.clearRect(0, 0, 1, 1); paint.fillStyle = color; paint.fillRect(0, 0, 1, 1); return paint.getImageData(0, 0, 1, 1).data; };
	const light = (c) => { const [r, g, b] = [...c].slice(0, 3).map((v) => (v /= 255) <= .03928 ? v / 12.92 : ((v + .055) / 1.055) ** 2.4); return .2126 * r + .7152 * g + .0722 * b; };
	const behind = (e) => { for (; e; e = e.parentElement) { const c = rgba(getComputedStyle(e).backgroundColor); if (c[3] > 250) return c; } return [255, 255, 255]; };
	const bad = [];
	let n = 0;
	for (const e of document.querySelectorAll("body *")) {
		if (!e.checkVisibility() || e.closest(".hidden") || ![...e.childNodes].some((c) => c.nodeType === 3 && c.data.trim()) || ["SCRIPT", "NOSCRIPT", "STYLE", "OPTION"].includes(e.tagName)) continue;
		const text = e instanceof SVGElement ? getComputedStyle(e).fill : getComputedStyle(e).color;
		const [a, b] = [light(rgba(text)), light(behind(e))].sort((x, y) => y - x);
		n++;
		if ((a + .05) / (b + .05) < 4.5) bad.push(e.tagName + "." + (e.className.baseVal ?? e.className) + " " + ((a + .05) / (b + .05)).toFixed(2) + " " + e.textContent.slice(0, 30));
	}
	return n < 40 ? ["only " + n] : bad;
})()`

func TestDarkAndLightInChromium(t *testing.T) {
	t.Parallel()
	longtest.Only(t, "it starts a browser")
	site, url := demo(t)
	s := show(t, site)
	site.hurry()
	_ = url // the one behind the guard is opened
	p := s.open(s.url, 1280, 800)
	p.until(`bubbles.children.length > 8`)
	p.eval(`document.getElementById("tab-hooks").click()`)
	ground := func() any { return p.eval(`getComputedStyle(document.body).backgroundColor`) }
	const light, dark = "rgb(242, 244, 247)", "rgb(15, 20, 25)"
	assert.Equal(t, light, ground())
	assert.Empty(t, p.eval(contrasts), "light")
	p.prefer("prefers-color-scheme", "dark")
	assert.Equal(t, dark, ground(), "what the system prefers")
	assert.Empty(t, p.eval(contrasts), "dark")
	p.eval(`document.querySelector("[value=light]").click()`)
	assert.Equal(t, light, ground(), "the switch is stronger")
	p.visit(s.url + "/?again")
	assert.Equal(t, light, ground(), "it is remembered")
	assert.Equal(t, true, p.eval(`document.querySelector("[value=light]").checked`))
	p.eval(`document.querySelector("[value=dark]").click()`)
	p.prefer("prefers-color-scheme", "light")
	p.visit(s.url + "/?once-more")
	assert.Equal(t, dark, ground())
	assert.Empty(t, p.eval(contrasts), "dark, as chosen")
	p.eval(`document.querySelector("[value=auto]").click()`)
	assert.Equal(t, light, ground())

	const moving = `[...document.querySelectorAll("*")].filter((e) => ["transitionDuration", "animationDuration"].some((d) => parseFloat(getComputedStyle(e)[d]) > 0) || getComputedStyle(e).scrollBehavior === "smooth").length`
	assert.NotEqual(t, 0.0, p.eval(moving))
	p.prefer("prefers-reduced-motion", "reduce")
	assert.Equal(t, 0.0, p.eval(moving), "nothing moves for who asked for that")
}

// hostile are texts that would do something if anything took them for more than texts.
var hostile = []string{
	`<script>window.owned=1</script>`, `<img src=x onerror="window.owned=1">`, `"><svg onload=window.owned=1>`, `' onfocus='window.owned=1' autofocus x='`,
	`</script><script>window.owned=1</script>`, `</title></style></textarea><script>window.owned=1</script>`, `<iframe src="javascript:parent.owned=1"></iframe>`,
	`javascript:window.owned=1`, `{{.}}${window.owned=1}`, `<!--<script>`, `<a href="https://elsewhere.example/">`, `<link rel=stylesheet href=https://elsewhere.example/a.css>`,
	`<style>@import "https://elsewhere.example/b.css";body{display:none}</style>`, `url(https://elsewhere.example/c.png)`, "\u202eevil\u2066", "__proto__", `\u003cscript\u003ewindow.owned=1`,
	`<base href="https://elsewhere.example/">`, `<meta http-equiv=refresh content="0;url=https://elsewhere.example/">`, "\u2028window.owned=1\u2029",
}

func TestHostileMarkupInChromium(t *testing.T) {
	t.Parallel()
	longtest.Only(t, "it starts a browser")
	core, err := flipletd.New(flipletd.Config{Token: "eu--canary-token"})
	require.NoError(t, err)
	t.Cleanup(core.Close)
	site := &site{Server: core, page: newPage(core, `http://127.0.0.1:1/"><script>window.owned=1</script>`), t: t}
	everyone := []any{}
	people := []any{}
	for i, text := range hostile {
		everyone = append(everyone, text)
		if i%2 == 0 {
			people = append(people, m{"flUserId": text, "Name": text})
		}
	}
	site.add(m{"name": "People " + hostile[0], "entries": people})
	for i, text := range hostile {
		rows := []any{}
		for _, other := range hostile {
			rows = append(rows, m{"fromUserId": other, "body": other, "readBy": []any{other}, "file": []any{"https://elsewhere.example/" + url.PathEscape(other), other}, "guid": text, "isEdited": text})
		}
		site.add(m{"name": text, "type": "conversation", "columns": []any{text}, "entries": rows, "definition": m{"participants": everyone, "group": m{"public": i%2 == 0, "name": text}}})
		site.add(m{"name": "Source " + text, "type": text, "hooks": []any{m{"type": text, "runOn": []any{"insert"}, "payload": m{"endpoint": text, "url": "https://" + text}}}})
		site.do("PUT", fmt.Sprintf("/v1/data-sources/%d/data", 103+2*i), `{}`)
		site.do("GET", "/v1/"+url.PathEscape(text)+"?"+text[:1]+"="+url.QueryEscape(text), "")
		r := httptest.NewRequest(http.MethodGet, "/v1/odd", nil)
		r.Method = text
		r.URL.RawQuery = text
		site.page.ServeHTTP(httptest.NewRecorder(), r)
	}
	s := show(t, site)
	before := site.Sources()
	p := s.open(s.url, 1280, 800)
	for _, tab := range []string{"requests", "hooks", "log"} {
		p.eval(`document.getElementById("tab-` + tab + `").click()`)
	}
	n, _ := p.eval(`list.children.length`).(float64)
	require.EqualValues(t, len(hostile), n)
	for i := range hostile {
		p.eval(fmt.Sprintf(`list.children[%d].firstElementChild.click()`, i))
		p.until(fmt.Sprintf(`document.getElementById("talk-title").innerText === list.children[%d].querySelector(".name").innerText && bubbles.children.length === %d`, i, len(hostile)))
	}
	p.eval(`filter.value = "<img src=y"; filter.dispatchEvent(new Event("input"))`)
	p.until(`list.children.length === 0 && document.getElementById("list-empty").innerText === "No name matches."`)
	assert.Equal(t, "Local Fliplet", p.eval(`document.title`))
	assert.Nil(t, p.eval(`window.owned`))
	assert.Equal(t, 0.0, p.eval(`document.querySelectorAll("img, iframe, object, embed, style, base, form, body link, body script:not([type='application/json']), [onerror], [onload], [onfocus], [onclick], a[href*=':']").length`))
	assert.Equal(t, before, site.Sources(), "nothing was changed")

	// Even a script that got in would not run, nor make markup of a text.
	assert.Equal(t, "refused", p.eval(`try { document.body.innerHTML = "<b>"; "done" } catch { "refused" }`))
	p.eval(`{ const s = document.createElement("script"); s.append("window.owned = 1"); document.body.append(s); }`)
	assert.Nil(t, p.eval(`window.owned`))
	p.mu.Lock()
	p.said = nil // it complains of these two, as it has to
	p.mu.Unlock()
}

func TestThousandsInChromium(t *testing.T) {
	t.Parallel()
	longtest.Only(t, "it starts a browser")
	site := newSite(t)
	for i := range 1000 {
		site.add(m{"name": fmt.Sprint("Talk ", i), "type": "conversation", "definition": m{"participants": []any{"u-jane", "u-bob"}}, "entries": []any{m{"fromUserId": "u-bob", "body": fmt.Sprint("Number ", i)}}})
	}
	rows := make([]any, 10_000)
	for i := range rows {
		rows[i] = m{"fromUserId": []string{"u-jane", "u-bob"}[i/3%2], "body": fmt.Sprint("Message ", i), "readBy": []any{"u-jane"}}
	}
	site.Freeze(site.Now().Add(time.Minute))
	site.add(m{"name": "Long", "type": "conversation", "definition": m{"participants": []any{"u-jane", "u-bob"}}, "entries": rows})
	site.Freeze(site.Now().Add(time.Minute))
	s := show(t, site)
	p := s.open(s.url, 1280, 800)
	p.eval(`window.longest = 0; new PerformanceObserver((l) => { for (const e of l.getEntries()) window.longest = Math.max(window.longest, e.duration); }).observe({ type: "longtask", buffered: true })`)
	p.until(`bubbles.lastElementChild?.innerText.includes("Message 9999")`)
	assert.Equal(t, 100.0, p.eval(`list.children.length`))
	assert.LessOrEqual(t, p.eval(`bubbles.children.length`), 200.0)
	p.eval(`document.getElementById("list-more").click()`)
	p.until(`list.children.length === 200`)

	// Scrolling up goes on as far as one likes, and no more than a window is kept.
	// A page that is slow may be at the top already, or further than it was just now.
	p.until(`{ const m = document.getElementById("messages"); m.scrollTop = 0; m.dispatchEvent(new Event("scroll")); } bubbles.firstElementChild.innerText.match(/Message (\d+)/)[1] <= 9500`)
	assert.LessOrEqual(t, p.eval(`bubbles.children.length`), 200.0)
	p.until(`!document.getElementById("later").hidden`)
	p.eval(`(async (m) => { m.scrollTop = m.scrollHeight / 2; await new Promise((done) => setTimeout(done, 700)); })(document.getElementById("messages"))`)
	assert.Equal(t, false, p.eval(`bubbles.lastElementChild.innerText.includes("Message 9999")`))
	first := p.eval(`(() => { const top = document.getElementById("messages").getBoundingClientRect().top; return [...bubbles.children].find((b) => b.getBoundingClientRect().bottom > top).innerText; })()`)
	_, err := s.Insert(1104, m{"fromUserId": "u-bob", "body": "While reading"})
	require.NoError(t, err)
	p.until(`list.innerText.includes("While reading")`)
	assert.Equal(t, first, p.eval(`(() => { const top = document.getElementById("messages").getBoundingClientRect().top; return [...bubbles.children].find((b) => b.getBoundingClientRect().bottom > top).innerText; })()`), "what is read stays where it is")
	// What comes before it does not move it either.
	const place = `(() => { const top = document.getElementById("messages").getBoundingClientRect().top; return [...bubbles.children].filter((b) => b.innerText.includes(window.held)).map((b) => b.getBoundingClientRect().top - top)[0]; })()`
	p.eval(`{ const m = document.getElementById("messages"); m.scrollTop = 400; const top = m.getBoundingClientRect().top;
		window.held = [...bubbles.children].find((b) => b.getBoundingClientRect().top > top).innerText.match(/Message \d+/)[0]; window.firstBefore = bubbles.firstElementChild.innerText; }`)
	at, _ := p.eval(place).(float64)
	p.eval(`document.getElementById("earlier").click()`)
	p.until(`bubbles.firstElementChild.innerText !== window.firstBefore`)
	assert.InDelta(t, at, p.eval(place), 2)
	p.eval(`newest.click()`)
	p.until(`bubbles.lastElementChild.innerText.includes("While reading") && newest.hidden`)
	p.eval(`filter.value = "talk 77"; filter.dispatchEvent(new Event("input"))`)
	p.until(`list.children.length === 11`)
	longest, _ := p.eval(`window.longest`).(float64)
	t.Logf("the longest task took %.0f ms", longest) // some 300 on an idle machine
}

func TestPageRestsWhileNobodyLooksInChromium(t *testing.T) {
	t.Parallel()
	longtest.Only(t, "it starts a browser")
	s := show(t, newSite(t))
	p := s.open(s.url, 1280, 800)
	p.eval(`Object.defineProperty(document, "hidden", { configurable: true, get: () => true }); document.dispatchEvent(new Event("visibilitychange"))`)
	p.until(`state.innerText === "paused"`)
	looks := s.looks.Load()
	p.eval(`new Promise((done) => setTimeout(done, 2500))`)
	assert.LessOrEqual(t, s.looks.Load(), looks+1, "one may have been under way")
	s.add(m{"name": "Meanwhile", "type": "conversation"})
	p.eval(`delete document.hidden; document.dispatchEvent(new Event("visibilitychange"))`)
	p.until(`state.innerText === "live" && list.innerText.includes("Meanwhile")`)
}

func TestALongNameTakesTwoLinesInChromium(t *testing.T) {
	t.Parallel()
	longtest.Only(t, "it starts a browser")
	site := newSite(t)
	site.add(m{"name": strings.Repeat("A name without an end ", 200), "type": "conversation", "definition": m{"participants": []any{"u-jane"}}})
	s := show(t, site)
	for _, width := range []int{390, 1280} {
		p := s.open(s.url+"/?#104", width, 800)
		p.until(`document.getElementById("talk-title").textContent.startsWith("A name without an end A")`)
		height, _ := p.eval(`document.querySelector("#talk > header").getBoundingClientRect().height`).(float64)
		assert.Less(t, height, 160.0, "%d px wide", width)
		assert.Equal(t, true, p.eval(`document.documentElement.scrollWidth <= document.documentElement.clientWidth`), "%d px wide", width)
	}
}
