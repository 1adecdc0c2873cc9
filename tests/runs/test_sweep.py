"""Sweeps: what is run, what is recorded, what a second call does."""

from __future__ import annotations

import csv
import json
from pathlib import Path

import pytest
from support.random_models import random_gpt2
from support.run_fakes import FakeGenerator, write_dataset

from dialoeval.cli.main import main
from dialoeval.config.compose import is_sweep
from dialoeval.config.groups import group_options
from dialoeval.errors import UserError
from dialoeval.runs import runner
from dialoeval.runs.sweep import read_sweep

CHEAP = ["scoring.meteor=false", "scoring.resamples=0", "decoding.max_new_tokens=4"]


@pytest.fixture
def fake(monkeypatch, tmp_path):
    """Fakes instead of models; beam search of width 3 fails. The working directory is empty but for the data."""
    opened = []

    def open_generator(model, engine, decoding):
        if decoding.num_beams == 3 and not getattr(open_generator, "repaired", False):
            raise UserError("three beams do not hold")
        opened.append(FakeGenerator(engine, decoding))
        return opened[-1]

    monkeypatch.setattr(runner, "open_generator", open_generator)
    monkeypatch.chdir(tmp_path)
    open_generator.opened = opened
    write_dataset(tmp_path, 4)
    return open_generator


DATA = ["dataset=file", "dataset.path=dialogues.jsonl", *CHEAP]
BEAMS = ["run", "-m", "decoding=beam", "decoding.num_beams=1,3,5", *DATA]


def test_a_sweep_records_failures_and_does_only_what_is_missing(fake, tmp_path, capsys):
    assert main(BEAMS) == 1
    captured = capsys.readouterr()
    (failure,) = [line for line in captured.err.splitlines() if "three beams" in line]
    assert failure.startswith("failed: decoding=beam decoding.num_beams=3 ")
    assert failure.endswith(": three beams do not hold")
    assert "job 1 of 3" in captured.err and "2 of 3 jobs complete" in captured.out
    (folder,) = (tmp_path / "reports" / "sweeps").iterdir()
    jobs = json.loads((folder / "sweep.json").read_text())["jobs"]
    assert [job["status"] for job in jobs] == ["complete", "failed", "complete"]
    assert jobs[1]["error"] == "three beams do not hold" and jobs[1]["run"] is None
    assert "decoding.num_beams=5" in jobs[2]["overrides"]
    assert {path.name for path in read_sweep(folder)} == {jobs[0]["run"], jobs[2]["run"]}

    fake.opened.clear()
    fake.repaired = True
    assert main(BEAMS) == 0
    assert [len(generator.asked) for generator in fake.opened] == [0, 4, 0]
    assert list((tmp_path / "reports" / "sweeps").iterdir()) == [folder], "the same sweep finds its folder"
    rows = list(csv.reader((folder / "leaderboard.csv").read_text("utf-8").splitlines()))
    assert len(rows) == 4 and rows[0][1:] == [
        "nist2", "nist4", "bleu2", "bleu4", "meteor", "entropy4", "distinct1", "distinct2", "avg_len",
    ]  # fmt: skip
    assert {row[0] for row in rows[1:]} == {f"tiny beam num_beams={n}" for n in (1, 3, 5)}
    assert "tiny beam num_beams=3" in (folder / "leaderboard.md").read_text()
    assert "<html" in (folder / "report.html").read_text()


def test_nothing_is_written_outside_reports(fake, tmp_path):
    assert main(["run", *DATA]) == 0
    assert main(["run", "-m", "seed=1,2", "decoding=topk", *DATA]) == 0
    assert sorted(path.name for path in tmp_path.iterdir()) == ["dialogues.jsonl", "reports"]
    assert Path.cwd() == tmp_path


def test_an_unexpected_error_of_a_job_is_its_failure_only(fake, monkeypatch, capsys):
    opener = runner.open_generator

    def broken(model, engine, decoding):
        if decoding.num_beams == 1:
            raise ZeroDivisionError("division by zero")
        return opener(model, engine, decoding)

    monkeypatch.setattr(runner, "open_generator", broken)
    assert main(["run", "-m", "decoding=beam", "decoding.num_beams=1,2", *DATA]) == 1
    assert "ZeroDivisionError: division by zero" in capsys.readouterr().err


def test_a_failed_jobs_reason_is_said_before_the_next_job_and_fail_fast_stops_there(fake, tmp_path, capsys):
    assert main(BEAMS) == 1
    err = capsys.readouterr().err
    assert err.index("three beams") < err.index("job 3 of 3")
    fake.opened.clear()
    beams = ["run", "-m", "decoding=beam", "decoding.num_beams=2,3,4", *DATA]
    assert main([*beams, "--fail-fast"]) == 1
    printed = capsys.readouterr()
    assert "job 3 of 3" not in printed.err and "three beams do not hold" in printed.err
    assert [generator.decoding.num_beams for generator in fake.opened] == [2]
    (folder,) = (tmp_path / "reports" / "sweeps").iterdir()
    jobs = json.loads((folder / "sweep.json").read_text())["jobs"]
    assert [job["status"] for job in jobs] == ["complete", "failed", "complete", "complete", "pending"]
    fake.repaired = True
    assert main([*beams, "--fail-fast"]) == 0, "what stopped an earlier sweep does not stop this one"
    assert [path.name for path in folder.iterdir() if path.name == "stopped"] == []


def test_further_values_join_the_earlier_ones_on_one_board(fake, tmp_path, capsys):
    sweep = ["run", "-m", "decoding=topk", *DATA]
    assert main([*sweep, "decoding.top_k=5,10"]) == 0
    (folder,) = (tmp_path / "reports" / "sweeps").iterdir()
    fake.opened.clear()
    assert main([*sweep, "decoding.top_k=5,10,20"]) == 0
    assert [len(generator.asked) for generator in fake.opened] == [0, 0, 4]
    assert main([*sweep, "decoding.top_k=30,40"]) == 0
    assert list((tmp_path / "reports" / "sweeps").iterdir()) == [folder]
    rows = list(csv.reader((folder / "leaderboard.csv").read_text("utf-8").splitlines()))
    assert {row[0].split()[-1] for row in rows[1:]} == {f"top_k={k}" for k in (5, 10, 20, 30, 40)}
    assert len(read_sweep(folder)) == 5
    assert main([*sweep, "decoding.top_k=5,10", "seed=2"]) == 0, "another fixed setting is another board"
    assert len(list((tmp_path / "reports" / "sweeps").iterdir())) == 2


def test_a_sweep_prints_json(fake, tmp_path, capsys):
    fake.repaired = True
    assert main([*BEAMS, "--json"]) == 0
    printed = json.loads(capsys.readouterr().out)
    assert len(printed["jobs"]) == 3 and len(printed["leaderboard"]) == 3 and Path(printed["sweep"]).is_dir()


def test_an_interrupted_sweep_says_so_and_goes_on(fake, monkeypatch, tmp_path, capsys):
    opener = runner.open_generator

    def stopped(model, engine, decoding):
        if decoding.num_beams == 5:
            raise KeyboardInterrupt
        return opener(model, engine, decoding)

    monkeypatch.setattr(runner, "open_generator", stopped)
    fake.repaired = True
    assert main(BEAMS) == 130
    assert "interrupted" in capsys.readouterr().err
    (folder,) = (tmp_path / "reports" / "sweeps").iterdir()
    assert {job["status"] for job in json.loads((folder / "sweep.json").read_text())["jobs"]} == {"pending"}
    monkeypatch.setattr(runner, "open_generator", opener)
    fake.opened.clear()
    assert main(BEAMS) == 0
    assert [len(generator.asked) for generator in fake.opened] == [0, 0, 4]


@pytest.mark.parametrize(
    "content",
    ["", "[]", '{"schema": 2, "jobs": []}', '{"schema": 1}', '{"schema": 1, "jobs": [3, {"run": 4}]}', "\xff"],
)
def test_damaged_sweep_files(tmp_path, content):
    (tmp_path / "sweep.json").write_text(content, encoding="latin-1")
    with pytest.raises(UserError):
        read_sweep(tmp_path)
    assert (tmp_path / "sweep.json").exists()


@pytest.fixture(scope="module")
def model(tmp_path_factory):
    return random_gpt2(tmp_path_factory.mktemp("model") / "small", width=32, layers=1)


def test_consecutive_jobs_load_their_model_once(model, tmp_path, monkeypatch):
    from dialoeval.generation import token_engines
    from dialoeval.models.loading import load_model

    loads = []
    cache = token_engines.ModelCache(lambda path, **options: loads.append(path) or load_model(path, **options))
    monkeypatch.setattr(token_engines, "MODELS", cache)
    monkeypatch.chdir(tmp_path)
    write_dataset(tmp_path, 3)
    assert main(["run", "-m", f"model.path={model}", "decoding=greedy,topk", "engine=hf,auto", *DATA]) == 0
    assert loads == [str(model)]


@pytest.mark.parametrize("name", group_options("experiment"))
def test_every_experiment_runs_shrunk(name, model, tmp_path, monkeypatch, capsys):
    monkeypatch.chdir(tmp_path)
    write_dataset(tmp_path, 2)
    data = ["dataset=file", "dataset.path=dialogues.jsonl"]
    if not is_sweep([f"experiment={name}"]):
        path = tmp_path / "data.txt"
        path.write_text("0\t0.5|hello there\t0.4|hi\n" if "dstc7" in name else "hi there\thello\thi you\n")
        data = [f"dataset.path={path}", *(["dataset.allow_empty_context=true"] if "dstc7" in name else [])]
    assert main(["run", f"experiment={name}", f"model.path={model}", *data, *CHEAP]) == 0
    assert len(list((tmp_path / "reports").glob("small-*/report.md"))) >= 1


@pytest.mark.slow
@pytest.mark.parametrize("launcher", ["joblib", "submitit_local"])
def test_hydras_launchers(launcher, model, tmp_path, monkeypatch):
    plugin = f"hydra_plugins.hydra_{launcher.split('_')[0]}_launcher"
    pytest.importorskip(plugin, reason=f"NOT CHECKED: the launcher {launcher} is not installed")
    monkeypatch.chdir(tmp_path)
    write_dataset(tmp_path, 2)
    sizes = {"joblib": ["hydra.launcher.n_jobs=2"], "submitit_local": ["hydra.launcher.timeout_min=5"]}[launcher]
    overrides = [f"model.path={model}", "decoding=greedy,topk", f"hydra/launcher={launcher}", *sizes, *DATA]
    assert main(["run", "-m", *overrides]) == 0
    (folder,) = (tmp_path / "reports" / "sweeps").iterdir()
    assert [job["status"] for job in json.loads((folder / "sweep.json").read_text())["jobs"]] == ["complete"] * 2


def test_figures_on_other_data_are_on_another_leaderboard(fake, tmp_path, capsys):
    """Ten more replies to other examples would otherwise be ranked among them."""
    assert main(["run", "-m", "dataset.limit=2,4", "decoding=greedy,beam", *DATA]) == 0
    printed = capsys.readouterr().out
    (folder,) = (tmp_path / "reports" / "sweeps").iterdir()
    text = (folder / "leaderboard.md").read_text("utf-8")
    for shown in (printed, text):
        assert shown.count("| System") == 2
        assert "2 examples, protocol none, data " in shown and "4 examples, protocol none, data " in shown
    rows = list(csv.DictReader((folder / "leaderboard.csv").read_text("utf-8").splitlines()))
    assert [row["data"].split()[1] for row in rows] == ["2", "2", "4", "4"]
    for size in ("2", "4"):
        figures = [float(row["nist4"]) for row in rows if row["data"].split()[1] == size]
        assert figures == sorted(figures, reverse=True)
