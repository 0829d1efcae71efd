package main

import (
	"bytes"
	"context"
	"encoding/json"
	"fmt"
	"sync"

	"github.com/swell-sh/swell/shared/helm"
	"github.com/swell-sh/swell/shared/release"
)

// renders renders each distinct input once: forty clusters alike cost one render.
type renders struct {
	objects objects
	org     string
	archive []byte
	cpu     chan struct{} // a render is a process that wants a core

	mu   sync.Mutex
	done map[string]*once
}

type once struct {
	sync.Once
	rendered
	err error
}

// rendered is where in the bucket the parts of a render are kept.
type rendered struct {
	crdsRef     string // empty: the chart brings none
	manifestRef string // empty: it is not shown
	asksAPIs    bool   // another cluster's APIs may make another render
}

func newRenders(o objects, org string, archive []byte) *renders {
	return &renders{objects: o, org: org, archive: archive, cpu: make(chan struct{}, 2), done: map[string]*once{}}
}

// of renders what an entry would apply to such a cluster. show also keeps the result, as the verb foreseen would render it.
func (r *renders) of(ctx context.Context, e release.PlanEntry, values map[string]any, s sight, show bool) (rendered, error) {
	revision := 0
	if show && e.Action != release.Install {
		revision = e.SeenRevision + 1
	}
	r.mu.Lock()
	id := fmt.Sprintf("%s %s %s %d", e.ValuesDigest, s.kubeVersion, s.capabilities(true), revision)
	one, ok := r.done[id]
	if !ok {
		one = &once{}
		r.done[id] = one
	}
	r.mu.Unlock()
	one.Do(func() {
		one.rendered, one.err = r.render(ctx, helm.Request{
			Archive: r.archive, Values: values, Release: e.Key.Name, Namespace: e.Key.Namespace, KubeVersion: s.kubeVersion, APIVersions: s.apiVersions,
			Revision: revision, Show: show,
		})
	})
	return one.rendered, one.err
}

func (r *renders) render(ctx context.Context, req helm.Request) (kept rendered, err error) {
	r.cpu <- struct{}{}
	defer func() { <-r.cpu }()
	out, err := helm.Render(ctx, req)
	if err != nil {
		return kept, err
	}
	kept.asksAPIs = out.AsksAPIs
	if len(out.CRDs) > 0 {
		if kept.crdsRef, err = r.objects.PutManifest(ctx, r.org, bytes.Join(out.CRDs, []byte("\n---\n"))); err != nil {
			return kept, err
		}
	}
	if !req.Show {
		return kept, nil
	}
	raw, err := json.Marshal(out.Shown)
	if err != nil {
		return kept, fmt.Errorf("writing down what release %s renders to: %w", req.Release, err)
	}
	kept.manifestRef, err = r.objects.PutManifest(ctx, r.org, raw)
	return kept, err
}
