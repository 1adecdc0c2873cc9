"""A chat by lines: in a terminal, or by a pipe."""

from __future__ import annotations

import contextlib
import sys
from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from dialoeval.chat.talk import Talk
    from dialoeval.generation.types import Reply

HELP = """/help            this text
/reset           begin a new conversation
/undo            take back the last reply and what you said before it
/retry           draw the last reply anew
/set KEY=VALUE   change settings: decoding.top_k=5, decoding=beam, model=..., seed=2, turns=3
/why             log-probability, prompt and candidates of the last reply
/save FILE       write the conversation to a file
/load FILE       go on with the last conversation of a file
//text           say /text
/quit            leave (or Ctrl-D)
"""


class Streamed:
    """Prints a reply as it comes; what is on the line at the end is the reply."""

    def __init__(self) -> None:
        self.shown = ""

    def __call__(self, text: str) -> None:
        """Print the text so far. If it is no longer what it was, it begins anew on the next line."""
        if not text.startswith(self.shown):
            print()
            self.shown = ""
        print(text[len(self.shown) :], end="", flush=True)
        self.shown = text


def converse(talk: Talk) -> int:
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
        except UnicodeDecodeError as error:
            raise UserError(f"the input is not UTF-8 text: {error.reason}") from error
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


def load(talk: Talk, name: str) -> None:
    """Go on with the last conversation of a file, and say how it was held."""
    others = talk.load(Path(name).expanduser())
    count = len(talk.session.turns)
    print(f"({count} {'turn' if count == 1 else 'turns'} of {talk.session.name})", file=sys.stderr)
    if others:
        print(f"(it was held with {' '.join(others)}, which is not set now)", file=sys.stderr)


def _handle(talk: Talk, line: str) -> bool:
    """Do what a line asks for; return whether the chat goes on."""
    from dialoeval.errors import UserError, nearest

    if not line:
        return True
    if not line.startswith("/") or line.startswith("//"):
        said = line[1:] if line.startswith("//") else line
        _reply(talk, lambda hear: talk.say(said, hear))
        return True
    command, _, rest = line.partition(" ")
    rest = rest.strip()
    actions: dict[str, Callable[[], object]] = {
        "/help": lambda: print(HELP, end=""),
        "/reset": talk.reset,
        "/undo": talk.undo,
        "/retry": lambda: _reply(talk, talk.retry),
        "/why": lambda: _why(talk),
    }
    with_value: dict[str, tuple[str, Callable[[str], object]]] = {
        "/set": ("KEY=VALUE", talk.change),
        "/save": ("FILE", lambda name: talk.save(Path(name).expanduser())),
        "/load": ("FILE", lambda name: load(talk, name)),
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


def _reply(talk: Talk, ask: Callable[[Streamed | None], Reply]) -> None:
    """Print the reply that `ask` gets, on a terminal as it comes."""
    streamed = Streamed() if sys.stdin.isatty() and sys.stdout.isatty() else None
    if streamed is not None and not talk.loaded:
        print("(the model is loading)", file=sys.stderr)
    reply = ask(streamed)
    if streamed is not None and reply.text:
        streamed(reply.text)
        print()
    else:
        print(reply.text or "(no reply)", flush=True)
    if reply.refusal is not None:
        print(f"(refused: {reply.refusal})", file=sys.stderr)
    elif not reply.text:
        print("(an empty reply: /reset, or fewer turns by /set turns=1, often helps)", file=sys.stderr)
    if reply.dropped_turns:
        turns = "1 turn" if reply.dropped_turns == 1 else f"{reply.dropped_turns} turns"
        print(f"({turns} did not fit the model's context length)", file=sys.stderr)


def _why(talk: Talk) -> None:
    why = talk.why()
    made = why.made
    logprob = "unknown" if made.logprob is None else f"{made.logprob:.4f} nats"
    print(f"log-probability: {logprob}, {made.tokens} tokens, ended by {made.finish}, seed {made.seed}")
    print(f"settings: {' '.join(made.settings) or 'none'}; turns seen: {made.turns_seen or 'all'}")
    print(f"turns dropped: {made.dropped_turns}\nprompt: {why.prompt or 'of another model'}")
    for candidate in sorted(made.candidates, key=lambda one: -(one.score or 0)):
        print(f"  {candidate.score or 0:10.4f}  {candidate.text}")
