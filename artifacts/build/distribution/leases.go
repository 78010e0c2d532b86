package main

import (
	"net/url"
	"os"
	"path/filepath"
	"slices"
	"syscall"
	"time"
)

// A lease says that a repository may be pushed to. It is written before the token is handed out, while no garbage is
// being removed; whoever removes garbage first waits until no token is in the making, then leaves leased repositories
// alone, and new pushes wait until it is done. So no push ever meets a blob that is about to go.

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

// takeLeases notes a push to the first repository that has that action, and to all others of the same token: a blob may
// be mounted from one into another.
func (s settings) takeLeases(granted []access) error {
	pushes := slices.ContainsFunc(granted, func(entry access) bool { return slices.Contains(entry.Actions, "push") })
	if !pushes {
		return nil
	}
	return s.locked(syscall.LOCK_SH, func() error {
		for _, entry := range granted {
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
		name, err := url.PathUnescape(entry.Name())
		if err != nil {
			return nil, err
		}
		if info.ModTime().After(since) {
			found[name] = true
		} else if err := os.Remove(filepath.Join(s.leases(), entry.Name())); err != nil {
			return nil, err
		}
	}
	return found, nil
}
