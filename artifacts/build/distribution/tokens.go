package main

import (
	"context"
	"crypto"
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"encoding/base64"
	"encoding/json"
	"errors"
	"log"
	"net"
	"net/http"
	"os"
	"path/filepath"
	"syscall"
	"time"

	"github.com/coreos/go-systemd/v22/daemon"
	"github.com/go-jose/go-jose/v4"
	"github.com/go-jose/go-jose/v4/jwt"
)

const (
	// tokenLifetime is long enough for a client to make use of a token; a longer push asks for another one.
	tokenLifetime = 5 * time.Minute
	// registryLeeway is how much longer the registry accepts a token (registry/auth/token, Leeway).
	registryLeeway = time.Minute
	// shutdownTime is how long requests that wait for the garbage collection may still take.
	shutdownTime = 10 * time.Second
)

// claims of a token beside the registered ones (distribution.github.io/distribution/spec/auth/jwt).
type claims struct {
	jwt.Claims
	Access []access `json:"access"`
}

type reply struct {
	Token       string `json:"token"`
	AccessToken string `json:"access_token"`
	ExpiresIn   int    `json:"expires_in"`
	IssuedAt    string `json:"issued_at"`
}

// tokenService answers GET requests for tokens. The settings are read anew each time: they are small, and a user who
// is taken out must not get another token.
type tokenService struct {
	signer jose.Signer
	read   func() (settings, error)
}

func serveTokens(ctx context.Context, set settings) error {
	signer, err := set.signer()
	if err != nil {
		return err
	}
	// Backups take a share in the lock, too, and find it from the first day on.
	if err := set.locked(syscall.LOCK_SH, func() error { return nil }); err != nil {
		return err
	}
	listener, err := net.Listen("tcp", set.Listen)
	if err != nil {
		return err
	}
	service := &tokenService{signer: signer, read: func() (settings, error) { return readSettings(set.file) }}
	server := &http.Server{Handler: service, ReadHeaderTimeout: 10 * time.Second}
	stopped := make(chan error, 1)
	go func() {
		<-ctx.Done()
		last, cancel := context.WithTimeout(context.Background(), shutdownTime)
		defer cancel()
		stopped <- server.Shutdown(last)
	}()
	// From here on it answers, and the registry finds the key. Elsewhere than under systemd nobody is told.
	if _, err := daemon.SdNotify(false, daemon.SdNotifyReady); err != nil {
		return err
	}
	if err := server.Serve(listener); !errors.Is(err, http.ErrServerClosed) {
		return err
	}
	return <-stopped
}

func (t *tokenService) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	if r.Method != http.MethodGet {
		// Clients that try OAuth2 first (POST) then ask in the older way.
		refuse(w, http.StatusMethodNotAllowed, "UNSUPPORTED", "ask for a token by GET")
		return
	}
	set, err := t.read()
	if err != nil {
		log.Print(err)
		refuse(w, http.StatusInternalServerError, "UNKNOWN", "the settings of the registry's users cannot be read")
		return
	}
	user, password, given := r.BasicAuth()
	if given && !set.authenticate(user, password) {
		log.Printf("%s: wrong user name or password for %q", r.Header.Get("X-Real-IP"), user)
		w.Header().Set("WWW-Authenticate", `Basic realm="registry"`)
		refuse(w, http.StatusUnauthorized, "UNAUTHORIZED", "wrong user name or password")
		return
	}
	wanted, err := parseScope(r.URL.Query()["scope"])
	if err != nil {
		refuse(w, http.StatusBadRequest, "UNSUPPORTED", err.Error())
		return
	}
	granted := set.grant(user, wanted)
	if full := set.overQuota(granted); full != "" {
		refuse(w, http.StatusForbidden, "DENIED", full)
		return
	}
	if err := set.takeLeases(granted); err != nil {
		log.Print(err)
		refuse(w, http.StatusInternalServerError, "UNKNOWN", "the push cannot be noted")
		return
	}
	t.answer(w, set, user, granted)
}

func (t *tokenService) answer(w http.ResponseWriter, set settings, user string, granted []access) {
	now := time.Now()
	token, err := jwt.Signed(t.signer).Claims(claims{
		Claims: jwt.Claims{
			Issuer:    set.Issuer,
			Subject:   user,
			Audience:  jwt.Audience{set.Service},
			IssuedAt:  jwt.NewNumericDate(now),
			NotBefore: jwt.NewNumericDate(now),
			Expiry:    jwt.NewNumericDate(now.Add(tokenLifetime)),
			ID:        rand.Text(),
		},
		Access: granted,
	}).Serialize()
	if err != nil {
		log.Print(err)
		refuse(w, http.StatusInternalServerError, "UNKNOWN", "the token cannot be signed")
		return
	}
	respond(w, http.StatusOK, reply{
		Token: token, AccessToken: token, ExpiresIn: int(tokenLifetime.Seconds()), IssuedAt: now.UTC().Format(time.RFC3339),
	})
}

// refuse says no in the registry's own form, which clients show to people.
func refuse(w http.ResponseWriter, status int, code, message string) {
	respond(w, status, map[string]any{"errors": []map[string]string{{"code": code, "message": message}}})
}

func respond(w http.ResponseWriter, status int, body any) {
	w.Header().Set("Content-Type", "application/json")
	w.WriteHeader(status)
	if err := json.NewEncoder(w).Encode(body); err != nil {
		log.Print(err) // the client has gone
	}
}

// signer makes the key at the first start, and writes its public half as the JSON Web Key Set that the registry reads.
func (s settings) signer() (jose.Signer, error) {
	if err := os.MkdirAll(s.State, 0o700); err != nil {
		return nil, err
	}
	file := filepath.Join(s.State, "key.json")
	var key jose.JSONWebKey
	err := readJSON(file, &key)
	if errors.Is(err, os.ErrNotExist) {
		key, err = newKey()
		if err == nil {
			err = writeJSON(file, key)
		}
	}
	if err == nil {
		err = writeJSON(filepath.Join(s.State, "jwks.json"), jose.JSONWebKeySet{Keys: []jose.JSONWebKey{key.Public()}})
	}
	if err != nil {
		return nil, err
	}
	signing := jose.SigningKey{Algorithm: jose.ES256, Key: key}
	return jose.NewSigner(signing, (&jose.SignerOptions{}).WithType("JWT"))
}

func newKey() (jose.JSONWebKey, error) {
	private, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		return jose.JSONWebKey{}, err
	}
	key := jose.JSONWebKey{Key: private, Algorithm: string(jose.ES256), Use: "sig"}
	thumbprint, err := key.Thumbprint(crypto.SHA256)
	key.KeyID = base64.RawURLEncoding.EncodeToString(thumbprint)
	return key, err
}

func writeJSON(file string, what any) error {
	content, err := json.Marshal(what)
	if err != nil {
		return err
	}
	return replaceFile(file, content, 0o600)
}
