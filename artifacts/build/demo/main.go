// Demo is a web server that says which replica answered: as a page for people, as JSON for programs.
package main

import (
	"context"
	_ "embed"
	"encoding/json"
	"errors"
	"html/template"
	"log/slog"
	"net"
	"net/http"
	"os"
	"os/signal"
	"strings"
	"sync/atomic"
	"syscall"
	"time"
)

// version is set by the linker.
var version = "unknown"

//go:embed page.html
var page string

// identity is what the pod's environment says about this replica.
type identity struct {
	Title     string `json:"title"`
	Pod       string `json:"pod"`
	Namespace string `json:"namespace,omitempty"`
	Node      string `json:"node"`
	Address   string `json:"address,omitempty"`
	Version   string `json:"version"`
}

// answer is the identity together with what is known about one request.
type answer struct {
	identity
	Client   string    `json:"client"`
	Requests uint64    `json:"requests"`
	Started  time.Time `json:"started"`
	Time     time.Time `json:"time"`
}

type server struct {
	identity identity
	page     *template.Template
	started  time.Time
	requests atomic.Uint64
	stopping atomic.Bool
}

func main() {
	log := slog.New(slog.NewJSONHandler(os.Stdout, nil))
	if err := run(log); err != nil {
		log.Error("stopped", "error", err)
		os.Exit(1)
	}
}

func run(log *slog.Logger) error {
	drain, err := time.ParseDuration(env("DRAIN", "5s"))
	if err != nil {
		return err
	}
	tmpl, err := template.New("page").Parse(page)
	if err != nil {
		return err
	}
	host, err := os.Hostname()
	if err != nil {
		return err
	}
	s := &server{
		identity: identity{
			Title:     env("APP_TITLE", "Dougong"),
			Pod:       env("POD_NAME", host),
			Namespace: env("POD_NAMESPACE", ""),
			Node:      env("NODE_NAME", "unknown"),
			Address:   env("POD_IP", ""),
			Version:   env("APP_VERSION", version),
		},
		page:    tmpl,
		started: time.Now().UTC(),
	}
	mux := http.NewServeMux()
	mux.HandleFunc("GET /{$}", s.root)
	mux.HandleFunc("GET /healthz", s.health)
	listener := &http.Server{Addr: env("LISTEN", ":8080"), Handler: mux, ReadHeaderTimeout: 5 * time.Second}

	ctx, stop := signal.NotifyContext(context.Background(), syscall.SIGTERM, syscall.SIGINT)
	defer stop()
	failed := make(chan error, 1)
	go func() { failed <- listener.ListenAndServe() }()
	log.Info("listening", "address", listener.Addr, "pod", s.identity.Pod, "node", s.identity.Node)
	select {
	case err := <-failed:
		return err
	case <-ctx.Done():
	}
	// Load balancers need a moment to see that this replica goes: fail the health check, but answer until then.
	log.Info("stopping", "drain", drain.String())
	s.stopping.Store(true)
	time.Sleep(drain)
	grace, cancel := context.WithTimeout(context.Background(), 10*time.Second)
	defer cancel()
	if err := listener.Shutdown(grace); err != nil && !errors.Is(err, http.ErrServerClosed) {
		return err
	}
	return nil
}

func (s *server) root(w http.ResponseWriter, r *http.Request) {
	now := answer{
		identity: s.identity,
		Client:   client(r),
		Requests: s.requests.Add(1),
		Started:  s.started,
		Time:     time.Now().UTC(),
	}
	w.Header().Set("Cache-Control", "no-store")
	w.Header().Set("X-Served-By", s.identity.Pod)
	if strings.Contains(r.Header.Get("Accept"), "text/html") {
		w.Header().Set("Content-Type", "text/html; charset=utf-8")
		if err := s.page.Execute(w, now); err != nil {
			slog.Error("page", "error", err)
		}
		return
	}
	w.Header().Set("Content-Type", "application/json")
	encoder := json.NewEncoder(w)
	encoder.SetIndent("", "  ")
	if err := encoder.Encode(now); err != nil {
		slog.Error("answer", "error", err)
	}
}

func (s *server) health(w http.ResponseWriter, _ *http.Request) {
	if s.stopping.Load() {
		http.Error(w, "stopping", http.StatusServiceUnavailable)
		return
	}
	w.Write([]byte("ok\n"))
}

// client is the address of the nearest peer, or the one a proxy in front names.
func client(r *http.Request) string {
	if forwarded := r.Header.Get("X-Forwarded-For"); forwarded != "" {
		return strings.TrimSpace(strings.Split(forwarded, ",")[0])
	}
	host, _, err := net.SplitHostPort(r.RemoteAddr)
	if err != nil {
		return r.RemoteAddr
	}
	return host
}

func env(name, fallback string) string {
	if value := os.Getenv(name); value != "" {
		return value
	}
	return fallback
}
