package main

import (
	"bytes"
	"context"
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
	done map[string]*rendered
}

type rendered struct {
	once    sync.Once
	crdsRef string
	err     error
}

func newRenders(o objects, org string, archive []byte) *renders {
	return &renders{objects: o, org: org, archive: archive, cpu: make(chan struct{}, 2), done: map[string]*rendered{}}
}

// crds renders the chart with those values for such a cluster, and returns where the CRDs that it brings are kept.
func (r *renders) crds(ctx context.Context, key release.Key, valuesDigest string, values map[string]any, s sight) (string, error) {
	r.mu.Lock()
	id := release.Digest([]string{valuesDigest, s.id()})
	one, ok := r.done[id]
	if !ok {
		one = &rendered{}
		r.done[id] = one
	}
	r.mu.Unlock()
	one.once.Do(func() { one.crdsRef, one.err = r.render(ctx, key, values, s) })
	return one.crdsRef, one.err
}

func (r *renders) render(ctx context.Context, key release.Key, values map[string]any, s sight) (string, error) {
	r.cpu <- struct{}{}
	defer func() { <-r.cpu }()
	out, err := helm.Render(ctx, helm.Request{
		Archive: r.archive, Values: values, Release: key.Name, Namespace: key.Namespace, KubeVersion: s.kubeVersion, APIVersions: s.apiVersions,
	})
	if err != nil || len(out.CRDs) == 0 {
		return "", err
	}
	return r.objects.PutManifest(ctx, r.org, bytes.Join(out.CRDs, []byte("\n---\n")))
}
