package main

import (
	"bytes"
	"context"
	"encoding/json"
	"fmt"
	"net/http"

	"github.com/swell-sh/swell/shared/openapi"
	"github.com/swell-sh/swell/shared/openapi/client"
	"github.com/swell-sh/swell/shared/problem"
	"github.com/swell-sh/swell/shared/source"
)

// swell is Swell's own HTTP API, as anybody calls it: with the source's key, whose role lets it update deployments and push charts.
type swell struct {
	*client.ClientWithResponses
	org string
	err error
}

func (w *work) swell() swell {
	c, err := client.New(w.api, w.secret.Key, w.client)
	return swell{c, w.source.Org, err}
}

// version is the ETag of the deployment as it is.
func (s swell) version(ctx context.Context, r source.Rule) (string, error) {
	if s.err != nil {
		return "", s.err
	}
	got, err := s.GetDeploymentWithResponse(ctx, s.org, r.Group, r.ReleaseName, &openapi.GetDeploymentParams{Field: openapi.FieldName})
	if err != nil {
		return "", fmt.Errorf("reading deployment %s of group %s: %w", r.ReleaseName, r.Group, err)
	}
	if err := refused(got.StatusCode(), got.Body); err != nil {
		return "", err
	}
	return got.HTTPResponse.Header.Get("ETag"), nil
}

// update pushes the chart, if there is one, and asks for the change. A run is started by it.
func (s swell) update(ctx context.Context, r source.Rule, c change, ifMatch, key string) (run string, err error) {
	if s.err != nil {
		return "", s.err
	}
	if c.archive != nil {
		if c.Name, err = s.push(ctx, c.archive); err != nil {
			return "", err
		}
	}
	got, err := s.UpdateDeploymentWithResponse(ctx, s.org, r.Group, r.ReleaseName, &openapi.UpdateDeploymentParams{Field: openapi.FieldName, IfMatch: ifMatch},
		c.DeploymentRequest, client.WithIdempotencyKey(key))
	if err != nil {
		return "", fmt.Errorf("updating deployment %s of group %s: %w", r.ReleaseName, r.Group, err)
	}
	if err := refused(got.StatusCode(), got.Body); err != nil {
		return "", err
	}
	var accepted openapi.DeploymentAccepted
	if err := json.Unmarshal(got.Body, &accepted); err != nil {
		return "", fmt.Errorf("reading what became of deployment %s: %w", r.ReleaseName, err)
	}
	return accepted.Run, nil
}

func (s swell) push(ctx context.Context, archive []byte) (ref string, err error) {
	got, err := s.PushChartWithBodyWithResponse(ctx, s.org, "application/gzip", bytes.NewReader(archive))
	if err != nil {
		return "", fmt.Errorf("pushing a chart: %w", err)
	}
	if err := refused(got.StatusCode(), got.Body); err != nil {
		return "", err
	}
	var chart openapi.Chart
	if err := json.Unmarshal(got.Body, &chart); err != nil {
		return "", fmt.Errorf("reading what became of a chart: %w", err)
	}
	return chart.Ref, nil
}

// refused is what the API answered, if it was no success: a problem for who wrote the files or the rule, an error where it may pass.
func refused(status int, body []byte) error {
	if status < http.StatusBadRequest {
		return nil
	}
	var p openapi.Problem
	if err := json.Unmarshal(body, &p); err != nil || status >= http.StatusInternalServerError || status == http.StatusTooManyRequests || status == http.StatusUnauthorized {
		return fmt.Errorf("the API answered %d %s", status, p.Code) // 401: the key is believed for a minute after it was made anew
	}
	return &problem.Problem{Status: status, Code: p.Code, Detail: p.Detail, Field: p.Field, Remedy: p.Remedy}
}
