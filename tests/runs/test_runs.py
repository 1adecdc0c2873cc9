"""Run folders: their name, their files, going on after a stop, scoring again, damage."""

from __future__ import annotations

import dataclasses
import io
import json
import sys
import types
from pathlib import Path

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from support.run_fakes import FakeGenerator, final_bytes, run_config, write_dataset

from dialoeval.cli.main import main
from dialoeval.config import DecodingConfig, EngineConfig, ProtocolConfig, ScoringConfig
from dialoeval.config.compose import compose
from dialoeval.errors import UserError
from dialoeval.files import sha256_file
from dialoeval.runs import runner
from dialoeval.runs.folder import RunFolder


@pytest.fixture
def fake(monkeypatch):
    """The generators that runs opened, latest last; `plan` is called with each before it is used."""
    opened = []
    plans = []

    def open_generator(model, engine, decoding):
        generator = FakeGenerator(engine, decoding)
        opened.append(generator)
        for plan in plans:
            plan(generator)
        return generator

    monkeypatch.setattr(runner, "open_generator", open_generator)
    return type("Fake", (), {"opened": opened, "plans": plans})


@pytest.fixture
def config(tmp_path):
    return run_config(tmp_path, write_dataset(tmp_path))


def test_files_of_a_run(fake, config):
    outcome = runner.run(config)
    folder = outcome.folder.path
    assert sorted(final_bytes(folder)) == [
        "config.yaml", "manifest.json", "prompts.jsonl", "references.jsonl", "replies.jsonl", "report.md",
        "scores.json", "segments.jsonl",
    ]  # fmt: skip
    manifest = json.loads((folder / "manifest.json").read_text())
    assert manifest["status"] == "complete" and folder.name == f"fake-greedy-talk-{manifest['identity_sha256'][:12]}"
    rows = [json.loads(line) for line in (folder / "replies.jsonl").read_text().splitlines()]
    assert [row["id"] for row in rows] == [f"d{i}" for i in range(10)]
    scores = json.loads((folder / "scores.json").read_text())
    assert scores["n"] == 10 and scores["replies_sha256"] == sha256_file(folder / "replies.jsonl")
    report = (folder / "report.md").read_text()
    for setting in dataclasses.fields(DecodingConfig):
        assert setting.name == "name" or f"decoding.{setting.name}: " in report
    order = ["NIST-2", "NIST-4", "BLEU-2", "BLEU-4", "METEOR", "Entropy-4", "Dist-1", "Dist-2", "Avg Len"]
    assert [cell.strip() for cell in report.split("| System")[1].splitlines()[0].split("|")][1:-1] == order
    assert report.count("\n---\n") == 10 and scores["signature"] in report


def test_warnings_are_in_report_and_scores_and_older_scores_stay_valid(fake, config, tmp_path):
    plain = runner.run(config).folder
    assert "Warnings" not in plain.report_file.read_text() and "warnings" not in plain.scores_file.read_text()
    rows = [{"id": f"d{i}", "context": [f"turn {i}"], "references": ["the <same> answer"]} for i in range(4)]
    Path(config.dataset.path).write_text("".join(json.dumps(row) + "\n" for row in rows), "utf-8")
    result = runner.run(config)
    assert [finding.kind for finding in result.scores.warnings] == ["equal_references"]
    report = result.folder.report_file.read_text()
    head = report.index("## Warnings")
    assert report.index("| System") < head < report.index("## Settings")
    assert "- all 4 examples have the same references, 'the &lt;same> answer'" in report[head:].replace("\\", "")
    scores = json.loads(result.folder.scores_file.read_text())
    assert scores.pop("warnings")[0]["blocking"]
    result.folder.scores_file.write_text(json.dumps(scores))
    assert runner.run(config).scores.warnings == ()  # as written: nothing is scored again for it


def test_same_configuration_generates_nothing(fake, config):
    first = runner.run(config)
    before = final_bytes(first.folder.path)
    second = runner.run(config)
    assert (first.generated, second.generated) == (10, 0) and fake.opened[1].asked == []
    assert second.folder.path == first.folder.path and final_bytes(first.folder.path) == before


@pytest.mark.parametrize("error", [KeyboardInterrupt(), UserError("the disk is full"), MemoryError(), OSError(28, "x")])
@pytest.mark.parametrize("stop_at", [0, 1, 5, 9])
def test_goes_on_where_it_stopped(fake, config, tmp_path, error, stop_at, caplog):
    caplog.set_level("INFO")
    whole = final_bytes(runner.run(config).folder.path)
    (tmp_path / "reports").rename(tmp_path / "undisturbed")

    def stop(generator):
        generator.stop_at, generator.error = stop_at, error

    fake.plans.append(stop)
    with pytest.raises(KeyboardInterrupt if isinstance(error, KeyboardInterrupt) else UserError):
        runner.run(config)
    manifest = json.loads(next((tmp_path / "reports").glob("*/manifest.json")).read_text())
    assert manifest["status"] == ("running" if isinstance(error, KeyboardInterrupt) else "failed")
    assert ("replies are kept in" in caplog.text) == (stop_at >= 3)  # a whole chunk was finished
    asked = fake.opened[-1].asked
    fake.plans.clear()
    outcome = runner.run(config)
    finished = set(asked[: stop_at // 2 * 2])  # whole chunks of two
    assert finished.isdisjoint(fake.opened[-1].asked) and outcome.generated == 10 - len(finished)
    assert final_bytes(outcome.folder.path) == whole


def test_half_written_line_is_discarded(fake, config, tmp_path):
    whole = final_bytes(runner.run(config).folder.path)
    folder = RunFolder(next((tmp_path / "reports").glob("fake-*")))
    rows = folder.replies_file.read_bytes().splitlines(keepends=True)
    manifest = json.loads(folder.manifest_file.read_text())
    folder.manifest_file.write_text(json.dumps(manifest | {"status": "running"}))
    folder.replies_file.unlink()
    folder.partial_file.write_bytes(b"".join(rows[:4]) + rows[4][: len(rows[4]) // 2])
    assert runner.run(config).generated < 10
    assert final_bytes(folder.path) == whole


def test_other_scoring_and_protocol_score_again_only(fake, config):
    first = runner.run(config)
    replies = final_bytes(first.folder.path)["replies.jsonl"]
    for change in (
        {"protocol": ProtocolConfig(name="dstc7", clean="dstc7", slots=5)},
        {"scoring": ScoringConfig(meteor=False, resamples=0)},
        {"scoring": ScoringConfig(meteor=False, resamples=0, extra=["exact_match"])},
        {"engine": EngineConfig(chunk=7, workers=3)},
    ):
        again = runner.run(dataclasses.replace(config, **change))
        assert again.generated == 0 and again.folder.path == first.folder.path
        assert final_bytes(again.folder.path)["replies.jsonl"] == replies
    dstc7 = runner.run(dataclasses.replace(config, protocol=ProtocolConfig(name="dstc7", clean="dstc7", slots=5)))
    assert dstc7.scores.protocol.name == "dstc7"
    back = runner.run(config)
    assert back.scores == first.scores


def test_a_changed_file_that_a_metric_names_scores_again(fake, config, tmp_path):
    words = tmp_path / "words.txt"
    scoring = ScoringConfig(meteor=False, resamples=0, extra=[f"profanity:{words}"])
    words.write_text("nobody-says-this\n")
    first = runner.run(dataclasses.replace(config, scoring=scoring)).scores
    written = first.to_json()
    assert runner.run(dataclasses.replace(config, scoring=scoring)).scores.to_json() == written
    common = runner.run(config).folder.replies()[0].reply.lower().split()[0]
    words.write_text(f"{common}\n")
    again = runner.run(dataclasses.replace(config, scoring=scoring))
    assert again.generated == 0
    assert first[f"profanity:{words}"] == 0 and again.scores[f"profanity:{words}"] > 0


@pytest.mark.parametrize(
    "change",
    [
        {"decoding": DecodingConfig(name="greedy", strategy="greedy", max_new_tokens=9)},
        {"decoding": DecodingConfig(name="greedy", strategy="greedy", max_new_tokens=8, repetition_penalty=1.1)},
        {"decoding": DecodingConfig(name="greedy", strategy="sample", max_new_tokens=8)},
    ],
)
def test_what_changes_replies_changes_the_folder(fake, config, change):
    folder = runner.run(config).folder.path
    assert runner.run(dataclasses.replace(config, **change)).folder.path != folder


def test_seed_counts_where_something_is_drawn(fake, config):
    def folder(strategy, seed):
        decoding = DecodingConfig(name="d", strategy=strategy, max_new_tokens=8)
        return runner.run(dataclasses.replace(config, decoding=decoding, seed=seed)).folder.path

    assert folder("greedy", 1) == folder("greedy", 2)
    assert folder("sample", 1) != folder("sample", 2)


def test_data_changes_the_folder(fake, config):
    folder = runner.run(config).folder.path
    path = Path(config.dataset.path)
    path.write_text(path.read_text().replace("turn 0 of 3", "turn 0 of three"))
    assert runner.run(config).folder.path != folder


def test_a_checkpoint_is_never_shown_under_a_shipped_name_but_under_its_given_one():
    """The small input of a replaced name: `model.name=dialogpt-medium model.path=ck/step0`."""
    for overrides, shown in (
        (["model.path=/models/my-checkpoint/"], "my-checkpoint"),
        (["model=dialogpt-medium", "model.path=ck/step0"], "step0"),
        (["model.name=dialogpt-medium", "model.path=ck/step0"], "dialogpt-medium"),
        (["model=dialogpt-medium", "model.path=microsoft/DialoGPT-medium"], "dialogpt-medium"),
        (["model=custom", "model.path=owner/name"], "name"),
        ([], "tiny"),
    ):
        assert compose("config", overrides).model.name == shown


@pytest.mark.parametrize("name", ["replies.jsonl", "references.jsonl"])
@pytest.mark.parametrize("how", ["changed", "gone"])
def test_changed_files_are_noticed(fake, config, name, how):
    folder = runner.run(config).folder.path
    file = folder / name
    if how == "gone":
        file.unlink()
    else:
        file.write_text(file.read_text().replace("d3", "d33"))
    with pytest.raises(UserError, match=name):
        runner.run(config)
    assert fake.opened[-1].asked == []


def test_another_runs_folder_is_left_alone(fake, config):
    folder = runner.run(config).folder
    manifest = json.loads(folder.manifest_file.read_text())
    manifest["identity"]["seed"] = 7
    folder.manifest_file.write_text(json.dumps(manifest))
    before = final_bytes(folder.path)
    with pytest.raises(UserError, match="another run"):
        runner.run(config)
    assert final_bytes(folder.path) == before


def test_failed_scoring_keeps_a_complete_run_complete(fake, config):
    folder = runner.run(config).folder
    with pytest.raises(UserError, match="unknown metric"):
        runner.run(dataclasses.replace(config, scoring=ScoringConfig(meteor=False, extra=["blue"])))
    assert folder.is_complete()


def test_unknown_tracker_and_missing_package_stop_before_generation(fake, config, monkeypatch):
    with pytest.raises(UserError, match="did you mean 'wandb'"):
        runner.run(dataclasses.replace(config, tracker="wandbb"))
    monkeypatch.setattr("importlib.util.find_spec", lambda name: None)
    with pytest.raises(UserError, match=r"pip install 'dialoeval\[mlflow\]'"):
        runner.run(dataclasses.replace(config, tracker="mlflow"))
    assert fake.opened == []


def test_wandb_without_a_key_stops_before_generation(fake, config, monkeypatch, tmp_path):
    monkeypatch.setitem(sys.modules, "wandb", types.ModuleType("wandb"))
    monkeypatch.setattr("importlib.util.find_spec", lambda name: True)
    monkeypatch.setenv("NETRC", str(tmp_path / "netrc"))
    monkeypatch.delenv("WANDB_API_KEY", raising=False)
    monkeypatch.delenv("WANDB_MODE", raising=False)
    monkeypatch.setattr("sys.stdin", io.StringIO())
    with pytest.raises(UserError, match="tracker=wandb has no key"):
        runner.run(dataclasses.replace(config, tracker="wandb"))
    assert fake.opened == []


def test_a_tracker_that_cannot_be_imported_stops_before_generation(fake, config, monkeypatch, tmp_path):
    (tmp_path / "mlflow.py").write_text("raise ValueError('broken')\n")
    monkeypatch.syspath_prepend(str(tmp_path))
    with pytest.raises(UserError, match="tracker=mlflow cannot be imported: broken"):
        runner.run(dataclasses.replace(config, tracker="mlflow"))
    assert fake.opened == []


def test_outputs_packages_and_disk_are_checked_before_generation(fake, config, monkeypatch, tmp_path):
    (tmp_path / "file").write_text("")
    scoring = ScoringConfig(meteor=False, extra=["perplexity:./nowhere"])
    for change, problem in (
        ({"reports_dir": str(tmp_path / "file")}, "Not a directory"),
        ({"reports_dir": "/proc/reports"}, "cannot write"),
        ({"scoring": scoring}, "no folder"),
    ):
        with pytest.raises(UserError, match=problem):
            runner.run(dataclasses.replace(config, **change))
    with monkeypatch.context() as patch:
        patch.setattr("dialoeval.metrics.meteor15.source.importlib.util.find_spec", lambda name: None)
        with pytest.raises(UserError, match="pip install pycocoevalcap"):
            runner.run(dataclasses.replace(config, scoring=ScoringConfig()))
    monkeypatch.setattr("shutil.disk_usage", lambda folder: types.SimpleNamespace(free=100))
    with pytest.raises(UserError, match=r"0\.0 MB are free"):
        runner.run(config)
    assert fake.opened == [] and not Path(config.reports_dir).exists()


def test_the_report_says_what_the_protocol_holds_out(fake, config):
    folder = runner.run(dataclasses.replace(config, protocol=ProtocolConfig(name="dstc7", held_out=1))).folder
    report = folder.report_file.read_text()
    assert "The protocol dstc7(changed) holds out reference 1 of each context" in report
    assert "- protocol: dstc7(changed)" in report


def test_tensorboard_gets_the_figures(fake, config):
    pytest.importorskip("tensorboard", reason="NOT CHECKED: tensorboard is not installed")
    from tensorboard.backend.event_processing.event_accumulator import EventAccumulator

    outcome = runner.run(dataclasses.replace(config, tracker="tensorboard"))
    events = EventAccumulator(str(outcome.folder.path / "tensorboard"))
    events.Reload()
    assert events.Scalars("bleu2")[0].value == pytest.approx(outcome.scores["bleu2"])
    assert events.Scalars("avg_len")[0].value == pytest.approx(outcome.scores["avg_len"])


def test_wandb_offline_and_its_failure(fake, config, monkeypatch):
    wandb = pytest.importorskip("wandb", reason="NOT CHECKED: wandb is not installed")
    logged = {}

    class Run:
        def log(self, figures):
            logged.update(figures)

        def finish(self):
            logged["finished"] = True

    monkeypatch.setenv("WANDB_MODE", "offline")
    monkeypatch.setattr(wandb, "init", lambda **options: Run())
    outcome = runner.run(dataclasses.replace(config, tracker="wandb"))
    assert logged.pop("finished") and logged["nist4"] == outcome.scores["nist4"]

    def refuse(**options):
        raise RuntimeError("no server")

    monkeypatch.setattr(wandb, "init", refuse)
    with pytest.raises(UserError, match="no server"):
        runner.run(dataclasses.replace(config, tracker="wandb"))
    assert outcome.folder.is_complete()


JSON = st.recursive(
    st.none() | st.booleans() | st.integers(-3, 10**20) | st.floats() | st.text(max_size=4),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=4), inner, max_size=3),
    max_leaves=6,
)
FILES = ["manifest.json", "replies.jsonl", "replies.partial.jsonl", "references.jsonl", "scores.json", "segments.jsonl"]


@pytest.fixture(scope="module")
def finished(tmp_path_factory):
    """A complete run's files, and its configuration."""
    folder = tmp_path_factory.mktemp("fuzz")
    config = run_config(folder, write_dataset(folder, 4))
    saved = runner.open_generator
    runner.open_generator = lambda model, engine, decoding: FakeGenerator(engine, decoding)
    path = runner.run(config).folder.path
    files = {file.name: file.read_bytes() for file in path.iterdir()}
    files["replies.partial.jsonl"] = files["replies.jsonl"]
    yield config, path, files
    runner.open_generator = saved


@settings(
    max_examples=60, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture, HealthCheck.too_slow]
)
@given(data=st.data())
def test_fuzzed_files_give_a_message_and_delete_nothing(finished, data, capsys):
    config, path, files = finished
    for name, content in files.items():
        (path / name).write_bytes(content)
    if data.draw(st.booleans(), "interrupted"):
        manifest = json.loads(files["manifest.json"]) | {"status": "running"}
        (path / "manifest.json").write_text(json.dumps(manifest))
    name = data.draw(st.sampled_from(FILES), "file")
    damage(path / name, data)
    present = {file.name for file in path.iterdir()}
    refusal = None
    try:
        runner.run(config)
    except UserError as error:
        refusal = str(error)
    assert refusal != ""
    gone = present - {file.name for file in path.iterdir()}
    assert gone <= ({"replies.partial.jsonl"} if refusal is None else set())
    for verb in (["show", str(path)], ["list", "runs", "--reports-dir", config.reports_dir]):
        capsys.readouterr()
        code = main(verb)
        lines = capsys.readouterr().err.splitlines(keepends=True)
        error = "".join(line for line in lines if not line.startswith("warning: "))  # about texts, such as no context
        assert code == (2 if error else 0)
        assert not error or (error.startswith("dialoeval: ") and error.count("\n") == 1)


def damage(file: Path, data) -> None:
    """Truncate, overwrite with other JSON, change one field, or put in other bytes."""
    content = file.read_bytes()
    how = data.draw(st.sampled_from(["truncate", "json", "field", "bytes", "deep"]), "how")
    if how == "truncate":
        content = content[: data.draw(st.integers(0, len(content) - 1))]
    elif how == "json":
        content = json.dumps(data.draw(JSON)).encode() + b"\n"
    elif how == "deep":
        content = b"[" * 100_000 + b"\n"
    elif how == "field":
        first, *rest = [content] if file.suffix == ".json" else content.splitlines(keepends=True)
        row = json.loads(first)
        row[data.draw(st.sampled_from(sorted(row)))] = data.draw(JSON)
        content = json.dumps(row).encode() + b"\n" + b"".join(rest)
    else:
        at = data.draw(st.integers(0, len(content)))
        content = content[:at] + data.draw(st.binary(min_size=1, max_size=5)) + content[at:]
    file.write_bytes(content)
