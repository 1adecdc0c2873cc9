"""The models in this process, and the token engine that runs each."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

from dialoeval.config import DecodingConfig, EngineConfig
from dialoeval.errors import UserError
from dialoeval.generation import engines
from dialoeval.generation.engines import Engine
from dialoeval.generation.types import TokenEngine
from dialoeval.models.loading import LoadedModel, load_classifier, load_model


class ModelCache:
    """The last model of each role (forward, backward, classifier), so that a sweep loads each model once.

    Args:
        load: loads forward and backward models; the signature of `models.loading.load_model`.
    """

    def __init__(self, load: Callable[..., LoadedModel] = load_model) -> None:
        self._load = load
        self._models: dict[str, tuple[tuple[str | None, ...], LoadedModel]] = {}

    def get(self, role: str, path: str, revision: str | None, weights: str | None, engine: EngineConfig) -> LoadedModel:
        """Return the model of the last call for `role` if the arguments are equal, else load it."""
        key = (path, revision, weights, engine.device)
        if role in self._models and self._models[role][0] != key:
            del self._models[role]  # free it before the next one is loaded
        if role not in self._models:
            load = load_classifier if role == "classifier" else self._load
            self._models[role] = (key, load(path, revision=revision, weights=weights, engine=engine))
        return self._models[role][1]

    def forget(self, loaded: LoadedModel) -> None:
        """Remove a model whose user may change its weights."""
        self._models = {role: entry for role, entry in self._models.items() if entry[1] is not loaded}


MODELS = ModelCache()


@dataclass(frozen=True)
class OpenedEngine:
    """A token engine with its model, its module, and the reason for its choice."""

    tokens: TokenEngine
    engine: Engine
    reason: str


def open_engine(loaded: LoadedModel, config: EngineConfig, decoding: DecodingConfig) -> OpenedEngine:
    """Open the engine that the configuration names, or for ``auto`` the first that supports the model.

    Raises:
        UserError: no engine has the name, or it does not support the model or the decoding.
    """
    named = config.name != "auto"
    refusals: list[str] = []
    for engine in [engines.get(config.name)] if named else engines.automatic():
        module = engine.module
        if not module.RUNS_HERE:
            refusals.append("it does not run models in this process")
        elif refusal := module.supports(loaded, decoding):
            refusals.append(refusal if named else f"{engine.name} cannot: {refusal}")
        else:
            if module.ROUNDS_IN_PLACE and config.dtype != "fp32":
                MODELS.forget(loaded)  # later runs must not use its weights as float32
            reason = "asked for" if named else "; ".join(refusals) or "supports this model and decoding"
            return OpenedEngine(module.open_engine(loaded, config), engine, reason)
    hint = " (engine=auto chooses one that can)" if named else ""
    raise UserError(f"engine={config.name} cannot run this: {'; '.join(refusals)}{hint}")
