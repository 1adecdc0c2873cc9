"""The address of a server, and its start and end."""

from __future__ import annotations

import contextlib
import errno
import signal
import socket
from collections.abc import Iterator
from types import FrameType
from typing import Any

from dialoeval.errors import UserError

DEFAULT_PORT = 8765
_PORTS = 50  # tried, from the one asked for
LOOPBACK = ("127.0.0.1", "localhost", "::1")
PLAIN_HTTP = (
    "this is plain HTTP, which others on the network can read; a tunnel or a proxy with HTTPS in front of 127.0.0.1 is "
    "the way out (--public-url, --allow-host)"
)


def bind(host: str, port: int) -> socket.socket:
    """Listen on the port, or the next free one; 0: any.

    Raises:
        UserError: there is none, or the host is none of this machine.
    """
    if not host.strip():
        raise UserError("--host must not be empty: 127.0.0.1 is this machine, 0.0.0.0 all its addresses")
    family = socket.AF_INET6 if ":" in host else socket.AF_INET
    reason = "no free port"
    for candidate in range(port, min(port + _PORTS, 65536)) if port else [0]:
        listening = socket.socket(family, socket.SOCK_STREAM)
        listening.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            listening.bind((host, candidate))
            listening.listen(128)
        except (OSError, UnicodeError) as error:  # of a name that is no host name
            listening.close()
            reason = getattr(error, "strerror", None) or str(error)
            if getattr(error, "errno", None) != errno.EADDRINUSE:
                break
            continue
        return listening
    raise UserError(f"cannot listen on {host} port {port}: {reason}")


def address(host: str, listening: socket.socket) -> str:
    """Return the URL of what listens."""
    port = listening.getsockname()[1]
    if host in ("0.0.0.0", "::"):
        host = socket.gethostname()
    return f"http://[{host}]:{port}" if ":" in host else f"http://{host}:{port}"


def host_of(url: str) -> str:
    """Return the host name of a public address.

    Raises:
        UserError: it is no address of a whole site.
    """
    from urllib.parse import urlsplit

    try:
        parts = urlsplit(url)
        host, _ = parts.hostname, parts.port
    except ValueError:
        host = None
    if not host or parts.scheme not in ("http", "https") or url != f"{parts.scheme}://{parts.netloc}":
        raise UserError(f"--public-url must be like https://judge.example, without a path, not {url!r}")
    return host


def run(application: Any, listening: socket.socket) -> None:
    """Serve an ASGI application until Ctrl-C or SIGTERM, and finish the requests in hand."""
    import uvicorn

    config = uvicorn.Config(
        application, log_level="warning", access_log=False, server_header=False, lifespan="off", http="h11", ws="none",
        proxy_headers=False, timeout_graceful_shutdown=10,
    )  # fmt: skip
    with _quiet_signals():
        uvicorn.Server(config).run(sockets=[listening])


@contextlib.contextmanager
def _quiet_signals() -> Iterator[None]:
    """Let uvicorn finish requests on Ctrl-C and SIGTERM, which it raises again afterwards, and go on behind it."""

    def ignore(number: int, frame: FrameType | None) -> None:
        pass

    before: dict[int, Any] = {number: signal.signal(number, ignore) for number in (signal.SIGINT, signal.SIGTERM)}
    try:
        yield
    finally:
        for number, handler in before.items():
            signal.signal(number, handler)
