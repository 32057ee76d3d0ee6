package archtest_test

import (
	"slices"
	"strings"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
)

// arrows say which packages of this module a package may import, tests aside.
// The longest entry that fits a package counts; "x/..." stands for x and
// everything below it.
var arrows = map[string][]string{
	".": {
		"datasource", "storage", "internal/bodies", "internal/feed", "internal/wire", "internal/envelope", "internal/outbox", "internal/pins",
		"internal/receive", "internal/reencrypt", "internal/rows", "internal/upload", "internal/cache", "internal/where", "internal/life",
	},
	"datasource":             {},
	"storage":                {},
	"storage/boltstore":      {"storage"},
	"storage/storagetest":    {"storage"},
	"internal/feed":          {},
	"internal/feed/sim/...":  {"internal/feed/...", "internal/patch"},
	"internal/patch":         {}, // only simulators and tests import it
	"internal/wire":          {},
	"internal/envelope":      {},
	"internal/bodies":        {"internal/envelope", "internal/wire"},
	"internal/pins":          {"internal/wire"},
	"internal/where":         {"internal/wire"},
	"internal/life":          {},
	"internal/life/lifetest": {},
	"internal/claim":         {"storage", "internal/life"},
	"internal/cache":         {"datasource", "storage", "internal/feed", "internal/wire"},
	"internal/reencrypt":     {"datasource", "storage", "internal/wire"},
	"internal/upload":        {},
	"internal/rows":          {"datasource", "internal/feed", "internal/where", "internal/wire"},
	"internal/outbox":        {"datasource", "storage", "internal/claim", "internal/life", "internal/wire"},
	"internal/receive":       {"storage", "internal/feed", "internal/claim", "internal/life"},
	"internal/flipletd/...":  {"internal/flipletd/..."},
	"internal/archtest":      {},
	"internal/longtest":      {},
	"fliplettest":            {"datasource", "internal/flipletd"},
	"cmd/fliplet-local":      {"internal/flipletd/..."},
	"examples/...":           {".", "datasource", "storage", "storage/boltstore", "fliplettest"},
}

// foreign says which packages outside this module and the standard library a
// package may import, tests aside. It is read like arrows; what is not listed may
// import none.
var foreign = map[string][]string{
	".":                             {"github.com/google/uuid", "golang.org/x/crypto/..."},
	"datasource":                    {"github.com/go-resty/resty/v2"},
	"internal/wire":                 {"github.com/google/uuid"},
	"storage/boltstore":             {"go.etcd.io/bbolt", "go.etcd.io/bbolt/errors"},
	"internal/flipletd/boltjournal": {"go.etcd.io/bbolt", "go.etcd.io/bbolt/errors"},
	"examples/...":                  {"github.com/google/uuid"},
}

// unlinked must not reach a program through a package, however far away.
var unlinked = map[string][]string{
	".":           {"go.etcd.io/bbolt", "github.com/stretchr/testify", "go.uber.org/goleak", module + "/fliplettest", module + "/internal/flipletd"},
	"datasource":  {"go.etcd.io/bbolt", "github.com/stretchr/testify", "go.uber.org/goleak", module + "/internal"},
	"storage":     {"go.etcd.io/bbolt", "github.com/stretchr/testify", "github.com/go-resty"},
	"fliplettest": {"go.etcd.io/bbolt", "github.com/stretchr/testify", "go.uber.org/goleak"},
}

func TestImportsPointOneWay(t *testing.T) {
	t.Parallel()
	for _, p := range packages(t) {
		if !inModule(p.ImportPath) || len(p.GoFiles) == 0 {
			continue
		}
		entry, ok := entryFor(arrows, p.rel())
		if !assert.True(t, ok, "%s: say in arrows what this package may import", p.rel()) {
			continue
		}
		for _, imp := range p.Imports {
			if inModule(imp) {
				assert.True(t, allowed(arrows[entry], rel(imp)), "%s imports %s, which its arrows do not allow", p.rel(), rel(imp))
			}
		}
	}
}

// An arrow that nothing needs would let the next import in unnoticed.
func TestEveryArrowIsUsed(t *testing.T) {
	t.Parallel()
	for name, table := range map[string]map[string][]string{"arrows": arrows, "foreign": foreign} {
		used := map[string]bool{}
		for _, p := range packages(t) {
			if !inModule(p.ImportPath) {
				continue
			}
			entry, ok := entryFor(table, p.rel())
			if !ok {
				continue
			}
			used[entry] = true
			for _, imp := range p.Imports {
				if inModule(imp) {
					imp = rel(imp)
				}
				for _, a := range table[entry] {
					if allowed([]string{a}, imp) {
						used[entry+" -> "+a] = true
					}
				}
			}
		}
		for entry, list := range table {
			assert.True(t, used[entry], "%s: there is no package %s", name, entry)
			for _, a := range list {
				assert.True(t, used[entry+" -> "+a], "%s: %s does not import %s, so it need not be allowed to", name, entry, a)
			}
		}
	}
}

func TestAnUpwardImportIsNoticed(t *testing.T) {
	t.Parallel()
	for from, to := range map[string]string{
		"datasource": ".", "internal/receive": ".", "internal/feed": "internal/receive", "internal/wire": "internal/where",
		"internal/rows": "internal/receive", "storage": "internal/cache", "internal/flipletd/sift": "fliplettest", ".": "fliplettest",
	} {
		entry, ok := entryFor(arrows, from)
		require.True(t, ok, from)
		assert.False(t, allowed(arrows[entry], to), "%s may import %s", from, to)
	}
}

func TestForeignPackagesAreSeenByAsFewAsPossible(t *testing.T) {
	t.Parallel()
	all := packages(t)
	for _, p := range all {
		if !inModule(p.ImportPath) {
			continue
		}
		entry, _ := entryFor(foreign, p.rel())
		for _, imp := range p.Imports {
			if !inModule(imp) && !all[imp].Standard && imp != "C" {
				assert.True(t, allowed(foreign[entry], imp), "%s imports %s", p.rel(), imp)
			}
		}
	}
}

func TestProgramsDoNotLinkWhatTheyDoNotUse(t *testing.T) {
	t.Parallel()
	all := packages(t)
	for name, banned := range unlinked {
		p, ok := all[strings.TrimSuffix(module+"/"+name, "/.")]
		require.True(t, ok, name)
		for _, dep := range p.Deps {
			for _, b := range banned {
				assert.False(t, dep == b || strings.HasPrefix(dep, b+"/"), "%s links %s", name, dep)
			}
		}
	}
}

func TestPureEnginesUseTheStandardLibraryOnly(t *testing.T) {
	t.Parallel()
	all := packages(t)
	for _, name := range []string{"internal/feed", "internal/envelope"} {
		for _, dep := range all[module+"/"+name].Deps {
			// What the standard library vendors is listed without its own module.
			std := all[dep].Standard || strings.HasPrefix(dep, "vendor/")
			assert.True(t, std, "%s needs %s", name, dep)
		}
	}
}

func TestFeedHasNoClockNoNetworkAndNoGoroutine(t *testing.T) {
	t.Parallel()
	for _, imp := range packages(t)[module+"/internal/feed"].Imports {
		assert.NotContains(t, []string{"net", "net/http", "os", "sync", "context", "log", "log/slog"}, imp,
			"internal/feed is a pure state machine")
	}
}

// entryFor finds the entry of a table that a package falls under.
func entryFor(table map[string][]string, pkg string) (string, bool) {
	if _, ok := table[pkg]; ok {
		return pkg, true
	}
	for dir := pkg; ; {
		if _, ok := table[dir+"/..."]; ok {
			return dir + "/...", true
		}
		i := strings.LastIndexByte(dir, '/')
		if i < 0 {
			return "", false
		}
		dir = dir[:i]
	}
}

// allowed reports whether a list of import paths, some with /... at the end,
// covers one.
func allowed(list []string, imp string) bool {
	return slices.ContainsFunc(list, func(a string) bool {
		if dir, ok := strings.CutSuffix(a, "/..."); ok {
			return imp == dir || strings.HasPrefix(imp, dir+"/")
		}
		return imp == a
	})
}
