package main

import (
	"log"
	"net/url"
	"os"
	"path/filepath"
	"slices"
	"syscall"
	"time"

	"github.com/distribution/reference"
)

// A lease says that a repository may be pushed to. It is written before the token is handed out, while no garbage is
// being removed; whoever removes garbage first waits until no token is in the making, then leaves leased repositories
// alone, and new pushes wait until it is done. Pushes with a token from before go on, and may want garbage that their
// repository did not have yet: so each blob is looked for once more in leased repositories just before it goes. Two
// things are left. The registry finds a blob, then links it, and the blob may go in the instant between. And the end of
// an upload in a single request that has outlasted its lease is not looked for. Such a push fails (BLOB_UNKNOWN), and
// succeeds when it is tried again.

const leaseLock = ".lock"

func (s settings) leases() string { return filepath.Join(s.State, "leases") }

// locked runs a function with the lock on leases: syscall.LOCK_SH for those who write, LOCK_EX for who removes garbage.
func (s settings) locked(how int, do func() error) error {
	if err := os.MkdirAll(s.leases(), 0o700); err != nil {
		return err
	}
	lock, err := os.OpenFile(filepath.Join(s.leases(), leaseLock), os.O_CREATE|os.O_RDWR, 0o600)
	if err != nil {
		return err
	}
	defer lock.Close()
	if err := syscall.Flock(int(lock.Fd()), how); err != nil {
		return err
	}
	return do()
}

// takeLeases notes which repositories may be pushed to. One that blobs are only mounted from is none of them, or
// whoever may pull from it could keep its garbage for ever: what is mounted is linked in the repository pushed to.
func (s settings) takeLeases(granted []access) error {
	pushes := slices.DeleteFunc(slices.Clone(granted), func(entry access) bool {
		return entry.Type != "repository" || !slices.Contains(entry.Actions, "push")
	})
	if len(pushes) == 0 {
		return nil
	}
	return s.locked(syscall.LOCK_SH, func() error {
		for _, entry := range pushes {
			if err := os.WriteFile(filepath.Join(s.leases(), url.PathEscape(entry.Name)), nil, 0o600); err != nil {
				return err
			}
		}
		return nil
	})
}

// leased lists repositories with a lease from a moment on, and forgets the older ones. The lock is the caller's.
func (s settings) leased(since time.Time) (map[string]bool, error) {
	entries, err := os.ReadDir(s.leases())
	if err != nil {
		return nil, err
	}
	found := map[string]bool{}
	for _, entry := range entries {
		if entry.Name() == leaseLock {
			continue
		}
		info, err := entry.Info()
		if err != nil {
			return nil, err
		}
		if !info.ModTime().After(since) {
			if err := os.Remove(filepath.Join(s.leases(), entry.Name())); err != nil {
				return nil, err
			}
			continue
		}
		name, err := url.PathUnescape(entry.Name())
		if err == nil {
			_, err = reference.WithName(name)
		}
		if err != nil {
			// Nothing can be pushed to what is no repository.
			log.Printf("lease %q is passed over: %v", entry.Name(), err)
			continue
		}
		found[name] = true
	}
	return found, nil
}
