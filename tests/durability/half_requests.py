"""Token requests of which only half is sent yet, on connections that stay open."""

import socket
import time

from support.installation import Credentials, Server

BODY = b"grant_type=client_credentials"


class HalfRequest:
    """A token request that the server has begun to read."""

    def __init__(self, server: Server, credentials: Credentials) -> None:
        port = server.installation.port
        self._connection = socket.create_connection(("127.0.0.1", port), timeout=15)
        self.port: int = self._connection.getsockname()[1]
        head = (
            "POST /token HTTP/1.1\r\nHost: localhost\r\n"
            f"Authorization: {credentials.basic['Authorization']}\r\n"
            "Content-Type: application/x-www-form-urlencoded\r\n"
            f"Content-Length: {len(BODY)}\r\n\r\n"
        )
        self._connection.sendall(head.encode() + BODY[:10])

    def finish(self) -> bytes:
        """Send the rest; the answer, and then the connection is closed."""
        self._connection.sendall(BODY[10:])
        answer = self._connection.recv(65536)
        self._connection.close()
        return answer

    def close(self) -> None:
        """Hang up in the middle."""
        self._connection.close()


def until_closed(server: Server) -> None:
    """Until the server takes no more connections: it has begun to end."""
    deadline = time.monotonic() + 10
    while time.monotonic() < deadline:
        try:
            socket.create_connection(("127.0.0.1", server.installation.port), timeout=1).close()
        except OSError:
            return
        time.sleep(0.01)
    raise AssertionError("the server did not begin to end")
