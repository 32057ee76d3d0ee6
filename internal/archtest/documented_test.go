package archtest_test

import (
	"go/ast"
	"go/doc"
	"go/parser"
	"go/token"
	"path/filepath"
	"strings"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
)

func TestEveryPackageHasAComment(t *testing.T) {
	t.Parallel()
	for _, p := range packages(t) {
		if !inModule(p.ImportPath) || len(p.GoFiles) == 0 {
			continue
		}
		assert.NotEmpty(t, strings.TrimSpace(documentation(t, p).Doc), "%s has no package comment", p.rel())
	}
}

func TestEveryExportedNameIsDocumented(t *testing.T) {
	t.Parallel()
	for _, p := range packages(t) {
		if !inModule(p.ImportPath) || len(p.GoFiles) == 0 || !public(p.rel()) {
			continue
		}
		for name, text := range exported(documentation(t, p)) {
			assert.NotEmpty(t, strings.TrimSpace(text), "%s: %s has no doc comment", p.rel(), name)
		}
	}
}

// public tells the packages that other modules can import.
func public(pkg string) bool {
	for _, private := range []string{"internal/", "cmd/", "examples/"} {
		if strings.HasPrefix(pkg, private) {
			return false
		}
	}
	return true
}

func documentation(t *testing.T, p listed) *doc.Package {
	t.Helper()
	fset := token.NewFileSet()
	var files []*ast.File
	for _, name := range p.GoFiles {
		f, err := parser.ParseFile(fset, filepath.Join(p.Dir, name), nil, parser.ParseComments)
		require.NoError(t, err)
		files = append(files, f)
	}
	d, err := doc.NewFromFiles(fset, files, p.ImportPath)
	require.NoError(t, err)
	return d
}

// exported maps each exported name (Name, Type.Method) to its comment. A comment on
// a group of constants or variables counts for all of its members. The methods of
// widely known interfaces explain themselves: the comment of the type will do.
func exported(d *doc.Package) map[string]string {
	names := map[string]string{}
	values := func(groups []*doc.Value) {
		for _, g := range groups {
			for _, spec := range g.Decl.Specs {
				v := spec.(*ast.ValueSpec)
				for _, id := range v.Names {
					if id.IsExported() {
						names[id.Name] = g.Doc + v.Doc.Text() + v.Comment.Text()
					}
				}
			}
		}
	}
	funcs := func(prefix string, list []*doc.Func, fallback string) {
		for _, f := range list {
			text := f.Doc
			if wellKnown[f.Name] {
				text += fallback
			}
			names[prefix+f.Name] = text
		}
	}
	values(d.Consts)
	values(d.Vars)
	funcs("", d.Funcs, "")
	for _, typ := range d.Types {
		names[typ.Name] = typ.Doc
		values(typ.Consts)
		values(typ.Vars)
		funcs("", typ.Funcs, "")
		funcs(typ.Name+".", typ.Methods, typ.Doc)
	}
	return names
}

var wellKnown = map[string]bool{
	"Error": true, "Unwrap": true, "Is": true, "As": true, "String": true, "GoString": true, "Format": true,
	"LogValue": true, "MarshalJSON": true, "UnmarshalJSON": true, "MarshalText": true,
}
