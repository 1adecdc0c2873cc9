"""Serving a study to judges: one process a study, until Ctrl-C."""

from __future__ import annotations

import contextlib
import json
import os
import signal
import socket
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from types import FrameType
from typing import Any

from dialoeval.errors import UserError
from dialoeval.files import write_json
from dialoeval.judging.items import Study
from dialoeval.judging.store import Store

DEFAULT_PORT = 8765
_PORTS = 50  # tried, from the one asked for


@dataclass(frozen=True)
class Serving:
    """How a study is served.

    Attributes:
        judges: names of judges to add.
        new_links: judges who get another link.
        hosts: names that the Host header may have, besides addresses and localhost.
        public_url: how judges reach the server, if not by its own address.
    """

    host: str = "127.0.0.1"
    port: int = DEFAULT_PORT
    judges: Sequence[str] = ()
    new_links: Sequence[str] = ()
    hosts: Sequence[str] = ()
    public_url: str | None = None


@dataclass(frozen=True)
class Links:
    """What the organiser is shown once: the links of new judges and of the organiser's page."""

    url: str
    judges: dict[str, str]
    organiser: str
    known: int


def serve(study: Study, serving: Serving, announce: Callable[[Links], None]) -> None:
    """Serve until Ctrl-C or SIGTERM.

    Args:
        study: the folder.
        serving: address and judges.
        announce: called with the links as soon as the port is bound.

    Raises:
        UserError: the packages are not installed, another process serves the study, or its files have changed.
    """
    try:
        import uvicorn

        from dialoeval.judging.web import application
    except ImportError as error:
        raise UserError(
            f"the page for judges needs starlette and uvicorn ({error}): pip install 'dialoeval[judge]'"
        ) from error
    study.check_sources()
    with _only_one(study) as note, contextlib.closing(Store(study)) as store:
        store.open_study()
        listening = _bind(serving.host, serving.port)
        with contextlib.closing(listening):
            url = serving.public_url or _url(serving.host, listening.getsockname()[1])
            note(url)
            announce(_links(store, serving, url))
            hosts = [*serving.hosts, serving.host, *([_host_of(serving.public_url)] if serving.public_url else [])]
            app = application(store, url, hosts)
            config = uvicorn.Config(
                app, log_level="warning", access_log=False, server_header=False, lifespan="off", http="h11", ws="none",
                proxy_headers=False, timeout_graceful_shutdown=10,
            )  # fmt: skip
            store.event(None, "start", url)
            with _quiet_signals():
                uvicorn.Server(config).run(sockets=[listening])
            store.event(None, "stop")


def _links(store: Store, serving: Serving, url: str) -> Links:
    """Add the judges asked for; at the first start, as many as judge an item."""
    links = {name: f"{url}/?t={store.new_link(name)}" for name in serving.new_links}
    known = {progress.judge for progress in store.progress()}
    wanted = list(serving.judges)
    if not wanted and not known:
        wanted = [f"judge{i + 1}" for i in range(store.study.design.judges_per_item)]
    for name in wanted:
        if name not in known:  # the same command again, after a crash, is no mistake
            links[name] = f"{url}/?t={store.add_judge(name)}"
    organiser = f"{url}/organiser?t={store.new_organiser()}"
    return Links(url, links, organiser, len(known | links.keys()))


@contextlib.contextmanager
def _only_one(study: Study) -> Iterator[Callable[[str], None]]:
    """Hold the study; yields what notes the address for others who try."""
    from filelock import FileLock, Timeout

    lock, who = FileLock(study.path / ".serve.lock"), study.path / ".serve.json"
    try:
        lock.acquire(timeout=0)
    except Timeout as error:
        try:
            other = json.loads(who.read_text("utf-8"))
            where = f"process {other['pid']} serves it at {other['url']}"
        except (OSError, ValueError, KeyError, TypeError):
            where = "another process serves it"
        raise UserError(f"{study.path} is being served already: {where}") from error
    except (OSError, NotImplementedError) as error:
        raise UserError(f"cannot use the study folder {study.path}: {error}") from error
    try:
        yield lambda url: write_json(who, {"pid": os.getpid(), "url": url})
    finally:
        who.unlink(missing_ok=True)
        lock.release()


def _bind(host: str, port: int) -> socket.socket:
    """Listen on the port, or the next free one."""
    family = socket.AF_INET6 if ":" in host else socket.AF_INET
    reason: OSError | None = None
    for candidate in range(port, min(port + _PORTS, 65536)) if port else [0]:
        listening = socket.socket(family, socket.SOCK_STREAM)
        listening.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            listening.bind((host, candidate))
            listening.listen(128)
        except OSError as error:
            listening.close()
            reason = error
            continue
        return listening
    raise UserError(f"cannot listen on {host} port {port}: {reason.strerror if reason else 'no free port'}")


def _url(host: str, port: int) -> str:
    if host in ("0.0.0.0", "::"):
        host = socket.gethostname()
    return f"http://[{host}]:{port}" if ":" in host else f"http://{host}:{port}"


def _host_of(url: str) -> str:
    from urllib.parse import urlsplit

    return urlsplit(url).hostname or ""


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
