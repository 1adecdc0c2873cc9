"""Killed anywhere, the same run ends in the same bytes; two processes share one folder."""

from __future__ import annotations

import dataclasses
import json
import multiprocessing
import random
import signal
import time

import pytest
from support.random_models import random_gpt2
from support.run_fakes import final_bytes, run_and_die, run_and_tell, run_config, run_really, write_dataset

from dialoeval.config import DecodingConfig, EngineConfig, ModelConfig

KILLS = 20


@pytest.fixture(scope="module")
def processes():
    """Starts processes that have everything imported already, so that kills hit the run and not the start."""
    context = multiprocessing.get_context("forkserver")
    context.set_forkserver_preload(
        [
            "transformers.models.gpt2.modeling_gpt2",
            "transformers.models.auto.modeling_auto",
            "transformers.models.auto.tokenization_auto",
            "transformers.generation.utils",
            "dialoeval.generation.engines.fast",
            "dialoeval.generation.local",
            "dialoeval.generation.rerank",
            "dialoeval.data.sources.file",
            "dialoeval.runs.runner",
            "dialoeval.runs.run_page",
            "dialoeval.metrics.scores",
        ]
    )
    return context


def finish(processes, target, *arguments) -> int:
    process = processes.Process(target=target, args=arguments)
    process.start()
    process.join(300)
    assert process.exitcode is not None, "the process hangs"
    return process.exitcode


def test_killed_at_every_write(processes, tmp_path):
    """SIGKILL at the n-th fsync or rename, for every n there is; then once more, undisturbed."""
    config = run_config(tmp_path, write_dataset(tmp_path, 5))
    undisturbed = None
    for operation in range(1, 100):
        code = finish(processes, run_and_die, config, operation)
        assert code in (0, -signal.SIGKILL)
        (folder,) = (tmp_path / "reports").glob("fake-*")
        if code == 0:
            undisturbed = final_bytes(folder)
            break
        manifest = folder / "manifest.json"
        if manifest.exists() and json.loads(manifest.read_text())["status"] == "complete":
            assert (folder / "scores.json").exists() and (folder / "report.md").exists()
        assert finish(processes, run_and_die, config, 0) == 0
        (tmp_path / "reports").rename(tmp_path / f"killed-{operation}")
    assert undisturbed is not None and operation > 15
    for folder in tmp_path.glob("killed-*/fake-*"):
        assert final_bytes(folder) == undisturbed, folder


@pytest.mark.slow
def test_killed_at_random_moments(processes, tmp_path):
    """A real model, and SIGKILL from outside at 20 random moments of runs that go on from each other."""
    config = run_config(
        tmp_path,
        write_dataset(tmp_path, 24),
        model=ModelConfig(name="small", path=str(random_gpt2(tmp_path / "small", width=32, layers=1))),
        decoding=DecodingConfig(name="topk", strategy="sample", top_k=10, max_new_tokens=24),
        engine=EngineConfig(chunk=2, workers=1, device="cpu"),
    )
    reports = tmp_path / "reports"
    assert finish(processes, run_really, config) == 0
    whole = final_bytes(next(reports.glob("small-*")))
    reports.rename(tmp_path / "undisturbed")
    started = time.monotonic()
    assert finish(processes, run_really, config) == 0
    seconds = time.monotonic() - started  # of a process whose fork server is warm
    assert final_bytes(next(reports.glob("small-*"))) == whole
    reports.rename(tmp_path / "undisturbed-again")
    moments, kills, runs = random.Random(0), 0, 0
    while kills < KILLS:
        process = processes.Process(target=run_really, args=(config,))
        process.start()
        process.join(moments.uniform(0.05, 1.0) * seconds)
        if process.is_alive():
            process.kill()
            process.join()
            kills += 1
            continue
        assert process.exitcode == 0
        assert final_bytes(next(reports.glob("small-*"))) == whole
        reports.rename(tmp_path / f"finished-{runs}")
        runs += 1
    assert finish(processes, run_really, config) == 0
    assert final_bytes(next(reports.glob("small-*"))) == whole


def test_two_processes_on_one_folder(processes, tmp_path, capfd):
    config = run_config(tmp_path, write_dataset(tmp_path, 10))
    told = processes.Queue()
    started = [processes.Process(target=run_and_tell, args=(config, 0.2, told)) for _ in range(2)]
    for process in started:
        process.start()
    made = sorted(told.get(timeout=120) for _ in started)
    for process in started:
        process.join(60)
        assert process.exitcode == 0
    assert made == [0, 10], "one generates, the other waits and finds the run complete"
    (folder,) = (tmp_path / "reports").glob("fake-*")
    alone = dataclasses.replace(config)
    together = final_bytes(folder)
    (tmp_path / "reports").rename(tmp_path / "together")
    assert finish(processes, run_and_die, alone, 0) == 0
    assert final_bytes(next((tmp_path / "reports").glob("fake-*"))) == together
