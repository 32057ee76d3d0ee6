package browser

import (
	"context"
	"testing"

	"github.com/chromedp/cdproto/page"
	"github.com/chromedp/chromedp"
	"github.com/stretchr/testify/assert"
)

// strange changes what the server answers: columns have other types than they should.
const strange = `(() => {
	const had = fetch, odd = [5, {}, null, true, [[]], "x"];
	window.fetch = async (...args) => {
		const answer = await had(...args), path = String(args[0]);
		const change = { contacts(list) {
			list.find((c) => c.data.Email === "mia@example.org").data["Full name"] = 5;
			list.find((c) => c.data.Email === "lena@example.org").data["Full name"] = { first: "Lena" };
			list.find((c) => c.data.Email === "bob@example.org").data.Title = 7;
			Object.assign(list.find((c) => c.data.Email === "ravi@example.org"), { data: null });
		}, conversations(list) {
			Object.assign(list.find((c) => c.name === "Design review"), { name: 12, definition: { participants: "nobody" }, updatedAt: {} });
		}, "messages.history"(list) {
			list.slice(0, 18).forEach((m, i) => {
				const name = ["body", "fileInfo", "file", "readBy", "guid", "fromUserId"][i % 6];
				m.data[name] = odd[Math.floor(i / 3) % 6];
			});
			list[18].data = null;
			list[19].createdAt = "never";
			list[20].data.file = ["javascript:alert(1)", 5];
			list[20].data.fileInfo = [{ type: 5, name: {} }, 5];
		} }[path.split("/call/")[1]];
		if (!change || !answer.ok) return answer;
		const list = await answer.json();
		change(list);
		return new Response(JSON.stringify(list), { headers: { "Content-Type": "application/json" } });
	};
})()`

// rows lets a page read rows in which nothing has the type that it should have.
func rows(t *testing.T, b *browser) {
	p := b.page("/?as=jane", 1000, 760)
	p.do(chromedp.Func(func(ctx context.Context, _ *chromedp.Target) error {
		_, err := chromedp.Call(ctx, page.AddScriptToEvaluateOnNewDocument, page.AddScriptToEvaluateOnNewDocumentParams{Source: strange})
		return err
	}), chromedp.Navigate(b.site+"?as=jane&open=Bob%20Roe"))
	p.until(`document.getElementById("talk-name").textContent === "Bob Roe" && document.querySelectorAll(".said").length > 30`)
	p.until(`[...document.querySelectorAll("#list .last")].some((e) => e.textContent.startsWith("5: ") || e.textContent.includes("mebody: "))`)
	assert.Equal(t, "7", eval[string](p, `document.getElementById("talk-who").textContent`))
	assert.Zero(t, eval[int](p, `document.querySelectorAll("[href^=javascript]").length`))
	p.until(row("12"))

	// What is really stored, and comes over the stream.
	p.say("before the odd ones")
	p.until(bubble("before the odd ones") + `?.querySelector(".meta .seen, .meta svg[aria-label=sent]")`)
	for _, data := range []string{`{"body":"a type of 5","file":["data:image/png;base64,iVBORw0KGgo="],"fileInfo":[{"type":5}]}`, `{"body":"information 5","fileInfo":5}`, `{"body":"\u200b"}`} {
		assert.Equal(t, 200, eval[int](p, `fetch("chat/bob/call/message", { method: "POST", headers: { "Content-Type": "application/json" }, body: "[" + `+row("Bob Roe")+`.dataset.talk + `+quoted(","+data+"]")+` }).then((r) => r.status)`), data)
	}
	p.until(shows("information 5"))
	p.until(`[...document.querySelectorAll(".said:not(.own)")].at(-1).textContent.includes("Empty message")`)
	p.say("after the odd ones")
	p.until(shows("after the odd ones"))
	p.choose("people")
	assert.Equal(t, 5, eval[int](p, `document.querySelectorAll("#people-list li").length`))
}
