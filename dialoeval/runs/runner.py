"""Running a configuration: replies, scores, report. Killed anywhere, the same call goes on to the same bytes."""

from __future__ import annotations

import sys
import time
from collections.abc import Iterator, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

from dialoeval import data
from dialoeval.config import RunConfig
from dialoeval.data.example import Dataset, Example
from dialoeval.errors import UserError
from dialoeval.files import sha256_file, write_json, write_jsonl, write_text
from dialoeval.generation import open_generator
from dialoeval.generation.types import Generator, Reply
from dialoeval.runs.environment import environment
from dialoeval.runs.folder import RunFolder
from dialoeval.runs.identity import folder_name, identity, model_name


@dataclass(frozen=True)
class Outcome:
    """What a run came to."""

    folder: RunFolder
    name: str
    scores: dict[str, Any]
    generated: int  # replies made now; the rest were there


def run(config: RunConfig) -> Outcome:
    """Generate what is missing, score, write the report.

    A complete run of the same configuration generates nothing; other scoring or protocol settings score again only.

    Raises:
        UserError: whatever the user can put right. The folder then keeps every finished reply.
    """
    dataset = data.load(config.dataset)
    generator = open_generator(config.model, config.engine, config.decoding)
    try:
        made = identity(config, dataset, generator)
        folder = RunFolder(Path(config.reports_dir) / folder_name(config, made))
        with folder.lock():
            generated = 0
            if not folder.is_complete():
                generated = _generate(config, dataset, generator, folder, made)
            scores = _score(config, folder, dataset)
    finally:
        generator.close()
    name = f"{model_name(config)} {config.decoding.name}"
    _track(config, folder, name, scores)
    return Outcome(folder, name, scores, generated)


def _generate(
    config: RunConfig, dataset: Dataset, generator: Generator, folder: RunFolder, made: dict[str, Any]
) -> int:
    folder.manifest()  # a damaged one stops here, before anything is written
    folder.write_manifest("running", made, examples=len(dataset.examples))
    folder.write_references(dataset.examples)
    rows = folder.finished({example.id for example in dataset.examples})
    chunks = list(_chunks(config, dataset.examples, generator))
    done = sum(len(chunk) for chunk in chunks if all(example.id in rows for example in chunk))
    if done:
        print(f"{done} of {len(dataset.examples)} replies are there already", file=sys.stderr)
    started, generated = time.monotonic(), 0
    try:
        with _progress(len(dataset.examples), done) as bar:
            for chunk in chunks:
                if all(example.id in rows for example in chunk):
                    continue  # a chunk is finished whole: its replies depend on nothing outside it
                fresh = []
                for reply in generator.reply(chunk, config.decoding, config.seed):
                    fresh.append(reply)
                    bar.update()
                by_id = {reply.id: reply for reply in fresh}
                finished = [_row(example, by_id[example.id]) for example in chunk]
                folder.append(finished)
                rows |= {row["id"]: row for row in finished}
                generated += len(finished)
    except UserError as error:
        folder.write_manifest("failed", made, examples=len(dataset.examples), error=str(error))
        raise
    write_jsonl(folder.replies_file, (rows[example.id] for example in dataset.examples))
    write_json(
        folder.path / "environment.json",
        environment(config, generator.describe(), dataset, generated, time.monotonic() - started),
    )
    write_text(folder.path / "config.yaml", _yaml(config))
    folder.write_manifest(
        "complete", made, examples=len(dataset.examples), replies_sha256=sha256_file(folder.replies_file)
    )
    folder.partial_file.unlink(missing_ok=True)
    return generated


def _chunks(config: RunConfig, examples: Sequence[Example], generator: Generator) -> Iterator[list[Example]]:
    """Examples ordered by prompt length, ties by position, cut into chunks: the plan depends on nothing else."""
    length = getattr(generator, "prompt_length", lambda example, decoding: sum(map(len, example.context)))
    order = sorted(range(len(examples)), key=lambda i: (length(examples[i], config.decoding), i))
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
            {"reply": c.text, **{k: v for k, v in asdict(c).items() if k != "text"}} for c in reply.candidates
        ]
    return row


def _score(config: RunConfig, folder: RunFolder, dataset: Dataset) -> dict[str, Any]:
    """Score the replies, unless scores of these replies under this protocol and these settings are there."""
    from dialoeval.metrics.scores import score_statistics, segments
    from dialoeval.metrics.suite import statistics
    from dialoeval.runs.report import write_report

    replies_hash = sha256_file(folder.replies_file)
    settings = {"protocol": asdict(config.protocol), "scoring": asdict(config.scoring)}
    plain = {key: {k: str(v) for k, v in value.items()} for key, value in settings.items()}
    old = folder.scores()
    if old and old.get("replies_sha256") == replies_hash and old.get("settings") == plain:
        return old
    rows, references = folder.replies(), folder.references()
    hypotheses = [row["reply"] for row in rows]
    lists = [references[row["id"]] for row in rows]
    made = statistics(hypotheses, lists, config.protocol, meteor=config.scoring.meteor, progress=True)
    contexts = [row["context"] for row in rows]
    scores = score_statistics(
        made, config.scoring, hypotheses=hypotheses, references=lists, contexts=contexts
    ).to_json()
    scores["counts"] |= {
        "cut_contexts": sum(row["dropped_turns"] > 0 for row in rows),
        "replies_cut_at_max_new_tokens": sum(row["finish"] == "length" for row in rows),
        "skipped_lines": len(dataset.skipped),
    }
    scores |= {"settings": plain, "replies_sha256": replies_hash}
    write_jsonl(folder.segments_file, segments(made, [row["id"] for row in rows]))
    write_json(folder.scores_file, scores)
    write_text(folder.path / "config.yaml", _yaml(config))
    write_report(folder, config, scores, rows, references)
    return scores


def _track(config: RunConfig, folder: RunFolder, name: str, scores: dict[str, Any]) -> None:
    if config.tracker != "none":
        from dialoeval.runs.trackers import track

        track(config.tracker, folder, name, scores)


def _yaml(config: RunConfig) -> str:
    from omegaconf import OmegaConf

    return OmegaConf.to_yaml(OmegaConf.structured(config))


def _progress(total: int, done: int) -> Any:
    """A bar on a terminal; elsewhere a line now and then."""
    from tqdm import tqdm

    slow = {} if sys.stderr.isatty() else {"mininterval": 30, "ncols": 80}
    return tqdm(total=total, initial=done, unit="reply", desc="replies", leave=False, **slow)
