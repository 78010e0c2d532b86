"""An API server that knows one pod, as far as whoever looks for a pod's labels asks it."""

import json
import ssl
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from threading import Event
from urllib.parse import parse_qs

CONTAINER = "c" * 64
POD = {
    "metadata": {
        "name": "web-7d4b9c5f6d-x2x4z",
        "namespace": "shop",
        "uid": "0b2a4c9e-0000-4000-8000-000000000001",
        "resourceVersion": "1",
        "labels": {"app.kubernetes.io/name": "web", "tier": "front"},
    },
    "spec": {"nodeName": "molecule-logging", "containers": [{"name": "nginx-main", "image": "nginx:1"}]},
    "status": {
        "phase": "Running",
        "podIP": "10.79.0.7",
        "containerStatuses": [
            {"name": "nginx-main", "image": "nginx:1", "imageID": "", "containerID": f"containerd://{CONTAINER}"}
        ],
    },
}


NODE = {"metadata": {"name": "molecule-logging", "resourceVersion": "1"}}
NAMESPACE = {"metadata": {"name": "shop", "resourceVersion": "1"}}


class Handler(BaseHTTPRequestHandler):
    def do_GET(self) -> None:
        path, _, query = self.path.partition("?")
        selector = parse_qs(query).get("fieldSelector", [""])[0]
        match path, selector:
            case "/version", _:
                self.answer({"major": "1", "minor": "36", "gitVersion": "v1.36.3"})
            # As the node authorizer lets a kubelet: what is its own.
            case "/api/v1/pods", "spec.nodeName=molecule-logging":
                self.list("PodList", POD)
            case "/api/v1/nodes", "metadata.name=molecule-logging":
                self.list("NodeList", NODE)
            # And by the rights that role filebeat adds.
            case "/api/v1/namespaces", _:
                self.list("NamespaceList", NAMESPACE)
            case _:
                self.send_error(403)

    def list(self, kind: str, item: dict[str, object]) -> None:
        self.answer({"kind": kind, "apiVersion": "v1", "metadata": {"resourceVersion": "1"}, "items": [item]})

    def answer(self, content: dict[str, object]) -> None:
        watch = "watch=true" in self.path
        body = b"" if watch else json.dumps(content).encode()
        self.send_response(200)
        self.send_header("Content-Type", "application/json")
        if not watch:
            self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)
        if watch:
            Event().wait()  # nothing ever happens to the pod


server = ThreadingHTTPServer(("127.0.0.1", 6443), Handler)
tls = ssl.create_default_context(ssl.Purpose.CLIENT_AUTH, cafile="/etc/kubernetes/pki/ca.crt")
tls.verify_mode = ssl.CERT_REQUIRED
tls.load_cert_chain("/var/lib/kubelet/pki/kubelet-client-current.pem")
server.socket = tls.wrap_socket(server.socket, server_side=True)
server.serve_forever()
