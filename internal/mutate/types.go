package main

import (
	"context"
	"encoding/json"
	"errors"
	"go/ast"
	"go/importer"
	"go/parser"
	"go/token"
	"go/types"
	"io"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
)

// span is a piece of a file.
type span struct{ from, to int }

// checker tells, without the compiler, whether a changed file still fits its package.
type checker struct {
	root   string
	export map[string]string // file of what a package exports, by import path
	dirs   map[string]*listed
	fset   *token.FileSet
	types  types.Importer
	trees  map[string]*ast.File
}

// listed is what the go command says about a package.
type listed struct {
	ImportPath, Dir, Name, Export string
	GoFiles                       []string
}

func newChecker(ctx context.Context, root string, dirs []string) (*checker, error) {
	args := []string{"list", "-export", "-deps", "-json=ImportPath,Dir,Name,Export,GoFiles", "os", "strconv", "sync/atomic"}
	for _, dir := range dirs {
		args = append(args, "./"+dir)
	}
	cmd := exec.CommandContext(ctx, "go", args...)
	cmd.Dir, cmd.Stderr = root, os.Stderr
	out, err := cmd.StdoutPipe()
	if err != nil {
		return nil, err
	}
	if err := cmd.Start(); err != nil {
		return nil, err
	}
	c := &checker{root: root, export: map[string]string{}, dirs: map[string]*listed{}, fset: token.NewFileSet(), trees: map[string]*ast.File{}}
	c.types = importer.ForCompiler(c.fset, "gc", func(path string) (io.ReadCloser, error) { return os.Open(c.export[path]) })
	for dec := json.NewDecoder(out); ; {
		var p listed
		if err = dec.Decode(&p); err != nil {
			break
		}
		c.export[p.ImportPath] = p.Export
		if rel, err := filepath.Rel(root, p.Dir); err == nil && filepath.IsLocal(rel) {
			c.dirs[filepath.ToSlash(rel)] = &p
		}
	}
	if errors.Is(err, io.EOF) {
		err = nil
	}
	return c, errors.Join(err, cmd.Wait())
}

// checked is a package with one file in another version.
type checked struct {
	info types.Info
	file *ast.File // the changed one
	fset *token.FileSet
	pkg  *types.Package
}

// check type-checks a file, which has another text than on disk, in its package. What is
// wrong elsewhere does not count: there, functions have no bodies, because a mutant changes
// none of their types.
func (c *checker) check(file, text string) (*checked, error) {
	p := c.dirs[filepath.ToSlash(filepath.Dir(file))]
	out := &checked{fset: c.fset, info: types.Info{Types: map[ast.Expr]types.TypeAndValue{}, Uses: map[*ast.Ident]types.Object{}}}
	woven, err := c.parse(filepath.Join(p.Dir, runtimeName), runtimeOf(p.Name))
	if err != nil {
		return nil, err
	}
	files := []*ast.File{woven}
	for _, name := range p.GoFiles {
		var source any
		if name == filepath.Base(file) {
			source = text
		}
		tree, err := c.parse(filepath.Join(p.Dir, name), source)
		if err != nil {
			return nil, err
		}
		if files = append(files, tree); source != nil {
			out.file = tree
		}
	}
	var wrong error
	config := types.Config{Importer: c.types, Error: func(err error) {
		var of types.Error
		if !errors.As(err, &of) || c.fset.File(of.Pos) == c.fset.File(out.file.FileStart) {
			wrong = errors.Join(wrong, err)
		}
	}}
	out.pkg, _ = config.Check(p.ImportPath, c.fset, files, &out.info)
	return out, wrong
}

// parse keeps the trees of files that are as on disk, without the bodies of functions.
func (c *checker) parse(name string, source any) (*ast.File, error) {
	if tree := c.trees[name]; tree != nil && source == nil {
		return tree, nil
	}
	tree, err := parser.ParseFile(c.fset, name, source, parser.SkipObjectResolution)
	if err != nil || source != nil {
		return tree, err
	}
	for _, decl := range tree.Decls {
		if fn, ok := decl.(*ast.FuncDecl); ok {
			fn.Body = nil
		}
	}
	c.trees[name] = tree
	return tree, nil
}

// typeAt is the type, as the file would write it, of the expression or the field that is
// exactly there.
func (c *checked) typeAt(at span) (name string) {
	ast.Inspect(c.file, func(n ast.Node) bool {
		if n == nil || (span{c.fset.Position(n.Pos()).Offset, c.fset.Position(n.End()).Offset}) != at {
			return n != nil
		}
		switch n := n.(type) {
		case *ast.KeyValueExpr:
			if key, ok := n.Key.(*ast.Ident); ok {
				if v, ok := c.info.Uses[key].(*types.Var); ok && v.IsField() {
					name = types.TypeString(v.Type(), c.qualifier)
				}
			}
			return false
		case ast.Expr:
			if t := c.info.Types[n].Type; t != nil && name == "" {
				name = types.TypeString(types.Default(t), c.qualifier)
			}
		}
		return true
	})
	return name
}

// qualifier is the name of a package in the file.
func (c *checked) qualifier(p *types.Package) string {
	if p == c.pkg {
		return ""
	}
	for _, i := range c.file.Imports {
		if path, err := strconv.Unquote(i.Path.Value); err == nil && path == p.Path() && i.Name != nil {
			return i.Name.Name
		}
	}
	return p.Name()
}
