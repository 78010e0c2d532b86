package main

import (
	"context"
	"errors"
	"maps"

	"github.com/distribution/distribution/v3"
	"github.com/opencontainers/go-digest"
)

// split parts the manifests of a repository into those that a tag leads to, by an index perhaps, and the others. The
// others stay until somebody removes them: they may be in use by their digests, which nobody here can know.
func split(
	ctx context.Context, repository distribution.Repository, all references,
) (tagged, untagged references, err error) {
	tagged, untagged = references{}, maps.Clone(all)
	tags := repository.Tags(ctx)
	names, err := tags.All(ctx)
	if errors.As(err, &distribution.ErrRepositoryUnknown{}) {
		return tagged, untagged, nil // it has no tag
	} else if err != nil {
		return nil, nil, err
	}
	var take func(found digest.Digest)
	take = func(found digest.Digest) {
		parts, here := untagged[found]
		if !here {
			return
		}
		tagged[found] = parts
		delete(untagged, found)
		for part := range parts {
			take(part)
		}
	}
	for _, name := range names {
		found, err := tags.Get(ctx, name)
		if errors.As(err, &distribution.ErrTagUnknown{}) {
			continue // removed since it was listed
		} else if err != nil {
			return nil, nil, err
		}
		take(found.Digest)
	}
	return tagged, untagged, nil
}
