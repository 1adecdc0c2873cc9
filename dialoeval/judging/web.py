"""The page for judges, and the organiser's: forms that work without JavaScript, and no name of a system in any byte.

A page holds texts, positions and an opaque token. Who said what stays in the database.
"""

from __future__ import annotations

import ipaddress
import logging
import sqlite3
import threading
import time
from collections import defaultdict, deque
from collections.abc import Awaitable, Callable, Iterable, Mapping, MutableMapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any
from urllib.parse import parse_qsl

import jinja2
from starlette.applications import Starlette
from starlette.concurrency import run_in_threadpool
from starlette.exceptions import HTTPException
from starlette.requests import ClientDisconnect, Request
from starlette.responses import HTMLResponse, RedirectResponse, Response
from starlette.routing import Route

from dialoeval.errors import UserError
from dialoeval.judging.assign import Nothing, check_gold, next_item
from dialoeval.judging.items import order_key
from dialoeval.judging.store import Assignment, Store, token_hash
from dialoeval.judging.texts import shown

_LOG = logging.getLogger(__name__)
MOST_BYTES = 64 * 1024  # of a request's body
WRONG_TOKENS = 10  # a minute and address
_PAGES = Path(__file__).with_name("pages")
_STATIC = {"style.css": "text/css", "judge.js": "text/javascript"}
_HEADERS = {
    "content-security-policy": "default-src 'none'; style-src 'self'; script-src 'self'; connect-src 'self'; "
    "img-src data:; form-action 'self'; base-uri 'none'; frame-ancestors 'none'",
    "referrer-policy": "no-referrer",
    "cache-control": "no-store",
    "x-content-type-options": "nosniff",
    "x-robots-tag": "noindex",
}
_PAIR_OPTIONS = (("a", "Reply A"), ("same", "About the same"), ("b", "Reply B"))


class _Fail(Exception):
    """A request that gets a page with an error instead of an answer."""

    def __init__(self, status: int, title: str, text: str, retry: str | None = None) -> None:
        super().__init__(text)
        self.status, self.title, self.text, self.retry = status, title, text, retry


_NO_ENTRY = (403, "This link does not open anything", "Ask the person who invited you for a new link.")
_NOT_SAVED = (
    "Could not be saved",
    "Your answers could not be saved, and nothing was lost: tell the organiser, and send them again.",
)
_NOT_SHOWN = ("This page cannot be shown now", "What you saved is safe: tell the organiser, and try again later.")


@dataclass(frozen=True)
class _Option:
    """A radio button: what is sent, the key, and its label."""

    value: str
    key: str
    label: str


@dataclass(frozen=True)
class _Question:
    """A question on the page; `chosen` is its answer so far."""

    field: str
    text: str
    options: list[_Option]
    chosen: str | None
    error: str | None


@dataclass
class _WrongTokens:
    """Counts wrong tokens an address, for a minute."""

    times: dict[str, deque[float]] = field(default_factory=lambda: defaultdict(deque))
    lock: threading.Lock = field(default_factory=threading.Lock)

    def too_many(self, address: str, wrong: bool) -> bool:
        """Note a wrong token, and return whether there were too many."""
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


class Pages:
    """The pages of one study."""

    def __init__(self, store: Store, public_url: str) -> None:
        self.store, self.study, self.url = store, store.study, public_url.rstrip("/")
        self.wrong = _WrongTokens()
        self.templates = jinja2.Environment(
            loader=jinja2.FileSystemLoader(_PAGES), autoescape=True, trim_blocks=True, lstrip_blocks=True
        )
        secret = token_hash(store.get("secret") or "")[:12]
        self.cookie, self.organiser_cookie = f"judge_{secret}", f"organiser_{secret}"

    # What judges see

    def home(self, request: Request) -> Response:
        """Show the judge's item, or thanks."""
        token = request.query_params.get("t")
        if token is not None:
            self._judge(request, token)
            return self._login(request, self.cookie, token, "/")
        judge, status = self._judge(request)
        if status == "excluded":
            return self._thanks(judge, None)
        if (edited := request.query_params.get("edit")) is not None:
            if edited != self.store.last_done(judge) or (again := self.store.assignment(edited, judge)) is None:
                return RedirectResponse("/", 303)
            return self._form(again, again.answers, editing=True, comment=self.store.comment(edited))
        found = next_item(self.store, judge)
        if isinstance(found, Nothing):
            return self._thanks(judge, found.minutes)
        return self._form(found, {})

    def answer(self, request: Request, sent: list[tuple[str, str]]) -> Response:
        """Commit the answers, then show the next item."""
        judge, _ = self._judge(request)
        values = _single(sent)
        assignment = self.store.assignment(values.pop("token", ""), judge)
        if assignment is None:
            raise _Fail(404, "This item is not there", "Go back to the start for your next item.")
        comment = values.pop("comment", "").strip() if self.study.design.comment else ""
        answers, errors = self._answers(values)
        if errors:
            editing = bool(assignment.answers)
            return self._form(assignment, answers, errors, editing=editing, comment=comment)
        self.store.record(assignment.token, judge, answers, comment)
        check_gold(self.store, judge)
        return RedirectResponse("/", 303)

    def undo(self, request: Request) -> Response:
        """Reopen the judge's last judgment."""
        judge, _ = self._judge(request)
        last = self.store.last_done(judge)
        if last is None:
            return RedirectResponse("/", 303)
        self.store.event(judge, "undo", last)
        return RedirectResponse(f"/?edit={last}", 303)

    def help(self, request: Request) -> Response:
        """Explain the page."""
        self._judge(request)
        return self._page("help.html", pairwise=self.study.pairwise)

    def _answers(self, values: Mapping[str, str]) -> tuple[dict[str, str], dict[str, str]]:
        """Return ({question: value}, {question: error}) of a form's fields."""
        answers, errors, left = {}, {}, dict(values)
        for i, question in enumerate(self.study.design.questions):
            value = left.pop(f"q{i}", None)
            if value is None:
                errors[question.name] = "Choose an answer."
            elif value not in {option.value for option in self._options(i)}:
                errors[question.name] = "Choose one of the answers."
            else:
                answers[question.name] = value
        if left:
            raise _Fail(400, "That was not understood", "The form had a field that this page does not have.")
        return answers, errors

    def _options(self, i: int) -> list[_Option]:
        points = self.study.design.questions[i].points
        pairs = [(str(point), label) for point, label in points] if points else _PAIR_OPTIONS
        return [_Option(value, str(n), label) for n, (value, label) in enumerate(pairs, 1)]

    def _form(
        self,
        assignment: Assignment,
        answers: Mapping[str, str],
        errors: Mapping[str, str] | None = None,
        editing: bool = False,
        comment: str = "",
    ) -> Response:
        """Show an item; `answers` are chosen already."""
        design, errors = self.study.design, errors or {}
        order = sorted(
            range(len(design.questions)),
            key=lambda i: order_key(design.seed, assignment.judge, design.questions[i].name),
        )
        questions = [
            _Question(
                field=f"q{i}",
                text=design.questions[i].text,
                options=self._options(i),
                chosen=answers.get(design.questions[i].name),
                error=errors.get(design.questions[i].name),
            )
            for i in order
        ]
        item = assignment.item
        replies = [(f"Reply {letter}" if assignment.right else "Reply", shown(item.replies[name], design.display))
                   for letter, name in zip("AB", (assignment.left, assignment.right), strict=True) if name]  # fmt: skip
        done = self.store.done(assignment.judge)
        return self._page(
            "judge.html",
            status=400 if errors else 200,
            turns=[(1 + i % 2, shown(turn, design.display)) for i, turn in enumerate(item.context)],
            speaker=1 + len(item.context) % 2,
            replies=replies,
            questions=questions,
            token=assignment.token,
            editing=editing,
            done=done,
            with_comment=design.comment,
            comment=comment,
        )

    def _thanks(self, judge: str, minutes: int | None) -> Response:
        return self._page("thanks.html", done=self.store.done(judge), minutes=minutes)

    # Who asks

    def _judge(self, request: Request, token: str | None = None) -> tuple[str, str]:
        """Return (judge, status) of a link's token or the cookie.

        Raises:
            _Fail: there is no such judge, the organiser stopped them, or too many wrong tokens came from the address.
        """
        opened, token = token is not None, request.cookies.get(self.cookie) if token is None else token
        found = self.store.judge_of(token) if token else None
        if found is None or opened:  # behind a tunnel all judges have one address: a cookie that is right goes on
            self._limit(request, wrong=bool(token) and found is None)
        if found is None or found[1] == "stopped":
            raise _Fail(*_NO_ENTRY, retry=None if token else _retry(request))
        return found

    def _limit(self, request: Request, wrong: bool) -> None:
        if self.wrong.too_many(request.client.host if request.client else "", wrong):
            raise _Fail(429, "Too many wrong links", "Wait a minute, then open your link again.")

    def _login(self, request: Request, cookie: str, token: str, target: str) -> Response:
        response = RedirectResponse(target, 303)
        secure = self.url.startswith("https:")
        response.set_cookie(cookie, token, 180 * 86400, path="/", secure=secure, httponly=True, samesite="strict")
        return response

    # What the organiser sees

    def organiser(self, request: Request) -> Response:
        """Show each judge's progress."""
        token = request.query_params.get("t")
        self._check_organiser(request, token)
        if token is not None:
            return self._login(request, self.organiser_cookie, token, "/organiser")
        return self._overview()

    def organise(self, request: Request, sent: list[tuple[str, str]]) -> Response:
        """Stop a judge, let one go on, add one, or make another link."""
        self._check_organiser(request, None)
        values = _single(sent)
        action, judge = values.get("action", ""), values.get("judge", "").strip()
        status = {"stop": "stopped", "resume": "active", "exclude": "excluded"}.get(action)
        if status is not None:
            if not self.store.set_status(judge, status, "by the organiser"):
                raise _Fail(404, "No such judge", "Go back and reload the page.")
            return RedirectResponse("/organiser", 303)
        try:
            if action == "add":
                token = self.store.add_judge(judge)
            elif action == "link":
                token = self.store.new_link(judge)
            else:
                raise _Fail(400, "That was not understood", "Go back and reload the page.")
        except UserError as error:
            raise _Fail(400, "That did not work", str(error)) from error
        return self._overview((judge, f"{self.url}/?t={token}"))

    def _check_organiser(self, request: Request, token: str | None) -> None:
        opened, token = token is not None, request.cookies.get(self.organiser_cookie) if token is None else token
        right = bool(token) and token_hash(token or "") == self.store.get("organiser")
        if opened or not right:
            self._limit(request, wrong=bool(token) and not right)
        if not right:
            raise _Fail(*_NO_ENTRY, retry=None if token else _retry(request))

    def _overview(self, link: tuple[str, str] | None = None) -> Response:
        judgments, finished = self.store.counts()
        total = len(self.study.judged)
        goal = total * self.study.design.judges_per_item
        judges = [
            (p, None if p.last is None else time.strftime("%Y-%m-%d %H:%M", time.localtime(p.last)))
            for p in self.store.progress()
        ]
        return self._page(
            "organiser.html", judges=judges, judgments=judgments, goal=goal, finished=finished, total=total, link=link
        )

    def _page(self, template: str, status: int = 200, **values: Any) -> Response:
        text = self.templates.get_template(template).render(title=self.study.design.title, **values)
        return HTMLResponse(text.encode("utf-8", "replace"), status)

    def message(self, status: int, title: str, text: str, again: Iterable[tuple[str, str]] | None = None) -> Response:
        """Show an error; `again` are the fields of a form that was not saved, to be sent once more."""
        fields = [(name, value) for name, value in again or () if name in ("token", "comment") or name[:1] == "q"]
        return self._page("message.html", status, heading=title, text=text, again=fields)

    def failure(self, fail: _Fail) -> Response:
        """Show why a request got no answer."""
        return self._page("message.html", fail.status, heading=fail.title, text=fail.text, retry=fail.retry)


def _retry(request: Request) -> str | None:
    """Return where a page without a cookie leads, once.

    A browser keeps a strict cookie back where a link on another site led here, even through this site's redirect; a
    step that starts on this site's own page has the cookie.
    """
    return None if request.method != "GET" or "again" in request.query_params else f"{request.url.path}?again=1"


def _single(sent: Iterable[tuple[str, str]]) -> dict[str, str]:
    """Return {field: value}.

    Raises:
        _Fail: a field has two values, or a NUL character.
    """
    values: dict[str, str] = {}
    for name, value in sent:
        if name in values or "\0" in name + value:
            raise _Fail(
                400, "That was not understood", "A field of the form came twice, or with a forbidden character."
            )
        values[name] = value
    return values


async def _body(request: Request) -> list[tuple[str, str]]:
    """Read a form.

    Raises:
        _Fail: it is too long, or not a form.
    """
    body, size = bytearray(), 0
    async for part in request.stream():  # read to its end, since many clients read no answer before they have sent all
        size += len(part)
        if size <= MOST_BYTES:
            body += part
    if size > MOST_BYTES:
        raise _Fail(413, "Too long", "That was more text than this page takes. Go back and shorten it.")
    if not body:
        return []
    kind = request.headers.get("content-type", "").partition(";")[0].strip().lower()
    if kind != "application/x-www-form-urlencoded":
        raise _Fail(400, "That was not understood", "Only the form of this page can be sent.")
    try:
        return parse_qsl(body.decode("utf-8"), keep_blank_values=True, errors="strict", max_num_fields=100)
    except ValueError as error:  # not UTF-8, or too many fields
        raise _Fail(400, "That was not understood", "The text was not UTF-8, or had too many fields.") from error


def application(store: Store, public_url: str, hosts: Iterable[str] = ()) -> Callable[..., Awaitable[None]]:
    """Return the ASGI application of a study.

    Args:
        store: its database.
        public_url: how judges reach it, for links.
        hosts: further names that the Host header may have.
    """
    pages = Pages(store, public_url)

    async def run(work: Callable[..., Response], *arguments: Any) -> Response:
        sent = arguments[1] if len(arguments) > 1 else None
        try:
            return await run_in_threadpool(work, *arguments)
        except _Fail as fail:
            return pages.failure(fail)
        except sqlite3.Error as error:
            _LOG.warning("a request got no answer: %s: %s", store.file, error)
            return pages.message(503, *(_NOT_SHOWN if sent is None else _NOT_SAVED), again=sent)

    def get(work: Callable[[Request], Response]) -> Callable[[Request], Awaitable[Response]]:
        async def endpoint(request: Request) -> Response:
            return await run(work, request)

        return endpoint

    def post(work: Callable[[Request, list[tuple[str, str]]], Response]) -> Callable[[Request], Awaitable[Response]]:
        async def endpoint(request: Request) -> Response:
            try:
                # Another port of this host is the same site to a browser, and gets the cookie sent.
                if request.headers.get("sec-fetch-site", "none") not in ("none", "same-origin"):
                    raise _Fail(*_NO_ENTRY)
                sent = await _body(request)
            except _Fail as fail:
                return pages.failure(fail)
            except ClientDisconnect:
                return Response(status_code=400)  # nobody reads it
            return await run(work, request, sent)

        return endpoint

    async def health(request: Request) -> Response:
        return Response("ok\n", media_type="text/plain")

    async def static(request: Request) -> Response:
        name = request.path_params["name"]
        if name not in _STATIC:
            raise HTTPException(404)
        return Response((_PAGES / name).read_bytes(), media_type=_STATIC[name])

    async def http_error(request: Request, error: Exception) -> Response:
        status = error.status_code if isinstance(error, HTTPException) else 500
        titles = {404: "There is no such page", 405: "That is not possible here"}
        return pages.message(status, titles.get(status, "That did not work"), "Go back to the start.")

    app = Starlette(
        routes=[
            Route("/", get(pages.home)),
            Route("/answer", post(pages.answer), methods=["POST"]),
            Route("/undo", post(lambda request, sent: pages.undo(request)), methods=["POST"]),
            Route("/help", get(pages.help)),
            Route("/organiser", get(pages.organiser), methods=["GET"]),
            Route("/organiser", post(pages.organise), methods=["POST"]),
            Route("/healthz", health),
            Route("/static/{name}", static),
        ],
        exception_handlers={HTTPException: http_error, Exception: http_error},
    )
    return _Guard(app, frozenset(host.lower() for host in hosts))


class _Guard:
    """Refuse foreign Host headers (a page that rebinds its name to this address); add headers to all answers."""

    def __init__(self, app: Any, hosts: frozenset[str]) -> None:
        self.app, self.hosts = app, hosts | {"localhost"}

    async def __call__(self, scope: MutableMapping[str, Any], receive: Any, send: Any) -> None:
        if scope["type"] != "http":
            return

        async def guarded(message: MutableMapping[str, Any]) -> None:
            if message["type"] == "http.response.start":
                ours = [(name.encode(), value.encode()) for name, value in _HEADERS.items()]
                message["headers"] = [*message.get("headers", []), *ours]
            await send(message)

        host = next((value.decode("latin-1") for name, value in scope["headers"] if name == b"host"), "")
        if not self._known(host):
            refused = Response("Unknown host name: the organiser can allow it with --allow-host.\n", 400)
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
