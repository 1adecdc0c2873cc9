"""A generator that needs no model, and runs with it: what the tests of run folders are made of."""

from __future__ import annotations

import dataclasses
import json
import os
import signal
import time
from pathlib import Path
from typing import Any

from dialoeval.config import (
    DatasetConfig,
    DecodingConfig,
    EngineConfig,
    ModelConfig,
    ProtocolConfig,
    RunConfig,
    ScoringConfig,
)
from dialoeval.generation.types import Candidate, GeneratorDescription, Reply

WORDS = ["yes", "no", "well", "i", "think", "so", "you", "are", "right", "not", "today"]


class FakeGenerator:
    """Replies made from the context; `asked` records every example it was asked for, in order."""

    keyed_draws = True

    def __init__(self, engine: EngineConfig, decoding: DecodingConfig) -> None:
        self.engine, self.decoding = engine, decoding
        self.asked: list[str] = []
        self.stop_at: int | None = None  # raise `error` at this example
        self.error: BaseException = KeyboardInterrupt()
        self.seconds = 0.0  # an example

    def identity(self) -> dict[str, Any]:
        return {"fake": 1}

    def describe(self) -> GeneratorDescription:
        return GeneratorDescription(engine="fake", dtype=self.engine.dtype)

    def chunk_size(self) -> int:
        return self.engine.chunk or 3

    def prompt_text(self, example, decoding) -> str:
        return "<end>".join([*example.context, ""])

    def prompt_length(self, example, decoding) -> int:
        return sum(map(len, example.context))

    def reply(self, examples, decoding, seed):
        for example in reversed(examples):
            if self.stop_at is not None and len(self.asked) == self.stop_at:
                raise self.error
            self.asked.append(example.id)
            time.sleep(self.seconds)
            number = len(example.id) + sum(map(ord, "".join(example.context) + example.id))
            text = " ".join(WORDS[(number * k) % len(WORDS)] for k in range(1, 2 + number % 7))
            yield Reply(example.id, text, len(text.split()), -1.5, "stop", 0, (Candidate(text, 1, -1.5, "stop"),))

    def keep_answers(self, file) -> None:
        pass

    def close(self) -> None:
        pass


def write_dataset(folder: Path, n: int = 10) -> Path:
    """A JSON-lines file of n dialogues of differing length."""
    path = folder / "dialogues.jsonl"
    rows = [
        {
            "id": f"d{i}",
            "context": [f"turn {k} of {i}" for k in range(1 + i % 3)],
            "references": [f"well yes {i}", "no"],
        }
        for i in range(n)
    ]
    path.write_text("".join(json.dumps(row) + "\n" for row in rows), encoding="utf-8")
    return path


def run_config(folder: Path, dataset: Path, **changes: Any) -> RunConfig:
    """A run of the fake under `folder`/reports; cheap scoring."""
    config = RunConfig(
        model=ModelConfig(name="fake", path="fake"),
        decoding=DecodingConfig(name="greedy", strategy="greedy", max_new_tokens=8),
        dataset=DatasetConfig(name="talk", kind="file", path=str(dataset)),
        protocol=ProtocolConfig(name="none"),
        engine=EngineConfig(chunk=2),
        scoring=ScoringConfig(meteor=False, resamples=10),
        reports_dir=str(folder / "reports"),
    )
    return dataclasses.replace(config, **changes)


def final_bytes(folder: Path) -> dict[str, bytes]:
    """Every file of a run folder that must not differ between two equal runs."""
    return {
        path.name: path.read_bytes()
        for path in sorted(folder.iterdir())
        if path.is_file() and path.name not in ("environment.json", ".lock") and not path.name.endswith(".tmp")
    }


def run_and_die(config: RunConfig, operation: int) -> None:
    """Run with the fake, and SIGKILL this process at its n-th write to the disk (fsync or rename)."""
    count = 0

    def deadly(real):
        def call(*arguments, **options):
            nonlocal count
            count += 1
            if count == operation:
                os.kill(os.getpid(), signal.SIGKILL)
            return real(*arguments, **options)

        return call

    os.fsync, os.replace = deadly(os.fsync), deadly(os.replace)
    run_with_fake(config)


def run_with_fake(config: RunConfig, seconds: float = 0.0) -> int:
    """Run with the fake in this process; returns the replies made now."""
    from dialoeval.runs import runner

    def opened(model, engine, decoding):
        generator = FakeGenerator(engine, decoding)
        generator.seconds = seconds
        return generator

    runner.open_generator = opened
    return runner.run(config).generated


def run_and_tell(config: RunConfig, seconds: float, told: Any) -> None:
    """`run_with_fake` in another process, which tells what it made through a queue."""
    told.put(run_with_fake(config, seconds))


def run_really(config: RunConfig) -> None:
    """Run with the real generator, for processes that are killed from outside."""
    from dialoeval.runs import runner

    runner.run(config)
