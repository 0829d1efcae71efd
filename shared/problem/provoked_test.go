package problem_test

import (
	"go/ast"
	"go/parser"
	"go/token"
	"io/fs"
	"maps"
	"path/filepath"
	"slices"
	"strings"
	"testing"
)

// unprovoked are codes of answers that no test asks for, each with the reason.
var unprovoked = map[string]string{
	"too-many-records": "it takes a cluster with thousands of Helm records",
}

// Every code that an answer of the API can have stands in a test, as a text or by its constant. What stands there and is not asserted is
// not found here.
func TestEveryAnsweredCodeIsTested(t *testing.T) {
	entries, tested := documented(t), testedCodes(t, "../..")
	for _, code := range slices.Sorted(maps.Keys(entries)) {
		answered := slices.ContainsFunc(entries[code], func(where string) bool { return where != "target" })
		if _, excused := unprovoked[code]; answered && excused == tested[code] {
			t.Errorf("the code %s is tested: %t, excused: %t", code, tested[code], excused)
		}
	}
}

// testedCodes are the texts of all tests, and the values of the constants Code… that they name.
func testedCodes(t *testing.T, root string) map[string]bool {
	t.Helper()
	found, named, values := map[string]bool{}, map[string]bool{}, map[string]string{}
	err := filepath.WalkDir(root, func(path string, d fs.DirEntry, err error) error {
		switch {
		case err != nil:
			return err
		case d.IsDir() && d.Name() != ".." && d.Name() != "." && strings.HasPrefix(d.Name(), "."), d.IsDir() && d.Name() == "problem":
			return fs.SkipDir
		case d.IsDir() || !strings.HasSuffix(path, ".go") || strings.HasSuffix(path, ".gen.go"):
			return nil
		}
		file, err := parser.ParseFile(token.NewFileSet(), path, nil, parser.SkipObjectResolution)
		if err != nil {
			return err
		}
		if strings.HasSuffix(path, "_test.go") {
			ast.Inspect(file, func(n ast.Node) bool { mention(n, file.Name.Name, found, named); return true })
			return nil
		}
		consts := map[string]string{}
		constants(file, consts)
		for name, value := range consts {
			values[file.Name.Name+"."+name] = value
		}
		return nil
	})
	if err != nil {
		t.Fatal(err)
	}
	for name := range named {
		if code, ok := values[name]; ok {
			found[code] = true
		}
	}
	return found
}

// mention adds the words of a text, for codes also stand in larger ones, and the constants of other packages.
func mention(n ast.Node, pkg string, found, named map[string]bool) {
	switch n := n.(type) {
	case *ast.BasicLit:
		if text, ok := literal(n); ok {
			for _, word := range strings.FieldsFunc(text, func(r rune) bool { return r != '-' && (r < 'a' || r > 'z') && (r < '0' || r > '9') }) {
				found[word] = true
			}
		}
	case *ast.SelectorExpr:
		if x, ok := n.X.(*ast.Ident); ok && strings.HasPrefix(n.Sel.Name, "Code") {
			named[x.Name+"."+n.Sel.Name] = true
		}
	case *ast.Ident:
		named[pkg+"."+n.Name] = true
	}
}
