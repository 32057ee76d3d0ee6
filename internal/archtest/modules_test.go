package archtest_test

import (
	"encoding/json"
	"io/fs"
	"maps"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
)

// required is every module in go.mod: what this module is built and tested with.
// Whoever adds one trusts its authors, and everybody who can publish in their name.
var required = []string{
	"github.com/go-resty/resty/v2",
	"github.com/google/uuid",
	"github.com/stretchr/testify", // tests only
	"go.etcd.io/bbolt",
	"go.uber.org/goleak", // tests only
	"go.yaml.in/yaml/v3", // tests only, through testify
	"golang.org/x/crypto",
	"golang.org/x/net", // through resty
	"golang.org/x/sys", // through bbolt and crypto
}

// linked is which modules reach a program through a package, however far away.
var linked = map[string][]string{
	".":                 {"github.com/go-resty/resty/v2", "github.com/google/uuid", "golang.org/x/crypto", "golang.org/x/net", "golang.org/x/sys"},
	"datasource":        {"github.com/go-resty/resty/v2", "golang.org/x/net"},
	"storage":           {},
	"storage/boltstore": {"go.etcd.io/bbolt", "golang.org/x/sys"},
	"fliplettest":       {"github.com/go-resty/resty/v2", "golang.org/x/net"},
	"cmd/fliplet-local": {"go.etcd.io/bbolt", "golang.org/x/sys"},
}

func TestGoModRequiresNoOtherModules(t *testing.T) {
	t.Parallel()
	cmd := exec.CommandContext(t.Context(), "go", "mod", "edit", "-json")
	cmd.Dir = root(t)
	out, err := cmd.Output()
	require.NoError(t, err)
	var file struct {
		Go, Toolchain string
		Require       []struct{ Path string }
		Replace, Tool []any
	}
	require.NoError(t, json.Unmarshal(out, &file))
	var found []string
	for _, r := range file.Require {
		found = append(found, r.Path)
	}
	assert.ElementsMatch(t, required, found, "a module more, or less, is a decision: write it down here")
	assert.Empty(t, file.Replace, "who depends on this module would not get the replacement")
	assert.Empty(t, file.Tool, "tools are in tools/go.mod, so that nobody who depends on this module gets theirs")
	minor := strings.Join(strings.SplitN(file.Go, ".", 3)[:2], ".")
	assert.Regexp(t, `^go`+strings.ReplaceAll(minor, ".", `\.`)+`\.[0-9]+$`, file.Toolchain, "a patched toolchain of the same minor version")
}

func TestProgramsLinkNoOtherModules(t *testing.T) {
	t.Parallel()
	all := packages(t)
	for name, pinned := range linked {
		p, ok := all[strings.TrimSuffix(module+"/"+name, "/.")]
		require.True(t, ok, name)
		found := map[string]bool{}
		for _, dep := range p.Deps {
			if m := all[dep].Module.Path; m != "" && m != module {
				found[m] = true
			}
		}
		for _, m := range slices.Sorted(maps.Keys(found)) {
			assert.Contains(t, pinned, m, "%s links a module that it did not", name)
			assert.Contains(t, required, m)
		}
		// Which of them a package needs differs by platform, in golang.org/x/sys.
		for _, m := range pinned {
			assert.True(t, found[m] || m == "golang.org/x/sys", "%s does not link %s, so it need not be allowed to", name, m)
		}
	}
}

// TestTheWorkspaceHasEveryModule but tools, whose hundreds of dependencies would choose the
// versions that everything else is tried with.
func TestTheWorkspaceHasEveryModule(t *testing.T) {
	t.Parallel()
	cmd := exec.CommandContext(t.Context(), "go", "work", "edit", "-json")
	cmd.Dir = root(t)
	cmd.Env = append(os.Environ(), "GOWORK=") // it may be off for the tests
	out, err := cmd.Output()
	require.NoError(t, err)
	var work struct {
		Use     []struct{ DiskPath string }
		Replace []any
	}
	require.NoError(t, json.Unmarshal(out, &work))
	var used []string
	for _, u := range work.Use {
		used = append(used, filepath.Clean(u.DiskPath))
	}
	var found []string
	require.NoError(t, fs.WalkDir(os.DirFS(root(t)), ".", func(path string, _ fs.DirEntry, err error) error {
		if err == nil && filepath.Base(path) == "go.mod" && path != "tools/go.mod" {
			found = append(found, filepath.Dir(path))
		}
		return err
	}))
	assert.ElementsMatch(t, found, used, "the modules, and those in go.work")
	assert.Empty(t, work.Replace, "with GOWORK=off the modules would be built from something else")
}

func TestNestedModulesAreBuiltFromThisTree(t *testing.T) {
	t.Parallel()
	var core struct{ Go, Toolchain string }
	read := func(dir string, into any) {
		cmd := exec.CommandContext(t.Context(), "go", "mod", "edit", "-json")
		cmd.Dir = filepath.Join(root(t), dir)
		out, err := cmd.Output()
		require.NoError(t, err, dir)
		require.NoError(t, json.Unmarshal(out, into), dir)
	}
	read(".", &core)
	mods, err := fs.Glob(os.DirFS(root(t)), "*/*/go.mod")
	require.NoError(t, err)
	require.NotEmpty(t, mods)
	deeper, err := fs.Glob(os.DirFS(root(t)), "*/*/*/go.mod")
	require.NoError(t, err)
	mods = append(mods, deeper...)
	for _, mod := range mods {
		dir := filepath.Dir(mod)
		var file struct {
			Module        struct{ Path string }
			Go, Toolchain string
			Require       []struct{ Path string }
			Replace       []struct{ Old, New struct{ Path string } }
		}
		read(dir, &file)
		assert.Equal(t, module+"/"+dir, file.Module.Path)
		assert.Equal(t, core, struct{ Go, Toolchain string }{file.Go, file.Toolchain}, "the versions of Go of %s", dir)
		replaced := map[string]string{}
		for _, r := range file.Replace {
			replaced[r.Old.Path] = filepath.Join(dir, r.New.Path)
		}
		for _, r := range file.Require {
			if inModule(r.Path) {
				assert.Equal(t, rel(r.Path), replaced[r.Path], "%s needs %s from this tree", dir, r.Path)
			}
		}
	}
}
