package main

import (
	"context"
	"encoding/json"
	"fmt"
	"maps"
	"slices"
	"strings"

	"github.com/opencontainers/go-digest"
)

// projectUsage is what a project keeps. What two projects share counts in both.
type projectUsage struct {
	Bytes        int64 `json:"bytes"`
	Repositories int   `json:"repositories"`
	// Untagged manifests are those that no tag leads to; UntaggedBytes are theirs and of what only they refer to.
	Untagged      int   `json:"untagged"`
	UntaggedBytes int64 `json:"untagged_bytes"`
}

// projectBlobs are a project's blobs: all, those of tagged manifests, and those of untagged ones.
type projectBlobs struct{ all, tagged, untagged digests }

// writeUsage measures each project and writes the result where tokens for a project that is full are refused; and which
// manifests no tag leads to, a line for each, as the name by which it can be removed.
func writeUsage(ctx context.Context, set settings) error {
	kept, err := openStore(ctx, set)
	if err != nil {
		return err
	}
	usage, blobs := map[string]projectUsage{}, map[string]projectBlobs{}
	var names []string
	err = kept.repositories(ctx, func(name string) error {
		project, _, _ := strings.Cut(name, "/")
		if blobs[project].all == nil {
			blobs[project] = projectBlobs{digests{}, digests{}, digests{}}
		}
		untagged, err := kept.addTo(ctx, blobs[project], name)
		if err != nil {
			return err
		}
		for _, manifest := range untagged {
			names = append(names, fmt.Sprintf("%s@%s\n", name, manifest))
		}
		found := usage[project]
		found.Repositories++
		found.Untagged += len(untagged)
		usage[project] = found
		return nil
	})
	if err != nil {
		return err
	}
	for name, found := range usage {
		for blob := range blobs[name].all {
			size, _, err := kept.stat(ctx, blob)
			// A manifest may refer to what lies elsewhere, and garbage goes at any time.
			if ignoreMissing(err) != nil {
				return err
			}
			found.Bytes += size
			if blobs[name].untagged[blob] && !blobs[name].tagged[blob] {
				found.UntaggedBytes += size
			}
		}
		usage[name] = found
	}
	if err := replaceFile(set.untaggedFile(), []byte(strings.Join(names, "")), 0o644); err != nil {
		return err
	}
	content, err := json.Marshal(usage)
	if err != nil {
		return err
	}
	return replaceFile(set.usageFile(), append(content, '\n'), 0o644)
}

// addTo adds a repository's blobs to those of its project, and returns its untagged manifests.
func (s *store) addTo(ctx context.Context, project projectBlobs, name string) ([]digest.Digest, error) {
	repository, err := s.repository(ctx, name)
	if err != nil {
		return nil, err
	}
	all, err := manifests(ctx, repository)
	if err != nil {
		return nil, err
	}
	linked, err := layers(ctx, repository)
	if err != nil {
		return nil, err
	}
	tagged, untagged, err := split(ctx, repository, all)
	if err != nil {
		return nil, err
	}
	maps.Copy(project.all, all.all())
	maps.Copy(project.all, linked)
	maps.Copy(project.tagged, tagged.all())
	maps.Copy(project.untagged, untagged.all())
	return slices.Sorted(maps.Keys(untagged)), nil
}
