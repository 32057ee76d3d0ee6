package debugpage

import (
	"net/http"
	"regexp"
	"strconv"
	"strings"
	"time"

	"github.com/fliplet/fliplet-chat-go/datasource"
)

// A server may write anything into an answer: the token of somebody else, the key of a
// conversation, a message. So the page has the status, and of the words those that Fliplet
// is known to use. Everything else is in the error itself, for whoever logs it.

// made is the beginning of the text of an answer that a client has read.
var made = regexp.MustCompile(`^datasource: ([A-Z]+) (\S+): HTTP \d+`)

// codes are the types and codes of Fliplet's answers.
var codes = map[string]bool{"datasource.access": true, "file.access": true, "not authorised": true, "forbidden": true}

// sayings are messages of Fliplet's. A star stands for what is not shown.
var sayings = []string{
	`The security rules for the Data Source "*" do not allow this app to read data.`,
	`The security rules for the Data Source "*" do not allow this app to write data.`,
	`The security rules for the Data Source "*" do not allow this app to insert data.`,
	`The security rules for the Data Source "*" do not allow this app to update data.`,
	`The security rules for the Data Source "*" do not allow this app to delete data.`,
	"The auth_token provided doesn't belong to any user.",
	"The flUserToken provided is not valid.",
	"You do not have permission to access this file",
	"You've made too many attempts*",
	"Data source not found",
	"The file extension is not allowed",
}

// parts are the words of the API's paths. Names of files and data sources are not shown.
var parts = map[string]bool{
	"v1": true, "data-sources": true, "data": true, "query": true, "count": true, "commit": true, "users": true, "media": true,
	"files": true, "contents": true, "thumbnails": true, "session": true, "user": true, "apps": true, "auth": true, "widget-instances": true,
}

// words is what the page says of an answer.
func words(a *datasource.Error) string {
	var b strings.Builder
	if m := made.FindStringSubmatch(a.Error()); m != nil {
		b.WriteString(m[1] + " " + route(m[2]) + ": ")
	}
	b.WriteString("HTTP " + strconv.Itoa(a.StatusCode))
	code := false
	for _, s := range [...]string{a.Type, a.Code} {
		if codes[s] {
			b.WriteString(" " + s)
			code = true
		}
	}
	if said := saying(a.Message); said != "" {
		b.WriteString(": " + said)
	} else if text := http.StatusText(a.StatusCode); text != "" && !code {
		b.WriteString(" " + text)
	}
	if !a.RetryAt.IsZero() {
		b.WriteString(" (next valid request: " + a.RetryAt.UTC().Format(time.RFC3339) + ")")
	}
	if datasource.Doubtful(a) {
		b.WriteString("; the write may have been applied")
	}
	return b.String()
}

// route is a path without what it names in other ways than by number.
func route(path string) string {
	list := strings.Split(path, "/")
	for i, p := range list {
		if _, err := strconv.ParseInt(p, 10, 64); err != nil && !parts[p] {
			list[i] = "…"
		}
	}
	return strings.Join(list, "/")
}

// saying is a message of Fliplet's as the page has it, "" for any other.
func saying(message string) string {
	for _, s := range sayings {
		before, after, star := strings.Cut(s, "*")
		if message == s || star && len(message) >= len(s)-1 && strings.HasPrefix(message, before) && strings.HasSuffix(message, after) {
			return before + strings.Repeat("…", strings.Count(s, "*")) + after
		}
	}
	return ""
}
