"""Schemas of the configuration groups in conf/. Every value that affects a reply or a figure is a field here.

The group's file must set the fields without a default. None means "not used". Library defaults never apply: an engine
passes on every field here and nothing else. Each class checks itself on construction: a setting that is out of range or
would have no effect raises a `UserError` that names it.
"""

from __future__ import annotations

import datetime
import math
from collections.abc import Callable, Iterable
from dataclasses import dataclass, field
from enum import StrEnum
from typing import Any, TypeVar

from dialoeval.config import effects
from dialoeval.errors import UserError, nearest

MISSING: Any = "???"  # OmegaConf's marker of a mandatory value; a literal saves the import


class Prompt(StrEnum):
    """Format of a dialogue as model input."""

    dialogpt = "dialogpt"  # the end-of-text token after every turn (DialoGPT, section 3.1)
    chat = "chat"  # the tokenizer's chat template; turns alternate between user and assistant
    blenderbot = "blenderbot"  # encoder-decoder: turns joined by two spaces
    godel = "godel"  # encoder-decoder: "Instruction: ... [CONTEXT] turn EOS turn"


class Strategy(StrEnum):
    """Search or sampling of a reply from the model's distribution."""

    greedy = "greedy"
    beam = "beam"
    sample = "sample"


class Rerank(StrEnum):
    """Choice among several sampled candidates."""

    none = "none"
    mmi = "mmi"  # the backward model's lowest loss of the context given the candidate (DialoGPT, section 3.2)
    classifier = "classifier"  # the highest score of a sequence classifier (DialogRPT)


class BaselineKind(StrEnum):
    """A system without weights that a table is read against."""

    constant = "constant"  # one text for every context
    random = "random"  # a reply drawn from a training set
    human = "human"  # the human reply that is no reference
    copy = "copy"  # the last turn of the context
    frequent = "frequent"  # the commonest reply of a training set
    bm25 = "bm25"  # the reply of the training pair that BM25 ranks first
    dense = "dense"  # the reply of the training pair whose sentence embedding is nearest


class RetrieveBy(StrEnum):
    """The side of a training pair that is compared with the last turn of the context."""

    context = "context"  # its last turn
    reply = "reply"


class Clean(StrEnum):
    """Cleaning of texts before scoring."""

    none = "none"
    dstc7 = "dstc7"


# In every enumeration, names equal values: OmegaConf prints the names, and identities hash the values.
class Dtype(StrEnum):
    """Number format of an engine's computation."""

    fp32 = "fp32"  # exact
    bf16 = "bf16"  # fast; replies may differ
    fp16 = "fp16"  # CUDA only


class OnRefusal(StrEnum):
    """What a run does when a server refuses one context."""

    record = "record"  # an empty reply with the server's reason
    stop = "stop"


class MaxTokensField(StrEnum):
    """Field of a request to a server that limits the reply's tokens."""

    auto = "auto"  # max_tokens, or max_completion_tokens for servers that refuse it
    max_tokens = "max_tokens"
    max_completion_tokens = "max_completion_tokens"


class Precision(StrEnum):
    """Number format of the computation in training."""

    fp32 = "fp32"
    bf16 = "bf16"  # autocast on CUDA


class SaveDtype(StrEnum):
    """Number format of the weights in a checkpoint."""

    fp32 = "fp32"
    fp16 = "fp16"  # half the size


class Direction(StrEnum):
    """Order of the turns of a dialogue in training."""

    forward = "forward"
    backward = "backward"  # reversed, for MMI


class Objective(StrEnum):
    """Tokens that a training predicts."""

    responses = "responses"  # every turn but the first: p(T_K, ..., T_2 | T_1) (DialoGPT, section 3.1)
    all = "all"  # every token but the first


class Cutting(StrEnum):
    """Cutting of dialogues longer than the block size, for objective=responses."""

    fit = "fit"  # every sequence fits; a cut one begins with the last turn as context; longer halves lose their end
    dialogpt = "dialogpt"  # as the published preparation: sequences that grow too long, and long turns, are left out


class Schedule(StrEnum):
    """Learning rate after the linear warm-up."""

    cosine = "cosine"  # half a cosine down to a tenth of the peak
    noam = "noam"  # by the inverse root of the step, scaled as in the DialoGPT release


class Keep(StrEnum):
    """Weights that a training leaves behind."""

    last = "last"
    best = "best"  # those of the evaluation with the lowest held-out loss


class Tracker(StrEnum):
    """Experiment tracker that receives the figures of a finished run."""

    none = "none"
    wandb = "wandb"
    mlflow = "mlflow"
    tensorboard = "tensorboard"


RETRIEVING = (BaselineKind.bm25, BaselineKind.dense)
TRAINED = (BaselineKind.random, BaselineKind.frequent, *RETRIEVING)  # baselines that read a training set


@dataclass
class BaselineConfig:
    """A baseline in place of a model."""

    kind: BaselineKind | None = None  # None: no baseline, but a model
    text: str = "i don't know what you mean ."  # constant: DSTC-7's (systems/constant-baseline.txt of its repository)
    dataset: str = "chitchat-train"  # random, frequent, bm25, dense: the training set, an option of dataset=
    settings: dict[str, Any] = field(default_factory=dict)  # of the training set, such as path: FILE
    by: RetrieveBy = RetrieveBy.context  # bm25, dense
    without_references: bool = False  # human: score its entropy, distinct-n and length alone, against no reference

    def __post_init__(self) -> None:
        if self.kind is not None:
            self.kind = _choice("model.baseline.kind", self.kind, BaselineKind)
        self.by = _choice("model.baseline.by", self.by, RetrieveBy)


@dataclass
class ModelConfig:
    """A model, its prompt format, and the models that rerank its candidates."""

    name: str = MISSING  # shown in tables
    path: str = MISSING  # Hub name, local folder, or one of "tiny", "tiny-backward" and "smollm2"
    revision: str | None = None  # branch, tag or commit on the Hub
    weights: str | None = None  # state-dict file (.pkl of the DialoGPT release, .bin, .safetensors), replaces `path`'s
    prompt: Prompt = Prompt.dialogpt
    system_prompt: str | None = None  # chat prompts only
    template_args: dict[str, Any] = field(default_factory=dict)  # of the chat template, such as enable_thinking: false
    template_date: str | None = None  # the day that a chat template which reads the clock sees; None: 2024-01-01
    instruction: str | None = None  # godel prompts only
    max_turns: int = 0  # the last N turns of the context; 0: all that fit the context length
    backward: str | None = None  # model of the context given the reply, for rerank=mmi
    backward_revision: str | None = None
    backward_weights: str | None = None  # state-dict file, replaces the weights of `backward`
    classifier: str | None = None  # sequence classifier, for rerank=classifier
    classifier_revision: str | None = None
    baseline: BaselineConfig = field(default_factory=BaselineConfig)  # a system without weights, in place of a model

    def __post_init__(self) -> None:
        self.prompt = _choice("model.prompt", self.prompt, Prompt)
        _check_ranges("model", self, (
            ("max_turns", self.max_turns >= 0, "0 (all) or more"),
            ("template_date", self.template_date is None or _is_day(self.template_date), "a day such as 2024-01-31"),
        ))  # fmt: skip
        if (kind := self.baseline.kind) is not None:
            others = {f"baseline-{other}" for other in BaselineKind if other != kind}
            if self.path != "baseline" or self.name in others:  # a table would name a system that did not reply
                raise UserError(
                    f"model.baseline.kind={kind} would reply under the name of {self.name}: use model=baseline-{kind} "
                    "(model.name=NAME renames it)"
                )


@dataclass
class DecodingConfig:
    """Decoding of replies: search, sampling filters, length limits and reranking."""

    name: str = MISSING  # shown in tables
    strategy: Strategy = MISSING
    num_beams: int = 1
    length_penalty: float = 1.0  # beam: score = sum of log-probabilities / length ** length_penalty
    # beam: true, false or "never", as in transformers. Any: OmegaConf 2.3 cannot merge two `bool | str` nodes.
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
    stop: list[str] = field(default_factory=list)  # a reply ends before the first of these texts; not for beam search
    end_tokens: list[Any] = field(default_factory=list)  # tokens (text or id) that end a reply besides the model's own
    num_candidates: int = 1  # sampled candidates per context, for reranking
    rerank: Rerank = Rerank.none
    mmi_lambda: float = 1.0  # weight of the backward log-probability; the paper's is 1 (backward alone)
    mmi_length_normalised: bool = True  # the paper's loss is the mean over target tokens
    max_length: int = 0  # tokens of prompt and reply together; 0: no limit of this kind
    checkpoint: bool = False  # every setting above is that of the model's own generation_config.json

    def __post_init__(self) -> None:
        self.strategy = _choice("decoding.strategy", self.strategy, Strategy)
        self.rerank = _choice("decoding.rerank", self.rerank, Rerank)
        _check_ranges("decoding", self, (
            ("num_beams", self.num_beams >= 1, "at least 1"),
            ("length_penalty", math.isfinite(self.length_penalty), "a finite number"),
            ("early_stopping", self.early_stopping == "never" or isinstance(self.early_stopping, bool),
             "true, false or never"),
            ("temperature", 0 < self.temperature < math.inf, "above 0 (for 0 use decoding.strategy=greedy)"),
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
            ("max_length", self.max_length == 0 or self.max_length >= 2, "0 (off), or 2 and more"),
            ("stop", _each(self.stop, lambda text: isinstance(text, str) and text != ""),
             "a list of texts that are not empty"),
            ("end_tokens", _each(self.end_tokens, lambda token: type(token) in (str, int) and token != ""),
             "a list of token texts or token ids"),
        ))  # fmt: skip
        effects.check_decoding(self)
        # a command line has no other way to write them: Hydra leaves backslashes as they are
        self.stop = [text.replace("\\n", "\n").replace("\\t", "\t") for text in self.stop]
        if self.stop and self.strategy == Strategy.beam:
            raise UserError(
                "decoding.stop does not work with decoding.strategy=beam: a beam's score would depend on text after "
                "its end; use decoding.end_tokens, or greedy search or sampling"
            )


@dataclass
class ColumnsConfig:
    """Columns of a user's file or Hub dataset: names, or positions from 0 in a table without a line of names.

    `context`, `references` and `turns` may name several columns: texts are taken in their order, lists are interleaved.
    """

    id: Any = None  # None: "id" if that column exists, else the row number
    context: Any = None  # None: guessed; a column of lists or of texts
    references: Any = None  # None: "references" or "reference", if that column exists; []: no references
    turns: Any = None  # whole conversations, in place of context and references: every reply is an example
    system: Any = None  # text for the system prompt
    text: Any = None  # the field of a turn (or column of an utterance) with its text; None: text, content, value, ...
    role: Any = None  # the field of a turn (or column of an utterance) with its speaker; None: role, from, speaker, ...
    replies_by: Any = None  # speakers whose turns are the replies (* stands for any text), or first, second, any
    responses: Any = None  # the field of a turn with the references of the reply to it
    group: Any = None  # one utterance a row: the column that is equal in the rows of a conversation
    order: Any = None  # one utterance a row: the column that orders them; None: the order of the rows
    where: dict[str, Any] = field(default_factory=dict)  # rows to use: {column: value, or list of values}
    turn_separator: Any = None  # text, or list of texts, that split a text into turns
    speaker_separator: str | None = None  # what stands before it in a turn is the speaker: ": "
    replace: dict[str, Any] = field(default_factory=dict)  # {text: what replaces it}, in every turn and reference

    def __post_init__(self) -> None:
        for name, value in vars(self).items():
            for column in value if isinstance(value, list) else [value]:
                if isinstance(column, bool | float):
                    raise UserError(
                        f"dataset.columns.{name}={str(column).lower()} names no column: give its name, or its "
                        "position from 0 in a table without a line of names"
                    )

    @property
    def by_position(self) -> bool:
        """Whether a column is named by its position, so that the table has no line of names."""
        return any(type(column) is int for column in _flat(list(vars(self).values())))


def _flat(values: Iterable[Any]) -> Iterable[Any]:
    for value in values:
        if isinstance(value, list):
            yield from _flat(value)
        else:
            yield value


@dataclass
class DatasetConfig:
    """A dataset: its source, its columns, and the part of it to use."""

    name: str = MISSING  # shown in tables
    kind: str = MISSING  # chitchat, file, hub, dstc7, reddit6k, or a plugin's
    path: str | None = None  # file, folder or Hub name
    subset: str | None = None  # configuration name on the Hub
    revision: str | None = None  # branch, tag or commit on the Hub
    split: str = "test"
    context_turns: int = 0  # the last N turns of each context; 0: all
    limit: int | None = None  # first N examples
    format: str | None = None  # jsonl, json, csv, csv_unquoted, tsv, parquet, text; None: told by the content
    shape: str | None = None  # the published dataset whose columns these are (dialoeval/data/shapes.py); None: guessed
    skip_bad: bool = False  # skip rows that cannot be read instead of raising an error
    allow_empty_context: bool = False  # reply to nothing where an example has no context
    columns: ColumnsConfig = field(default_factory=ColumnsConfig)
    options: dict[str, Any] = field(default_factory=dict)  # settings of a plugin's kind; the plugin checks them

    def __post_init__(self) -> None:
        if self.limit is not None and self.limit < 1:
            raise UserError(f"dataset.limit must be at least 1, or null for all, not {self.limit}")
        if self.context_turns < 0:
            raise UserError(f"dataset.context_turns must be 0 (all) or more, not {self.context_turns}")


@dataclass
class ProtocolConfig:
    """Evaluation protocol: cleaning of texts and choice of references."""

    name: str = MISSING  # shown in signatures
    clean: Clean = Clean.none
    slots: int = 0  # reference slots per context; 0: every reference once
    held_out: int | None = None  # index of the human reply, never used as a reference
    empty_word: str | None = None  # replaces an empty line in mteval and METEOR

    def __post_init__(self) -> None:
        self.clean = _choice("protocol.clean", self.clean, Clean)
        _check_ranges("protocol", self, (
            ("slots", self.slots >= 0, "0 (all) or more"),
            ("held_out", self.held_out is None or self.held_out >= 0, "null or 0 and more"),
        ))  # fmt: skip


# Fields of a request to a server that the harness sets itself.
OWN_FIELDS = frozenset({
    "model", "messages", "max_tokens", "max_completion_tokens", "temperature", "top_p", "n", "seed", "logprobs", "stop",
    "stream",
})  # fmt: skip


@dataclass
class EngineConfig:
    """Engine, device, number format and batching of generation."""

    name: str = "auto"  # auto: the first engine that supports the model and the decoding
    device: str = "auto"  # auto, cpu, cuda, cuda:N
    dtype: Dtype = Dtype.fp32
    precision_sample: int = 64  # bf16, fp16: replies generated again in fp32, to count those that differ; 0: none
    chunk: int = 0  # contexts per chunk, the unit of work that a killed run repeats; 0: automatic
    batch_tokens: int = 0  # padded tokens per prefill; 0: from free memory
    slots: int = 0  # concurrent sequences; 0: automatic
    workers: int = 0  # CPU processes of one thread each; 0: one per core if there is enough work
    base_url: str | None = None  # openai: address of the server
    api_key_env: str = "OPENAI_API_KEY"  # openai: environment variable of the key
    concurrency: int = 8  # openai: concurrent requests
    requests_per_minute: int = 0  # openai: 0: no limit
    timeout: float = 60.0  # openai: seconds per request
    retries: int = 5  # openai: per request
    on_refusal: OnRefusal = OnRefusal.record  # openai: what happens when the server refuses one context
    max_tokens_field: MaxTokensField = MaxTokensField.auto  # openai
    omit: list[str] = field(default_factory=list)  # openai: fields left out of requests: temperature, top_p, seed
    extra_body: dict[str, Any] = field(default_factory=dict)  # openai: further fields of every request
    options: dict[str, Any] = field(default_factory=dict)  # settings of a plugin's engine; the plugin checks them

    def __post_init__(self) -> None:
        self.dtype = _choice("engine.dtype", self.dtype, Dtype)
        self.on_refusal = _choice("engine.on_refusal", self.on_refusal, OnRefusal)
        self.max_tokens_field = _choice("engine.max_tokens_field", self.max_tokens_field, MaxTokensField)
        _check_ranges("engine", self, (
            ("precision_sample", self.precision_sample >= 0, "0 (none) or more"),
            ("chunk", self.chunk >= 0, "0 (automatic) or more"),
            ("batch_tokens", self.batch_tokens >= 0, "0 (automatic) or more"),
            ("slots", self.slots >= 0, "0 (automatic) or more"),
            ("workers", self.workers >= 0, "0 (one per core) or more"),
            ("concurrency", self.concurrency >= 1, "at least 1"),
            ("requests_per_minute", self.requests_per_minute >= 0, "0 (no limit) or more"),
            ("timeout", 0 < self.timeout < math.inf, "above 0"),
            ("retries", self.retries >= 0, "0 or more"),
            ("omit", set(self.omit) <= {"temperature", "top_p", "seed"}, "a list of temperature, top_p and seed"),
        ))  # fmt: skip
        if own := sorted(OWN_FIELDS.intersection(self.extra_body)):
            raise UserError(f"engine.extra_body.{own[0]}: this field of a request follows from other settings")


@dataclass
class ScoringConfig:
    """Metrics and confidence intervals."""

    meteor: bool = True
    extra: list[str] = field(default_factory=list)  # names of further metrics: see `dialoeval list metrics`
    resamples: int = 1000  # bootstrap resamples of the replies; 0: no intervals
    bootstrap_seed: int = 12345

    def __post_init__(self) -> None:
        _check_ranges("scoring", self, (
            ("resamples", self.resamples >= 0, "0 (no intervals) or more"),
            ("bootstrap_seed", self.bootstrap_seed >= 0, "0 or more"),
        ))  # fmt: skip


@dataclass
class RunConfig:
    """Settings of `dialoeval run`."""

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

    @property
    def draws(self) -> bool:
        """Whether replies are drawn at random, so that the seed decides them."""
        return self.decoding.strategy == Strategy.sample or self.model.baseline.kind == BaselineKind.random

    @property
    def reads_system_texts(self) -> bool:
        """Whether the prompt has a place for the system text of an example."""
        return self.model.prompt == Prompt.chat or self.engine.name == "openai"


@dataclass
class ArchitectureConfig:
    """Shape of a GPT-2 model trained from scratch, and of its byte-level BPE vocabulary."""

    layers: int = 4
    width: int = 256
    heads: int = 4
    window: int = 256  # context length in tokens
    vocabulary: int = 4096  # tokens, the end-of-text token included
    tokenizer: str | None = None  # model whose tokenizer is used; None: learn one

    def __post_init__(self) -> None:
        _check_ranges("training.architecture", self, (
            *((name, getattr(self, name) >= 1, "at least 1") for name in ("layers", "width", "heads")),
            ("window", self.window >= 2, "at least 2"),
            ("vocabulary", self.vocabulary >= 257, "at least 257 (256 bytes and the end-of-text token)"),
        ))  # fmt: skip
        if self.width % self.heads:
            raise UserError(f"training.architecture: width={self.width} is not a multiple of heads={self.heads}")


@dataclass
class LoraConfig:
    """Adapters of low rank that are trained in place of the weights."""

    rank: int = 0  # 0: train all weights
    alpha: int = 16  # the adapters' product is scaled by alpha / rank
    dropout: float = 0.0  # of the adapters' input
    targets: list[str] | None = None  # names of the layers; None: those that peft chooses for the architecture

    def __post_init__(self) -> None:
        _check_ranges("training.lora", self, (
            ("rank", self.rank >= 0, "0 (off) or more"),
            ("alpha", self.alpha >= 1, "at least 1"),
            ("dropout", 0 <= self.dropout < 1, "at least 0 and below 1"),
            ("targets", self.targets is None or (bool(self.targets) and all(self.targets)),
             "null or a list of names of layers"),
        ))  # fmt: skip


@dataclass
class TrainingConfig:
    """Optimisation settings of `dialoeval train`."""

    name: str = MISSING
    output_dir: str = MISSING
    direction: Direction = Direction.forward
    objective: Objective = Objective.responses
    cutting: Cutting = Cutting.fit
    lora: LoraConfig = field(default_factory=LoraConfig)
    from_scratch: bool = False  # train a new model of `architecture` instead of fine-tuning `model`
    architecture: ArchitectureConfig = field(default_factory=ArchitectureConfig)
    max_steps: int | None = None  # optimiser steps; None: 1000, or those of `epochs`
    epochs: float | None = None  # passes over the data, in place of max_steps
    batch_tokens: int = 8192  # tokens per optimiser step, without padding
    micro_batch_tokens: int = 8192  # padded tokens per forward pass; gradients accumulate over batch_tokens
    block_size: int = 256  # greatest length of a training sequence in tokens; longer dialogues are split between turns
    learning_rate: float = 5e-4  # peak of the cosine; noam multiplies it by its own scale
    schedule: Schedule = Schedule.cosine
    warmup_steps: int = 100
    weight_decay: float = 0.01
    beta2: float = 0.95
    max_grad_norm: float = 1.0  # longer gradients are scaled to this length; 0: off
    dropout: float = 0.0
    precision: Precision = Precision.fp32
    validation_split: str | None = "validation"  # None: no held-out evaluation
    validation_limit: int | None = None  # dialogues
    validation_path: str | None = None  # held-out file of a dataset without splits
    log_every: int = 20  # steps
    eval_every: int = 200  # steps
    save_every: int = 200  # steps
    save_dtype: SaveDtype = SaveDtype.fp32
    keep: Keep = Keep.last  # the weights that are kept
    patience: int = 0  # stop after this many evaluations in a row without a lower held-out loss; 0: off
    keep_state: bool = False  # keep the optimiser's state at the end, to train further

    def __post_init__(self) -> None:
        self.direction = _choice("training.direction", self.direction, Direction)
        self.objective = _choice("training.objective", self.objective, Objective)
        self.cutting = _choice("training.cutting", self.cutting, Cutting)
        self.schedule = _choice("training.schedule", self.schedule, Schedule)
        self.precision = _choice("training.precision", self.precision, Precision)
        self.save_dtype = _choice("training.save_dtype", self.save_dtype, SaveDtype)
        self.keep = _choice("training.keep", self.keep, Keep)
        if not self.output_dir.strip():
            raise UserError("training.output_dir is empty: name the folder of the trained model")
        if self.max_steps is not None and self.epochs is not None:
            raise UserError(
                f"training.max_steps={self.max_steps} and training.epochs={self.epochs:g} both say how long to train: "
                "set one of them to null"
            )
        if self.max_steps is None and self.epochs is None:
            self.max_steps = 1000
        positive = ("max_steps", "batch_tokens", "micro_batch_tokens", "log_every", "eval_every", "save_every")
        for name, least in (*((name, 1) for name in positive), ("block_size", 2)):
            if (value := getattr(self, name)) is not None and value < least:
                raise UserError(f"training.{name} must be at least {least}, not {value}")
        _check_ranges("training", self, (
            ("epochs", self.epochs is None or 0 < self.epochs < math.inf, "above 0"),
            ("learning_rate", 0 < self.learning_rate < math.inf, "above 0"),
            ("warmup_steps", self.warmup_steps >= (self.schedule == Schedule.noam),
             "at least 1 with training.schedule=noam" if self.schedule == Schedule.noam else "0 (none) or more"),
            ("weight_decay", 0 <= self.weight_decay < math.inf, "0 (none) or more"),
            ("beta2", 0 <= self.beta2 < 1, "at least 0 and below 1"),
            ("max_grad_norm", 0 <= self.max_grad_norm < math.inf, "0 (off) or more"),
            ("dropout", 0 <= self.dropout < 1, "at least 0 and below 1"),
            ("validation_limit", self.validation_limit is None or self.validation_limit >= 1, "at least 1, or null"),
            ("patience", self.patience >= 0, "0 (off) or more"),
        ))  # fmt: skip
        if self.from_scratch and self.block_size > self.architecture.window:
            raise UserError(
                f"training.block_size={self.block_size} exceeds the model's context length of "
                f"{self.architecture.window} tokens (training.architecture.window)"
            )


@dataclass
class TrainConfig:
    """Settings of `dialoeval train`."""

    model: ModelConfig = MISSING
    dataset: DatasetConfig = MISSING
    training: TrainingConfig = MISSING
    device: str = "auto"
    seed: int = 0

    def __post_init__(self) -> None:
        if self.model != MISSING and self.model.baseline.kind is not None:
            raise UserError(f"model={self.model.name} is a baseline without weights: there is nothing to train")
        if not 0 <= self.seed < 2**32:
            raise UserError(f"seed={self.seed}: must be at least 0 and below 2**32")
        if self.device not in ("auto", "cpu", "cuda"):
            raise UserError(
                f"device must be auto, cpu or cuda, not {self.device!r} (CUDA_VISIBLE_DEVICES selects one of several "
                "GPUs)"
            )


# The schema of each group of conf/.
GROUPS = {
    "model": ModelConfig,
    "decoding": DecodingConfig,
    "dataset": DatasetConfig,
    "protocol": ProtocolConfig,
    "engine": EngineConfig,
    "training": TrainingConfig,
}

_Choice = TypeVar("_Choice", bound=StrEnum)


def _choice(name: str, value: _Choice, kind: type[_Choice]) -> _Choice:
    """Return a value, which may be plain text, as a member of its enumeration. A missing value stays missing.

    Raises:
        UserError: the value is not a member; the message suggests the nearest.
    """
    if value == MISSING:
        return value
    try:
        return kind(value)
    except ValueError as error:
        raise not_a_choice(name, value, kind) from error


def not_a_choice(name: str, value: object, known: Iterable[str]) -> UserError:
    """Return the error that lists the valid values of the setting `name`."""
    *others, last = map(str, known)
    choices = f"{', '.join(others)} or {last}" if others else last
    return UserError(f"{name} must be {choices}, not {value!r}{nearest(str(value), [*others, last])}")


def _is_day(text: str) -> bool:
    try:
        return datetime.date.fromisoformat(text).isoformat() == text
    except ValueError:
        return False


def _each(values: object, allowed: Callable[[object], bool]) -> bool:
    """Return whether `values` is a list and each of them is allowed."""
    return isinstance(values, list) and all(map(allowed, values))


def _check_ranges(group: str, config: object, ranges: Iterable[tuple[str, bool, str]]) -> None:
    for name, in_range, allowed in ranges:
        if not in_range:
            raise UserError(f"{group}.{name}={getattr(config, name)}: must be {allowed}")
