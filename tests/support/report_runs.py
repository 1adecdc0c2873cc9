"""Complete run folders in the documented format, with the real scores of replies that a test chooses."""

from __future__ import annotations

import random
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
from dialoeval.data.example import Example, fingerprint
from dialoeval.files import sha256_file, write_json, write_jsonl, write_text
from dialoeval.version import __version__

TEXT = """yes no well i think so you are right not today what about the film it was a great one though we saw it in town
last week with my brother who never liked music very much but he came and he was happy to be there for once"""
WORDS = TEXT.split()


def examples(n: int = 40, seed: int = 1, references: int = 2) -> list[Example]:
    """n dialogues of one to three turns, with made-up words."""
    draw = random.Random(seed)

    def line() -> str:
        return " ".join(draw.choices(WORDS, k=draw.randint(3, 14)))

    return [
        Example(f"d{i:04d}", tuple(line() for _ in range(1 + i % 3)), tuple(line() for _ in range(references)))
        for i in range(n)
    ]


def replies(data: list[Example], seed: int, like_reference: float = 0.5) -> list[str]:
    """A reply an example: the first reference's words, each kept with chance `like_reference`, else drawn anew."""
    draw = random.Random(seed)
    return [
        " ".join(
            word if draw.random() < like_reference else draw.choice(WORDS)
            for word in (e.references[0] if e.references else "one two three").split()
        )
        for e in data
    ]


def write_run(
    folder: Path,
    data: list[Example],
    said: list[str],
    *,
    name: str = "run",
    model: str = "toy",
    decoding: dict[str, Any] | None = None,
    dataset: dict[str, Any] | None = None,
    protocol: ProtocolConfig | None = None,
    meteor: bool = False,
    extra: tuple[str, ...] = (),
    resamples: int = 50,
    finish: list[str] | None = None,
    status: str = "complete",
    identity: dict[str, Any] | None = None,
) -> Path:
    """Write the run `folder`/`name`; returns its path."""
    from omegaconf import OmegaConf

    from dialoeval.metrics.scores import score_statistics
    from dialoeval.metrics.system_statistics import statistics
    from dialoeval.runs.folder import RunFolder

    path = folder / name
    path.mkdir(parents=True)
    protocol = protocol or ProtocolConfig(name="none")
    config = RunConfig(
        model=ModelConfig(name=model, path=model),
        decoding=_decoding(decoding or {}),
        dataset=DatasetConfig(**{"name": "talk", "kind": "file", "path": "talk.jsonl", **(dataset or {})}),
        protocol=protocol,
        engine=EngineConfig(),
        scoring=ScoringConfig(meteor=meteor, resamples=resamples, extra=list(extra)),
    )
    write_text(path / "config.yaml", OmegaConf.to_yaml(OmegaConf.structured(config)))
    finish = finish or ["stop"] * len(data)
    write_jsonl(
        path / "replies.jsonl",
        (
            {
                "id": e.id,
                "context": list(e.context),
                "reply": reply,
                "tokens": len(reply.split()),
                "logprob": -1.5,
                "finish": end,
                "dropped_turns": 0,
            }
            for e, reply, end in zip(data, said, finish, strict=True)
        ),
    )
    RunFolder(path).write_references(data)
    references = [list(e.references) for e in data]
    stats = statistics(said, references, protocol, meteor=meteor, extra=extra, contexts=[e.context for e in data])
    scores = score_statistics(stats, config.scoring).to_json()
    scores |= {"replies_sha256": sha256_file(path / "replies.jsonl"), "version": __version__}
    write_jsonl(path / "segments.jsonl", stats.segments([e.id for e in data]).rows())
    write_json(path / "scores.json", scores)
    write_json(
        path / "environment.json", {"schema": 1, "python": "3.11", "packages": {"torch": "2.13"}, "seconds": 1.5}
    )
    write_json(
        path / "manifest.json",
        {
            "schema": 1,
            "status": status,
            "identity": {"generator": {"fake": 1}, "dataset": fingerprint(data), "seed": None} | (identity or {}),
            "replies_sha256": sha256_file(path / "replies.jsonl"),
            "references_sha256": sha256_file(path / "references.jsonl"),
            "examples": len(data),
        },
    )
    return path


def _decoding(settings: dict[str, Any]) -> DecodingConfig:
    """Decoding settings by name, with the strategy that they are about."""
    strategy = "beam" if "num_beams" in settings else "sample" if settings.keys() & {"top_k", "top_p"} else "greedy"
    return DecodingConfig(**{"name": "greedy", "strategy": strategy, **settings})
