package browser

import (
	"fmt"
	"os"
	"path/filepath"
	"testing"
	"time"

	"github.com/chromedp/chromedp"
	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
)

// side is a condition about both sides of the window: each is d, a document.
func side(condition string) string {
	return `frames.length === 2 && [frames[0], frames[1]].every(({ document: d }) => d.readyState === "complete" && ` + condition + `)`
}

// TestPictures writes the pictures of the documentation into the folder that
// WEBCHAT_PICTURES names: "make pictures".
func TestPictures(t *testing.T) {
	folder := os.Getenv("WEBCHAT_PICTURES")
	if folder == "" {
		t.Skip("WEBCHAT_PICTURES names no folder")
	}
	b := open(t, webchat(t))
	shoot := func(p *tab, name string) {
		time.Sleep(time.Second) // what fades has faded
		picture, err := chromedp.Run(p.ctx, chromedp.CaptureScreenshot())
		require.NoError(t, err)
		require.NoError(t, os.WriteFile(filepath.Join(folder, name), picture, 0o600))
		assert.LessOrEqual(t, len(picture), 200<<10, name)
	}
	dark := b.page("/?as=jane&open=Trip to the lake", 1280, 760, "prefers-color-scheme=dark")
	dark.until(`document.querySelectorAll(".said").length > 8 && document.querySelector(".pictures img")?.naturalWidth && !document.querySelector("#list [aria-current] .badge")`)
	dark.click("#emoji")
	shoot(dark, "webchat-dark.png")

	phone := b.page("/?as=bob&open=Trip to the lake", 390, 780, "prefers-color-scheme=light")
	phone.until(`document.querySelectorAll(".said").length > 8 && document.querySelector(".pictures img")?.naturalWidth && !document.querySelector("#list [aria-current] .badge")`)
	shoot(phone, "webchat-phone.png")
	for _, p := range []*tab{dark, phone} {
		p.do(chromedp.Navigate("about:blank"))
	}
	p := b.page("/?drawer", 1330, 850, "prefers-color-scheme=light")
	p.until(side(`d.querySelectorAll(".said").length > 8 && d.getElementById("state").textContent === "connected"`))
	for name, value := range map[string]int{"lose": 15, "double": 25, "delay": 300, "tooMany": 10} {
		p.set(name, value)
	}
	p.click("#storm")
	p.until(`Number(document.querySelector("dd[data-count=sent]").textContent) > 30`)
	p.click("#restart")
	p.until(`Number(document.querySelector("dd[data-count=sent]").textContent) > 60`)
	p.click("#storm")
	p.until(`document.querySelector("dd[data-count=onTheWay]").textContent === "0"`)
	line := func(side int, text string) { // what is read in the picture
		eval[bool](p, fmt.Sprintf(`frames[%d].document.getElementById("text").value = %s, frames[%d].document.getElementById("composer").requestSubmit(), true`, side, quoted(text), side))
		p.until(`[0, 1].every((i) => [...frames[i].document.querySelectorAll(".said:not(.waiting) .bubble")].some((b) => b.textContent.includes(` + quoted(text) + `)))`)
	}
	line(1, "It loses one request in seven, and the server was just killed.")
	line(0, "And?")
	line(1, "Nothing lost, nothing twice, all in order.")
	line(0, "🎉")
	p.until(side(`d.getElementById("state").textContent === "connected" && !d.querySelector("#list [aria-current] .badge")`))
	p.until(`frames[0].document.querySelector(".said:last-child .seen") && document.querySelector("dd[data-count=onTheWay]").textContent === "0"`)
	eval[bool](p, `document.activeElement.blur(), true`)
	p.do(chromedp.MouseEvent(chromedp.MouseMoved, 4, 4))
	shoot(p, "webchat-light.png")

	errs, _ := b.complaints()
	assert.Empty(t, errs)
}
