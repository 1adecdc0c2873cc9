"""What flows through generation: token requests in, token replies out; contexts in, replies out."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from typing import Any, Protocol

from dialoeval.config import DecodingConfig
from dialoeval.data.example import Example


@dataclass(frozen=True)
class TokenRequest:
    """A context to continue.

    Attributes:
        example_id: keys the random draws of this context, whatever batch it is in.
        token_ids: the prompt, end-of-text tokens included; never empty.
    """

    example_id: str
    token_ids: tuple[int, ...]


@dataclass(frozen=True)
class TokenReply:
    """One continuation.

    Attributes:
        example_id: of its request.
        sample: 0 .. num_candidates-1.
        token_ids: the generated tokens without the end token.
        logprob: sum of the natural-log probabilities of the generated tokens, the end token included, under the
            model itself (no temperature, no filter, no penalty).
        finish: ``"stop"`` where the model ended the reply, ``"length"`` where max_new_tokens did.
    """

    example_id: str
    sample: int
    token_ids: tuple[int, ...]
    logprob: float
    finish: str


class TokenEngine(Protocol):
    """A causal (or encoder-decoder) model that continues and scores token sequences."""

    name: str

    def generate(self, requests: Sequence[TokenRequest], decoding: DecodingConfig, seed: int) -> Iterator[TokenReply]:
        """Yield num_candidates replies a request, in any order."""
        ...

    def score(self, pairs: Sequence[tuple[Sequence[int], Sequence[int]]]) -> list[float]:
        """Sum of log P(target | context) in nats of each (context, target) pair of token sequences, in order."""
        ...

    def accounting(self) -> dict[str, Any]:
        """Counters since the start: seconds a phase, tokens, padding waste, slot use, peak memory."""
        ...


@dataclass(frozen=True)
class Candidate:
    """A reply that was considered, with every score that decided."""

    text: str
    tokens: int
    logprob: float | None
    finish: str
    backward_logprob: float | None = None
    score: float | None = None  # what the choice was made on, larger is better
    scored_tokens: int | None = None  # that logprob is the sum over; None: tokens, and the end token if there was one

    @classmethod
    def of(
        cls, text: str, tokens: int, logprob: float | None, finish: str, scored_tokens: int | None = None
    ) -> Candidate:
        """A candidate as files hold it: white space as single spaces, the log-probability to 4 decimals."""
        rounded = None if logprob is None else round(logprob, 4)
        return cls(" ".join(text.split()), tokens, rounded, finish, scored_tokens=scored_tokens)


@dataclass(frozen=True)
class Reply:
    """The reply to one example.

    Attributes:
        tokens: generated tokens, without the end token.
        logprob: as in TokenReply; None where the engine cannot tell.
        finish: "stop" or "length".
        dropped_turns: turns cut from the left of the context so that it fits the window.
        candidates: all candidates where there was more than one, the chosen one among them.
    """

    id: str
    text: str
    tokens: int
    logprob: float | None
    finish: str
    dropped_turns: int = 0
    candidates: tuple[Candidate, ...] = field(default=())

    @classmethod
    def of(cls, name: str, chosen: Candidate, dropped_turns: int, candidates: tuple[Candidate, ...] = ()) -> Reply:
        """The reply to example `name` that a chosen candidate makes."""
        return cls(name, chosen.text, chosen.tokens, chosen.logprob, chosen.finish, dropped_turns, candidates)


class Generator(Protocol):
    """What a run needs of a model: made by `dialoeval.generation.open_generator`."""

    def identity(self) -> dict[str, Any]:
        """Exactly what decides the replies besides decoding, data and seed: weights hash, tokenizer hash, prompt
        format, dtype, engine name and the version of its numerics."""
        ...

    def describe(self) -> dict[str, Any]:
        """For environment.json: engine that ran and why, device, parameter count, accounting."""
        ...

    def chunk_size(self) -> int:
        """Contexts a chunk that suit this engine and device."""
        ...

    def reply(self, examples: Sequence[Example], decoding: DecodingConfig, seed: int) -> Iterator[Reply]:
        """Yield one reply an example, in any order."""
        ...

    def close(self) -> None:
        """Stop worker processes and free memory."""
        ...
