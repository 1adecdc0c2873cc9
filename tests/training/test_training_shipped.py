"""The embedded models agree with their training records and recipes."""

from __future__ import annotations

import json

import pytest
import torch

from dialoeval.config.compose import compose
from dialoeval.paths import assets_dir
from dialoeval.training.corpus import held_out_dataset, load_corpus
from dialoeval.training.loss import evaluate

EMBEDDED = ["tiny", "tiny-backward"]


@pytest.mark.parametrize("name", EMBEDDED)
def test_shipped_model_has_the_perplexity_that_its_record_says(name):
    from transformers import AutoModelForCausalLM, AutoTokenizer

    folder = assets_dir() / name
    record = json.loads((folder / "training.json").read_text())
    model = AutoModelForCausalLM.from_pretrained(folder, dtype=torch.float32).eval()
    tokenizer = AutoTokenizer.from_pretrained(folder)
    config = compose("train", [f"training={name}"])
    held_out = load_corpus(held_out_dataset(config), config.training, tokenizer)
    assert held_out.tokens == record["validation_tokens"]
    loss = evaluate(model, held_out, config.training.micro_batch_tokens).by_token
    assert loss == pytest.approx(record["validation_loss"], abs=0.002)  # the file holds half precision
    assert sum(p.numel() for p in model.parameters()) == record["parameters"]


def test_shipped_models_share_a_vocabulary_and_fit_the_package():
    first, second = (json.loads((assets_dir() / name / "tokenizer.json").read_text()) for name in EMBEDDED)
    assert first["model"] == second["model"]
    size = sum(file.stat().st_size for name in EMBEDDED for file in (assets_dir() / name).iterdir())
    assert size <= 12_000_000


@pytest.mark.parametrize("name", EMBEDDED)
def test_shipped_record_is_of_the_shipped_recipe(name):
    record = json.loads((assets_dir() / name / "training.json").read_text())
    recipe = compose("train", [f"training={name}"])
    assert record["command"] == f"dialoeval train training={name}"
    assert record["run"]["training"]["direction"] == recipe.training.direction
    assert record["run"]["training"]["max_steps"] == recipe.training.max_steps == record["curve"][-1]["step"]
    losses = [row["loss"] for row in record["curve"]]
    assert losses[-1] < losses[0] - 2
