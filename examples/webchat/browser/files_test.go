package browser

import (
	"image"
	"image/color"
	"image/png"
	"os"
	"path/filepath"
	"testing"

	"github.com/chromedp/cdproto/network"
	"github.com/chromedp/chromedp"
	"github.com/chromedp/chromedp/kb"
	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
)

// handed makes the page get a picture as if it was dropped or pasted.
const handed = `(async (kind) => {
	const canvas = Object.assign(document.createElement("canvas"), { width: 320, height: 200 });
	const pen = canvas.getContext("2d");
	pen.fillStyle = "#c46";
	pen.fillRect(40, 40, 200, 100);
	const blob = await new Promise((done) => canvas.toBlob(done));
	const data = new DataTransfer();
	data.items.add(new File([blob], kind + "ped.png", { type: "image/png" }));
	if (kind === "drop") {
		const at = document.getElementById("scroll");
		at.dispatchEvent(new DragEvent("dragenter", { dataTransfer: data, bubbles: true }));
		const asked = !document.getElementById("drop").hidden;
		at.dispatchEvent(new DragEvent("drop", { dataTransfer: data, bubbles: true, cancelable: true }));
		return asked && document.getElementById("drop").hidden;
	}
	document.getElementById("text").dispatchEvent(new ClipboardEvent("paste", { clipboardData: data, bubbles: true, cancelable: true }));
	return true;
})`

// files lets people send pictures and other files.
func files(t *testing.T, b *browser) {
	jane, bob := b.person("jane", "Bob Roe"), b.person("bob", "Jane Doe")
	painted := `?.querySelector(".pictures img")`
	loaded := func(p *tab, text string, width int) {
		// While it is being sent, who sends it sees what they have chosen.
		p.until(`((img) => img?.naturalWidth === ` + quoted(width) + ` && !img.src.startsWith("blob:"))(` + bubble(text) + painted + `)`)
		address := eval[string](p, bubble(text)+painted+`.src`)
		assert.Regexp(t, `/chat/\w+/file/\d+/\d+/0(-[0-9a-f]+)?$`, address, "no key in the address")
	}

	// What waits with its files outlives the page. Who goes is asked first.
	eval[bool](jane, `XMLHttpRequest.prototype.send = () => {}, true`) // a network that says nothing
	eval[bool](jane, handed+`("paste")`)
	eval[bool](jane, `document.getElementById("text").value = "over a reload", document.getElementById("composer").requestSubmit(), true`)
	jane.until(`new Promise((done) => { indexedDB.open("webchat").onsuccess = (e) => {
		const all = e.target.result.transaction("files").objectStore("files").count();
		all.onsuccess = () => { e.target.result.close(); done(all.result === 1); };
	}; })`)
	assert.False(t, eval[bool](jane, `dispatchEvent(new Event("beforeunload", { cancelable: true }))`))
	jane.do(chromedp.Reload())
	loaded(bob, "over a reload", 320)
	jane.until(shows("over a reload") + ` && !document.querySelector(".waiting")`)
	assert.True(t, eval[bool](jane, `dispatchEvent(new Event("beforeunload", { cancelable: true }))`))

	for _, kind := range []string{"drop", "paste"} {
		require.True(t, eval[bool](jane, `(async () => {
			const asked = await `+handed+`(`+quoted(kind)+`);
			`+row("Ravi Sen")+`.click(); // it is still being decoded
			return asked;
		})()`), "the page says where to drop")
		jane.until(opened("Ravi Sen") + ` && document.getElementById("tray").hidden`)
		jane.clickOn(row("Bob Roe"))
		jane.until(`document.querySelector("#tray img")?.naturalWidth === 320`)
		jane.click("#text")
		jane.write("a picture by " + kind)
		jane.press(kb.Enter)
		loaded(bob, "a picture by "+kind, 320)
		loaded(jane, "a picture by "+kind, 320)
	}
	jane.until(`document.getElementById("tray").hidden`)

	// Two from the disk, of which one is taken back.
	folder := t.TempDir()
	large := filepath.Join(folder, "noise.png")
	require.NoError(t, os.WriteFile(filepath.Join(folder, "notes.txt"), []byte("line\n"), 0o600))
	file, err := os.Create(large)
	require.NoError(t, err)
	require.NoError(t, png.Encode(file, noise(700, 500)))
	require.NoError(t, file.Close())
	jane.do(chromedp.SetUploadFiles(chromedp.CSS("#files"), []string{large, filepath.Join(folder, "notes.txt"), filepath.Join(folder, "notes.txt")}))
	jane.until(`document.querySelectorAll("#tray li").length === 3`)
	jane.clickOn(`document.querySelector("#tray li:last-child button")`)
	jane.until(`document.querySelectorAll("#tray li").length === 2`)
	eval[bool](jane, `window.steps = [], new MutationObserver(() => { const bar = document.querySelector(".progress i"); if (bar) window.steps.push(bar.style.width); }).observe(document.getElementById("bubbles"), { subtree: true, childList: true, attributes: true }), true`)
	slow := network.Conditions{UploadThroughput: 1 << 20, DownloadThroughput: -1} // so that there is progress to see
	jane.do(command(network.EmulateNetworkConditionsByRule, network.EmulateNetworkConditionsByRuleParams{MatchedNetworkConditions: []*network.Conditions{&slow}}))
	jane.click("#text")
	jane.write("from the disk")
	jane.press(kb.Enter)
	loaded(bob, "from the disk", 700)
	assert.Equal(t, "notes.txt", eval[string](bob, bubble("from the disk")+`?.querySelector(".file").textContent`))
	jane.until(`window.steps.length > 0`)

	bob.clickOn(bubble("from the disk") + `?.querySelector(".pictures button")`)
	bob.until(`document.getElementById("viewer").open && document.getElementById("viewer-image").naturalWidth === 700`)
	assert.Less(t, eval[float64](bob, `(() => {
		const { left, right, top, bottom } = document.getElementById("viewer-image").getBoundingClientRect();
		return Math.max(Math.abs(left + right - innerWidth), Math.abs(top + bottom - innerHeight), document.getElementById("viewer").offsetWidth - (right - left));
	})()`), 3.0, "it is in the middle, and the button is on it")
	bob.press(kb.Escape)
	bob.until(`!document.getElementById("viewer").open && document.activeElement.closest(".pictures")`)
}

// noise is a picture that does not become small.
func noise(width, height int) image.Image {
	img := image.NewRGBA(image.Rect(0, 0, width, height))
	state := uint32(1)
	for x := range width {
		for y := range height {
			state = state*1664525 + 1013904223
			img.Set(x, y, color.RGBA{uint8(state >> 24), uint8(state >> 16), uint8(state >> 8), 255})
		}
	}
	return img
}
