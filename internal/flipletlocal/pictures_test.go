package flipletlocal

import (
	"fmt"
	"net/http/httptest"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/fliplet/fliplet-chat-go/internal/flipletd"
)

// TestPicturesInChromium writes the pictures of the documentation, docs/images, into the
// folder that FLIPLET_LOCAL_PICTURES names: "make pictures". The clock stands still, so the
// same fonts give the same pictures.
func TestPicturesInChromium(t *testing.T) {
	folder := os.Getenv("FLIPLET_LOCAL_PICTURES")
	if folder == "" {
		t.Skip("FLIPLET_LOCAL_PICTURES names no folder")
	}
	b := drive(t)
	s, url := demo(t)
	wide := b.open(url, 1360, 850)
	shoot := func(p *tab, name string) {
		time.Sleep(300 * time.Millisecond) // what fades has faded
		file := filepath.Join(folder, name)
		p.picture(file)
		info, err := os.Stat(file)
		require.NoError(t, err)
		assert.LessOrEqual(t, info.Size(), int64(200<<10), name)
	}
	wide.until(`document.querySelectorAll("#bubbles li").length > 8`)
	shoot(wide, "page-light.png")
	wide.prefer("prefers-color-scheme", "dark")
	wide.eval(`document.getElementById("tab-hooks").click()`)
	shoot(wide, "page-dark.png")

	phone := b.open(url, 360, 740)
	phone.eval(`document.querySelector("#list button").click()`)
	phone.until(`document.querySelectorAll("#bubbles li").length > 8`)
	phone.eval(`document.activeElement.blur()`)
	shoot(phone, "page-phone.png")

	s.hurry()
	load := b.open(url, 1360, 850)
	load.until(`document.querySelector(".column.toomany") !== null`)
	load.eval(`[...document.querySelectorAll("#list button")].find((b) => b.innerText.includes("Payroll")).click()`)
	load.until(`document.querySelectorAll("#bubbles .encrypted").length > 1`)
	shoot(load, "page-load.png")
}

// noon is when the pictures are taken.
var noon = time.Date(2026, 5, 4, 12, 30, 0, 0, time.UTC)

// demo is what -seed-demo adds, and a day of the people in it.
func demo(t *testing.T) (*site, string) {
	core, err := flipletd.New(flipletd.Config{Token: "eu--canary-token", HookTransport: answering(200)})
	require.NoError(t, err)
	t.Cleanup(core.Close)
	server := httptest.NewUnstartedServer(nil)
	s := &site{Server: core, page: newPage(core, "http://127.0.0.1:8899"), t: t}
	server.Config.Handler = s.page
	server.Start()
	t.Cleanup(server.Close)
	core.Freeze(noon.Add(-26 * time.Hour))
	_, err = seed(core)
	require.NoError(t, err)
	s.add(m{"name": "More people", "entries": []any{
		m{"flUserId": "demo-mia", "Full name": "Mia Holm"}, m{"flUserId": "demo-ravi", "Full name": "Ravi Sen"}, m{"flUserId": "demo-lena", "Full name": "Lena Voss"},
		m{"flUserId": "demo-tom", "Full name": "Tom Adeyemi"}, m{"flUserId": "demo-yuki", "Full name": "Yuki Mori"},
	}})
	all := []any{"demo-jane", "demo-bob", "demo-eve", "demo-mia", "demo-ravi", "demo-lena"}
	web := []any{m{"type": "web", "runOn": []any{"insert"}, "payload": m{"method": "POST", "endpoint": "http://127.0.0.1:9000/new-message"}}}
	s.talk("Yuki Mori", m{"participants": []any{"demo-jane", "demo-yuki"}}, -25*time.Hour, "demo-yuki: The slides are in the folder.", "demo-jane: Thanks, I will read them tonight.")
	s.talk("News", m{"participants": all, "group": m{"public": true}}, -4*time.Hour, "demo-lena: The canteen opens at eight tomorrow.", "demo-tom: There is a new coffee machine on the second floor.")
	s.talk("Payroll", m{"participants": []any{"demo-jane", "demo-eve"}, "encryptionKey": "canary-key"}, -2*time.Hour,
		"demo-eve: U2FsdGVkX1canary", "demo-jane: flsealed:1:canary", "demo-eve: U2FsdGVkX1canary", "demo-jane: Is that all?")
	s.talk("Eve Moe", m{"participants": []any{"demo-jane", "demo-eve"}}, -90*time.Minute, "demo-eve: Lunch at one?", "demo-jane: One it is.")
	s.talk("Trip to the lake", m{"participants": all, "group": m{"name": "Trip to the lake"}}, -40*time.Minute,
		"demo-mia: Who brings what on Saturday?", "demo-ravi: I bring the tents. Two of them, one is small.", "demo-ravi: And the stove",
		"demo-jane: Bread, cheese, tea. And the boat", "demo-bob: The boat!", "demo-jane: edited The train leaves at 8:12 from platform 4, so let us meet at eight under the clock.",
		"demo-eve: deleted", "demo-mia: file See you at the clock, then. Here is the way from the station:", "demo-jane: Perfect. I have sent the tickets to all of you.", "demo-lena: Looking forward to it.")
	s.add(m{"name": "Orders", "columns": []any{"Customer", "Item", "Amount", "apiKey"}, "hooks": web})
	orders := s.Sources()[len(s.Sources())-1].ID
	for i := range 100 { // a calm while
		core.Freeze(noon.Add(time.Duration(i-100) * time.Second))
		for range []int{2, 1, 3, 4, 2, 6, 1, 5, 3, 2, 7, 1, 3}[i%13] {
			s.do("GET", "/v1/data-sources?type=conversation", "")
		}
		if i%9 == 4 {
			s.do("PUT", fmt.Sprintf("/v1/data-sources/%d/data", orders), `{"Customer":"Tom Adeyemi","Item":"Tea","Amount":2}`)
		}
		if i%13 == 5 {
			s.do("GET", "/v1/data-sources/999?auth_token=canary", "")
		}
	}
	require.NoError(t, core.WaitForHooks(t.Context()))
	core.Freeze(noon)
	s.do("POST", fmt.Sprintf("/v1/data-sources/%d/data/query", orders), `{"where":{"Item":"Tea"}}`)
	return s, server.URL
}

// talk adds a conversation that ends at a time before noon, a minute between messages.
func (s *site) talk(name string, definition m, end time.Duration, lines ...string) {
	s.Freeze(noon.Add(end - time.Duration(len(lines))*time.Minute))
	id, err := s.CreateSource(m{"name": name, "type": "conversation", "definition": definition})
	require.NoError(s.t, err)
	for i, line := range lines {
		s.Freeze(noon.Add(end - time.Duration(len(lines)-1-i)*time.Minute))
		from, body, _ := strings.Cut(line, ": ")
		row := m{"fromUserId": from, "body": body, "readBy": []any{from}}
		if _, private := definition["group"]; !private || i < len(lines)-1 {
			row["readBy"] = []any{from, "demo-jane", "demo-mia"}
		}
		if body, ok := strings.CutPrefix(body, "edited "); ok {
			row["body"], row["isEdited"] = body, true
		}
		if body, ok := strings.CutPrefix(body, "file "); ok {
			row["body"], row["file"] = body, []any{"https://cdn.fliplet.com/apps/1/Way%20to%20the%20lake.pdf?encryptionKey=canary"}
		}
		if body == "deleted" {
			row["isDeleted"] = true
		}
		_, err = s.Insert(id, row)
		require.NoError(s.t, err)
	}
}

// hurry lets clients ask for more than the limit, and the server fail once.
func (s *site) hurry() {
	require.NoError(s.t, s.Limit(flipletd.DocumentedLimits()[0]))
	for i := range 100 {
		s.Freeze(noon.Add(time.Duration(i) * time.Second))
		n := 6 + i%5
		if i > 25 && i < 70 {
			n = 16 + (i*7)%23
		}
		for k := range n {
			if k%11 == 7 {
				s.do("GET", "/v1/data-sources/999", "")
				continue
			}
			s.do("GET", "/v1/data-sources?type=conversation", "")
		}
	}
	s.Pull(flipletd.Rule{Route: flipletd.AnyRoute, Times: 2, Faults: []flipletd.Fault{func(fx *flipletd.Effects) { fx.Status = 503 }}})
	s.do("GET", "/v1/data-sources", "")
	s.do("GET", "/v1/data-sources", "")
}
