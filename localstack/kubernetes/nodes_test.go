package main

import (
	"os"
	"path/filepath"
	"testing"

	"sigs.k8s.io/kwok/pkg/apis/internalversion"
)

func TestLoadStages(t *testing.T) {
	stages, err := loadStages()
	if err != nil {
		t.Fatal(err)
	}
	for kind, want := range map[string]int{"Node": 1, "Pod": 7, "Service": 1} {
		if got := len(stages[internalversion.StageResourceRef{APIGroup: "v1", Kind: kind}]); got != want {
			t.Errorf("%s has %d stages, want %d", kind, got, want)
		}
	}
}

// A kubeconfig that was handed on must stay valid over a restart.
func TestCertificatesAndPortAreKept(t *testing.T) {
	t.Chdir(t.TempDir())
	read := func() (authority string, port int) {
		c, err := loadCertificates("pki")
		if err != nil {
			t.Fatal(err)
		}
		b, err := os.ReadFile(c.authority)
		if err != nil {
			t.Fatal(err)
		}
		if port, err = choosePort(0); err != nil {
			t.Fatal(err)
		}
		return string(b), port
	}
	authority, port := read()
	// What an interrupted start would leave.
	if err := os.MkdirAll(filepath.Join("pki.new", "half"), 0o700); err != nil {
		t.Fatal(err)
	}
	if again, samePort := read(); again != authority || samePort != port {
		t.Errorf("the second start has another authority or port (%d, %d)", port, samePort)
	}
}
