"""``decoding=checkpoint``: the settings of the model's generation_config.json, as decoding settings.

They mean what transformers' `generate` makes of them: what the file leaves out has the library's default, except that
a file without any limit of the length leaves ``decoding.max_new_tokens`` in force.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from typing import Any

from dialoeval.config import DecodingConfig, RunConfig, effects
from dialoeval.config.schema import Strategy
from dialoeval.errors import UserError

_EVERY_STRATEGY = ("repetition_penalty", "no_repeat_ngram_size")
_SAMPLING = ("temperature", "top_k", "top_p", "typical_p", "min_p")
_BEAM = ("length_penalty", "early_stopping")
_READ = {*_EVERY_STRATEGY, *_SAMPLING, *_BEAM, "num_beams", "do_sample", "max_new_tokens", "max_length",
         "min_new_tokens", "min_length"}  # fmt: skip
# Values at which a setting that has no counterpart here changes nothing.
_NEUTRAL: dict[str, tuple[Any, ...]] = {
    "encoder_no_repeat_ngram_size": (0,),
    "encoder_repetition_penalty": (1,),
    "epsilon_cutoff": (0,),
    "eta_cutoff": (0,),
    "diversity_penalty": (0,),
    "num_beam_groups": (1,),
    "num_return_sequences": (1,),
    "guidance_scale": (1,),
    "penalty_alpha": (0,),
    "bad_words_ids": ([],),
    "suppress_tokens": ([],),
    "begin_suppress_tokens": ([],),
    "stop_strings": ([], ""),
    "sequence_bias": ({}, []),
}
# Settings of `generate` that change which tokens are chosen, or when a reply ends, and have no counterpart here.
_TELLING = {*_NEUTRAL, "max_time", "top_h", "use_mtp", "renormalize_logits", "forced_bos_token_id",
            "forced_eos_token_id", "remove_invalid_values", "exponential_decay_length_penalty", "token_healing",
            "watermarking_config", "constraints", "force_words_ids", "dola_layers", "assistant_early_exit",
            "prompt_lookup_num_tokens"}  # fmt: skip
_TOP_K = 50  # that `generate` samples with if a checkpoint sets none


def with_checkpoint_settings(config: RunConfig) -> RunConfig:
    """Return a configuration with the decoding settings of its model's checkpoint, if `decoding.checkpoint` asks so.

    Raises:
        UserError: the model is not available or has no generation_config.json, a setting of it cannot be followed
            exactly, or another decoding setting was given.
    """
    from dialoeval.models.checkpoint import read_checkpoint_settings

    decoding = config.decoding
    if not decoding.checkpoint:
        return config
    if config.engine.name == "openai":
        raise UserError("decoding=checkpoint needs the model's files: engine=openai has its server's settings")
    effects.check_decoding(decoding, unread=True)
    model = config.model
    read = read_checkpoint_settings(model.path, model.revision)
    if read.settings is None:
        raise UserError(f"decoding=checkpoint: {model.path} has no generation_config.json")
    try:
        taken = decoding_of(read.settings, decoding, encoder_decoder=read.encoder_decoder)
    except UserError as error:
        raise UserError(f"decoding=checkpoint: generation_config.json of {model.path}: {error}") from error
    return replace(config, decoding=taken)


def decoding_of(settings: Mapping[str, Any], decoding: DecodingConfig, *, encoder_decoder: bool) -> DecodingConfig:
    """Return the decoding of a checkpoint's settings.

    Args:
        settings: {name: value} of generation_config.json; None counts as left out.
        decoding: its name, and its limit of new tokens for a checkpoint without any limit.
        encoder_decoder: whether lengths count the decoder's tokens, the start token included, instead of the prompt's.

    Raises:
        UserError: a setting cannot be followed exactly, or is out of range.
    """
    given = {name: value for name, value in settings.items() if value is not None}
    for name in sorted(_TELLING & given.keys()):
        if given[name] not in (False, *_NEUTRAL.get(name, ())):
            raise UserError(f"{name}={given[name]} has no exact counterpart here: set the decoding yourself")
    samples, beams = bool(given.get("do_sample", False)), given.get("num_beams", 1)
    if samples and beams > 1:
        raise UserError(f"do_sample with num_beams={beams}, beam search that samples, has no counterpart here")
    names = [*_EVERY_STRATEGY, *(_SAMPLING if samples else ()), *(_BEAM if beams > 1 else ())]
    taken: dict[str, Any] = {"top_k": _TOP_K} if samples else {}
    taken |= {name: given[name] for name in names if name in given}
    strategy = Strategy.sample if samples else Strategy.beam if beams > 1 else Strategy.greedy
    lengths = _lengths(given, decoding, encoder_decoder=encoder_decoder)
    return DecodingConfig(
        name=decoding.name,
        strategy=strategy,
        num_beams=beams,
        checkpoint=True,
        stop=decoding.stop,
        end_tokens=decoding.end_tokens,
        **taken,
        **lengths,  # type: ignore[arg-type]
    )


def _lengths(given: Mapping[str, Any], decoding: DecodingConfig, *, encoder_decoder: bool) -> dict[str, int]:
    """Return max_new_tokens, max_length and min_new_tokens."""
    limit: dict[str, int] = {"max_new_tokens": decoding.max_new_tokens}
    if {"max_new_tokens", "max_length"} & given.keys():
        if decoding.max_new_tokens != DecodingConfig.max_new_tokens:
            raise UserError(
                f"it has a limit of its own: decoding.max_new_tokens={decoding.max_new_tokens} has no effect"
            )
        if "max_new_tokens" in given:  # wins over max_length, as in `generate`
            limit = {"max_new_tokens": given["max_new_tokens"]}
        else:
            length = given["max_length"]
            limit = {"max_new_tokens": length - 1} | ({} if encoder_decoder else {"max_length": length})
    if given.get("min_new_tokens"):
        return limit | {"min_new_tokens": given["min_new_tokens"]}
    if least := given.get("min_length"):
        if not encoder_decoder:
            raise UserError(f"min_length={least} counts the prompt's tokens, which has no counterpart here")
        return limit | {"min_new_tokens": max(0, least - 1)}
    return limit
