package main

import (
	"context"
	"encoding/json"
	"fmt"
	"maps"
	"slices"

	"github.com/swell-sh/swell/shared/chart"
	"github.com/swell-sh/swell/shared/cluster"
	"github.com/swell-sh/swell/shared/deployment"
	"github.com/swell-sh/swell/shared/mask"
	"github.com/swell-sh/swell/shared/problem"
)

// secret are the paths that are masked from now on: what the request marks, or else what was marked, and what the chart's schema calls
// writeOnly.
func (in intake) secret(ctx context.Context, head deployment.Deployment, was *deployment.Generation, archive []byte) (mask.Paths, error) {
	marked := in.body.SecretPaths
	if marked == nil && was != nil {
		kept, err := in.marked(ctx, head, *was)
		if err != nil {
			return nil, err
		}
		marked = kept
	} else if _, err := mask.Accept(marked); err != nil {
		return nil, err
	}
	writeOnly, err := chart.WriteOnly(archive)
	if err != nil {
		return nil, atName(err)
	}
	all := slices.Concat(marked, writeOnly)
	slices.Sort(all)
	return mask.Parse(slices.Compact(all))
}

// marked are the paths that the API masks now: after a rollback, those of the newest generation too.
func (in intake) marked(ctx context.Context, head deployment.Deployment, was deployment.Generation) ([]string, error) {
	if head.Newest <= was.Number {
		return was.SecretPaths, nil
	}
	newest, err := in.store.FindGeneration(ctx, in.org, head.ID, head.Newest)
	if err != nil {
		return nil, fmt.Errorf("finding generation %d of deployment %s: %w", head.Newest, head.ReleaseName, err)
	}
	return slices.Concat(was.SecretPaths, newest.SecretPaths), nil
}

// intended are the values of a request.
type intended struct {
	said   deployment.Values // by itself, without masks
	values deployment.Values // over those that it reuses
	reused int               // the generation whose values it reuses; 0: none
}

func (in intake) values(ctx context.Context, was *deployment.Generation, members []cluster.Cluster, secret mask.Paths) (intended, error) {
	names := make([]string, 0, len(members))
	for _, c := range members {
		names = append(names, c.Name)
	}
	said := deployment.Values{Common: in.body.Values, Overrides: in.body.ValueOverrides.Maps()}
	if err := deployment.ValidateOverrides(said.Overrides, names); err != nil {
		return intended{}, err
	}
	var before deployment.Values
	if was != nil && (in.body.ReuseValues || masked(said)) {
		if err := in.objects.GetValues(ctx, in.org, was.ValuesRef, &before); err != nil {
			return intended{}, fmt.Errorf("reading the values of generation %d: %w", was.Number, err)
		}
	}
	said, err := unmask(secret, said, before)
	if err != nil {
		return intended{}, err
	}
	out := intended{said: said, values: said}
	if in.body.ReuseValues && was != nil {
		out.values, out.reused = before.Reuse(said), was.Number
	}
	if out.values.Common == nil {
		out.values.Common = map[string]any{}
	}
	if raw, err := json.Marshal(out.values); err != nil || len(raw) > deployment.MaxValuesBytes {
		return intended{}, problem.TooLarge("values-too-large", "values and overrides are %d bytes together", len(raw)).At("values").
			Try("send at most %d KiB", deployment.MaxValuesBytes>>10)
	}
	return out, nil
}

func masked(v deployment.Values) bool {
	for _, values := range v.Overrides {
		if mask.In(values) {
			return true
		}
	}
	return mask.In(v.Common)
}

// unmask puts back what a request left as it read it.
func unmask(secret mask.Paths, said, before deployment.Values) (deployment.Values, error) {
	common, err := secret.Unmask("values", said.Common, before.Common)
	if err != nil {
		return said, err
	}
	overrides := make(map[string]map[string]any, len(said.Overrides))
	for _, name := range slices.Sorted(maps.Keys(said.Overrides)) {
		if overrides[name], err = secret.Unmask("valueOverrides."+name, said.Overrides[name], before.Overrides[name]); err != nil {
			return said, err
		}
	}
	return deployment.Values{Common: common, Overrides: overrides}, nil
}

// keep keeps the values in the bucket, and what the request itself said of them where that is not all.
func (in intake) keep(ctx context.Context, v intended) (ref, own string, err error) {
	ref, _, err = in.objects.PutValues(ctx, in.org, v.values)
	if err == nil && v.reused != 0 {
		own, _, err = in.objects.PutValues(ctx, in.org, v.said)
	}
	return ref, own, err
}
