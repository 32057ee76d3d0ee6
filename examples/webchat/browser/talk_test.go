package browser

import (
	"fmt"
	"slices"
	"strings"
	"testing"

	"github.com/chromedp/cdproto/network"
	"github.com/chromedp/chromedp"
	"github.com/chromedp/chromedp/kb"
	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
)

// shows is a condition: a bubble with this text is in the open conversation, once.
func shows(text string) string {
	return fmt.Sprintf(`[...document.querySelectorAll(".bubble")].filter((b) => b.textContent.includes(%s)).length === 1`, quoted(text))
}

// bubble is the bubble with a text.
func bubble(text string) string {
	return fmt.Sprintf(`[...document.querySelectorAll(".said")].findLast((b) => b.textContent.includes(%s))`, quoted(text))
}

// row is the row of a conversation in the list.
func row(name string) string {
	return fmt.Sprintf(`[...document.querySelectorAll("#list button")].find((b) => b.querySelector(".name").textContent.trim() === %s)`, quoted(name))
}

// say writes a message in the open conversation and presses Enter.
func (p *tab) say(text string) {
	p.t.Helper()
	p.click("#text")
	p.write(text)
	p.press(kb.Enter)
}

// person opens somebody's page, with a conversation open.
func (b *browser) person(as, conversation string) *tab {
	b.t.Helper()
	p := b.page("/?as="+as+"&open="+conversation, 1000, 760)
	p.until(`document.getElementById("talk-name").textContent === ` + quoted(conversation) + ` && document.querySelectorAll(".said").length > 0`)
	return p
}

// talk lets people write, edit, delete and read.
func talk(_ *testing.T, b *browser) {
	jane, bob, mia := b.person("jane", "Bob Roe"), b.person("bob", "Jane Doe"), b.person("mia", "Trip to the lake")

	b.run("a message is shown to both, with its read mark", func(t *testing.T) {
		jane.say("Good evening, Bob")
		bob.until(shows("Good evening, Bob"))
		jane.until(bubble("Good evening, Bob") + `?.querySelector(".seen")`)
		assert.Equal(t, "read", eval[string](jane, bubble("Good evening, Bob")+`?.querySelector(".meta svg")?.getAttribute("aria-label")`))
	})
	b.run("messages typed one after the other stay in order, while others come in", func(t *testing.T) {
		for i := range 6 {
			jane.say(fmt.Sprintf("from Jane %d", i))
			bob.say(fmt.Sprintf("from Bob %d", i))
		}
		order := func(who string) string {
			return fmt.Sprintf(`JSON.stringify([...document.querySelectorAll(".bubble")].map((b) => b.textContent.match(/from %s (\d)/)?.[1]).filter(Boolean))`, who)
		}
		for _, p := range []*tab{jane, bob} {
			for _, who := range []string{"Jane", "Bob"} {
				p.until(order(who) + ` === '["0","1","2","3","4","5"]'`)
			}
		}
		last := `JSON.stringify([...document.querySelectorAll(".said")].slice(-12).map((b) => b.dataset.guid))`
		bob.until(last + ` === ` + quoted(eval[string](jane, last))) // the same for both
	})
	b.run("several lines, and markup that stays text", func(t *testing.T) {
		jane.click("#text")
		jane.write("one <b>bold</b>")
		jane.press(kb.Enter, chromedp.KeyModifiers(chromedp.ModifierShift))
		jane.write("two <img src=x onerror=alert(1)> https://example.org/x?a=1.")
		jane.press(kb.Enter)
		bob.until(shows("one <b>bold</b>\ntwo <img src=x onerror=alert(1)>"))
		assert.Equal(t, "https://example.org/x?a=1", eval[string](bob, bubble("bold")+`?.querySelector("a").href`))
		assert.Zero(t, eval[int](bob, bubble("bold")+`?.querySelectorAll("b, img").length`))
	})
	b.run("an edit, begun with the arrow key", func(t *testing.T) {
		jane.say("See you at sevn")
		bob.until(shows("See you at sevn"))
		jane.until(`!document.querySelector(".waiting")`)
		jane.click("#text")
		jane.press(kb.ArrowUp)
		jane.until(`document.getElementById("text").value === "See you at sevn"`)
		jane.press(kb.Backspace + "en" + kb.Enter)
		bob.until(shows("See you at seven"))
		assert.Contains(t, eval[string](bob, bubble("See you at seven")+`.textContent`), "edited")
		jane.until(`document.getElementById("editing").hidden && document.getElementById("text").value === ""`)
	})
	b.run("an edit keeps the draft, and what was typed when it fails", func(t *testing.T) {
		edit := func(text string) {
			eval[bool](jane, bubble(text)+`.querySelector(".act").click(), [...document.querySelectorAll("#actions button")].find((b) => b.textContent === "Edit").click(), true`)
			jane.until(`document.getElementById("text").value === ` + quoted(text))
		}
		jane.click("#text")
		jane.write("a draft")
		edit("Good evening, Bob")
		edit("See you at seven")
		eval[bool](jane, `window.had = fetch, window.fetch = (to, ...rest) => String(to).endsWith("updateMessage") ? Promise.resolve(new Response('{"code":400,"status":400,"message":"not today"}', { status: 400 })) : had(to, ...rest), document.getElementById("text").value = "See you at eight", document.getElementById("text").dispatchEvent(new Event("input")), true`)
		jane.press(kb.Enter)
		jane.until(`document.getElementById("toasts").textContent.includes("not today")`)
		jane.clickOn(row("Ravi Sen"))
		jane.until(`document.getElementById("text").value === ""`)
		jane.clickOn(row("Bob Roe"))
		jane.until(`document.getElementById("text").value === "See you at eight" && !document.getElementById("editing").hidden`)
		eval[bool](jane, `window.fetch = had, document.getElementById("text").focus(), true`)
		jane.press(kb.Enter)
		bob.until(shows("See you at eight"))
		jane.until(`document.getElementById("text").value === "a draft"`)
		edit("See you at eight")
		jane.press(kb.Escape)
		jane.until(`document.getElementById("text").value === "a draft" && document.getElementById("editing").hidden`)
		eval[bool](jane, `document.getElementById("text").value = "", document.getElementById("text").dispatchEvent(new Event("input")), true`)
	})
	b.run("a deletion, from the menu", func(t *testing.T) {
		jane.clickOn(row("Ravi Sen"))
		bob.say("Wrong window")
		bob.until(shows("Wrong window") + ` && !document.querySelector(".waiting")`)
		eval[bool](bob, bubble("Wrong window")+`?.querySelector(".act").focus(), true`)
		bob.press(kb.Enter)
		bob.until(`document.activeElement.getAttribute("role") === "menuitem"`)
		bob.press(kb.End + kb.Enter)
		bob.until(`document.getElementById("sure").open && document.activeElement.textContent === "Cancel"`)
		jane.clickOn(row("Bob Roe"))
		bob.until(bubble("Wrong window") + `?.querySelector(".seen")`) // it is drawn anew, with its button
		bob.press(kb.Enter)
		bob.until(`!document.getElementById("sure").open && document.activeElement.classList.contains("act")`)
		bob.press(kb.Enter)
		bob.until(`document.activeElement.getAttribute("role") === "menuitem"`)
		assert.False(t, eval[bool](bob, `Boolean(`+bubble("Message deleted")+`)`), "nothing yet")
		bob.press(kb.End + kb.Enter)
		bob.until(`document.getElementById("sure").open`)
		bob.press(kb.Tab + kb.Enter)
		for _, p := range []*tab{bob, jane} {
			p.until(`!` + bubble("Wrong window"))
			p.until(bubble("Message deleted"))
		}
	})
	b.run("emoji, from the box and by keys", func(t *testing.T) {
		jane.click("#emoji")
		jane.until(`document.activeElement.id === "emoji-find"`)
		jane.write("zebra")
		jane.until(`document.getElementById("emoji-list").textContent.includes("zebra")`)
		eval[bool](jane, `document.getElementById("emoji-find").select(), true`)
		jane.write("rocket")
		jane.press(kb.ArrowDown)
		jane.until(`document.activeElement.title === "rocket" && document.activeElement.tabIndex === 0`)
		jane.press(kb.ArrowUp)
		jane.until(`document.activeElement.id === "emoji-find"`)
		jane.press(kb.Enter)
		jane.until(`document.getElementById("text").value === "🚀" && document.activeElement.id === "text"`)
		jane.press(kb.Enter)
		bob.until(bubble("🚀") + `?.querySelector(".bubble.big")`)
		jane.until(bubble("🚀") + `?.querySelector(".seen")`)
	})
	b.run("unread messages have a badge, and no longer when they are read", func(t *testing.T) {
		bob.clickOn(row("Lena Voss"))
		jane.say("Are you there?")
		jane.say("Hello?")
		bob.until(row("Jane Doe") + `?.querySelector(".badge")?.firstChild.data === "2"`)
		assert.Contains(t, eval[string](bob, row("Jane Doe")+`.textContent`), "Hello?")
		assert.Regexp(t, `^\(\d+\) `, eval[string](bob, `document.title`))
		bob.clickOn(row("Jane Doe"))
		bob.until(`document.querySelector(".news") && !` + row("Jane Doe") + `?.querySelector(".badge")`)
		jane.until(bubble("Hello?") + `?.querySelector(".seen")`)
	})
	b.run("what is half written waits in its conversation", func(t *testing.T) {
		bob.click("#text")
		bob.write("half a thou")
		bob.clickOn(row("Lena Voss"))
		bob.until(`document.getElementById("text").value === ""`)
		bob.clickOn(row("Jane Doe"))
		bob.until(`document.getElementById("text").value === "half a thou"`)
		eval[bool](bob, `document.getElementById("text").value = "", true`)
	})
	b.run("a bot answers in a group, once", func(t *testing.T) {
		mia.say("/sum 0.1 0.2")
		mia.until(shows("That is 0.3"))
	})
	b.run("without a network a message waits, and goes out when there is one again", func(t *testing.T) {
		online := func(yes bool) {
			c := network.Conditions{Offline: !yes, UploadThroughput: -1, DownloadThroughput: -1}
			jane.do(command(network.EmulateNetworkConditionsByRule, network.EmulateNetworkConditionsByRuleParams{MatchedNetworkConditions: []*network.Conditions{&c}}))
		}
		online(false)
		jane.say("from the tunnel")
		jane.until(bubble("from the tunnel") + `?.querySelector(".meta svg")?.getAttribute("aria-label") === "waiting for the network"`)
		jane.say("still in it")
		online(true)
		bob.until(shows("from the tunnel"))
		bob.until(shows("still in it"))
		jane.until(`!document.querySelector(".waiting")`)
		assert.True(t, eval[bool](bob, bubble("from the tunnel")+`.compareDocumentPosition(`+bubble("still in it")+`) === Node.DOCUMENT_POSITION_FOLLOWING`))
	})
	b.run("a reload shows the same, and what was not sent is sent", func(t *testing.T) {
		jane.say("before the reload")
		jane.do(chromedp.Reload())
		jane.until(shows("before the reload"))
		bob.until(shows("before the reload"))
	})
}

// untroubled checks that no script complained, and nobody else was asked for anything.
func (b *browser) untroubled() {
	b.t.Helper()
	errs, failed := b.complaints()
	assert.Empty(b.t, slices.DeleteFunc(errs, func(what string) bool { return strings.Contains(what, "'beforeunload'") })) // a reload that no hand has made
	failed = slices.DeleteFunc(failed, func(what string) bool {                                                            // a code that is none; a file that is none; no network
		if cut := []string{"ERR_INTERNET_DISCONNECTED", "ERR_NETWORK_CHANGED", "ERR_CONTENT_LENGTH_MISMATCH", "ERR_INCOMPLETE_CHUNKED_ENCODING"}; slices.ContainsFunc(cut, func(name string) bool { return strings.Contains(what, name) }) {
			return true // an answer on its way when a test takes the network away is cut
		}
		return strings.Contains(what, "404") && (strings.Contains(what, "/conversations.join") || strings.HasSuffix(what, " "+b.site+"5")) // the picture of a row whose file is 5
	})
	assert.Empty(b.t, failed)
	assert.Empty(b.t, b.foreign(), "requests to other hosts")
	b.mu.Lock()
	require.NotEmpty(b.t, b.asked)
	b.mu.Unlock()
	s := b.state()
	assert.Zero(b.t, s.Counters.Lost+s.Counters.Twice+s.Counters.Disorder, "%+v", s)
}
