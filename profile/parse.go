package profile

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"math"
	"os"
	"slices"
	"strings"
	"time"
)

// version is that of the format. Later ones may mean other things by the same names.
const version = 1

// maxSize is more than a profile can have.
const maxSize = 64 << 10

// Read reads a file as [Parse] does.
//
// Errors: those of the file system; those of Parse, with the name of the file.
func Read(name string) (Profile, error) {
	f, err := os.Open(name) //nolint:gosec // the caller names it
	if err != nil {
		return Profile{}, err
	}
	defer f.Close() //nolint:errcheck // it was read only
	text, err := io.ReadAll(io.LimitReader(f, maxSize+1))
	if err != nil {
		return Profile{}, err
	}
	p, err := Parse(text)
	if err != nil {
		return Profile{}, fmt.Errorf("%s: %w", name, err)
	}
	return p, nil
}

// Parse reads a profile as JSON:
//
//	{"profile": 1,
//	 "strategies": {"crossSource": "avoid", "joins": "try", "listTimes": "avoid", "auditLog": "avoid"},
//	 "overlapSeconds": 8.5,
//	 "limits": {"joins": 60, "requests": 200, "windowSeconds": 10}}
//
// All but "profile" may be left out. Nothing else may be there, since a field that is misspelt would be
// without effect. An error names the field, and says what it may hold.
func Parse(text []byte) (Profile, error) {
	if len(text) > maxSize {
		return Profile{}, fmt.Errorf("profile: more than %d bytes; give the profile.json that flchat conform writes", maxSize)
	}
	d := json.NewDecoder(bytes.NewReader(text))
	d.UseNumber()
	r := reader{d: d}
	var p Profile
	var format, overlap, window float64
	r.object("", fields{
		"profile": func(path string) { format = r.number(path) },
		"strategies": func(path string) {
			r.object(path, fields{
				"crossSource": func(path string) { p.CrossSource = r.use(path) },
				"joins":       func(path string) { p.Joins = r.use(path) },
				"listTimes":   func(path string) { p.ListTimes = r.use(path) },
				"auditLog":    func(path string) { p.AuditLog = r.use(path) },
			})
		},
		"overlapSeconds": func(path string) { overlap = r.number(path) },
		"limits": func(path string) {
			r.object(path, fields{
				"joins":         func(path string) { p.MaxJoins = r.whole(path) },
				"requests":      func(path string) { p.Requests = r.whole(path) },
				"windowSeconds": func(path string) { window = r.number(path) },
			})
		},
	})
	if _, err := d.Token(); r.err == nil && !errors.Is(err, io.EOF) {
		r.fail("", "there is something behind the object")
	}
	if r.err == nil && format != version {
		r.fail("profile", fmt.Sprintf("format %v; this version reads format %d, which \"profile\": %d says", format, version, version))
	}
	if r.err != nil {
		return Profile{}, r.err
	}
	p.Overlap, p.Window = seconds(overlap), seconds(window)
	if err := p.Check(); err != nil {
		return Profile{}, err
	}
	return p, nil
}

// seconds is a time that Check refuses when it is too long for a Duration.
func seconds(n float64) time.Duration {
	return time.Duration(math.Round(min(n, 1e9) * float64(time.Second)))
}

// JSON is the profile as [Parse] reads it, indented, with a line break at the end.
func (p Profile) JSON() []byte {
	use := func(u Use) string {
		if u == Try {
			return "try"
		}
		return string(u)
	}
	type limits struct {
		Joins    int     `json:"joins,omitempty"`
		Requests int     `json:"requests,omitempty"`
		Window   float64 `json:"windowSeconds,omitempty"`
	}
	strategies := map[string]string{"crossSource": use(p.CrossSource), "joins": use(p.Joins), "listTimes": use(p.ListTimes)}
	if p.AuditLog != Try { // earlier versions have no such field, and refuse a profile that has
		strategies["auditLog"] = use(p.AuditLog)
	}
	text, err := json.MarshalIndent(struct {
		Profile    int               `json:"profile"`
		Strategies map[string]string `json:"strategies"`
		Overlap    float64           `json:"overlapSeconds,omitempty"`
		Limits     limits            `json:"limits"`
	}{
		version, strategies,
		p.Overlap.Seconds(), limits{p.MaxJoins, p.Requests, p.Window.Seconds()},
	}, "", "  ")
	if err != nil {
		panic(err) // numbers and texts
	}
	return append(text, '\n')
}

// reader reads JSON member by member, so that an error can name the place. It stops at the first one.
type reader struct {
	d   *json.Decoder
	err error
}

// fields say what reads the value of each member.
type fields map[string]func(path string)

func (r *reader) fail(path, what string) {
	if r.err != nil {
		return
	}
	if path == "" {
		r.err = fmt.Errorf("profile: %s", what)
	} else {
		r.err = fmt.Errorf("profile: %s: %s", path, what)
	}
}

// token is the next one; nil after a failure.
func (r *reader) token(path string) json.Token {
	if r.err != nil {
		return nil
	}
	t, err := r.d.Token()
	if err != nil {
		r.fail(path, "no JSON, at byte "+fmt.Sprint(r.d.InputOffset())+"; give the profile.json that flchat conform writes")
	}
	return t
}

func (r *reader) object(path string, known fields) {
	if t := r.token(path); t != json.Delim('{') {
		r.fail(path, "not an object, which is what belongs here")
		return
	}
	seen := map[string]bool{}
	for r.err == nil && r.d.More() {
		name, _ := r.token(path).(string)
		at := strings.TrimPrefix(path+"."+name, ".")
		read, ok := known[name]
		switch {
		case r.err != nil:
		case !ok:
			names := make([]string, 0, len(known))
			for n := range known {
				names = append(names, n)
			}
			slices.Sort(names)
			r.fail(at, "there is no such field; there are "+strings.Join(names, ", "))
		case seen[name]:
			r.fail(at, "it is there twice; leave one out")
		default:
			seen[name] = true
			read(at)
		}
	}
	r.token(path) // the brace
}

func (r *reader) number(path string) float64 {
	n, ok := r.token(path).(json.Number)
	f, err := n.Float64()
	if !ok || err != nil || f <= 0 {
		r.fail(path, "not a positive number, which is what belongs here; leave it out for the default")
	}
	return f
}

func (r *reader) whole(path string) int {
	f := r.number(path)
	if f != math.Trunc(f) || f > math.MaxInt32 {
		r.fail(path, "not a whole number, which is what belongs here")
		return 0
	}
	return int(f)
}

func (r *reader) use(path string) Use {
	switch r.token(path) {
	case "try":
		return Try
	case "avoid":
		return Avoid
	}
	r.fail(path, `it has to be "try" or "avoid"`)
	return Try
}
