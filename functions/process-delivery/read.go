package main

import (
	"context"
	"net/http"
	"path"
	"strings"

	"sigs.k8s.io/yaml"

	"github.com/swell-sh/swell/shared/git"
	"github.com/swell-sh/swell/shared/netguard"
	"github.com/swell-sh/swell/shared/openapi"
	"github.com/swell-sh/swell/shared/problem"
	"github.com/swell-sh/swell/shared/registry"
	"github.com/swell-sh/swell/shared/source"
)

// hosts are asked through the guarded dialer alone; ECR by AWS' own API.
type hosts struct {
	networks netguard.Policy
	ecr      func(ctx context.Context, registry, repository string) ([]string, error)
}

// client asks the hosts of one source, for as long as the context says. A function does one delivery at a time, so go-git's transports are the source's
// while it does.
func (h hosts) client(secret source.Secret) (*http.Client, error) {
	trust, err := secret.TLS()
	if err != nil {
		return nil, err
	}
	guarded := h.networks.HTTPClient(0)
	guarded.Transport = h.networks.Transport(trust)
	git.Open(guarded)
	return guarded, nil
}

// answers are what the host said in this delivery: a source has up to fifty rules, and a function a minute. Of the snapshots there is the last alone, for
// each may be large.
type answers struct {
	refs     map[string]string
	tags     map[string][]string // by image
	ref      string
	snapshot *git.Snapshot // of ref
}

// look asks the host what counts for the rule now: the branch's head, or the highest tag. What the delivery said is not believed.
func (w *work) look(ctx context.Context, r source.Rule) (ref, at string, err error) {
	if r.OfImage() {
		tags, err := w.tags(ctx, r.Image)
		if err != nil {
			return "", "", err
		}
		tag, err := registry.Highest(tags, r.Range)
		if err == nil && tag == "" {
			err = problem.NotFound("source-image-missing", "image %s has no tag in the range %s", r.Image, r.Range).Try("push one, or widen the range")
		}
		return tag, tag, err
	}
	refs, err := w.refs(ctx)
	if err != nil {
		return "", "", err
	}
	ref = "refs/heads/" + r.Branch
	if r.Tag != "" {
		var matching []string
		for _, tag := range git.Names(refs) {
			if matches, _ := path.Match(r.Tag, tag); matches {
				matching = append(matching, tag)
			}
		}
		ref = "refs/tags/" + registry.HighestOf(matching)
	}
	if refs[ref] == "" {
		return "", "", problem.NotFound("source-ref-missing", "the repository has no %s", strings.TrimSuffix(ref, "/")).Try("push it, or correct the rule")
	}
	return ref, refs[ref], nil
}

func (w *work) refs(ctx context.Context) (refs map[string]string, err error) {
	if w.answers.refs == nil {
		w.answers.refs, err = git.Refs(ctx, w.source.URL, w.gitCredential())
	}
	return w.answers.refs, err
}

func (w *work) tags(ctx context.Context, image string) (tags []string, err error) {
	if tags, known := w.answers.tags[image]; known {
		return tags, nil
	}
	if w.source.Kind == source.ECR {
		tags, err = w.hosts.ecr(ctx, w.source.URL, image)
	} else {
		tags, err = registry.Tags(ctx, w.guarded, w.source.URL, image, registry.Credential{Username: w.secret.Username, Token: w.secret.Token})
	}
	if err != nil {
		return nil, err
	}
	if w.answers.tags == nil {
		w.answers.tags = map[string][]string{}
	}
	w.answers.tags[image] = tags
	return tags, nil
}

func (w *work) fetch(ctx context.Context, ref string) (*git.Snapshot, error) {
	if w.answers.ref == ref {
		return w.answers.snapshot, nil
	}
	w.answers.ref, w.answers.snapshot = "", nil // the last may go while the next comes
	snapshot, err := git.Fetch(ctx, w.source.URL, ref, w.gitCredential())
	if err != nil {
		return nil, err
	}
	w.answers.ref, w.answers.snapshot = ref, snapshot
	return snapshot, nil
}

func (w *work) gitCredential() git.Credential {
	return git.Credential{Username: w.secret.Username, Token: w.secret.Token}
}

// change is what is asked of the deployment, and the chart that goes before it.
type change struct {
	openapi.DeploymentRequest
	archive []byte
}

// read reads what the rule is about: the files of the ref, or nothing more of an image.
func (w *work) read(ctx context.Context, r source.Rule, ref, tag string) (found, error) {
	if r.OfImage() {
		f := found{ref: ref, tag: tag}
		f.change.ReuseValues, f.change.Values = true, nested(r.ValuesPath, tag)
		return w.named(f, r.Image)
	}
	snapshot, err := w.fetch(ctx, ref)
	if err != nil {
		return found{}, err
	}
	f := found{ref: ref, commit: snapshot.Commit}
	if f.change, err = files(snapshot, r); err != nil {
		return f, err
	}
	return w.named(f, w.source.Path())
}

// named gives what was found its digest, and then its origin, which is no part of it.
func (w *work) named(f found, repository string) (found, error) {
	var err error
	if f.inputs, err = f.change.digest(); err != nil {
		return f, err
	}
	f.change.Origin = openapi.RequestOrigin{Repository: repository, Ref: f.ref, Commit: f.commit, URL: w.source.PageOf(f.commit)}
	return f, nil
}

// files are the values, the overrides and the chart that the rule names.
func files(s *git.Snapshot, r source.Rule) (c change, err error) {
	c.ReuseValues = r.Path == ""
	if r.Path != "" {
		if c.Values, err = valuesIn(s, r.Path); err != nil {
			return c, err
		}
	}
	if r.Overrides != "" {
		if c.ValueOverrides, err = overridesIn(s, r.Overrides); err != nil {
			return c, err
		}
	}
	if r.ChartPath != "" {
		c.archive, err = pack(s, r.ChartPath)
	}
	return c, err
}

func valuesIn(s *git.Snapshot, name string) (openapi.Values, error) {
	raw, err := s.File(name)
	if err != nil {
		return nil, err
	}
	return parse(name, raw)
}

func parse(name string, raw []byte) (openapi.Values, error) {
	values := openapi.Values{}
	if err := yaml.UnmarshalStrict(raw, &values); err != nil { // its text may quote a value
		return nil, problem.Invalid("source-values-invalid", "%s is no YAML map of values, or has a key twice", name).Try("try it: helm template -f %s", name)
	}
	return values, nil
}

// overridesIn reads <cluster>.yaml of the directory. Other files there are not meant, but for <cluster>.yml, which is refused: beside <cluster>.yaml, which
// of the two counted?
func overridesIn(s *git.Snapshot, dir string) (openapi.ValueOverrides, error) {
	all, err := s.Dir(dir)
	if err != nil {
		return nil, err
	}
	overrides := openapi.ValueOverrides{}
	for name, raw := range all {
		if strings.Contains(name, "/") {
			continue
		}
		if cluster, old := strings.CutSuffix(name, ".yml"); old {
			return nil, problem.Invalid("source-values-invalid", "%s does not end in .yaml", path.Join(dir, name)).Try("name it %s.yaml", cluster)
		}
		cluster, ok := strings.CutSuffix(name, ".yaml")
		if !ok {
			continue
		}
		values, err := parse(path.Join(dir, name), raw)
		if err != nil {
			return nil, err
		}
		overrides[cluster] = values
	}
	return overrides, nil
}

// nested is the value at a path: a.b becomes {a: {b: value}}.
func nested(path, value string) openapi.Values {
	parts := strings.Split(path, ".")
	out := map[string]any{parts[len(parts)-1]: value}
	for i := len(parts) - 2; i >= 0; i-- {
		out = map[string]any{parts[i]: out}
	}
	return out
}
