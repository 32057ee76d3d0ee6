package browser

import (
	"testing"

	"github.com/chromedp/chromedp/kb"
	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
)

// choose opens the menu of new conversations and chooses an item by keys.
func (p *tab) choose(item string) {
	p.t.Helper()
	p.click("#new")
	p.until(`document.activeElement.getAttribute("role") === "menuitem"`)
	for range 3 {
		if eval[bool](p, `document.activeElement.dataset.open === `+quoted(item)) {
			break
		}
		p.press(kb.ArrowDown)
	}
	p.press(kb.Enter)
	p.until(`document.getElementById(` + quoted(item) + `).open`)
}

// opened is a condition: a conversation of this name is open.
func opened(name string) string {
	return `document.getElementById("talk-name").textContent === ` + quoted(name) + ` && !document.querySelector("dialog[open]")`
}

// groups lets people make groups and channels, join, mute and leave.
func groups(t *testing.T, b *browser) {
	jane, bob, lena := b.person("jane", "Bob Roe"), b.person("bob", "Jane Doe"), b.person("lena", "Design review")

	// A group, made by clicking. The others see it although nothing is said in it.
	jane.choose("people")
	for _, name := range []string{"Bob Roe", "Ravi Sen"} {
		jane.clickOn(`[...document.querySelectorAll("#people-list label")].find((l) => l.textContent.includes(` + quoted(name) + `))`)
	}
	jane.click("#group-name")
	jane.write("Phoenix")
	jane.click("#people-go")
	jane.until(opened("Phoenix"))
	bob.until(row("Phoenix"))
	jane.say("Welcome")
	bob.clickOn(row("Phoenix"))
	bob.until(shows("Welcome"))

	// An invitation: the code goes from one page to another.
	jane.click("#info")
	jane.until(`!document.getElementById("details-code").hidden`)
	code := eval[string](jane, `document.getElementById("code").textContent`)
	require.NotEmpty(t, code)
	jane.press(kb.Escape)
	lena.choose("join")
	lena.click("#join-code")
	lena.write(" " + code)
	lena.press(kb.Enter)
	lena.until(opened("Phoenix"))
	lena.until(shows("Welcome"))
	lena.say("Thank you for the code")
	bob.until(shows("Thank you for the code"))
	lena.choose("join")
	lena.click("#join-code")
	lena.write("no such code")
	lena.press(kb.Enter)
	lena.until(`document.getElementById("toasts").textContent.includes("Not joined")`)

	// Somebody is added by name.
	jane.click("#info")
	jane.until(`document.getElementById("details").open`)
	eval[bool](jane, `document.getElementById("add-who").value = [...document.getElementById("add-who").options].find((o) => o.textContent === "Mia Holm").value, true`)
	jane.click("#add-go")
	jane.until(`document.getElementById("members").textContent.includes("Mia Holm")`)
	jane.press(kb.Escape)

	// Muted conversations have a gray badge, and do not count in the title.
	bob.click("#mute")
	bob.until(`document.getElementById("mute").getAttribute("aria-pressed") === "true"`)
	bob.clickOn(row("Jane Doe"))
	bob.until(opened("Jane Doe"))
	before := eval[string](bob, `document.title`)
	jane.say("Psst")
	bob.until(row("Phoenix") + `?.querySelector(".badge.muted")`)
	assert.Equal(t, before, eval[string](bob, `document.title`))
	bob.clickOn(row("Phoenix"))
	bob.until(opened("Phoenix"))
	bob.click("#mute")
	bob.until(`document.getElementById("mute").getAttribute("aria-pressed") === "false"`)

	// Leaving: it disappears for who leaves, and stays for the others.
	bob.click("#info")
	bob.until(`document.getElementById("details").open`)
	bob.click("#leave")
	bob.click("#sure-yes")
	bob.until(`!document.getElementById("details").open && !` + row("Phoenix"))
	jane.until(`!document.getElementById("talk-who").textContent.includes("Bob")`)

	// Channels: one that exists, and a new one.
	jane.choose("channels")
	jane.until(`document.activeElement.id === "channels-title"`)
	jane.clickOn(`document.querySelector("[aria-label='Join Running']")`)
	jane.until(opened("Running"))
	jane.say("Who runs on Sunday?")
	jane.choose("channels")
	jane.click("#channel-name")
	jane.write("Cooking")
	jane.press(kb.Enter)
	jane.until(opened("Cooking"))
	lena.choose("channels")
	lena.clickOn(`document.querySelector("[aria-label='Join Cooking']")`)
	lena.until(opened("Cooking"))
	lena.say("Soup!")
	jane.until(shows("Soup!"))
}
