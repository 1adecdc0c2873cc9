"""Running a configuration: replies, scores, report. Killed anywhere, the same call goes on to the same bytes."""

from __future__ import annotations

import contextlib
import sys
import time
from collections.abc import Iterator, Sequence
from dataclasses import asdict, dataclass, replace
from pathlib import Path
from typing import Any

from dialoeval import data
from dialoeval.config import RunConfig
from dialoeval.config.compose import to_yaml
from dialoeval.data.example import Dataset, Example
from dialoeval.errors import UserError, is_out_of_memory
from dialoeval.files import sha256_file, write_json, write_jsonl, write_text
from dialoeval.generation import open_generator
from dialoeval.generation.types import Generator, Reply
from dialoeval.metrics import registry
from dialoeval.metrics.scores import Scores
from dialoeval.progress import progress
from dialoeval.runs.environment import environment, summary
from dialoeval.runs.folder import RunFolder
from dialoeval.runs.identity import folder_name, identity, model_name
from dialoeval.runs.precision import compare_with_float32
from dialoeval.runs.trackers import check_tracker, track
from dialoeval.version import __version__


@dataclass(frozen=True)
class Outcome:
    """What a run came to."""

    folder: RunFolder
    name: str
    scores: Scores
    generated: int  # replies made now; the rest were there


def run(config: RunConfig) -> Outcome:
    """Generate what is missing, score, write the report; then the manifest says that the run is complete.

    A complete run of the same configuration generates nothing; other scoring or protocol settings score again only,
    and replace the scores that were there.

    Raises:
        UserError: whatever the user can put right. The folder then keeps every finished reply.
    """
    check_tracker(config.tracker)
    registry.check(config.scoring.extra)
    config = replace(config, model=replace(config.model, name=model_name(config)))
    dataset = data.load(config.dataset)
    generator = open_generator(config.model, config.engine, config.decoding)
    try:
        made = identity(config, dataset, generator)
        folder = RunFolder(Path(config.reports_dir) / folder_name(config, made))
        with folder.lock():
            folder.check_identity(made)
            with _recorded(folder, made, len(dataset.examples)):
                generated, scores = _finish(config, dataset, generator, folder, made)
    finally:
        generator.close()
    name = f"{config.model.name} {config.decoding.name}"
    if config.tracker != "none":
        track(config.tracker, folder, name, scores)
    return Outcome(folder, name, scores, generated)


def _finish(
    config: RunConfig, dataset: Dataset, generator: Generator, folder: RunFolder, made: dict[str, Any]
) -> tuple[int, Scores]:
    """(replies made now, scores); the folder is complete afterwards."""
    if folder.is_complete():
        generated, scores = 0, _score(config, folder, dataset)
    else:
        generated = _generate(config, dataset, generator, folder, made)
        scores = _score(config, folder, dataset)
        folder.write_manifest(
            "complete",
            made,
            examples=len(dataset.examples),
            replies_sha256=sha256_file(folder.replies_file),
            references_sha256=sha256_file(folder.references_file),
        )
    folder.partial_file.unlink(missing_ok=True)  # also where a kill came between the manifest and this line
    return generated, scores


@contextlib.contextmanager
def _recorded(folder: RunFolder, made: dict[str, Any], examples: int) -> Iterator[None]:
    """Write down in the manifest why a run in progress stopped, and say what was kept.

    A complete run stays complete: only scoring it again failed. A manifest that is damaged is left alone.

    Raises:
        UserError: as what was raised; for want of memory or disk space too.
    """
    try:
        yield
    except (UserError, KeyboardInterrupt, MemoryError, RuntimeError, OSError) as error:
        wrong = _explained(error)
        with contextlib.suppress(UserError, OSError):
            manifest = folder.manifest()
            if manifest is not None and manifest["status"] != "complete":
                if isinstance(wrong, UserError):
                    folder.write_manifest("failed", made, examples=examples, error=str(wrong))
                print(f"{folder.path} keeps what is finished: the same command goes on", file=sys.stderr)
        if wrong is error:
            raise
        raise wrong from error


def _explained(error: BaseException) -> BaseException:
    """What the user can put right (memory, on the CPU or the GPU; the disk) as a UserError; anything else as it is."""
    if not isinstance(error, UserError) and is_out_of_memory(error):
        return UserError("out of memory: try a smaller engine.slots or engine.batch_tokens, or engine.workers=1")
    return UserError(str(error)) if isinstance(error, OSError) else error


def _generate(
    config: RunConfig, dataset: Dataset, generator: Generator, folder: RunFolder, made: dict[str, Any]
) -> int:
    examples = dataset.examples
    rows = folder.finished({example.id for example in examples})
    folder.write_manifest("running", made, examples=len(examples))
    folder.write_references(examples)
    # a chunk is finished whole or not at all: its replies depend on nothing outside it
    missing = [
        chunk for chunk in _chunks(config, examples, generator) if not all(example.id in rows for example in chunk)
    ]
    generated = sum(map(len, missing))
    if generated < len(examples):
        print(f"{len(examples) - generated} of {len(examples)} replies are there already", file=sys.stderr)
    started = time.monotonic()
    with progress("replies", len(examples), len(examples) - generated) as step:
        for chunk in missing:
            by_id = {}
            for reply in generator.reply(chunk, config.decoding, config.seed):
                by_id[reply.id] = reply
                step()
            finished = [_row(example, by_id[example.id]) for example in chunk]
            folder.append(finished)
            rows |= {row["id"]: row for row in finished}
    made_with = environment(config, generator.describe().to_json(), dataset, generated, time.monotonic() - started)
    generator.close()  # its workers' memory may be needed now
    comparable = generator.keyed_draws  # else the draws differ, whatever the precision
    compared = folder.precision_file.exists()
    if comparable and not compared and (precision := compare_with_float32(config, examples, rows)):
        write_json(folder.precision_file, precision)
    write_jsonl(folder.replies_file, (rows[example.id] for example in examples))
    write_json(folder.environment_file, made_with | {"precision": folder.precision()})
    if generated:
        print(summary(made_with), file=sys.stderr)
    return generated


def _chunks(config: RunConfig, examples: Sequence[Example], generator: Generator) -> Iterator[list[Example]]:
    """Examples ordered by prompt length, ties by position, cut into chunks: the plan depends on nothing else."""
    order = sorted(range(len(examples)), key=lambda i: (generator.prompt_length(examples[i], config.decoding), i))
    size = generator.chunk_size()
    for start in range(0, len(order), size):
        yield [examples[i] for i in order[start : start + size]]


def _row(example: Example, reply: Reply) -> dict[str, Any]:
    row = {
        "id": example.id,
        "context": list(example.context),
        "reply": reply.text,
        "tokens": reply.tokens,
        "logprob": reply.logprob,
        "finish": reply.finish,
        "dropped_turns": reply.dropped_turns,
    }
    if reply.candidates:
        row["candidates"] = [
            {"reply": c.text, **{k: v for k, v in asdict(c).items() if k not in ("text", "scored_tokens")}}
            for c in reply.candidates
        ]
    return row


def _score(config: RunConfig, folder: RunFolder, dataset: Dataset) -> Scores:
    """Score the replies, unless scores of these replies under this protocol and these settings are there.

    scores.json is written last, so that it vouches for the files beside it.
    """
    from dialoeval.metrics.scores import score_statistics
    from dialoeval.metrics.system_statistics import statistics
    from dialoeval.runs.run_page import write_report

    settings = _plain({"protocol": asdict(config.protocol), "scoring": asdict(config.scoring)})
    replies_sha256 = sha256_file(folder.replies_file)
    config_file = folder.path / "config.yaml"
    old = folder.scores()
    written = (folder.segments_file, config_file, folder.path / "report.md")
    if (
        old
        and (old.settings, old.replies_sha256, old.version) == (settings, replies_sha256, __version__)
        and all(file.is_file() for file in written)
    ):
        return old
    rows, references = folder.replies(), folder.references()
    stats = statistics(
        [row["reply"] for row in rows],
        [references[row["id"]] for row in rows],
        config.protocol,
        meteor=config.scoring.meteor,
        extra=config.scoring.extra,
        contexts=[row["context"] for row in rows],
        progress=sys.stderr.isatty(),
    )
    scores = replace(
        score_statistics(stats, config.scoring).with_counts(
            cut_contexts=sum(row["dropped_turns"] > 0 for row in rows),
            replies_cut_at_max_new_tokens=sum(row["finish"] == "length" for row in rows),
            skipped_lines=len(dataset.skipped),
        ),
        settings=settings,
        replies_sha256=replies_sha256,
    )
    write_jsonl(folder.segments_file, stats.segments([row["id"] for row in rows]).rows())
    write_text(config_file, to_yaml(config))
    write_report(folder, config, scores, rows, references)
    write_json(folder.scores_file, scores.to_json())
    return scores


def _plain(value: Any) -> Any:
    """Settings as JSON has them: enumerations as their text."""
    if isinstance(value, dict):
        return {key: _plain(item) for key, item in value.items()}
    if isinstance(value, list | tuple):
        return [_plain(item) for item in value]
    return value if value is None or type(value) in (bool, int, float) else str(value)
