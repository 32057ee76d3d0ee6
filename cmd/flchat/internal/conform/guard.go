package conform

import (
	"encoding/base64"
	"encoding/hex"
	"encoding/json"
	"net/url"
	"slices"
	"strings"
	"sync"
)

// guard knows all secrets of a run, and takes them out of whatever is written. Nothing should
// hold one: what it has to take out is counted, and told.
type guard struct {
	mu    sync.Mutex
	forms []string // of all secrets, the longest first
	taken int
}

// shortest is how long a secret has to be: a shorter one would be found in any text.
const shortest = 8

func (g *guard) add(secrets ...string) {
	g.mu.Lock()
	defer g.mu.Unlock()
	for _, s := range secrets {
		if len(s) < shortest {
			continue
		}
		quoted, _ := json.Marshal(s) //nolint:errchkjson // a text
		forms := []string{
			s, strings.Trim(string(quoted), `"`), url.QueryEscape(s), url.PathEscape(s), hex.EncodeToString([]byte(s)),
		}
		for shift := range 3 { // where base64 of something around it has it
			inner := append(make([]byte, shift), s...)
			forms = append(forms, base64.StdEncoding.EncodeToString(inner)[(shift*8+5)/6:len(inner)*8/6])
		}
		for _, f := range forms {
			if len(f) >= shortest && !slices.Contains(g.forms, f) {
				g.forms = append(g.forms, f)
			}
		}
	}
	slices.SortFunc(g.forms, func(a, b string) int { return len(b) - len(a) })
}

// clean takes the secrets out.
func (g *guard) clean(text string) string {
	text, n := g.mask(text)
	g.mu.Lock()
	defer g.mu.Unlock()
	g.taken += n
	return text
}

// mask is clean for what is known to have secrets, such as a body that is shown.
func (g *guard) mask(text string) (_ string, taken int) {
	g.mu.Lock()
	defer g.mu.Unlock()
	for _, f := range g.forms {
		if n := strings.Count(text, f); n > 0 {
			taken += n
			text = strings.ReplaceAll(text, f, "[secret]")
		}
	}
	return text, taken
}

// found is how many secrets had to be taken out.
func (g *guard) found() int {
	g.mu.Lock()
	defer g.mu.Unlock()
	return g.taken
}
