// csi-node-registrar stands beside a CSI driver on a node: it tells the kubelet of the driver, and answers probes of
// its health. Upstream's node-driver-registrar and livenessprobe do the same, but are not published as Go modules.
package main

import (
	"context"
	"errors"
	"flag"
	"fmt"
	"log"
	"net"
	"net/http"
	"os"
	"path/filepath"
	"time"

	"github.com/container-storage-interface/spec/lib/go/csi"
	"google.golang.org/grpc"
	"google.golang.org/grpc/credentials/insecure"
	registration "k8s.io/kubelet/pkg/apis/pluginregistration/v1"
)

// The kubelet asks for the versions of CSI that the driver speaks; all of 1.x are compatible.
const csiVersion = "1.0.0"

const (
	startTimeout = time.Minute
	probeTimeout = 3 * time.Second
)

// registrar answers the kubelet's plugin watcher, which has found our socket in its folder.
type registrar struct {
	registration.UnimplementedRegistrationServer
	driver   string
	endpoint string
	refused  chan<- error
}

func (r *registrar) GetInfo(context.Context, *registration.InfoRequest) (*registration.PluginInfo, error) {
	return &registration.PluginInfo{
		Type:              registration.CSIPlugin,
		Name:              r.driver,
		Endpoint:          r.endpoint,
		SupportedVersions: []string{csiVersion},
	}, nil
}

// A refusal ends the program: the container is started again, and the kubelet sees a new socket and asks again.
func (r *registrar) NotifyRegistrationStatus(
	_ context.Context, status *registration.RegistrationStatus,
) (*registration.RegistrationStatusResponse, error) {
	if status.PluginRegistered {
		log.Printf("the kubelet has registered %s", r.driver)
	} else {
		r.refused <- fmt.Errorf("the kubelet refuses %s: %s", r.driver, status.Error)
	}
	return &registration.RegistrationStatusResponse{}, nil
}

// healthy answers 200 when the driver says that it is ready.
func healthy(driver csi.IdentityClient) http.HandlerFunc {
	return func(response http.ResponseWriter, request *http.Request) {
		ctx, cancel := context.WithTimeout(request.Context(), probeTimeout)
		defer cancel()
		answer, err := driver.Probe(ctx, &csi.ProbeRequest{})
		if err == nil && answer.Ready != nil && !answer.Ready.Value {
			err = errors.New("the driver is not ready")
		}
		if err != nil {
			http.Error(response, err.Error(), http.StatusServiceUnavailable)
			return
		}
		fmt.Fprintln(response, "ok")
	}
}

func run() error {
	socket := flag.String("csi-address", "/csi/csi.sock", "the driver's socket")
	endpoint := flag.String("kubelet-registration-path", "", "the driver's socket as the kubelet sees it")
	folder := flag.String("plugin-registration-path", "/registration", "the folder that the kubelet watches")
	health := flag.String("http-endpoint", "", "where to answer /healthz, e.g. :9808")
	flag.Parse()
	if *endpoint == "" {
		return errors.New("--kubelet-registration-path is required")
	}

	connection, err := grpc.NewClient("unix://"+*socket, grpc.WithTransportCredentials(insecure.NewCredentials()))
	if err != nil {
		return fmt.Errorf("%s: %w", *socket, err)
	}
	defer connection.Close()
	driver := csi.NewIdentityClient(connection)
	ctx, cancel := context.WithTimeout(context.Background(), startTimeout)
	defer cancel()
	info, err := driver.GetPluginInfo(ctx, &csi.GetPluginInfoRequest{}, grpc.WaitForReady(true))
	if err != nil {
		return fmt.Errorf("the driver at %s does not say its name: %w", *socket, err)
	}

	failed := make(chan error, 1)
	ours := filepath.Join(*folder, info.Name+"-reg.sock")
	// One that a killed predecessor left behind.
	if err := os.Remove(ours); err != nil && !errors.Is(err, os.ErrNotExist) {
		return err
	}
	listener, err := net.Listen("unix", ours)
	if err != nil {
		return err
	}
	server := grpc.NewServer()
	registration.RegisterRegistrationServer(
		server, &registrar{driver: info.Name, endpoint: *endpoint, refused: failed},
	)
	go func() { failed <- server.Serve(listener) }()
	if *health != "" {
		http.Handle("/healthz", healthy(driver))
		go func() { failed <- http.ListenAndServe(*health, nil) }()
	}
	return <-failed
}

func main() {
	if err := run(); err != nil {
		log.Fatal(err)
	}
}
