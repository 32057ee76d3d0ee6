package browser

import (
	"fmt"
	"os"
	"testing"
	"time"

	"github.com/chromedp/chromedp"
	"github.com/chromedp/chromedp/kb"
	"github.com/stretchr/testify/assert"
)

var ctrl = chromedp.KeyModifiers(chromedp.ModifierCtrl)

// first is the first visit: what it transfers, and how soon something is seen.
func first(t *testing.T, b *browser) {
	p := b.page("/", 1280, 800)
	p.until(side(`d.querySelectorAll(".said").length > 8 && d.getElementById("state").textContent === "connected"`))
	b.mu.Lock()
	got := b.bytes
	b.mu.Unlock()
	assert.Greater(t, got, 30e3)
	assert.Less(t, got, 300e3, "bytes of both sides, with all headers, lists and messages")
	t.Logf("%.0f bytes; first paint after %.0f ms", got, eval[float64](p, `performance.getEntriesByName("first-contentful-paint")[0]?.startTime ?? 0`))
	p.accessible("the window")
	p.click("#drawer-toggle")
	p.until(`!document.getElementById("drawer").hidden`)
	p.accessible("the window with its drawer")
	assert.Zero(t, eval[int](p, `[0, 1].reduce((n, i) => n + [...frames[i].document.querySelectorAll("#list .last")].filter((e) => e.scrollWidth > e.clientWidth && e.getBoundingClientRect().right < (e.nextSibling || e.closest("button")).getBoundingClientRect().right - (e.nextSibling ? 60 : 12)).length, 0)`), "previews that are cut beside free space")
	for _, width := range []int64{360, 320} {
		p.do(chromedp.EmulateViewport(width, 640))
		p.until(`document.getElementById("top").offsetHeight < 90 && document.getElementById("glance").offsetWidth > 100`)
		p.accessible("the window on a phone")
	}
	p.do(chromedp.EmulateViewport(1280, 800))

	// The theme is that of all pages, and stays.
	p.clickOn(`document.querySelector("#theme [value=dark] + span")`)
	p.until(side(`d.documentElement.dataset.theme === "dark"`))
	p.do(chromedp.Reload())
	p.until(side(`d.querySelectorAll(".said").length > 8`))
	p.until(side(`d.documentElement.dataset.theme === "dark"`))
	p.clickOn(`document.querySelector("#theme [value=auto] + span")`)
	p.until(side(`d.documentElement.dataset.theme === "auto"`))
}

// keyboard uses a page by keys alone.
func keyboard(t *testing.T, b *browser) {
	p := b.person("jane", "Bob Roe")
	assert.True(t, eval[bool](p, `document.querySelector("a[href], button, input, textarea, [tabindex]").className === "skip"`), "what Tab reaches first")
	eval[bool](p, `document.querySelector(".skip").focus(), true`)
	p.press(kb.Enter)
	p.until(`document.activeElement.id === "text"`)
	p.write("by keys alone")
	p.press(kb.Enter)
	p.until(shows("by keys alone"))

	p.press("k", ctrl)
	p.press(kb.ArrowDown)
	p.until(`document.activeElement.closest("#list")`)
	p.press(kb.ArrowDown + kb.ArrowUp + kb.ArrowUp)
	p.until(`document.activeElement.id === "search"`)

	// From the box back to the messages, and through their actions.
	p.click("#text")
	for range 3 { // attach, then the messages
		p.press(kb.Tab, chromedp.KeyModifiers(chromedp.ModifierShift))
		if eval[bool](p, `document.activeElement.classList.contains("act")`) {
			break
		}
	}
	p.until(`document.activeElement.classList.contains("act")`)
	p.press(kb.ArrowUp)
	p.until(`document.activeElement.classList.contains("act")`)
	assert.Equal(t, 1, eval[int](p, `document.querySelectorAll(".act[tabindex='0']").length`), "one message that Tab reaches")
	assert.True(t, eval[bool](p, `document.activeElement.tabIndex === 0`))
	p.press(kb.Enter)
	p.until(`document.querySelector("#actions:popover-open") && document.activeElement.getAttribute("role") === "menuitem"`)
	p.accessible("a menu")
	p.press(kb.Escape)
	p.until(`!document.querySelector("#actions:popover-open") && document.activeElement.classList.contains("act")`)

	for _, item := range []string{"people", "channels", "join"} {
		p.choose(item)
		p.accessible(item)
		p.press(kb.Escape)
		p.until(`!document.querySelector("dialog[open]")`)
	}
	p.click("#info")
	p.until(`document.getElementById("details").open`)
	p.accessible("details")
	p.press(kb.Escape)
	p.click("#emoji")
	p.until(`document.activeElement.id === "emoji-find"`)
	p.accessible("emoji")
	p.press(kb.Escape)
}

// TestPages tries what a person can do on the pages, in one browser.
func TestPages(t *testing.T) {
	t.Parallel()
	b := open(t, webchat(t))
	b.run("the first visit is small, and both sides are there", func(t *testing.T) { first(t, b) })
	b.run("people talk", func(t *testing.T) { talk(t, b) })
	b.run("older messages and search", func(t *testing.T) { history(t, b) })
	b.run("the keyboard is enough", func(t *testing.T) { keyboard(t, b) })
	b.run("a phone", func(t *testing.T) { phone(t, b) })
	b.untroubled()
}

// TestPagesOfGroups is the rest of it, at the same time.
func TestPagesOfGroups(t *testing.T) {
	t.Parallel()
	b := open(t, webchat(t))
	b.run("pictures and files are dropped, pasted and chosen", func(t *testing.T) { files(t, b) })
	b.run("rows of other types stop nothing", func(t *testing.T) { rows(t, b) })
	b.run("groups, channels, invitations, mute", func(t *testing.T) { groups(t, b) })
	b.untroubled()
}

// long says whether tests may take their time.
func long() bool { return os.Getenv("CHAT_LONG") == "1" }

// set moves a slider.
func (p *tab) set(name string, value int) {
	p.t.Helper()
	eval[bool](p, fmt.Sprintf(`document.querySelector("#faults [name=%s]").value = %d, document.getElementById("faults").dispatchEvent(new Event("input")), true`, name, value))
}

// TestNothingIsLostInAStorm lets three people talk for a while over a network that loses,
// doubles, delays and refuses, on both sides of a server that is killed twice.
func TestNothingIsLostInAStorm(t *testing.T) {
	t.Parallel()
	lasts := 9 * time.Second
	if long() {
		lasts = time.Minute
	}
	b := open(t, webchat(t))
	p := b.page("/?drawer", 1280, 900)
	p.until(side(`d.querySelectorAll(".said").length > 8`))
	mia := b.person("mia", "Trip to the lake")
	for i := range 2 { // all three look at the group
		eval[bool](p, fmt.Sprintf(`[...frames[%d].document.querySelectorAll("#list button")].find((b) => b.textContent.includes("Trip to the lake")).click(), true`, i))
	}
	p.until(side(`d.getElementById("talk-name").textContent === "Trip to the lake"`))
	for name, value := range map[string]int{"lose": 12, "double": 20, "delay": 300, "tooMany": 8} {
		p.set(name, value)
	}
	p.clickOn(`document.querySelector("#faults [value=both] + span")`)
	p.click("#storm")
	for range 2 {
		time.Sleep(lasts / 3) // how long the storm is, not a wait for something
		mia.say("still here?")
		p.click("#restart")
	}
	time.Sleep(lasts / 3)
	p.until(`Number(document.querySelector("[data-count=sent]").textContent) > 5`) // on a machine that does much else it lasts longer
	p.click("#storm")
	p.click("#calm")
	p.until(`document.querySelector("dd[data-count=onTheWay]").textContent === "0"`)
	s := b.state()
	t.Logf("%+v", s)
	assert.Equal(t, 2, s.Restarts)
	assert.Zero(t, s.Counters.Lost+s.Counters.Twice+s.Counters.Disorder+s.Counters.OnTheWay, "%+v", s)
	assert.Equal(t, "0 0 0", eval[string](p, `[...document.querySelectorAll("#glance strong")].map((e) => e.textContent).join(" ")`))

	// What stands in the three pages is the same.
	list := `JSON.stringify([...d.querySelectorAll(".said:not(.waiting)")].slice(-15).map((e) => e.dataset.guid))`
	same := fmt.Sprintf(`((d) => %s)`, list)
	p.until(fmt.Sprintf(`%s(frames[0].document) === %s(frames[1].document)`, same, same))
	want := eval[string](p, same+`(frames[0].document)`)
	mia.until(same + `(document) === ` + quoted(want))
	assert.Zero(t, eval[int](p, `[0, 1].reduce((n, i) => n + [...frames[i].document.querySelectorAll("[data-guid]")].length - new Set([...frames[i].document.querySelectorAll("[data-guid]")].map((e) => e.dataset.guid)).size, 0)`), "bubbles that are there twice")
	errs, _ := b.complaints() // requests fail in a storm; scripts do not
	assert.Empty(t, errs)
	assert.Empty(t, b.foreign())

	b.run("the counters count when the page shows what comes twice", func(t *testing.T) {
		p.set("double", 50)
		p.click("#guard")
		p.click("#storm")
		p.until(`Number(document.querySelector("dd[data-count=twice]").textContent) > 0`)
		assert.True(t, eval[bool](p, `document.querySelector("dd[data-count=twice]").classList.contains("bad")`))
		p.click("#storm")
	})
}
