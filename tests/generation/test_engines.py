"""Engines by name: the built-in ones and those of plugins."""

from __future__ import annotations

import sys
from types import ModuleType

import pytest
from support.random_models import random_gpt2

from dialoeval import plugins
from dialoeval.config import DecodingConfig, EngineConfig, ModelConfig
from dialoeval.data import Example
from dialoeval.errors import UserError
from dialoeval.generation import engines, open_generator
from dialoeval.generation.engines.hf import HfEngine
from dialoeval.generation.types import Candidate, CandidateSet, GeneratorDescription

GREEDY = DecodingConfig(name="greedy", strategy="greedy", max_new_tokens=6)
MMI = DecodingConfig(name="mmi", strategy="sample", top_k=5, num_candidates=3, rerank="mmi", max_new_tokens=5)
EXAMPLES = [Example(f"e{i}", ("hello", f"turn {i}")) for i in range(4)]


def test_every_built_in_engine_says_what_it_is():
    for name in engines.names():
        module = engines.get(name).module
        assert isinstance(module.VERSION, int) and isinstance(module.KEYED_DRAWS, bool)
        assert callable(module.open_engine if module.RUNS_HERE else module.open_source) and callable(module.supports)
    assert [engine.name for engine in engines.automatic()] == ["fast", "hf"]


@pytest.mark.parametrize(("name", "words"), [("vlm", "did you mean 'vllm'"), ("", "openai"), ("autos", "'auto'")])
def test_an_unknown_engine_is_named_with_the_nearest(name, words):
    with pytest.raises(UserError, match=f"engine.name={name}: no such engine") as raised:
        open_generator(ModelConfig(name="m", path="tiny"), EngineConfig(name=name), GREEDY)
    assert words in str(raised.value)


class EchoSource:
    """A source that repeats the last turn: candidate i (from 0) `engine.options["times"]` + i times."""

    def __init__(self, model, engine) -> None:
        self.model, self.times = model, engine.options.get("times", 1)

    def identity(self):
        return {"engine": "echo", "model": self.model.path, "times": self.times}

    def describe(self):
        return GeneratorDescription(engine="echo")

    def chunk_size(self):
        return 3

    def prompt_length(self, example, decoding):
        return len(example.context)

    def candidates(self, examples, decoding, seed):
        for example in examples:
            texts = [" ".join([example.context[-1]] * (self.times + i)) for i in range(decoding.num_candidates)]
            candidates = tuple(Candidate.of(text, len(text.split()), None, "stop") for text in texts)
            yield CandidateSet(example.id, candidates, 0)

    def close(self):
        pass


@pytest.fixture
def offer(monkeypatch):
    """Install a module as the engine `name` of the plugin mypkg 1.2."""

    def offer(name: str, **attributes) -> None:
        module = ModuleType(f"mypkg_{name}")
        vars(module).update(attributes)
        monkeypatch.setitem(sys.modules, module.__name__, module)
        plugin = plugins.Plugin("engines", name, "mypkg==1.2", module.__name__)
        monkeypatch.setattr(plugins, "find", lambda kind: {name: [plugin]} if kind == "engines" else {})

    return offer


ECHO = {
    "VERSION": 1,
    "RUNS_HERE": False,
    "KEYED_DRAWS": True,
    "supports": lambda model, decoding: "it knows no beams" if decoding.strategy == "beam" else None,
    "open_source": lambda model, engine, decoding: EchoSource(model, engine),
}


def test_a_plugin_that_runs_elsewhere(offer):
    offer("echo", **ECHO)
    model = ModelConfig(name="m", path="some", backward="tiny-backward")
    generator = open_generator(model, EngineConfig(name="echo", options={"times": 2}), GREEDY)
    assert [reply.text for reply in generator.reply(EXAMPLES[:2], GREEDY, 0)] == ["turn 0 turn 0", "turn 1 turn 1"]
    assert generator.identity() == {"engine": "echo", "model": "some", "times": 2, "plugin": "mypkg==1.2"}
    assert generator.keyed_draws and generator.describe().to_json() == {"engine": "echo", "accounting": {}}
    with pytest.raises(UserError, match="engine=echo cannot run this: it knows no beams"):
        open_generator(model, EngineConfig(name="echo"), DecodingConfig(name="b", strategy="beam", num_beams=3))
    reranked = open_generator(model, EngineConfig(name="echo", device="cpu", workers=1), MMI)
    for reply in reranked.reply(EXAMPLES, MMI, 0):
        assert len(reply.candidates) == 3 and reply.text == max(reply.candidates, key=lambda c: c.score).text
    assert reranked.identity()["reranker"]["engine"] == "fast"
    reranked.close()


def test_a_plugin_that_continues_token_ids_here(offer, tmp_path):
    class Mine(HfEngine):
        name, version = "mine", [7, "kernel 3"]

    offer(
        "mine",
        VERSION=7,
        RUNS_HERE=True,
        KEYED_DRAWS=True,
        ROUNDS_IN_PLACE=True,
        AUTO=0,
        supports=lambda loaded, decoding: None,
        open_engine=lambda loaded, engine: Mine(loaded, engine),
    )
    path = str(random_gpt2(tmp_path, layers=1, width=32))
    model = ModelConfig(name="m", path=path, backward=path)
    mine = open_generator(model, EngineConfig(name="mine", device="cpu"), MMI)
    hf = open_generator(model, EngineConfig(name="hf", device="cpu"), MMI)
    assert list(mine.reply(EXAMPLES, MMI, 1)) == list(hf.reply(EXAMPLES, MMI, 1))
    changed = {"engine": "mine", "engine_version": [7, "kernel 3"], "plugin": "mypkg==1.2"}
    reranker = hf.identity()["reranker"] | {"engine": "mine"}  # a token engine runs the reranking model too
    assert mine.identity() == hf.identity() | changed | {"reranker": reranker}
    assert "mine" in engines.names() and "mine" not in [engine.name for engine in engines.automatic()]


def test_a_built_in_engine_wins(offer):
    offer("hf", VERSION=99)
    assert engines.get("hf") == engines.Engine("hf", sys.modules["dialoeval.generation.engines.hf"])


def test_a_plugin_that_is_not_an_engine(offer):
    offer("broken", VERSION=1, RUNS_HERE=True, supports=None)
    with pytest.raises(
        UserError, match=r"'broken' of mypkg==1\.2 is not an engine: it lacks KEYED_DRAWS, .*open_engine"
    ):
        engines.get("broken")


@pytest.mark.parametrize("name", ["auto", "hf", "openai"])
def test_built_in_engines_refuse_options(name):
    engine = EngineConfig(name=name, base_url="http://127.0.0.1:9/v1", options={"times": 2})
    with pytest.raises(UserError, match=f"engine={name} has no engine.options.times"):
        open_generator(ModelConfig(name="m", path="tiny"), engine, GREEDY)


def test_what_environment_json_holds():
    made_by = ["engine_version", "prompt", "generation_config"]
    keys = ["engine", "engine_reason", "device", "dtype", "model", "parameters", *made_by, "window", "accounting"]
    tiny = ModelConfig(name="tiny", path="tiny", backward="tiny-backward")
    local = open_generator(tiny, EngineConfig(device="cpu", workers=1), MMI).describe().to_json()
    assert list(local) == [*keys, "reranker"]
    assert list(local["reranker"]) == ["kind", "model", "device", "engine", "accounting"]
    assert (local["engine"], local["engine_reason"]) == ("fast", "supports this model and decoding")
    remote = EngineConfig(name="openai", base_url="http://127.0.0.1:9/v1/")
    assert open_generator(tiny, remote, GREEDY).describe().to_json() == {
        "engine": "openai",
        "engine_version": 1,
        "server": "http://127.0.0.1:9/v1",
        "model": "tiny",
        "prompt": {"system_prompt": None, "max_turns": 0},
        "accounting": {"requests": 0, "retried": 0},
    }
