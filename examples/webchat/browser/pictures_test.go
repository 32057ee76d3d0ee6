package browser

import (
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
		time.Sleep(600 * time.Millisecond) // what fades has faded
		picture, err := chromedp.Run(p.ctx, chromedp.CaptureScreenshot())
		require.NoError(t, err)
		require.NoError(t, os.WriteFile(filepath.Join(folder, name), picture, 0o600))
		assert.LessOrEqual(t, len(picture), 200<<10, name)
	}
	p := b.page("/?drawer", 1360, 860, "prefers-color-scheme=light")
	p.until(side(`d.querySelectorAll(".said").length > 8`))
	eval[bool](p, `document.querySelector("[name=lose]").value = 20, document.querySelector("[name=double]").value = 30, document.querySelector("[name=delay]").value = 400, document.querySelector("[name=tooMany]").value = 10, document.getElementById("faults").dispatchEvent(new Event("input"))`)
	p.click("#storm")
	p.until(`Number(document.querySelector("dd[data-count=sent]").textContent) > 24`)
	p.click("#storm")
	p.click("#calm")
	p.until(`document.querySelector("dd[data-count=onTheWay]").textContent === "0"`)
	p.click("#restart")
	p.until(side(`d.getElementById("state").textContent === "connected" && !d.querySelector("#list [aria-current] .badge")`))
	shoot(p, "webchat-light.png")

	dark := b.page("/?as=jane&open=Trip to the lake", 1280, 800, "prefers-color-scheme=dark")
	dark.until(`document.querySelectorAll(".said").length > 8 && document.querySelector(".pictures img")?.complete`)
	dark.click("#emoji")
	shoot(dark, "webchat-dark.png")

	phone := b.page("/?as=bob&open=Trip to the lake", 390, 780, "prefers-color-scheme=light")
	phone.until(`document.querySelectorAll(".said").length > 8 && document.querySelector(".pictures img")?.complete`)
	shoot(phone, "webchat-phone.png")
	phone.click("#back")
	shoot(phone, "webchat-phone-list.png")
	errs, failed := b.complaints()
	t.Log(errs, failed)
}
