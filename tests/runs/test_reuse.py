"""A raised limit generates only what is missing; a complete run is shown without writing anything."""

from __future__ import annotations

import dataclasses
import json

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from support.run_fakes import FakeGenerator, final_bytes, run_config, write_dataset

from dialoeval.config import DecodingConfig
from dialoeval.errors import UserError
from dialoeval.runs import runner
from dialoeval.runs.folder import RunFolder


@pytest.fixture
def opened(monkeypatch):
    generators = []

    def open_generator(model, engine, decoding):
        generators.append(FakeGenerator(engine, decoding))
        generators[-1].keyed_draws = getattr(open_generator, "keyed", True)
        return generators[-1]

    monkeypatch.setattr(runner, "open_generator", open_generator)
    generators.append(open_generator)
    return generators


@pytest.fixture
def config(tmp_path):
    return run_config(tmp_path, write_dataset(tmp_path, 10))


def limited(config, limit, **changes):
    return dataclasses.replace(config, dataset=dataclasses.replace(config.dataset, limit=limit), **changes)


def test_a_raised_limit_generates_what_is_missing_and_records_the_rest(opened, config, caplog):
    caplog.set_level("INFO", "dialoeval")
    few = runner.run(limited(config, 4))
    many = runner.run(limited(config, 9))
    assert (many.generated, many.reused) == (5, 4)
    assert set(opened[-1].asked) == {f"d{i}" for i in range(4, 9)}
    record = json.loads(many.folder.environment_file.read_text())
    assert record["reused"] == {few.folder.path.name: 4} and record["generated_now"] == 5
    assert f"4 of 9 replies are those of {few.folder.path.name}" in caplog.text
    assert not many.folder.reused_file.exists() and many.folder.is_complete()
    assert runner.run(limited(config, 2)).generated == 0, "a lowered limit needs nothing"


@settings(max_examples=15, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(limits=st.lists(st.integers(1, 10), min_size=2, max_size=4))
def test_reused_replies_are_those_that_would_be_generated(opened, config, tmp_path_factory, limits):
    config = dataclasses.replace(config, reports_dir=str(tmp_path_factory.mktemp("grown")))
    last = [runner.run(limited(config, limit)) for limit in limits][-1]
    alone = dataclasses.replace(config, reports_dir=str(tmp_path_factory.mktemp("alone")))
    fresh = runner.run(limited(alone, limits[-1]))
    one, other = final_bytes(last.folder.path), final_bytes(fresh.folder.path)
    assert {name: data for name, data in one.items() if name != "config.yaml"} == {
        name: data for name, data in other.items() if name != "config.yaml"
    }


def test_what_may_differ_is_generated_again(opened, config, tmp_path):
    sampled = DecodingConfig(name="topk", strategy="sample", top_k=3, max_new_tokens=8)
    opened[0].keyed = False
    assert runner.run(limited(config, 4, decoding=sampled)).generated == 4
    assert runner.run(limited(config, 6, decoding=sampled)).generated == 6, "draws depend on the batch"
    opened[0].keyed = True
    assert runner.run(limited(config, 4)).generated == 4
    assert runner.run(limited(config, 6, seed=5)).reused == 4, "greedy decoding draws nothing"
    text = (tmp_path / "dialogues.jsonl").read_text().replace("turn 0 of 1", "another turn")
    (tmp_path / "dialogues.jsonl").write_text(text)
    changed = runner.run(limited(config, 5))
    assert "d1" in opened[-1].asked and changed.reused == 4


def test_replies_to_other_system_texts_are_not_reused(opened, config, tmp_path):
    rows = [{"context": [f"hi {i}"], "system": "Be kind.", "references": ["yes"]} for i in range(6)]
    (tmp_path / "dialogues.jsonl").write_text("".join(json.dumps(row) + "\n" for row in rows))
    chat = dataclasses.replace(config, model=dataclasses.replace(config.model, prompt="chat"))
    assert runner.run(limited(chat, 3)).generated == 3
    assert runner.run(limited(chat, 5)).reused == 3
    for row in rows:
        del row["system"]
    (tmp_path / "dialogues.jsonl").write_text("".join(json.dumps(row) + "\n" for row in rows))
    assert runner.run(limited(chat, 6)).reused == 0


def test_an_interrupted_run_keeps_what_it_took(opened, config, monkeypatch):
    runner.run(limited(config, 4))
    opener = runner.open_generator

    def stopped(model, engine, decoding):
        generator = opener(model, engine, decoding)
        generator.stop_at = 2
        return generator

    monkeypatch.setattr(runner, "open_generator", stopped)
    with pytest.raises(KeyboardInterrupt):
        runner.run(limited(config, 10))
    monkeypatch.setattr(runner, "open_generator", opener)
    result = runner.run(limited(config, 10))
    assert (result.generated, result.reused) == (4, 4)


def test_a_complete_run_is_shown_without_a_lock_or_a_write(opened, config, monkeypatch):
    folder = runner.run(config).folder
    (folder.path / ".lock").unlink(missing_ok=True)
    before = {path: path.stat().st_mtime_ns for path in folder.path.iterdir()}

    def refused(*arguments):
        raise UserError("cannot write: read-only file system")

    monkeypatch.setattr(runner, "check_writable", refused)
    monkeypatch.setattr(RunFolder, "lock", refused)
    assert runner.run(config).generated == 0
    assert {path: path.stat().st_mtime_ns for path in folder.path.iterdir()} == before
    with pytest.raises(UserError, match="read-only file system"):
        runner.run(limited(config, 3))
    assert opened[-1].asked == []


def test_a_run_that_stops_at_a_refusal_takes_none_from_another(opened, config, monkeypatch):
    plain = FakeGenerator.reply

    def refusing(self, examples, *rest):
        for reply in plain(self, examples, *rest):
            yield dataclasses.replace(reply, text="", tokens=0, refusal="filter") if reply.id == "d2" else reply

    monkeypatch.setattr(FakeGenerator, "reply", refusing)
    runner.run(limited(config, 4))
    stops = dataclasses.replace(config.engine, on_refusal="stop")
    assert runner.run(limited(config, 6, engine=stops)).reused == 3
    assert "d2" in opened[-1].asked
    assert runner.run(limited(config, 7)).reused == 6, "a recorded refusal is an answer otherwise"


def test_recorded_refusals_do_not_pass_for_answers_where_a_refusal_stops(opened, config, tmp_path, monkeypatch):
    plain, opener = FakeGenerator.reply, runner.open_generator

    def refusing(self, examples, *rest):
        for reply in plain(self, examples, *rest):
            yield dataclasses.replace(reply, text="", tokens=0, refusal="filter") if reply.id == "d3" else reply

    def stopped(*arguments):
        generator = opener(*arguments)
        generator.stop_at = 5
        return generator

    monkeypatch.setattr(FakeGenerator, "reply", refusing)
    stops = dataclasses.replace(config.engine, on_refusal="stop")
    runner.run(limited(config, 4))
    with pytest.raises(UserError, match=r"complete, with 1 recorded refusals \(the first is example d3\)"):
        runner.run(limited(config, 4, engine=stops))
    monkeypatch.setattr(runner, "may_reuse", lambda *arguments: False)
    monkeypatch.setattr(runner, "open_generator", stopped)
    with pytest.raises(KeyboardInterrupt):
        runner.run(limited(config, 10))
    (file,) = (tmp_path / "reports").glob("*/replies.partial.jsonl")
    assert '"refusal":"filter"' in file.read_text().replace(": ", ":")
    monkeypatch.setattr(runner, "open_generator", opener)
    monkeypatch.setattr(FakeGenerator, "reply", plain)
    result = runner.run(limited(config, 10, engine=stops))
    assert "d3" in opened[-1].asked and all(row.refusal is None for row in result.folder.replies())
