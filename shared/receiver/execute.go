package receiver

import (
	"encoding/json"
	"errors"
	"fmt"
	"reflect"
	"strings"
	"text/template/parse"
)

// textTemplate is a Go template: text, fields, if, with and range, and a few functions. It is executed here and not by text/template, for two reasons: each
// step is counted, so that no template runs long or grows large; and whoever links text/template links every method of everything (6 MB).
type textTemplate struct{ root *parse.ListNode }

const (
	maxTemplate = 4 << 10
	maxText     = 4 << 10
	maxSteps    = 20_000
)

// functions are those of text/template that it may call.
var functions = map[string]func(args []any) (any, error){
	"not": func(args []any) (any, error) { return len(args) == 1 && !truth(args[0]), nil },
	"and": func(args []any) (any, error) { return pick(args, false), nil },
	"or":  func(args []any) (any, error) { return pick(args, true), nil },
	"eq":  func(args []any) (any, error) { return same(args), nil },
	"ne":  func(args []any) (any, error) { return !same(args), nil },
	"len": length,
}

func parseTemplate(text string) (textTemplate, error) {
	if len(text) > maxTemplate {
		return textTemplate{}, errors.New("it is over 4 KiB")
	}
	known := map[string]any{}
	for name := range functions {
		known[name] = name
	}
	trees, err := parse.Parse("template", text, "", "", known)
	if err != nil {
		return textTemplate{}, errors.New(strings.TrimPrefix(err.Error(), "template: "))
	}
	if len(trees) != 1 || trees["template"] == nil {
		return textTemplate{}, errors.New("it is empty, or defines templates")
	}
	return textTemplate{trees["template"].Root}, nil
}

// execute makes the text. Strictly, a field that the event does not have is an error; else it is nothing, and an error is only a field of nothing.
func (t textTemplate) execute(data any, strict bool) (string, error) {
	e := execution{root: data, strict: strict}
	err := e.list(t.root, data)
	return e.out.String(), err
}

type execution struct {
	root   any
	strict bool
	out    strings.Builder
	steps  int
}

func (e *execution) step() error {
	if e.steps++; e.steps > maxSteps {
		return fmt.Errorf("it takes more than %d steps", maxSteps)
	}
	return nil
}

func (e *execution) print(text string) error {
	if e.out.Len()+len(text) > maxText {
		return errors.New("its text is over 4 KiB")
	}
	e.out.WriteString(text)
	return nil
}

func (e *execution) list(list *parse.ListNode, dot any) error {
	if list == nil {
		return nil
	}
	for _, node := range list.Nodes {
		if err := e.node(node, dot); err != nil {
			return err
		}
	}
	return nil
}

func (e *execution) node(node parse.Node, dot any) error {
	if err := e.step(); err != nil {
		return err
	}
	switch n := node.(type) {
	case *parse.TextNode:
		return e.print(string(n.Text))
	case *parse.CommentNode:
		return nil
	case *parse.ActionNode:
		v, err := e.pipe(n.Pipe, dot)
		if err == nil && v != nil {
			err = e.print(fmt.Sprint(v))
		}
		return err
	case *parse.IfNode:
		v, err := e.pipe(n.Pipe, dot)
		if err != nil {
			return err
		}
		return e.either(n.BranchNode, truth(v), dot, dot)
	case *parse.WithNode:
		v, err := e.pipe(n.Pipe, dot)
		if err != nil {
			return err
		}
		return e.either(n.BranchNode, truth(v), v, dot)
	case *parse.RangeNode:
		return e.each(n, dot)
	}
	return fmt.Errorf("it has %s, which is not known here", node)
}

func (e *execution) either(n parse.BranchNode, first bool, firstDot, elseDot any) error {
	if first {
		return e.list(n.List, firstDot)
	}
	return e.list(n.ElseList, elseDot)
}

func (e *execution) each(n *parse.RangeNode, dot any) error {
	v, err := e.pipe(n.Pipe, dot)
	if err != nil {
		return err
	}
	items, ok := v.([]any)
	if !ok && v != nil {
		return fmt.Errorf("%s is no list", n.Pipe)
	}
	if len(items) == 0 {
		return e.list(n.ElseList, dot)
	}
	for _, item := range items {
		if err := e.list(n.List, item); err != nil {
			return err
		}
	}
	return nil
}

func (e *execution) pipe(pipe *parse.PipeNode, dot any) (v any, err error) {
	if len(pipe.Decl) > 0 {
		return nil, fmt.Errorf("%s sets a variable, which is not known here", pipe)
	}
	for i, command := range pipe.Cmds {
		piped := []any{v}[:min(i, 1)]
		if v, err = e.command(command, dot, piped); err != nil {
			return nil, err
		}
	}
	return v, nil
}

func (e *execution) command(command *parse.CommandNode, dot any, piped []any) (any, error) {
	if err := e.step(); err != nil {
		return nil, err
	}
	name, ok := command.Args[0].(*parse.IdentifierNode)
	if !ok {
		if len(command.Args)+len(piped) > 1 {
			return nil, fmt.Errorf("%s is called, and is no function", command.Args[0])
		}
		return e.value(command.Args[0], dot)
	}
	var args []any
	for _, node := range command.Args[1:] {
		arg, err := e.value(node, dot)
		if err != nil {
			return nil, err
		}
		args = append(args, arg)
	}
	return functions[name.Ident](append(args, piped...))
}

func (e *execution) value(node parse.Node, dot any) (any, error) {
	switch n := node.(type) {
	case *parse.DotNode:
		return dot, nil
	case *parse.FieldNode:
		return e.field(dot, n.Ident, n)
	case *parse.VariableNode:
		if n.Ident[0] == "$" {
			return e.field(e.root, n.Ident[1:], n)
		}
	case *parse.StringNode:
		return n.Text, nil
	case *parse.NumberNode:
		return json.Number(n.Text), nil
	case *parse.BoolNode:
		return n.True, nil
	case *parse.PipeNode:
		return e.pipe(n, dot)
	}
	return nil, fmt.Errorf("it has %s, which is not known here", node)
}

func (e *execution) field(v any, path []string, node parse.Node) (any, error) {
	for i, name := range path {
		of, ok := v.(map[string]any)
		if !ok {
			return nil, fmt.Errorf("%s: .%s may be absent or has no fields", node, strings.Join(path[:i], "."))
		}
		if v, ok = of[name]; !ok && e.strict {
			return nil, fmt.Errorf("%s: there is no field %s", node, name)
		}
	}
	return v, nil
}

func truth(v any) bool {
	switch v := v.(type) {
	case nil:
		return false
	case bool:
		return v
	case string:
		return v != ""
	case json.Number:
		return v != "0"
	case []any:
		return len(v) > 0
	case map[string]any:
		return len(v) > 0
	}
	return true
}

// pick is the first argument of that truth, or the last.
func pick(args []any, want bool) any {
	for _, arg := range args {
		if truth(arg) == want {
			return arg
		}
	}
	if len(args) == 0 {
		return nil
	}
	return args[len(args)-1]
}

// same says whether the first argument is one of the others, as eq does.
func same(args []any) bool {
	for _, other := range args[min(1, len(args)):] {
		if reflect.DeepEqual(args[0], other) {
			return true
		}
	}
	return false
}

func length(args []any) (any, error) {
	if len(args) == 1 {
		switch v := args[0].(type) {
		case nil:
			return json.Number("0"), nil
		case string:
			return json.Number(fmt.Sprint(len(v))), nil
		case []any:
			return json.Number(fmt.Sprint(len(v))), nil
		}
	}
	return nil, errors.New("len is asked of what has no length")
}
