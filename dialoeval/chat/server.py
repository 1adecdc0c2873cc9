"""Serving a chat to a browser, until Ctrl-C."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass

from dialoeval.chat.talk import Talk
from dialoeval.errors import UserError
from dialoeval.serving.server import DEFAULT_PORT, address, bind, host_of, run


@dataclass(frozen=True)
class Serving:
    """How a chat is served.

    Attributes:
        hosts: names that the Host header may have, besides addresses and localhost.
        public_url: how the server is reached, if not by its own address.
    """

    host: str = "127.0.0.1"
    port: int = DEFAULT_PORT
    hosts: Sequence[str] = ()
    public_url: str | None = None


def serve(talk: Talk, serving: Serving, announce: Callable[[str], None]) -> None:
    """Serve until Ctrl-C or SIGTERM.

    Args:
        talk: the chat.
        serving: its address.
        announce: called with the link as soon as the port is bound.

    Raises:
        UserError: the packages are not installed, or there is no free port.
    """
    try:
        import uvicorn  # noqa: F401 - asked for before the port is bound

        from dialoeval.chat.web import Pages, application
    except ImportError as error:
        raise UserError(f"chat --web needs starlette and uvicorn ({error}): pip install 'dialoeval[judge]'") from error
    public_host = [] if serving.public_url is None else [host_of(serving.public_url)]
    with bind(serving.host, serving.port) as listening:
        url = serving.public_url or address(serving.host, listening)
        pages = Pages(talk, url)
        announce(f"{url}/?t={pages.token}")
        run(application(pages, [*serving.hosts, serving.host, *public_host]), listening)
