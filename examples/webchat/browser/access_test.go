package browser

import (
	"context"
	_ "embed"
	"slices"
	"strings"
	"testing"

	"github.com/chromedp/cdproto/accessibility"
	"github.com/chromedp/chromedp"
	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
)

// checks finds what is wrong with a page, as a list of sentences.
//
//go:embed testdata/checks.js
var checks string

// named are the roles of what a person can use, or has to find.
var named = []string{
	"button", "link", "textbox", "searchbox", "checkbox", "radio", "slider", "combobox", "menuitem", "dialog", "log", "img", "image", "navigation", "complementary", "main", "menu",
	"group", "progressbar", "Iframe",
}

// accessible checks names, contrast and structure of what the page shows now, in both themes.
func (p *tab) accessible(what string) {
	p.t.Helper()
	for _, theme := range []string{"light", "dark"} {
		eval[bool](p, `document.documentElement.dataset.theme = `+quoted(theme)+`, [...Array(frames.length).keys()].forEach((i) => frames[i].document.documentElement.dataset.theme = `+quoted(theme)+`), true`)
		for _, wrong := range eval[[]string](p, checks) {
			assert.Fail(p.t, what+", "+theme, "%s", wrong)
		}
	}
	eval[bool](p, `document.documentElement.dataset.theme = "auto", true`)
	tree, err := chromedp.Run(p.ctx, func(ctx context.Context, _ *chromedp.Target) (accessibility.GetFullAXTreeResult, error) {
		return chromedp.Call(ctx, accessibility.GetFullAXTree, accessibility.GetFullAXTreeParams{})
	})
	require.NoError(p.t, err)
	seen := 0
	for _, n := range tree.Nodes {
		if n.Ignored || n.Role == nil || !slices.Contains(named, strings.Trim(string(n.Role.Value), `"`)) {
			continue
		}
		seen++
		assert.False(p.t, n.Name == nil || strings.Trim(string(n.Name.Value), `" `) == "", "%s: a %s without a name", what, n.Role.Value)
	}
	assert.Positive(p.t, seen, what)
}

// TestTheChecksFindWhatIsWrong shows that they can fail.
func TestTheChecksFindWhatIsWrong(t *testing.T) {
	t.Parallel()
	if !long() {
		t.Skip("it tries the checks themselves: CHAT_LONG=1")
	}
	b := open(t, webchat(t))
	p := b.page("/?as=jane", 900, 700)
	p.until(`document.querySelectorAll(".said").length > 8`)
	for change, want := range map[string]string{
		`document.querySelector("#me").style.color = "#999999"`:                                 "contrast",
		`document.querySelector(".bubble").style.backgroundColor = "rgb(120, 120, 120)"`:        "contrast",
		`document.querySelector("#back").id = "info"`:                                           "id",
		`document.querySelector("#new").setAttribute("aria-controls", "nowhere")`:               "aria-controls",
		`document.querySelector("#bubbles").prepend(document.createElement("div"))`:             "list",
		`document.querySelector("#search").tabIndex = 3`:                                        "tabindex",
		`document.querySelector("#talk").style.width = "3000px"`:                                "wide",
		`document.querySelector("#send").style.width = "8px"`:                                   "small",
		`document.body.append(Object.assign(document.createElement("img"), {src: "icon.svg"}))`: "alt",
	} {
		eval[bool](p, change+", true")
		assert.Contains(t, strings.Join(eval[[]string](p, checks), "\n"), want, change)
		p.do(chromedp.Reload())
		p.until(`document.querySelectorAll(".said").length > 8`)
		require.Empty(t, eval[[]string](p, checks))
	}
}
