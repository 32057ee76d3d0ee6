package archtest_test

import (
	"slices"
	"strings"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
)

// arrows say which packages of this module a package may import, tests aside. There is
// one entry for each package.
var arrows = map[string][]string{
	".":                               {"datasource", "hooks", "internal/bodies", "internal/cache", "internal/debugpage", "internal/envelope", "internal/feed", "internal/few", "internal/fleet", "internal/fleet/hub", "internal/life", "internal/marks", "internal/outbox", "internal/page", "internal/pins", "internal/receive", "internal/reencrypt", "internal/roster", "internal/rows", "internal/serve", "internal/upload", "internal/wait", "internal/where", "internal/wire", "profile", "storage"},
	"datasource":                      {"hooks", "internal/budget", "internal/pages"},
	"chathttp":                        {".", "datasource"},
	"fliplettest":                     {"datasource", "internal/flipletd"},
	"hooks":                           {},
	"internal/archtest":               {},
	"internal/bodies":                 {"internal/envelope", "internal/few", "internal/wire"},
	"internal/budget":                 {},
	"internal/cache":                  {"datasource", "internal/feed", "internal/wait", "internal/wire", "storage"},
	"internal/claim":                  {"internal/life", "internal/wait", "storage"},
	"internal/debugpage":              {"datasource", "internal/feed", "internal/outbox", "internal/receive"},
	"internal/envelope":               {},
	"internal/feed":                   {},
	"internal/feed/sim":               {"internal/feed/sim/mutants", "internal/feed/sim/world", "internal/patch"},
	"internal/feed/sim/mutants":       {"internal/patch"},
	"internal/feed/sim/world":         {"internal/feed", "internal/pages"},
	"internal/few":                    {},
	"internal/fleet":                  {"internal/budget", "internal/feed"},
	"internal/fleet/ask":              {"datasource", "internal/feed", "internal/fleet", "internal/pages", "internal/rows", "internal/wire"},
	"internal/fleet/hub":              {"datasource", "internal/feed", "internal/fleet", "internal/fleet/ask", "internal/rows", "internal/wait", "internal/wire", "profile"},
	"internal/fleet/sim":              {"internal/budget", "internal/feed", "internal/fleet"},
	"internal/flipletd":               {"internal/flipletd/handlebars", "internal/flipletd/rowquery", "internal/flipletd/sift"},
	"internal/flipletd/boltjournal":   {"internal/flipletd"},
	"internal/flipletd/handlebars":    {},
	"internal/flipletd/rowquery":      {},
	"internal/flipletd/sift":          {"internal/flipletd/sift/jsregexp"},
	"internal/flipletd/sift/jsregexp": {},
	"internal/life":                   {},
	"internal/life/lifetest":          {},
	"internal/limitertest":            {"limiter", "storage"},
	"internal/natsproxy":              {},
	"internal/leaktest":               {},
	"internal/longtest":               {},
	"internal/outbox":                 {"datasource", "hooks", "internal/claim", "internal/life", "internal/wait", "internal/wire", "storage"},
	"internal/page":                   {"internal/wire"},
	"internal/marks":                  {"internal/life"},
	"internal/mutate":                 {"internal/patch"},
	"internal/pages":                  {},
	"internal/patch":                  {},
	"internal/pins":                   {"internal/few", "internal/wire"},
	"internal/receive":                {"hooks", "internal/claim", "internal/feed", "internal/life", "internal/wait", "storage"},
	"internal/reencrypt":              {"datasource", "internal/wire", "storage"},
	"internal/roster":                 {"internal/few", "internal/wait", "internal/wire"},
	"internal/rows":                   {"datasource", "internal/feed", "internal/few", "internal/pages", "internal/where", "internal/wire", "profile"},
	"internal/serve":                  {},
	"internal/storm":                  {},
	"internal/upload":                 {"datasource", "internal/envelope", "internal/wire"},
	"internal/wait":                   {},
	"internal/where":                  {"internal/wire"},
	"internal/wire":                   {},
	"limiter":                         {"datasource", "storage"},
	"profile":                         {"datasource"},
	"relay":                           {".", "storage"},
	"storage":                         {"internal/few"},
	"unanswered":                      {"."},
	"storage/boltstore":               {"storage"},
	"storage/storagetest":             {"storage"},
	"internal/flipletlocal":           {"internal/flipletd", "internal/flipletd/boltjournal"},
	"cmd/fliplet-local":               {"internal/flipletlocal"},
	"examples/attachments":            {".", "datasource", "fliplettest"},
	"examples/bot":                    {".", "datasource", "fliplettest", "storage"},
	"examples/groups":                 {".", "datasource", "fliplettest"},
	"examples/migrate":                {".", "datasource", "fliplettest"},
	"examples/moderation":             {".", "datasource", "fliplettest"},
	"examples/relay":                  {".", "datasource", "fliplettest", "storage"},
	"examples/support":                {".", "datasource", "fliplettest", "storage", "unanswered"},
	"examples/history":                {".", "datasource", "fliplettest"},
	"examples/offline":                {".", "datasource", "fliplettest", "storage/boltstore"},
	"examples/quickstart":             {".", "datasource", "fliplettest"},
	"examples/webchat":                {".", "chathttp", "datasource", "fliplettest", "storage/boltstore"},
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
	"internal/leaktest":             {"go.uber.org/goleak"},
	"examples/...":                  {"github.com/google/uuid"},
}

// unlinked must not reach a program through a package, however far away.
var unlinked = map[string][]string{
	".":           {"go.etcd.io/bbolt", "github.com/stretchr/testify", "go.uber.org/goleak", module + "/fliplettest", module + "/internal/flipletd"},
	"chathttp":    {"go.etcd.io/bbolt", "github.com/stretchr/testify", "go.uber.org/goleak", module + "/fliplettest", module + "/internal/flipletd"},
	"datasource":  {"go.etcd.io/bbolt", "github.com/stretchr/testify", "go.uber.org/goleak", module + "/internal"},
	"storage":     {"go.etcd.io/bbolt", "github.com/stretchr/testify", "github.com/go-resty"},
	"fliplettest": {"go.etcd.io/bbolt", "github.com/stretchr/testify", "go.uber.org/goleak"},
}

// shared are the machines that datasource shares with the rooms above it: they are pure.
var shared = []string{module + "/internal/budget", module + "/internal/pages"}

func TestImportsPointOneWay(t *testing.T) {
	t.Parallel()
	for _, p := range packages(t) {
		if inModule(p.ImportPath) && len(p.GoFiles) > 0 {
			assert.Empty(t, wrongImports(p), "%s imports what its arrows do not allow", p.rel())
		}
	}
}

// wrongImports are the packages of this module that a package must not import.
func wrongImports(p listed) (wrong []string) {
	list, ok := arrows[p.rel()]
	if !ok {
		return []string{"say in arrows what it may import"}
	}
	for _, imp := range p.Imports {
		if inModule(imp) && !slices.Contains(list, rel(imp)) {
			wrong = append(wrong, rel(imp))
		}
	}
	return wrong
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
		"internal/rows": "internal/receive", "storage": "internal/cache", "internal/flipletd/sift/jsregexp": "internal/flipletd/rowquery",
		".": "fliplettest", "examples/quickstart": "storage/boltstore",
	} {
		p := packages(t)[strings.TrimSuffix(module+"/"+from, "/.")]
		require.NotEmpty(t, p.ImportPath, from)
		require.Empty(t, wrongImports(p))
		p.Imports = append(slices.Clip(p.Imports), strings.TrimSuffix(module+"/"+to, "/."))
		assert.Equal(t, []string{to}, wrongImports(p), "%s imports %s", from, to)
	}
	assert.NotEmpty(t, wrongImports(listed{ImportPath: module + "/internal/unheard"}), "a new package has to say what it imports")
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
				assert.False(t, !slices.Contains(shared, dep) && (dep == b || strings.HasPrefix(dep, b+"/")), "%s links %s", name, dep)
			}
		}
	}
}

func TestPureEnginesUseTheStandardLibraryOnly(t *testing.T) {
	t.Parallel()
	all := packages(t)
	for _, name := range []string{"internal/budget", "internal/feed", "internal/envelope", "internal/pages"} {
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
