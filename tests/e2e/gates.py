"""A user's own check behind a gate of cluster.yaml: an HTTP server on loopback that answers always the same."""

from __future__ import annotations

import threading
from collections.abc import Iterator
from contextlib import contextmanager
from http import HTTPStatus
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

from pieces import Cluster


@contextmanager
def a_gate(cluster: Cluster, name: str, answer: int) -> Iterator[None]:
    """The gate is in cluster.yaml while this lasts, with somebody behind it who gives that status."""
    server = ThreadingHTTPServer(("127.0.0.1", 0), _answering(answer))
    serving = threading.Thread(target=server.serve_forever, daemon=True)
    serving.start()
    file = cluster.folder / "cluster.yaml"
    url = f"http://127.0.0.1:{server.server_port}/"
    line = f'  gates: [{{name: {name}, http: {{url: "{url}", status: 200}}, timeout: 5s}}]\n'
    file.write_text(file.read_text() + line)
    try:
        yield
    finally:
        file.write_text(file.read_text().replace(line, ""))
        server.shutdown()
        serving.join()
        server.server_close()


def _answering(status: int) -> type[BaseHTTPRequestHandler]:
    class Answering(BaseHTTPRequestHandler):
        """Gives one status to everything."""

        def do_GET(self) -> None:
            self.send_response(status, HTTPStatus(status).phrase)
            self.send_header("content-length", "0")
            self.end_headers()

        def log_message(self, format: str, *args: object) -> None:
            """Told by the gate."""

    return Answering
