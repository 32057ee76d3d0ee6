package main

import (
	"fmt"
	"go/ast"
	"go/parser"
	"go/token"
	"os"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
)

// site is a place where the program can be made wrong.
type site struct {
	File     string // from the root of the module, with slashes
	Line     int
	What     string // the change, for a person
	from, to int    // bytes of the file
	text     string // takes their place
	form     form   // how it is woven in
	body     int    // where the body of its function begins
}

// form is what kind of syntax a site is.
type form int

const (
	expression form = iota
	statement       // which is left out
	result          // a return statement
	field           // of a literal, which is left out
)

// String names the site independently of where it is in its file, so that survivors are
// recognised after the file has changed.
func (s site) String() string { return s.File + ": " + s.What }

// pkg is the directory of the package.
func (s site) pkg() string { return "./" + filepath.ToSlash(filepath.Dir(s.File)) }

// sitesOf finds the sites in the packages of some directories.
func sitesOf(root string, dirs []string) ([]site, error) {
	var out []site
	for _, dir := range dirs {
		names, err := filepath.Glob(filepath.Join(root, filepath.FromSlash(dir), "*.go"))
		if err != nil {
			return nil, err
		}
		for _, name := range names {
			if strings.HasSuffix(name, "_test.go") {
				continue
			}
			source, err := os.ReadFile(name)
			if err != nil {
				return nil, err
			}
			rel, err := filepath.Rel(root, name)
			if err != nil {
				return nil, err
			}
			found, err := sitesIn(filepath.ToSlash(rel), source)
			if err != nil {
				return nil, err
			}
			out = append(out, found...)
		}
	}
	return out, nil
}

// finder collects the sites of one file.
type finder struct {
	file   string
	source []byte
	fset   *token.FileSet
	body   int
	out    []site
}

func sitesIn(file string, source []byte) ([]site, error) {
	f := &finder{file: file, source: source, fset: token.NewFileSet()}
	tree, err := parser.ParseFile(f.fset, file, source, 0)
	if err != nil {
		return nil, err
	}
	for _, decl := range tree.Decls {
		fn, ok := decl.(*ast.FuncDecl)
		if ok && fn.Body != nil && !slices.Contains([]string{"String", "GoString", "Format", "LogValue", "Error"}, fn.Name.Name) {
			f.body = f.offset(fn.Body.Lbrace) + 1
			ast.Inspect(fn.Body, f.visit)
		}
	}
	return f.out, nil
}

func (f *finder) offset(p token.Pos) int { return f.fset.Position(p).Offset }

func (f *finder) textOf(n ast.Node) string {
	return string(f.source[f.offset(n.Pos()):f.offset(n.End())])
}

// add notes that the text of a node becomes another.
func (f *finder) add(n ast.Node, as form, kind, text string) {
	was := strings.Join(strings.Fields(f.textOf(n)), " ")
	if len(was) > 100 {
		was = was[:100] + "…"
	}
	f.out = append(f.out, site{
		File: f.file, Line: f.fset.Position(n.Pos()).Line, What: fmt.Sprintf("%s %s", kind, was), from: f.offset(n.Pos()), to: f.offset(n.End()), text: text, form: as, body: f.body,
	})
}

func (f *finder) visit(n ast.Node) bool {
	switch n := n.(type) {
	case *ast.IfStmt:
		f.add(n.Cond, expression, "negate", "!("+f.textOf(n.Cond)+")")
	case *ast.BinaryExpr:
		f.binary(n)
	case *ast.ReturnStmt:
		f.returned(n)
	case *ast.CompositeLit:
		f.fields(n)
	case *ast.BlockStmt:
		f.statements(n.List)
	case *ast.CaseClause:
		f.statements(n.Body)
	case *ast.CommClause:
		f.statements(n.Body)
	}
	return true
}

// others are the operators that take the place of one.
var others = map[token.Token]token.Token{
	token.LSS: token.LEQ, token.LEQ: token.LSS, token.GTR: token.GEQ, token.GEQ: token.GTR,
	token.LAND: token.LOR, token.LOR: token.LAND, token.EQL: token.NEQ, token.NEQ: token.EQL,
}

func (f *finder) binary(n *ast.BinaryExpr) {
	if other, ok := others[n.Op]; ok {
		f.add(n, expression, "use "+other.String()+" in", f.textOf(n.X)+" "+other.String()+" "+f.textOf(n.Y))
	}
	if n.Op == token.ADD || n.Op == token.SUB || other(n.Op) {
		for _, side := range []ast.Expr{n.X, n.Y} {
			if lit, ok := side.(*ast.BasicLit); ok && lit.Kind == token.INT {
				if v, err := strconv.Atoi(lit.Value); err == nil {
					f.add(lit, expression, "in "+f.textOf(n)+" add 1 to", strconv.Itoa(v+1))
				}
			}
		}
	}
}

func other(op token.Token) bool { _, ok := others[op]; return ok }

func (f *finder) returned(n *ast.ReturnStmt) {
	for i, r := range n.Results {
		switch text := f.textOf(r); {
		case text == "true":
			f.add(n, result, "return false for", f.with(n, i, "false"))
		case text == "false":
			f.add(n, result, "return true for", f.with(n, i, "true"))
		case text == "err":
			f.add(n, result, "return nil for", f.with(n, i, "nil"))
		}
	}
}

// with is a return statement with another result.
func (f *finder) with(n *ast.ReturnStmt, i int, text string) string {
	results := make([]string, len(n.Results))
	for k, r := range n.Results {
		if results[k] = f.textOf(r); k == i {
			results[k] = text
		}
	}
	return "return " + strings.Join(results, ", ")
}

// fields drops the fields of a literal, one at a time.
func (f *finder) fields(n *ast.CompositeLit) {
	for _, e := range n.Elts {
		kv, ok := e.(*ast.KeyValueExpr)
		if !ok {
			continue
		}
		if _, ok := kv.Key.(*ast.Ident); !ok || logs(f.textOf(kv.Key)) {
			continue
		}
		to := f.offset(kv.End())
		for to < len(f.source) && strings.ContainsRune(" \t,", rune(f.source[to])) {
			to++
		}
		f.add(kv, field, "without the field", "")
		f.out[len(f.out)-1].to = to
	}
}

func (f *finder) statements(list []ast.Stmt) {
	for _, s := range list {
		switch s := s.(type) {
		case *ast.ExprStmt:
			if call, ok := s.X.(*ast.CallExpr); ok && !logs(f.textOf(call.Fun)) {
				f.add(s, statement, "without", "")
			}
		case *ast.AssignStmt:
			if s.Tok != token.DEFINE && !strings.HasPrefix(f.textOf(s), "_") {
				f.add(s, statement, "without", "")
			}
		case *ast.IncDecStmt, *ast.DeferStmt:
			f.add(s, statement, "without", "")
		}
	}
}

// logs reports whether an expression is about the log, of which nothing is promised.
func logs(text string) bool { return strings.Contains(strings.ToLower(text), "log.") || text == "Log" }
