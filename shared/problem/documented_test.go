package problem_test

import (
	"go/ast"
	"go/parser"
	"go/token"
	"io/fs"
	"maps"
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"strconv"
	"strings"
	"testing"
	"unicode"
)

// Every code that the sources can raise has an entry in docs/problems.md that begins with where it is met; every entry is of such a code.
// The type of a problem links to its entry.
func TestEveryCodeIsDocumented(t *testing.T) {
	entries, raised := documented(t), codesOf(t, "../../shared", "../../functions")
	if len(raised) < 100 {
		t.Fatalf("only %d codes were found: the search is broken", len(raised))
	}
	for _, code := range slices.Sorted(maps.Keys(raised)) {
		where, ok := entries[code]
		if !ok {
			t.Errorf("docs/problems.md has no entry %q, raised in %s", code, raised[code].file)
		}
		for _, status := range slices.Sorted(maps.Keys(raised[code].statuses)) {
			if onlyInRuns := slices.Equal(where, []string{"target"}); ok && !onlyInRuns && !slices.Contains(where, status) {
				t.Errorf("docs/problems.md says %v of %q, which is raised as %s in %s", where, code, status, raised[code].file)
			}
		}
	}
	for code := range entries {
		if _, ok := raised[code]; !ok {
			t.Errorf("docs/problems.md has an entry %q, which nothing raises", code)
		}
	}
}

var entry = regexp.MustCompile(`(?m)^### (\S+)\n((?:\d{3}|target)(?:, (?:\d{3}|target))*)\. `)

func documented(t *testing.T) map[string][]string {
	t.Helper()
	raw, err := os.ReadFile("../../docs/problems.md")
	if err != nil {
		t.Fatal(err)
	}
	entries := map[string][]string{}
	for _, m := range entry.FindAllStringSubmatch(string(raw), -1) {
		if entries[m[1]] != nil {
			t.Errorf("docs/problems.md has two entries %q", m[1])
		}
		entries[m[1]] = strings.Split(m[2], ", ")
	}
	if headings := strings.Count(string(raw), "\n### "); headings != len(entries) {
		t.Errorf("docs/problems.md has %d entries, of which %d begin with where they are met", headings, len(entries))
	}
	return entries
}

// code is where a code is raised, and the statuses that the sources say it has.
type code struct {
	file     string
	statuses map[string]bool
}

// search collects codes by where they stand in the sources: constants named Code…, fields named Code, what is handed to the constructors of
// problems and task errors, and names of errors, of which a code is made.
type search struct {
	file   string
	found  map[string]code
	consts map[string]string // of the package
}

func codesOf(t *testing.T, roots ...string) map[string]code {
	t.Helper()
	found := map[string]code{}
	for _, root := range roots {
		err := filepath.WalkDir(root, func(path string, d fs.DirEntry, err error) error {
			if err != nil || !d.IsDir() || strings.HasSuffix(path, "test") { // the packages that only tests use
				return err
			}
			searchFolder(t, path, found)
			return nil
		})
		if err != nil {
			t.Fatal(err)
		}
	}
	return found
}

func searchFolder(t *testing.T, folder string, found map[string]code) {
	t.Helper()
	names, err := filepath.Glob(filepath.Join(folder, "*.go"))
	if err != nil {
		t.Fatal(err)
	}
	files, consts := map[string]*ast.File{}, map[string]string{}
	for _, name := range names {
		if strings.HasSuffix(name, "_test.go") || strings.HasSuffix(name, ".gen.go") {
			continue
		}
		file, err := parser.ParseFile(token.NewFileSet(), name, nil, parser.SkipObjectResolution)
		if err != nil {
			t.Fatal(err)
		}
		files[name] = file
		constants(file, consts)
	}
	for name, file := range files {
		s := search{file: name, found: found, consts: consts}
		ast.Inspect(file, func(n ast.Node) bool { s.visit(n); return true })
	}
}

func constants(file *ast.File, into map[string]string) {
	ast.Inspect(file, func(n ast.Node) bool {
		if spec, ok := n.(*ast.ValueSpec); ok {
			for i, name := range spec.Names {
				if i < len(spec.Values) {
					if text, ok := literal(spec.Values[i]); ok {
						into[name.Name] = text
					}
				}
			}
		}
		return true
	})
}

func literal(e ast.Expr) (string, bool) {
	lit, ok := e.(*ast.BasicLit)
	if !ok || lit.Kind != token.STRING {
		return "", false
	}
	text, err := strconv.Unquote(lit.Value)
	return text, err == nil
}

func (s search) visit(n ast.Node) {
	switch n := n.(type) {
	case *ast.ValueSpec:
		for i, name := range n.Names {
			if strings.HasPrefix(name.Name, "Code") && i < len(n.Values) {
				s.add(n.Values[i], "")
			}
			if strings.HasPrefix(name.Name, "name") && i < len(n.Values) { // of an error
				if text, ok := literal(n.Values[i]); ok && camelCase.MatchString(text) {
					s.put(kebab(text), "target")
				}
			}
		}
	case *ast.KeyValueExpr:
		if key, ok := n.Key.(*ast.Ident); ok && key.Name == "Code" {
			s.add(n.Value, "target")
		}
	case *ast.AssignStmt:
		for i, to := range n.Lhs {
			if len(n.Lhs) == len(n.Rhs) && isCode(to) {
				s.add(n.Rhs[i], "")
			}
		}
	case *ast.FuncDecl:
		s.function(n)
	case *ast.CallExpr:
		s.call(n)
	}
}

func isCode(e ast.Expr) bool {
	switch e := e.(type) {
	case *ast.Ident:
		return e.Name == "code"
	case *ast.SelectorExpr:
		return e.Sel.Name == "Code"
	}
	return false
}

// function: one that returns a code, or the name of an error.
func (s search) function(f *ast.FuncDecl) {
	results := f.Type.Results
	named := results != nil && len(results.List) > 0 && len(results.List[0].Names) > 0 && results.List[0].Names[0].Name == "code"
	if f.Body == nil || (!named && f.Name.Name != "CodeOf" && f.Name.Name != "ErrorName") {
		return
	}
	ast.Inspect(f.Body, func(n ast.Node) bool {
		ret, ok := n.(*ast.ReturnStmt)
		if !ok || len(ret.Results) == 0 {
			return true
		}
		if f.Name.Name != "ErrorName" {
			s.add(ret.Results[0], "target")
			return true
		}
		if name, ok := s.text(ret.Results[0]); ok {
			s.put(kebab(name), "target")
		}
		return true
	})
}

var statusOf = map[string]string{"Invalid": "422", "Malformed": "400", "NotFound": "404", "Conflict": "409", "TooLarge": "413"}

var httpStatus = map[string]string{
	"StatusUnauthorized": "401", "StatusForbidden": "403", "StatusPreconditionFailed": "412", "StatusMethodNotAllowed": "405", "StatusUnsupportedMediaType": "415", "StatusInternalServerError": "500", "StatusUnreachable": "424",
}

func (s search) call(c *ast.CallExpr) {
	of, name := "", ""
	switch f := c.Fun.(type) {
	case *ast.Ident:
		name = f.Name
	case *ast.SelectorExpr:
		name = f.Sel.Name
		if x, ok := f.X.(*ast.Ident); ok {
			of = x.Name
		}
	}
	switch {
	case of == "problem" && statusOf[name] != "":
		s.add(c.Args[0], statusOf[name])
	case of == "problem" && name == "With":
		status := ""
		switch at := c.Args[0].(type) {
		case *ast.SelectorExpr:
			status = httpStatus[at.Sel.Name]
		case *ast.Ident:
			status = httpStatus[at.Name]
		}
		s.add(c.Args[1], status)
	case of == "taskerr" && name == "Failed":
		s.add(c.Args[0], "target")
	case of == "taskerr" && name == "New", name == "NewError":
		s.add(c.Args[1], "target")
	case name == "refuse" && len(c.Args) > 0:
		s.add(c.Args[0], "422")
	case name == "fail", name == "FinishRun", name == "Ended":
		for _, arg := range c.Args {
			s.add(arg, "")
		}
	}
}

var camelCase = regexp.MustCompile(`^([A-Z][a-z]+){2,}$`)

var kebabCase = regexp.MustCompile(`^[a-z][a-z0-9]*(-[a-z0-9]+)*$`)

func (s search) text(e ast.Expr) (string, bool) {
	if name, ok := e.(*ast.Ident); ok {
		text, ok := s.consts[name.Name]
		return text, ok
	}
	return literal(e)
}

func (s search) add(e ast.Expr, status string) {
	if text, ok := s.text(e); ok {
		s.put(text, status)
	}
}

func (s search) put(text, status string) {
	if !kebabCase.MatchString(text) || (status == "" && !strings.Contains(text, "-") && s.found[text].file == "") && !single[text] {
		return
	}
	one, ok := s.found[text]
	if !ok {
		one = code{s.file, map[string]bool{}}
	}
	if status != "" {
		one.statuses[status] = true
	}
	s.found[text] = one
}

// single are the codes of one word that stand where other words do as well.
var single = map[string]bool{"fenced": true, "forbidden": true, "unauthorized": true, "unrecorded": true}

func kebab(name string) string {
	var b strings.Builder
	for i, r := range name {
		if unicode.IsUpper(r) && i > 0 {
			b.WriteByte('-')
		}
		b.WriteRune(unicode.ToLower(r))
	}
	return b.String()
}
