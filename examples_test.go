package chat_test

import (
	"go/ast"
	"go/doc"
	"go/parser"
	"go/token"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
)

// printing are methods that fmt, log/slog and encoding call. One example of how a
// type prints is enough.
var printing = map[string]bool{
	"String": true, "GoString": true, "Format": true, "LogValue": true, "MarshalText": true,
	"MarshalJSON": true, "UnmarshalJSON": true,
}

func TestEveryPublicCallHasAnExampleWithOutput(t *testing.T) {
	t.Parallel()
	fset := token.NewFileSet()
	paths, err := filepath.Glob("*.go")
	require.NoError(t, err)
	var files []*ast.File
	for _, path := range paths {
		if strings.HasSuffix(path, "_test.go") && !strings.HasPrefix(path, "example_") {
			continue
		}
		text, err := os.ReadFile(path)
		require.NoError(t, err)
		file, err := parser.ParseFile(fset, path, text, parser.ParseComments)
		require.NoError(t, err)
		files = append(files, file)
	}
	pkg, err := doc.NewFromFiles(fset, files, "github.com/fliplet/fliplet-chat-go")
	require.NoError(t, err)

	check := func(name string, examples []*doc.Example) {
		assert.NotEmpty(t, examples, "%s has no example", name)
		for _, e := range examples {
			assert.NotEmpty(t, e.Output, "example of %s without output", name)
		}
	}
	for _, f := range pkg.Funcs {
		check(f.Name, f.Examples)
	}
	for _, typ := range pkg.Types {
		for _, f := range typ.Funcs {
			check(f.Name, f.Examples)
		}
		prints := false
		var shown []*doc.Example
		for _, m := range typ.Methods {
			if printing[m.Name] {
				prints, shown = true, append(shown, m.Examples...)
				continue
			}
			check(typ.Name+"."+m.Name, m.Examples)
		}
		if prints {
			check("printing a "+typ.Name, shown)
		}
	}
}
