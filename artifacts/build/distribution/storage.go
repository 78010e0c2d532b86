package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"time"

	"github.com/distribution/distribution/v3"
	"github.com/distribution/distribution/v3/configuration"
	"github.com/distribution/distribution/v3/registry/storage"
	"github.com/distribution/distribution/v3/registry/storage/driver"
	_ "github.com/distribution/distribution/v3/registry/storage/driver/azure"
	"github.com/distribution/distribution/v3/registry/storage/driver/factory"
	_ "github.com/distribution/distribution/v3/registry/storage/driver/filesystem"
	_ "github.com/distribution/distribution/v3/registry/storage/driver/gcs"
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
	referred, linked = digests{}, digests{}
	named, err := reference.WithName(name)
	if err != nil {
		return nil, nil, err
	}
	repository, err := s.Repository(ctx, named)
	if err != nil {
		return nil, nil, err
	}
	manifests, err := repository.Manifests(ctx)
	if err != nil {
		return nil, nil, err
	}
	err = manifests.(distribution.ManifestEnumerator).Enumerate(ctx, func(found digest.Digest) error {
		manifest, err := manifests.Get(ctx, found)
		if errors.As(err, &distribution.ErrManifestUnknownRevision{}) {
			return nil // deleted since it was listed
		} else if err != nil {
			return fmt.Errorf("manifest %s@%s: %w", name, found, err)
		}
		referred[found] = true
		for _, part := range manifest.References() {
			referred[part.Digest] = true
		}
		return nil
	})
	// Nothing was ever pushed to the end.
	if err = ignoreMissing(err); err != nil {
		return nil, nil, err
	}
	err = repository.Blobs(ctx).(distribution.BlobEnumerator).Enumerate(ctx, func(found digest.Digest) error {
		linked[found] = true
		return nil
	})
	return referred, linked, ignoreMissing(err)
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
