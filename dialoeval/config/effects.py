"""Which setting belongs to what: the one table of settings that have an effect only beside another setting.

A setting that the user gave and that would do nothing is refused by name. What an option of conf/ brings along for
other uses (the backward model of a model that replies greedily) is not.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable
from dataclasses import dataclass
from pathlib import Path
from types import SimpleNamespace
from typing import Any, Protocol

from dialoeval.errors import UserError

# The kinds and engines that are known here; a plugin's may read any setting.
KINDS = ("chitchat", "cornell", "dialogpt_tsv", "dstc7", "file", "hub", "oasst", "parlai", "reddit6k")
_IN_FILES = ("file", "cornell", "dialogpt_tsv", "dstc7", "oasst", "parlai", "reddit6k")  # kinds that read files
_CONVERSATIONS = ("chitchat", "cornell", "file", "hub", "parlai")  # kinds that give whole dialogues to train on
_ELSEWHERE = ("openai", "vllm")  # engines that do not run the model in this process with PyTorch


class Given(Protocol):
    """What the user set: `dialoeval.config.provenance.Provenance`."""

    choices: dict[str, str]

    def is_given(self, name: str) -> bool:
        """Return whether the user set a setting, or chose the option of a group."""
        ...


@dataclass(frozen=True)
class Needs:
    """A condition on the other settings.

    Attributes:
        words: what must be, in terms of settings.
        holds: whether it is so, for a RunConfig or TrainConfig.
        setting: dotted name of the setting whose value the message tells; None: `words` say enough.
    """

    words: str
    holds: Callable[[Any], bool]
    setting: str | None = None


@dataclass(frozen=True)
class Effect:
    """A row of the table: settings that do nothing unless a condition holds.

    Attributes:
        command: ``run``, ``train``, or ``run, train``.
        settings: dotted names; a name without a dot is a group, whose option was chosen.
        needs: the condition.
        off: values besides the schema's default that ask for nothing.
    """

    command: str
    settings: tuple[str, ...]
    needs: Needs
    off: tuple[Any, ...] = ()


def _value(config: Any, name: str) -> Any:
    for part in name.split("."):
        config = getattr(config, part)
    return config


def _is(setting: str, *values: str) -> Needs:
    words = " or ".join([f"{setting}={values[0]}", *values[1:]])
    return Needs(words, lambda config: _value(config, setting) in values, setting)


def _kind(*kinds: str) -> Needs:
    def holds(config: Any) -> bool:
        return config.dataset.kind in kinds or config.dataset.kind not in KINDS

    return Needs(f"dataset.kind={' or '.join(kinds)}", holds, "dataset.kind")


def _not_decoding_elsewhere(*engines: str) -> Callable[[Any], bool]:
    """Return whether none of these engines runs, or a reranking model runs in this process beside it."""
    return lambda config: config.engine.name not in engines or config.decoding.rerank != "none"


def _several_files(config: Any) -> bool:
    path = config.dataset.path
    if config.dataset.kind not in _IN_FILES:
        return True
    if path is None or config.dataset.kind in ("cornell", "reddit6k"):
        return False
    return Path(path).expanduser().is_dir()  # a file or a pattern names its part of the data already


def _settings(group: str, names: str) -> tuple[str, ...]:
    return tuple(f"{group}.{name}" for name in names.split())


_SERVER = Needs("engine=openai", lambda c: c.engine.name not in ("auto", "fast", "hf", "vllm"), "engine.name")
_LOCAL = Needs("a model in this process", lambda c: c.engine.name != "openai", "engine.name")
_MODEL = Needs(
    "a model: model.baseline.kind=null",
    lambda c: getattr(c, "model", None) is None or c.model.baseline.kind is None,
    "model.baseline.kind",
)
_SAMPLE = _is("decoding.strategy", "sample")
_BEAM = _is("decoding.strategy", "beam")
_MMI = _is("decoding.rerank", "mmi")
_CLASSIFIER = _is("decoding.rerank", "classifier")
_FROM_SCRATCH = Needs("training.from_scratch=true", lambda c: c.training.from_scratch, "training.from_scratch")
_FINE_TUNING = Needs("training.from_scratch=false", lambda c: not c.training.from_scratch, "training.from_scratch")
_READS_CHAT = Needs(
    "model.prompt=chat or engine=openai",
    lambda c: c.model.prompt == "chat" or c.engine.name == "openai",
    "model.prompt",
)
_CHECKPOINT = Needs(
    "decoding.checkpoint=false (true takes every setting from the model's generation_config.json)",
    lambda c: not c.decoding.checkpoint,
    "decoding.checkpoint",
)
_NEVER = Needs("`dialoeval run`: training does not read it", lambda c: False)
_EXAMPLES = Needs(
    "model.prompt=chat, or dataset.kind=" + " or ".join(kind for kind in KINDS if kind not in _CONVERSATIONS),
    lambda c: c.model.prompt == "chat" or c.dataset.kind not in _CONVERSATIONS,
    "dataset.kind",
)
_HELD_OUT = Needs(
    "training.validation_path, or training.validation_split and a dataset with splits (chitchat, hub)",
    lambda c: (
        c.training.validation_path is not None
        or (c.training.validation_split is not None and c.dataset.kind not in set(KINDS) - {"chitchat", "hub"})
    ),
)

TABLE = (
    # baselines, which have no weights and decode nothing
    Effect("run", ("decoding", *_settings("decoding", "max_new_tokens checkpoint stop end_tokens")), _MODEL,
           off=("greedy",)),
    Effect("run", _settings("decoding", "strategy num_beams length_penalty early_stopping temperature top_k top_p "
                            "typical_p min_p repetition_penalty no_repeat_ngram_size min_new_tokens max_length "
                            "num_candidates rerank mmi_lambda mmi_length_normalised"), _MODEL, off=("greedy",)),
    Effect("run", _settings("model", "path max_turns revision weights prompt system_prompt template_args template_date "
                            "instruction backward backward_revision backward_weights classifier classifier_revision"),
           _MODEL),
    Effect("run", ("engine",), _MODEL, off=("auto", "baseline")),
    Effect("run", _settings("engine", "device dtype precision_sample batch_tokens slots workers base_url api_key_env "
                            "concurrency requests_per_minute timeout retries on_refusal max_tokens_field omit "
                            "extra_body"), _MODEL, off=("auto",)),
    Effect("run", ("model.baseline.text",), _is("model.baseline.kind", "constant")),
    Effect("run", _settings("model.baseline", "dataset settings"),
           _is("model.baseline.kind", "random", "frequent", "bm25", "dense")),
    Effect("run", ("model.baseline.by",), _is("model.baseline.kind", "bm25", "dense")),
    Effect("run", ("model.baseline.without_references",), _is("model.baseline.kind", "human")),
    Effect("train", _settings("model.baseline", "kind text dataset settings by without_references"), _NEVER),
    # decoding
    Effect("run", _settings("decoding", "strategy num_beams length_penalty early_stopping temperature top_k top_p "
                            "typical_p min_p repetition_penalty no_repeat_ngram_size min_new_tokens max_length "
                            "num_candidates rerank"), _CHECKPOINT, off=("greedy",)),
    Effect("run", _settings("decoding", "temperature top_k top_p typical_p min_p num_candidates"), _SAMPLE),
    Effect("run", _settings("decoding", "num_beams length_penalty early_stopping"), _BEAM),
    Effect("run", ("decoding.num_candidates",),
           Needs("decoding.rerank=mmi or classifier", lambda c: c.decoding.rerank != "none", "decoding.rerank")),
    Effect("run", ("decoding.rerank",),
           Needs("decoding.strategy=sample and decoding.num_candidates of 2 or more, to choose among",
                 lambda c: c.decoding.num_candidates > 1)),
    Effect("run", _settings("decoding", "mmi_lambda mmi_length_normalised"), _MMI),
    # model
    Effect("run", _settings("model", "backward backward_revision backward_weights"), _MMI),
    Effect("run", _settings("model", "classifier classifier_revision"), _CLASSIFIER),
    Effect("run", ("model.system_prompt",), _READS_CHAT, off=("",)),
    Effect("run", ("model.instruction",), _is("model.prompt", "godel"), off=("",)),
    Effect("run", ("model.instruction",), _LOCAL, off=("",)),
    Effect("run", ("model.template_args",), _READS_CHAT),
    Effect("run", ("model.template_date",), _is("model.prompt", "chat")),
    Effect("run", ("model.template_date",), _LOCAL),
    Effect("run", _settings("model", "revision weights"), _LOCAL),
    Effect("run", ("model.prompt",), _LOCAL, off=("chat",)),
    Effect("train", _settings("model", "system_prompt max_turns template_args template_date"),
           _is("model.prompt", "chat"), off=("",)),
    Effect("train", _settings("model", "instruction backward backward_revision backward_weights classifier "
                              "classifier_revision"), _NEVER),
    Effect("train", ("model", *_settings("model", "path revision weights")), _FINE_TUNING, off=("tiny",)),
    # engine
    Effect("run", _settings("engine", "base_url api_key_env concurrency requests_per_minute timeout retries on_refusal "
                            "max_tokens_field omit extra_body"), _SERVER),
    Effect("run", ("engine.dtype",), _LOCAL),
    Effect("run", ("engine.device",),
           Needs("a model in this process (engine=auto, fast or hf)", _not_decoding_elsewhere(*_ELSEWHERE),
                 "engine.name"), off=("auto",)),
    Effect("run", ("engine.batch_tokens",),
           Needs("engine=auto, fast or hf", _not_decoding_elsewhere(*_ELSEWHERE), "engine.name")),
    Effect("run", _settings("engine", "slots workers"),
           Needs("engine=auto or fast", lambda c: c.engine.name != "hf" and _not_decoding_elsewhere(*_ELSEWHERE)(c),
                 "engine.name")),
    Effect("run", ("engine.precision_sample",),
           Needs("engine=auto, fast or hf", lambda c: c.engine.name not in _ELSEWHERE, "engine.name"), off=(0,)),
    Effect("run", ("engine.precision_sample",),
           Needs("engine.dtype=bf16 or fp16", lambda c: c.engine.dtype != "fp32", "engine.dtype"), off=(0,)),
    # dataset
    Effect("run, train", ("dataset.path",), _kind(*(kind for kind in KINDS if kind != "chitchat"))),
    Effect("run, train", _settings("dataset", "subset revision"), _kind("hub")),
    Effect("run, train", ("dataset.split",),
           Needs("a dataset with splits: chitchat, dstc7, hub, or a folder of files", _several_files, "dataset.kind")),
    Effect("run, train", ("dataset.format",), _kind("file")),
    Effect("run, train", ("dataset.shape",), _kind("file", "hub")),
    Effect("run, train", _settings("dataset.columns", "id context references turns system text role replies_by "
                                   "responses group order where turn_separator speaker_separator replace"),
           _kind("file", "hub", "cornell")),
    Effect("run, train", ("dataset.skip_bad",), _kind(*(kind for kind in KINDS if kind != "chitchat"))),
    Effect("train", _settings("dataset", "context_turns allow_empty_context"), _EXAMPLES),
    # protocol and scoring
    Effect("run", ("scoring.bootstrap_seed",),
           Needs("scoring.resamples above 0", lambda c: c.scoring.resamples > 0, "scoring.resamples")),
    Effect("run", ("protocol.held_out",),
           Needs("protocol.slots of 0, or above protocol.held_out: no slot falls on that reference",
                 lambda c: not c.protocol.slots or c.protocol.held_out < c.protocol.slots, "protocol.slots")),
    # training
    Effect("train", _settings("training.architecture", "layers width heads window vocabulary tokenizer"),
           _FROM_SCRATCH),
    Effect("train", ("training.architecture.vocabulary",),
           Needs("training.architecture.tokenizer=null: a tokenizer brings its own vocabulary",
                 lambda c: c.training.architecture.tokenizer is None)),
    Effect("train", ("training.validation_split",),
           Needs("training.validation_path=null: the held-out file is that one",
                 lambda c: c.training.validation_path is None)),
    Effect("train", ("training.validation_split",),
           _kind("chitchat", "hub")),
    Effect("train", ("training.validation_path",), _kind(*(kind for kind in KINDS if kind != "chitchat"))),
    Effect("train", _settings("training", "validation_limit eval_every keep patience"), _HELD_OUT, off=("last",)),
    Effect("train", _settings("training", "direction objective"), _is("model.prompt", "dialogpt")),
    Effect("train", ("training.cutting",),
           Needs("training.objective=responses and model.prompt=dialogpt",
                 lambda c: c.training.objective == "responses" and c.model.prompt == "dialogpt")),
    Effect("train", _settings("training.lora", "rank alpha dropout targets"), _FINE_TUNING),
    Effect("train", _settings("training.lora", "alpha dropout targets"),
           Needs("training.lora.rank above 0", lambda c: c.training.lora.rank > 0, "training.lora.rank")),
)  # fmt: skip

# Settings that have an effect beside every other setting. Every field of the schemas is here or in the table.
ALWAYS = {
    "run": (
        *_settings("model", "name baseline.kind"),
        "decoding.name",
        *_settings("dataset", "name kind context_turns limit allow_empty_context options"),
        *_settings("protocol", "name clean slots empty_word"),
        *_settings("engine", "name chunk options"),
        *_settings("scoring", "meteor extra resamples"),
        *("seed", "reports_dir", "tracker"),
    ),
    "train": (
        *_settings("model", "name prompt"),
        *_settings("dataset", "name kind limit options"),
        *_settings("training", "name output_dir from_scratch max_steps epochs keep_state batch_tokens "
                   "micro_batch_tokens block_size learning_rate schedule warmup_steps weight_decay beta2 max_grad_norm "
                   "dropout precision log_every save_every save_dtype"),
        *("device", "seed"),
    ),
}  # fmt: skip


def check(config_name: str, config: Any, provenance: Given) -> None:
    """Check that every setting which the user gave has an effect.

    Args:
        config_name: ``config`` (of runs) or ``train``.
        config: the RunConfig or TrainConfig.
        provenance: what the user gave.

    Raises:
        UserError: one has none; the message names it and what it needs.
    """
    command = "train" if config_name == "train" else "run"
    for row in TABLE:
        if command in row.command.split(", "):
            for name in row.settings:
                if provenance.is_given(name):
                    value = provenance.choices.get(name) if "." not in name else _value(config, name)
                    _refuse_if_idle(row, name, value, config)


def check_decoding(decoding: Any, *, unread: bool = False) -> None:
    """Check that every setting of a DecodingConfig has an effect, whoever gave it.

    Args:
        decoding: the DecodingConfig.
        unread: whether the checkpoint's settings, if it asks for them, are still to be read into it.

    Raises:
        UserError: as `check`.
    """
    config = SimpleNamespace(decoding=decoding)
    for row in TABLE:
        for name in row.settings:
            if name.startswith("decoding.") and (unread or row.needs is not _CHECKPOINT):
                _refuse_if_idle(row, name, _value(config, name), config)


def check_dataset(dataset: Any, given: Iterable[str]) -> None:
    """Check that the settings which the user gave of a DatasetConfig have an effect.

    Args:
        dataset: the DatasetConfig.
        given: names of its fields.

    Raises:
        UserError: as `check`.
    """
    config = SimpleNamespace(dataset=dataset)
    for row in TABLE:
        for name in row.settings:
            group, _, field = name.partition(".")
            if group == "dataset" and "run" in row.command and field.partition(".")[0] in given:
                _refuse_if_idle(row, name, _value(config, name), config)


def _refuse_if_idle(row: Effect, name: str, value: Any, config: Any) -> None:
    if value is None or value == _default(config, name) or value in row.off or row.needs.holds(config):
        return
    # the settings of a checkpoint never clash with each other: the user's own setting does
    needs = _CHECKPOINT if name.startswith("decoding.") and config.decoding.checkpoint else row.needs
    beside = "" if needs.setting is None else f" with {needs.setting}={_shown(_value(config, needs.setting))}"
    raise UserError(f"{name}={_shown(value)} has no effect{beside}; it needs {needs.words}")


def _shown(value: Any) -> str:
    return "null" if value is None else str(value).lower() if isinstance(value, bool) else str(value)


def _default(config: Any, name: str) -> Any:
    """Return the schema's default of a setting."""
    parent, _, key = name.rpartition(".")
    if not parent:
        return None
    field = type(_value(config, parent)).__dataclass_fields__[key]
    return field.default_factory() if callable(field.default_factory) else field.default


def to_markdown() -> str:
    """Return the table for docs/running.md."""
    lines = ["| setting | of | needs |", "|---|---|---|"]
    for row in TABLE:
        settings = ", ".join(f"`{name}`" for name in row.settings)
        lines.append(f"| {settings} | {row.command} | {row.needs.words} |")
    return "\n".join(lines) + "\n"


def rows_of(command: str) -> Iterable[str]:
    """Yield the settings that the table names for ``run`` or ``train``."""
    for row in TABLE:
        if command in row.command.split(", "):
            yield from row.settings
