"""The page for judges, and the organiser's: forms that work without JavaScript, and no name of a system in any byte.

A page holds texts, positions and an opaque token. Who said what stays in the database.
"""

from __future__ import annotations

import logging
import sqlite3
import time
from collections.abc import Awaitable, Callable, Iterable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from starlette.applications import Starlette
from starlette.exceptions import HTTPException
from starlette.requests import Request
from starlette.responses import HTMLResponse, RedirectResponse, Response
from starlette.routing import Route

from dialoeval.errors import UserError
from dialoeval.judging.assign import Nothing, check_gold, next_item
from dialoeval.judging.items import order_key
from dialoeval.judging.store import Assignment, Store, token_hash
from dialoeval.judging.texts import shown
from dialoeval.serving.web import (
    Endpoint,
    Endpoints,
    Fail,
    Guard,
    Sent,
    WrongTokens,
    again,
    login,
    single,
    static,
    templates,
)

_LOG = logging.getLogger(__name__)
_PAGES = Path(__file__).with_name("pages")
_PAIR_OPTIONS = (("a", "Reply A"), ("same", "About the same"), ("b", "Reply B"))


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


class Pages:
    """The pages of one study."""

    def __init__(self, store: Store, public_url: str) -> None:
        self.store, self.study, self.url = store, store.study, public_url.rstrip("/")
        self.wrong = WrongTokens()
        self.templates = templates(_PAGES)
        secret = token_hash(store.get("secret") or "")[:12]
        self.cookie, self.organiser_cookie = f"judge_{secret}", f"organiser_{secret}"

    # What judges see

    def home(self, request: Request) -> Response:
        """Show the judge's item, or thanks."""
        token = request.query_params.get("t")
        if token is not None:
            self._judge(request, token)
            return login(self.cookie, token, "/", self.url)
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

    def answer(self, request: Request, sent: Sent) -> Response:
        """Commit the answers, then show the next item."""
        judge, _ = self._judge(request)
        values = single(sent)
        assignment = self.store.assignment(values.pop("token", ""), judge)
        if assignment is None:
            raise Fail(404, "This item is not there", "Go back to the start for your next item.")
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
            raise Fail(400, "That was not understood", "The form had a field that this page does not have.")
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
            Fail: there is no such judge, the organiser stopped them, or too many wrong tokens came from the address.
        """
        opened, token = token is not None, request.cookies.get(self.cookie) if token is None else token
        found = self.store.judge_of(token) if token else None
        if found is None or opened:  # behind a tunnel all judges have one address: a cookie that is right goes on
            self.wrong.check(request, wrong=bool(token) and found is None)
        if found is None or found[1] == "stopped":
            raise Fail(*_NO_ENTRY, None if token else again(request))
        return found

    # What the organiser sees

    def organiser(self, request: Request) -> Response:
        """Show each judge's progress."""
        token = request.query_params.get("t")
        self._check_organiser(request, token)
        if token is not None:
            return login(self.organiser_cookie, token, "/organiser", self.url)
        return self._overview()

    def organise(self, request: Request, sent: Sent) -> Response:
        """Stop a judge, let one go on, add one, or make another link."""
        self._check_organiser(request, None)
        values = single(sent)
        action, judge = values.get("action", ""), values.get("judge", "").strip()
        status = {"stop": "stopped", "resume": "active", "exclude": "excluded"}.get(action)
        if status is not None:
            if not self.store.set_status(judge, status, "by the organiser"):
                raise Fail(404, "No such judge", "Go back and reload the page.")
            return RedirectResponse("/organiser", 303)
        try:
            if action == "add":
                token = self.store.add_judge(judge)
            elif action == "link":
                token = self.store.new_link(judge)
            else:
                raise Fail(400, "That was not understood", "Go back and reload the page.")
        except UserError as error:
            raise Fail(400, "That did not work", str(error)) from error
        return self._overview((judge, f"{self.url}/?t={token}"))

    def _check_organiser(self, request: Request, token: str | None) -> None:
        opened, token = token is not None, request.cookies.get(self.organiser_cookie) if token is None else token
        right = bool(token) and token_hash(token or "") == self.store.get("organiser")
        if opened or not right:
            self.wrong.check(request, wrong=bool(token) and not right)
        if not right:
            raise Fail(*_NO_ENTRY, None if token else again(request))

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

    def failure(self, fail: Fail) -> Response:
        """Show why a request got no answer."""
        return self._page("message.html", fail.status, heading=fail.title, text=fail.text, retry=fail.again)


def application(store: Store, public_url: str, hosts: Iterable[str] = ()) -> Callable[..., Awaitable[None]]:
    """Return the ASGI application of a study.

    Args:
        store: its database.
        public_url: how judges reach it, for links.
        hosts: further names that the Host header may have.
    """
    pages = Pages(store, public_url)
    make = Endpoints(pages.failure, _NO_ENTRY, static(_PAGES, "judge.js"))

    def safe(work: Callable[..., Response]) -> Callable[..., Response]:
        """Return work that says so if the database fails."""

        def safely(request: Request, *sent: Sent) -> Response:
            try:
                return work(request, *sent)
            except sqlite3.Error as error:
                _LOG.warning("a request got no answer: %s: %s", store.file, error)
                return pages.message(503, *(_NOT_SAVED if sent else _NOT_SHOWN), again=sent[0] if sent else None)

        return safely

    def get(work: Callable[[Request], Response]) -> Endpoint:
        return make.get(safe(work))

    def post(work: Callable[[Request, Sent], Response]) -> Endpoint:
        return make.post(safe(work))

    async def health(request: Request) -> Response:
        return Response("ok\n", media_type="text/plain")

    app = Starlette(
        routes=[
            Route("/", get(pages.home)),
            Route("/answer", post(pages.answer), methods=["POST"]),
            Route("/undo", post(lambda request, sent: pages.undo(request)), methods=["POST"]),
            Route("/help", get(pages.help)),
            Route("/organiser", get(pages.organiser), methods=["GET"]),
            Route("/organiser", post(pages.organise), methods=["POST"]),
            Route("/healthz", health),
            Route("/static/{name}", make.file),
        ],
        exception_handlers={HTTPException: make.error, Exception: make.error},
    )
    return Guard(app, hosts)
