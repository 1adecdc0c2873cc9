"""`dialoeval chat`: talk to a model in the terminal, or by a pipe."""

from __future__ import annotations

import argparse
import contextlib
import datetime
import sys
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from dialoeval.chat.talk import Talk
    from dialoeval.generation.types import Reply

HELP = """/help            this text
/reset           begin a new conversation
/undo            take back the last reply and what you said before it
/retry           draw the last reply anew
/set KEY=VALUE   change a setting: decoding.top_k=5, decoding=beam, model=..., seed=2, turns=3
/why             log-probability, prompt and candidates of the last reply
/save FILE       write the conversation to a file
/load FILE       go on with the last conversation of a file
/quit            leave (or Ctrl-D)
"""
EPILOG = """examples:
  dialoeval chat                                     with the embedded model
  dialoeval chat model=custom model.path=DIR decoding=mmi model.backward=DIR2
  dialoeval chat --self model=smollm2 --turns-of 8 --opening "hi, how are you?" -- model=tiny
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
    options = parser.parse_intermixed_args(own)
    from dialoeval.chat.session import Session
    from dialoeval.chat.talk import Talk

    _check(options, second)
    name = options.name or datetime.datetime.now().strftime("chat-%Y%m%d-%H%M%S")
    file = None if options.no_save else Path(options.save or f"chats/{name}.jsonl")
    if file is not None:
        from dialoeval.files import check_writable

        check_writable(file)
    talk = Talk(options.settings, Session(name, options.turns), file)
    try:
        if options.load:
            _load(talk, options.load)
        if options.self:
            return _among_themselves(talk, second, options.opening, options.turns_of)
        return _converse(talk)
    finally:
        talk.close()


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
    if options.save and options.no_save:
        raise UserError("--save does not go with --no-save")


def _converse(talk: Talk) -> int:
    """Read lines and print replies; on a terminal with a prompt, Ctrl-C stops a reply and not the chat."""
    from dialoeval.errors import UserError

    terminal = sys.stdin.isatty()
    if terminal:
        with contextlib.suppress(ImportError):
            import readline  # noqa: F401 - input() then edits lines and remembers them
        print(f"{talk.config.model.name}, {talk.config.decoding.name}. /help lists the commands.", file=sys.stderr)
    failed = False
    while True:
        try:
            line = input("> " if terminal else "")
        except EOFError:
            break
        except KeyboardInterrupt:
            if not terminal:
                raise
            print("\n(/quit or Ctrl-D leaves)", file=sys.stderr)
            continue
        try:
            if not _handle(talk, line.strip()):
                break
        except UserError as error:
            print(f"dialoeval: {error}", file=sys.stderr)
            failed = True
        except KeyboardInterrupt:
            if not terminal:
                raise
            print("\n(stopped; nothing was added)", file=sys.stderr)
    if terminal:
        print()
    if talk.file is not None and talk.session.turns:
        print(f"saved: {talk.file}", file=sys.stderr)
    return 2 if failed and not terminal else 0


def _handle(talk: Talk, line: str) -> bool:
    """Do what a line asks for; return whether the chat goes on."""
    from dialoeval.errors import UserError, nearest

    if not line:
        return True
    if not line.startswith("/"):
        _print(talk.say(line))
        return True
    command, _, rest = line.partition(" ")
    rest = rest.strip()
    actions: dict[str, Callable[[], object]] = {
        "/help": lambda: print(HELP, end=""),
        "/reset": talk.reset,
        "/undo": talk.undo,
        "/retry": lambda: _print(talk.retry()),
        "/why": lambda: _why(talk),
    }
    with_value: dict[str, tuple[str, Callable[[str], object]]] = {
        "/set": ("KEY=VALUE", talk.change),
        "/save": ("FILE", lambda name: talk.save(Path(name).expanduser())),
        "/load": ("FILE", lambda name: _load(talk, name)),
    }
    if command in ("/quit", "/exit"):
        return False
    if command in actions:
        if rest:
            raise UserError(f"{command} takes nothing after it")
        actions[command]()
    elif command in with_value:
        what, action = with_value[command]
        if not rest:
            raise UserError(f"{command} needs a {what}")
        action(rest)
    else:
        raise UserError(f"unknown command {command}{nearest(command, [*actions, *with_value, '/quit'])} (/help)")
    return True


def _print(reply: Reply) -> None:
    print(reply.text or "(no reply)", flush=True)
    if not reply.text:
        print("(an empty reply: /reset, or fewer turns by /set turns=1, often helps)", file=sys.stderr)
    if reply.dropped_turns:
        print(f"({reply.dropped_turns} turns did not fit the model's context length)", file=sys.stderr)


def _why(talk: Talk) -> None:
    why = talk.why()
    made = why.made
    logprob = "unknown" if made.logprob is None else f"{made.logprob:.4f} nats"
    print(f"log-probability: {logprob}, {made.tokens} tokens, ended by {made.finish}, seed {made.seed}")
    print(f"settings: {' '.join(made.settings) or 'none'}; turns seen: {made.turns_seen or 'all'}")
    print(f"turns dropped: {made.dropped_turns}\nprompt: {why.prompt}")
    for candidate in sorted(made.candidates, key=lambda one: -(one.score or 0)):
        print(f"  {candidate.score or 0:10.4f}  {candidate.text}")


def _load(talk: Talk, name: str) -> None:
    others = talk.load(Path(name).expanduser())
    print(f"({len(talk.session.turns)} turns of {talk.session.name})", file=sys.stderr)
    if others:
        print(f"(it was held with {' '.join(others)}, which is not set now)", file=sys.stderr)


def _among_themselves(talk: Talk, second: list[str], opening: str, turns: int) -> int:
    print(f"user: {opening}")
    for role, reply in talk.among_themselves(second, opening, turns):
        print(f"{role}: {reply.text or '(no reply)'}", flush=True)
    if talk.file is not None:
        print(f"saved: {talk.file}", file=sys.stderr)
    return 0
