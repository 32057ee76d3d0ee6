package flipletd_test

import (
	"io/fs"
	"os"
	"path/filepath"
	"regexp"
	"strings"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
)

const repository = "../.."

// handbook is docs/local-fliplet.md.
func handbook(t *testing.T) string {
	t.Helper()
	text, err := os.ReadFile(filepath.Join(repository, "docs", "local-fliplet.md"))
	require.NoError(t, err)
	return string(text)
}

var testName = regexp.MustCompile("`((?:Test|Fuzz|Benchmark|Example)[A-Z]\\w*)(?:/[^`]+)?`")

func TestEveryTestThatTheHandbookNamesExists(t *testing.T) {
	t.Parallel()
	declared := map[string]bool{}
	function := regexp.MustCompile(`(?m)^func ((?:Test|Fuzz|Benchmark|Example)\w+)\(`)
	err := filepath.WalkDir(repository, func(path string, d fs.DirEntry, err error) error {
		if err != nil || d.IsDir() || !strings.HasSuffix(path, "_test.go") {
			return err
		}
		source, err := os.ReadFile(path)
		for _, match := range function.FindAllSubmatch(source, -1) {
			declared[string(match[1])] = true
		}
		return err
	})
	require.NoError(t, err)
	named := testName.FindAllStringSubmatch(handbook(t), -1)
	require.Greater(t, len(named), 100)
	for _, name := range named {
		assert.True(t, declared[name[1]], "there is no %s", name[1])
	}
}

func TestEveryBehaviourInTheHandbookHasATagAndATest(t *testing.T) {
	t.Parallel()
	behaviours := handbook(t)
	from, to := strings.Index(behaviours, "\n## Behaviours\n"), strings.Index(behaviours, "\n## Levers\n")
	require.True(t, from > 0 && to > from)
	rows := 0
	for line := range strings.Lines(behaviours[from:to]) {
		cells := strings.Split(strings.TrimSpace(line), "|")
		if len(cells) < 2 || strings.HasPrefix(line, "|---") || strings.HasPrefix(line, "| Behaviour ") || strings.HasPrefix(line, "| Fact ") {
			continue
		}
		rows++
		require.Len(t, cells, 5, line)
		assert.Contains(t, []string{"[doc]", "[client]", "[inferred]", "[open]"}, strings.TrimSpace(cells[2]), line)
		assert.Regexp(t, testName, cells[3], line)
	}
	assert.Greater(t, rows, 60)
}

// TestEveryFactInTheHandbookIsACase holds the list of facts against the cases.
func TestEveryFactInTheHandbookIsACase(t *testing.T) {
	t.Parallel()
	source, err := os.ReadFile("facts_test.go")
	require.NoError(t, err)
	text := handbook(t)
	cases := regexp.MustCompile(`(?m)^\t\t"([^"]+)": +fact\w+,$`).FindAllStringSubmatch(string(source), -1)
	require.Greater(t, len(cases), 15)
	for _, c := range cases {
		assert.Contains(t, text, "`TestFactsOfRealClients/"+strings.ReplaceAll(c[1], " ", "_")+"`")
	}
	assert.Equal(t, len(cases), strings.Count(text, "`TestFactsOfRealClients/"), "and no other case is named")
}

func TestEveryLeverIsInTheHandbook(t *testing.T) {
	t.Parallel()
	text := handbook(t)
	source, err := os.ReadFile(filepath.Join(repository, "fliplettest", "faults.go"))
	require.NoError(t, err)
	levers := regexp.MustCompile(`(?m)^func ([A-Z]\w*)\(.*\) Fault `).FindAllSubmatch(source, -1)
	require.Greater(t, len(levers), 30)
	for _, lever := range levers {
		assert.Contains(t, text, "`"+string(lever[1])+"`")
	}
}
