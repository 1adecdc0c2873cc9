"""What a chat's commands do: the session, its models and their settings, and the file that it is saved in."""

from __future__ import annotations

import contextlib
import re
import threading
from collections.abc import Iterator, Sequence
from concurrent.futures import Future
from dataclasses import dataclass, replace
from pathlib import Path

from dialoeval.chat.saved import load, names, save
from dialoeval.chat.session import ASSISTANT, USER, Made, Session, Speaker
from dialoeval.config import RunConfig
from dialoeval.config.compose import compose
from dialoeval.errors import UserError
from dialoeval.generation import open_generator
from dialoeval.generation.types import Hear, Reply

# Settings of a run that a chat has no use for.
_UNUSED = ("dataset", "protocol", "scoring", "tracker", "reports_dir", "experiment", "hydra")

_LOADING = threading.Lock()  # transformers cannot load two models at once


@dataclass(frozen=True)
class Why:
    """What made a reply, and its prompt as the model read it; None if it was another model."""

    made: Made
    prompt: str | None


class Talk:
    """A chat with a model, or of two models with each other.

    Args:
        overrides: settings as of `dialoeval run`: model, decoding, engine, seed.
        session: the conversation so far.
        file: where it is saved after every reply; None: nowhere.
    """

    def __init__(self, overrides: Sequence[str], session: Session, file: Path | None = None) -> None:
        self.session, self.file = session, file
        self._overrides = list(overrides)
        self._config = _composed(self._overrides)
        self._speaker = self._opening(self._overrides)

    @property
    def config(self) -> RunConfig:
        """The settings in use."""
        return self._config

    @property
    def loaded(self) -> bool:
        """Whether the model is loaded, or has failed to."""
        return self._speaker.done()

    @property
    def speaker(self) -> Speaker:
        """The model that replies, as soon as it is loaded.

        Raises:
            UserError: it cannot be loaded.
        """
        return self._speaker.result()

    def say(self, text: str, hear: Hear | None = None) -> Reply:
        """Say something; return the reply to it, whose text so far `hear` is told where the engine can."""
        reply = self.session.say(text, self.speaker, hear)
        self._save()
        return reply

    def retry(self, hear: Hear | None = None) -> Reply:
        """Draw the last reply anew."""
        reply = self.session.retry(self.speaker, hear)
        self._save()
        return reply

    def undo(self) -> None:
        """Take back the last reply and what the user said before it."""
        self.session.undo()
        self._save()

    def reset(self) -> None:
        """Begin a new conversation; the one so far stays in its file."""
        found = re.fullmatch(r"(.+)\.([0-9]{1,9})", self.session.name, re.DOTALL)
        base, number = (found[1], int(found[2])) if found else (self.session.name, 1)
        taken = set() if self.file is None else names(self.file)
        while f"{base}.{number + 1}" in taken:
            number += 1
        self.session = Session(f"{base}.{number + 1}", self.session.window)

    def change(self, text: str) -> None:
        """Change one or more settings from the next reply on; if one is refused, nothing changes.

        Args:
            text: ``KEY=VALUE``, or several with spaces between them.

        Raises:
            UserError: one is unknown or has a wrong value, or the model does not load.
        """
        changes = re.split(r"\s+(?=[\w.@~+]+=)", text.strip())
        window, overrides = self.session.window, self._overrides
        for change in changes:
            key, equals, value = change.partition("=")
            if not equals:
                raise UserError(f"{change!r} is not KEY=VALUE, such as decoding.top_k=5")
            if key == "turns":
                window = _window(value)
                continue
            if key in ("model", "decoding", "engine"):  # another option: the settings of the former one go
                overrides = [one for one in overrides if not one.startswith(f"{key}.")]
            overrides = [*(one for one in overrides if one.partition("=")[0] != key), change]
        if overrides != self._overrides:
            config = _composed(overrides)
            speaker = self._opening(overrides)
            speaker.result()
            _free(self._speaker)
            self._overrides, self._config, self._speaker = overrides, config, speaker
        self.session.window = window

    def why(self, turn: int = -1) -> Why:
        """Return what made a reply, by default the last.

        Raises:
            UserError: there is none, or a person said it.
        """
        reply = self.session.turns[turn] if self.session.turns else None
        if reply is None or reply.made is None:
            raise UserError("there is no reply yet")
        speaker = self.speaker
        if _prompting(reply.made.settings) != _prompting(speaker.settings):
            return Why(reply.made, None)
        earlier = replace(self.session, turns=self.session.turns[:turn], window=reply.made.turns_seen)
        return Why(reply.made, speaker.generator.prompt_text(earlier.example(reply.role), speaker.decoding))

    def save(self, path: Path) -> None:
        """Write the conversation to a file of chats."""
        save(path, self.session)

    def load(self, path: Path) -> list[str]:
        """Go on with the last conversation of a file; return the settings it was held with where they are others."""
        session = load(path)
        session.window = self.session.window
        self.session = session
        held = [turn.made.settings for turn in session.turns if turn.made is not None]
        return [one for one in held[-1] if one not in self._overrides] if held else []

    def among_themselves(self, other: Sequence[str], opening: str, turns: int) -> Iterator[tuple[str, Reply]]:
        """Let a second model speak for the user after an opening line; yield (role, reply) of `turns` turns."""
        second = self._opening(other)
        if not opening.split():
            raise UserError("give the first line of the conversation")
        try:
            yield ASSISTANT, self.say(opening)
            for i in range(1, turns):
                role = USER if i % 2 else ASSISTANT
                reply = self.session.answer(second.result() if role == USER else self.speaker, role)
                self._save()
                yield role, reply
        finally:
            if second.done():
                _free(second)

    def close(self, wait: bool = True) -> None:
        """Free the model; without `wait`, as where the process ends, one that still loads is left to itself."""
        if wait or self._speaker.done():
            _free(self._speaker)

    def _save(self) -> None:
        if self.file is not None:
            self.save(self.file)

    def _opening(self, overrides: Sequence[str]) -> Future[Speaker]:
        """Begin to load the model of some settings, which are checked first."""
        config, settings = _composed(overrides), tuple(overrides)

        found: Future[Speaker] = Future()

        def opened() -> None:
            try:
                with _LOADING:
                    generator = open_generator(config.model, config.engine, config.decoding)
                found.set_result(Speaker(generator, config.decoding, config.seed, settings))
            except BaseException as error:
                found.set_exception(error)

        # a daemon: nobody who leaves has to wait for it
        threading.Thread(target=opened, name="loading", daemon=True).start()
        return found


def _prompting(settings: Sequence[str]) -> list[str]:
    """Return the settings that decide a prompt."""
    return sorted(one for one in settings if one.startswith(("model", "engine", "decoding.max_")))


def _free(speaker: Future[Speaker]) -> None:
    """Stop the engine of a model as soon as it is loaded."""
    with contextlib.suppress(Exception):  # it failed to load, and whoever talked was told
        speaker.result().generator.close()


def _composed(overrides: Sequence[str]) -> RunConfig:
    """Return the settings, with the decoding that suits talking where none is chosen.

    Raises:
        UserError: one is unknown, has a wrong value, or has no use in a chat.
    """
    for override in overrides:
        key = override.lstrip("+").partition("=")[0]
        if key.split(".")[0] in _UNUSED:
            raise UserError(f"{override} has no effect on a chat: it takes model, decoding, engine and seed")
    chosen = any(override.startswith("decoding=") for override in overrides)
    if any(override.startswith(("model=baseline", "model.baseline")) for override in overrides):
        usual = "decoding=greedy"  # it draws nothing
    elif any(override in ("engine=openai", "engine.name=openai") for override in overrides):
        usual = "decoding=nucleus"  # the protocol has no top-k
    else:
        usual = "decoding=topk"
    return compose("config", [*([] if chosen else [usual]), *overrides])


def _window(value: str) -> int:
    if not re.fullmatch("[0-9]{1,9}", value):
        raise UserError(f"turns={value}: give a whole number, 0 for all turns")
    return int(value)
