"""Records of a run folder: each reads, checks and writes itself, byte for byte as it was read."""

from __future__ import annotations

import sys
from collections.abc import Iterator, Mapping
from dataclasses import asdict, dataclass, field
from enum import StrEnum
from typing import Any, TypeGuard

from dialoeval.data.example import Example
from dialoeval.data.rows import text_field, texts_field
from dialoeval.errors import UserError
from dialoeval.files import sha256_json
from dialoeval.generation.types import Candidate, Reply, Retrieved
from dialoeval.version import __version__

SCHEMA = 1


class Status(StrEnum):
    """Of a run, in its manifest."""

    running = "running"
    complete = "complete"
    failed = "failed"


@dataclass(frozen=True)
class Manifest:
    """What manifest.json holds; with status complete, it vouches for the files beside it.

    Attributes:
        identity: exactly what decides the replies, as JSON values.
        examples: of the dataset.
        replies_sha256: of replies.jsonl, if the run is complete.
        references_sha256: of references.jsonl, if the run is complete.
        error: why the run failed.
        created_with: the version that wrote it.
    """

    status: Status
    identity: dict[str, Any]
    examples: int | None = None
    replies_sha256: str | None = None
    references_sha256: str | None = None
    error: str | None = None
    created_with: str = f"dialoeval {__version__}"

    def to_json(self) -> dict[str, Any]:
        """Return the object of manifest.json; what is None is left out."""
        further = {
            "examples": self.examples,
            "replies_sha256": self.replies_sha256,
            "references_sha256": self.references_sha256,
            "error": self.error,
        }
        return {
            "schema": SCHEMA,
            "status": self.status,
            "identity": self.identity,
            "identity_sha256": sha256_json(self.identity),
            "created_with": self.created_with,
            **{key: value for key, value in further.items() if value is not None},
        }

    @classmethod
    def from_json(cls, value: Any, where: str) -> Manifest:
        """Read the object of manifest.json; `where` names the file.

        Raises:
            UserError: it is damaged, or of another schema.
        """
        if not isinstance(value, dict) or not isinstance(value.get("identity"), dict):
            raise UserError(f"{where} is not a run's manifest; move the folder away to start afresh")
        if value.get("schema") != SCHEMA:
            raise UserError(
                f"{where} has schema {value.get('schema')!r}, this version reads {SCHEMA}: use the dialoeval that "
                "wrote it, or move the folder away"
            )
        try:
            status = Status(value["status"])
        except (KeyError, ValueError) as error:
            known = tuple(map(str, Status))
            raise UserError(f"{where}: field status is {value.get('status')!r}, not one of {known}") from error
        return cls(
            status=status,
            identity=value["identity"],
            examples=None if value.get("examples") is None else _whole(value, "examples", where),
            replies_sha256=_text_or_null(value, "replies_sha256", where),
            references_sha256=_text_or_null(value, "references_sha256", where),
            error=_text_or_null(value, "error", where),
            created_with=str(value.get("created_with", "")),
        )


@dataclass(frozen=True, slots=True)
class CandidateRow:
    """A candidate in a row of replies.jsonl: see `dialoeval.generation.types.Candidate`."""

    reply: str
    tokens: int
    logprob: float | None
    finish: str
    backward_logprob: float | None
    score: float | None

    @classmethod
    def of(cls, candidate: Candidate) -> CandidateRow:
        """Return the row of a candidate."""
        c = candidate
        return cls(c.text, c.tokens, c.logprob, c.finish, c.backward_logprob, c.score)

    def to_json(self) -> dict[str, Any]:
        """Return the entry under ``candidates``."""
        return {
            "reply": self.reply,
            "tokens": self.tokens,
            "logprob": self.logprob,
            "finish": self.finish,
            "backward_logprob": self.backward_logprob,
            "score": self.score,
        }

    @classmethod
    def from_json(cls, value: dict[str, Any], where: str) -> CandidateRow:
        """Read an entry under ``candidates``.

        Raises:
            UserError: naming the field that is wrong.
        """
        return cls(
            reply=text_field(value, "reply", where),
            tokens=_whole(value, "tokens", where),
            logprob=_number_or_null(value, "logprob", where),
            finish=text_field(value, "finish", where),
            backward_logprob=_number_or_null(value, "backward_logprob", where),
            score=_number_or_null(value, "score", where),
        )


@dataclass(frozen=True, slots=True)
class ReplyRow:
    """A row of replies.jsonl: the reply to one example.

    Attributes:
        id: of the example.
        context: its turns, oldest first.
        reply: the text.
        tokens: generated tokens, without the end token.
        logprob: sum of their natural-log probabilities, the end token's included; None if the engine gives none.
        finish: "stop" or "length"; a server's own finish reason may be another.
        dropped_turns: turns cut from the left of the context so that it fits the window.
        candidates: all candidates if there was more than one, the chosen one among them.
        refusal: why the server refused to reply; the reply is then empty.
        reasoning: the text in which the server's model reasoned before it replied.
        retrieved: the training pair that a baseline took the reply from.
    """

    id: str
    context: tuple[str, ...]
    reply: str
    tokens: int
    logprob: float | None
    finish: str
    dropped_turns: int
    candidates: tuple[CandidateRow, ...] = ()
    refusal: str | None = None
    reasoning: str | None = None
    retrieved: Retrieved | None = None

    @classmethod
    def of(cls, example: Example, reply: Reply) -> ReplyRow:
        """Return the row of the reply to an example."""
        return cls(
            id=example.id,
            context=example.context,
            reply=reply.text,
            tokens=reply.tokens,
            logprob=reply.logprob,
            finish=reply.finish,
            dropped_turns=reply.dropped_turns,
            candidates=tuple(map(CandidateRow.of, reply.candidates)),
            refusal=reply.refusal,
            reasoning=reply.reasoning,
            retrieved=reply.retrieved,
        )

    def to_json(self) -> dict[str, Any]:
        """Return the object of a line of replies.jsonl."""
        row: dict[str, Any] = {
            "id": self.id,
            "context": list(self.context),
            "reply": self.reply,
            "tokens": self.tokens,
            "logprob": self.logprob,
            "finish": self.finish,
            "dropped_turns": self.dropped_turns,
        }
        if self.candidates:
            row["candidates"] = [candidate.to_json() for candidate in self.candidates]
        for name, value in (("refusal", self.refusal), ("reasoning", self.reasoning)):
            if value is not None:
                row[name] = value
        if self.retrieved is not None:
            row["retrieved"] = asdict(self.retrieved)
        return row

    @classmethod
    def from_json(cls, value: dict[str, Any], where: str) -> ReplyRow:
        """Read the object of a line of replies.jsonl; `where` names file and line.

        Raises:
            UserError: naming the field that is wrong.
        """
        return cls(
            id=text_field(value, "id", where),
            context=texts_field(value, "context", where),
            reply=text_field(value, "reply", where),
            tokens=_whole(value, "tokens", where),
            logprob=_number_or_null(value, "logprob", where),
            finish=text_field(value, "finish", where),
            dropped_turns=_whole(value, "dropped_turns", where),
            candidates=tuple(_candidates(value, where)),
            refusal=_text_or_null(value, "refusal", where),
            reasoning=_text_or_null(value, "reasoning", where),
            retrieved=_retrieved(value, where),
        )


def _retrieved(value: dict[str, Any], where: str) -> Retrieved | None:
    if value.get("retrieved") is None:
        return None
    record = _object(value["retrieved"], f"{where}, retrieved")
    score, equal = record.get("score"), record.get("equal_context")
    if not is_number(score) or not isinstance(equal, bool):
        raise UserError(f'{where}: "retrieved" must have a number "score" and a true or false "equal_context"')
    return Retrieved(_whole(record, "document", where), score, equal)


def _candidates(value: dict[str, Any], where: str) -> Iterator[CandidateRow]:
    candidates = value.get("candidates", [])
    if not isinstance(candidates, list) or not all(isinstance(candidate, dict) for candidate in candidates):
        raise UserError(f'{where}: field "candidates" must be a list of objects')
    for i, candidate in enumerate(candidates):
        yield CandidateRow.from_json(candidate, f"{where}, candidate {i + 1}")


@dataclass(frozen=True)
class Precision:
    """What precision.json holds: how many replies of a sample float32 changes.

    Attributes:
        dtype: of the run.
        sample: replies generated again in float32.
        differing: those of them whose text or token count differs.
        share: differing / sample.
        interval: exact 95% interval of the share.
        ids: of the examples whose replies differ, sorted.
    """

    dtype: str
    sample: int
    differing: int
    share: float
    interval: tuple[float, float]
    ids: tuple[str, ...] = ()

    def to_json(self) -> dict[str, Any]:
        """Return the object of precision.json."""
        return {
            "dtype": self.dtype,
            "sample": self.sample,
            "differing": self.differing,
            "share": self.share,
            "interval": list(self.interval),
            "ids": list(self.ids),
        }

    @classmethod
    def from_json(cls, value: Any, where: str) -> Precision:
        """Read the object of precision.json; `where` names the file.

        Raises:
            UserError: naming the field that is wrong.
        """
        record = _object(value, where)
        dtype = text_field(record, "dtype", where)
        sample, differing = _whole(record, "sample", where), _whole(record, "differing", where)
        share, interval = record.get("share"), record.get("interval")
        if not is_number(share):
            raise UserError(f'{where}: field "share" must be a number')
        if not isinstance(interval, list) or len(interval) != 2 or not all(map(is_number, interval)):
            raise UserError(f'{where}: field "interval" must be a list of two numbers')
        ids = texts_field(record, "ids", where) if "ids" in record else ()
        return cls(dtype, sample, differing, share, (interval[0], interval[1]), ids)


@dataclass(frozen=True)
class Environment:
    """What environment.json holds: versions, device, engine and time of a run.

    A field that an older version did not write is None or empty.

    Attributes:
        dialoeval: version.
        code_revision: git commit of a checkout, with ``+changes`` if files differ.
        packages: {name: version}, None if it is not installed.
        generator: what ran and why, with its accounting, as JSON values.
        dataset: its name.
        examples: of the dataset.
        skipped: (where, why) of each line of the data that was skipped.
        reading: how the data was read: format, columns, settings, and what was left out, as JSON values.
        generated_now: replies that did not exist at the start.
        reused: {folder's name: number of replies} taken from runs that differ in their examples alone.
        seconds: of generation.
        peak_memory_mb: resident memory of the process, in MiB.
    """

    dialoeval: str | None = None
    code_revision: str | None = None
    python: str | None = None
    platform: str | None = None
    packages: dict[str, Any] = field(default_factory=dict)
    generator: dict[str, Any] = field(default_factory=dict)
    seed: int | None = None
    dataset: str | None = None
    examples: int | None = None
    skipped: tuple[tuple[str, ...], ...] = ()
    reading: dict[str, Any] = field(default_factory=dict)
    generated_now: int | None = None
    seconds: float | None = None
    replies_per_second: float | None = None
    peak_memory_mb: float | None = None
    precision: Precision | None = None
    reused: dict[str, Any] = field(default_factory=dict)

    def to_json(self) -> dict[str, Any]:
        """Return the object of environment.json."""
        return {
            "schema": SCHEMA,
            "dialoeval": self.dialoeval,
            "code_revision": self.code_revision,
            "python": self.python,
            "platform": self.platform,
            "packages": self.packages,
            "generator": self.generator,
            "seed": self.seed,
            "dataset": {
                "name": self.dataset,
                "examples": self.examples,
                "skipped": [list(line) for line in self.skipped],
                **({"reading": self.reading} if self.reading else {}),
            },
            "generated_now": self.generated_now,
            **({"reused": self.reused} if self.reused else {}),
            "seconds": self.seconds,
            "replies_per_second": self.replies_per_second,
            "peak_memory_mb": self.peak_memory_mb,
            "precision": None if self.precision is None else self.precision.to_json(),
        }

    @classmethod
    def from_json(cls, value: Any, where: str) -> Environment:
        """Read the object of environment.json; `where` names the file.

        Raises:
            UserError: naming the field that is wrong.
        """
        record = _object(value, where)
        packages, generator, dataset = (
            _object(record.get(name, {}), f'{where}: field "{name}"') for name in ("packages", "generator", "dataset")
        )
        skipped = dataset.get("skipped", [])
        if not isinstance(skipped, list) or not all(isinstance(line, list) for line in skipped):
            raise UserError(f'{where}: field "skipped" must be a list of lists')
        precision = record.get("precision")
        return cls(
            dialoeval=_text_or_null(record, "dialoeval", where),
            code_revision=_text_or_null(record, "code_revision", where),
            python=_text_or_null(record, "python", where),
            platform=_text_or_null(record, "platform", where),
            packages=packages,
            generator=generator,
            seed=_whole_or_null(record, "seed", where),
            dataset=_text_or_null(dataset, "name", where),
            examples=_whole_or_null(dataset, "examples", where),
            skipped=tuple(tuple(map(str, line)) for line in skipped),
            reading=dataset["reading"] if isinstance(dataset.get("reading"), dict) else {},
            generated_now=_whole_or_null(record, "generated_now", where),
            seconds=_number_or_null(record, "seconds", where),
            replies_per_second=_number_or_null(record, "replies_per_second", where),
            peak_memory_mb=_number_or_null(record, "peak_memory_mb", where),
            precision=None if precision is None else Precision.from_json(precision, f'{where}: field "precision"'),
            reused=_object(record.get("reused", {}), f'{where}: field "reused"'),
        )

    @property
    def engine(self) -> str | None:
        """The engine that ran."""
        engine = self.generator.get("engine")
        return None if engine is None else str(engine)


@dataclass(frozen=True)
class RunSettings:
    """What config.yaml holds, as the version that ran it wrote it: sections that `RunConfig` has now may be absent.

    Attributes:
        sections: {section or setting: values}; ``model``, ``decoding``, ``dataset`` and ``protocol`` are mappings.
    """

    sections: Mapping[str, Any]

    @classmethod
    def from_yaml(cls, text: str, where: str) -> RunSettings:
        """Read the text of config.yaml; `where` names the file.

        Raises:
            UserError: it is not YAML, or lacks a section that every run has.
        """
        import yaml

        try:
            sections = yaml.safe_load(text)
        except yaml.YAMLError as error:
            raise UserError(f"cannot read {where}: {' '.join(str(error).split())}") from error
        sections = sections if isinstance(sections, dict) else {}
        for name in ("model", "decoding", "dataset", "protocol"):
            if not isinstance(sections.get(name), dict):
                raise UserError(f"{where} is not a run's configuration: it has no section {name!r}")
        return cls(sections)

    @property
    def model(self) -> Mapping[str, Any]:
        """Settings of the model."""
        return self._section("model")

    @property
    def decoding(self) -> Mapping[str, Any]:
        """Settings of decoding."""
        return self._section("decoding")

    @property
    def dataset(self) -> Mapping[str, Any]:
        """Settings of the dataset."""
        return self._section("dataset")

    @property
    def protocol(self) -> Mapping[str, Any]:
        """Settings of the protocol."""
        return self._section("protocol")

    @property
    def engine(self) -> Mapping[str, Any]:
        """Settings of the engine; empty if an older version wrote none."""
        return self._section("engine")

    @property
    def seed(self) -> int | None:
        """Seed of the random draws."""
        return self.sections.get("seed")

    @property
    def name(self) -> str:
        """What tables call the run: see `system_name`."""
        return system_name(str(self.model.get("name")), str(self.decoding.get("name")), self.baseline)

    @property
    def baseline(self) -> str | None:
        """Kind of the baseline that replied in place of a model; None of a model."""
        baseline = self.model.get("baseline")
        return baseline.get("kind") if isinstance(baseline, dict) else None

    @property
    def is_mark(self) -> bool:
        """Whether it is a floor or the mark, which no table ranks."""
        return self.baseline in MARKS

    def flat(self) -> dict[str, Any]:
        """Return all settings under dotted keys, such as ``decoding.top_k``."""
        return flat(self.sections)

    def _section(self, name: str) -> Mapping[str, Any]:
        section = self.sections.get(name)
        return section if isinstance(section, dict) else {}


# What a baseline is in a table: a floor, which no system should stay below, or the mark that people set.
MARKS = {"constant": "floor", "random": "floor", "human": "mark"}


def system_name(model: str, decoding: str, baseline: str | None) -> str:
    """Return ``model decoding``; of a baseline, which decodes nothing, the model's name and what it is in a table."""
    if baseline is None:
        return f"{model} {decoding}"
    return f"{model} ({MARKS[baseline]})" if baseline in MARKS else model


def is_mark(name: str) -> bool:
    """Return whether a name of `system_name` is that of a floor or of the mark, which no table ranks."""
    return name.endswith(tuple(f" ({mark})" for mark in MARKS.values()))


def flat(values: Mapping[str, Any], prefix: str = "") -> dict[str, Any]:
    """Return nested mappings as one, with dotted keys; an empty mapping stays a value."""
    items: dict[str, Any] = {}
    for key, value in values.items():
        if isinstance(value, dict) and value:
            items |= flat(value, f"{prefix}{key}.")
        else:
            items[f"{prefix}{key}"] = value
    return items


def _object(value: Any, where: str) -> dict[str, Any]:
    if not isinstance(value, dict):
        raise UserError(f"{where}: expected a JSON object, found {type(value).__name__}")
    return value


def _whole(record: dict[str, Any], name: str, where: str) -> int:
    value = record.get(name)
    if not isinstance(value, int) or isinstance(value, bool):
        raise UserError(f'{where}: field "{name}" must be a whole number')
    return value


def _whole_or_null(record: dict[str, Any], name: str, where: str) -> int | None:
    return None if record.get(name) is None else _whole(record, name, where)


def _number_or_null(record: dict[str, Any], name: str, where: str) -> float | None:
    value: float | None = record.get(name)
    if value is not None and not is_number(value):
        raise UserError(f'{where}: field "{name}" must be a number or null')
    return value


def _text_or_null(record: dict[str, Any], name: str, where: str) -> str | None:
    return None if record.get(name) is None else text_field(record, name, where)


def is_number(value: Any) -> TypeGuard[float]:
    """Return whether a JSON value is a finite number."""
    return isinstance(value, int | float) and not isinstance(value, bool) and abs(value) <= sys.float_info.max
