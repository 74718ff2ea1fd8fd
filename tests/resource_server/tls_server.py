"""An https server on 127.0.0.1 with a certificate that nobody knows."""

import ssl
from http.server import BaseHTTPRequestHandler
from pathlib import Path

from local_issuer import document

from support.certificate import write_certificate
from support.local_server import LocalServer


class TlsServer(LocalServer):
    """Answers every GET with `body` as JSON; `certificate` is the file to trust."""

    def __init__(self, folder: Path) -> None:
        self.body: object = []
        self.certificate = folder / "certificate.pem"
        outer = self

        class Handler(BaseHTTPRequestHandler):
            def do_GET(self) -> None:
                document(outer.body)(self)

            def log_message(self, *_: object) -> None:
                """Says nothing."""

        key_file = write_certificate(self.certificate)
        context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
        context.load_cert_chain(self.certificate, key_file)
        super().__init__(Handler, tls=context)
