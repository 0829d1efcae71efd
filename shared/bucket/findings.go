package bucket

import (
	"context"
	"encoding/json"
	"fmt"
	"strings"

	"github.com/swell-sh/swell/shared/drift"
	"github.com/swell-sh/swell/shared/release"
)

// MaxFindingsBytes bounds what is kept of one release's drift.
const MaxFindingsBytes = 8 << 20

// PutFindings keeps the drift that a look found, unless that is what is kept at known. ref is where GetFindings finds it.
func (s *Store) PutFindings(ctx context.Context, org string, findings []drift.Finding, known string) (ref string, err error) {
	ref = org + "/drift/" + release.Digest(findings) + ".json"
	if ref == known {
		return ref, nil
	}
	raw, err := json.Marshal(findings)
	if err != nil {
		return "", fmt.Errorf("keeping drift: %w", err)
	}
	if len(raw) > MaxFindingsBytes {
		return "", fmt.Errorf("keeping drift: %d findings have %d bytes", len(findings), len(raw))
	}
	return ref, s.put(ctx, ref, "application/json", raw)
}

// GetFindings reads what PutFindings kept for the org. Another org's is refused.
func (s *Store) GetFindings(ctx context.Context, org, ref string) ([]drift.Finding, error) {
	if org == "" || strings.Contains(org, "/") || !strings.HasPrefix(ref, org+"/drift/") {
		return nil, fmt.Errorf("reading drift: %q is not one of org %s", ref, org)
	}
	raw, err := s.get(ctx, ref, MaxFindingsBytes)
	if err != nil {
		return nil, fmt.Errorf("reading drift: %w", err)
	}
	var findings []drift.Finding
	if json.Unmarshal(raw, &findings) != nil {
		return nil, fmt.Errorf("reading drift %s: it is not as it was kept", ref) // an error could quote it
	}
	return findings, nil
}
