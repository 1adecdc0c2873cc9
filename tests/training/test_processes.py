"""Training in two processes, which `accelerate launch` starts; with device=cpu they speak gloo."""

from __future__ import annotations

import contextlib
import json
import logging
import os
import random
import shutil
import signal
import subprocess
import sys
import time
from functools import partial
from itertools import chain

import pytest
import torch
from safetensors.torch import load_file

from dialoeval.cli.main import main
from dialoeval.errors import UserError
from dialoeval.training import train as training
from dialoeval.training.processes import ALONE, Processes
from dialoeval.training.sequences import batches

LAUNCHER = (
    *("-m", "accelerate.commands.launch", "--multi_gpu", "--num_processes", "2", "--num_machines", "1"),
    *("--mixed_precision", "no", "--dynamo_backend", "no", "--main_process_port", "0"),
)


@pytest.fixture
def launch(start):
    """Return a function that starts `dialoeval train` in two processes, in a process group of their own."""
    started = []

    def popen(*arguments):
        process = start(*arguments, command=[sys.executable, *LAUNCHER, "-m", "dialoeval"], start_new_session=True)
        started.append(process)
        return process

    yield popen
    for process in started:
        with contextlib.suppress(ProcessLookupError):
            os.killpg(process.pid, signal.SIGKILL)


def finish(process):
    out, errors = process.communicate(timeout=280)
    return process.returncode, out, errors


def weights(folder):
    return load_file(folder / "model.safetensors")


def record_of(folder):
    return json.loads((folder / "training.json").read_text())


def workers(process):
    """Return the ids of the launcher's processes."""
    listed = subprocess.run(["ps", "-o", "pid=", "--ppid", str(process.pid)], capture_output=True, text=True)
    return [int(line) for line in listed.stdout.split()]


def wait_for(file, process, seconds=280):
    until = time.monotonic() + seconds
    while not file.exists():
        assert process.poll() is None and time.monotonic() < until
        time.sleep(0.02)


def assert_close(folder, other, atol):
    """Check that the weights of two folders differ by at most `atol`."""
    ours, theirs = weights(folder), weights(other)
    assert ours.keys() == theirs.keys()
    for name in ours:
        torch.testing.assert_close(ours[name], theirs[name], rtol=0, atol=atol)


@pytest.mark.slow
@pytest.mark.parametrize(
    "more",
    [
        ["training.micro_batch_tokens=100", "training.dropout=0.2", "training.objective=responses"],
        ["training.micro_batch_tokens=8192", "device=auto"],  # two processes have smaller micro-batches
    ],
)
def test_two_processes_take_the_steps_of_one(settings, settings_words, tmp_path, launch, some_talks, more):
    held_out = f"training.validation_path={some_talks}"
    one = training.train(settings(tmp_path / "one", held_out, *more))
    code, out, errors = finish(launch(*settings_words(tmp_path / "two", held_out, *more)))
    assert code == 0, errors
    two = record_of(tmp_path / "two")
    assert (one.processes, two["processes"]) == (1, 2) and two["run"] == one.run and two["step"] == one.step
    assert two["validation_perplexity"] == pytest.approx(one.validation_perplexity, rel=1e-4)
    assert two["released_perplexity"] == pytest.approx(one.released_perplexity, rel=1e-4)
    # Adam divides by the size of a gradient: where that is near 0, the order of a sum decides a whole step
    assert_close(tmp_path / "two", tmp_path / "one", atol=2e-4)
    rows = [json.loads(line) for line in errors.splitlines() if line.startswith("{")]
    assert [row["step"] for row in rows] == [row["step"] for row in one.curve]  # one process alone prints
    assert [row["loss"] for row in rows] == pytest.approx([row["loss"] for row in one.curve], abs=2e-4)
    assert out == (
        f"model: {tmp_path}/two  held-out perplexity: {two['validation_perplexity']} "
        f"(as the DialoGPT release computes it: {two['released_perplexity']})\n"
    )
    assert "Traceback" not in errors


@pytest.mark.slow
def test_a_mistake_is_told_once_and_ends_all_processes(settings_words, tmp_path, launch):
    for more, message in (("dataset.path=/none.jsonl", "dialoeval: there is no file /none.jsonl"),
                          ("training.learning_rate=1e30", "the loss is not finite at step")):  # fmt: skip
        code, out, errors = finish(launch(*settings_words(tmp_path / "out", more)))
        assert code != 0 and out == "" and errors.count(message) == 1


@pytest.mark.slow
def test_a_damaged_state_and_other_settings_are_told_once(settings, settings_words, tmp_path, launch):
    training.train(settings(tmp_path / "out", "training.keep_state=true"))
    words = settings_words(tmp_path / "out", "training.keep_state=true")
    code, _, errors = finish(launch(*words, "seed=3"))
    assert code != 0 and errors.count("another configuration (differs in: seed was 0, now 3)") == 1
    (tmp_path / "out" / "state" / "tensors.pt").write_bytes(b"no tensors")
    code, _, errors = finish(launch(*words, "training.max_steps=20"))
    assert code != 0 and errors.count("the state of the training is damaged") == 1


LONG = ("training.max_steps=80", "training.dropout=0.1")


@pytest.fixture(scope="module")
def whole(settings_words, environment, tmp_path_factory):
    """Return the folder of a training of two processes that nobody ended."""
    folder = tmp_path_factory.mktemp("two") / "whole"
    command = [sys.executable, *LAUNCHER, "-m", "dialoeval", "train", *settings_words(folder, *LONG)]
    subprocess.run(command, check=True, env=environment, capture_output=True, timeout=280)
    return folder


@pytest.mark.slow
@pytest.mark.parametrize("how", ["interrupt", "kill the first", "kill the second", "kill all"])
def test_a_training_that_was_ended_goes_on_to_the_same_weights(settings_words, tmp_path, launch, whole, how):
    process = launch(*settings_words(tmp_path / "out", *LONG))
    wait_for(tmp_path / "out" / "state" / "progress.json", process)
    time.sleep(random.random() / 2)
    with contextlib.suppress(ProcessLookupError, IndexError):  # it was quicker
        if how == "interrupt":
            os.killpg(process.pid, signal.SIGINT)
        elif how == "kill all":
            for worker in [*workers(process), process.pid]:
                os.kill(worker, signal.SIGKILL)
        else:
            os.kill(workers(process)[0 if how == "kill the first" else -1], signal.SIGKILL)
    code, out, errors = finish(process)
    if code != 0:
        assert out == "" and errors.count("dialoeval: interrupted") == (how == "interrupt")
        assert str(training.__file__) not in errors  # the launcher's own traceback aside
    code, _, errors = finish(launch(*settings_words(tmp_path / "out", *LONG)))
    assert code == 0, errors
    assert record_of(tmp_path / "out")["weights"] == record_of(whole)["weights"]
    assert not [file.name for file in (tmp_path / "out").iterdir() if file.name.startswith((".model-", ".state-"))]


@pytest.mark.slow
def test_what_one_process_began_two_can_end_and_the_reverse(settings, settings_words, tmp_path, launch):
    first, further = ["training.keep_state=true"], ["training.keep_state=true", "training.max_steps=20"]
    training.train(settings(tmp_path / "a", *first))
    shutil.copytree(tmp_path / "a", tmp_path / "b")
    training.train(settings(tmp_path / "a", *further))
    code, _, errors = finish(launch(*settings_words(tmp_path / "b", *further)))
    assert code == 0, errors
    code, _, errors = finish(launch(*settings_words(tmp_path / "c", *first)))
    assert code == 0, errors
    training.train(settings(tmp_path / "c", *further))
    assert [record_of(tmp_path / name)["processes"] for name in "abc"] == [1, 2, 1]
    assert_close(tmp_path / "b", tmp_path / "a", atol=2e-4)
    assert_close(tmp_path / "c", tmp_path / "a", atol=2e-4)


# ---- shares


@pytest.mark.parametrize("count", [2, 3, 8])
def test_every_process_has_a_micro_batch_in_every_step(count):
    lengths = [3, 9, 4, 7, 5, 6, 2, 8, 4, 5] * 9
    limit = Processes(0, count, None).limit(8192, 120)
    for step, _ in zip(batches(lengths, 120, limit, seed=1), range(30), strict=False):
        parts = [Processes(number, count, None).part(step) for number in range(count)]
        assert all(parts) and sorted(chain.from_iterable(parts), key=step.index) == step
    assert ALONE.limit(8192, 120) == 8192


@pytest.mark.skipif(torch.cuda.is_available(), reason="this machine has a GPU")
def test_another_machine_tells_its_own_mistake(monkeypatch, capsys, request):
    logger = logging.getLogger("dialoeval")  # which other processes silence
    request.addfinalizer(partial(logger.setLevel, logger.level))
    words = ["train", "training=tiny", "device=cuda"]
    monkeypatch.setenv("RANK", "1")
    monkeypatch.setenv("LOCAL_RANK", "0")
    assert main(words) == 2
    assert capsys.readouterr() == ("", "dialoeval: device=cuda, but PyTorch finds no GPU\n")
    monkeypatch.setenv("LOCAL_RANK", "1")  # process 0 has the same machine, and tells
    with pytest.raises(SystemExit, match="2"):
        main(words)
    assert capsys.readouterr() == ("", "")


def test_one_process_shares_with_nobody():
    nest = {"a": [torch.ones(2), {"b": 3}]}
    assert ALONE.share(nest) is nest and ALONE.sum_numbers([1.0, 2.0]) == [1.0, 2.0]
    assert ALONE.on_first(lambda: 3) == ALONE.everywhere(lambda: 3) == 3
    with pytest.raises(UserError, match="mine"):
        ALONE.on_first(_fail)


def _fail():
    raise UserError("mine")
