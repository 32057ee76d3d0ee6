package conform

import (
	"bytes"
	"encoding/json"
	"encoding/xml"
	"fmt"
	"html/template"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"time"

	_ "embed"
)

//go:embed report.html
var page string

// Write writes the reports into a directory, which it makes: report.html for people, junit.xml
// for CI, conform.json to send in, and profile.json for chats. It returns their names.
func (r *Report) Write(dir string) ([]string, error) {
	if err := os.MkdirAll(dir, 0o700); err != nil {
		return nil, err
	}
	html, err := r.HTML()
	if err != nil {
		return nil, err
	}
	junit, err := r.JUnit()
	if err != nil {
		return nil, err
	}
	var names []string
	for _, f := range []struct {
		name string
		text []byte
	}{{"report.html", html}, {"junit.xml", junit}, {"conform.json", r.JSON()}, {"profile.json", r.Profile().JSON()}} {
		name := filepath.Join(dir, f.name)
		if err := os.WriteFile(name, []byte(r.Clean(string(f.text))), 0o600); err != nil {
			return names, err
		}
		names = append(names, name)
	}
	return names, nil
}

// Clean takes secrets out of a text. There are none, unless there is a bug, which [Report.Secrets] tells.
func (r *Report) Clean(text string) string {
	if r.guard == nil {
		return text
	}
	text = r.guard.clean(text)
	r.Secrets = r.guard.found()
	return text
}

// JSON is what can be sent in: answers in fixed phrases and numbers. No id, name, host or text of the
// account is in it.
func (r *Report) JSON() []byte {
	text, err := json.MarshalIndent(struct {
		Format  int      `json:"conform"`
		Day     string   `json:"day"`
		Region  string   `json:"region"`
		Results []Result `json:"results"`
	}{1, r.Began.UTC().Format(time.DateOnly), r.Region, r.Results}, "", "  ")
	if err != nil {
		panic(err) // texts and numbers
	}
	return append(text, '\n')
}

type suite struct {
	XMLName  xml.Name `xml:"testsuite"`
	Name     string   `xml:"name,attr"`
	Tests    int      `xml:"tests,attr"`
	Failures int      `xml:"failures,attr"`
	Skipped  int      `xml:"skipped,attr"`
	Time     string   `xml:"time,attr"`
	Cases    []tested `xml:"testcase"`
}

type tested struct {
	Class   string   `xml:"classname,attr"`
	Name    string   `xml:"name,attr"`
	Time    string   `xml:"time,attr"`
	Failure *message `xml:"failure,omitempty"`
	Skipped *message `xml:"skipped,omitempty"`
	Output  string   `xml:"system-out,omitempty"`
}

type message struct {
	Text string `xml:"message,attr"`
}

// JUnit is the report for CI. What fails is a failure unless it was expected, and so is what is
// better than expected.
func (r *Report) JUnit() ([]byte, error) {
	s := suite{Name: "flchat conform", Tests: len(r.Results), Skipped: r.Count(Skipped), Time: fmt.Sprintf("%.3f", r.Took.Seconds())}
	for i := range r.Results {
		res := &r.Results[i]
		c := tested{Class: "conform." + strings.ReplaceAll(res.Section, " ", "-"), Name: res.ID, Time: fmt.Sprintf("%.3f", res.Took.Seconds())}
		c.Output = fmt.Sprintf("%s %s: %s (the local Fliplet: %s)", res.Fact, res.Verdict, res.Observed, res.Local)
		switch {
		case res.Unexpected != "":
			c.Failure = &message{res.Unexpected}
			s.Failures++
		case res.Verdict == Skipped:
			c.Skipped = &message{res.Observed}
		}
		s.Cases = append(s.Cases, c)
	}
	text, err := xml.MarshalIndent(s, "", "  ")
	return append([]byte(xml.Header), append(text, '\n')...), err
}

// group is a section of the page.
type group struct {
	Section string
	Results []Result
}

var pages = template.Must(template.New("page").Funcs(template.FuncMap{
	"differs": func(r Result) bool { return r.Verdict != Skipped && !r.AsLocal() },
}).Parse(page))

// HTML is the page for people: one file, without scripts, that loads nothing.
func (r *Report) HTML() ([]byte, error) {
	var groups []group
	for i := range r.Results {
		res := r.Results[i]
		at := slices.IndexFunc(groups, func(g group) bool { return g.Section == res.Section })
		if at < 0 {
			at, groups = len(groups), append(groups, group{Section: res.Section})
		}
		groups[at].Results = append(groups[at].Results, res)
	}
	counts := []struct {
		Verdict Verdict
		N       int
	}{}
	for _, v := range []Verdict{AsDocumented, Tolerated, Informational, Fails, Skipped} {
		counts = append(counts, struct {
			Verdict Verdict
			N       int
		}{v, r.Count(v)})
	}
	var b bytes.Buffer
	err := pages.Execute(&b, map[string]any{
		"Groups": groups, "Counts": counts, "Began": r.Began.Format("2 January 2006, 15:04"), "Took": r.Took.Round(time.Second).String(),
		"Requests": r.Requests, "Writes": len(r.Writes), "Differs": r.Differs(), "Unexpected": r.Unexpected(), "Left": r.Left,
		"Profile": string(r.Profile().JSON()), "Total": len(r.Results),
	})
	return b.Bytes(), err
}
