"""Folders of adapter files, merged into their base or refused, and weights under the prefixes of wrappers."""

from __future__ import annotations

import shutil
from pathlib import Path

import pytest
import torch
from safetensors.torch import load_file, save_file
from support.model_folders import EXAMPLES, GREEDY, SMALL, describe, fingerprint, load, open_model
from support.random_models import edit_json, random_gpt2, random_llama

from dialoeval.config import ModelConfig
from dialoeval.errors import UserError
from dialoeval.models import load_causal_lm, load_for_training, load_tokenizer
from dialoeval.models.adapters import find_adapter
from dialoeval.models.loading import resolve
from dialoeval.models.pretrained import WRAPPERS

peft = pytest.importorskip("peft")
pytestmark = pytest.mark.filterwarnings("ignore:.is_gradient_checkpointing:FutureWarning")


def lora(base: Path, folder: Path, seed: int = 0, **settings) -> Path:
    """Save a random LoRA adapter of a model."""
    model = load(base).model
    config = peft.LoraConfig(
        r=4, lora_alpha=8, target_modules=["c_attn"], task_type="CAUSAL_LM", init_lora_weights=False,
        fan_in_fan_out=True, **settings,
    )  # fmt: skip
    torch.manual_seed(seed)
    wrapped = peft.get_peft_model(model, config)
    for name, weight in wrapped.named_parameters():
        if "lora_" in name:
            weight.data.normal_(0, 0.5)
    wrapped.save_pretrained(folder)
    edit_json(folder / "adapter_config.json", base_model_name_or_path=str(base))
    return folder


@pytest.fixture
def adapter(gpt2, tmp_path) -> Path:
    return lora(gpt2, tmp_path / "adapter")


def replies(folder: Path, engine: str = "auto") -> dict[str, str]:
    opened = open_model(folder, GREEDY, engine)
    found = {reply.id: reply.text for reply in opened.reply(EXAMPLES, GREEDY, 0)}
    opened.close()
    return found


def test_an_adapter_is_merged_into_its_base(gpt2, adapter):
    expected = peft.PeftModel.from_pretrained(load(gpt2).model, str(adapter)).eval()
    model = load(adapter).model
    ids = torch.arange(3, 40)[None]
    with torch.inference_mode():
        torch.testing.assert_close(model(ids).logits, expected(ids).logits, rtol=1e-4, atol=1e-4)
    assert not any("lora" in name for name, _ in model.named_parameters())
    assert replies(adapter) == replies(adapter, "hf") != replies(gpt2)
    assert load_tokenizer(str(adapter)).get_vocab() == load_tokenizer(str(gpt2)).get_vocab()


def test_training_and_metrics_take_it_whole(gpt2, adapter):
    trained, _ = load_for_training(ModelConfig(name="m", path=str(adapter)))
    scored, _ = load_causal_lm(str(adapter))
    for model in (trained, scored):
        weight = model.transformer.h[0].attn.c_attn.weight
        assert torch.equal(weight.cpu(), load(adapter).model.transformer.h[0].attn.c_attn.weight)
        assert not torch.equal(weight.cpu(), load(gpt2).model.transformer.h[0].attn.c_attn.weight)


def test_its_identity_covers_base_and_adapter(gpt2, adapter, tmp_path):
    other_base = random_gpt2(tmp_path / "base", layers=2, width=32, heads=2, seed=9)
    moved = Path(shutil.copytree(adapter, tmp_path / "moved"))
    shutil.copytree(gpt2, moved / "base")
    edit_json(moved / "adapter_config.json", base_model_name_or_path="base")
    folders = [gpt2, adapter, lora(gpt2, tmp_path / "two", seed=1), lora(other_base, tmp_path / "three")]
    assert len({load(folder).identity.weights for folder in folders}) == 4
    assert load(moved).identity.without_path() == load(adapter).identity.without_path()
    assert replies(moved) == replies(adapter)


def test_nothing_is_loaded_half(gpt2, adapter, tmp_path):
    beside = Path(shutil.copytree(gpt2, tmp_path / "beside"))
    shutil.copy(adapter / "adapter_model.safetensors", beside)
    with pytest.raises(
        UserError, match=r"beside has model\.safetensors and adapter files \(adapter_model\.safetensors\)"
    ):
        load(beside)
    shutil.copy(adapter / "adapter_config.json", beside)
    with pytest.raises(UserError, match="not clear which is meant"):
        load(beside)
    (beside / "adapter_model.safetensors").unlink()
    with pytest.raises(UserError, match=r"adapter files \(adapter_config\.json\)"):
        load(beside)
    with pytest.raises(UserError, match="which only engine=hf and engine=fast merge"):
        describe(adapter)


def test_adapters_that_do_not_fit(gpt2, adapter, tmp_path):
    def changed(change) -> Path:
        folder = Path(shutil.copytree(adapter, tmp_path / f"changed{len(list(tmp_path.iterdir()))}"))
        change(folder)
        return folder

    def without_one(folder: Path, add: str | None = None) -> None:
        state = load_file(folder / "adapter_model.safetensors")
        value = state.pop(sorted(state)[0])
        save_file(state | ({add: value} if add else {}), folder / "adapter_model.safetensors")

    def name_base(folder: Path, base: str | None) -> None:
        edit_json(folder / "adapter_config.json", base_model_name_or_path=base)

    small = random_gpt2(tmp_path / "small", **SMALL)
    wide = random_gpt2(tmp_path / "wide", layers=2, width=64, heads=2)
    cases = [
        (without_one, r"does not fit .*: it lacks .*lora_"),
        (lambda folder: without_one(folder, "base_model.model.nothing.lora_A.weight"), "it has .*nothing"),
        (lambda folder: name_base(folder, str(small)), "does not fit|unknown"),
        (lambda folder: name_base(folder, str(wide)), "does not fit .*wide: size mismatch for .*lora_A"),
        (lambda folder: name_base(folder, "/not/there"), "is not there"),
        (lambda folder: name_base(folder, None), "names no base_model"),
        (lambda folder: (folder / "adapter_config.json").write_text("{"), "not readable JSON"),
        (lambda folder: (folder / "adapter_config.json").unlink(), r"but no adapter_config\.json"),
        (lambda folder: (folder / "adapter_model.safetensors").unlink(), "but no adapter_model"),
        (lambda folder: (folder / "adapter_model.safetensors").write_bytes(b"x"), "not a model that can be loaded"),
    ]  # fmt: skip
    for change, message in cases:
        with pytest.raises(UserError, match=message):
            load(changed(change))


def test_an_embedded_base_is_that_model_whatever_folder_has_its_name(adapter, tmp_path, monkeypatch):
    edit_json(adapter / "adapter_config.json", base_model_name_or_path="tiny")
    random_gpt2(tmp_path / "here" / "tiny", **SMALL)
    monkeypatch.chdir(tmp_path / "here")
    found = find_adapter(str(adapter))
    assert found is not None and Path(found.base) == Path(resolve("tiny"))


def test_without_peft_the_extra_is_named(adapter, monkeypatch):
    import importlib.util

    find = importlib.util.find_spec
    monkeypatch.setattr(importlib.util, "find_spec", lambda name, *rest: None if name == "peft" else find(name, *rest))
    with pytest.raises(UserError, match=r"needs peft: pip install 'dialoeval\[lora\]'"):
        load(adapter)


PREFIXES = ["module.", "_orig_mod.", "base_model.", "base_model.model.", "module._orig_mod.", "_orig_mod.module."]


def renamed(folder: Path, target: Path, prefix: str) -> Path:
    shutil.copytree(folder, target)
    state = load_file(folder / "model.safetensors")
    save_file({prefix + name: value for name, value in state.items()}, target / "model.safetensors", {"format": "pt"})
    return target


@pytest.mark.parametrize("prefix", PREFIXES)
@pytest.mark.parametrize("family", ["gpt2", "llama"])
def test_weights_of_wrapped_models_load(family, prefix, gpt2, tmp_path):
    sound = gpt2 if family == "gpt2" else random_llama(tmp_path / "llama")
    wrapped = renamed(sound, tmp_path / "wrapped", prefix)
    expected = load(sound).model.state_dict()
    found = load(wrapped).model.state_dict()
    assert all(torch.equal(found[name], value) for name, value in expected.items())
    torch.save(load_file(wrapped / "model.safetensors"), tmp_path / "state.pt")
    other = (
        random_llama(tmp_path / "o", seed=5)
        if family == "llama"
        else random_gpt2(tmp_path / "o", layers=2, width=32, heads=2)
    )
    found = load(other, weights=str(tmp_path / "state.pt")).model.state_dict()
    assert all(torch.equal(found[name], value) for name, value in expected.items())


def test_other_prefixes_are_named(gpt2, tmp_path):
    with pytest.raises(UserError, match=r"its weights lack .*, and have mine\.transformer\."):
        load(renamed(gpt2, tmp_path / "mine", "mine."))
    state = {f"mine.{name}": value for name, value in load_file(gpt2 / "model.safetensors").items()}
    save_file(state, tmp_path / "state.safetensors")
    with pytest.raises(UserError, match=r"unknown name 'mine\.transformer\."):
        load(gpt2, weights=str(tmp_path / "state.safetensors"))


def test_two_names_of_one_weight_are_refused(gpt2, tmp_path):
    state = load_file(gpt2 / "model.safetensors")
    state |= {f"module.{name}": value + 1 for name, value in state.items()}
    save_file(state, tmp_path / "both.safetensors")
    with pytest.raises(UserError, match=r"two of its names stand for 'transformer\."):
        load(gpt2, weights=str(tmp_path / "both.safetensors"))
    assert fingerprint(load(gpt2).model)


def test_wrappers_are_at_the_start_of_a_name():
    import re

    assert not re.search(WRAPPERS, "transformer.module.weight") and re.search(WRAPPERS, "module.transformer.weight")
