package archtest_test

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"sync"
	"testing"

	"github.com/stretchr/testify/require"
)

const module = "github.com/fliplet/fliplet-chat-go"

// listed is what go list says about one package, without its tests.
type listed struct {
	ImportPath string
	Dir        string
	Standard   bool
	Imports    []string
	Deps       []string
	GoFiles    []string
	Module     struct{ Path string } // none for the standard library
}

// rel is the package's path inside the module: "." for the root.
func (p listed) rel() string { return rel(p.ImportPath) }

func rel(path string) string {
	if path == module {
		return "."
	}
	return strings.TrimPrefix(path, module+"/")
}

func inModule(path string) bool { return path == module || strings.HasPrefix(path, module+"/") }

// packages lists the module's packages and everything they need, by import path.
func packages(t *testing.T) map[string]listed {
	t.Helper()
	all, err := goList(root(t))
	require.NoError(t, err)
	require.Contains(t, all, module)
	return all
}

// goList asks Go once; nobody changes what it returns.
var goList = once(func(dir string) (map[string]listed, error) {
	cmd := exec.CommandContext(context.Background(), "go", "list", "-deps", "-json=ImportPath,Dir,Standard,Imports,Deps,GoFiles,Module", "./...")
	var out, errs bytes.Buffer
	cmd.Dir, cmd.Stdout, cmd.Stderr = dir, &out, &errs
	if err := cmd.Run(); err != nil {
		return nil, fmt.Errorf("%v: %w\n%s", cmd, err, errs.String())
	}
	all := map[string]listed{}
	for dec := json.NewDecoder(&out); ; {
		var p listed
		err := dec.Decode(&p)
		if errors.Is(err, io.EOF) {
			return all, nil
		}
		if err != nil {
			return nil, err
		}
		all[p.ImportPath] = p
	}
})

// once makes a function of the module's root remember its first result.
func once[T any](fn func(dir string) (T, error)) func(dir string) (T, error) {
	var do sync.Once
	var value T
	var err error
	return func(dir string) (T, error) {
		do.Do(func() { value, err = fn(dir) })
		return value, err
	}
}

// root is the directory of go.mod.
func root(t *testing.T) string {
	t.Helper()
	dir, err := os.Getwd()
	require.NoError(t, err)
	for {
		if _, err := os.Stat(filepath.Join(dir, "go.mod")); err == nil {
			return dir
		}
		require.NotEqual(t, dir, filepath.Dir(dir), "no go.mod above the test")
		dir = filepath.Dir(dir)
	}
}
