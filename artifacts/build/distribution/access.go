package main

import (
	"crypto/sha256"
	"crypto/subtle"
	"encoding/hex"
	"fmt"
	"slices"
	"strings"
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
		wanted = append(wanted, access{Type: kind, Name: rest[:last], Actions: strings.Split(rest[last+1:], ",")})
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
	case !inside || !known:
		return nil
	case administrator || slices.Contains(found.Push, user):
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
		if limit > 0 && found.bytes >= limit && slices.Contains(entry.Actions, "push") {
			return fmt.Sprintf("project %s keeps %.1f of %g GiB: delete tags that are not needed, or have its quota raised",
				name, float64(found.bytes)/(1<<30), found.Quota)
		}
	}
	return ""
}
