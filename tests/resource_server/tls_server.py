"""An https server on 127.0.0.1 with a certificate that nobody knows."""

import ssl
import threading
from http.server import BaseHTTPRequestHandler, HTTPServer
from pathlib import Path
from types import TracebackType
from typing import Self

from local_issuer import document

from support.certificate import write_certificate


class TlsServer:
    """Answers every GET with `body` as JSON; `certificate` is the file to trust."""

    def __init__(self, folder: Path) -> None:
        self.body: object = []
        self.certificate = folder / "certificate.pem"
        tls = self

        class Handler(BaseHTTPRequestHandler):
            def do_GET(self) -> None:
                document(tls.body)(self)

            def log_message(self, *_: object) -> None:
                """Says nothing."""

        key_file = write_certificate(self.certificate)
        context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
        context.load_cert_chain(self.certificate, key_file)
        self._server = HTTPServer(("127.0.0.1", 0), Handler)
        self._server.socket = context.wrap_socket(self._server.socket, server_side=True)
        self._thread = threading.Thread(target=self._server.serve_forever, args=(0.01,))
        self.url = f"https://127.0.0.1:{self._server.server_port}"

    def __enter__(self) -> Self:
        self._thread.start()
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self._server.shutdown()
        self._server.server_close()
        self._thread.join()
