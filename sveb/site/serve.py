"""A local web server for the built site."""

from __future__ import annotations

import errno
from collections.abc import Callable
from functools import partial
from http.server import SimpleHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

from sveb.common.errors import SvebError


class _Quiet(SimpleHTTPRequestHandler):
    def log_message(self, format: str, *args: object) -> None:
        """A line a request would push the address off the terminal."""


def serve(folder: Path, port: int = 8000, say: Callable[[str], object] = print) -> None:
    """Serves `folder` on 127.0.0.1 until Ctrl-C; port 0 takes a free one. `say` gets the address."""
    if not (folder / "index.html").is_file():
        raise SvebError(f"{folder} contains no index.html: build the site first with `sveb leaderboard build`")
    try:
        server = ThreadingHTTPServer(("127.0.0.1", port), partial(_Quiet, directory=str(folder)))
    except OverflowError:
        raise SvebError(f"{port} is not a port: expected 0 to 65535") from None
    except OSError as error:
        if error.errno == errno.EADDRINUSE:
            raise SvebError(f"port {port} is in use: choose another with --port, or 0 for any free one") from None
        if error.errno == errno.EACCES:
            raise SvebError(f"port {port} is not open to this user: choose one above 1023 with --port") from None
        raise
    with server:
        say(f"leaderboard at http://127.0.0.1:{server.server_address[1]}/ (Ctrl-C ends)")
        try:
            server.serve_forever()
        except KeyboardInterrupt:
            say("ended")
