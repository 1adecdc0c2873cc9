"""The page of a chat: forms that work without JavaScript, over the same `Talk` as the terminal's.

All that changes the conversation goes through one lock, and every form carries the revision that it was made for: of
two tabs, the one that is behind is shown the conversation as it is, and keeps what was typed.
"""

from __future__ import annotations

import hmac
import secrets
import threading
from collections.abc import Awaitable, Callable, Iterable
from dataclasses import dataclass
from pathlib import Path

from starlette.applications import Starlette
from starlette.exceptions import HTTPException
from starlette.requests import Request
from starlette.responses import HTMLResponse, PlainTextResponse, RedirectResponse, Response
from starlette.routing import Route

from dialoeval.chat.session import ASSISTANT, Turn
from dialoeval.chat.talk import Talk, Why
from dialoeval.errors import UserError
from dialoeval.files import sha256_json
from dialoeval.serving.web import (
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

_PAGES = Path(__file__).with_name("pages")
_NO_ENTRY = (403, "This link does not open anything", "Take the link that the command has printed.")
_BEHIND = "The conversation has gone on elsewhere, perhaps in another tab. This is how it is now; nothing was added."


@dataclass(frozen=True)
class _Said:
    """A turn on the page, and what made it."""

    turn: Turn
    why: Why | None

    @property
    def model(self) -> bool:
        """Whether the turn is the assistant's."""
        return self.turn.role == ASSISTANT


class Pages:
    """The page of one chat.

    Attributes:
        token: what the link opens the page with.
        revision: how often the conversation has changed.
        so_far: the text so far of the reply that is being made; None if none is.
    """

    def __init__(self, talk: Talk, public_url: str) -> None:
        self.talk, self.url = talk, public_url
        self.token = secrets.token_urlsafe(16)
        self.cookie = f"chat_{sha256_json(self.token)[:12]}"
        self.wrong = WrongTokens()
        self.lock = threading.Lock()
        self.revision = 0
        self.so_far: str | None = None
        self.templates = templates(_PAGES)

    def home(self, request: Request) -> Response:
        """Show the conversation."""
        token = request.query_params.get("t")
        self._check(request, token)
        return self._page() if token is None else login(self.cookie, token, "/", self.url)

    def heard(self, request: Request) -> Response:
        """Tell the text so far of the reply that is being made."""
        self._check(request)
        text = self.so_far
        return Response(status_code=204) if text is None else PlainTextResponse(text.encode("utf-8", "replace"))

    def say(self, request: Request, sent: Sent) -> Response:
        """Say something."""
        self._check(request)
        values = single(sent)
        text = values.get("text", "").replace("\r\n", "\n")
        return self._change(values, lambda: self.talk.say(text, self._hear), text)

    def act(self, request: Request, sent: Sent) -> Response:
        """Draw the last reply anew, take it back, or begin a new conversation."""
        self._check(request)
        values = single(sent)
        actions: dict[str, Callable[[], object]] = {
            "retry": lambda: self.talk.retry(self._hear),
            "undo": self.talk.undo,
            "reset": self.talk.reset,
        }
        action = actions.get(values.get("action", ""))
        if action is None:
            raise Fail(400, "That was not understood", "Go back and reload the page.")
        return self._change(values, action)

    def failure(self, fail: Fail) -> Response:
        """Show why a request got no answer."""
        return self._render("message.html", fail.status, heading=fail.title, text=fail.text, retry=fail.again)

    def _hear(self, text: str) -> None:
        self.so_far = text

    def _change(self, values: dict[str, str], change: Callable[[], object], text: str = "") -> Response:
        """Change the conversation if it is the one that the form was made for; `text` stays in the box otherwise."""
        with self.lock:
            if values.get("revision") != str(self.revision):
                return self._page(409, _BEHIND, text)
            self.so_far = ""
            try:
                change()
            except UserError as error:
                return self._page(400, str(error), text, busy=False)
            finally:
                self.so_far = None
            self.revision += 1
        return RedirectResponse("/#last", 303)

    def _page(self, status: int = 200, problem: str = "", text: str = "", busy: bool | None = None) -> Response:
        """Show the conversation, with what is wrong and what is typed."""
        talk, busy = self.talk, self.so_far is not None if busy is None else busy
        turns = list(talk.session.turns)  # another thread may add one
        return self._render(
            "chat.html",
            status,
            said=[_Said(turn, self._why(i, turn, busy)) for i, turn in enumerate(turns)],
            revision=self.revision,
            problem=problem,
            text=text,
            busy=busy,
            draws=talk.config.decoding.strategy == "sample",
            decoding=talk.config.decoding.name,
            window=talk.session.window,
            file=talk.file,
        )

    def _why(self, i: int, turn: Turn, busy: bool) -> Why | None:
        """Return what made a turn; its prompt only where no model has to be waited for."""
        if turn.made is None:
            return None
        if busy or not self.talk.loaded:
            return Why(turn.made, None)
        try:
            return self.talk.why(i)
        except UserError:
            return Why(turn.made, None)

    def _render(self, template: str, status: int, **values: object) -> Response:
        text = self.templates.get_template(template).render(title=f"Chat with {self.talk.config.model.name}", **values)
        return HTMLResponse(text.encode("utf-8", "replace"), status)

    def _check(self, request: Request, token: str | None = None) -> None:
        opened, token = token is not None, request.cookies.get(self.cookie) if token is None else token
        right = hmac.compare_digest((token or "").encode("utf-8", "replace"), self.token.encode())
        if opened or not right:
            self.wrong.check(request, wrong=bool(token) and not right)
        if not right:
            raise Fail(*_NO_ENTRY, None if token else again(request))


def application(pages: Pages, hosts: Iterable[str] = ()) -> Callable[..., Awaitable[None]]:
    """Return the ASGI application of a chat.

    Args:
        pages: its page.
        hosts: names that the Host header may have, besides addresses and localhost.
    """
    make = Endpoints(pages.failure, _NO_ENTRY, static(_PAGES, "chat.css", "chat.js"))
    app = Starlette(
        routes=[
            Route("/", make.get(pages.home)),
            Route("/so-far", make.get(pages.heard)),
            Route("/say", make.post(pages.say), methods=["POST"]),
            Route("/act", make.post(pages.act), methods=["POST"]),
            Route("/static/{name}", make.file),
        ],
        exception_handlers={HTTPException: make.error, Exception: make.error},
    )
    return Guard(app, hosts)
