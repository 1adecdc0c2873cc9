"""Engines: ways to run a model, each found by its name.

An engine is a module (or package) ``dialoeval.generation.engines.<name>``, or one that an installed package offers as
an entry point ``dialoeval.engines``. There are two kinds: a `TokenEngineModule` continues token ids in this process,
and text is not its concern; a `SourceModule` goes from contexts to candidates by itself.
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
        VERSION: of the engine's numerics; raised when a change to the code can change a reply or a score.
        RUNS_HERE: True; such an engine runs reranking models too.
        KEYED_DRAWS: True if a random draw depends on seed and example alone (see `generation.rng`), not on the batch.
            Only then low precision is compared with float32.
        ROUNDS_IN_PLACE: True if it rounds the model's own weights in bf16 and fp16: no other engine may have them then.
        AUTO: rank among the built-in engines that ``engine=auto`` asks, the highest first; 0: not asked.
    """

    VERSION: int
    RUNS_HERE: Literal[True]
    KEYED_DRAWS: bool
    ROUNDS_IN_PLACE: bool
    AUTO: int

    def supports(self, loaded: LoadedModel, decoding: DecodingConfig) -> str | None:
        """Return None if the engine can run the model with this decoding, else one sentence why not."""
        ...

    def open_engine(self, loaded: LoadedModel, engine: EngineConfig) -> TokenEngine:
        """Return the engine of a model that `supports` does not refuse.

        Raises:
            UserError: the device or dtype is not available, or ``engine.options`` holds a setting it does not know.
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
        """Return None if the engine can run the model with this decoding, else one sentence why not."""
        ...

    def open_source(self, model: ModelConfig, engine: EngineConfig, decoding: DecodingConfig) -> CandidateSource:
        """Return what gives the candidates.

        Raises:
            UserError: the model, the server or a package is not available, or ``engine.options`` holds a setting it
                does not know.
        """
        ...


_SAYS = ("VERSION", "RUNS_HERE", "KEYED_DRAWS", "supports")
_SAYS_HERE = (*_SAYS, "ROUNDS_IN_PLACE", "AUTO", "open_engine")
_SAYS_ELSEWHERE = (*_SAYS, "open_source")


@dataclass(frozen=True)
class Engine:
    """An engine by name.

    Attributes:
        package: the distribution that offers it, as ``name==version``; None for a built-in engine.
    """

    name: str
    module: TokenEngineModule | SourceModule
    package: str | None = None


def names() -> list[str]:
    """Return the names of all engines, those of plugins included; nothing is imported."""
    return sorted({*_built_in(), *plugins.find("engines")})


def get(name: str) -> Engine:
    """Import an engine. A built-in one wins over a plugin's of the same name.

    Raises:
        UserError: no engine has this name, or the plugin that has it is broken.
    """
    if name in _built_in():
        return Engine(name, importlib.import_module(f"{__name__}.{name}"))
    plugin = plugins.get("engines", name)
    if plugin is None:
        choices = ["auto", *names()]
        raise UserError(f"engine.name={name}: no such engine{nearest(name, choices)} ({', '.join(choices)})")
    module = plugin.load()
    expected = _SAYS_HERE if getattr(module, "RUNS_HERE", False) else _SAYS_ELSEWHERE
    if missing := [attribute for attribute in expected if not hasattr(module, attribute)]:
        raise UserError(f"the plugin {name!r} of {plugin.package} is not an engine: it lacks {', '.join(missing)}")
    return Engine(name, module, plugin.package)


def automatic() -> list[Engine]:
    """Return the built-in engines that ``engine=auto`` asks, in the order in which it asks them."""
    candidates = [get(name) for name in _built_in()]
    ranked = [(engine.module.AUTO, engine) for engine in candidates if engine.module.RUNS_HERE and engine.module.AUTO]
    return [engine for _, engine in sorted(ranked, key=lambda pair: -pair[0])]


def _built_in() -> list[str]:
    return sorted(module.name for module in pkgutil.iter_modules(__path__))
