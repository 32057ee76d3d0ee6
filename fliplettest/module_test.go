package fliplettest_test

import (
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/fliplet/fliplet-chat-go/internal/longtest"
)

// What somebody writes who only wants a test of a backend that chats.
const tinyTest = `package tiny

import (
	"testing"

	chat "github.com/fliplet/fliplet-chat-go"
	"github.com/fliplet/fliplet-chat-go/fliplettest"
)

func TestChat(t *testing.T) {
	srv := fliplettest.New(t)
	contacts, _ := srv.AddContacts(chat.M{"Email": "jane@example.org"})
	c, err := chat.Connect(t.Context(), chat.Options{Client: srv.Client(), DataSourceID: contacts})
	if err != nil {
		t.Fatal(err)
	}
	defer c.Close()
	jane, err := c.Login(t.Context(), chat.M{"Email": "jane@example.org"})
	if err != nil || jane.Data["Email"] != "jane@example.org" {
		t.Fatal(jane, err)
	}
}
`

// TestAModuleOfItsOwnNeedsLittle builds a module that imports package chat and this
// one only: its test passes, needs no module that this one does not name, and links
// neither test helpers nor a database.
func TestAModuleOfItsOwnNeedsLittle(t *testing.T) {
	t.Parallel()
	longtest.Only(t, "it compiles a module")
	root, err := filepath.Abs("..")
	require.NoError(t, err)
	dir := t.TempDir()
	write := func(name, text string) {
		require.NoError(t, os.WriteFile(filepath.Join(dir, name), []byte(text), 0o600))
	}
	sums, err := os.ReadFile(filepath.Join(root, "go.sum"))
	require.NoError(t, err)
	write("go.mod", "module example.org/tiny\n\ngo 1.26.0\n\nrequire github.com/fliplet/fliplet-chat-go v0.0.0\n\nreplace github.com/fliplet/fliplet-chat-go => "+root+"\n")
	write("go.sum", string(sums))
	write("tiny_test.go", tinyTest)
	goTool := func(dir, mod string, args ...string) string {
		t.Helper()
		cmd := exec.CommandContext(t.Context(), "go", args...)
		cmd.Dir = dir
		cmd.Env = append(os.Environ(), "GOFLAGS=-mod="+mod, "GOWORK=off")
		out, err := cmd.CombinedOutput()
		require.NoError(t, err, "go %s\n%s", strings.Join(args, " "), out)
		return string(out)
	}
	assert.Contains(t, goTool(dir, "mod", "test", "./..."), "ok")

	core := strings.Fields(goTool(root, "readonly", "list", "-m", "-f", "{{.Path}}", "all"))
	modules := strings.Fields(goTool(dir, "mod", "list", "-m", "-f", "{{.Path}}", "all"))
	t.Logf("go list -m all: %s", strings.Join(modules, " "))
	assert.Subset(t, append(core, "example.org/tiny"), modules)
	deps := strings.Fields(goTool(dir, "mod", "list", "-deps", "-test", "./..."))
	for _, dep := range deps {
		for _, banned := range []string{"github.com/stretchr/testify", "go.etcd.io/bbolt", "go.uber.org/goleak"} {
			assert.False(t, strings.HasPrefix(dep, banned), "the test links %s", dep)
		}
	}
	assert.Contains(t, deps, "github.com/fliplet/fliplet-chat-go/internal/flipletd", "the list is one")
}
