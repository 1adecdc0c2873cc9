"""Serving a study to judges: one process a study, until Ctrl-C."""

from __future__ import annotations

import contextlib
import json
import logging
import os
import sqlite3
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass

from dialoeval.errors import UserError, nearest
from dialoeval.files import write_json
from dialoeval.judging.items import Study
from dialoeval.judging.store import Store, check_name, failure
from dialoeval.serving.server import DEFAULT_PORT, address, bind, host_of, run

_LOG = logging.getLogger(__name__)


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
    """What the organiser is shown once: the links of new judges and of the organiser's page.

    Attributes:
        known: how many judges there are.
        wanted: how many an item asks for.
    """

    url: str
    judges: dict[str, str]
    organiser: str
    known: int
    wanted: int


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
        import uvicorn  # noqa: F401 - asked for before the study is opened

        from dialoeval.judging.web import application
    except ImportError as error:
        raise UserError(
            f"the page for judges needs starlette and uvicorn ({error}): pip install 'dialoeval[judge]'"
        ) from error
    public_host = [] if serving.public_url is None else [host_of(serving.public_url)]
    for remark in study.check_sources():
        _LOG.warning("%s", remark)
    with (
        _only_one(study) as note,
        contextlib.closing(Store(study)) as store,
        bind(serving.host, serving.port) as listening,
    ):
        url = serving.public_url or address(serving.host, listening)
        try:
            store.open_study()
            links = _links(store, serving, url)
            store.event(None, "start", url)
        except sqlite3.Error as error:
            raise failure(store.file, error) from error
        note(url)
        announce(links)
        run(application(store, url, [*serving.hosts, serving.host, *public_host]), listening)
        with contextlib.suppress(sqlite3.Error):  # every answer is saved already
            store.event(None, "stop")


def _links(store: Store, serving: Serving, url: str) -> Links:
    """Add the judges asked for; at the first start, as many as judge an item.

    All names are checked first: a link is shown once, so that none may be made in a command that then fails.
    """
    known = {progress.judge for progress in store.progress()}
    for name in serving.new_links:
        if name not in known:
            raise UserError(f"there is no judge {name!r}{nearest(name, known)}")
    wanted = list(dict.fromkeys(serving.judges))
    if not wanted and not known:
        wanted = [f"judge{i + 1}" for i in range(store.study.design.judges_per_item)]
    for name in wanted:
        check_name(name)
    links = {name: f"{url}/?t={store.new_link(name)}" for name in dict.fromkeys(serving.new_links)}
    for name in wanted:
        if name not in known:  # the same command again, after a crash, is no mistake
            links[name] = f"{url}/?t={store.add_judge(name)}"
    organiser = f"{url}/organiser?t={store.new_organiser()}"
    return Links(url, links, organiser, len(known | links.keys()), store.study.design.judges_per_item)


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
