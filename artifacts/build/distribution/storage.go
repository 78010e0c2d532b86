package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"maps"
	"os"
	"time"

	"github.com/distribution/distribution/v3"
	"github.com/distribution/distribution/v3/configuration"
	"github.com/distribution/distribution/v3/registry/storage"
	"github.com/distribution/distribution/v3/registry/storage/driver"
	"github.com/distribution/distribution/v3/registry/storage/driver/factory"
	_ "github.com/distribution/distribution/v3/registry/storage/driver/filesystem"
	_ "github.com/distribution/distribution/v3/registry/storage/driver/s3-aws"
	"github.com/distribution/reference"
	"github.com/opencontainers/go-digest"
	"github.com/sirupsen/logrus"
)

// store is what the registry keeps, seen through its own library: a file system or an object store.
type store struct {
	distribution.Namespace
	driver driver.StorageDriver
}

type digests map[digest.Digest]bool

func openStore(ctx context.Context, set settings) (*store, error) {
	// The library reports each file that it removes; what was removed is said once, at the end.
	logrus.SetOutput(io.Discard)
	file, err := os.Open(set.Registry)
	if err != nil {
		return nil, err
	}
	defer file.Close()
	config, err := configuration.Parse(file)
	if err != nil {
		return nil, fmt.Errorf("%s: %w", set.Registry, err)
	}
	opened, err := factory.Create(ctx, config.Storage.Type(), config.Storage.Parameters())
	if err != nil {
		return nil, err
	}
	namespace, err := storage.NewRegistry(ctx, opened)
	return &store{namespace, opened}, err
}

// repositories calls a function for each repository; an empty registry has none.
func (s *store) repositories(ctx context.Context, do func(name string) error) error {
	return ignoreMissing(s.Namespace.(distribution.RepositoryEnumerator).Enumerate(ctx, do))
}

// contents are the digests that the manifests of a repository refer to, the manifests themselves among them, and the
// digests of the layers that it may hand out, referred to or not.
func (s *store) contents(ctx context.Context, name string) (referred, linked digests, err error) {
	repository, err := s.repository(ctx, name)
	if err != nil {
		return nil, nil, err
	}
	found, err := manifests(ctx, repository)
	if err != nil {
		return nil, nil, err
	}
	linked, err = layers(ctx, repository)
	return found.all(), linked, err
}

func (s *store) repository(ctx context.Context, name string) (distribution.Repository, error) {
	named, err := reference.WithName(name)
	if err != nil {
		return nil, err
	}
	return s.Repository(ctx, named)
}

// references are manifests, each with the digests that it refers to.
type references map[digest.Digest]digests

// all are the manifests themselves and what they refer to.
func (r references) all() digests {
	found := digests{}
	for manifest, parts := range r {
		found[manifest] = true
		maps.Copy(found, parts)
	}
	return found
}

// manifests reads all manifests of a repository.
func manifests(ctx context.Context, repository distribution.Repository) (references, error) {
	service, err := repository.Manifests(ctx)
	if err != nil {
		return nil, err
	}
	all := references{}
	err = service.(distribution.ManifestEnumerator).Enumerate(ctx, func(found digest.Digest) error {
		manifest, err := service.Get(ctx, found)
		if errors.As(err, &distribution.ErrManifestUnknownRevision{}) {
			return nil // deleted since it was listed
		} else if err != nil {
			return fmt.Errorf("manifest %s@%s: %w", repository.Named().Name(), found, err)
		}
		all[found] = digests{}
		for _, part := range manifest.References() {
			all[found][part.Digest] = true
		}
		return nil
	})
	// Nothing was ever pushed to the end.
	return all, ignoreMissing(err)
}

func layers(ctx context.Context, repository distribution.Repository) (digests, error) {
	linked := digests{}
	err := repository.Blobs(ctx).(distribution.BlobEnumerator).Enumerate(ctx, func(found digest.Digest) error {
		linked[found] = true
		return nil
	})
	return linked, ignoreMissing(err)
}

// linkedIn tells whether any of these repositories has a blob, as a layer or as a manifest.
func (s *store) linkedIn(ctx context.Context, names map[string]bool, blob digest.Digest) (bool, error) {
	for name := range names {
		for _, kind := range []string{"_layers", "_manifests/revisions"} {
			folder := "/docker/registry/v2/repositories/" + name + "/" + kind
			path := fmt.Sprintf("%s/%s/%s/link", folder, blob.Algorithm(), blob.Encoded())
			if _, err := s.driver.Stat(ctx, path); err == nil {
				return true, nil
			} else if !isMissing(err) {
				return false, err
			}
		}
	}
	return false, nil
}

// blobs lists all that is kept.
func (s *store) blobs(ctx context.Context) (digests, error) {
	found := digests{}
	err := s.Blobs().Enumerate(ctx, func(blob digest.Digest) error {
		found[blob] = true
		return nil
	})
	return found, ignoreMissing(err)
}

// stat says how large a blob is and when it was uploaded.
func (s *store) stat(ctx context.Context, blob digest.Digest) (size int64, modified time.Time, err error) {
	hex := blob.Encoded()
	path := fmt.Sprintf("/docker/registry/v2/blobs/%s/%s/%s/data", blob.Algorithm(), hex[:2], hex)
	info, err := s.driver.Stat(ctx, path)
	if err != nil {
		return 0, time.Time{}, err
	}
	return info.Size(), info.ModTime(), nil
}

func isMissing(err error) bool {
	var missing driver.PathNotFoundError
	return errors.As(err, &missing)
}

func ignoreMissing(err error) error {
	if isMissing(err) {
		return nil
	}
	return err
}
