package main

import (
	"context"
	"fmt"
	"maps"
	"syscall"
	"time"

	"github.com/distribution/distribution/v3/registry/storage"
	"github.com/opencontainers/go-digest"
)

// collect removes blobs that no manifest refers to, and the links of repositories to them. Unlike the registry's own
// garbage-collect it needs no pause: it looks at everything first, which takes long; then, with the lock on leases, it
// looks once more at what is being pushed to, keeps all of that, and removes the rest.
func collect(ctx context.Context, set settings) error {
	kept, err := openStore(ctx, set)
	if err != nil {
		return err
	}
	started := time.Now()
	all, err := kept.blobs(ctx)
	if err != nil {
		return err
	}
	needed, links := digests{}, map[string]digests{}
	err = kept.repositories(ctx, func(name string) error {
		referred, linked, err := kept.contents(ctx, name)
		maps.Copy(needed, referred)
		links[name] = linked
		return err
	})
	if err != nil {
		return err
	}
	garbage := digests{}
	for blob := range all {
		if needed[blob] {
			continue
		}
		_, uploaded, err := kept.stat(ctx, blob)
		if isMissing(err) {
			continue
		} else if err != nil {
			return err
		}
		if started.Sub(uploaded) >= set.grace() {
			garbage[blob] = true
		}
	}
	return set.locked(syscall.LOCK_EX, func() error {
		return kept.sweep(ctx, set, started, garbage, links)
	})
}

// sweep removes garbage but for what a repository has that is being pushed to, or was since the look at everything began.
func (s *store) sweep(
	ctx context.Context, set settings, looked time.Time, garbage digests, links map[string]digests,
) error {
	begun := time.Now()
	busy, err := set.leased(looked.Add(-set.lease()))
	if err != nil {
		return err
	}
	for name := range busy {
		referred, linked, err := s.contents(ctx, name)
		if err != nil {
			return err
		}
		for _, present := range []digests{referred, linked} {
			maps.DeleteFunc(garbage, func(blob digest.Digest, _ bool) bool { return present[blob] })
		}
	}
	vacuum := storage.NewVacuum(ctx, s.driver)
	// Links first: a repository must not offer what is not there.
	for name, linked := range links {
		for blob := range linked {
			if garbage[blob] && !busy[name] {
				if err := ignoreMissing(vacuum.RemoveLayer(name, blob)); err != nil {
					return err
				}
			}
		}
	}
	var freed int64
	removed := 0
	for blob := range garbage {
		// Pushes with a token from before the lock go on, and may have found it since.
		wanted, err := s.linkedIn(ctx, busy, blob)
		if err != nil {
			return err
		}
		if wanted {
			continue
		}
		size, _, err := s.stat(ctx, blob)
		if err == nil {
			err = vacuum.RemoveBlob(blob.String())
		}
		if ignoreMissing(err) != nil {
			return err
		}
		freed += size
		removed++
	}
	fmt.Printf("%d blobs, %d bytes removed; %d repositories were being pushed to; new pushes waited %v at most\n",
		removed, freed, len(busy), time.Since(begun).Round(time.Millisecond))
	return nil
}
