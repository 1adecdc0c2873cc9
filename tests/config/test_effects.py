"""Settings without effect are refused by name, and a model's settings are never lent to another model."""

from __future__ import annotations

import dataclasses
import re
import typing
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from dialoeval import data
from dialoeval.cli.main import main
from dialoeval.config import DecodingConfig, RunConfig, TrainConfig, effects
from dialoeval.config.compose import compose
from dialoeval.config.hydra_app import launch
from dialoeval.config.schema import ModelConfig
from dialoeval.errors import UserError
from dialoeval.runs.sweep import _fitted, plan

ROOT = Path(__file__).parents[2]


def fields(node: type, prefix: str = "") -> list[str]:
    """Return the dotted names of all settings that are no sections."""
    names = []
    hints = typing.get_type_hints(node)
    for field in dataclasses.fields(node):
        kind = hints[field.name]
        names += fields(kind, f"{prefix}{field.name}.") if dataclasses.is_dataclass(kind) else [f"{prefix}{field.name}"]
    return names


@pytest.mark.parametrize(("command", "config"), [("run", RunConfig), ("train", TrainConfig)])
def test_every_setting_is_in_the_table_or_always_in_effect(command, config):
    """A new field has to be put in one of the two."""
    told = set(effects.rows_of(command))
    always = effects.ALWAYS[command]
    groups = {"model", "decoding", "engine"}  # where a whole group has no effect
    assert sorted((told | set(always)) - groups) == sorted(fields(config))
    assert len(set(always)) == len(always) and not told & set(always)


def test_the_table_knows_the_kinds_of_dataset():
    assert list(effects.KINDS) == data.kinds()


def test_the_documentation_has_the_table():
    assert effects.to_markdown() in (ROOT / "docs" / "running.md").read_text("utf-8")


FILE = ["dataset=file", "dataset.path=x.jsonl"]
REFUSED = [
    (["model.backward=x"], "model.backward=x has no effect with decoding.rerank=none; it needs decoding.rerank=mmi"),
    (["model.backward_weights=x", "decoding=dialogrpt"], "model.backward_weights=x has no effect"),
    (["model.classifier=x", "decoding=mmi"], "it needs decoding.rerank=classifier"),
    (["model.system_prompt=hi"], "model.system_prompt=hi has no effect with model.prompt=dialogpt; it needs"),
    (["model.instruction=hi"], "it needs model.prompt=godel"),
    (["engine.base_url=http://x"], "engine.base_url=http://x has no effect with engine.name=auto; it needs engine=op"),
    (["engine.api_key_env=KEY"], "engine.api_key_env=KEY"),
    (["engine.concurrency=2", "engine=hf"], "engine.concurrency=2"),
    (["engine.requests_per_minute=2"], "engine.requests_per_minute=2"),
    (["engine.timeout=2"], "engine.timeout=2.0"),
    (["engine.retries=2", "engine=vllm"], "engine.retries=2"),
    (["engine=openai", "engine.device=cpu"], "engine.device=cpu has no effect with engine.name=openai"),
    (["engine=openai", "engine.dtype=bf16"], "engine.dtype=bf16"),
    (["engine=openai", "engine.precision_sample=8"], "engine.precision_sample=8"),
    (["engine=openai", "engine.batch_tokens=8"], "engine.batch_tokens=8"),
    (["engine=openai", "engine.slots=8"], "engine.slots=8"),
    (["engine=openai", "engine.workers=8"], "engine.workers=8"),
    (["engine=openai", "model.weights=w.pkl"], "model.weights=w.pkl"),
    (["engine=hf", "engine.workers=8"], "engine.workers=8 has no effect with engine.name=hf"),
    (["engine.precision_sample=8"], "engine.precision_sample=8 has no effect with engine.dtype=fp32"),
    ([*FILE, "dataset.split=nope"], "dataset.split=nope has no effect with dataset.kind=file"),
    ([*FILE, "dataset.subset=a"], "it needs dataset.kind=hub"),
    ([*FILE, "dataset.revision=a"], "it needs dataset.kind=hub"),
    (["dataset.columns.context=a"], "dataset.columns.context=a has no effect with dataset.kind=chitchat"),
    (["dataset.columns.where.a=1"], "dataset.columns.where={'a': 1} has no effect"),
    (["dataset.skip_bad=true"], "dataset.skip_bad=true has no effect with dataset.kind=chitchat"),
    (["dataset.path=x"], "dataset.path=x has no effect"),
    (["dataset.format=csv"], "dataset.format=csv"),
    (["protocol.slots=2", "protocol.held_out=4"], "protocol.held_out=4 has no effect with protocol.slots=2"),
    (["scoring.resamples=0", "scoring.bootstrap_seed=1"], "scoring.bootstrap_seed=1"),
    (["decoding=checkpoint", "decoding.top_k=5"], "decoding.top_k=5 has no effect with decoding.checkpoint=true"),
    (["decoding=checkpoint", "decoding.repetition_penalty=2"], "decoding.repetition_penalty=2.0 has no effect"),
]


@pytest.mark.parametrize(("overrides", "message"), REFUSED, ids=[" ".join(row[0]) for row in REFUSED])
def test_a_setting_without_effect_is_refused_by_name(overrides, message):
    with pytest.raises(UserError, match=re.escape(message)):
        compose("config", overrides)


@pytest.mark.parametrize(
    ("overrides", "message"),
    [
        (["model.instruction=hi"], "model.instruction=hi has no effect; it needs `dialoeval run`"),
        (["model.system_prompt=hi"], "model.system_prompt=hi has no effect with model.prompt=dialogpt"),
        (["model.prompt=chat", "training.direction=backward"], "training.direction=backward has no effect"),
        (["training.patience=2"], "training.patience=2 has no effect; it needs training.validation_path"),
        (["training.keep=best"], "training.keep=best has no effect; it needs training.validation_path"),
        (["model.backward=x"], "model.backward=x"),
        (["model.max_turns=3"], "model.max_turns=3"),
        (["training.architecture.layers=2"], "training.architecture.layers=2 has no effect with training.from_scratch"),
        (["training=tiny", "model=gpt2"], "model=gpt2 has no effect with training.from_scratch=true"),
        (["training=tiny", "model.path=x"], "model.path=x"),
        (["training=tiny", "training.architecture={tokenizer: gpt2, vocabulary: 9}"], "vocabulary=9"),
        ([*FILE, "training.validation_split=dev"], "training.validation_split=dev"),
        ([*FILE, "training.validation_path=a", "training.validation_split=dev"], "training.validation_split=dev"),
        ([*FILE, "training.validation_limit=3"], "training.validation_limit=3"),
        (["training.validation_path=a"], "training.validation_path=a"),
        (["dataset.context_turns=3"], "dataset.context_turns=3"),
    ],
)  # fmt: skip
def test_a_setting_that_training_does_not_read_is_refused(overrides, message):
    with pytest.raises(UserError, match=re.escape(message)):
        compose("train", overrides)


@pytest.mark.parametrize(
    "overrides",
    [
        [],
        ["model=smollm2", "model.prompt=dialogpt"],  # the option's own system prompt
        ["model.backward=null"],
        ["model=dialogpt-small"],
        ["model.system_prompt=hi", "engine=openai"],
        ["engine=openai", "engine.device=cpu", "decoding=mmi"],  # the reranking model runs here
        ["engine=bf16", "engine.precision_sample=8"],
        ["engine=vllm"],
        ["engine.precision_sample=0"],
        ["engine.name=someone_elses", "engine.timeout=3", "engine.slots=3"],
        ["dataset.split=valid"],
        ["dataset.kind=someone_elses", "dataset.path=x", "dataset.subset=a", "dataset.columns.context=a"],
        ["protocol=dstc7"],
        ["protocol.held_out=1"],
    ],
)
def test_what_has_an_effect_or_is_the_options_own_is_accepted(overrides):
    compose("config", overrides)


def test_a_split_chooses_among_the_files_of_a_folder(tmp_path):
    (tmp_path / "a.jsonl").write_text('{"context": ["hi"], "references": ["yes"]}\n')
    here = ["dataset=file", f"dataset.path={tmp_path}"]
    assert len(data.load(compose("config", here).dataset).examples) == 1
    with pytest.raises(UserError, match="has no file of the split 'nope'"):
        data.load(compose("config", [*here, "dataset.split=nope"]).dataset)


MINE = ["model.path=trained/mine", "model.name=mine", "decoding=mmi"]


def test_a_backward_model_is_never_another_models(capsys):
    assert compose("config", MINE).model == ModelConfig(name="mine", path="trained/mine")
    assert main(["run", *MINE]) == 2
    assert "needs a backward model: model.backward=NAME or FOLDER" in capsys.readouterr().err
    assert main(["run", "--dry-run", *MINE]) == 2
    assert "needs a backward model" in capsys.readouterr().err
    assert main(["run", "--cfg", "job", *MINE]) == 0
    assert "backward: null" in capsys.readouterr().out
    assert _fitted(MINE, plan(MINE)[0]).model.backward is None


def test_the_jobs_of_a_sweep_are_settled_too(tmp_path):
    sweep = ["model.path=a,tiny", f"hydra.sweep.dir={tmp_path}"]
    assert launch(settled, sweep) == [("a", None), ("tiny", "tiny-backward")]


def settled(config):
    """Return (name, backward) of a job."""
    from dialoeval.config.compose import to_typed

    model = to_typed(config, "config").model
    return model.name, model.backward


def test_what_the_user_names_is_kept():
    given = ["model.path=x", "model.backward=tiny-backward", "model.backward_revision=r", "decoding=mmi"]
    model = compose("config", given).model
    assert (model.name, model.backward, model.backward_revision) == ("x", "tiny-backward", "r")
    assert compose("config", ["model.path=tiny", "decoding=mmi"]).model.backward == "tiny-backward"
    assert compose("train", ["model.path=ck/step0"]).training.output_dir == "trained/step0-forward"


def test_an_option_from_a_folder_of_the_users_is_its_own(tmp_path, capsys):
    """Also one that builds on another option."""
    (tmp_path / "model").mkdir()
    option = "defaults: [base_model, tiny, _self_]\nname: mine\npath: p\nrevision: r\n"
    (tmp_path / "model" / "mine.yaml").write_text(option)
    (tmp_path / "experiment").mkdir()
    (tmp_path / "experiment" / "e.yaml").write_text(
        "# @package _global_\ndefaults:\n  - override /model: mine\nmodel: {path: q, classifier: c}\n"
    )
    here = ["--config-dir", str(tmp_path), "--cfg", "job"]
    for overrides, lines in (
        (["model=mine"], ["name: mine", "path: p", "revision: r", "backward: tiny-backward"]),
        (["model=mine", "model.path=z"], ["name: z", "revision: null", "backward: null"]),
        (["experiment=e"], ["name: q", "path: q", "revision: null", "backward: null", "classifier: c"]),
    ):
        assert main(["run", *here, *overrides]) == 0
        printed = capsys.readouterr().out
        assert all(f"  {line}\n" in printed for line in lines), (overrides, printed)


OPTIONS = st.sampled_from(["tiny", "dialogpt-small", "smollm2", "godel-base", "gpt2"])
OWNED = [
    "revision",
    "weights",
    "backward",
    "backward_revision",
    "backward_weights",
    "classifier",
    "classifier_revision",
]


@settings(max_examples=25, deadline=None)
@given(option=OPTIONS, own=st.sets(st.sampled_from(["revision", "weights", "max_turns"])))
def test_no_field_of_an_option_outlives_its_path(option, own):
    values = dict.fromkeys(own, "3")
    model = compose("config", [f"model={option}", "model.path=mine/x", *(f"model.{k}={v}" for k, v in values.items())])
    for name in OWNED:
        assert getattr(model.model, name) == values.get(name)
    assert model.model.name == "x"


def test_decoding_settings_are_checked_in_python_too():
    with pytest.raises(UserError, match=r"decoding\.top_k=5 has no effect with decoding\.strategy=greedy"):
        DecodingConfig(name="x", strategy="greedy", top_k=5)
