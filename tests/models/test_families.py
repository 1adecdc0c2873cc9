"""Batched against single replies of some families; `benchmarks/families.py` runs all of them."""

from __future__ import annotations

import pytest
from support.families import examine, loaded, tiny_model
from support.model_folders import GREEDY, open_model
from support.random_models import bpe_tokenizer

from dialoeval.config import DecodingConfig, EngineConfig
from dialoeval.errors import UserError
from dialoeval.generation import batching
from dialoeval.generation.engines.hf import HfEngine
from dialoeval.generation.types import TokenRequest

EXACT = [
    *((name, "decoder") for name in ("gpt2", "gpt_neo", "bloom", "mpt", "opt", "mamba2", "jamba", "mistral", "llama4")),
    *((name, "decoder") for name in ("gemma2", "mixtral", "qwen3_next", "deepseek_v3", "roformer")),
    *((name, "encoder-decoder") for name in ("bart", "t5", "led", "switch_transformers", "blenderbot")),
]
SINGLY = ["xlnet", "rwkv", "reformer", "recurrent_gemma", "bart", "whisper"]


@pytest.mark.parametrize(("family", "kind"), EXACT)
def test_batches_of_tested_families_are_exact(family, kind):
    verdict = examine(family, kind)
    assert verdict.reason is None and not verdict.differs, verdict
    assert set(verdict.counts) == {"greedy", "beam"} and family in batching.EXACT[kind != "decoder"]


@pytest.mark.parametrize("family", SINGLY)
def test_families_whose_batches_differ_run_one_by_one(family):
    verdict = examine(family, "decoder")
    assert family not in batching.EXACT[False] and verdict.reason is None
    assert any(counts.differ for counts in verdict.counts.values()) and "differ from single ones" in verdict.check
    assert not any(counts.differ for counts in verdict.engine.values())
    assert all(counts.distinct > 3 for counts in verdict.counts.values())


def engine(family: str, kind: str = "decoder") -> HfEngine:
    model = loaded(tiny_model(family, kind), kind, family)
    return HfEngine(model, EngineConfig(name="hf", device="cpu", workers=1))


def test_the_result_of_the_check_is_told(tmp_path):
    model = tiny_model("xlnet", "decoder")
    model.save_pretrained(tmp_path)
    bpe_tokenizer().save_pretrained(tmp_path)
    opened = open_model(tmp_path, GREEDY)
    assert "one by one, since the check for xlnet found" in opened.describe().to_json()["accounting"]["batching"]
    assert opened.identity()["engine_version"] == "1, one by one"


def test_a_family_outside_the_list_is_checked(monkeypatch):
    monkeypatch.setattr(batching, "EXACT", {False: frozenset(), True: frozenset()})
    checked = engine("gpt2")
    assert not checked.singly and checked.version == 1 and checked.counters == {}
    assert checked.accounting()["batching"] == "checked for gpt2: 4 of 4 batched replies equal single ones"
    monkeypatch.undo()
    assert "batching" not in engine("gpt2").accounting()


def test_scores_of_single_families_do_not_depend_on_the_batch():
    singly = engine("xlnet")
    pairs = [((5, 6, 7), (8, 9)), ((5,), (6, 7, 8, 9, 10)), ((3, 4) * 5, (11,))]
    assert singly.score(pairs) == pytest.approx([singly.score([pair])[0] for pair in pairs], abs=1e-5)


def test_a_batch_that_fails_is_a_difference():
    import torch

    def probe(prompts):
        if len(prompts) > 1:
            raise ValueError("no batches here")
        return torch.zeros(1, batching.NEW_TOKENS, dtype=torch.long), torch.zeros(1, batching.NEW_TOKENS, 5)

    assert batching.difference([[1], [2, 3]], probe) == "a batch fails: no batches here"


@pytest.mark.parametrize("window", [1, 7, 12, 1000])
def test_probes_fit_the_window(window):
    prompts = batching.probes(50, window, (0, 7))
    assert all(1 <= len(prompt) <= max(1, window - batching.NEW_TOKENS) for prompt in prompts)
    assert not {0, 7} & {token for prompt in prompts for token in prompt}


def test_beams_of_models_whose_state_cannot_be_reordered_are_refused(tmp_path):
    tiny_model("rwkv", "decoder").save_pretrained(tmp_path)
    bpe_tokenizer().save_pretrained(tmp_path)
    with pytest.raises(UserError, match="no beam search for rwkv models"):
        open_model(tmp_path, DecodingConfig(name="b", strategy="beam", num_beams=3), "hf")


def test_a_padding_token_beyond_the_embedding_is_not_used():
    opened = engine("gpt2")
    opened.loaded.tokenizer.add_special_tokens({"pad_token": "<beyond>"})
    assert opened.loaded.tokenizer.pad_token_id >= opened.model.config.vocab_size
    assert opened._pad_id() == 0
    requests = [TokenRequest("a", (5,)), TokenRequest("b", (5, 6, 7))]
    assert len(list(opened.generate(requests, GREEDY, 0))) == 2
