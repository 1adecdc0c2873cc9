"""The judge for a model and an engine: in this process, or on a server."""

from __future__ import annotations

from dialoeval.config import EngineConfig, ModelConfig
from dialoeval.errors import UserError
from dialoeval.judging.model_judge import Answerer


def open_judge(model: ModelConfig, engine: EngineConfig) -> Answerer:
    """Open the model as a judge.

    Raises:
        UserError: the model is not available, or the engine can neither score nor answer.
    """
    if model.baseline.kind is not None:
        raise UserError(f"model={model.name} is a baseline without weights: it cannot judge")
    if engine.name == "openai":
        from dialoeval.judging.model_server import ServerJudge

        return ServerJudge(model, engine)
    if engine.name == "vllm":
        raise UserError("engine=vllm does not score options: serve the model and use engine=openai with its address")
    from dialoeval.judging.model_local import LocalJudge

    return LocalJudge(model, engine)
