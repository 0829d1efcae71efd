//go:build stack

package functions_test

import (
	"debug/elf"
	"os"
	"path/filepath"
	"slices"
	"testing"
)

// The limits of a bootstrap in bytes, by architecture: AWS runs arm64, whose binaries are a fourteenth smaller than those that the local
// stack builds for amd64.
var limits = map[elf.Machine]struct{ light, withHelm int64 }{
	elf.EM_AARCH64: {12_000_000, 60_000_000},
	elf.EM_X86_64:  {12_900_000, 64_500_000},
}

// TestSizeOfFunctions looks at what `make up` built.
func TestSizeOfFunctions(t *testing.T) {
	built, err := filepath.Glob("../build/functions/*/bootstrap")
	if err != nil || len(built) == 0 {
		t.Fatalf("no function is built (make up builds them): %v", err)
	}
	for _, path := range built {
		function := filepath.Base(filepath.Dir(path))
		info, err := os.Stat(path)
		if err != nil {
			t.Fatal(err)
		}
		file, err := elf.Open(path)
		if err != nil {
			t.Fatal(err)
		}
		most, known := limits[file.Machine]
		_ = file.Close()
		switch {
		case !known:
			t.Fatalf("function %s is built for %s", function, file.Machine)
		case heavy[function] == nil && info.Size() > most.light:
			t.Errorf("function %s has %d bytes, at most %d are allowed", function, info.Size(), most.light)
		case slices.Contains(heavy[function], helm) && info.Size() > most.withHelm:
			t.Errorf("function %s has %d bytes, at most %d are allowed to one that links Helm", function, info.Size(), most.withHelm)
		}
	}
}
