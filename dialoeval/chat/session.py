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
from dialoeval.generation.types import Generator, Hear, Reply
from dialoeval.version import __version__

USER, ASSISTANT = "user", "assistant"


_COUNT, _NUMBER, _TEXT = (int,), (int, float, type(None)), (str, type(None))
_SCORED = {"text": (str,), "logprob": _NUMBER, "score": _NUMBER}
_MADE = {
    **dict.fromkeys(("turns_seen", "seed", "tokens", "dropped_turns"), _COUNT),
    "logprob": _NUMBER,
    "finish": (str,),
    "refusal": _TEXT,
}


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
        fields.setdefault("logprob", None)  # None is left out in the file
        scored = tuple(_typed(one, _SCORED) for one in value.get("candidates", ()))
        if not isinstance(value["settings"], list):
            raise TypeError("settings is no list")
        settings = tuple(map(str, value["settings"]))
        return cls(settings=settings, candidates=tuple(Scored(**one) for one in scored), **_typed(fields, _MADE))


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

    def reply(
        self, example: Example, window: int, seed: int | None = None, hear: Hear | None = None
    ) -> tuple[Reply, Made]:
        """Return the reply to an example and what made it.

        Args:
            example: with the context.
            window: how many turns the context has at most, to be noted.
            seed: of the draws, if it is not the speaker's.
            hear: told the text so far, where the engine can.
        """
        seed = self.seed if seed is None else seed
        if hear is None:
            (reply,) = self.generator.reply([example], self.decoding, seed)
        else:
            reply = self.generator.stream(example, self.decoding, seed, hear)
        candidates = tuple(Scored(one.text, one.logprob, one.score) for one in reply.candidates)
        told = (reply.tokens, reply.logprob, reply.finish, reply.dropped_turns, reply.refusal)
        return reply, Made(self.settings, window, seed, *told, candidates)


@dataclass
class Session:
    """The turns so far.

    Attributes:
        name: the id of the conversation in its saved form.
        window: how many of the last turns a model sees; 0: all.
        turns: oldest first, and the first is the user's. Turns of one speaker in a row are read as one.
    """

    name: str
    window: int = 5
    turns: list[Turn] = field(default_factory=list)

    def say(self, text: str, speaker: Speaker, hear: Hear | None = None) -> Reply:
        """Add what the user says and the model's reply to it; after an error nothing is added.

        Args:
            text: what the user says.
            speaker: who replies.
            hear: told the text of the reply so far, where the engine can.

        Raises:
            UserError: the text is empty or no Unicode, or the model cannot reply to it.
        """
        if not text.split():
            raise UserError("say something")
        if any("\ud800" <= character <= "\udfff" for character in text):
            raise UserError("what was said is not UTF-8 text")
        before = list(self.turns)
        self.turns.append(Turn(USER, text.strip()))
        try:
            return self.answer(speaker, hear=hear)
        except BaseException:
            self.turns = before
            raise

    def answer(self, speaker: Speaker, role: str = ASSISTANT, hear: Hear | None = None) -> Reply:
        """Add the model's reply to the last turn.

        Args:
            speaker: who replies.
            role: whose turn it becomes; "user" where a second model speaks for the user.
            hear: told the text of the reply so far, where the engine can.
        """
        reply, made = speaker.reply(self.example(role), self.window, None, hear)
        self.turns.append(Turn(role, reply.text, made))
        return reply

    def retry(self, speaker: Speaker, hear: Hear | None = None) -> Reply:
        """Replace the last reply by one drawn with the seed after its own, or with the speaker's if that is larger.

        Args:
            speaker: who replies.
            hear: told the text of the reply so far, where the engine can.

        Raises:
            UserError: there is no reply, or nothing is drawn, so that it would be the same.
        """
        last = self.turns[-1] if self.turns else None
        if last is None or (last.made is None and last.role == USER):
            raise UserError("there is no reply yet")
        if speaker.decoding.strategy != "sample":
            raise UserError(f"decoding {speaker.decoding.name} draws nothing: the reply would be the same")
        seed = speaker.seed if last.made is None else max(speaker.seed, last.made.seed + 1)
        earlier = replace(self, turns=self.turns[:-1])
        reply, made = speaker.reply(earlier.example(last.role), self.window, seed, hear)
        self.turns[-1] = Turn(last.role, reply.text, made)
        return reply

    def undo(self) -> None:
        """Take back the user's last turn and the replies after it.

        Raises:
            UserError: nothing has been said.
        """
        if not self.turns:
            raise UserError("nothing has been said yet")
        while self.turns.pop().role != USER:
            pass

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
            if strangers := [turn for turn in made if type(turn) is not int or not 0 <= turn < len(turns)]:
                raise ValueError(f"there is no turn {strangers[0]!r}")
        except (TypeError, KeyError, ValueError, AttributeError) as error:
            raise UserError(f"{where}: its replies are damaged: {error}") from error
        session = cls(name)
        for i, turn in enumerate(turns):
            roles = (USER, ASSISTANT) if i else (USER,)
            if not (isinstance(turn, Mapping) and turn.get("role") in roles and isinstance(turn.get("text"), str)):
                raise UserError(
                    f"{where}, turn {i + 1} is not an object with a text and the role {' or '.join(roles)} "
                    "(in a chat the user begins)"
                )
            session.turns.append(Turn(turn["role"], turn["text"], made.get(i)))
        return session


def _typed(fields: Mapping[str, Any], kinds: Mapping[str, tuple[type, ...]]) -> Mapping[str, Any]:
    """Return fields of a file.

    Raises:
        TypeError, AttributeError: one is unknown or of another type.
    """
    for name, value in fields.items():
        if name not in kinds or isinstance(value, bool) or not isinstance(value, kinds[name]):
            raise TypeError(f"{name} is {value!r}")
    return fields
