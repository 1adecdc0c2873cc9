"""The output folder: its lock, other settings, training further, damage, a full disk, and what is kept."""

from __future__ import annotations

import json
import os
import resource
import shutil
import time

import pytest

from dialoeval.config.compose import compose
from dialoeval.errors import UserError
from dialoeval.files import sha256_file
from dialoeval.training import checkpoint, results
from dialoeval.training import train as training
from dialoeval.training.folder import changed_weights, locked
from dialoeval.training.loss import Losses
from dialoeval.training.optimise import learning_rate


def train(overrides, *more):
    return training.train(compose("train", [*overrides, *more]))


def weights(folder):
    return (folder / "model.safetensors").read_bytes()


def record_of(folder):
    return json.loads((folder / "training.json").read_text())


def killed_at(monkeypatch, step):
    real = training._step

    def killed(*arguments):
        if arguments[-1] == step:
            raise KeyboardInterrupt
        return real(*arguments)

    monkeypatch.setattr(training, "_step", killed)
    return lambda: monkeypatch.setattr(training, "_step", real)


# ---- processes


def wait_for(file, process, seconds=120):
    until = time.monotonic() + seconds
    while not file.exists():
        assert process.poll() is None and time.monotonic() < until
        time.sleep(0.02)


def test_a_second_training_is_refused_and_a_killed_one_ends_with_the_same_weights(overrides, tmp_path, start):
    whole = train(overrides, f"training.output_dir={tmp_path}/whole", "training.max_steps=60")
    slow = [*overrides, "training.max_steps=60"]
    first = start(*slow)
    wait_for(tmp_path / "out" / "state" / "progress.json", first)
    with pytest.raises(UserError, match=r"another process trains in .*: wait until it has ended, or choose another"):
        train(slow)
    second = start(*slow)
    _, errors = second.communicate(timeout=120)
    if first.poll() is None:  # still at it: the second has been refused
        assert second.returncode == 2 and "another process trains in" in errors and "Traceback" not in errors
    first.kill()
    first.wait()
    again = start(*slow)
    out, errors = again.communicate(timeout=120)
    assert again.returncode == 0, errors
    assert out.startswith(f"model: {tmp_path}/out")
    assert weights(tmp_path / "out") == weights(tmp_path / "whole")
    assert record_of(tmp_path / "out")["weights"] == whole.weights
    assert "\r" not in errors and "step/s" not in errors  # no bar where there is no terminal


@pytest.mark.parametrize("limit", [3_000, 40_000, 120_000, 300_000])
def test_a_file_that_cannot_be_written_whole_is_one_sentence(overrides, tmp_path, start, limit):
    process = start(*overrides, preexec_fn=lambda: resource.setrlimit(resource.RLIMIT_FSIZE, (limit, limit)))
    _, errors = process.communicate(timeout=120)
    assert process.returncode == 2 and "Traceback" not in errors
    last = errors.strip().splitlines()[-1]
    assert last.startswith("dialoeval: cannot write") and last.endswith("goes on from the last checkpoint")
    assert not [file.name for file in (tmp_path / "out").iterdir() if file.name.startswith((".model-", ".state-"))]


# ---- other settings in the same folder


def test_every_differing_setting_is_named_with_both_values(overrides, tmp_path):
    train(overrides)
    before = weights(tmp_path / "out"), record_of(tmp_path / "out")
    with pytest.raises(UserError) as caught:
        train(overrides, "training.learning_rate=1e-2", "training.max_steps=8", "training.keep=last", "seed=3")
    text = str(caught.value)
    assert "training.learning_rate was 0.003, now 0.01" in text and "seed was 0, now 3" in text
    assert "training.max_steps was 12, now 8" in text and "choose another training.output_dir" in text
    assert (weights(tmp_path / "out"), record_of(tmp_path / "out")) == before


def test_other_data_is_named(overrides, tmp_path, some_talks):
    train(overrides)
    other = tmp_path / "other.jsonl"
    other.write_text("".join(some_talks.read_text().splitlines(keepends=True)[:50]))
    with pytest.raises(UserError, match="differs in: the training data or its tokens"):
        train(overrides, f"dataset.path={other}")


def test_settings_without_influence_on_the_weights_may_change(overrides, tmp_path):
    first = train(overrides)
    again = train(overrides, "training.log_every=1", "training.save_every=1", "model.name=x")
    assert again == first  # nothing is trained twice


def test_a_record_of_an_earlier_version_is_read(overrides, tmp_path):
    first = train(overrides)
    old = record_of(tmp_path / "out")
    for key in ("status", "step", "stages", "weights"):
        del old[key]
    for key in ("keep", "patience"):
        del old["run"]["training"][key]
    (tmp_path / "out" / "training.json").write_text(json.dumps(old))
    assert train(overrides).step == first.step
    with pytest.raises(UserError, match=r"training.patience was 0, now 2"):
        train(overrides, "training.patience=2", f"training.validation_path={overrides[1].split('=')[1]}")


def test_a_model_from_elsewhere_is_not_overwritten(overrides, tmp_path):
    (tmp_path / "out").mkdir()
    (tmp_path / "out" / "config.json").write_text("{}")
    with pytest.raises(UserError, match="holds a model that no training recorded"):
        train(overrides)
    assert (tmp_path / "out" / "config.json").read_text() == "{}"


# ---- training further


def test_training_further_is_a_second_stage_from_the_kept_state(overrides, tmp_path):
    train(overrides, "training.keep_state=true")
    more = train(overrides, "training.keep_state=true", "training.max_steps=20")
    assert more.to_json()["stages"] == [{"first_step": 0, "max_steps": 12}, {"first_step": 12, "max_steps": 20}]
    assert more.step == 20 and [row["step"] for row in more.curve] == [5, 10, 12, 15, 20]
    options = compose("train", [*overrides, "training.max_steps=20"]).training
    assert more.curve[-2]["lr"] == pytest.approx(learning_rate(15, options, width=0), rel=1e-3)
    train(overrides, f"training.output_dir={tmp_path}/whole", "training.max_steps=20")
    assert weights(tmp_path / "whole") != weights(tmp_path / "out")  # as the documentation says


def test_a_killed_second_stage_ends_with_the_same_weights(overrides, tmp_path, monkeypatch):
    train(overrides, "training.keep_state=true")
    shutil.copytree(tmp_path / "out", tmp_path / "copy")
    further = ["training.keep_state=true", "training.max_steps=20"]
    whole = train(overrides, *further)
    restore = killed_at(monkeypatch, 18)
    with pytest.raises(KeyboardInterrupt):
        train(overrides, *further, f"training.output_dir={tmp_path}/copy")
    restore()
    cut = train(overrides, *further, f"training.output_dir={tmp_path}/copy")
    assert weights(tmp_path / "copy") == weights(tmp_path / "out")
    assert (cut.curve, cut.stages) == (whole.curve, whole.stages)


def test_training_further_without_a_state_is_refused(overrides, tmp_path):
    train(overrides)
    assert not (tmp_path / "out" / "state").exists()
    with pytest.raises(
        UserError, match=r"ended after 12 steps, and its optimiser's state was removed: to train further"
    ):
        train(overrides, "training.max_steps=20")


# ---- the record belongs to the weights


def test_every_save_has_its_record(overrides, tmp_path, monkeypatch):
    killed_at(monkeypatch, 7)
    with pytest.raises(KeyboardInterrupt):
        train(overrides)
    record = record_of(tmp_path / "out")
    assert record["status"] == "running" and record["step"] == 4
    assert record["weights"] == {"model.safetensors": sha256_file(tmp_path / "out" / "model.safetensors")}
    assert not changed_weights(tmp_path / "out")


def test_changed_weights_are_refused(overrides, tmp_path):
    train(overrides)
    file = tmp_path / "out" / "model.safetensors"
    file.write_bytes(file.read_bytes()[:-1] + b"!")
    assert changed_weights(tmp_path / "out")
    with pytest.raises(UserError, match=r"not those that its training.json records"):
        train(overrides)


@pytest.mark.parametrize("moment", range(8))
def test_a_training_killed_while_it_renames_files_ends_with_the_same_weights(overrides, tmp_path, monkeypatch, moment):
    # The last save: the record and then the model. A kill before any of the renames must heal.
    whole = train(overrides, f"training.output_dir={tmp_path}/whole")
    real, count = os.replace, 0

    def replace(source, target):
        nonlocal count
        if ".model-" in str(source):
            count += record_of(tmp_path / "out")["step"] == 8 if (tmp_path / "out" / "training.json").exists() else 0
            count += record_of(tmp_path / "out")["step"] == 12 if (tmp_path / "out" / "training.json").exists() else 0
            if count == moment + 1:
                raise KeyboardInterrupt
        real(source, target)

    monkeypatch.setattr(checkpoint.os, "replace", replace)
    try:
        train(overrides)
    except KeyboardInterrupt:
        monkeypatch.setattr(checkpoint.os, "replace", real)
        train(overrides)
    assert weights(tmp_path / "out") == weights(tmp_path / "whole")
    assert record_of(tmp_path / "out")["weights"] == whole.weights and not (tmp_path / "out" / "state").exists()


# ---- damage


@pytest.mark.parametrize(
    ("file", "damage"),
    [
        ("tensors.pt", lambda content: content[: len(content) // 2]),
        ("tensors.pt", lambda content: content[:3000] + bytes([content[3000] ^ 1]) + content[3001:]),
        ("tensors.pt", lambda content: None),
        ("progress.json", lambda content: content[:40]),
        ("progress.json", lambda content: b"{}"),
        ("progress.json", lambda content: b"[1]"),
        ("progress.json", lambda content: content.replace(b'"step": 4', b'"step": "4"')),
        ("progress.json", lambda content: None),
    ],
)
def test_a_damaged_state_is_one_sentence_that_helps(overrides, tmp_path, monkeypatch, file, damage):
    restore = killed_at(monkeypatch, 7)
    with pytest.raises(KeyboardInterrupt):
        train(overrides)
    restore()
    path = tmp_path / "out" / "state" / file
    damaged = damage(path.read_bytes())
    path.unlink() if damaged is None else path.write_bytes(damaged)
    with pytest.raises(UserError, match=r"(?s)^the state of the training is damaged: [^\n]*delete the folder .*/state"):
        train(overrides)
    shutil.rmtree(tmp_path / "out" / "state")
    again = train(overrides)
    assert again.step == 12
    assert again.weights == train(overrides, f"training.output_dir={tmp_path}/whole").weights


def test_a_damaged_record_is_one_sentence(overrides, tmp_path):
    train(overrides)
    for text in ("{", "[]", '{"schema": 1}', '{"schema": 2, "curve": []}'):
        (tmp_path / "out" / "training.json").write_text(text)
        with pytest.raises(UserError, match=r"training.json"):
            train(overrides)


def test_a_full_disk_leaves_the_last_checkpoint(overrides, tmp_path, monkeypatch):
    import errno

    from safetensors import SafetensorError

    real = training.save_model

    def full(model, *arguments):
        def save_pretrained(folder):
            raise SafetensorError("Error while serializing: I/O error: No space left on device (os error 28)")

        if training_steps(tmp_path) == 4:
            monkeypatch.setattr(type(model), "save_pretrained", lambda self, folder: save_pretrained(folder))
        return real(model, *arguments)

    monkeypatch.setattr(training, "save_model", full)
    with pytest.raises(
        UserError, match=r"cannot write the model to .*No space left on device.*; once it can be written"
    ):
        train(overrides)
    monkeypatch.undo()

    def no_space(*arguments):
        raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))

    monkeypatch.setattr("torch.save", no_space)
    with pytest.raises(UserError, match=r"cannot write a checkpoint to .*: No space left on device; once it can be"):
        train(overrides)
    monkeypatch.undo()
    assert train(overrides).weights == train(overrides, f"training.output_dir={tmp_path}/whole").weights


def training_steps(tmp_path):
    file = tmp_path / "out" / "state" / "progress.json"
    return json.loads(file.read_text())["step"] if file.exists() else 0


# ---- epochs, best weights, early stopping


def test_epochs_are_steps(overrides, tmp_path, caplog):
    caplog.set_level("INFO", "dialoeval")
    by_epochs = train([*overrides, "training.max_steps=null"], "training.epochs=2", f"training.output_dir={tmp_path}/e")
    steps = by_epochs.run["training"]["max_steps"]
    assert by_epochs.step == steps and f"2 epochs of 93 sequences are {steps} steps" in caplog.text
    seen = steps * 300 / by_epochs.train_tokens
    assert 1.8 < seen < 2.2
    by_steps = train(overrides, f"training.max_steps={steps}")
    assert by_steps.weights == by_epochs.weights and by_steps.run == by_epochs.run


def test_a_word_about_thousands_of_epochs(overrides, some_talks, caplog):
    train(overrides, "training.batch_tokens=20000", "training.max_steps=25")
    assert "about" in caplog.text and "124 epochs of 93 sequences" in caplog.text and "by heart" in caplog.text
    assert "never reaches its peak" not in caplog.text


def test_the_best_weights_are_kept_and_training_stops_early(overrides, tmp_path, some_talks, monkeypatch):
    losses = iter([3.0, 2.0, 2.5, 2.0, 2.1, 1.0])
    monkeypatch.setattr(results, "evaluate", lambda *arguments: Losses(next(losses), 2.5))
    held_out = [f"training.validation_path={some_talks}", "training.eval_every=2", "training.patience=3"]
    best = train(overrides, *held_out, "training.keep=best", "training.max_steps=40")
    assert best.step == 4 and best.validation_loss == 2.0 and best.status == "complete"
    assert best.curve[-1]["step"] == 10  # three evaluations after the best one
    assert best.weights == {"model.safetensors": sha256_file(tmp_path / "out" / "model.safetensors")}
    plain = [*overrides, f"training.output_dir={tmp_path}/plain", "training.max_steps=40"]
    restore = killed_at(monkeypatch, 5)
    with pytest.raises(KeyboardInterrupt):
        train(plain)
    restore()
    assert weights(tmp_path / "plain") == weights(tmp_path / "out")  # those of step 4


@pytest.mark.parametrize("at", [3, 6, 9, 11])
def test_a_killed_training_keeps_the_same_best_weights(overrides, tmp_path, some_talks, monkeypatch, at):
    more = [
        f"training.validation_path={some_talks}",
        "training.eval_every=3",
        "training.keep=best",
        "training.patience=2",
    ]
    whole = train(overrides, *more, f"training.output_dir={tmp_path}/whole")
    restore = killed_at(monkeypatch, at)
    with pytest.raises(KeyboardInterrupt):
        train(overrides, *more)
    restore()
    cut = train(overrides, *more)
    assert (cut.weights, cut.curve, cut.step) == (whole.weights, whole.curve, whole.step)
    assert weights(tmp_path / "whole") == weights(tmp_path / "out")


@pytest.mark.parametrize("setting", ["keep=best", "patience=2"])
def test_choosing_by_held_out_loss_needs_held_out_dialogues(overrides, setting):
    with pytest.raises(UserError, match=rf"training.{setting} has no effect; it needs training.validation_path"):
        compose("train", [*overrides, f"training.{setting}"])
    config = compose("train", overrides)
    name, value = setting.split("=")
    setattr(config.training, name, value if name == "keep" else int(value))  # as from Python
    with pytest.raises(UserError, match=rf"training.{setting} needs held-out dialogues: set training.validation_path"):
        training.train(config)


def test_evaluations_do_not_wait_for_log_lines(overrides, some_talks):
    curve = train(overrides, f"training.validation_path={some_talks}", "training.eval_every=4").curve
    assert [row["step"] for row in curve if "validation_loss" in row] == [4, 8, 12]


def test_the_lock_is_free_after_an_error(tmp_path):
    with pytest.raises(ZeroDivisionError), locked(tmp_path / "a"):
        raise ZeroDivisionError
    with locked(tmp_path / "a"):
        pass
