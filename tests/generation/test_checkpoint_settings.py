"""`decoding=checkpoint`: replies are those of transformers' own `generate` on the folder, its settings included."""

from __future__ import annotations

import json
from dataclasses import replace

import pytest
import torch
from support.model_folders import CPU, EXAMPLES
from support.random_models import random_gpt2

from dialoeval.config import DecodingConfig, RunConfig
from dialoeval.config.compose import compose
from dialoeval.errors import UserError
from dialoeval.generation import open_generator
from dialoeval.generation.checkpoint import decoding_of, with_checkpoint_settings
from dialoeval.runs.identity import decoding_settings

CHECKPOINT = DecodingConfig(name="checkpoint", strategy="greedy", checkpoint=True)


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    return random_gpt2(tmp_path_factory.mktemp("model") / "m", sharpen=4.0)


def configured(folder, **written) -> RunConfig:
    """Write generation_config.json; return a run of the folder that takes it."""
    settings = {"eos_token_id": 0, "pad_token_id": 0, "transformers_version": "5.0.0", **written}
    (folder / "generation_config.json").write_text(json.dumps(settings))
    config = compose("config", [f"model.path={folder}", "decoding=checkpoint"])
    return with_checkpoint_settings(replace(config, engine=CPU))


def expected(folder, prompts) -> list[list[int]]:
    """Return what transformers generates with the folder's own settings and no other, one prompt at a time."""
    from transformers import AutoModelForCausalLM

    model = AutoModelForCausalLM.from_pretrained(folder).eval()
    replies = []
    for ids in prompts:
        out = model.generate(input_ids=torch.tensor([ids]), attention_mask=torch.ones(1, len(ids), dtype=torch.long))
        reply = out[0, len(ids) :].tolist()
        replies.append(reply[: reply.index(0)] if 0 in reply else reply)
    return replies


@pytest.mark.parametrize("engine", ["fast", "hf"])
@pytest.mark.parametrize(
    "written",
    [
        {"max_new_tokens": 9},
        {"max_length": 90},
        {"max_length": 60, "temperature": 0.3, "top_p": 0.5, "do_sample": False},  # generate ignores these, too
        {"num_beams": 3, "max_length": 80, "early_stopping": True, "length_penalty": 0.4},
        {"num_beams": 4, "max_new_tokens": 12, "no_repeat_ngram_size": 2, "repetition_penalty": 1.3},
        {"max_new_tokens": 12, "min_new_tokens": 6, "repetition_penalty": 1.2},
        {"num_beams": 2, "early_stopping": "never", "max_new_tokens": 10, "max_length": 5},
    ],
    ids=str,
)
def test_replies_are_those_of_generate(folder, engine, written):
    config = configured(folder, **written)
    config = replace(config, engine=replace(config.engine, name=engine))
    generator = open_generator(config.model, config.engine, config.decoding)
    tokenizer = generator.source.loaded.tokenizer
    longest = written.get("max_length", 999) - 1 if "max_new_tokens" not in written else 999
    examples = [e for e in EXAMPLES if generator.prompt_length(e, config.decoding) < min(longest, 100)]
    assert len(examples) > 3
    prompts = [generator.source._prompt(example, config.decoding).token_ids for example in examples]
    replies = {reply.id: reply.text for reply in generator.reply(examples, config.decoding, 0)}
    for example, tokens in zip(examples, expected(folder, map(list, prompts)), strict=True):
        assert replies[example.id] == " ".join(tokenizer.decode(tokens, skip_special_tokens=True).split())


def test_a_prompt_leaves_room_for_a_reply_under_max_length(folder):
    config = configured(folder, max_length=20)
    generator = open_generator(config.model, config.engine, config.decoding)
    assert all(generator.prompt_length(example, config.decoding) <= 19 for example in EXAMPLES)
    replies = list(generator.reply(EXAMPLES, config.decoding, 0))
    assert all(0 <= reply.tokens <= 19 for reply in replies) and any(reply.dropped_turns for reply in replies)


def test_sampling_settings_are_taken_with_the_librarys_defaults():
    taken = decoding_of(
        {"do_sample": True, "top_p": 0.9, "typical_p": 0.8, "min_p": 0.1}, CHECKPOINT, encoder_decoder=False
    )
    assert (taken.strategy, taken.top_p, taken.typical_p, taken.min_p, taken.top_k) == ("sample", 0.9, 0.8, 0.1, 50)
    assert taken.max_new_tokens == 64, "a file without any limit leaves that of the decoding"
    both = decoding_of({"max_length": 60, "min_length": 20}, CHECKPOINT, encoder_decoder=True)
    assert (both.max_new_tokens, both.min_new_tokens, both.max_length) == (59, 19, 0)


@pytest.mark.parametrize(
    ("written", "message"),
    [
        ({"num_beams": 4, "num_beam_groups": 2, "diversity_penalty": 0.5}, "diversity_penalty=0.5 has no exact"),
        ({"forced_bos_token_id": 3}, "forced_bos_token_id=3"),
        ({"bad_words_ids": [[3]]}, "bad_words_ids"),
        ({"suppress_tokens": [3]}, "suppress_tokens"),
        ({"encoder_no_repeat_ngram_size": 3}, "encoder_no_repeat_ngram_size=3"),
        ({"do_sample": True, "num_beams": 4}, "do_sample with num_beams=4"),
        ({"min_length": 4}, "min_length=4"),
        ({"do_sample": True, "temperature": 0.0}, "decoding.temperature=0.0"),
    ],
)
def test_what_cannot_be_followed_is_named(written, message):
    with pytest.raises(UserError, match=message):
        decoding_of(written, CHECKPOINT, encoder_decoder=False)


def test_neutral_values_say_nothing():
    neutral = {"diversity_penalty": 0.0, "num_beam_groups": 1, "suppress_tokens": [], "renormalize_logits": False,
               "num_return_sequences": 1, "max_new_tokens": 7}  # fmt: skip
    assert decoding_of(neutral, CHECKPOINT, encoder_decoder=False).max_new_tokens == 7


def test_checkpoints_and_settings_that_say_two_things(folder):
    with pytest.raises(UserError, match=r"decoding\.max_new_tokens=9 has no effect"):
        decoding_of({"max_length": 60}, replace(CHECKPOINT, max_new_tokens=9), encoder_decoder=False)
    config = configured(folder, max_new_tokens=5)
    assert (folder / "generation_config.json").exists() and config.decoding.max_new_tokens == 5
    (folder / "generation_config.json").unlink()
    asked = replace(config, decoding=CHECKPOINT)
    with pytest.raises(UserError, match=r"has no generation_config\.json"):
        with_checkpoint_settings(asked)
    with pytest.raises(UserError, match="engine=openai has its server's settings"):
        with_checkpoint_settings(replace(asked, engine=replace(asked.engine, name="openai")))
    sampled = replace(asked, decoding=DecodingConfig(name="x", strategy="sample", checkpoint=True))
    with pytest.raises(UserError, match=r"decoding\.strategy=sample has no effect with decoding\.checkpoint=true"):
        with_checkpoint_settings(sampled)


def test_taken_settings_are_the_same_run_as_given_ones():
    given = DecodingConfig(name="x", strategy="beam", num_beams=3, max_new_tokens=9)
    taken = decoding_of({"num_beams": 3, "max_new_tokens": 9}, CHECKPOINT, encoder_decoder=False)
    assert decoding_settings(given) == decoding_settings(taken)
    assert "max_length" not in decoding_settings(given), "the folders of earlier runs keep their names"
