package secrets_test

import (
	"context"
	"errors"
	"testing"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/service/secretsmanager"
	"github.com/aws/aws-sdk-go-v2/service/secretsmanager/types"

	"github.com/swell-sh/swell/shared/problem"
	"github.com/swell-sh/swell/shared/receiver"
	"github.com/swell-sh/swell/shared/repository"
	"github.com/swell-sh/swell/shared/secrets"
	"github.com/swell-sh/swell/shared/source"
)

// reads is Secrets Manager, as far as it is read.
type reads struct {
	secrets.API
	kept  map[string]string
	fails error
	n     int
}

func (r *reads) GetSecretValue(_ context.Context, in *secretsmanager.GetSecretValueInput, _ ...func(*secretsmanager.Options)) (*secretsmanager.GetSecretValueOutput, error) {
	r.n++
	text, there := r.kept[*in.SecretId]
	if !there && r.fails == nil {
		return nil, &types.ResourceNotFoundException{}
	}
	return &secretsmanager.GetSecretValueOutput{SecretString: aws.String(text)}, r.fails
}

// What is remembered serves as long as it belongs to the record as it is: what was replaced is not used again.
func TestWhatBelongsToARecord(t *testing.T) {
	for name, c := range map[string]struct {
		secret  string
		of      func(s *secrets.Store, id string) error
		missing string
	}{
		"repository": {"swell/acme/repository/shop", func(s *secrets.Store, id string) error {
			_, err := s.OfRepository(t.Context(), repository.Repository{Org: "acme", Name: "shop", CredentialID: id})
			return err
		}, "repository-credential-missing"},
		"receiver": {"swell/acme/receiver/shop", func(s *secrets.Store, id string) error {
			_, err := s.OfReceiver(t.Context(), receiver.Receiver{Org: "acme", Name: "shop", CredentialID: id})
			return err
		}, "receiver-credential-missing"},
		"source": {"swell/acme/source/shop", func(s *secrets.Store, id string) error {
			_, err := s.OfSource(t.Context(), source.Source{Org: "acme", Name: "shop", SecretID: id})
			return err
		}, "source-secret-missing"},
	} {
		t.Run(name, func(t *testing.T) {
			api := &reads{kept: map[string]string{}}
			s := secrets.New(api, time.Now)
			want := func(id, code string, reads int) {
				t.Helper()
				if err := c.of(s, id); (err != nil) != (code != "") || code != "" && !problem.Is(err, code) || api.n != reads {
					t.Errorf("%v after %d reads, want %q after %d", err, api.n, code, reads)
				}
			}
			want("1", c.missing, 1)
			api.kept[c.secret] = `{"id": "1", "hook": "x"}`
			want("1", "", 2)
			want("1", "", 2) // remembered
			want("2", c.missing, 3)
			api.kept[c.secret] = `{"id": "2", "hook": "x"}`
			want("2", "", 4)
			want("1", c.missing, 5)
			api.fails = errors.New("throttled")
			if err := c.of(s, "3"); !errors.Is(err, api.fails) {
				t.Error(err)
			}
		})
	}
}
