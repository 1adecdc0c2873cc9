"""What made the replies of a run: models, prompt, engine and precision, for report.md and ``dialoeval show``."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any

from dialoeval.errors import UserError
from dialoeval.runs.folder import RunFolder
from dialoeval.runs.records import MARKS, Environment, RunSettings

BASELINES = {
    "constant": "one text for every context",
    "random": "a reply of the training set, drawn by seed and example",
    "human": "the human reply that is no reference",
    "copy": "the last turn of the context",
    "frequent": "the commonest reply of the training set",
    "bm25": "the reply of the training pair that BM25 ranks first",
    "dense": "the reply of the training pair with the nearest sentence embedding",
}


def made_by(settings: RunSettings, folder: RunFolder) -> list[str]:
    """Return what made the replies, a line ``name: value`` each.

    Args:
        settings: of the run.
        folder: whose environment.json and precision.json tell more; what an older version did not write is left out.
    """
    try:
        environment = folder.environment() or Environment()
    except UserError:  # no figure depends on that file: a damaged one does not stop the report
        environment = Environment()
    generator = environment.generator
    if settings.baseline is not None:
        return list(_baseline(settings, generator))
    return [
        f"model: {_name(settings.model, 'path')}{_identity(generator.get('model', generator))}",
        *_reranker(settings, generator),
        *_prompt(settings, generator),
        *_engine(settings, environment),
        f"precision: {_precision(settings, environment, folder)}",
        *_checkpoint(settings, generator),
    ]


def _baseline(settings: RunSettings, generator: Mapping[str, Any]) -> Iterator[str]:
    """Yield what a baseline is, its parameters, and its training set."""
    kind = str(settings.baseline)
    mark = f", the {MARKS[kind]} of a table" if kind in MARKS else ""
    yield f"model: none, but the baseline {kind}{mark}: {BASELINES[kind]}"
    known = generator.get("baseline")
    known = known if isinstance(known, Mapping) else {}
    if "training_set" in known:
        yield (
            f"training set: {known.get('training_name')}, {known.get('training_pairs')} pairs (fingerprint "
            f"{known['training_set']})"
        )
    hidden = ("kind", "training_set", "training_name", "training_pairs")
    yield from (f"{name}: {value}" for name, value in known.items() if name not in hidden)
    yield f"engine: baseline, version {generator.get('engine_version')}; nothing is decoded"


def _name(model: Mapping[str, Any], key: str) -> str:
    """Return the path under `key` with its revision and its file of weights."""
    prefix = "" if key == "path" else f"{key}_"
    revision, weights = model.get(f"{prefix}revision"), model.get(f"{prefix}weights")
    return f"{model.get(key)}" + (f" at {revision}" if revision else "") + (f", weights {weights}" if weights else "")


def _identity(entry: Any) -> str:
    """Return the hashes of a model's entry in environment.json, which a server's model has not."""
    if not isinstance(entry, Mapping) or "weights" not in entry:
        return ""
    return f" (weights {entry['weights']}, tokenizer {entry.get('tokenizer')})"


def _reranker(settings: RunSettings, generator: Mapping[str, Any]) -> Iterator[str]:
    rerank = settings.decoding.get("rerank")
    key = {"mmi": "backward", "classifier": "classifier"}.get(str(rerank))
    if key is not None:
        entry = generator.get("reranker")
        yield f"{key} model: {_name(settings.model, key)}" + _identity(
            isinstance(entry, Mapping) and entry.get("model")
        )


def _prompt(settings: RunSettings, generator: Mapping[str, Any]) -> Iterator[str]:
    """Yield the format, and every other setting of the prompt that is in use."""
    prompt = generator.get("prompt")
    known = prompt if isinstance(prompt, Mapping) else {}
    server = generator.get("engine") == "openai"
    yield f"prompt: {'the messages, in the template of the server' if server else settings.model.get('prompt')}"
    for name, value in known.items():
        if name != "format" and value not in (None, "", 0):
            yield f"{name.replace('_', ' ')}: {value}"


def _engine(settings: RunSettings, environment: Environment) -> Iterator[str]:
    generator = environment.generator
    reason = f" ({generator['engine_reason']})" if "engine_reason" in generator else ""
    server = f" at {generator['server']}" if "server" in generator else ""
    yield f"engine: {environment.engine or settings.engine.get('name')}{server}{reason}"
    if (version := generator.get("engine_version")) is not None:
        told = ", ".join(map(str, version)) if isinstance(version, list) else str(version)
        packages = [f"{name} {environment.packages.get(name)}" for name in ("torch", "transformers")]
        yield f"engine version: {told}" + (f" ({', '.join(packages)})" if "device" in generator else "")


def _precision(settings: RunSettings, environment: Environment, folder: RunFolder) -> str:
    """Return the precision, and how many replies a low one changed."""
    dtype = str(settings.engine.get("dtype"))
    if environment.generator and "dtype" not in environment.generator:
        return "the server's"
    if dtype == "fp32":
        return dtype
    if (precision := folder.precision()) is None:
        return f"{dtype}; not compared with float32"
    low, high = precision.interval
    return (
        f"{dtype}; {precision.differing} of {precision.sample} sampled replies differ from float32's "
        f"({precision.share:.1%}, 95% interval {low:.1%} to {high:.1%})"
    )


def _checkpoint(settings: RunSettings, generator: Mapping[str, Any]) -> Iterator[str]:
    """Yield the checkpoint's own generation settings, and whether they were taken."""
    written = generator.get("generation_config")
    if not isinstance(written, Mapping):
        return
    shown = ", ".join(f"{name}={value}" for name, value in written.items()) or "none"
    taken = bool(settings.decoding.get("checkpoint"))
    ignored = "" if taken or not written else ", ignored (decoding=checkpoint takes them)"
    yield f"generation settings of the checkpoint: {shown}{', taken' if taken and written else ignored}"
