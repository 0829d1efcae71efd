package main

import (
	"context"
	"errors"
	"fmt"
	"strings"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/service/ecr"
	"github.com/aws/aws-sdk-go-v2/service/ecr/types"

	"github.com/swell-sh/swell/shared/problem"
)

const maxPages = 100 // of a hundred tags

// ecrOf lists the tags of an ECR repository by AWS' API, which needs no token: the function's role says what it may.
func ecrOf(cfg aws.Config) func(ctx context.Context, registry, repository string) ([]string, error) {
	return func(ctx context.Context, registry, repository string) ([]string, error) {
		account, region, err := registryOf(registry)
		if err != nil {
			return nil, err
		}
		api := ecr.NewFromConfig(cfg, func(o *ecr.Options) { o.Region = region })
		pages := ecr.NewListImagesPaginator(api, &ecr.ListImagesInput{
			RegistryId: &account, RepositoryName: &repository, Filter: &types.ListImagesFilter{TagStatus: types.TagStatusTagged},
		})
		var tags []string
		for n := 0; pages.HasMorePages() && n < maxPages; n++ {
			page, err := pages.NextPage(ctx)
			if _, missing := errors.AsType[*types.RepositoryNotFoundException](err); missing {
				return nil, problem.NotFound("source-image-missing", "registry %s has no image %s", registry, repository).Try("correct the rule's image, or push it")
			}
			if err != nil {
				return nil, fmt.Errorf("listing the tags of ECR repository %s: %w", repository, err)
			}
			for _, id := range page.ImageIds {
				tags = append(tags, aws.ToString(id.ImageTag))
			}
		}
		return tags, nil
	}
}

// registryOf reads https://<account>.dkr.ecr.<region>.amazonaws.com.
func registryOf(url string) (account, region string, err error) {
	host := strings.TrimSuffix(strings.TrimPrefix(url, "https://"), "/")
	parts := strings.Split(host, ".")
	if len(parts) < 6 || parts[1] != "dkr" || parts[2] != "ecr" || parts[4] != "amazonaws" {
		return "", "", problem.Invalid("source-invalid", "%s is no registry of ECR", url).At("url").Try("give https://<account>.dkr.ecr.<region>.amazonaws.com")
	}
	return parts[0], parts[3], nil
}
