"""Engines, the ways to run a model, by name.

An engine is a module (or package) ``dialoeval.generation.engines.<name>``, or a module that an installed package
declares under the entry point ``dialoeval.engines``. A `TokenEngineModule` continues token ids in this process and
never sees text; a `SourceModule` turns contexts into candidates by other means.
"""

from __future__ import annotations

import importlib
import pkgutil
from dataclasses import dataclass
from typing import TYPE_CHECKING, Literal, Protocol

from dialoeval import plugins
from dialoeval.errors import UserError, nearest

if TYPE_CHECKING:
    from dialoeval.config import DecodingConfig, EngineConfig, ModelConfig
    from dialoeval.generation.types import CandidateSource, TokenEngine
    from dialoeval.models.loading import LoadedModel

__all__ = ["Engine", "SourceModule", "TokenEngineModule", "automatic", "get", "names"]


class TokenEngineModule(Protocol):
    """The module of an engine that continues token ids with a model of transformers in this process.

    Attributes:
        VERSION: version of the engine's numerics; raise it when a change to the code can change a reply or a score.
        RUNS_HERE: True; the engine runs reranking models too.
        KEYED_DRAWS: True if random draws depend only on seed and example (see `generation.rng`), not on the batch.
            Only then low precision can be compared with float32.
        ROUNDS_IN_PLACE: True if the engine rounds the model's own weights for bf16 and fp16, which no other engine can
            use afterwards.
        AUTO: priority for ``engine=auto``, which tries the built-in engines from the highest down; 0: never tried.
    """

    VERSION: int
    RUNS_HERE: Literal[True]
    KEYED_DRAWS: bool
    ROUNDS_IN_PLACE: bool
    AUTO: int

    def supports(self, loaded: LoadedModel, decoding: DecodingConfig) -> str | None:
        """Return None if the engine supports the model and the decoding, else the reason in one sentence."""
        ...

    def open_engine(self, loaded: LoadedModel, engine: EngineConfig) -> TokenEngine:
        """Return the engine for a model that it supports.

        Raises:
            UserError: the device or dtype is not available, or ``engine.options`` has an unknown setting.
        """
        ...


class SourceModule(Protocol):
    """The module of an engine that runs a model by other means: another program, or a server.

    Attributes:
        VERSION, KEYED_DRAWS: as in `TokenEngineModule`.
        RUNS_HERE: False.
    """

    VERSION: int
    RUNS_HERE: Literal[False]
    KEYED_DRAWS: bool

    def supports(self, model: ModelConfig, decoding: DecodingConfig) -> str | None:
        """Return None if the engine supports the model and the decoding, else the reason in one sentence."""
        ...

    def open_source(self, model: ModelConfig, engine: EngineConfig, decoding: DecodingConfig) -> CandidateSource:
        """Return the source of candidates.

        Raises:
            UserError: the model, the server or a package is not available, or ``engine.options`` has an unknown
                setting.
        """
        ...


_ATTRIBUTES = ("VERSION", "RUNS_HERE", "KEYED_DRAWS", "supports")
_TOKEN_ENGINE_ATTRIBUTES = (*_ATTRIBUTES, "ROUNDS_IN_PLACE", "AUTO", "open_engine")
_SOURCE_ATTRIBUTES = (*_ATTRIBUTES, "open_source")


@dataclass(frozen=True)
class Engine:
    """An engine's name and module.

    Attributes:
        package: the distribution that provides the engine, as ``name==version``; None for a built-in engine.
    """

    name: str
    module: TokenEngineModule | SourceModule
    package: str | None = None


def names() -> list[str]:
    """Return the names of all engines, plugins included, without importing them."""
    return sorted({*_built_in(), *plugins.find("engines")})


def get(name: str) -> Engine:
    """Import an engine; a built-in one wins over a plugin of the same name.

    Raises:
        UserError: the engine is unknown, or the plugin is broken.
    """
    if name in _built_in():
        return Engine(name, importlib.import_module(f"{__name__}.{name}"))
    plugin = plugins.get("engines", name)
    if plugin is None:
        choices = ["auto", *names()]
        raise UserError(f"engine.name={name}: no such engine{nearest(name, choices)} ({', '.join(choices)})")
    module = plugin.load()
    expected = _TOKEN_ENGINE_ATTRIBUTES if getattr(module, "RUNS_HERE", False) else _SOURCE_ATTRIBUTES
    if missing := [attribute for attribute in expected if not hasattr(module, attribute)]:
        raise UserError(f"the plugin {name!r} of {plugin.package} is not an engine: it lacks {', '.join(missing)}")
    return Engine(name, module, plugin.package)


def automatic() -> list[Engine]:
    """Return the built-in engines for ``engine=auto``, in the order in which it tries them."""
    candidates = [get(name) for name in _built_in()]
    ranked = [(engine.module.AUTO, engine) for engine in candidates if engine.module.RUNS_HERE and engine.module.AUTO]
    return [engine for _, engine in sorted(ranked, key=lambda pair: -pair[0])]


def _built_in() -> list[str]:
    return sorted(module.name for module in pkgutil.iter_modules(__path__))
