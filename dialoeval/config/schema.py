"""The schema of every configuration group in conf/. A value that changes a reply or a figure is a field here.

Fields without a default must be set by the group's file. `None` means "not used". No library default decides
anything: what is not written here is not passed on.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from enum import StrEnum
from typing import Any

from omegaconf import MISSING


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
    none = "none"
    dstc7 = "dstc7"


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


@dataclass
class DecodingConfig:
    name: str = MISSING  # as tables show it
    strategy: Strategy = MISSING
    num_beams: int = 1
    length_penalty: float = 1.0  # beam: score = sum of log-probabilities / length ** length_penalty
    early_stopping: Any = False  # beam: true, false or "never", as in transformers
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
    kind: str = MISSING  # chitchat, file, hub, dstc7, reddit6k
    path: str | None = None  # file, folder or hub name
    subset: str | None = None  # hub configuration name
    revision: str | None = None
    split: str = "test"
    context_turns: int = 0  # keep the last N turns of each context; 0 keeps all
    limit: int | None = None  # first N examples
    skip_bad: bool = False
    columns: ColumnsConfig = field(default_factory=ColumnsConfig)


@dataclass
class ProtocolConfig:
    name: str = MISSING  # as signatures show it
    clean: Clean = Clean.none
    slots: int = 0  # reference slots a context; 0: every reference once
    held_out: int | None = None  # index of the human reply, never used as a reference
    empty_word: str | None = None  # what an empty line becomes in mteval and METEOR


@dataclass
class EngineConfig:
    name: str = "auto"  # auto: the first that supports the model and the decoding; or an engine by name
    device: str = "auto"  # auto, cpu, cuda, cuda:N
    dtype: str = "fp32"  # fp32 (exact), bf16 (fast; replies may differ), fp16 (CUDA only)
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
    options: dict[str, Any] = field(default_factory=dict)  # settings of a plugin's engine, which checks them


@dataclass
class ScoringConfig:
    meteor: bool = True
    extra: list[str] = field(default_factory=list)  # other metrics, by name: see `dialoeval list metrics`
    resamples: int = 1000  # bootstrap resamples of the replies; 0: no intervals
    bootstrap_seed: int = 12345


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
    tracker: str = "none"  # none, wandb, mlflow, tensorboard


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
    direction: str = "forward"  # forward: turns in order; backward: turns in reverse order, for MMI
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
    precision: str = "fp32"  # fp32, or bf16 (autocast on CUDA)
    validation_split: str | None = "validation"  # none: no held-out evaluation
    validation_limit: int | None = None  # dialogues
    validation_path: str | None = None  # the held-out file of a dataset that has no splits
    log_every: int = 20  # steps
    eval_every: int = 200
    save_every: int = 200
    save_dtype: str = "fp32"  # of the final weights; fp16 halves the file


@dataclass
class TrainConfig:
    model: ModelConfig = MISSING
    dataset: DatasetConfig = MISSING
    training: TrainingConfig = MISSING
    device: str = "auto"
    seed: int = 0
