"""A server between a program and MLflow that can be slow, silent, broken, or die midway."""

import http.server
import threading
import time
import urllib.error
import urllib.request
from collections.abc import Callable
from typing import Self


class Proxy:
    """A context manager: an HTTP server on a free port of this machine.

    Args:
        target: the address of the server behind it; "" where there is none.

    Attributes:
        mode: `pass` hands requests on; `500` and `page` answer nonsense; `silent` never answers;
            `slow` waits a second before each answer.
        dies_after: after so many requests it answers none any more.
        asked: the number of requests.
    """

    def __init__(self, target: str = "", mode: str = "pass") -> None:
        self.target, self.mode = target, mode
        self.asked, self.dies_after = 0, 10**9
        self._over = threading.Event()
        proxy = self

        class Handler(http.server.BaseHTTPRequestHandler):
            def log_message(self, *arguments: object) -> None:
                """Nothing is printed."""

            def handle_any(self) -> None:
                proxy.asked += 1
                if proxy.asked > proxy.dies_after:
                    self.close_connection = True
                    return
                body = self.rfile.read(int(self.headers.get("Content-Length") or 0))
                status, answer = proxy.answer(self.command, self.path, dict(self.headers), body)
                try:
                    self.send_response(status)
                    self.send_header("Content-Type", "application/json")
                    self.send_header("Content-Length", str(len(answer)))
                    self.end_headers()
                    self.wfile.write(answer)
                except OSError:
                    pass

            do_GET = do_POST = do_PUT = do_PATCH = do_DELETE = handle_any  # noqa: N815

        self._server = http.server.ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        self._server.daemon_threads = True
        self._server.block_on_close = False
        self.address = f"http://127.0.0.1:{self._server.server_port}"

    def answer(
        self, method: str, path: str, headers: dict[str, str], body: bytes
    ) -> tuple[int, bytes]:
        """The answer to a request, which may take as long as the mode says."""
        modes: dict[str, Callable[[], tuple[int, bytes]]] = {
            "500": lambda: (500, b'{"error_code": "INTERNAL_ERROR"}'),
            "page": lambda: (200, b"<html>somebody else</html>"),
        }
        if self.mode == "silent":
            self._over.wait()
        if self.mode == "slow":
            time.sleep(1.0)
        if self.mode in modes:
            return modes[self.mode]()
        request = urllib.request.Request(self.target + path, body or None, headers, method=method)
        try:
            with urllib.request.urlopen(request, timeout=60) as found:
                return found.status, found.read()
        except urllib.error.HTTPError as error:
            return error.code, error.read()

    def __enter__(self) -> Self:
        threading.Thread(target=self._server.serve_forever, daemon=True).start()
        return self

    def __exit__(self, *arguments: object) -> None:
        self._over.set()
        self._server.shutdown()
        self._server.server_close()
