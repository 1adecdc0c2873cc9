"""Adapters: trained in place of the weights, saved in peft's format, merged by `run`."""

from __future__ import annotations

import contextlib
import importlib.util
import json

import pytest
from support.random_models import TEXTS, random_gpt2

from dialoeval.config import EngineConfig, ModelConfig
from dialoeval.config.compose import compose
from dialoeval.config.compose import group as option
from dialoeval.data.example import Example
from dialoeval.errors import UserError
from dialoeval.files import sha256_file
from dialoeval.generation import open_generator
from dialoeval.training import train as training

peft = pytest.importorskip("peft")
LORA = ("training.lora.rank=4", "training.lora.alpha=8", "training.learning_rate=2e-2", "training.max_steps=40")
EXAMPLES = [Example(str(i), (text,)) for i, text in enumerate(TEXTS)]


@pytest.fixture(scope="module")
def base(tmp_path_factory):
    return random_gpt2(tmp_path_factory.mktemp("lora") / "base", sharpen=6)


@pytest.fixture
def config(settings, base):
    def make(output, *more):
        return settings(output, *LORA, *more, start=[f"model.path={base}", "model.name=m"])

    return make


@pytest.fixture(scope="module")
def adapter(settings, base, tmp_path_factory):
    folder = tmp_path_factory.mktemp("adapter") / "a"
    return folder, training.train(settings(folder, *LORA, start=[f"model.path={base}", "model.name=m"]))


def replies(path, engine="hf"):
    decoding = option("decoding", "greedy")
    decoding.max_new_tokens = 12
    model = ModelConfig(name="m", path=str(path))
    with contextlib.closing(open_generator(model, EngineConfig(name=engine, device="cpu"), decoding)) as generator:
        return {reply.id: reply.text for reply in generator.reply(EXAMPLES, decoding, 0)}


@pytest.mark.filterwarnings("ignore::FutureWarning")  # of transformers, for names that peft uses
@pytest.mark.parametrize("engine", ["hf", "fast"])
def test_the_adapters_replies_are_those_of_the_model_that_peft_merges(adapter, base, tmp_path, engine):
    from transformers import AutoModelForCausalLM, AutoTokenizer

    folder, record = adapter
    files = {file.name for file in folder.iterdir()}
    assert {"adapter_config.json", "adapter_model.safetensors", "tokenizer.json", "training.json"} <= files
    assert not files & {"config.json", "model.safetensors", "README.md", "state"}
    loaded = peft.PeftModel.from_pretrained(AutoModelForCausalLM.from_pretrained(base), str(folder))
    loaded.merge_and_unload().save_pretrained(tmp_path / "merged")
    AutoTokenizer.from_pretrained(base).save_pretrained(tmp_path / "merged")
    ours = replies(folder, engine)
    assert ours == replies(tmp_path / "merged", engine) != replies(base, engine)
    assert record.weights == {"adapter_model.safetensors": sha256_file(folder / "adapter_model.safetensors")}
    assert record.curve[-1]["loss"] < record.curve[0]["loss"] - 0.1
    assert 0 < record.trained_parameters < record.parameters / 10 and record.versions["peft"] == peft.__version__


def test_the_base_stays_as_it_was_and_is_named(adapter, base):
    settings = json.loads((adapter[0] / "adapter_config.json").read_text())
    assert (settings["base_model_name_or_path"], settings["r"], settings["lora_alpha"]) == (str(base.resolve()), 4, 8)


def test_an_embedded_base_is_named_by_its_name(settings, tmp_path):
    training.train(settings(tmp_path / "a", "training.lora.rank=2", "training.max_steps=1", start=["model=tiny"]))
    name = json.loads((tmp_path / "a" / "adapter_config.json").read_text())["base_model_name_or_path"]
    assert name == "tiny" and replies(tmp_path / "a", "fast")


def test_a_killed_training_of_an_adapter_ends_with_the_same_weights(adapter, config, tmp_path, monkeypatch):
    real = training._step

    def killed(*arguments):
        if arguments[-1] == 7:
            raise KeyboardInterrupt
        return real(*arguments)

    monkeypatch.setattr(training, "_step", killed)
    with pytest.raises(KeyboardInterrupt):
        training.train(config(tmp_path / "cut"))
    monkeypatch.setattr(training, "_step", real)
    state = tmp_path / "cut" / "state" / "tensors.pt"
    assert state.stat().st_size < 400_000  # what is trained, not the base
    assert training.train(config(tmp_path / "cut")).weights == adapter[1].weights


@pytest.mark.parametrize(
    ("more", "message"),
    [
        (["training.lora.rank=-1"], r"training.lora.rank=-1: must be 0 \(off\) or more"),
        (["training.lora.alpha=0"], r"training.lora.alpha=0: must be at least 1"),
        (["training.lora.targets=[]"], r"training.lora.targets=\[\]: must be null or a list of names of layers"),
        (["training.lora.rank=0"], r"training.lora.alpha=8 has no effect with training.lora.rank=0"),
        (["training.lora.targets=[no_such]"], r"training.lora.targets does not fit .*base: .*no_such"),
        (["model.weights=w.bin"], r"needs a base model that an adapter can name, but model.weights=w.bin"),
    ],
)
def test_mistakes_are_named(config, tmp_path, more, message):
    with pytest.raises(UserError, match=message):
        training.train(config(tmp_path / "o", *more))


def test_a_new_model_has_no_adapter(settings, tmp_path):
    with pytest.raises(UserError, match=r"training.lora.rank=4 has no effect with training.from_scratch=true"):
        settings(tmp_path / "o", *LORA)


def test_an_adapter_is_no_base(adapter, settings, tmp_path):
    with pytest.raises(UserError, match=r"is an adapter itself: training.lora.rank needs its base model"):
        training.train(settings(tmp_path / "o", *LORA, start=[f"model.path={adapter[0]}", "model.name=m"]))


def test_other_settings_of_an_adapter_are_another_training(adapter, config):
    with pytest.raises(UserError, match=r"differs in: training.lora.rank was 4, now 8\)"):
        training.train(config(adapter[0], "training.lora.rank=8"))


def test_without_peft_the_extra_is_named(config, tmp_path, monkeypatch):
    find = importlib.util.find_spec
    monkeypatch.setattr(importlib.util, "find_spec", lambda name, *rest: None if name == "peft" else find(name, *rest))
    with pytest.raises(UserError, match=r"training.lora.rank needs peft: pip install 'dialoeval\[lora\]'"):
        training.train(config(tmp_path / "o"))


def test_no_adapter_is_the_default(settings, tmp_path):
    assert compose("train", []).training.lora.rank == 0
    record = training.train(settings(tmp_path / "o", "training.max_steps=1"))
    assert record.trained_parameters == record.parameters
