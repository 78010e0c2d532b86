package main

import (
	"encoding/json"
	"fmt"
	"os"
	"path/filepath"
	"time"
)

// settings is the file that all commands are given.
type settings struct {
	// Listen is the address at which tokens are handed out, as host:port.
	Listen string `json:"listen"`
	// Issuer and Service are what the registry's auth.token says of itself.
	Issuer  string `json:"issuer"`
	Service string `json:"service"`
	// State is a folder for the signing key, for the leases of pushes and for the usage.
	State string `json:"state"`
	// Registry is the registry's own configuration file: where it keeps its data.
	Registry string `json:"registry"`
	// GraceHours is how long an upload may be without a manifest that refers to it.
	GraceHours float64 `json:"grace_hours"`
	// LeaseMinutes is how long after a token for a push the garbage of its repositories is left alone. Longer than a
	// token is valid, with the registry's leeway.
	LeaseMinutes float64 `json:"lease_minutes"`
	// Users: name → SHA-256 of the password. The platform makes the passwords, of 32 random characters; a slow hash,
	// which makes up for passwords that people think of, would only make each token cost a second.
	Users map[string]string `json:"users"`
	// Administrators may do everything, and list what there is.
	Administrators []string `json:"administrators"`
	// Projects by name, which is the first part of a repository's name.
	Projects map[string]project `json:"projects"`

	// file that this was read from.
	file string
}

type project struct {
	Push []string `json:"push"`
	Pull []string `json:"pull"`
	// Public projects may be pulled by everybody, without a password.
	Public bool `json:"public"`
	// Quota in GiB; 0 for none.
	Quota float64 `json:"quota"`

	// kept is what the last `usage` found.
	kept projectUsage
}

func (s settings) grace() time.Duration { return time.Duration(s.GraceHours * float64(time.Hour)) }
func (s settings) lease() time.Duration { return time.Duration(s.LeaseMinutes * float64(time.Minute)) }

func (s settings) usageFile() string    { return filepath.Join(s.State, "usage.json") }
func (s settings) untaggedFile() string { return filepath.Join(s.State, "untagged") }

// readSettings reads the file, and what is known of the projects' sizes.
func readSettings(file string) (settings, error) {
	set := settings{file: file}
	if err := readJSON(file, &set); err != nil {
		return set, err
	}
	if set.lease() <= tokenLifetime+registryLeeway {
		return set, fmt.Errorf("%s: lease_minutes must be longer than a token is valid, %v", file, tokenLifetime+registryLeeway)
	}
	sizes := map[string]projectUsage{}
	if err := readJSON(set.usageFile(), &sizes); err != nil && !os.IsNotExist(err) {
		return set, err
	}
	for name, found := range set.Projects {
		found.kept = sizes[name]
		set.Projects[name] = found
	}
	return set, nil
}

func readJSON(file string, into any) error {
	content, err := os.ReadFile(file)
	if err != nil {
		return err
	}
	if err := json.Unmarshal(content, into); err != nil {
		return fmt.Errorf("%s: %w", file, err)
	}
	return nil
}

// replaceFile writes a file that is never seen half-written.
func replaceFile(file string, content []byte, mode os.FileMode) error {
	next := file + ".new"
	if err := os.WriteFile(next, content, mode); err != nil {
		return err
	}
	return os.Rename(next, file)
}
