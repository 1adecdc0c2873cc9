"""The data of generation (requests, replies, candidates, descriptions) and the protocols of its parts."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any, Protocol

from dialoeval.config import DatasetConfig, DecodingConfig
from dialoeval.data.example import Example
from dialoeval.models.fingerprint import ModelIdentity

Hear = Callable[[str], None]  # is told the text of a reply so far, again and again
Accounting = dict[str, int | float | str]  # counters by name: seconds per phase, tokens, padding, slot use, peak memory

TORCH_DTYPES = {"fp32": "float32", "bf16": "bfloat16", "fp16": "float16"}  # engine.dtype -> torch's name


@dataclass(frozen=True)
class TokenRequest:
    """A prompt to continue.

    Attributes:
        example_id: key of the random draws.
        token_ids: the prompt, end-of-text tokens included; never empty.
        max_new_tokens: limit of this reply's tokens, end token included, if it is lower than the decoding's.
    """

    example_id: str
    token_ids: tuple[int, ...]
    max_new_tokens: int | None = None

    def limit(self, decoding: DecodingConfig) -> int:
        """Return the limit of the reply's tokens, end token included, in an unlimited context length.

        Raises:
            ValueError: the request's limit is below 1.
        """
        if self.max_new_tokens is None:
            return decoding.max_new_tokens
        if self.max_new_tokens < 1:
            raise ValueError(f"max_new_tokens of request {self.example_id!r} is {self.max_new_tokens}, not 1 or more")
        return min(self.max_new_tokens, decoding.max_new_tokens)


@dataclass(frozen=True)
class TokenReply:
    """One continuation.

    Attributes:
        example_id: the request's.
        sample: index of the candidate, 0 to num_candidates - 1.
        token_ids: the generated tokens without the end token.
        logprob: log-probability of the generated tokens, end token included, in nats, under the model without
            temperature, filters and penalties.
        finish: ``"stop"`` if the model ended the reply, ``"length"`` if max_new_tokens or the context length did.
    """

    example_id: str
    sample: int
    token_ids: tuple[int, ...]
    logprob: float
    finish: str


@dataclass(frozen=True)
class Retrieved:
    """The training pair that a reply was taken from.

    Attributes:
        document: its number in the training set, from 0.
        score: of the ranking.
        equal_context: whether its context ends in the whole context that it answers, but for case and white space.
    """

    document: int
    score: float
    equal_context: bool


@dataclass(frozen=True)
class Candidate:
    """A possible reply with its scores.

    Attributes:
        text: with single spaces as white space.
        tokens: number of generated tokens, without the end token.
        logprob: see `TokenReply`, rounded to 4 decimals; None if the engine does not return it.
        finish: "stop" or "length"; a server's own finish reason may be another.
        backward_logprob: log-probability of the context given this text under the backward model, in nats.
        score: the reranker's score; larger is better.
        scored_tokens: number of tokens that logprob sums over; None: `tokens`, plus the end token if `finish` is
            "stop".
        refusal: a server's reason for its refusal to reply; the text is then empty.
        reasoning: the text in which a server's model reasoned before it replied.
        first_token: {text: log-probability} of the most probable first tokens, if a server was asked for them.
        retrieved: where a baseline took the text from.
    """

    text: str
    tokens: int
    logprob: float | None
    finish: str
    backward_logprob: float | None = None
    score: float | None = None
    scored_tokens: int | None = None
    refusal: str | None = None
    reasoning: str | None = None
    first_token: Mapping[str, float] | None = None
    retrieved: Retrieved | None = None

    @classmethod
    def of(
        cls, text: str, tokens: int, logprob: float | None, finish: str, scored_tokens: int | None = None
    ) -> Candidate:
        """Return a candidate with single spaces as white space and its log-probability rounded to 4 decimals."""
        rounded = None if logprob is None else round(logprob, 4)
        return cls(" ".join(text.split()), tokens, rounded, finish, scored_tokens=scored_tokens)


@dataclass(frozen=True)
class CandidateSet:
    """The candidates of one example.

    Attributes:
        candidates: at least one, in order of their sample index.
        dropped_turns: number of turns dropped from the context to fit the context length.
    """

    example_id: str
    candidates: tuple[Candidate, ...]
    dropped_turns: int


@dataclass(frozen=True)
class Reply:
    """The reply to one example.

    Attributes:
        tokens: number of generated tokens, without the end token.
        logprob: see `TokenReply`; None if the engine does not return it.
        finish: "stop" or "length"; a server's own finish reason may be another.
        dropped_turns: number of turns dropped from the context to fit the context length.
        candidates: all candidates if they were reranked, else empty.
        refusal, reasoning, retrieved: see `Candidate`.
    """

    id: str
    text: str
    tokens: int
    logprob: float | None
    finish: str
    dropped_turns: int = 0
    candidates: tuple[Candidate, ...] = field(default=())
    refusal: str | None = None
    reasoning: str | None = None
    retrieved: Retrieved | None = None

    @classmethod
    def of(cls, name: str, chosen: Candidate, dropped_turns: int, candidates: tuple[Candidate, ...] = ()) -> Reply:
        """Return the chosen candidate as the reply to example `name`."""
        c = chosen
        figures = (c.text, c.tokens, c.logprob, c.finish)
        return cls(name, *figures, dropped_turns, candidates, c.refusal, c.reasoning, c.retrieved)


@dataclass(frozen=True)
class RerankerDescription:
    """The reranker's entry in environment.json, which leaves out None."""

    kind: str
    model: ModelIdentity
    device: str
    engine: str | None = None
    accounting: Accounting | None = None

    def to_json(self) -> dict[str, Any]:
        """Return the fields that are set."""
        return {key: value for key, value in asdict(self).items() if value is not None}


@dataclass(frozen=True)
class GeneratorDescription:
    """The generator's entry in environment.json, which leaves out None.

    Attributes:
        engine: the engine's name.
        accounting: the engine's counters.
        reason: why this engine was chosen.
        device: "cpu", "cuda" or "cuda:N".
        dtype: precision of the weights; None if it is unknown, as for a server.
        model: identity and path of a model in this process.
        parameters: number of the model's parameters.
        window: context length in tokens, which prompt and reply share.
        settings: further settings by name.
    """

    engine: str
    accounting: Accounting = field(default_factory=dict)
    reason: str | None = None
    device: str | None = None
    dtype: str | None = None
    model: ModelIdentity | None = None
    parameters: int | None = None
    window: int | None = None
    settings: dict[str, Any] = field(default_factory=dict)
    reranker: RerankerDescription | None = None

    def to_json(self) -> dict[str, Any]:
        """Return the entry as JSON."""
        reranker = None if self.reranker is None else self.reranker.to_json()
        fields = {
            "engine": self.engine,
            "engine_reason": self.reason,
            "device": self.device,
            "dtype": self.dtype,
            "model": None if self.model is None else self.model.to_json(),
            "parameters": self.parameters,
            **self.settings,
            "window": self.window,
            "accounting": self.accounting,
            "reranker": reranker,
        }
        return {key: value for key, value in fields.items() if value is not None}


class TokenEngine(Protocol):
    """A causal or encoder-decoder model that continues and scores token sequences in this process.

    Attributes:
        name: the engine's name.
        version: a JSON value, part of a run's identity: everything but model, decoding and seed that changes replies,
            such as its module's `VERSION`, package versions and settings of ``engine.options``.
    """

    @property
    def name(self) -> str:
        """The engine's name."""
        ...

    @property
    def version(self) -> Any:
        """A JSON value that changes when replies may change."""
        ...

    def generate(self, requests: Sequence[TokenRequest], decoding: DecodingConfig, seed: int) -> Iterator[TokenReply]:
        """Yield num_candidates replies per request, in any order."""
        ...

    def score(self, pairs: Sequence[tuple[Sequence[int], Sequence[int]]]) -> list[float]:
        """Return log P(target | context) in nats for each (context, target) pair of token ids, in order."""
        ...

    def accounting(self) -> Accounting:
        """Return the engine's counters."""
        ...

    def close(self) -> None:
        """Stop worker processes and free memory."""
        ...


class CandidateSource(Protocol):
    """An engine with its model, which generates the candidates."""

    def identity(self) -> dict[str, Any]:
        """Return everything but decoding, data and seed that determines the candidates.

        These are the hashes of weights and tokenizer, the prompt format, the dtype, and the engine's name and version.
        """
        ...

    def describe(self) -> GeneratorDescription:
        """Return the generator's entry in environment.json, without the reranker."""
        ...

    def chunk_size(self) -> int:
        """Return the number of contexts per chunk that suits this engine and device."""
        ...

    def prompt_length(self, example: Example, decoding: DecodingConfig) -> int:
        """Return the size of an example's prompt in tokens or another unit of the engine; chunks are sorted by it."""
        ...

    def candidates(self, examples: Sequence[Example], decoding: DecodingConfig, seed: int) -> Iterator[CandidateSet]:
        """Yield num_candidates candidates per example, with the examples in any order."""
        ...

    def close(self) -> None:
        """Stop worker processes and free memory."""
        ...


class Generator(Protocol):
    """A model that replies, with its engine and reranker; `dialoeval.generation.open_generator` opens one.

    Attributes:
        keyed_draws: True if random draws depend only on seed and example, not on batch, dtype and device.
    """

    @property
    def keyed_draws(self) -> bool:
        """Whether random draws depend only on seed and example."""
        ...

    def identity(self) -> dict[str, Any]:
        """Return everything but decoding, data and seed that determines the replies; see `CandidateSource`."""
        ...

    def describe(self) -> GeneratorDescription:
        """Return the generator's entry in environment.json."""
        ...

    def chunk_size(self) -> int:
        """Return the number of contexts per chunk that suits this engine and device."""
        ...

    def prompt_length(self, example: Example, decoding: DecodingConfig) -> int:
        """Return the size of an example's prompt, by which chunks are sorted."""
        ...

    def prompt_text(self, example: Example, decoding: DecodingConfig) -> str:
        """Return an example's prompt as the model reads it."""
        ...

    def reply(self, examples: Sequence[Example], decoding: DecodingConfig, seed: int) -> Iterator[Reply]:
        """Yield one reply per example, in any order."""
        ...

    def stream(self, example: Example, decoding: DecodingConfig, seed: int, hear: Hear) -> Reply:
        """Return the reply to an example, the same as `reply`, and tell its text so far where the engine can.

        Args:
            example: with the context.
            decoding: as for `reply`.
            seed: of the draws.
            hear: told the text so far. After a fault of a server the text may begin anew.
        """
        ...

    def check_data(self, dataset: DatasetConfig, examples: Sequence[Example]) -> None:
        """Check that the engine may reply to a run's examples, before the first reply.

        Raises:
            UserError: a baseline has them as its training set.
        """
        ...

    def keep_answers(self, file: Path) -> None:
        """Keep every answer of a server in `file` as soon as it has come, and use those that it has."""
        ...

    def close(self) -> None:
        """Stop worker processes and free memory."""
        ...
