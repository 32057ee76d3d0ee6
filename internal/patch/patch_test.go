package patch_test

import (
	"os"
	"os/exec"
	"path/filepath"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/fliplet/fliplet-chat-go/internal/patch"
)

// program writes a small module and returns its root.
func program(t *testing.T) string {
	t.Helper()
	root := t.TempDir()
	for name, text := range map[string]string{
		"go.mod":      "module example.com/p\n\ngo 1.26\n",
		"main.go":     "package main\n\nimport \"example.com/p/sum\"\n\nfunc main() { println(sum.Of(2, 3)) }\n",
		"sum/main.go": "package sum\n\n// Of adds a and b.\nfunc Of(a, b int) int { return a + b }\n",
	} {
		file := filepath.Join(root, filepath.FromSlash(name))
		require.NoError(t, os.MkdirAll(filepath.Dir(file), 0o700))
		require.NoError(t, os.WriteFile(file, []byte(text), 0o600))
	}
	return root
}

func TestOverlayBuildsAVariantAndLeavesTheFilesAlone(t *testing.T) {
	t.Parallel()
	root := program(t)
	overlay, err := patch.Overlay(root, t.TempDir(), []patch.Edit{
		{File: "sum/main.go", Old: "a + b", New: "a * b"},
		{File: "sum/main.go", Old: "return a", New: "return 10 * a"}, // after the one before
		{File: "main.go", Old: "2, 3", New: "4, 5"},                  // of the same name
	})
	require.NoError(t, err)
	run := func(args ...string) string {
		cmd := exec.CommandContext(t.Context(), "go", append(append([]string{"run"}, args...), ".")...)
		cmd.Dir = root
		out, err := cmd.CombinedOutput() // println prints to standard error
		require.NoError(t, err, "%s", out)
		return string(out)
	}
	assert.Equal(t, "200\n", run("-overlay="+overlay))
	assert.Equal(t, "5\n", run())
}

func TestEditsThatDoNotApplyAreErrors(t *testing.T) {
	t.Parallel()
	root := program(t)
	good := patch.Edit{File: "main.go", Old: "2, 3", New: "4, 5"}
	for name, c := range map[string]struct {
		edit patch.Edit
		want string
	}{
		"gone":            {patch.Edit{File: "sum/main.go", Old: "a - b", New: "a + b"}, "0 times"},
		"there twice":     {patch.Edit{File: "sum/main.go", Old: "Of", New: "To"}, "2 times"},
		"changed before":  {patch.Edit{File: "main.go", Old: "2, 3", New: "6, 7"}, "0 times"},
		"nothing to find": {patch.Edit{File: "main.go", New: "x"}, "changes nothing"},
		"the same text":   {patch.Edit{File: "main.go", Old: "main()", New: "main()"}, "changes nothing"},
		"no such file":    {patch.Edit{File: "other.go", Old: "a", New: "b"}, "other.go"},
		"outside":         {patch.Edit{File: "../main.go", Old: "a", New: "b"}, "not a file of the module"},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			dir := t.TempDir()
			_, err := patch.Overlay(root, dir, []patch.Edit{good, c.edit})
			require.ErrorContains(t, err, c.want)
			files, err := os.ReadDir(dir)
			require.NoError(t, err)
			assert.Empty(t, files, "nothing is written")
		})
	}
}

func TestRootIsTheDirectoryOfThisModule(t *testing.T) {
	t.Parallel()
	root, err := patch.Root()
	require.NoError(t, err)
	assert.FileExists(t, filepath.Join(root, "internal", "patch", "patch.go"))
}
