package main

import (
	"context"
	"crypto/rand"
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"fmt"
	"net/http"

	"github.com/swell-sh/swell/shared/dynamo"
	"github.com/swell-sh/swell/shared/id"
	"github.com/swell-sh/swell/shared/openapi"
	"github.com/swell-sh/swell/shared/problem"
	"github.com/swell-sh/swell/shared/source"
)

// sourceSecrets reads what a source has that is secret.
type sourceSecrets interface {
	OfSource(ctx context.Context, s source.Source) (source.Secret, error)
}

// ListSources answers the sources of an org.
func (h handler) ListSources(w http.ResponseWriter, r *http.Request, org openapi.OrgPath, params openapi.ListSourcesParams) {
	sources, next, err := h.store.ListSources(r.Context(), org, dynamo.Page{Limit: params.Limit, Cursor: params.Cursor, Sort: dynamo.Sort(params.Sort), NamePrefix: params.NamePrefix})
	if err != nil {
		h.fail(w, r, err)
		return
	}
	list := openapi.SourceList{Items: []openapi.Source{}, NextCursor: next}
	for _, s := range sources {
		list.Items = append(list.Items, openapi.SourceOf(s))
	}
	openapi.Write(w, http.StatusOK, list)
}

// CreateSource records what is followed. The host is asked when the first delivery comes.
func (h handler) CreateSource(w http.ResponseWriter, r *http.Request, org openapi.OrgPath) {
	body, err := openapi.Decode[openapi.SourceRequest](r, maxSmallBody)
	if err != nil {
		h.fail(w, r, err)
		return
	}
	s, secret, err := body.Domain()
	if err == nil {
		s.Org, s.Version, s.SecretID = org, 1, id.New()
		s.CreatedAt, s.CreatedBy = h.now().UTC(), openapi.PrincipalOf(r.Context()).Name
		err = h.createSource(r.Context(), s, secret)
	}
	if err != nil {
		h.fail(w, r, err)
		return
	}
	w.Header().Set("Location", r.URL.Path+"/"+s.Name)
	openapi.Write(w, http.StatusCreated, openapi.SourceOf(s))
}

// createSource keeps the record before the secret, as a repository's is kept: the record claims the name.
func (h handler) createSource(ctx context.Context, s source.Source, secret source.Secret) error {
	if err := h.store.CreateSource(ctx, s); err != nil {
		return err
	}
	err := h.keepSourceSecret(ctx, s, secret)
	if err != nil {
		if deleteErr := h.store.DeleteSource(context.WithoutCancel(ctx), s.Org, s.Name, s.Version); deleteErr != nil {
			h.log.ErrorContext(ctx, "forgetting a source whose secret was not kept", "source", s.Name, "error", deleteErr)
		}
	}
	return err
}

// keepSourceSecret keeps the secret that the record names by its id, with a key of the HTTP API that is made with the first one. The key is known to
// the table before anybody can use it.
func (h handler) keepSourceSecret(ctx context.Context, s source.Source, secret source.Secret) error {
	secret.ID = s.SecretID
	if secret.Key == "" {
		secret.Key = rand.Text() + rand.Text()
	}
	err := h.store.PutKey(ctx, hashOf(secret.Key), dynamo.APIKey{Org: s.Org, Principal: s.Actor(), Role: openapi.RoleDeployer, CreatedAt: h.now().UTC()})
	if err != nil {
		return fmt.Errorf("keeping the key of source %s: %w", s.Name, err)
	}
	raw, err := secret.Marshal()
	if err == nil {
		err = h.secrets.Put(ctx, source.SecretName(s.Org, s.Name), raw)
	}
	if err != nil {
		return fmt.Errorf("keeping the secret of source %s: %w", s.Name, err)
	}
	return nil
}

func hashOf(key string) string {
	sum := sha256.Sum256([]byte(key))
	return hex.EncodeToString(sum[:])
}

// GetSource answers one source.
func (h handler) GetSource(w http.ResponseWriter, r *http.Request, org openapi.OrgPath, name openapi.SourcePath) {
	s, err := h.store.FindSource(r.Context(), org, name)
	if err != nil {
		h.fail(w, r, err)
		return
	}
	openapi.WriteVersion(w, http.StatusOK, s.Version, openapi.SourceOf(s))
}

// ReplaceSource changes URL, rules and credentials together, so that no credential is sent to a URL that it was not given for.
func (h handler) ReplaceSource(w http.ResponseWriter, r *http.Request, org openapi.OrgPath, name openapi.SourcePath, params openapi.ReplaceSourceParams) {
	body, err := openapi.Decode[openapi.ReplaceSourceRequest](r, maxSmallBody)
	if err != nil {
		h.fail(w, r, err)
		return
	}
	h.changeSource(w, r, org, name, params.IfMatch, func(was source.Source, secret source.Secret) (source.Source, source.Secret, error) {
		s, credential, err := body.Domain(name, was.Kind)
		secret.Username, secret.Token, secret.CA = credential.Username, credential.Token, credential.CA
		s.RotatedAt, s.UpdatedAt = was.RotatedAt, h.now().UTC()
		return s, secret, err
	})
}

// RotateSource gives the hook a new secret; the one before stays good for a day.
func (h handler) RotateSource(w http.ResponseWriter, r *http.Request, org openapi.OrgPath, name openapi.SourcePath, params openapi.RotateSourceParams) {
	body, err := openapi.Decode[openapi.RotateSourceRequest](r, maxSmallBody)
	if err != nil {
		h.fail(w, r, err)
		return
	}
	h.changeSource(w, r, org, name, params.IfMatch, func(s source.Source, secret source.Secret) (source.Source, source.Secret, error) {
		s.RotatedAt = h.now().UTC()
		return s, secret.Rotate(string(body.Secret), s.RotatedAt), source.ValidateHook(s.Kind, string(body.Secret))
	})
}

// changeSource changes the record first: of two changes one wins there, and its id says whose secret counts. A secret that an earlier change did not
// come to keep is made anew by a rotation; its credentials are then given again by a replacement.
func (h handler) changeSource(w http.ResponseWriter, r *http.Request, org, name, ifMatch string,
	change func(source.Source, source.Secret) (source.Source, source.Secret, error)) {
	was, err := h.store.FindSource(r.Context(), org, name)
	if err == nil {
		err = openapi.CheckIfMatch(ifMatch, was.Version)
	}
	var secret source.Secret
	if err == nil {
		secret, err = h.sourceSecrets.OfSource(r.Context(), was)
	}
	lost := problem.Is(err, "source-secret-missing")
	if err != nil && !lost {
		h.fail(w, r, err)
		return
	}
	s, secret, err := change(was, secret)
	if err == nil && lost && secret.Hook == "" {
		err = was.WithoutSecret()
	}
	if err == nil {
		s.HasCredential = secret.Token != ""
		s.Org, s.Version, s.SecretID, s.CreatedAt, s.CreatedBy = org, was.Version+1, id.New(), was.CreatedAt, was.CreatedBy
		err = h.store.ReplaceSource(r.Context(), s, was.Version)
	}
	if err == nil {
		err = h.keepSourceSecret(r.Context(), s, secret)
	}
	if err != nil {
		h.fail(w, r, err)
		return
	}
	openapi.WriteVersion(w, http.StatusOK, s.Version, openapi.SourceOf(s))
}

// DeleteSource forgets a source with its key and its secrets; what it deployed stays.
func (h handler) DeleteSource(w http.ResponseWriter, r *http.Request, org openapi.OrgPath, name openapi.SourcePath, params openapi.DeleteSourceParams) {
	s, err := h.store.FindSource(r.Context(), org, name)
	if err == nil {
		err = openapi.CheckIfMatch(params.IfMatch, s.Version)
	}
	var secret source.Secret
	if err == nil {
		if secret, err = h.sourceSecrets.OfSource(r.Context(), s); problem.Is(err, "source-secret-missing") {
			err = nil
		}
	}
	if err == nil {
		err = h.store.DeleteSource(r.Context(), org, name, s.Version)
	}
	if err != nil {
		h.fail(w, r, err)
		return
	}
	err = h.secrets.Delete(r.Context(), source.SecretName(org, name))
	if secret.Key != "" {
		err = errors.Join(err, h.store.DeleteKey(r.Context(), hashOf(secret.Key)))
	}
	if err != nil {
		h.log.ErrorContext(r.Context(), "deleting the secrets of a source", "source", name, "error", err)
	}
	w.WriteHeader(http.StatusNoContent)
}

// ListDeliveries answers what a source's webhook took, newest first.
func (h handler) ListDeliveries(w http.ResponseWriter, r *http.Request, org openapi.OrgPath, name openapi.SourcePath, params openapi.ListDeliveriesParams) {
	_, err := h.store.FindSource(r.Context(), org, name)
	var records []source.Record
	var next string
	if err == nil {
		records, next, err = h.store.ListDeliveries(r.Context(), org, name, dynamo.Page{Limit: params.Limit, Cursor: params.Cursor})
	}
	if err != nil {
		h.fail(w, r, err)
		return
	}
	list := openapi.DeliveryList{Items: []openapi.Delivery{}, NextCursor: next}
	for _, record := range records {
		list.Items = append(list.Items, openapi.DeliveryOf(record))
	}
	openapi.Write(w, http.StatusOK, list)
}
