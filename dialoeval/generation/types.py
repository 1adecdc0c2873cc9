"""What flows through generation: token requests in, token replies out; contexts in, candidates and replies out."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import asdict, dataclass, field
from typing import Any, Protocol

from dialoeval.config import DecodingConfig
from dialoeval.data.example import Example
from dialoeval.models.fingerprint import ModelIdentity

Accounting = dict[str, int | float | str]  # counters by name: seconds a phase, tokens, padding, slot use, peak memory

TORCH_DTYPES = {"fp32": "float32", "bf16": "bfloat16", "fp16": "float16"}  # engine.dtype -> torch's name


@dataclass(frozen=True)
class TokenRequest:
    """A context to continue.

    Attributes:
        example_id: keys the random draws of this context, whatever batch it is in.
        token_ids: the prompt, end-of-text tokens included; never empty.
        max_new_tokens: limit of this reply's tokens, the end token counted, if it is lower than the decoding's.
    """

    example_id: str
    token_ids: tuple[int, ...]
    max_new_tokens: int | None = None

    def limit(self, decoding: DecodingConfig) -> int:
        """Return how many tokens the reply may have, the end token counted, whatever the window.

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
        example_id: of its request.
        sample: 0 .. num_candidates-1.
        token_ids: the generated tokens without the end token.
        logprob: sum of the natural-log probabilities of the generated tokens, the end token included, under the
            model itself (no temperature, no filter, no penalty).
        finish: ``"stop"`` if the model ended the reply, ``"length"`` if max_new_tokens or the window did.
    """

    example_id: str
    sample: int
    token_ids: tuple[int, ...]
    logprob: float
    finish: str


@dataclass(frozen=True)
class Candidate:
    """A reply that was considered, with every score that decided.

    Attributes:
        text: with white space as single spaces.
        tokens: generated tokens, without the end token.
        logprob: as in `TokenReply`, to 4 decimals; None if the engine does not give it.
        finish: "stop" or "length".
        backward_logprob: of the context given this text under the backward model, in nats.
        score: what the choice was made on; larger is better.
        scored_tokens: tokens that logprob is the sum over; None: `tokens`, and the end token if there was one.
    """

    text: str
    tokens: int
    logprob: float | None
    finish: str
    backward_logprob: float | None = None
    score: float | None = None
    scored_tokens: int | None = None

    @classmethod
    def of(
        cls, text: str, tokens: int, logprob: float | None, finish: str, scored_tokens: int | None = None
    ) -> Candidate:
        """Return a candidate as files hold it: white space as single spaces, the log-probability to 4 decimals."""
        rounded = None if logprob is None else round(logprob, 4)
        return cls(" ".join(text.split()), tokens, rounded, finish, scored_tokens=scored_tokens)


@dataclass(frozen=True)
class CandidateSet:
    """The candidates of one example, in order of their sample index.

    Attributes:
        example_id: of the example.
        candidates: at least one.
        dropped_turns: turns cut from the left of the context so that it fits the window.
    """

    example_id: str
    candidates: tuple[Candidate, ...]
    dropped_turns: int


@dataclass(frozen=True)
class Reply:
    """The reply to one example.

    Attributes:
        tokens: generated tokens, without the end token.
        logprob: as in `TokenReply`; None if the engine does not give it.
        finish: "stop" or "length".
        dropped_turns: turns cut from the left of the context so that it fits the window.
        candidates: all candidates if there was more than one, the chosen one among them.
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
        """Return the reply to example `name` that a chosen candidate makes."""
        return cls(name, chosen.text, chosen.tokens, chosen.logprob, chosen.finish, dropped_turns, candidates)


@dataclass(frozen=True)
class RerankerDescription:
    """What chose among the candidates, for environment.json; None is left out of it."""

    model: str
    device: str
    engine: str | None = None
    accounting: Accounting | None = None

    def to_json(self) -> dict[str, Any]:
        """Return the fields that are set."""
        return {key: value for key, value in asdict(self).items() if value is not None}


@dataclass(frozen=True)
class GeneratorDescription:
    """What made the replies, for environment.json; None is left out of it.

    Attributes:
        engine: its name.
        accounting: its counters so far.
        reason: why this engine.
        device: "cpu", "cuda" or "cuda:N".
        dtype: precision of the weights; None if another program alone knows it.
        model: the loaded model's identity, with its path.
        parameters: numbers in the weights.
        window: positions that prompt and reply may fill together.
        settings: what else tells this generator from others, by name.
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
        """Return the record that environment.json holds."""
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
        name: of the engine.
        version: whatever changes its replies besides model, decoding and seed, as a JSON value: its module's `VERSION`,
            with the versions of packages and the settings of ``engine.options`` that matter. Part of a run's identity.
    """

    @property
    def name(self) -> str: ...

    @property
    def version(self) -> Any: ...

    def generate(self, requests: Sequence[TokenRequest], decoding: DecodingConfig, seed: int) -> Iterator[TokenReply]:
        """Yield num_candidates replies a request, in any order."""
        ...

    def score(self, pairs: Sequence[tuple[Sequence[int], Sequence[int]]]) -> list[float]:
        """Return the sum of log P(target | context) in nats of each (context, target) pair of tokens, in order."""
        ...

    def accounting(self) -> Accounting:
        """Return the counters since the start."""
        ...

    def close(self) -> None:
        """Stop worker processes and free memory."""
        ...


class CandidateSource(Protocol):
    """What gives the candidates of replies: an engine with its model, ready for one decoding."""

    def identity(self) -> dict[str, Any]:
        """Return exactly what decides the candidates besides decoding, data and seed: weights hash, tokenizer hash,
        prompt format, dtype, engine name and the version of its numerics."""
        ...

    def describe(self) -> GeneratorDescription:
        """Return what ran, where and why, with its accounting."""
        ...

    def chunk_size(self) -> int:
        """Return how many contexts a chunk suit this engine and device."""
        ...

    def prompt_length(self, example: Example, decoding: DecodingConfig) -> int:
        """Return the size of an example's prompt, in tokens or what the engine counts: chunks are ordered by it."""
        ...

    def candidates(self, examples: Sequence[Example], decoding: DecodingConfig, seed: int) -> Iterator[CandidateSet]:
        """Yield num_candidates candidates an example, in any order of the examples."""
        ...

    def close(self) -> None:
        """Stop worker processes and free memory."""
        ...


class Generator(Protocol):
    """What a run needs of a model; `dialoeval.generation.open_generator` opens one.

    Attributes:
        keyed_draws: True if a random draw depends on seed and example alone, so that another batch, dtype or device
            draws the same.
    """

    @property
    def keyed_draws(self) -> bool: ...

    def identity(self) -> dict[str, Any]:
        """Return exactly what decides the replies besides decoding, data and seed; see `CandidateSource`."""
        ...

    def describe(self) -> GeneratorDescription:
        """Return what ran, where and why, with its accounting and the reranker's."""
        ...

    def chunk_size(self) -> int:
        """Return how many contexts a chunk suit this engine and device."""
        ...

    def prompt_length(self, example: Example, decoding: DecodingConfig) -> int:
        """Return the size of an example's prompt: chunks are ordered by it."""
        ...

    def reply(self, examples: Sequence[Example], decoding: DecodingConfig, seed: int) -> Iterator[Reply]:
        """Yield one reply an example, in any order."""
        ...

    def close(self) -> None:
        """Stop worker processes and free memory."""
        ...
