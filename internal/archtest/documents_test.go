package archtest_test

import (
	"os"
	"os/exec"
	"path"
	"path/filepath"
	"regexp"
	"strings"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/fliplet/fliplet-chat-go/internal/longtest"
)

// program finds the complete programs and test files in a document.
var program = regexp.MustCompile("(?s)```go\n(package .*?)\n```")

func TestProgramsInDocumentsCompileAndTheirTestsPass(t *testing.T) {
	t.Parallel()
	longtest.Only(t, "it compiles the programs in documents")
	found := 0
	for name, text := range tree(t) {
		if path.Ext(name) != ".md" {
			continue
		}
		for _, block := range program.FindAllStringSubmatch(string(text), -1) {
			found++
			compile(t, name, block[1]+"\n")
		}
	}
	assert.GreaterOrEqual(t, found, 2, "the README has a program and a test")
}

func TestTheTableOfJavaScriptCallsCompiles(t *testing.T) {
	t.Parallel()
	longtest.Only(t, "it compiles the README's table")
	var src strings.Builder
	src.WriteString(tablePrelude)
	rows := table(string(tree(t)["README.md"]), "| JavaScript | Go |")
	for _, cells := range rows {
		src.WriteString("\tuse(" + strings.Trim(cells[1], "`") + ")\n")
	}
	src.WriteString("}\n")
	assert.Greater(t, len(rows), 40)
	compile(t, "README.md", src.String())
}

func TestDocumentsPointToFilesThatExist(t *testing.T) {
	t.Parallel()
	files := tree(t)
	fence := regexp.MustCompile("(?s)```.*?```")
	link := regexp.MustCompile(`\]\(([^)#:]+)(?:#[^)]*)?\)`)
	mention := regexp.MustCompile("`((?:[\\w.-]+/)*[\\w.-]+\\.(?:go|md|mod|js|yml))`")
	for name, text := range files {
		if path.Ext(name) != ".md" || strings.Contains(name, "testdata/") {
			continue
		}
		prose := fence.ReplaceAllString(string(text), "")
		for _, m := range link.FindAllStringSubmatch(prose, -1) {
			_, err := os.Stat(filepath.Join(root(t), path.Dir(name), m[1]))
			assert.NoError(t, err, "%s links to %s", name, m[1])
		}
		for _, m := range mention.FindAllStringSubmatch(prose, -1) {
			assert.True(t, files[m[1]] != nil, "%s mentions %s, which does not exist", name, m[1])
		}
	}
}

func TestTheProtocolPageNamesEveryFileWithAnAssumption(t *testing.T) {
	t.Parallel()
	files := tree(t)
	page := string(files["docs/protocol.md"])
	for name := range files {
		if path.Dir(name) == "internal/wire" && !strings.HasSuffix(name, "_test.go") && path.Base(name) != "doc.go" {
			assert.True(t, strings.Contains(page, "`"+name+"`"), "docs/protocol.md does not say what %s is about", name)
		}
	}
}

// tablePrelude declares the names that the README's table uses.
const tablePrelude = `package main

import (
	"context"
	"encoding/json"
	"io"
	"net/http"

	chat "` + module + `"
	"` + module + `/datasource"
	"` + module + `/storage"
)

func use(...any) {}

func main() {
	var (
		ctx      context.Context
		c        *chat.Chat
		conv     *chat.Conversation
		m        *chat.Message
		messages []*chat.Message
		client   *datasource.Client
		query    chat.M
		ids      []int64
		id       int64
		png      []byte
		code, url, guid string
		fn       func(*chat.Message)
		w        io.Writer
		env      chat.Environment
		store    storage.Store
		handle   func(context.Context, *chat.Message) error
		report   func(error)
		object   []byte
		find     func(*http.Request) (*chat.Message, int, error)
	)
	use(ctx, c, conv, m, messages, client, query, ids, id, png, w, env, store, code, url, guid, fn, handle, report, object, find, json.Marshal, datasource.Asc)
`

// compile vets a file outside the tree as a part of this module; a test file is run.
func compile(t *testing.T, from, src string) {
	t.Helper()
	verb, name := "vet", "main.go"
	if strings.Contains(src, "*testing.T") {
		verb, name = "test", "document_test.go"
	}
	file := filepath.Join(t.TempDir(), name)
	require.NoError(t, os.WriteFile(file, []byte(src), 0o600))
	cmd := exec.CommandContext(t.Context(), "go", verb, file)
	cmd.Dir = root(t)
	out, err := cmd.CombinedOutput()
	assert.NoError(t, err, "%s:\n%s\n%s", from, src, out)
}

// table returns the cells of the rows below a header that begins so.
func table(text, header string) [][]string {
	_, text, _ = strings.Cut(text, header)
	_, text, _ = strings.Cut(text, "\n|---")
	var rows [][]string
	for _, line := range strings.Split(text, "\n")[1:] {
		if !strings.HasPrefix(line, "|") {
			break
		}
		cells := strings.Split(strings.Trim(line, "|"), "|")
		for i := range cells {
			cells[i] = strings.TrimSpace(cells[i])
		}
		rows = append(rows, cells)
	}
	return rows
}
