package helm

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"time"

	"github.com/swell-sh/swell/shared/child"
	"github.com/swell-sh/swell/shared/kube"
	"github.com/swell-sh/swell/shared/release"
)

const (
	verbCPU = 3 * time.Minute
	// killAfter is when a verb that must not write any more is killed: it has had the time to say so.
	killAfter = 10 * time.Second
)

// Op is one verb on one release, under a lease that the caller holds.
type Op struct {
	Credential      kube.Credential
	AllowedNetworks string         // as in netguard.Parse
	Archive         []byte         // none to uninstall or roll back
	Values          map[string]any // of a rollback: those of the revision, which are kept out of what is said of a failure
	ReleaseName     string
	Namespace       string
	Action          release.Action    // Install, Upgrade, Rollback, Uninstall or Test; Recover is an upgrade whose pending record the caller has marked failed
	RollbackTo      int               // the revision that Rollback makes anew; the caller has seen to it that it is a good one
	Labels          map[string]string // of the record: owner, input, run
	Fence           int64
	StopMutationsAt time.Time     // nothing is written from then on
	HookTimeout     time.Duration // for all hooks of the verb together
	Description     string        // of the revision; Helm's own if empty
}

// Result is what the cluster stored of the newest record, also where the verb failed; its zero value says that nothing was stored.
type Result struct {
	Revision        int               `json:"revision"`
	Status          string            `json:"status"` // Helm's word; "uninstalled" also of a release that was not there
	Description     string            `json:"description"`
	Labels          map[string]string `json:"labels"`
	ResourceVersion string            `json:"resourceVersion"`
	ManifestObjects int               `json:"manifestObjects"`
	Requests        int               `json:"requests"` // that the verb sent to the API server
	Warnings        []string          `json:"warnings"` // what Helm does not count as failure: objects that could not be deleted
	Kept            string            `json:"kept"`     // what an uninstall left by the chart's resource policy
}

// Apply runs a verb in a child and waits for it. When it returns the child is dead: nothing is written behind it. It waits for hooks, at
// most Op.HookTimeout, and for nothing else. A failure is an *Error (errors.As), and the Result then says what is left.
func Apply(ctx context.Context, op Op) (Result, error) {
	wire, err := op.wire()
	if err != nil {
		return Result{}, err
	}
	limits := child.Limits{CPU: verbCPU, Wall: max(time.Until(op.StopMutationsAt), 0) + killAfter, RSS: maxMemory}
	var answer verbAnswer
	err = child.Call(ctx, verbChild, wire, &answer, limits)
	switch killed, ok := errors.AsType[*child.KilledError](err); {
	case ok:
		err = errorf(CodeKilled, "the verb was killed (%s); the release's record may be left pending, which the next run repairs", killed.Reason)
	case err != nil:
	case answer.Error != nil:
		err = answer.Error
	}
	if err != nil {
		return answer.Result, fmt.Errorf("%s release %s/%s: %w", gerund(op.Action), op.Namespace, op.ReleaseName, err)
	}
	return answer.Result, nil
}

func gerund(a release.Action) string {
	switch a {
	case release.Install:
		return "installing"
	case release.Uninstall:
		return "uninstalling"
	case release.Rollback:
		return "rolling back"
	case release.Recover:
		return "recovering"
	case release.Test:
		return "testing"
	}
	return "upgrading"
}

// verbRequest is Op on its way to the child.
type verbRequest struct {
	Credential      json.RawMessage   `json:"credential"`
	AllowedNetworks string            `json:"allowedNetworks"`
	Archive         []byte            `json:"archive"`
	Values          map[string]any    `json:"values"`
	ReleaseName     string            `json:"releaseName"`
	Namespace       string            `json:"namespace"`
	Action          release.Action    `json:"action"`
	RollbackTo      int               `json:"rollbackTo"`
	Labels          map[string]string `json:"labels"`
	Fence           int64             `json:"fence"`
	StopMutationsAt time.Time         `json:"stopMutationsAt"`
	HookTimeout     time.Duration     `json:"hookTimeout"`
	Description     string            `json:"description"`
}

type verbAnswer struct {
	Result Result `json:"result"`
	Error  *Error `json:"error"`
}

func (op Op) wire() (verbRequest, error) {
	action := op.Action
	switch action {
	case release.Install, release.Upgrade, release.Rollback, release.Uninstall, release.Test:
	case release.Recover:
		action = release.Upgrade
	default:
		return verbRequest{}, fmt.Errorf("running Helm on release %s: no verb does %q", op.ReleaseName, op.Action)
	}
	credential, err := op.Credential.Marshal()
	if err != nil {
		return verbRequest{}, err
	}
	return verbRequest{
		Credential: credential, AllowedNetworks: op.AllowedNetworks, Archive: op.Archive, Values: op.Values, ReleaseName: op.ReleaseName,
		Namespace: op.Namespace, Action: action, RollbackTo: op.RollbackTo, Labels: op.Labels, Fence: op.Fence, StopMutationsAt: op.StopMutationsAt.UTC(),
		HookTimeout: op.HookTimeout, Description: op.Description,
	}, nil
}

// String hides the values.
func (Op) String() string { return hidden }

// GoString is %#v.
func (Op) GoString() string { return hidden }

// Format covers every verb.
func (Op) Format(f fmt.State, _ rune) { _, _ = io.WriteString(f, hidden) }

// LogValue is what slog prints.
func (Op) LogValue() slog.Value { return slog.StringValue(hidden) }

// MarshalJSON hides the values from payloads.
func (Op) MarshalJSON() ([]byte, error) { return []byte(`"` + hidden + `"`), nil }
