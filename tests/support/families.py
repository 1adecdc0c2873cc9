"""Every decoder and encoder-decoder family of transformers as a tiny random model; batched against single replies."""

from __future__ import annotations

import contextlib
import inspect
import io
import signal
import warnings
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from typing import Any

from dialoeval.config import DecodingConfig, EngineConfig
from dialoeval.generation import batching
from dialoeval.generation.engines.hf import HfEngine, supports
from dialoeval.generation.types import TokenRequest
from dialoeval.models.fingerprint import ModelIdentity
from dialoeval.models.loading import LoadedModel
from support.random_models import bpe_tokenizer

VOCABULARY, LARGEST = 400, 40_000_000
SETTINGS = {
    "greedy": DecodingConfig(name="greedy", strategy="greedy", max_new_tokens=8),
    "beam": DecodingConfig(name="beam", strategy="beam", num_beams=3, max_new_tokens=8),
}

# Sizes by the names that configurations use; a configuration takes those that it has.
SIZES: dict[str, Any] = {
    **dict.fromkeys(("hidden_size", "d_model", "n_embd", "dim", "embedding_size", "embedding_dim", "model_dim"), 32),
    **dict.fromkeys(("word_embed_proj_dim", "lru_width", "attention_hidden_size", "qk_rope_dim_total"), 32),
    **dict.fromkeys(("num_hidden_layers", "n_layer", "n_layers", "num_layers", "decoder_layers", "encoder_layers"), 2),
    **dict.fromkeys(("num_decoder_layers", "num_encoder_layers", "num_blocks"), 2),
    **dict.fromkeys(("num_attention_heads", "n_head", "n_heads", "num_heads"), 4),
    **dict.fromkeys(("decoder_attention_heads", "encoder_attention_heads", "num_encoder_attention_heads"), 4),
    **dict.fromkeys(("num_decoder_attention_heads",), 4),
    **dict.fromkeys(("num_key_value_heads", "num_kv_heads", "kv_n_heads"), 2),
    **dict.fromkeys(("intermediate_size", "ffn_dim", "d_ff", "decoder_ffn_dim", "encoder_ffn_dim", "n_inner"), 64),
    **dict.fromkeys(("ffn_hidden_size", "moe_intermediate_size", "shared_expert_intermediate_size", "d_inner"), 64),
    **dict.fromkeys(("shared_intermediate_size", "expert_ffn_hidden_size", "dff", "feed_forward_size"), 64),
    **dict.fromkeys(("num_experts", "n_routed_experts", "num_local_experts", "moe_num_experts"), 4),
    **dict.fromkeys(("num_experts_per_tok", "num_experts_per_token", "moe_topk", "moe_k"), 2),
    **dict.fromkeys(("head_dim", "d_kv", "attention_head_dim", "kv_channels", "v_head_dim", "attention_head_size"), 8),
    **dict.fromkeys(("max_position_embeddings", "n_positions", "max_seq_len", "n_ctx"), 128),
    **dict.fromkeys(("bos_token_id", "eos_token_id", "pad_token_id", "decoder_start_token_id"), 0),
    **dict.fromkeys(("qk_rope_head_dim", "qk_nope_head_dim", "hidden_size_per_layer_input", "mamba_d_head"), 8),
    **dict.fromkeys(("vocab_size", "n_words", "vocab_size_per_layer_input", "src_vocab_size", "tgt_vocab_size"), 400),
    **dict.fromkeys(("q_lora_rank", "kv_lora_rank", "emb_dim", "image_size", "mamba_d_state", "output_dim"), 32),
    **dict.fromkeys(("rotary_dim", "depth"), 4),
    **dict.fromkeys(("num_conv_pos_embeddings", "patch_size"), 16),
    **dict.fromkeys(("mamba_n_heads", "mamba_num_heads", "n_mamba_heads"), 8),
    "mamba_d_ssm": 64,
    # shorter than the prompts, so that padding could move what a token sees
    **dict.fromkeys(("sliding_window", "attention_chunk_size", "window_size"), 8),
    "initializer_range": 0.3,
    "init_std": 0.3,
}


@dataclass(frozen=True)
class Counts:
    """Replies of one family in one decoding.

    Attributes:
        replies: number of prompts.
        differ: replies that differ from those of one prompt at a time.
        distinct: different replies among the single ones; a model that always says the same would show nothing.
    """

    replies: int
    differ: int
    distinct: int


@dataclass(frozen=True)
class Verdict:
    """What was found about a family.

    Attributes:
        model_type: transformers' name of the architecture.
        kind: "decoder" or "encoder-decoder".
        check: what the engine's check found, which compares logits too; None: batches are exact.
        counts: by decoding, with batches of all prompts.
        engine: by decoding, the replies of the engine as it runs, after its check.
        reason: why it could not be made or run; None if it ran.
    """

    model_type: str
    kind: str
    check: str | None = None
    counts: dict[str, Counts] = field(default_factory=dict)
    engine: dict[str, Counts] = field(default_factory=dict)
    reason: str | None = None

    @property
    def differs(self) -> bool:
        """Whether batches are not exact."""
        return self.check is not None or any(counts.differ for counts in self.counts.values())


def families() -> Iterator[tuple[str, str]]:
    """Yield (model_type, kind) of every family that generates text."""
    from transformers.models.auto import modeling_auto

    for name in sorted(modeling_auto.MODEL_FOR_CAUSAL_LM_MAPPING_NAMES):
        yield name, "decoder"
    for name in sorted(modeling_auto.MODEL_FOR_SEQ_TO_SEQ_CAUSAL_LM_MAPPING_NAMES):
        yield name, "encoder-decoder"


def tiny_config(model_type: str, wanted: str) -> Any:
    """Return the configuration of a small model of a family.

    Raises:
        ValueError: it is not loaded as the kind: a model of speech, whose texts come from a decoder alone.
    """
    from transformers import AutoConfig

    kind = type(AutoConfig.for_model(model_type))
    default = kind()
    if wanted == "encoder-decoder" and not default.is_encoder_decoder:
        raise ValueError(
            "a model of speech or images: transformers lists it here, but it is no encoder-decoder of texts"
        )
    arguments = {**_sizes(default), "decoder_start_token_id": 0, **OWN.get(model_type, {})}
    if wanted == "decoder" and default.is_encoder_decoder:
        arguments["is_encoder_decoder"] = False  # the decoder of an encoder-decoder family alone
    if wanted == "decoder" and hasattr(default, "is_decoder"):
        arguments["is_decoder"] = True
    return kind(**arguments)


def _sizes(default: Any) -> dict[str, Any]:
    known = {**default.to_dict(), **dict.fromkeys(inspect.signature(type(default).__init__).parameters)}
    back = {value: key for key, value in getattr(type(default), "attribute_map", {}).items() if value in known}
    sizes = {name: value for name, value in SIZES.items() if name in known and name not in back.values()}
    if {"kv_lora_rank", "window_attn_num_key_value_heads"} & known.keys():  # latent attention has no groups of heads
        sizes["num_key_value_heads"] = 4
    for name, part in vars(default).items():
        if hasattr(part, "to_dict"):
            sizes[name] = type(part)(**{**_sizes(part), **OWN.get(getattr(part, "model_type", ""), {})})
    return sizes


def tiny_model(model_type: str, kind: str, seed: int = 0) -> Any:
    """Return a random model of a family in evaluation mode.

    Raises:
        ValueError: it has too many parameters.
    """
    import torch
    import transformers

    config = tiny_config(model_type, kind)
    auto = transformers.AutoModelForCausalLM if kind == "decoder" else transformers.AutoModelForSeq2SeqLM
    with torch.device("meta"):
        size = sum(p.numel() for p in auto.from_config(config).parameters())
    if size > LARGEST:
        raise ValueError(f"its smallest model has {size / 1e6:.0f} million parameters")
    torch.manual_seed(seed)
    model = auto.from_config(config, dtype=torch.float32).eval()
    with torch.no_grad():  # initial weights make every reply repeat one token
        for weight in model.parameters():
            if not torch.isfinite(weight).all() or (weight.dim() >= 2 and weight.std() < 0.1):
                weight.normal_(0, 0.3)
    return model


def loaded(model: Any, kind: str, name: str) -> LoadedModel:
    """Return a model as the engine takes it."""
    identity = ModelIdentity(name, "", "", (0,))
    return LoadedModel(bpe_tokenizer(VOCABULARY), name, (0,), 128, kind != "decoder", identity, None, {}, model, "cpu")


def prompts(count: int, seed: int = 1) -> list[tuple[int, ...]]:
    """Return prompts of different lengths."""
    import random

    draw = random.Random(seed)
    return [tuple(draw.randrange(3, 300) for _ in range(1 + (7 * i) % 17)) for i in range(count)]


def singly(engine: HfEngine, prompt: Sequence[int], decoding: DecodingConfig) -> tuple[int, ...]:
    """Return the tokens of `generate` for one prompt without padding."""
    import torch
    from transformers import GenerationConfig

    model = engine.model
    seq2seq = engine.loaded.encoder_decoder
    config = GenerationConfig(
        max_new_tokens=decoding.max_new_tokens,
        num_beams=decoding.num_beams,
        do_sample=False,
        eos_token_id=0,
        pad_token_id=0,
        **({"decoder_start_token_id": engine._decoder_start()} if seq2seq else {}),
    )
    ids = torch.tensor([list(prompt)])
    saved, model.generation_config = model.generation_config, GenerationConfig()
    try:
        with torch.inference_mode():
            out = model.generate(input_ids=ids, attention_mask=torch.ones_like(ids), generation_config=config)
    finally:
        model.generation_config = saved
    tokens = out[0, 1 if seq2seq else len(prompt) :].tolist()
    return tuple(tokens[: tokens.index(0)] if 0 in tokens else tokens)


def compare(engine: HfEngine, decoding: DecodingConfig, count: int) -> Counts:
    """Return how many replies of the engine differ from `singly`."""
    asked = prompts(count)
    requests = [TokenRequest(str(i), prompt) for i, prompt in enumerate(asked)]
    got = {reply.example_id: reply.token_ids for reply in engine.generate(requests, decoding, 0)}
    alone = [singly(engine, prompt, decoding) for prompt in asked]
    differ = sum(got[str(i)] != reply for i, reply in enumerate(alone))
    return Counts(count, differ, len(set(alone)))


def examine(model_type: str, kind: str, count: int = 12, limit_s: int = 120) -> Verdict:
    """Return how a family's batched replies compare with single ones."""
    try:
        with _time_limit(limit_s), warnings.catch_warnings(), contextlib.redirect_stdout(io.StringIO()):
            warnings.simplefilter("ignore")
            model = tiny_model(model_type, kind)
            opened = loaded(model, kind, model_type)
            config = EngineConfig(name="hf", device="cpu", workers=1)
            engine = HfEngine(opened, config)
            check = batching.difference(batching.probes(VOCABULARY, opened.window, (0,)), engine._probe)
            settings = {n: d for n, d in SETTINGS.items() if supports(opened, d) is None}
            as_run = {name: compare(engine, decoding, count) for name, decoding in settings.items()}
            counts = as_run
            if engine.singly:
                engine.singly = False
                counts = {name: compare(engine, decoding, count) for name, decoding in settings.items()}
            return Verdict(model_type, kind, check, counts, as_run)
    except Exception as error:
        words = " ".join(str(error).split())
        return Verdict(model_type, kind, reason=f"{type(error).__name__}: {words}")


@contextlib.contextmanager
def _time_limit(seconds: int) -> Iterator[None]:
    def stop(*_: Any) -> None:
        raise TimeoutError(f"it takes more than {seconds} s")

    old = signal.signal(signal.SIGALRM, stop)
    signal.alarm(seconds)
    try:
        yield
    finally:
        signal.alarm(0)
        signal.signal(signal.SIGALRM, old)


_FOUR, _EIGHT = {"num_hidden_layers": 4}, {"num_hidden_layers": 8}
OWN: dict[str, dict[str, Any]] = {
    "jamba": _EIGHT,
    "dots1": {"n_shared_experts": 1},
    "dots3_note_text": {"num_key_value_heads": 4},
    "cohere_compass_text": {"rope_parameters": {"full_attention": {"rope_type": "default", "rope_theta": 10000.0}}},
    "lfm2_moe": {"layer_types": ["conv", "full_attention"], "num_dense_layers": 1},
    "mamba2": {"num_heads": 8, "head_dim": 8, "n_groups": 1, "state_size": 8},
    "gemma3n_text": {
        "num_hidden_layers": 4,
        "num_kv_shared_layers": 0,
        "layer_types": ["sliding_attention", "full_attention"] * 2,
        "activation_sparsity_pattern": None,
        "laurel_rank": 8,
        "intermediate_size": 64,
    },
    "xlm": {"emb_dim": 32, "n_words": 400, "causal": True},
    "roc_bert": {"pronunciation_vocab_size": 50, "shape_vocab_size": 50},
    "lfm3": _EIGHT,
    "qwen3_next": _FOUR,
    "qwen3_5_text": _FOUR,
    "qwen3_5_moe_text": _FOUR,
    "bamba": {"num_hidden_layers": 2, "attn_layer_indices": [1]},
    "granitemoehybrid": {"layer_types": ["mamba", "attention"]},
    "zamba": {
        "num_hidden_layers": 3,
        "layers_block_type": ["linear_attention", "hybrid", "linear_attention"],
        "attention_hidden_size": 64,
        "attention_head_dim": 16,
        "n_mamba_heads": 2,
        "mamba_dt_rank": 4,
    },
    "zamba2": {
        "num_hidden_layers": 3,
        "layers_block_type": ["linear_attention", "hybrid", "linear_attention"],
        "num_query_groups": 4,
        "num_key_value_heads": 4,
        "adapter_rank": 8,
        "mamba_headdim": 8,
        "kv_channels": 8,
        "attention_hidden_size": 64,
        "attention_head_dim": 16,
    },
    "zaya": {"num_experts_per_tok": 1, "layer_types": ["hybrid", "hybrid_sliding"], "sliding_window": 64},
    "axk1": {"n_group": 2, "topk_group": 1},
    "bailing_hybrid": {"num_hidden_layers": 6, "num_expert_group": 2, "topk_group": 1},
    "kimi_linear": {
        "num_hidden_layers": 4,
        "layer_types": ["linear_attention", "full_attention"] * 2,
        "linear_head_dim": 8,
        "linear_num_heads": 2,
    },
    "qwen4_exp_text": {
        **_FOUR,
        "indexer_n_heads": 2,
        "indexer_kv_heads": 1,
        "indexer_head_dim": 8,
        "indexer_budget": 64,
        "indexer_compress_ratio": 4,
        "hc_lowrank": 8,
    },
    "gemma4_text": {"num_kv_shared_layers": 0},
    "dbrx": {"attn_config": {"kv_n_heads": 2}, "ffn_config": {"hidden_size": 32, "ffn_hidden_size": 64}},
    "recurrent_gemma": {"num_hidden_layers": 3},
    "gpt_neo": {"attention_types": [[["global", "local"], 1]]},
    "reformer": {"axial_pos_embds": False, "is_decoder": True},
    "xmod": {"default_language": "en_XX"},
}
