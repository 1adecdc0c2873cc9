"""What the pages share: headers, the check of the host, tokens and wrong ones, forms, errors as pages."""

from __future__ import annotations

import ipaddress
import threading
import time
from collections import defaultdict, deque
from collections.abc import Awaitable, Callable, Iterable, Mapping, MutableMapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any
from urllib.parse import parse_qsl

import jinja2
from starlette.concurrency import run_in_threadpool
from starlette.exceptions import HTTPException
from starlette.requests import ClientDisconnect, Request
from starlette.responses import RedirectResponse, Response

MOST_BYTES = 64 * 1024  # of a request's body
WRONG_TOKENS = 10  # a minute and address
_PAGES = Path(__file__).with_name("pages")
_HEADERS = {
    "content-security-policy": "default-src 'none'; style-src 'self'; script-src 'self'; connect-src 'self'; "
    "img-src data:; form-action 'self'; base-uri 'none'; frame-ancestors 'none'",
    "referrer-policy": "no-referrer",
    "cache-control": "no-store",
    "x-content-type-options": "nosniff",
    "x-robots-tag": "noindex",
}
_TITLES = {404: "There is no such page", 405: "That is not possible here"}

Sent = list[tuple[str, str]]  # the fields of a form, in order


class Fail(Exception):
    """A request that gets a page with an error instead of an answer.

    Args:
        status: of HTTP.
        title: what went wrong.
        text: what to do.
        again: where the page leads by itself, if that may help.
    """

    def __init__(self, status: int, title: str, text: str, again: str | None = None) -> None:
        super().__init__(text)
        self.status, self.title, self.text, self.again = status, title, text, again


def templates(pages: Path) -> jinja2.Environment:
    """Return the templates of a folder and the shared ones."""
    loader = jinja2.FileSystemLoader([pages, _PAGES])
    return jinja2.Environment(loader=loader, autoescape=True, trim_blocks=True, lstrip_blocks=True)


class WrongTokens:
    """Counts wrong tokens an address, for a minute."""

    def __init__(self) -> None:
        self.times: dict[str, deque[float]] = defaultdict(deque)
        self.lock = threading.Lock()

    def check(self, request: Request, wrong: bool) -> None:
        """Note a wrong token.

        Raises:
            Fail: there were too many.
        """
        if self._too_many(request.client.host if request.client else "", wrong):
            raise Fail(429, "Too many wrong links", "Wait a minute, then open your link again.")

    def _too_many(self, address: str, wrong: bool) -> bool:
        now = time.monotonic()
        with self.lock:
            if len(self.times) > 10_000:
                self.times.clear()
            times = self.times[address]
            while times and times[0] < now - 60:
                times.popleft()
            if len(times) >= WRONG_TOKENS:
                return True
            if wrong:
                times.append(now)
            return False


def login(cookie: str, token: str, target: str, url: str) -> Response:
    """Return the answer to a link: the token goes from the address into a cookie.

    Args:
        cookie: its name.
        token: its value.
        target: path that is opened then.
        url: how the server is reached.
    """
    response = RedirectResponse(target, 303)
    secure = url.startswith("https:")
    response.set_cookie(cookie, token, 180 * 86400, path="/", secure=secure, httponly=True, samesite="strict")
    return response


def again(request: Request) -> str | None:
    """Return where a page without a cookie leads, once.

    A browser keeps a strict cookie back where a link on another site led here, even through this site's redirect; a
    step that starts on this site's own page has the cookie.
    """
    return None if request.method != "GET" or "again" in request.query_params else f"{request.url.path}?again=1"


def single(sent: Iterable[tuple[str, str]]) -> dict[str, str]:
    """Return {field: value}.

    Raises:
        Fail: a field has two values, or a NUL character.
    """
    values: dict[str, str] = {}
    for name, value in sent:
        if name in values or "\0" in name + value:
            raise Fail(400, "That was not understood", "A field of the form came twice, or with a forbidden character.")
        values[name] = value
    return values


async def body(request: Request) -> Sent:
    """Read a form.

    Raises:
        Fail: it is too long, or not a form.
    """
    content, size = bytearray(), 0
    async for part in request.stream():  # read to its end, since many clients read no answer before they have sent all
        size += len(part)
        if size <= MOST_BYTES:
            content += part
    if size > MOST_BYTES:
        raise Fail(413, "Too long", "That was more text than this page takes. Go back and shorten it.")
    if not content:
        return []
    kind = request.headers.get("content-type", "").partition(";")[0].strip().lower()
    if kind != "application/x-www-form-urlencoded":
        raise Fail(400, "That was not understood", "Only the form of this page can be sent.")
    try:
        return parse_qsl(content.decode("utf-8"), keep_blank_values=True, errors="strict", max_num_fields=100)
    except ValueError as error:  # not UTF-8, or too many fields
        raise Fail(400, "That was not understood", "The text was not UTF-8, or had too many fields.") from error


Endpoint = Callable[[Request], Awaitable[Response]]


@dataclass(frozen=True)
class Endpoints:
    """Makes endpoints whose work runs in a thread, and whose failures are pages.

    Attributes:
        failure: makes a page of a failure.
        no_entry: what a form that comes from elsewhere gets.
    """

    failure: Callable[[Fail], Response]
    no_entry: tuple[int, str, str]
    static: Mapping[str, tuple[Path, str]] = field(default_factory=dict)

    def get(self, work: Callable[[Request], Response]) -> Endpoint:
        """Return the endpoint of a page."""

        async def endpoint(request: Request) -> Response:
            return await self._run(work, request)

        return endpoint

    def post(self, work: Callable[[Request, Sent], Response]) -> Endpoint:
        """Return the endpoint of a form."""

        async def endpoint(request: Request) -> Response:
            try:
                # Another port of this host is the same site to a browser, and gets the cookie sent.
                if request.headers.get("sec-fetch-site", "none") not in ("none", "same-origin"):
                    raise Fail(*self.no_entry)
                sent = await body(request)
            except Fail as fail:
                return self.failure(fail)
            except ClientDisconnect:
                return Response(status_code=400)  # nobody reads it
            return await self._run(work, request, sent)

        return endpoint

    async def file(self, request: Request) -> Response:
        """Send a style sheet or script."""
        name = request.path_params["name"]
        if name not in self.static:
            raise HTTPException(404)
        path, kind = self.static[name]
        return Response(path.read_bytes(), media_type=kind)

    async def error(self, request: Request, error: Exception) -> Response:
        """Return the page of an error of HTTP."""
        status = error.status_code if isinstance(error, HTTPException) else 500
        return self.failure(Fail(status, _TITLES.get(status, "That did not work"), "Go back to the start."))

    async def _run(self, work: Callable[..., Response], *arguments: Any) -> Response:
        try:
            return await run_in_threadpool(work, *arguments)
        except Fail as fail:
            return self.failure(fail)


def static(pages: Path, *scripts: str) -> dict[str, tuple[Path, str]]:
    """Return {name: (file, media type)} of the shared style sheet and of a folder's own files."""
    kinds = {".css": "text/css", ".js": "text/javascript"}
    files = [_PAGES / "style.css", *(pages / name for name in scripts)]
    return {file.name: (file, kinds[file.suffix]) for file in files}


class Guard:
    """Refuse foreign Host headers (a page that rebinds its name to this address); add headers to all answers."""

    def __init__(self, app: Any, hosts: Iterable[str]) -> None:
        self.app, self.hosts = app, {"localhost", *(host.lower() for host in hosts)}

    async def __call__(self, scope: MutableMapping[str, Any], receive: Any, send: Any) -> None:
        """Answer a request of ASGI."""
        if scope["type"] != "http":
            return

        async def guarded(message: MutableMapping[str, Any]) -> None:
            if message["type"] == "http.response.start":
                ours = [(name.encode(), value.encode()) for name, value in _HEADERS.items()]
                message["headers"] = [*message.get("headers", []), *ours]
            await send(message)

        host = next((value.decode("latin-1") for name, value in scope["headers"] if name == b"host"), "")
        if not self._known(host):
            refused = Response("Unknown host name: whoever serves this page can allow it with --allow-host.\n", 400)
            await refused(scope, receive, guarded)
            return
        await self.app(scope, receive, guarded)

    def _known(self, host: str) -> bool:
        name = host[1:].partition("]")[0] if host.startswith("[") else host.partition(":")[0]
        try:
            ipaddress.ip_address(name)
        except ValueError:
            return name.lower() in self.hosts
        return True
