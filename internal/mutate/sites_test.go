package main

import (
	"go/parser"
	"go/token"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/fliplet/fliplet-chat-go/internal/patch"
)

func TestSitesAreOfEveryKind(t *testing.T) {
	t.Parallel()
	sites, err := sitesIn("x.go", []byte(`package x

func f(c *cfg) (bool, error) {
	defer unlock()
	if c.n < 3 && c.ok {
		c.n = c.n + 1
		c.count++
		wipe(c)
		c.log.Warn("x")
		return true, err
	}
	return false, g(cfg{n: 1, ok: true})
}
`))
	require.NoError(t, err)
	var got []string
	for _, s := range sites {
		got = append(got, s.What)
	}
	assert.ElementsMatch(t, []string{
		"without defer unlock()", "negate c.n < 3 && c.ok", "use || in c.n < 3 && c.ok", "use <= in c.n < 3", "in c.n < 3 add 1 to 3",
		"without c.n = c.n + 1", "in c.n + 1 add 1 to 1", "without c.count++", "without wipe(c)",
		"return false for return true, err", "return nil for return true, err", "return true for return false, g(cfg{n: 1, ok: true})",
		"without the field n: 1", "without the field ok: true",
	}, got)
}

// Every mutant is a file that parses, and another one than before.
func TestEverySiteOfTheModuleCanBeChanged(t *testing.T) {
	t.Parallel()
	root, err := patch.Root()
	require.NoError(t, err)
	sites, err := sitesOf(root, promising)
	require.NoError(t, err)
	assert.Greater(t, len(sites), 5000)
	dirs := map[string]bool{}
	for i, s := range sites {
		dirs[s.pkg()] = true
		if i%97 != 0 {
			continue
		}
		source, err := os.ReadFile(filepath.Join(root, filepath.FromSlash(s.File)))
		require.NoError(t, err)
		changed := string(source[:s.from]) + s.text + string(source[s.to:])
		assert.NotEqual(t, string(source), changed, s.String())
		_, err = parser.ParseFile(token.NewFileSet(), s.File, changed, parser.SkipObjectResolution)
		assert.NoError(t, err, s.String())
	}
	assert.Len(t, dirs, len(promising))
}

func TestSurvivorsAreOfFilesThatExistAndHaveAReason(t *testing.T) {
	t.Parallel()
	root, err := patch.Root()
	require.NoError(t, err)
	sites, err := sitesOf(root, promising)
	require.NoError(t, err)
	names := map[string]bool{}
	for _, s := range sites {
		names[s.String()] = true
	}
	for line := range strings.Lines(survivors) {
		if line = strings.TrimSpace(line); line == "" || strings.HasPrefix(line, "#") {
			continue
		}
		name, reason, ok := strings.Cut(line, " = ")
		for ok && !names[name] && strings.Contains(reason, " = ") { // the change itself may have one
			more, rest, _ := strings.Cut(reason, " = ")
			name, reason = name+" = "+more, rest
		}
		assert.True(t, names[name], "no mutant is called %q any more", name)
		assert.NotEmpty(t, reason, line)
	}
}
