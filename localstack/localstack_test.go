package main

import (
	"context"
	"io"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"strings"
	"testing"
)

func TestParseRecord(t *testing.T) {
	for name, tc := range map[string]struct {
		text string
		want record
		bad  bool
	}{
		"as written":       {text: record{pid: 42, started: "12345"}.String(), want: record{pid: 42, started: "12345"}},
		"a date of ps":     {text: "42 Sat Nov 21 16:11:02 2026\n", want: record{pid: 42, started: "Sat Nov 21 16:11:02 2026"}},
		"empty":            {text: "", bad: true},
		"no start time":    {text: "42\n", bad: true},
		"no number":        {text: "x 1", bad: true},
		"init":             {text: "1 5", bad: true},
		"a process group":  {text: "-42 5", bad: true},
		"cut in the write": {text: "42 ", bad: true},
	} {
		t.Run(name, func(t *testing.T) {
			got, err := parseRecord(tc.text)
			if (err != nil) != tc.bad || got != tc.want {
				t.Errorf("parseRecord(%q) = %v, %v; want %v, fault %t", tc.text, got, err, tc.want, tc.bad)
			}
		})
	}
}

func TestParseStat(t *testing.T) {
	const rest = " 1 10 10 0 -1 4194560 1 0 0 0 0 0 0 0 20 0 1 0 98765 1 1"
	for name, tc := range map[string]struct {
		text, started string
		alive         bool
	}{
		"sleeps":                     {text: "10 (sam) S" + rest, started: "98765", alive: true},
		"a name with a parenthesis":  {text: "10 (a) b) R) S" + rest, started: "98765", alive: true},
		"a zombie":                   {text: "10 (sam) Z" + rest},
		"ended between two syscalls": {text: ""},
	} {
		t.Run(name, func(t *testing.T) {
			started, alive := parseStat(tc.text)
			if started != tc.started || alive != tc.alive {
				t.Errorf("parseStat(%q) = %q, %t", tc.text, started, alive)
			}
		})
	}
}

func TestExports(t *testing.T) {
	for name, value := range map[string]string{
		"plain":         "abc",
		"quotes":        `a'b"c'`,
		"all printable": " !\"#$%&'()*+,-./09:;<=>?@AZ[\\]^_`az{|}~",
		"a line break":  "a\nb",
		"empty":         "",
	} {
		t.Run(name, func(t *testing.T) {
			script := exports([][2]string{{"K", value}}) + `printf '%s.' "$K"`
			out, err := exec.CommandContext(t.Context(), "sh", "-c", script).Output()
			if err != nil || string(out) != value+"." {
				t.Errorf("a shell reads %q as %q, %v", value, out, err)
			}
		})
	}
}

func TestHashOf(t *testing.T) {
	hash := func(texts []string, files map[string]string, paths ...string) string {
		t.Helper()
		root := t.TempDir()
		for name, content := range files {
			file := filepath.Join(root, name)
			if err := os.MkdirAll(filepath.Dir(file), 0o700); err != nil {
				t.Fatal(err)
			}
			if err := os.WriteFile(file, []byte(content), 0o600); err != nil {
				t.Fatal(err)
			}
		}
		h, err := hashOf(texts, root, paths...)
		if err != nil {
			t.Fatal(err)
		}
		return h
	}
	files := map[string]string{"in/a": "1", "in/b/c": "2", "out": "3"}
	base := hash([]string{"x"}, files, "in")
	if got := hash([]string{"x"}, map[string]string{"in/a": "1", "in/b/c": "2", "out": "4"}, "in"); got != base {
		t.Error("a file beside the paths changed the key")
	}
	for name, other := range map[string]string{
		"another text":    hash([]string{"y"}, files, "in"),
		"another content": hash([]string{"x"}, map[string]string{"in/a": "9", "in/b/c": "2"}, "in"),
		"another name":    hash([]string{"x"}, map[string]string{"in/z": "1", "in/b/c": "2"}, "in"),
		"one file less":   hash([]string{"x"}, map[string]string{"in/a": "1"}, "in"),
		"moved content":   hash([]string{"x"}, map[string]string{"in/a": "", "in/b/c": "12"}, "in"),
		"nothing there":   hash([]string{"x"}, files, "missing"),
	} {
		if other == base {
			t.Errorf("%s left the key as it was", name)
		}
	}
}

func TestLinkerFlags(t *testing.T) {
	flags, err := linkerFlags("require (\n\tk8s.io/kubernetes v1.36.3\n)\n")
	if err != nil || !strings.Contains(flags, "-X k8s.io/component-base/version.gitVersion=v1.36.3") ||
		!strings.Contains(flags, "-X k8s.io/client-go/pkg/version.gitMinor=36") {
		t.Errorf("linkerFlags = %q, %v", flags, err)
	}
	mod, err := os.ReadFile("kubernetes/go.mod")
	if err != nil {
		t.Fatal(err)
	}
	if _, err := linkerFlags(string(mod)); err != nil {
		t.Error(err)
	}
	if _, err := linkerFlags("module x\n"); err == nil {
		t.Error("a module without Kubernetes has a version")
	}
}

func TestListenerInode(t *testing.T) {
	const table = `  sl  local_address rem_address   st tx_queue rx_queue tr tm->when retrnsmt   uid  timeout inode
   0: 0100007F:9C40 0100007F:11D6 01 00000000:00000000 00:00000000 00000000     0        0 111 1 0 20 4 30 10 -1
   1: 0100007F:11D6 00000000:0000 0A 00000000:00000000 00:00000000 00000000     0        0 222 1 0 100 0 0 10 0
`
	if got := listenerInode(table, 4566); got != "222" {
		t.Errorf("the listener on 4566 has inode %q", got)
	}
	if got := listenerInode(table, 40000); got != "" {
		t.Errorf("an open connection counts as a listener: %q", got)
	}
}

func TestDeployedStates(t *testing.T) {
	for status, want := range map[string]struct{ complete, busy bool }{
		"":                            {},
		"CREATE_COMPLETE":             {complete: true},
		"UPDATE_COMPLETE":             {complete: true},
		"ROLLBACK_COMPLETE":           {},
		"UPDATE_ROLLBACK_COMPLETE":    {},
		"DELETE_COMPLETE":             {},
		"CREATE_FAILED":               {},
		"REVIEW_IN_PROGRESS":          {},
		"UPDATE_IN_PROGRESS":          {busy: true},
		"UPDATE_ROLLBACK_IN_PROGRESS": {busy: true},
	} {
		d := deployed{Status: status}
		if d.complete() != want.complete || d.busy() != want.busy {
			t.Errorf("%s: complete %t, busy %t", status, d.complete(), d.busy())
		}
	}
}

// A record may outlive its process, and the number may then be another process': that one is never touched.
func TestDownSparesAForeignProcess(t *testing.T) {
	s := &stack{root: t.TempDir(), notes: io.Discard, answer: io.Discard}
	own := program{name: "own", args: []string{"sleep", "60"}, dir: s.root}
	if err := s.start(t.Context(), own); err != nil {
		t.Fatal(err)
	}
	foreign := exec.CommandContext(t.Context(), "sleep", "60")
	if err := foreign.Start(); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = foreign.Process.Kill(); _ = foreign.Wait() })
	if err := writeFile(s.local("run", "foreign"), strconv.Itoa(foreign.Process.Pid)+" 1\n"); err != nil {
		t.Fatal(err)
	}
	ownRecord, ok := s.running(t.Context(), "own")
	if !ok {
		t.Fatal("the started process does not run")
	}
	if err := s.down(t.Context()); err != nil {
		t.Fatal(err)
	}
	if _, alive := startTime(context.Background(), ownRecord.pid); alive {
		t.Error("the started process still runs")
	}
	if _, alive := startTime(context.Background(), foreign.Process.Pid); !alive {
		t.Error("the foreign process was ended")
	}
	if names, _ := s.processes(); len(names) != 0 {
		t.Errorf("records are left: %v", names)
	}
}
