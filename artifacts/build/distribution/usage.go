package main

import (
	"context"
	"encoding/json"
	"maps"
	"strings"
)

// projectUsage is what a project keeps. What two projects share counts in both.
type projectUsage struct {
	Bytes        int64 `json:"bytes"`
	Repositories int   `json:"repositories"`
}

// writeUsage measures each project and writes the result where tokens for a project that is full are refused.
func writeUsage(ctx context.Context, set settings) error {
	kept, err := openStore(ctx, set)
	if err != nil {
		return err
	}
	usage, blobs := map[string]projectUsage{}, map[string]digests{}
	err = kept.repositories(ctx, func(repository string) error {
		name, _, _ := strings.Cut(repository, "/")
		referred, linked, err := kept.contents(ctx, repository)
		if err != nil {
			return err
		}
		if blobs[name] == nil {
			blobs[name] = digests{}
		}
		maps.Copy(blobs[name], referred)
		maps.Copy(blobs[name], linked)
		found := usage[name]
		found.Repositories++
		usage[name] = found
		return nil
	})
	if err != nil {
		return err
	}
	for name, found := range usage {
		for blob := range blobs[name] {
			size, _, err := kept.stat(ctx, blob)
			// A manifest may refer to what lies elsewhere, and garbage goes at any time.
			if ignoreMissing(err) != nil {
				return err
			}
			found.Bytes += size
		}
		usage[name] = found
	}
	content, err := json.Marshal(usage)
	if err != nil {
		return err
	}
	return replaceFile(set.usageFile(), append(content, '\n'), 0o644)
}
