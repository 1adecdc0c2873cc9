"""Whether an architecture replies to a padded batch exactly as to one prompt at a time."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import TYPE_CHECKING

from dialoeval.errors import first_line, is_out_of_memory

if TYPE_CHECKING:
    import torch

# By the `model_type` of transformers' configurations. docs/models.md has the counts; `benchmarks/families.py --exact`
# prints them and these lists, and tests/models/test_families.py checks some.
_DECODERS = """
afmoe apertus arcee aria_text axk1 axk2 bailing_hybrid bamba beam bert bert-generation big_bird biogpt bitnet bloom
camembert codegen cohere cohere2 cohere2_moe cohere_compass_text cpmant ctrl cwm data2vec-text deepseek_v2 deepseek_v3
deepseek_v32 deepseek_v4 diffllama doge dots1 dots3_note_text electra emu3 ernie ernie4_5 ernie4_5_moe exaone4
exaone_moe falcon falcon_h1 falcon_mamba flex_olmo flint fuyu gemma gemma2 gemma3 gemma3_text gemma3n_text gemma4
gemma4_text gemma4_unified gemma4_unified_text glm glm4 glm4_moe glm4_moe_lite glm_moe_dsa got_ocr2 gpt-sw3 gpt2
gpt_bigcode gpt_neo gpt_neox gpt_neox_japanese gpt_oss gptj granite granite_swa granitemoe granitemoe_swa
granitemoehybrid granitemoeshared helium hrm_text hunyuan_v1_dense hunyuan_v1_moe hy_v3 hy_v4 hyperclovax
inkling2_text inkling_text internlm3 iquestcoder jais2 jamba jetmoe kimi_linear kolibri1 laguna lfm2 lfm2_moe lfm3
llama llama4 llama4_text longcat_flash mamba mamba2 megatron-bert mellum mimo_v2_flash minicpm3 minimax minimax_m2
minimax_m3_vl_text ministral ministral3 mistral mixtral mllama modernbert-decoder moshi moss_transcribe_diarize mpt
nanochat nemotron nemotron_h olmo olmo2 olmo3 olmo_hybrid olmoe openai-gpt opt persimmon phi phi3 phi4_multimodal
phimoe qwen2 qwen2_moe qwen3 qwen3_5 qwen3_5_moe qwen3_5_moe_text qwen3_5_text qwen3_moe qwen3_next qwen4_exp
qwen4_exp_text rembert roberta roberta-prelayernorm roc_bert roformer seed_oss smollm3 solar_open stablelm starcoder2
vaultgemma xglm xlm xlm-roberta xlm-roberta-xl xmod youtu zamba2 zaya
"""
_ENCODER_DECODERS = """
bart bigbird_pegasus blenderbot blenderbot-small encoder-decoder fsmt led longt5 m2m_100 marian mbart mt5 mvp nllb-moe
pegasus pegasus_x plbart prophetnet seamless_m4t seamless_m4t_v2 switch_transformers t5 t5gemma t5gemma2 umt5
"""
EXACT = {False: frozenset(_DECODERS.split()), True: frozenset(_ENCODER_DECODERS.split())}  # by encoder-decoder or not

# Their state cannot be reordered between beams (transformers 5.23).
WITHOUT_BEAMS = frozenset(("rwkv", "xlstm"))

_LENGTHS = (2, 11, 5, 17)
NEW_TOKENS = 6
_TOLERANCE = 1e-3  # of the largest logit: float32 rounds batches of other shapes by less, wrong positions by more

Probe = Callable[[Sequence[Sequence[int]]], "tuple[torch.Tensor, torch.Tensor]"]


def probes(vocabulary: int, window: int, reserved: Sequence[int]) -> list[list[int]]:
    """Return prompts of different lengths from a fixed set of token ids.

    Args:
        vocabulary: number of ids.
        window: context length in tokens; the longest prompt and its reply fit.
        reserved: ids that no prompt contains, such as end tokens and padding.
    """
    usable = [token for token in range(min(vocabulary, 1000)) if token not in reserved]
    longest = max(1, window - NEW_TOKENS)
    prompts = []
    for i, length in enumerate(_LENGTHS):
        prompts.append([usable[(97 * i + 31 * j + 7) % len(usable)] for j in range(min(length, longest))])
    return prompts


def difference(prompts: Sequence[Sequence[int]], probe: Probe) -> str | None:
    """Return None if batched replies equal single ones, else how they differ.

    Logits are compared too: a trained model may reply to a few prompts with equal tokens by chance.

    Args:
        prompts: token ids.
        probe: returns, for some prompts, greedy replies of `NEW_TOKENS` tokens, (rows, tokens), and the logits that
            chose them, (rows, tokens, vocabulary).
    """
    alone = [probe([prompt]) for prompt in prompts]
    try:
        tokens, logits = probe(prompts)
    except (RuntimeError, ValueError, IndexError, TypeError, NotImplementedError) as error:
        if is_out_of_memory(error):
            raise
        return f"a batch fails: {first_line(error)}"
    differ = sum(
        not tokens[row].equal(single[0]) or not _close(logits[row], single_logits[0])
        for row, (single, single_logits) in enumerate(alone)
    )
    return f"{differ} of {len(prompts)} batched replies differ from single ones" if differ else None


def _close(batched: torch.Tensor, single: torch.Tensor) -> bool:
    batched, single = batched.nan_to_num(neginf=0.0).double(), single.nan_to_num(neginf=0.0).double()
    return bool((batched - single).abs().max() <= _TOLERANCE * single.abs().max().clamp_min(1e-6))
