"""Folders that are models, folders that are not, and the loaders of models for metrics."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
import torch
from safetensors.torch import load_file, save_file
from support.model_folders import cut_short, describe, load, write_code
from support.random_models import bpe_tokenizer, edit_json

from dialoeval.errors import UserError
from dialoeval.models import load_causal_lm, load_classifier, load_encoder


def without(folder: Path, *patterns: str) -> None:
    for pattern in patterns:
        for path in folder.glob(pattern):
            path.unlink()


def lack_a_tensor(folder: Path) -> None:
    state = load_file(folder / "model.safetensors")
    del state["transformer.h.1.mlp.c_fc.weight"]
    save_file(state, folder / "model.safetensors", {"format": "pt"})


def of_llama(folder: Path) -> None:
    shapes = {"hidden_size": 32, "num_hidden_layers": 2, "num_attention_heads": 2, "intermediate_size": 64}
    (folder / "config.json").write_text(json.dumps({"model_type": "llama", "vocab_size": 400, **shapes}))


def more_tokens_than_rows(folder: Path) -> None:
    tokenizer = bpe_tokenizer()
    tokenizer.add_tokens(["<one>", "<two>"])
    tokenizer.save_pretrained(folder)


def no_end(folder: Path) -> None:
    tokenizer = bpe_tokenizer()
    tokenizer.eos_token = None
    tokenizer.save_pretrained(folder)


BROKEN = {
    "no config": (lambda f: without(f, "config.json"), "it has no config.json"),
    "config that is not JSON": (lambda f: cut_short(f / "config.json"), "not a valid JSON file"),
    "config without an architecture": (lambda f: edit_json(f / "config.json", model_type=None), "model_type"),
    "unknown architecture": (lambda f: edit_json(f / "config.json", model_type="no-such-kind"), "no-such-kind"),
    "architecture that writes nothing": (lambda f: edit_json(f / "config.json", model_type="vit"), "CausalLM"),
    "another architecture": (of_llama, "its weights lack"),
    "fewer layers": (
        lambda f: edit_json(f / "config.json", n_layer=1),
        r"its weights have transformer\.h\.1\.attn\.c_attn\.\w+, its config.json says 1 layers",
    ),
    "another depth": (lambda f: edit_json(f / "config.json", n_layer=3), r"its weights lack transformer\.h\.2\."),
    "another width": (lambda f: edit_json(f / "config.json", n_embd=16), "cannot be loaded|can be loaded"),
    "no weights": (lambda f: without(f, "model.safetensors"), "model.safetensors"),
    "empty weights": (lambda f: (f / "model.safetensors").write_bytes(b""), "header too small"),
    "weights cut short": (lambda f: cut_short(f / "model.safetensors"), "incomplete"),
    "weights that lack a tensor": (lack_a_tensor, r"its weights lack transformer\.h\.1\.mlp\.c_fc\.weight \(1 names\)"),
    "tokenizer cut short": (lambda f: cut_short(f / "tokenizer.json"), "can be loaded"),
    "tokenizer of settings only": (lambda f: without(f, "tokenizer.json"), "tokenizer"),
    "tokenizer larger than the embedding": (more_tokens_than_rows, "tokenizer has 402 tokens, its embedding 400"),
    "tokenizer without an end": (no_end, "has no end-of-text token"),
}


@pytest.mark.parametrize("what", BROKEN)
def test_a_broken_folder_is_one_sentence(copy, what):
    load(copy)
    broken, sentence = BROKEN[what]
    broken(copy)
    with pytest.raises(UserError, match=sentence) as caught:
        load(copy)
    assert str(copy) in str(caught.value) and "\n" not in str(caught.value)


@pytest.mark.parametrize("loader", [load, describe])
def test_a_folder_without_any_tokenizer(copy, loader):
    without(copy, "tokenizer*")
    with pytest.raises(UserError, match="tokenizer"):
        loader(copy)


def test_a_mismatch_says_which_weight(copy):
    edit_json(copy / "config.json", n_embd=16)
    with pytest.raises(UserError, match="transformer"):
        load(copy)


def test_a_language_model_is_not_a_classifier(copy):
    with pytest.raises(UserError, match=r"its weights lack score\.weight \(1 names\): not a classifier checkpoint"):
        load(copy, load_classifier)


def test_a_folder_has_no_revisions(copy):
    for loader in (load, describe):
        with pytest.raises(UserError, match=r"revision 'main' is for Hub models: .* is a folder"):
            loader(copy, revision="main")


def test_the_command_line_names_a_broken_folder_in_one_line(copy, tmp_path, capsys):
    from dialoeval.cli.main import main

    cut_short(copy / "model.safetensors")
    assert main(["run", f"model.path={copy}", f"reports_dir={tmp_path}/reports"]) == 2
    err = capsys.readouterr().err
    assert err.startswith(f"dialoeval: {copy} is not a model that can be loaded: ") and err.count("\n") == 1
    assert not (tmp_path / "reports").exists()


def test_code_in_a_folder_never_runs(copy, tmp_path):
    mark = tmp_path / "ran"
    write_code(copy / "pytorch_model.bin", mark)
    load(copy)  # safetensors are preferred
    (copy / "model.safetensors").unlink()
    with pytest.raises(UserError, match="can be loaded"):
        load(copy)
    (copy / "mine.py").write_text(f"open({str(mark)!r}, 'w')\n")
    edit_json(copy / "config.json", model_type="mine", auto_map={"AutoConfig": "mine.C", "AutoModelForCausalLM": "m.M"})
    with pytest.raises(UserError, match="custom code"):
        load(copy)
    assert not mark.exists()


def test_a_decoder_of_another_depth_than_its_encoder(tmp_path):
    from transformers import BartConfig, BartForConditionalGeneration

    tokenizer = bpe_tokenizer()
    config = BartConfig(
        vocab_size=len(tokenizer), d_model=16, encoder_layers=1, decoder_layers=2, encoder_attention_heads=2,
        decoder_attention_heads=2, encoder_ffn_dim=16, decoder_ffn_dim=16, max_position_embeddings=32, pad_token_id=0,
        bos_token_id=0, eos_token_id=0, decoder_start_token_id=0, forced_eos_token_id=None,
    )  # fmt: skip
    BartForConditionalGeneration(config).save_pretrained(tmp_path)
    tokenizer.save_pretrained(tmp_path)
    loaded = load(tmp_path)
    assert loaded.encoder_decoder and loaded.commit is None
    edit_json(tmp_path / "config.json", decoder_layers=1)
    with pytest.raises(UserError, match=r"have model\.decoder\.layers\.1\..* says 1 layers"):
        load(tmp_path)


# ---- models that metrics look through ----


def test_an_encoder_is_the_body_without_its_head(gpt2):
    from transformers import GPT2Model

    model, tokenizer = load_encoder(str(gpt2))
    assert isinstance(model, GPT2Model) and not model.training and model.dtype == torch.float32
    state = load(gpt2).model.transformer.state_dict()
    assert all(torch.equal(tensor, state[name]) for name, tensor in model.state_dict().items())
    assert len(tokenizer) == 400


def test_an_encoder_may_lack_its_pooler_and_nothing_else(tmp_path):
    from transformers import BertConfig, BertModel

    tokenizer = bpe_tokenizer()
    sizes = {"hidden_size": 16, "num_hidden_layers": 1, "num_attention_heads": 2, "intermediate_size": 16}
    BertModel(BertConfig(vocab_size=len(tokenizer), **sizes), add_pooling_layer=False).save_pretrained(tmp_path)
    tokenizer.save_pretrained(tmp_path)
    assert load_encoder(str(tmp_path))[0].config.num_hidden_layers == 1
    state = load_file(tmp_path / "model.safetensors")
    del state["encoder.layer.0.output.dense.bias"]
    save_file(state, tmp_path / "model.safetensors", {"format": "pt"})
    with pytest.raises(UserError, match=r"lack encoder\.layer\.0\.output\.dense\.bias \(1 names\): not a text encoder"):
        load_encoder(str(tmp_path))


def test_embedded_names_work_for_metrics_too():
    assert load_causal_lm("tiny")[0].num_parameters() == load("tiny").model.num_parameters()


@pytest.mark.parametrize("loader", [load_encoder, load_causal_lm])
def test_models_of_metrics_that_cannot_be_loaded_are_one_sentence(copy, loader):
    cut_short(copy / "model.safetensors")
    with pytest.raises(UserError, match=r"is not a model that can be loaded: .*incomplete"):
        loader(str(copy))
    with pytest.raises(UserError, match="cannot load the model someone/none: it is not on this machine"):
        loader("someone/none")
