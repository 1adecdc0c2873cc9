"""Records of a run folder: what is read is written back byte for byte; what is wrong is named."""

from __future__ import annotations

import json
import re

import pytest
from support.report_runs import examples, replies, write_run
from support.run_fakes import FakeGenerator, run_config, write_dataset

from dialoeval.cli.main import main
from dialoeval.data.example import Example
from dialoeval.errors import UserError
from dialoeval.files import dumps
from dialoeval.generation.types import Candidate, Reply
from dialoeval.runs import runner
from dialoeval.runs.folder import RunFolder
from dialoeval.runs.frame import list_runs, runs_frame
from dialoeval.runs.reader import load_run
from dialoeval.runs.records import Environment, Manifest, Precision, ReplyRow, RunSettings, flat
from dialoeval.runs.sweep import SweepJob

IDENTITY = '{"schema": 1, "status": "failed", "identity": {"seed": null}, "identity_sha256": '
MANIFEST = (
    IDENTITY + '"bf0d3bd77ee5f26e6f1e05b2a1eb5a6b2c5ab4a0b1a5ac4ab8a4f7a8a2f2d0c2", "created_with": "dialoeval 0", '
    '"examples": 3, "error": "no"}'
)
ROW = (
    '{"id": "a", "context": ["hi"], "reply": "x", "tokens": 1, "logprob": -2, "finish": "stop", "dropped_turns": 0, '
    '"candidates": [{"reply": "x", "tokens": 1, "logprob": -2, "finish": "stop", "backward_logprob": null, '
    '"score": 0.5}]}'
)
PRECISION = '{"dtype": "bf16", "sample": 12, "differing": 1, "share": 0.083333, "interval": [0, 0.4], "ids": ["a"]}'
ENVIRONMENT = (
    '{"schema": 1, "dialoeval": "0.1.0", "code_revision": null, "python": "3.11", "platform": "x", '
    '"packages": {"torch": "2", "nltk": null}, "generator": {"engine": "fast", "accounting": {"a": [1]}}, "seed": 0, '
    '"dataset": {"name": "talk", "examples": 3, "skipped": [["line 2", "not JSON"]]}, "generated_now": 3, '
    '"seconds": 1.5, "replies_per_second": 2.0, "peak_memory_mb": 400.1, "precision": ' + PRECISION + "}"
)
JOB = '{"overrides": ["model=tiny"], "status": "complete", "run": "a", "name": "tiny", "error": null}'


@pytest.mark.parametrize(
    ("record", "text"),
    [(ReplyRow, ROW), (Precision, PRECISION), (Environment, ENVIRONMENT), (SweepJob, JOB)],
    ids=lambda value: getattr(value, "__name__", ""),
)
def test_what_is_read_is_written_back(record, text):
    assert dumps(record.from_json(json.loads(text), "file").to_json()) == text


def test_a_manifest_is_written_back_with_the_hash_of_its_identity():
    written = Manifest.from_json(json.loads(MANIFEST), "file").to_json()
    assert {**written, "identity_sha256": None} == {**json.loads(MANIFEST), "identity_sha256": None}
    assert list(written) == list(json.loads(MANIFEST)) and len(written["identity_sha256"]) == 64


def test_a_row_is_made_of_an_example_and_its_reply():
    candidate = Candidate("x", 1, -2, "stop", score=0.5, scored_tokens=2)
    reply = Reply.of("a", candidate, 0, (candidate,))
    assert dumps(ReplyRow.of(Example("a", ("hi",)), reply).to_json()) == ROW


@pytest.mark.parametrize(
    ("record", "text", "field", "value", "message"),
    [
        (ReplyRow, ROW, "id", 1, 'file: field "id" must be a string'),
        (ReplyRow, ROW, "context", "hi", 'file: field "context" must be a list of strings'),
        (ReplyRow, ROW, "tokens", True, 'file: field "tokens" must be a whole number'),
        (ReplyRow, ROW, "logprob", "x", 'file: field "logprob" must be a number or null'),
        (ReplyRow, ROW, "logprob", float("nan"), 'file: field "logprob" must be a number or null'),
        (ReplyRow, ROW, "logprob", 10**400, 'file: field "logprob" must be a number or null'),
        (ReplyRow, ROW, "dropped_turns", 0.0, 'file: field "dropped_turns" must be a whole number'),
        (ReplyRow, ROW, "candidates", [1], 'file: field "candidates" must be a list of objects'),
        (ReplyRow, ROW, "candidates", [{}], 'file, candidate 1: field "reply" must be a string'),
        (Precision, PRECISION, "interval", [1], 'file: field "interval" must be a list of two numbers'),
        (Precision, PRECISION, "share", None, 'file: field "share" must be a number'),
        (Environment, ENVIRONMENT, "generator", None, 'file: field "generator": expected a JSON object'),
        (Environment, ENVIRONMENT, "seconds", "1", 'file: field "seconds" must be a number or null'),
        (Manifest, MANIFEST, "identity", 1, "file is not a run's manifest; move the folder away"),
        (Manifest, MANIFEST, "schema", 2, "file has schema 2, this version reads 1"),
        (Manifest, MANIFEST, "status", "done", "file: field status is 'done', not one of ('running', 'complete', "),
        (Manifest, MANIFEST, "examples", "3", 'file: field "examples" must be a whole number'),
    ],
)  # fmt: skip
def test_what_is_wrong_is_named(record, text, field, value, message):
    with pytest.raises(UserError, match=re.escape(message)):
        record.from_json(json.loads(text) | {field: value}, "file")


def test_an_older_environment_and_older_settings_are_read():
    assert Environment.from_json({"schema": 1, "python": "3.11"}, "file") == Environment(python="3.11")
    settings = RunSettings.from_yaml("{model: {name: m}, decoding: {name: d}, dataset: {}, protocol: {}}", "file")
    assert (settings.name, settings.seed, dict(settings.engine)) == ("m d", None, {})
    assert settings.flat() == {"model.name": "m", "decoding.name": "d", "dataset": {}, "protocol": {}}
    assert flat({"a": {"b": {"c": 1}}, "d": [2]}) == {"a.b.c": 1, "d": [2]}


@pytest.mark.parametrize(
    ("field", "value"),
    [
        ("protocol", None),
        ("protocol", {"name": []}),
        ("protocol", {"name": "none", "slots": "6"}),
        ("protocol", {"name": "none", "clean": "twice"}),
        ("nist", [float("nan")] * 4),
        ("avg_len", float("inf")),
        ("intervals", {"nist4": [0, float("nan")]}),
        ("extra", {"rouge_l": {"score": "high", "signature": "s"}}),
    ],
)
def test_damaged_scores_are_named_by_every_reader(tmp_path, capsys, field, value):
    data = examples(6)
    path = write_run(tmp_path, data, replies(data, 1), name="one")
    write_run(tmp_path, data, replies(data, 2), name="two")
    scores = json.loads((path / "scores.json").read_text("utf-8"))
    without = {key: x for key, x in scores.items() if key != field}
    for damaged in ({**scores, field: value}, *([] if field == "avg_len" else [without])):
        (path / "scores.json").write_text(json.dumps(damaged), "utf-8")
        assert main(["list", "runs", "--reports-dir", str(tmp_path)]) == 0
        listed = capsys.readouterr().out
        assert "one  damaged: " in listed and f'"{field}' in listed and "two  complete" in listed
        for arguments in (["show", str(path)], ["report", str(path)], ["compare", str(path), str(tmp_path / "two")]):
            assert main(arguments) == 2
            error = capsys.readouterr().err
            assert error.count("\n") == 1 and f'scores.json: field "{field}' in error


def test_a_segment_score_that_is_not_a_number_is_named(tmp_path):
    data = examples(6)
    path = write_run(tmp_path, data, replies(data, 1))
    (path / "segments.jsonl").write_text('{"id": "d0000", "nist": NaN}\n')
    with pytest.raises(UserError, match=r'segments\.jsonl, id .d0000.: field "nist" must be a number or null'):
        load_run(RunFolder(path))


@pytest.fixture
def folder(tmp_path):
    data = examples(6)
    write_run(tmp_path, data, replies(data, 1), name="first", extra=("rouge_l",), decoding={"top_k": 5})
    write_run(tmp_path, data, replies(data, 2), name="second", status="running")
    broken = write_run(tmp_path, data, replies(data, 3), name="third")
    (broken / "scores.json").write_text("{")
    odd = write_run(tmp_path, data, replies(data, 3), name="zeroth")
    (odd / "config.yaml").write_text("[")
    return tmp_path


def test_a_run_shows_itself(folder):
    run = load_run(RunFolder(folder / "first"))
    assert repr(run) == f"LoadedRun(first: {run.scores!r})" and "\n" not in repr(run)
    assert run._repr_html_().startswith("<table") and "toy greedy" in run._repr_html_()
    (row,) = run.to_frame().to_dict("records")
    assert list(row)[:7] == ["run", "model", "dataset", "decoding", "engine", "protocol", "n"]
    assert (row["run"], row["model"], row["engine"], row["n"]) == ("first", "toy", "auto", 6)
    assert row["nist4"] == run.scores["nist4"] and row["rouge_l_low"] == run.scores.interval("rouge_l")[0]


def test_replies_are_a_frame(folder):
    run = load_run(RunFolder(folder / "first"))
    frame = run.replies
    assert list(frame)[:7] == ["id", "context", "reply", "references", "finish", "tokens", "logprob"]
    assert {"nist", "bleu", "rouge_l"} <= set(frame) and len(frame) == 6
    assert list(frame["reply"]) == run.hypotheses and list(frame["rouge_l"]) == run.segments["rouge_l"]
    assert frame["references"][2] == run.references[2] and set(frame["logprob"]) == {-1.5}


def test_all_runs_are_listed_whatever_their_state(folder):
    runs = list_runs(folder)
    assert [(run.folder.path.name, run.status) for run in runs] == [
        ("first", "complete"), ("second", "running"), ("third", "damaged"), ("zeroth", "complete"),
    ]  # fmt: skip
    assert "scores.json, line 1: not JSON" in runs[2].damage
    frame = runs_frame(runs).set_index("run")
    assert frame.loc["first", "decoding.top_k"] == 5 and frame.loc["first", "nist4"] == runs[0].scores["nist4"]
    assert list(frame["status"]) == ["complete", "running", "damaged", "damaged"]
    assert "scores.json" in frame.loc["third", "error"] and "config.yaml" in frame.loc["zeroth", "error"]
    assert list_runs(folder / "nothing") == [] and len(runs_frame([])) == 0


def test_a_result_gives_the_run_that_is_read(tmp_path, monkeypatch):
    monkeypatch.setattr(runner, "open_generator", lambda model, engine, decoding: FakeGenerator(engine, decoding))
    result = runner.run(run_config(tmp_path, write_dataset(tmp_path)))
    assert result.loaded == load_run(result.folder) and result.loaded is result.loaded
    assert result.loaded.scores == result.scores and result.loaded.folder.path == result.folder.path
