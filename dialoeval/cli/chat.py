"""`dialoeval chat`: talk to a model in the terminal, or by a pipe."""

from __future__ import annotations

import argparse
import datetime
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING

from dialoeval.cli.chat_terminal import HELP

if TYPE_CHECKING:
    from dialoeval.chat.talk import Talk

EPILOG = """examples:
  dialoeval chat                                     with the embedded model
  dialoeval chat model=custom model.path=DIR decoding=mmi model.backward=DIR2
  dialoeval chat --self model=smollm2 --turns-of 8 --opening "hi, how are you?" -- model=tiny
  dialoeval chat model=smollm2 --web                 on a page in the browser
  printf 'hello\\nhow are you?\\n' | dialoeval chat --name script --no-save

Each reply is the one that `dialoeval run dataset=conversations dataset.path=SAVED dataset.context_turns=5` gives with
the same settings. Commands in the chat:
"""


def main(arguments: Sequence[str]) -> int:
    """Talk until /quit, Ctrl-D or the end of the input."""
    parser = argparse.ArgumentParser(
        prog="dialoeval chat",
        usage="dialoeval chat [KEY=VALUE ...] [options] [--self ... -- [KEY=VALUE ...]]",
        description="Talk to a model. Settings are those of `dialoeval run`: model, decoding [topk], engine, seed.",
        epilog=EPILOG + "\n".join(f"  {line}" for line in HELP.splitlines()) + "\n",
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    own, second = _split(list(arguments))
    parser.add_argument("settings", nargs="*", metavar="KEY=VALUE")
    parser.add_argument("--turns", type=int, default=5, metavar="N", help="turns that the model sees, 0 for all [5]")
    parser.add_argument("--name", help="of the conversation: it keys the random draws [date and time]")
    parser.add_argument("--save", metavar="FILE", help="where it is saved after every reply [chats/NAME.jsonl]")
    parser.add_argument("--no-save", action="store_true", help="save nothing")
    parser.add_argument("--load", metavar="FILE", help="go on with the last conversation of a file")
    parser.add_argument("--self", action="store_true", help="let a second model, whose settings follow --, be the user")
    parser.add_argument("--turns-of", type=int, default=10, metavar="N", help="--self: replies in all [10]")
    parser.add_argument("--opening", metavar="TEXT", help="--self: what the user says first")
    web = parser.add_argument_group("on a page instead of the terminal")
    web.add_argument("--web", action="store_true", help="serve a page, with a link that opens it, until Ctrl-C")
    web.add_argument("--host", default="127.0.0.1", help="address to listen on [this machine only]")
    web.add_argument("--port", type=int, default=8765, help="or the next free one [8765]")
    web.add_argument("--allow-host", action="append", default=[], metavar="NAME", help="of a tunnel or proxy")
    web.add_argument("--public-url", metavar="URL", help="how the page is reached, for the link")
    options = parser.parse_intermixed_args(own)
    from dialoeval.chat.session import Session
    from dialoeval.chat.talk import Talk
    from dialoeval.cli.chat_terminal import converse, load

    _check(options, second)
    name = options.name or datetime.datetime.now().strftime("chat-%Y%m%d-%H%M%S")
    file = None if options.no_save else Path(options.save or f"chats/{name}.jsonl")
    if file is not None:
        from dialoeval.chat.saved import check

        check(file)
    talk = Talk(options.settings, Session(name, options.turns), file)
    try:
        if options.load:
            load(talk, options.load)
        if options.self:
            return _among_themselves(talk, second, options.opening, options.turns_of)
        return _serve(talk, options) if options.web else converse(talk)
    finally:
        talk.close(wait=False)


def _split(arguments: list[str]) -> tuple[list[str], list[str]]:
    """Return the arguments before ``--`` and those after it."""
    at = arguments.index("--") if "--" in arguments else len(arguments)
    return arguments[:at], arguments[at + 1 :]


def _check(options: argparse.Namespace, second: list[str]) -> None:
    from dialoeval.errors import UserError

    for override in [*options.settings, *second]:
        if "=" not in override:
            raise UserError(f"{override!r} is not KEY=VALUE, such as model=tiny")
    if options.turns < 0:
        raise UserError("--turns must be 0 (all) or more")
    if options.turns_of < 1:
        raise UserError("--turns-of must be 1 or more")
    if second and not options.self:
        raise UserError("settings after -- are those of a second model: add --self")
    if options.opening and not options.self:
        raise UserError("--opening belongs to --self")
    if options.self and not options.opening:
        raise UserError('--self needs what is said first: add --opening "TEXT"')
    if options.web and options.self:
        raise UserError("--web does not go with --self")
    if not 0 <= options.port < 65536:
        raise UserError("--port must be from 0 to 65535")
    if options.load and options.name:
        raise UserError("--name does not go with --load: the conversation has its name")
    if options.save and options.no_save:
        raise UserError("--save does not go with --no-save")


def _serve(talk: Talk, options: argparse.Namespace) -> int:
    from dialoeval.chat.server import Serving, serve
    from dialoeval.serving.server import LOOPBACK, PLAIN_HTTP

    if options.host not in LOOPBACK:
        print(f"warning: {PLAIN_HTTP}")
    public_url = options.public_url and options.public_url.rstrip("/")

    def announce(link: str) -> None:
        print(f"chat  {link}")
        print("serving until Ctrl-C", flush=True)

    serve(talk, Serving(options.host, options.port, options.allow_host, public_url), announce)
    if talk.file is not None and talk.session.turns:
        print(f"saved: {talk.file}")
    return 0


def _among_themselves(talk: Talk, second: list[str], opening: str, turns: int) -> int:
    print(f"user: {opening}")
    for role, reply in talk.among_themselves(second, opening, turns):
        print(f"{role}: {reply.text or '(no reply)'}", flush=True)
    if talk.file is not None:
        print(f"saved: {talk.file}", file=sys.stderr)
    return 0
