"""Each tracker for real: what it logged is read back with its own reader."""

from __future__ import annotations

import dataclasses
import json
import os
import struct
import xml.etree.ElementTree as ElementTree
from collections.abc import Iterator
from pathlib import Path

import pytest
from support.run_fakes import FakeGenerator, run_config, write_dataset

from dialoeval.cli.main import main
from dialoeval.errors import UserError
from dialoeval.reports.plots import pictures
from dialoeval.runs import runner, trackers

REPLIES = 10


@pytest.fixture
def opened(monkeypatch, tmp_path):
    """The generators that were opened; the working directory is empty, and no setting of a tracker is inherited."""
    for name in [name for name in os.environ if name.startswith(("WANDB_", "MLFLOW_"))]:
        monkeypatch.delenv(name)
    monkeypatch.chdir(tmp_path)
    generators = []

    def open_generator(model, engine, decoding):
        generators.append(FakeGenerator(engine, decoding))
        return generators[-1]

    monkeypatch.setattr(runner, "open_generator", open_generator)
    return generators


@pytest.fixture
def config(tmp_path):
    return run_config(tmp_path, write_dataset(tmp_path, REPLIES))


def test_the_plots_are_complete_svg_files(opened, config):
    run = runner.run(config).loaded
    drawn = pictures(run)
    assert set(drawn) == {"reply_length", "diversity"}
    for svg in drawn.values():
        assert ElementTree.fromstring(svg).tag == "{http://www.w3.org/2000/svg}svg" and "<style>" in svg


@pytest.mark.filterwarnings("default")
@pytest.mark.parametrize("store", ["default", "file", "sqlite"])
def test_mlflow(opened, config, store, monkeypatch, tmp_path):
    mlflow = pytest.importorskip("mlflow", reason="NOT CHECKED: mlflow is not installed")
    uri = {"file": f"file:{tmp_path}/files", "sqlite": f"sqlite:///{tmp_path}/other.db"}.get(store)
    if uri:
        monkeypatch.setenv("MLFLOW_TRACKING_URI", uri)
    config = dataclasses.replace(config, tracker="mlflow")
    result = runner.run(config, draw=pictures)
    assert runner.run(config, draw=pictures).generated == 0
    monkeypatch.setenv("MLFLOW_ALLOW_FILE_STORE", "true")
    client = mlflow.MlflowClient()
    (run,) = client.search_runs([client.get_experiment_by_name("dialoeval").experiment_id])  # logged twice: one entry
    assert run.info.status == "FINISHED" and run.info.run_name == "fake greedy"
    assert run.data.metrics["nist4"] == pytest.approx(result.scores["nist4"])
    assert run.data.params["decoding.max_new_tokens"] == "8" and run.data.tags["run_folder"] == result.folder.path.name
    folder = Path(client.download_artifacts(run.info.run_id, "", str(tmp_path)))
    table = json.loads((folder / "replies.json").read_text())
    assert len(table["data"]) == REPLIES
    assert [row[table["columns"].index("reply")] for row in table["data"]] == result.loaded.hypotheses
    assert json.loads((folder / "config.json").read_text())["decoding"]["max_new_tokens"] == 8
    for name, svg in pictures(result.loaded).items():
        assert (folder / "plots" / f"{name}.svg").read_text() == svg


def test_wandb_offline(opened, config, monkeypatch, tmp_path):
    pytest.importorskip("wandb", reason="NOT CHECKED: wandb is not installed")
    monkeypatch.setenv("WANDB_MODE", "offline")
    result = runner.run(dataclasses.replace(config, tracker="wandb"), draw=pictures)
    (run,) = result.folder.path.glob("wandb/offline-run-*")
    assert run.name.endswith(result.folder.path.name[-12:])
    (table,) = run.rglob("replies_*.table.json")
    table = json.loads(table.read_text())
    assert [row[table["columns"].index("reply")] for row in table["data"]] == result.loaded.hypotheses
    for svg in pictures(result.loaded).values():
        assert any(svg in page.read_text() for page in run.rglob("*.html"))
    logged, settings = _wandb_records(next(run.glob("*.wandb")))
    assert logged["nist4"] == pytest.approx(result.scores["nist4"])
    assert settings["decoding"]["max_new_tokens"] == 8 and settings["identity"]["generator"] == {"fake": 1}


def _wandb_records(file: Path) -> tuple[dict, dict]:
    """The figures and settings in the log of an offline run."""
    from wandb.proto.wandb_internal_pb2 import Record

    logged, settings = {}, {}
    for data in _log_records(file.read_bytes()):
        record = Record()
        record.ParseFromString(data)
        for item in record.history.item:
            logged[item.key or ".".join(item.nested_key)] = json.loads(item.value_json)
        for update in [*record.run.config.update, *record.config.update]:
            settings[update.key or ".".join(update.nested_key)] = json.loads(update.value_json)
    return logged, settings


def _log_records(data: bytes) -> Iterator[bytes]:
    """The records of LevelDB's log format: blocks of 32 KiB, of pieces with checksum, length and kind before each."""
    block, at, record = 1 << 15, 7, b""  # W&B's own header has 7 bytes
    while at + 7 <= len(data):
        if block - at % block < 7:  # no piece begins there
            at += block - at % block
            continue
        _, length, kind = struct.unpack("<IHB", data[at : at + 7])
        record += data[at + 7 : at + 7 + length]
        at += 7 + length
        if kind in (1, 4):  # whole, or the last piece
            yield record
            record = b""


def test_tensorboard(opened, config):
    pytest.importorskip("tensorboard", reason="NOT CHECKED: tensorboard is not installed")
    from tensorboard.backend.event_processing.event_accumulator import EventAccumulator

    config = dataclasses.replace(config, tracker="tensorboard")
    result = runner.run(config)
    runner.run(config)
    events = EventAccumulator(str(result.folder.path / "tensorboard"))
    events.Reload()
    assert [event.value for event in events.Scalars("nist4")] == [pytest.approx(result.scores["nist4"])]

    def text(tag):
        (event,) = events.Tensors(f"{tag}/text_summary")
        return event.tensor_proto.string_val[0].decode()

    assert all(reply in text("replies") for reply in result.loaded.hypotheses)
    assert "decoding.max\\_new\\_tokens" in text("settings") or "decoding.max_new_tokens" in text("settings")
    (histogram,) = events.Histograms("reply length")
    assert histogram.histogram_value.num == REPLIES


@pytest.mark.filterwarnings("default")
def test_a_store_that_cannot_be_used_stops_before_generation(opened, config, monkeypatch):
    pytest.importorskip("mlflow", reason="NOT CHECKED: mlflow is not installed")
    monkeypatch.setenv("MLFLOW_HTTP_REQUEST_MAX_RETRIES", "0")
    for uri in ("http://127.0.0.1:9", "sqlite:////proc/none.db", "file:///proc/files", "nonsense://x"):
        monkeypatch.setenv("MLFLOW_TRACKING_URI", uri)
        with pytest.raises(UserError, match=r"tracker=mlflow cannot use the store|cannot write /proc/none\.db"):
            runner.run(dataclasses.replace(config, tracker="mlflow"))
    assert opened == [] and not Path(config.reports_dir).exists()


def test_wandb_is_checked_before_generation(opened, config, monkeypatch):
    pytest.importorskip("wandb", reason="NOT CHECKED: wandb is not installed")
    monkeypatch.setenv("WANDB_MODE", "ofline")
    with pytest.raises(UserError, match="WANDB_MODE=ofline is unknown"):
        runner.run(dataclasses.replace(config, tracker="wandb"))
    monkeypatch.setenv("WANDB_MODE", "online")
    monkeypatch.setenv("WANDB_API_KEY", "0" * 40)
    monkeypatch.setenv("WANDB_BASE_URL", "http://127.0.0.1:9")
    with pytest.raises(UserError, match=r"cannot reach http://127\.0\.0\.1:9"):
        runner.run(dataclasses.replace(config, tracker="wandb"))
    assert opened == []


def test_a_tracker_that_fails_at_the_end_leaves_a_complete_run_and_exit_code_1(opened, monkeypatch, tmp_path, capsys):
    pytest.importorskip("tensorboard", reason="NOT CHECKED: tensorboard is not installed")

    def broken(logged):
        raise OSError("the store went away")

    monkeypatch.setitem(trackers.TRACKERS, "tensorboard", broken)
    data = ["dataset=file", f"dataset.path={write_dataset(tmp_path, 3)}", "scoring.meteor=false", "scoring.resamples=0"]
    arguments = ["run", "model.path=fake", *data, "tracker=tensorboard"]
    assert main(arguments) == 1
    printed = capsys.readouterr()
    assert "| fake greedy |" in printed.out
    assert "tracker=tensorboard failed (the store went away); the run is complete in reports/" in printed.err
    (manifest,) = (tmp_path / "reports").glob("*/manifest.json")
    assert json.loads(manifest.read_text())["status"] == "complete"
    assert main(["run", "-m", *arguments[1:], "seed=1,2"]) == 1
    assert "2 of 2 jobs complete" in capsys.readouterr().out
