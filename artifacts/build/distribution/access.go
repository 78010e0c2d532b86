package main

import (
	"crypto/sha256"
	"crypto/subtle"
	"encoding/hex"
	"fmt"
	"slices"
	"strings"

	"github.com/distribution/reference"
)

// access is one entry of a scope and of a token: what may be done with what.
type access struct {
	Type    string   `json:"type"`
	Name    string   `json:"name"`
	Actions []string `json:"actions"`
}

// authenticate tells whether the password is the user's.
func (s settings) authenticate(user, password string) bool {
	sum := sha256.Sum256([]byte(password))
	wanted, known := s.Users[user]
	same := subtle.ConstantTimeCompare([]byte(hex.EncodeToString(sum[:])), []byte(wanted)) == 1
	return known && same
}

// parseScope reads the scopes of a request, such as "repository:shop/web:pull,push". A name may contain colons.
func parseScope(scopes []string) ([]access, error) {
	var wanted []access
	for _, scope := range strings.Fields(strings.Join(scopes, " ")) {
		kind, rest, found := strings.Cut(scope, ":")
		last := strings.LastIndex(rest, ":")
		if !found || last < 1 {
			return nil, fmt.Errorf("%q is not a scope: type:name:actions", scope)
		}
		name := rest[:last]
		// The registry has no others either, and names become those of files.
		if _, err := reference.WithName(name); kind == "repository" && err != nil {
			return nil, fmt.Errorf("%q is not a repository's name: %w", name, err)
		}
		wanted = append(wanted, access{Type: kind, Name: name, Actions: strings.Split(rest[last+1:], ",")})
	}
	return wanted, nil
}

// grant reduces what is wanted to what the user may do; nobody ("") may pull from public projects. Entries stay, even
// with no action left, as the specification of tokens has it.
func (s settings) grant(user string, wanted []access) []access {
	granted := []access{}
	for _, entry := range wanted {
		allowed := s.allowed(user, entry)
		entry.Actions = slices.DeleteFunc(slices.Clone(entry.Actions), func(action string) bool {
			return !slices.Contains(allowed, action)
		})
		granted = append(granted, entry)
	}
	return granted
}

func (s settings) allowed(user string, entry access) []string {
	administrator := slices.Contains(s.Administrators, user)
	switch {
	case entry.Type == "registry" && administrator:
		return []string{"*"}
	case entry.Type != "repository":
		return nil
	}
	name, _, inside := strings.Cut(entry.Name, "/")
	found, known := s.Projects[name]
	switch {
	case !inside:
		return nil
	// Also where the project is not known any more: what it has left is to be removed.
	case administrator:
		return []string{"pull", "push", "delete"}
	case !known:
		return nil
	case slices.Contains(found.Push, user):
		return []string{"pull", "push", "delete"}
	case found.Public || slices.Contains(found.Pull, user):
		return []string{"pull"}
	}
	return nil
}

// overQuota names the first project that is full and that is to be pushed to; "" if there is none.
func (s settings) overQuota(granted []access) string {
	for _, entry := range granted {
		name, _, _ := strings.Cut(entry.Name, "/")
		found := s.Projects[name]
		limit := int64(found.Quota * (1 << 30))
		if limit > 0 && found.kept.Bytes >= limit && slices.Contains(entry.Actions, "push") {
			return fmt.Sprintf("project %s keeps %s of %g GiB: delete tags that are not needed, and by their digests "+
				"manifests that no tag leads to (%d, with %s GiB of their own); or have its quota raised",
				name, gibibytes(found.kept.Bytes), found.Quota, found.kept.Untagged, gibibytes(found.kept.UntaggedBytes))
		}
	}
	return ""
}

func gibibytes(bytes int64) string { return fmt.Sprintf("%.1f", float64(bytes)/(1<<30)) }
