package browser

import (
	"encoding/json"
	"slices"
	"testing"

	"github.com/chromedp/chromedp/kb"
	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
)

// history lets somebody scroll to the beginning and search.
func history(t *testing.T, b *browser) {
	p := b.person("bob", "Jane Doe")
	assert.Less(t, eval[int](p, `document.querySelectorAll(".said").length`), 250, "not all at once")
	for range 20 {
		if eval[bool](p, `document.querySelector(".note") !== null`) {
			break
		}
		before := eval[int](p, `document.querySelectorAll(".said").length`)
		// What is looked at stays where it is while older ones come in above.
		eval[bool](p, `(() => {
			const s = document.getElementById("scroll"), guid = document.querySelectorAll(".said")[2].dataset.guid;
			const at = () => document.querySelector("[data-guid='" + guid + "']").getBoundingClientRect().top;
			s.scrollTop = 60;
			const was = at();
			window.moved = 0;
			clearInterval(window.watching);
			window.watching = setInterval(() => { window.moved = Math.max(window.moved, Math.abs(at() - was)); }, 4);
			return true;
		})()`)
		p.until(`document.querySelectorAll(".said").length > ` + quoted(before) + ` || document.querySelector(".note")`)
		p.until(`document.getElementById("older").hidden`)
		assert.Less(t, eval[float64](p, `window.moved`), 3.0, "pixels, also while they are loaded")
	}
	eval[bool](p, `clearInterval(window.watching), true`)
	var times, ids []string
	require.NoError(t, json.Unmarshal([]byte(eval[string](p, `JSON.stringify([...document.querySelectorAll(".said time")].map((e) => e.dateTime))`)), &times))
	require.NoError(t, json.Unmarshal([]byte(eval[string](p, `JSON.stringify([...document.querySelectorAll(".said")].map((e) => e.dataset.guid))`)), &ids))
	assert.Greater(t, len(times), 270, "all of them are there, also those that share a moment")
	assert.True(t, slices.IsSorted(times), "oldest first")
	slices.Sort(ids)
	assert.Len(t, slices.Compact(ids), len(times), "each once")
	assert.Greater(t, eval[int](p, `document.querySelectorAll(".day").length`), 3)
	p.until(`!document.getElementById("jump").hidden`)
	p.click("#jump")
	p.until(`document.getElementById("jump").hidden`)

	// A search finds conversations and messages, and leads there.
	p.press("k", ctrl)
	p.until(`document.activeElement.id === "search"`)
	p.write("virtual time")
	p.until(`document.querySelectorAll("#hits button").length > 2 && document.querySelector("#hits mark")?.textContent.toLowerCase() === "virtual time"`)
	p.accessible("what a search has found")
	p.press(kb.ArrowDown + kb.Enter)
	p.until(`document.querySelector(".said.found")?.textContent.includes("Virtual time") && document.activeElement.closest(".found")`)
	p.click("#search")
	eval[bool](p, `document.getElementById("search").select(), true`)
	p.write("lena")
	p.until(`document.querySelectorAll("#list li").length === 1`)
	p.press(kb.Escape)
	p.until(`document.querySelectorAll("#list li").length > 2 && document.getElementById("hits").hidden`)
	eval[bool](p, `document.getElementById("search").value = "zebra", document.getElementById("search").dispatchEvent(new Event("input")), true`)
	p.until(`document.getElementById("nothing").textContent.includes("zebra")`)
}

// phone is the page on a small screen, one part at a time.
func phone(t *testing.T, b *browser) {
	p := b.page("/?as=mia", 360, 640)
	p.until(`document.querySelectorAll("#list button").length > 1`)
	assert.True(t, eval[bool](p, `getComputedStyle(document.getElementById("talk")).display === "none"`))
	p.accessible("the list on a phone")
	p.clickOn(row("Trip to the lake"))
	p.until(`document.querySelectorAll(".said").length > 5 && getComputedStyle(document.getElementById("side")).display === "none"`)
	p.until(`document.getElementById("jump").hidden`)
	p.accessible("a conversation on a phone")
	assert.Less(t, eval[int](p, `document.getElementById("text").offsetHeight`), 50, "one line, also with a long name")
	assert.Greater(t, eval[int](p, `new Set([...document.querySelectorAll(".said .face")].map((e) => e.textContent)).size`), 2)
	assert.Equal(t, eval[int](p, `new Set([...document.querySelectorAll(".said .face")].map((e) => e.textContent)).size`),
		eval[int](p, `new Set([...document.querySelectorAll(".said .face")].map((e) => e.style.getPropertyValue("--face"))).size`), "a color of their own")
	p.click("#back")
	p.until(`getComputedStyle(document.getElementById("talk")).display === "none"`)
	p.clickOn(row("Trip to the lake"))
	p.press(kb.Escape)
	p.until(`getComputedStyle(document.getElementById("talk")).display === "none" && document.activeElement.closest("#list")`)
}
