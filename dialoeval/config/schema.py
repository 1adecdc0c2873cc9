"""The schema of every configuration group in conf/. A value that changes a reply or a figure is a field here.

Fields without a default must be set by the group's file. `None` means "not used". No library default decides
anything: what is not written here is not passed on. Each class checks itself when an object of it is made: a setting
out of range, or one that would silently have no effect, is a `UserError` that names the setting.
"""

from __future__ import annotations

import math
from collections.abc import Iterable
from dataclasses import dataclass, field
from enum import StrEnum
from typing import Any, TypeVar

from dialoeval.errors import UserError, nearest

MISSING: Any = "???"  # OmegaConf's mark of a value that must be set, written out so that OmegaConf is not imported


class Prompt(StrEnum):
    """How a dialogue becomes the model's input."""

    dialogpt = "dialogpt"  # every turn followed by the end-of-text token (DialoGPT, section 3.1)
    chat = "chat"  # the tokenizer's chat template, turns alternating user and assistant
    blenderbot = "blenderbot"  # encoder-decoder: turns joined by two spaces
    godel = "godel"  # encoder-decoder: "Instruction: ... [CONTEXT] turn EOS turn"


class Strategy(StrEnum):
    """How a reply is chosen from the model's distribution."""

    greedy = "greedy"
    beam = "beam"
    sample = "sample"


class Rerank(StrEnum):
    """How one of several sampled candidates is chosen."""

    none = "none"
    mmi = "mmi"  # lowest loss of the context given the candidate under a backward model (DialoGPT, section 3.2)
    classifier = "classifier"  # highest score of a sequence classifier (DialogRPT)


class Clean(StrEnum):
    """How texts are cleaned before they are scored."""

    none = "none"
    dstc7 = "dstc7"


# OmegaConf prints the names of members and identities hash their values: in every enumeration here they are equal.
class Dtype(StrEnum):
    """Number format in which an engine computes."""

    fp32 = "fp32"  # exact
    bf16 = "bf16"  # fast; replies may differ
    fp16 = "fp16"  # CUDA only


class Precision(StrEnum):
    """Number format in which training computes."""

    fp32 = "fp32"
    bf16 = "bf16"  # autocast on CUDA


class SaveDtype(StrEnum):
    """Number format of the weights that training writes."""

    fp32 = "fp32"
    fp16 = "fp16"  # half the size


class Direction(StrEnum):
    """Order of a dialogue's turns in training."""

    forward = "forward"
    backward = "backward"  # reversed, for MMI


class Tracker(StrEnum):
    """Experiment tracker that a finished run is reported to."""

    none = "none"
    wandb = "wandb"
    mlflow = "mlflow"
    tensorboard = "tensorboard"


@dataclass
class ModelConfig:
    name: str = MISSING  # as tables show it
    path: str = MISSING  # hub name, local folder, or an embedded model: "tiny", "smollm2"
    revision: str | None = None  # hub branch, tag or commit
    weights: str | None = None  # a state-dict file (.pkl of the DialoGPT release, .bin, .safetensors) over `path`'s
    prompt: Prompt = Prompt.dialogpt
    system_prompt: str | None = None  # chat prompts only
    instruction: str | None = None  # godel prompts only
    max_turns: int = 0  # keep only the last N turns of the context; 0 keeps all that fit the window
    backward: str | None = None  # model that scores context given reply, for rerank=mmi
    backward_revision: str | None = None
    backward_weights: str | None = None  # a state-dict file over `backward`'s, as `weights` is over `path`'s
    classifier: str | None = None  # sequence classifier, for rerank=classifier
    classifier_revision: str | None = None

    def __post_init__(self) -> None:
        self.prompt = _choice("model.prompt", self.prompt, Prompt)
        _check_ranges("model", self, (("max_turns", self.max_turns >= 0, "0 (all) or more"),))


@dataclass
class DecodingConfig:
    name: str = MISSING  # as tables show it
    strategy: Strategy = MISSING
    num_beams: int = 1
    length_penalty: float = 1.0  # beam: score = sum of log-probabilities / length ** length_penalty
    # beam: true, false or "never", as in transformers. Any, since OmegaConf 2.3 cannot merge two `bool | str` nodes.
    early_stopping: Any = False
    temperature: float = 1.0
    top_k: int = 0  # 0: off
    top_p: float = 1.0  # 1: off
    typical_p: float = 1.0  # 1: off
    min_p: float = 0.0  # 0: off
    repetition_penalty: float = 1.0  # 1: off
    no_repeat_ngram_size: int = 0  # 0: off
    min_new_tokens: int = 0
    max_new_tokens: int = 64  # the end token counts
    num_candidates: int = 1  # sampled candidates a context, for reranking
    rerank: Rerank = Rerank.none
    mmi_lambda: float = 1.0  # weight of the backward log-probability; 1 is the paper's (backward alone)
    mmi_length_normalised: bool = True  # the paper's loss is the mean over target tokens

    def __post_init__(self) -> None:
        self.strategy = _choice("decoding.strategy", self.strategy, Strategy)
        self.rerank = _choice("decoding.rerank", self.rerank, Rerank)
        _check_ranges("decoding", self, (
            ("num_beams", self.num_beams >= 1, "at least 1"),
            ("length_penalty", math.isfinite(self.length_penalty), "a number"),
            ("early_stopping", self.early_stopping == "never" or isinstance(self.early_stopping, bool),
             "true, false or never"),
            ("temperature", 0 < self.temperature < math.inf, "above 0 (for 0 take decoding.strategy=greedy)"),
            ("top_k", self.top_k >= 0, "0 (off) or more"),
            ("top_p", 0 < self.top_p <= 1, "above 0 and at most 1"),
            ("typical_p", 0 < self.typical_p <= 1, "above 0 and at most 1"),
            ("min_p", 0 <= self.min_p <= 1, "between 0 and 1"),
            ("repetition_penalty", 0 < self.repetition_penalty < math.inf, "above 0"),
            ("no_repeat_ngram_size", self.no_repeat_ngram_size >= 0, "0 (off) or more"),
            ("max_new_tokens", self.max_new_tokens >= 1, "at least 1"),
            ("min_new_tokens", 0 <= self.min_new_tokens <= self.max_new_tokens, "from 0 to max_new_tokens"),
            ("num_candidates", self.num_candidates >= 1, "at least 1"),
            ("mmi_lambda", 0 <= self.mmi_lambda <= 1, "between 0 and 1"),
        ))  # fmt: skip
        self._check_effects()

    def _check_effects(self) -> None:
        draws = {"temperature": 1, "top_k": 0, "top_p": 1, "typical_p": 1, "min_p": 0, "num_candidates": 1}
        for name, off in draws.items():
            if self.strategy in (Strategy.greedy, Strategy.beam) and getattr(self, name) != off:
                raise UserError(
                    f"decoding.{name}={getattr(self, name)} has no effect: decoding.strategy={self.strategy} draws "
                    "nothing (decoding.strategy=sample does)"
                )
        for name, off in {"num_beams": 1, "length_penalty": 1, "early_stopping": False}.items():
            if self.strategy in (Strategy.greedy, Strategy.sample) and getattr(self, name) != off:
                raise UserError(f"decoding.{name}={getattr(self, name)} has no effect without decoding.strategy=beam")
        if self.num_candidates > 1 and self.rerank == Rerank.none:
            raise UserError("decoding.num_candidates above 1 needs decoding.rerank=mmi or classifier, to choose one")
        if self.rerank != Rerank.none and self.num_candidates < 2:
            raise UserError(
                f"decoding.rerank={self.rerank} chooses among sampled candidates: decoding.strategy=sample and "
                "decoding.num_candidates of 2 or more"
            )
        if self.rerank != Rerank.mmi and (self.mmi_lambda != 1 or not self.mmi_length_normalised):
            raise UserError("decoding.mmi_lambda and mmi_length_normalised have no effect without decoding.rerank=mmi")


@dataclass
class ColumnsConfig:
    """Column names of a user's file or hub dataset. `context` may be a list column, a string, or several columns."""

    id: str | None = None  # none: "id" where there is such a column, else the row number
    context: Any = None  # none: "context"
    references: Any = None  # none: "references" or "reference" where there is one; []: no references
    turns: Any = None  # a whole conversation instead of context and references: every reply in it is an example
    turn_separator: str | None = None  # splits a string context into turns


@dataclass
class DatasetConfig:
    name: str = MISSING  # as tables show it
    kind: str = MISSING  # chitchat, file, hub, dstc7, reddit6k, or a plugin's
    path: str | None = None  # file, folder or hub name
    subset: str | None = None  # hub configuration name
    revision: str | None = None
    split: str = "test"
    context_turns: int = 0  # keep the last N turns of each context; 0 keeps all
    limit: int | None = None  # first N examples
    skip_bad: bool = False
    columns: ColumnsConfig = field(default_factory=ColumnsConfig)
    options: dict[str, Any] = field(default_factory=dict)  # settings of a plugin's kind, which the plugin checks

    def __post_init__(self) -> None:
        if self.limit is not None and self.limit < 1:
            raise UserError(f"dataset.limit must be at least 1, or null for all, not {self.limit}")
        if self.context_turns < 0:
            raise UserError(f"dataset.context_turns must be 0 (all) or more, not {self.context_turns}")


@dataclass
class ProtocolConfig:
    name: str = MISSING  # as signatures show it
    clean: Clean = Clean.none
    slots: int = 0  # reference slots a context; 0: every reference once
    held_out: int | None = None  # index of the human reply, never used as a reference
    empty_word: str | None = None  # what an empty line becomes in mteval and METEOR

    def __post_init__(self) -> None:
        self.clean = _choice("protocol.clean", self.clean, Clean)
        _check_ranges("protocol", self, (
            ("slots", self.slots >= 0, "0 (all) or more"),
            ("held_out", self.held_out is None or self.held_out >= 0, "null or 0 and more"),
        ))  # fmt: skip


@dataclass
class EngineConfig:
    name: str = "auto"  # auto: the first that supports the model and the decoding; or an engine by name
    device: str = "auto"  # auto, cpu, cuda, cuda:N
    dtype: Dtype = Dtype.fp32
    precision_sample: int = 64  # bf16, fp16: so many replies are made in fp32 too, to say how many differ; 0: none
    chunk: int = 0  # contexts a chunk: the unit of work that a killed run finishes or does again; 0 chooses
    batch_tokens: int = 0  # padded tokens a prefill; 0 chooses from free memory
    slots: int = 0  # concurrent sequences; 0 chooses
    workers: int = 0  # CPU processes, one thread each; 0: one a core, where there is enough work
    base_url: str | None = None  # openai: the server
    api_key_env: str = "OPENAI_API_KEY"  # openai: the environment variable that holds the key
    concurrency: int = 8  # openai: requests in flight
    requests_per_minute: int = 0  # openai: 0 is no limit
    timeout: float = 60.0  # openai: seconds a request
    retries: int = 5  # openai
    options: dict[str, Any] = field(default_factory=dict)  # settings of a plugin's engine, which the plugin checks

    def __post_init__(self) -> None:
        self.dtype = _choice("engine.dtype", self.dtype, Dtype)
        _check_ranges("engine", self, (
            ("precision_sample", self.precision_sample >= 0, "0 (none) or more"),
            ("chunk", self.chunk >= 0, "0 (chosen) or more"),
            ("batch_tokens", self.batch_tokens >= 0, "0 (chosen) or more"),
            ("slots", self.slots >= 0, "0 (chosen) or more"),
            ("workers", self.workers >= 0, "0 (one a core) or more"),
            ("concurrency", self.concurrency >= 1, "at least 1"),
            ("requests_per_minute", self.requests_per_minute >= 0, "0 (no limit) or more"),
            ("timeout", 0 < self.timeout < math.inf, "above 0"),
            ("retries", self.retries >= 0, "0 or more"),
        ))  # fmt: skip


@dataclass
class ScoringConfig:
    meteor: bool = True
    extra: list[str] = field(default_factory=list)  # other metrics, by name: see `dialoeval list metrics`
    resamples: int = 1000  # bootstrap resamples of the replies; 0: no intervals
    bootstrap_seed: int = 12345

    def __post_init__(self) -> None:
        _check_ranges("scoring", self, (
            ("resamples", self.resamples >= 0, "0 (no intervals) or more"),
            ("bootstrap_seed", self.bootstrap_seed >= 0, "0 or more"),
        ))  # fmt: skip


@dataclass
class RunConfig:
    model: ModelConfig = MISSING
    decoding: DecodingConfig = MISSING
    dataset: DatasetConfig = MISSING
    protocol: ProtocolConfig = MISSING
    engine: EngineConfig = MISSING
    scoring: ScoringConfig = field(default_factory=ScoringConfig)
    seed: int = 0
    reports_dir: str = "reports"
    tracker: Tracker = Tracker.none

    def __post_init__(self) -> None:
        self.tracker = _choice("tracker", self.tracker, Tracker)


@dataclass
class ArchitectureConfig:
    """Shape of a GPT-2 model made from random weights, and of the byte-level BPE vocabulary learned for it."""

    layers: int = 4
    width: int = 256
    heads: int = 4
    window: int = 256  # positions
    vocabulary: int = 4096  # tokens, the end-of-text token included
    tokenizer: str | None = None  # take this model's tokenizer instead of learning one


@dataclass
class TrainingConfig:
    """Optimisation settings of `dialoeval train`."""

    name: str = MISSING
    output_dir: str = MISSING
    direction: Direction = Direction.forward
    from_scratch: bool = False  # a new model of `architecture` instead of fine-tuning `model`
    architecture: ArchitectureConfig = field(default_factory=ArchitectureConfig)
    max_steps: int = 1000  # optimiser steps
    batch_tokens: int = 8192  # tokens an optimiser step, padding left out
    micro_batch_tokens: int = 8192  # padded tokens a forward pass; gradients add up to batch_tokens
    block_size: int = 256  # tokens a training sequence at most; longer dialogues are cut at turn boundaries
    learning_rate: float = 5e-4  # peak; linear warm-up, then a cosine down to a tenth of it
    warmup_steps: int = 100
    weight_decay: float = 0.01
    beta2: float = 0.95
    max_grad_norm: float = 1.0
    dropout: float = 0.0
    precision: Precision = Precision.fp32
    validation_split: str | None = "validation"  # none: no held-out evaluation
    validation_limit: int | None = None  # dialogues
    validation_path: str | None = None  # the held-out file of a dataset that has no splits
    log_every: int = 20  # steps
    eval_every: int = 200
    save_every: int = 200
    save_dtype: SaveDtype = SaveDtype.fp32

    def __post_init__(self) -> None:
        self.direction = _choice("training.direction", self.direction, Direction)
        self.precision = _choice("training.precision", self.precision, Precision)
        self.save_dtype = _choice("training.save_dtype", self.save_dtype, SaveDtype)
        positive = ("max_steps", "batch_tokens", "micro_batch_tokens", "log_every", "eval_every", "save_every")
        for name, least in (*((name, 1) for name in positive), ("block_size", 2)):
            if getattr(self, name) < least:
                raise UserError(f"training.{name} must be at least {least}, not {getattr(self, name)}")


@dataclass
class TrainConfig:
    model: ModelConfig = MISSING
    dataset: DatasetConfig = MISSING
    training: TrainingConfig = MISSING
    device: str = "auto"
    seed: int = 0

    def __post_init__(self) -> None:
        if self.device not in ("auto", "cpu", "cuda"):
            raise UserError(
                f"device must be auto, cpu or cuda, not {self.device!r} (CUDA_VISIBLE_DEVICES chooses among several "
                "GPUs)"
            )


_Choice = TypeVar("_Choice", bound=StrEnum)


def _choice(name: str, value: _Choice, kind: type[_Choice]) -> _Choice:
    """Return `value`, for which callers may give plain text, as a member of its enumeration.

    Raises:
        UserError: it is not one of the members, naming the nearest.
    """
    if value == MISSING:
        return value  # to be set later
    try:
        return kind(value)
    except ValueError as error:
        raise not_a_choice(name, value, kind) from error


def not_a_choice(name: str, value: object, known: Iterable[str]) -> UserError:
    """Return the error that says which values the setting `name` may have."""
    *others, last = map(str, known)
    choices = f"{', '.join(others)} or {last}" if others else last
    return UserError(f"{name} must be {choices}, not {value!r}{nearest(str(value), [*others, last])}")


def _check_ranges(group: str, config: object, ranges: Iterable[tuple[str, bool, str]]) -> None:
    for name, good, allowed in ranges:
        if not good:
            raise UserError(f"{group}.{name}={getattr(config, name)}: must be {allowed}")
