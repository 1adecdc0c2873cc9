"""One conversation with a model.

The conversation is read as `dataset=conversations` reads its saved form, so that a run over the saved file gives the
same replies: the example's id, which keys the random draws, and its context are the reader's.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import asdict, dataclass, field, replace
from typing import Any

from dialoeval.config import DecodingConfig
from dialoeval.config.schema import ColumnsConfig
from dialoeval.data.columns import last_turns
from dialoeval.data.conversations import Reader
from dialoeval.data.example import Example
from dialoeval.errors import UserError
from dialoeval.generation.types import Generator, Reply
from dialoeval.version import __version__

USER, ASSISTANT = "user", "assistant"


@dataclass(frozen=True)
class Scored:
    """A candidate of a reranked reply, with the reranker's score; larger is better."""

    text: str
    logprob: float | None = None
    score: float | None = None


@dataclass(frozen=True)
class Made:
    """What made a model's turn.

    Attributes:
        settings: overrides of the configuration in force.
        turns_seen: how many of the last turns the model saw; 0: all.
        seed: of the draws.
        tokens, logprob, finish, dropped_turns, refusal: see `dialoeval.generation.types.Reply`.
        candidates: all, if one was chosen among them.
    """

    settings: tuple[str, ...]
    turns_seen: int
    seed: int
    tokens: int
    logprob: float | None
    finish: str
    dropped_turns: int = 0
    refusal: str | None = None
    candidates: tuple[Scored, ...] = ()

    @classmethod
    def from_json(cls, value: Mapping[str, Any]) -> Made:
        """Read the entry of a saved reply.

        Raises:
            TypeError, KeyError, ValueError, AttributeError: it is not one.
        """
        fields = {key: part for key, part in value.items() if key not in ("turn", "settings", "candidates")}
        candidates = tuple(Scored(**one) for one in value.get("candidates", ()))
        return cls(settings=tuple(map(str, value["settings"])), candidates=candidates, **fields)


@dataclass(frozen=True)
class Turn:
    """What somebody said: a person, or a model if `made` says how. A model's text may be empty."""

    role: str
    text: str
    made: Made | None = None


@dataclass(frozen=True)
class Speaker:
    """A model that takes part: open, with its decoding, the seed of its draws, and the overrides that chose it."""

    generator: Generator
    decoding: DecodingConfig
    seed: int
    settings: tuple[str, ...] = ()

    def reply(self, example: Example, window: int, retry: int = 0) -> tuple[Reply, Made]:
        """Return the reply to an example and what made it: a retry draws with the next seeds."""
        seed = self.seed + retry
        (reply,) = self.generator.reply([example], self.decoding, seed)
        candidates = tuple(Scored(one.text, one.logprob, one.score) for one in reply.candidates)
        told = (reply.tokens, reply.logprob, reply.finish, reply.dropped_turns, reply.refusal)
        return reply, Made(self.settings, window, seed, *told, candidates)


@dataclass
class Session:
    """The turns so far.

    Attributes:
        name: the id of the conversation in its saved form.
        window: how many of the last turns a model sees; 0: all.
        turns: oldest first; they alternate, and the first is the user's.
        retries: how often the last reply was drawn anew.
    """

    name: str
    window: int = 5
    turns: list[Turn] = field(default_factory=list)
    retries: int = 0

    def say(self, text: str, speaker: Speaker) -> Reply:
        """Add what the user says and the model's reply to it; after an error nothing is added.

        Raises:
            UserError: the text is empty, or the model cannot reply to it.
        """
        if not text.split():
            raise UserError("say something")
        before = list(self.turns)
        self.turns.append(Turn(USER, text.strip()))
        try:
            return self.answer(speaker)
        except BaseException:
            self.turns = before
            raise

    def answer(self, speaker: Speaker, role: str = ASSISTANT) -> Reply:
        """Add the model's reply to the last turn.

        Args:
            speaker: who replies.
            role: whose turn it becomes; "user" where a second model speaks for the user.
        """
        reply, made = speaker.reply(self.example(role), self.window)
        self.turns.append(Turn(role, reply.text, made))
        self.retries = 0
        return reply

    def retry(self, speaker: Speaker) -> Reply:
        """Replace the last reply by one drawn with the next seed.

        Raises:
            UserError: there is no reply, or nothing is drawn, so that it would be the same.
        """
        if not self.turns:
            raise UserError("there is no reply yet")
        if speaker.decoding.strategy != "sample":
            raise UserError(f"decoding {speaker.decoding.name} draws nothing: the reply would be the same")
        last = self.turns.pop()
        try:
            reply, made = speaker.reply(self.example(last.role), self.window, self.retries + 1)
        except BaseException:
            self.turns.append(last)
            raise
        self.retries += 1
        self.turns.append(Turn(last.role, reply.text, made))
        return reply

    def undo(self) -> None:
        """Take back the last reply and what the user said before it.

        Raises:
            UserError: nothing has been said.
        """
        if not self.turns:
            raise UserError("nothing has been said yet")
        del self.turns[max(0, len(self.turns) - 2) :]
        self.retries = 0

    def example(self, role: str = ASSISTANT) -> Example:
        """Return the example to which the next turn, of `role`, is the reply."""
        reader = Reader(ColumnsConfig(turns="turns", replies_by=role))
        said = [*self.turns, Turn(role, "?")]
        values = [{"role": turn.role, "text": turn.text} for turn in said]
        *_, example = reader.examples(reader.conversation(values, "turns"), self.name)
        return last_turns(replace(example, references=()), self.window)

    def to_json(self) -> dict[str, Any]:
        """Return the row of the saved file: `dataset=conversations` reads its `id` and `turns`."""
        made = [
            {"turn": i, **{key: value for key, value in asdict(turn.made).items() if value not in (None, ())}}
            for i, turn in enumerate(self.turns)
            if turn.made is not None
        ]
        turns = [{"role": turn.role, "text": turn.text} for turn in self.turns]
        return {"id": self.name, "turns": turns, "replies": made, "created_with": f"dialoeval {__version__}"}

    @classmethod
    def from_json(cls, row: Mapping[str, Any], where: str) -> Session:
        """Read a saved row; `where` names it in errors.

        Raises:
            UserError: it is not one.
        """
        turns, name = row.get("turns"), row.get("id")
        if not isinstance(name, str) or not isinstance(turns, list):
            raise UserError(f"{where} is not a saved chat: it has no id or no list of turns")
        try:
            made = {value["turn"]: Made.from_json(value) for value in row.get("replies", ())}
        except (TypeError, KeyError, ValueError, AttributeError) as error:
            raise UserError(f"{where}: its replies are damaged: {error}") from error
        session = cls(name)
        for i, turn in enumerate(turns):
            if not (
                isinstance(turn, Mapping)
                and turn.get("role") == (ASSISTANT if i % 2 else USER)
                and isinstance(turn.get("text"), str)
            ):
                raise UserError(
                    f"{where}, turn {i + 1} is not an object with a text and the role {ASSISTANT if i % 2 else USER}: "
                    "in a chat the user begins, and the two take turns"
                )
            session.turns.append(Turn(turn["role"], turn["text"], made.get(i)))
        return session
