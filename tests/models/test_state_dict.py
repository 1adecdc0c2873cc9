"""Weight files beside a model folder, as the DialoGPT authors released theirs."""

from __future__ import annotations

import random
import shutil
from pathlib import Path

import pytest
import torch
from safetensors.torch import load_file, save_file
from support.model_folders import EXAMPLES, GREEDY, SMALL, cut_short, fingerprint, load, open_model, write_code
from support.random_models import bpe_tokenizer, random_gpt2, random_llama

from dialoeval.config import DecodingConfig, ModelConfig
from dialoeval.errors import UserError
from dialoeval.models import load_for_training
from dialoeval.models.state_dict import load_release_weights


def released(folder: Path) -> dict[str, torch.Tensor]:
    """A model's weights as the DialoGPT authors' files have them: half precision, their name of the output head."""
    state = {name: tensor.half() for name, tensor in load(folder).model.state_dict().items()}
    state["lm_head.decoder.weight"] = state.pop("lm_head.weight")
    return state


def renamed(state: dict[str, torch.Tensor], old: str, new: str) -> dict[str, torch.Tensor]:
    return {new + name.removeprefix(old): tensor for name, tensor in state.items()}


NAMES = {
    "release": lambda state: state,
    "body without its prefix": lambda state: renamed(state, "transformer.", ""),
    "data-parallel": lambda state: renamed(state, "", "module."),
    "data-parallel body": lambda state: renamed(renamed(state, "transformer.", ""), "", "module."),
    "wrapped": lambda state: renamed(state, "", "model."),
    "data-parallel and wrapped": lambda state: renamed(state, "", "module.model."),
    "no head": lambda state: {name: value for name, value in state.items() if not name.startswith("lm_head")},
    "transformers' head": lambda state: {name.replace(".decoder", ""): value for name, value in state.items()},
    "old buffers": lambda state: (
        state
        | {f"transformer.h.{i}.attn.bias": torch.ones(1, 1, 128, 128).tril() for i in range(2)}
        | {f"transformer.h.{i}.attn.masked_bias": torch.tensor(-1e4) for i in range(2)}
    ),
}


@pytest.fixture(scope="module")
def blank(tmp_path_factory) -> Path:
    """A model of the same size and other weights, which are to be replaced."""
    return random_gpt2(tmp_path_factory.mktemp("blank"), layers=2, width=32, heads=2, seed=8)


@pytest.mark.parametrize("names", NAMES)
@pytest.mark.parametrize("form", ["zip", "legacy", "safetensors"])
def test_released_weights_under_every_name(gpt2, blank, tmp_path, names, form):
    state = NAMES[names](released(gpt2))
    path = str(tmp_path / ("weights.safetensors" if form == "safetensors" else "weights.pkl"))
    if form == "safetensors":
        save_file({name: tensor.clone().contiguous() for name, tensor in state.items()}, path)
    else:
        torch.save(state, path, _use_new_zipfile_serialization=form == "zip")
    model = load(blank, weights=path).model
    for name, tensor in load(gpt2).model.state_dict().items():
        assert torch.equal(model.state_dict()[name], tensor.half().float()), name
    assert model.lm_head.weight is model.transformer.wte.weight and model.dtype == torch.float32


def test_a_llamas_weights_load_too(tmp_path):
    one, other = random_llama(tmp_path / "one", seed=1), random_llama(tmp_path / "other", seed=2)
    torch.save(load_file(one / "model.safetensors"), tmp_path / "weights.pt")
    model = load(other, weights=str(tmp_path / "weights.pt")).model
    for name, tensor in load(one).model.state_dict().items():
        assert torch.equal(model.state_dict()[name], tensor), name


def test_weights_are_part_of_what_a_model_is(gpt2, blank, tmp_path):
    torch.save(released(gpt2), tmp_path / "one.pkl")
    torch.save(released(blank), tmp_path / "two.pkl")
    settings = [{}, {"weights": str(tmp_path / "one.pkl")}, {"weights": str(tmp_path / "two.pkl")}]
    assert len({open_model(blank, GREEDY, **files).identity()["weights"] for files in settings}) == 3
    one, two = (load_for_training(ModelConfig(name="m", path=str(blank), **files))[0] for files in settings[1:])
    assert fingerprint(one) != fingerprint(two)


def test_backward_weights_score_candidates(gpt2, blank, tmp_path):
    forward = random_gpt2(tmp_path / "forward", **SMALL, seed=1, sharpen=2.0)
    torch.save(NAMES["data-parallel body"](released(gpt2)), tmp_path / "reverse.pkl")
    whole = load(gpt2).model.half().float()
    whole.save_pretrained(tmp_path / "rounded")
    bpe_tokenizer().save_pretrained(tmp_path / "rounded")
    mmi = DecodingConfig(name="mmi", strategy="sample", top_k=10, num_candidates=3, rerank="mmi", max_new_tokens=6)

    def candidates(**backward):
        opened = open_model(forward, mmi, "hf", **backward)
        return {r.id: r.candidates for r in opened.reply(EXAMPLES[:4], mmi, 0)}, opened.identity()["reranker"][
            "weights"
        ]

    expected, _ = candidates(backward=str(tmp_path / "rounded"))
    bare, bare_identity = candidates(backward=str(blank))
    replaced, identity = candidates(backward=str(blank), backward_weights=str(tmp_path / "reverse.pkl"))
    assert replaced == expected != bare
    assert identity != bare_identity


@pytest.mark.parametrize("role", ["weights", "backward_weights"])
def test_code_in_weights_is_refused(gpt2, blank, tmp_path, role):
    write_code(tmp_path / "trap.pkl", tmp_path / "ran")
    rerank = {"strategy": "sample", "num_candidates": 2, "rerank": "mmi"}
    decoding = DecodingConfig(name="d", **(rerank if role == "backward_weights" else {"strategy": "greedy"}))
    with pytest.raises(UserError, match=r"trap\.pkl is not a readable weights file"):
        open_model(blank, decoding, "hf", backward=str(gpt2), **{role: str(tmp_path / "trap.pkl")})
    assert not (tmp_path / "ran").exists()


NOT_WEIGHTS = {
    "a web page": b"<!DOCTYPE html><html>",
    "a large-file pointer": b"version https://git-lfs.github.com/spec/v1\noid sha256:00\nsize 12\n",
    "words": b"hello",
    "an empty file": b"",
    "an empty pickle": b"\x80\x02.",
    "a pickle that ends early": b"\x80\x02K",
    "bytes": bytes(range(0x41, 0x60)),
}


@pytest.mark.parametrize("what", NOT_WEIGHTS)
def test_files_that_are_not_weights(blank, tmp_path, what):
    (tmp_path / "weights.pkl").write_bytes(NOT_WEIGHTS[what])
    with pytest.raises(UserError, match=r"weights\.pkl is not a readable weights file"):
        load(blank, weights=str(tmp_path / "weights.pkl"))


@pytest.mark.parametrize("form", ["zip", "legacy", "safetensors"])
def test_weights_cut_short(gpt2, blank, tmp_path, form):
    path = tmp_path / ("weights.safetensors" if form == "safetensors" else "weights.pkl")
    if form == "safetensors":
        shutil.copy(gpt2 / "model.safetensors", path)
    else:
        torch.save(released(gpt2), path, _use_new_zipfile_serialization=form == "zip")
    load(blank, weights=str(path))
    cut_short(path)
    with pytest.raises(UserError, match=r"weights\.\w+ is not a readable weights file"):
        load(blank, weights=str(path))


@pytest.mark.filterwarnings("ignore:Detected pickle protocol")
def test_any_damage_to_weights_is_an_error_that_says_so(gpt2, blank, tmp_path):
    path, model = tmp_path / "weights.pkl", load(blank).model
    torch.save(released(gpt2), path, _use_new_zipfile_serialization=False)
    whole, generator_of_bytes = path.read_bytes(), random.Random(0)
    refused = 0
    for _ in range(150):
        data = bytearray(whole)
        for _ in range(3):
            data[generator_of_bytes.randrange(3000)] = generator_of_bytes.randrange(256)
        path.write_bytes(bytes(data))
        try:
            load_release_weights(model, str(path))
        except UserError:
            refused += 1
    assert refused > 100


MISFITS = {
    "nested": (lambda state: {"state_dict": state}, "is not a state dict"),
    "list": (lambda state: list(state.values()), "is not a state dict"),
    "empty": (lambda state: {}, r"it lacks 'transformer\.h\.0"),
    "numbered": (lambda state: dict(enumerate(state.values())), "is not a state dict"),
    "deeper": (
        lambda state: state | {"transformer.h.2.ln_1.weight": torch.ones(32)},
        r"has an unknown name 'transformer\.h",
    ),
    "one missing": (
        lambda state: {name: value for name, value in state.items() if name != "transformer.ln_f.bias"},
        r"it lacks 'transformer\.ln_f\.bias' \(0 unknown, 1 missing names\)",
    ),
    "shorter": (
        lambda state: state | {"transformer.wpe.weight": torch.zeros(64, 32)},
        r"transformer\.wpe\.weight is \(64, 32\) instead of \(128, 32\)",
    ),
    "another head": (
        lambda state: state | {"lm_head.decoder.weight": state["lm_head.decoder.weight"] + 1},
        "its output head differs from its token embedding",
    ),
}


@pytest.mark.parametrize("what", MISFITS)
def test_weights_of_another_model(gpt2, blank, tmp_path, what):
    change, sentence = MISFITS[what]
    torch.save(change(released(gpt2)), tmp_path / "weights.pkl")
    with pytest.raises(UserError, match=sentence):
        load(blank, weights=str(tmp_path / "weights.pkl"))
