package archtest_test

import (
	"bytes"
	"io/fs"
	"os"
	"path"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"testing"
	"unicode/utf8"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
)

// maxLines is where a file has stopped being one idea.
const maxLines = 600

func TestNoFileIsTooLongToRead(t *testing.T) {
	t.Parallel()
	for name, text := range tree(t) {
		if slices.Contains([]string{".go", ".md", ".js", ".yml", ".html", ".css"}, filepath.Ext(name)) {
			assert.LessOrEqual(t, bytes.Count(text, []byte("\n")), maxLines, name)
		}
	}
}

// The root is what a newcomer reads first: the words a user says, one idea a file.
func TestTheRootCanBeReadInAnAfternoon(t *testing.T) {
	t.Parallel()
	files, lines := 0, 0
	for name, text := range tree(t) {
		if path.Dir(name) != "." || path.Ext(name) != ".go" || strings.HasSuffix(name, "_test.go") {
			continue
		}
		n := bytes.Count(text, []byte("\n"))
		assert.LessOrEqual(t, n, 400, name)
		files, lines = files+1, lines+n
	}
	assert.LessOrEqual(t, files, 46, "files in the root")
	assert.LessOrEqual(t, lines, 9600, "lines in the root")
}

// machine is what an absolute path of a developer's machine begins with.
var machine = regexp.MustCompile(`(?m)(^|[\s"'(=:<` + "`" + `])/(work|root|home|Users)/\w`)

func TestNoFileNamesAPathOfADevelopersMachine(t *testing.T) {
	t.Parallel()
	require.Regexp(t, machine, "see /"+"home/x/notes")
	for name, text := range tree(t) {
		if at := machine.Find(text); at != nil {
			assert.Fail(t, "path of a machine", "%s: %q", name, at)
		}
	}
}

// tree reads the text files of the repository, by path.
func tree(t *testing.T) map[string][]byte {
	t.Helper()
	files, err := readTree(root(t))
	require.NoError(t, err)
	require.Contains(t, files, "go.mod")
	return files
}

// readTree reads them once; nobody changes what it returns.
var readTree = once(func(dir string) (map[string][]byte, error) {
	files := map[string][]byte{}
	return files, filepath.WalkDir(dir, func(path string, d fs.DirEntry, err error) error {
		if err != nil {
			return err
		}
		if d.IsDir() {
			if slices.Contains([]string{".git", "bin", "node_modules"}, d.Name()) {
				return filepath.SkipDir
			}
			return nil
		}
		if !d.Type().IsRegular() || d.Name() == ".git" { // a file in a linked work tree
			return nil
		}
		text, err := os.ReadFile(path)
		if err != nil || !utf8.Valid(text) {
			return err
		}
		name, err := filepath.Rel(dir, path)
		files[filepath.ToSlash(name)] = text
		return err
	})
})
