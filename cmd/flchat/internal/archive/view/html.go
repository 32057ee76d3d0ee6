package view

import (
	"bufio"
	"cmp"
	"context"
	"crypto/sha256"
	_ "embed" // of the page's style and script
	"encoding/base64"
	"encoding/json"
	"fmt"
	"html"
	"io"
	"net/http"
	"slices"
	"time"

	"github.com/fliplet/fliplet-chat-go/cmd/flchat/internal/archive"
)

//go:embed page.css
var style string

//go:embed page.js
var script string

// policy lets the page run its own script and style, known by their hashes, and show pictures
// that are in it. Whatever else got into it would do nothing: nothing is loaded, and no other script runs.
func policy() string {
	hash := func(text string) string {
		sum := sha256.Sum256([]byte(text))
		return "'sha256-" + base64.StdEncoding.EncodeToString(sum[:]) + "'"
	}
	return "default-src 'none'; script-src " + hash(script) + "; style-src " + hash(style) + "; img-src data:; base-uri 'none'; form-action 'none'"
}

// about is what the page's script has to know before messages.
type about struct {
	Zone   string   `json:"zone"`
	People []string `json:"people"`
	Talks  []talk   `json:"talks"`
}

type talk struct {
	ID   int64  `json:"id"`
	Name string `json:"name"`
	N    int    `json:"n"`
	last time.Time
}

// item is a message in the page. Names are short, since there may be many.
type item struct {
	ID     int64      `json:"i"`
	Time   int64      `json:"t"` // in Unix milliseconds
	Person int        `json:"p"` // a place in about.People
	Body   string     `json:"b"`
	Edits  []string   `json:"e,omitempty"` // the texts before
	Gone   bool       `json:"x,omitempty"`
	Why    string     `json:"u,omitempty"`
	Files  []itemFile `json:"f,omitempty"`
}

type itemFile struct {
	Hash    string `json:"h,omitempty"`
	Name    string `json:"n,omitempty"`
	URL     string `json:"u,omitempty"`
	Missing string `json:"m,omitempty"`
}

// page writes one file of HTML.
type page struct {
	*shown
	out    *bufio.Writer
	people map[string]int // places in about.People
	about  about
	files  map[string]bool // pictures that are in the page
	room   int64           // for more of them
}

// HTML writes one page that needs nothing else: conversations, a search, pictures and plots.
// What people have written cannot run in it. Memory does not grow with the archive, but that of
// a browser does with the page: bound large ones with Options.
func HTML(ctx context.Context, a *archive.Archive, w io.Writer, o Options) error {
	s, err := look(ctx, a, o)
	if err != nil {
		return err
	}
	n, err := s.count(ctx)
	if err != nil {
		return err
	}
	p := &page{shown: s, out: bufio.NewWriterSize(w, 1<<16), people: map[string]int{}, files: map[string]bool{}, room: o.Pictures}
	if p.about.Zone = s.o.Zone.String(); p.about.Zone == "Local" || p.about.Zone == "" {
		p.about.Zone = "Local"
	}
	p.head(n)
	for i := range s.talks {
		if err := p.talk(ctx, &s.talks[i]); err != nil {
			return err
		}
	}
	slices.SortStableFunc(p.about.Talks, func(a, b talk) int { return cmp.Or(b.last.Compare(a.last), cmp.Compare(a.ID, b.ID)) })
	// JSON escapes what could end the element.
	known, err := json.Marshal(p.about)
	if err != nil {
		return err
	}
	fmt.Fprintf(p.out, "<script id=\"about\" type=\"application/json\">%s</script>\n<script>%s</script>\n</body></html>\n", known, script)
	return p.out.Flush()
}

// head writes what is above the data, with the plots, which need no script.
func (p *page) head(n *numbers) {
	title := fmt.Sprintf("Chats of %s", p.name(p.Source.UserID))
	span := "no messages"
	if n.messages > 0 {
		span = fmt.Sprintf("%d messages of %d people in %d conversations, %s to %s", n.messages, len(n.people), len(p.talks), n.first.Format(time.DateOnly), n.last.Format(time.DateOnly))
	}
	perDay, days := n.perDay()
	fmt.Fprintf(p.out, `<!DOCTYPE html>
<html lang="en"><head><meta charset="utf-8">
<meta http-equiv="Content-Security-Policy" content="%s">
<meta name="referrer" content="no-referrer"><meta name="viewport" content="width=device-width, initial-scale=1">
<title>%s</title>
<style>%s</style></head>
<body>
<header><h1>%s</h1><p class="soft">%s. Contacts %d at %s. Times are of %s.</p>
<input id="query" type="search" placeholder="Search messages and people" aria-label="Search"><p id="told" class="soft" role="status"></p></header>
<section id="talks"><nav id="list" aria-label="Conversations"></nav><div id="thread" tabindex="0"></div></section>
<section><h2>%s</h2>%s</section>
<section><h2>Messages per person</h2>%s</section>
<section><h2>Messages by hour and weekday</h2>%s</section>
`, policy(), html.EscapeString(title), style, html.EscapeString(title), html.EscapeString(span), p.Source.Contacts, html.EscapeString(p.Source.API), html.EscapeString(p.o.Zone.String()),
		perDay, days, n.perPerson(p.name), n.heatMap())
}

// person is the place of somebody in the list of names.
func (p *page) person(userID string) int {
	at, known := p.people[userID]
	if !known {
		at = len(p.about.People)
		p.people[userID] = at
		p.about.People = append(p.about.People, p.name(userID))
	}
	return at
}

// together is how many messages are in one element, and togetherBytes about how large they may
// be: they are in memory.
const (
	together      = 500
	togetherBytes = 1 << 20
)

// talk writes a conversation.
func (p *page) talk(ctx context.Context, c *archive.Conversation) error {
	t := talk{ID: c.ID, Name: p.title(c)}
	var items []item
	size := 0
	flush := func() error {
		if len(items) == 0 {
			return nil
		}
		text, err := json.Marshal(items)
		if err != nil {
			return err
		}
		clear(items)
		items, size = items[:0], 0
		_, err = fmt.Fprintf(p.out, "<script type=\"application/json\" data-talk=\"%d\">%s</script>\n", c.ID, text)
		return err
	}
	for m, err := range p.messages(ctx, c.ID) {
		if err != nil {
			return err
		}
		t.N++
		t.last = m.Time()
		i := item{ID: m.Item, Time: t.last.UnixMilli(), Person: p.person(m.Author), Body: m.Body, Gone: m.Deleted, Why: m.Note}
		for _, v := range m.Versions {
			if (v.Kind == archive.KindNew || v.Kind == archive.KindEdit) && v.Seq != m.Seq && v.Body != m.Body {
				i.Edits = append(i.Edits, v.Body)
			}
		}
		for _, f := range m.Files {
			there, err := p.picture(ctx, f)
			if err != nil {
				return err
			}
			file := itemFile{Name: f.Name, Missing: f.Missing}
			if there {
				file.Hash = f.SHA256
			}
			if f.Name == "" {
				file.URL = f.URL
			}
			i.Files = append(i.Files, file)
		}
		for _, u := range m.Absent() {
			i.Files = append(i.Files, itemFile{URL: u, Missing: notFetched})
		}
		size += len(i.Body)
		for _, text := range i.Edits {
			size += len(text)
		}
		if items = append(items, i); len(items) == together || size >= togetherBytes {
			if err := flush(); err != nil {
				return err
			}
		}
	}
	if t.N > 0 || p.o.Since.IsZero() && p.o.Until.IsZero() {
		p.about.Talks = append(p.about.Talks, t)
	}
	return flush()
}

// shownTypes are the pictures that browsers show and that cannot hold a script.
var shownTypes = []string{"image/png", "image/jpeg", "image/gif", "image/webp"}

// picture writes a picture into the page, once, and reports whether it is there.
func (p *page) picture(ctx context.Context, f archive.File) (bool, error) {
	if f.SHA256 == "" || f.Size > p.o.LargestPicture {
		return false, nil
	}
	if there, known := p.files[f.SHA256]; known {
		return there, nil
	}
	if f.Size > p.room {
		return false, nil
	}
	var start beginning
	if err := p.WriteFile(ctx, f.SHA256, &start); err != nil {
		return false, err
	}
	kind := http.DetectContentType(start) // whatever the server said that it is
	p.files[f.SHA256] = slices.Contains(shownTypes, kind)
	if !p.files[f.SHA256] {
		return false, nil
	}
	p.room -= f.Size
	fmt.Fprintf(p.out, "<script type=\"text/plain\" data-file=\"%s\" data-type=\"%s\">", html.EscapeString(f.SHA256), kind)
	e := base64.NewEncoder(base64.StdEncoding, p.out)
	if err := p.WriteFile(ctx, f.SHA256, e); err != nil {
		return false, err
	}
	if err := e.Close(); err != nil {
		return false, err
	}
	_, err := p.out.WriteString("</script>\n")
	return true, err
}

// beginning keeps the first bytes of a file.
type beginning []byte

func (b *beginning) Write(p []byte) (int, error) {
	if room := 512 - len(*b); room > 0 {
		*b = append(*b, p[:min(room, len(p))]...)
	}
	return len(p), nil
}
