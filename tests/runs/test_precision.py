"""A run in low precision says how many of its replies float32 gives otherwise."""

from __future__ import annotations

import dataclasses
import json

import pytest
import torch
from support.random_models import random_gpt2
from support.run_fakes import final_bytes, run_config, write_dataset

from dialoeval.config import DecodingConfig, EngineConfig, ModelConfig
from dialoeval.errors import UserError
from dialoeval.runs import precision, runner

BF16 = EngineConfig(device="cpu", dtype="bf16", chunk=7, precision_sample=12)


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    from transformers import AutoModelForCausalLM

    path = random_gpt2(tmp_path_factory.mktemp("models") / "m", layers=4, width=128)
    model = AutoModelForCausalLM.from_pretrained(path)
    with torch.no_grad():  # small weights repeat one token for ever; large ones are chaotic enough for bfloat16 to tell
        for weight in model.transformer.h.parameters():
            if weight.dim() == 2:
                weight.mul_(16.0)
    model.save_pretrained(path)
    return path


@pytest.fixture
def config(tmp_path, folder):
    return run_config(
        tmp_path,
        write_dataset(tmp_path, 30),
        model=ModelConfig(name="m", path=str(folder)),
        decoding=DecodingConfig(name="greedy", strategy="greedy", max_new_tokens=20),
        engine=BF16,
    )


def replies(outcome):
    return {row.id: row.reply for row in outcome.folder.replies()}


@pytest.mark.parametrize("name", ["fast", "hf"])
def test_the_share_is_what_two_whole_runs_say(config, name):
    engine = dataclasses.replace(BF16, name=name)
    low = runner.run(dataclasses.replace(config, engine=engine))
    full = runner.run(dataclasses.replace(config, engine=dataclasses.replace(engine, dtype="fp32")))
    ours, exact = replies(low), replies(full)
    sampled = [f"d{i * 30 // 12}" for i in range(12)]
    differing = sorted(name for name in sampled if ours[name] != exact[name])
    assert 0 < len(differing) < 12  # else this test tells nothing
    found = json.loads((low.folder.path / "precision.json").read_text("utf-8"))
    assert (found["dtype"], found["sample"], found["ids"]) == ("bf16", 12, differing)
    assert found["differing"] == len(differing) and found["share"] == pytest.approx(len(differing) / 12, abs=1e-6)
    assert found["interval"][0] < found["share"] < found["interval"][1]
    report = (low.folder.path / "report.md").read_text("utf-8")
    assert f"- engine: {name} (asked for)\n" in report
    assert f"- precision: bf16; {len(differing)} of 12 sampled replies differ from float32's" in report
    assert low.folder.environment().precision.to_json() == found
    assert not (full.folder.path / "precision.json").exists()
    assert "- precision: fp32\n" in (full.folder.path / "report.md").read_text("utf-8")


def test_sampled_replies_are_compared_draw_for_draw(config):
    decoding = DecodingConfig(name="sample", strategy="sample", top_k=10, max_new_tokens=6)
    outcome = runner.run(dataclasses.replace(config, decoding=decoding))
    assert outcome.folder.precision().differing < 12  # other draws would change every one


def test_an_interrupted_run_says_the_same(config, monkeypatch):
    folder = runner.run(config).folder.path
    whole = final_bytes(folder)
    folder.rename(folder.with_name("done"))

    def stopped(*_):
        raise KeyboardInterrupt

    with monkeypatch.context() as patch:
        patch.setattr(runner, "compare_with_float32", stopped)
        with pytest.raises(KeyboardInterrupt):
            runner.run(config)
    assert final_bytes(runner.run(config).folder.path) == whole


def test_without_a_sample_nothing_is_compared(config):
    outcome = runner.run(dataclasses.replace(config, engine=dataclasses.replace(BF16, precision_sample=0)))
    assert outcome.folder.precision() is None
    assert "- precision: bf16; not compared with float32\n" in (outcome.folder.path / "report.md").read_text("utf-8")


@pytest.mark.parametrize("error", [MemoryError(), RuntimeError("CUDA out of memory"), UserError("out of memory")])
def test_without_memory_for_it_the_run_is_complete_all_the_same(config, monkeypatch, caplog, error):
    def lacking(*_):
        raise error

    monkeypatch.setattr(precision, "open_generator", lacking)
    outcome = runner.run(config)
    assert outcome.folder.is_complete() and outcome.folder.precision() is None
    assert "not compared with float32" in caplog.text


def test_damaged_files_beside_a_complete_run(config):
    folder = runner.run(config).folder
    environment = folder.path / "environment.json"
    for damaged in ("{", '{"generator": null}', "[]"):
        environment.write_text(damaged, encoding="utf-8")
        (folder.path / "report.md").unlink()  # so that it is written again
        runner.run(config)
        assert "- engine: auto\n" in (folder.path / "report.md").read_text("utf-8")
    for damaged in ("[]", '{"dtype": "bf16", "sample": 12, "differing": 1, "share": 0.1, "interval": null}'):
        (folder.path / "precision.json").write_text(damaged, encoding="utf-8")
        with pytest.raises(UserError, match=r"precision\.json: .*delete this file and run again"):
            folder.precision()
    (folder.path / "precision.json").unlink()
    assert runner.run(config).generated == 0 and folder.precision() is None
