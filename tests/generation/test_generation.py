"""Prompts, models, the reference engine and reranking, with small random models in the Hub's format."""

from __future__ import annotations

import json
import math
import pickle

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from support.random_models import TEXTS, bpe_tokenizer, random_gpt2

from dialoeval.config import DecodingConfig, EngineConfig, ModelConfig
from dialoeval.data import Example
from dialoeval.errors import UserError
from dialoeval.generation import open_generator
from dialoeval.generation.prompts import Prompter
from dialoeval.generation.types import TokenReply, TokenRequest
from dialoeval.models import loading as models

EXAMPLES = [Example(f"e{i}", tuple(TEXTS[i % 3 : i % 3 + 1 + i % 4])) for i in range(12)]
GREEDY = DecodingConfig(name="greedy", strategy="greedy", max_new_tokens=12)
BEAM = DecodingConfig(name="beam", strategy="beam", num_beams=4, max_new_tokens=10)
TOPK = DecodingConfig(name="topk", strategy="sample", top_k=10, max_new_tokens=10)
HF = EngineConfig(name="hf", device="cpu")


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    return str(random_gpt2(tmp_path_factory.mktemp("model"), seed=3, sharpen=3.0))


def model(folder, **settings):
    return ModelConfig(**{"name": "random", "path": folder, **settings})


def texts(generator, decoding, examples=EXAMPLES, seed=0):
    return {reply.id: reply for reply in generator.reply(examples, decoding, seed)}


def test_dialogpt_prompt_ends_every_turn_and_cuts_at_turns():
    tokenizer = bpe_tokenizer()
    prompter = Prompter(ModelConfig(name="m", path="m"), tokenizer)
    end = tokenizer.eos_token_id
    whole = prompter.build(TEXTS[:3], 1000)
    turns = [tokenizer(text)["input_ids"] for text in TEXTS[:3]]
    assert list(whole.token_ids) == [t for turn in turns for t in (*turn, end)] and whole.dropped_turns == 0
    cut = prompter.build(TEXTS[:3], len(turns[1]) + len(turns[2]) + 2)
    assert list(cut.token_ids) == [*turns[1], end, *turns[2], end] and cut.dropped_turns == 1
    inside = prompter.build(TEXTS[:3], 4)
    assert list(inside.token_ids) == [*turns[2][-3:], end] and inside.dropped_turns == 3
    assert prompter.build((), 10).token_ids == (end,)


@settings(max_examples=30, deadline=None)
@given(st.lists(st.text(max_size=30), max_size=5), st.integers(1, 40))
def test_prompts_never_exceed_their_limit(turns, limit):
    prompt = Prompter(ModelConfig(name="m", path="m"), bpe_tokenizer()).build(turns, limit)
    assert 1 <= len(prompt.token_ids) <= limit and 0 <= prompt.dropped_turns <= max(1, len(turns))


def test_chat_prompt_gives_the_last_turn_to_the_user():
    tokenizer = bpe_tokenizer()
    tokenizer.chat_template = "{% for m in messages %}<{{ m.role }}>{{ m.content }}{% endfor %}<assistant>"
    prompter = Prompter(ModelConfig(name="m", path="m", prompt="chat", system_prompt="be brief"), tokenizer)
    text = tokenizer.decode(prompter.build(["one", "two", "three"], 200).token_ids)
    assert text == "<system>be brief<user>one<assistant>two<user>three<assistant>"
    with pytest.raises(UserError, match="no chat template"):
        Prompter(ModelConfig(name="m", path="m", prompt="chat"), bpe_tokenizer())


@pytest.mark.parametrize("decoding", [GREEDY, BEAM], ids=["greedy", "beam"])
def test_hf_batches_reply_as_one_by_one_generate(folder, decoding):
    generator = open_generator(model(folder), HF, decoding)
    replies = texts(generator, decoding)
    loaded, tokenizer = generator.source.loaded.model, generator.source.loaded.tokenizer
    end = tokenizer.eos_token_id
    for example in EXAMPLES:
        ids = [t for turn in example.context for t in (*tokenizer(turn)["input_ids"], end)]
        out = loaded.generate(
            torch.tensor([ids]), attention_mask=torch.ones(1, len(ids), dtype=torch.long), do_sample=False,
            num_beams=decoding.num_beams, max_new_tokens=decoding.max_new_tokens, pad_token_id=end, eos_token_id=end,
            length_penalty=1.0, early_stopping=False,
        )[0, len(ids) :].tolist()  # fmt: skip
        expected = tokenizer.decode(out[: out.index(end)] if end in out else out, skip_special_tokens=True)
        assert replies[example.id].text == " ".join(expected.split())
        assert replies[example.id].finish == ("stop" if end in out else "length")


@pytest.mark.parametrize("engine", ["hf", "auto"])
def test_log_probabilities_are_the_models_own(folder, engine):
    generator = open_generator(model(folder), EngineConfig(name=engine, device="cpu", workers=1), GREEDY)
    tokenizer, loaded = generator.source.loaded.tokenizer, generator.source.loaded.model
    reply = texts(generator, GREEDY, EXAMPLES[:1])["e0"]
    ids = [t for turn in EXAMPLES[0].context for t in (*tokenizer(turn)["input_ids"], 0)]
    out = loaded.generate(
        torch.tensor([ids]), attention_mask=torch.ones(1, len(ids), dtype=torch.long), do_sample=False,
        max_new_tokens=12, pad_token_id=0, eos_token_id=0, output_logits=True, return_dict_in_generate=True,
    )  # fmt: skip
    new = out.sequences[0, len(ids) :]
    expected = sum(step[0].log_softmax(-1)[token].item() for step, token in zip(out.logits, new, strict=True))
    assert reply.logprob == pytest.approx(expected, abs=1e-3)
    generator.close()


def test_sampled_replies_belong_to_the_example_not_to_the_batch(folder):
    generator = open_generator(model(folder), HF, TOPK)
    together = {name: reply.text for name, reply in texts(generator, TOPK).items()}
    alone = {}
    for example in reversed(EXAMPLES):
        alone |= {name: reply.text for name, reply in texts(generator, TOPK, [example]).items()}
    assert alone == together
    assert {n: r.text for n, r in texts(generator, TOPK, seed=1).items()} != together
    small = open_generator(model(folder), EngineConfig(name="hf", device="cpu", batch_tokens=64), TOPK)
    assert {name: reply.text for name, reply in texts(small, TOPK).items()} == together


def test_the_two_engines_draw_the_same_replies(folder):
    hf = open_generator(model(folder), HF, TOPK)
    fast = open_generator(model(folder), EngineConfig(name="fast", device="cpu", workers=1), TOPK)
    assert {n: r.text for n, r in texts(hf, TOPK).items()} == {n: r.text for n, r in texts(fast, TOPK).items()}
    fast.close()


def test_out_of_memory_halves_the_batch_and_changes_nothing(folder, monkeypatch):
    generator = open_generator(model(folder), HF, GREEDY)
    expected = {name: reply.text for name, reply in texts(generator, GREEDY).items()}
    model_of_transformers = generator.source.engine.model
    whole = model_of_transformers.generate

    def tight(input_ids, **settings):
        if len(input_ids) > 3:
            raise torch.cuda.OutOfMemoryError("no memory")
        return whole(input_ids=input_ids, **settings)

    monkeypatch.setattr(model_of_transformers, "generate", tight)
    assert {name: reply.text for name, reply in texts(generator, GREEDY).items()} == expected
    assert generator.source.engine.counters["out_of_memory"] >= 1


def test_mmi_keeps_all_candidates_and_takes_the_lowest_backward_loss(folder, tmp_path):
    backward = str(random_gpt2(tmp_path / "backward", seed=9))
    decoding = DecodingConfig(name="mmi", strategy="sample", top_k=10, num_candidates=4, rerank="mmi", max_new_tokens=6)
    generator = open_generator(model(folder, backward=backward), HF, decoding)
    reply = texts(generator, decoding, EXAMPLES[:2])["e1"]
    assert len(reply.candidates) == 4
    best = max(reply.candidates, key=lambda candidate: candidate.score)
    assert reply.text == best.text
    scorer = models.load_model(backward, revision=None, weights=None, engine=HF)
    encode = scorer.tokenizer
    source = [t for turn in reversed(EXAMPLES[1].context) for t in (*encode(turn)["input_ids"], 0)]
    ids = [*encode(best.text)["input_ids"], 0]
    logits = scorer.model(torch.tensor([ids + source])).logits[0].log_softmax(-1)
    expected = sum(logits[len(ids) - 1 + i, token].item() for i, token in enumerate(source))
    assert best.backward_logprob == pytest.approx(expected, abs=1e-3)
    assert best.score == pytest.approx(expected / len(source), abs=1e-3)
    with pytest.raises(UserError, match=r"model\.backward"):
        open_generator(model(folder), HF, decoding)


def test_classifier_reranking(folder, tmp_path):
    from transformers import GPT2Config, GPT2ForSequenceClassification

    tokenizer = bpe_tokenizer()
    torch.manual_seed(0)
    config = GPT2Config(vocab_size=len(tokenizer), n_positions=64, n_embd=32, n_layer=1, n_head=2, num_labels=1,
                        pad_token_id=0, bos_token_id=0, eos_token_id=0)  # fmt: skip
    classifier = GPT2ForSequenceClassification(config).eval()
    classifier.save_pretrained(tmp_path)
    tokenizer.save_pretrained(tmp_path)
    decoding = DecodingConfig(
        name="r", strategy="sample", top_k=10, num_candidates=3, rerank="classifier", max_new_tokens=5
    )
    generator = open_generator(model(folder, classifier=str(tmp_path)), HF, decoding)
    reply = texts(generator, decoding, EXAMPLES[:1])["e0"]
    chosen = next(candidate for candidate in reply.candidates if candidate.text == reply.text)
    ids = [*tokenizer(EXAMPLES[0].context[0])["input_ids"], 0, *tokenizer(reply.text)["input_ids"]]
    hidden = classifier.transformer(torch.tensor([ids])).last_hidden_state[0, -1]
    assert chosen.score == pytest.approx(torch.sigmoid(classifier.score(hidden))[0].item(), abs=1e-5)
    assert chosen.score == max(candidate.score for candidate in reply.candidates)


@pytest.mark.parametrize("family", ["blenderbot", "t5"])
def test_encoder_decoder_models(family, tmp_path):
    from transformers import BlenderbotConfig, BlenderbotForConditionalGeneration, T5Config, T5ForConditionalGeneration

    tokenizer = bpe_tokenizer()
    size = len(tokenizer)
    torch.manual_seed(1)
    if family == "t5":
        config = T5Config(vocab_size=size, d_model=32, d_kv=8, d_ff=64, num_layers=2, num_heads=4,
                          decoder_start_token_id=0, pad_token_id=0, eos_token_id=0)  # fmt: skip
        network, prompt = T5ForConditionalGeneration(config), "godel"
    else:
        config = BlenderbotConfig(
            vocab_size=size, d_model=32, encoder_layers=1, decoder_layers=1, encoder_attention_heads=2,
            decoder_attention_heads=2, encoder_ffn_dim=64, decoder_ffn_dim=64, max_position_embeddings=64,
            decoder_start_token_id=1, pad_token_id=0, eos_token_id=0, bos_token_id=1, forced_eos_token_id=None,
        )  # fmt: skip
        network, prompt = BlenderbotForConditionalGeneration(config), "blenderbot"
    network.eval().save_pretrained(tmp_path)
    tokenizer.save_pretrained(tmp_path)
    settings = {"prompt": prompt, "instruction": "Reply."}
    generator = open_generator(model(str(tmp_path), **settings), EngineConfig(device="cpu"), GREEDY)
    assert generator.describe().engine == "hf"
    replies = texts(generator, GREEDY, EXAMPLES[:4])
    alone = {n: r for e in EXAMPLES[:4] for n, r in texts(generator, GREEDY, [e]).items()}
    assert {n: (r.text, r.tokens) for n, r in replies.items()} == {n: (r.text, r.tokens) for n, r in alone.items()}
    for name, reply in replies.items():
        assert reply.logprob == pytest.approx(alone[name].logprob, abs=1e-3) and reply.logprob < 0


def test_release_weights_of_dialogpt_load(folder, tmp_path):
    reference = models.load_model(folder, revision=None, weights=None, engine=HF).model
    state = {name.removeprefix("transformer."): t.half() for name, t in reference.state_dict().items()}
    state["lm_head.decoder.weight"] = state.pop("lm_head.weight")
    torch.save(state, tmp_path / "release.pkl")
    blank = str(random_gpt2(tmp_path / "blank", seed=8))
    loaded = models.load_model(blank, revision=None, weights=str(tmp_path / "release.pkl"), engine=HF).model
    for name, tensor in reference.state_dict().items():
        assert torch.equal(loaded.state_dict()[name], tensor.half().float()), name


class Evil:
    def __reduce__(self):
        return (print, ("this must not run",))


def test_release_weights_that_do_not_fit(folder, tmp_path, capsys):
    load = models.load_model
    with open(tmp_path / "evil.pkl", "wb") as stream:
        pickle.dump({"x": Evil()}, stream)
    with pytest.raises(UserError, match="not a readable weights file"):
        load(folder, revision=None, weights=str(tmp_path / "evil.pkl"), engine=HF)
    assert "must not run" not in capsys.readouterr().out
    torch.save({"nonsense": torch.zeros(2)}, tmp_path / "other.pkl")
    with pytest.raises(UserError, match="does not fit"):
        load(folder, revision=None, weights=str(tmp_path / "other.pkl"), engine=HF)
    with pytest.raises(UserError, match=r"the weights file .*absent.pkl does not exist"):
        load(folder, revision=None, weights=str(tmp_path / "absent.pkl"), engine=HF)


def test_models_that_cannot_be_loaded(folder, tmp_path, monkeypatch):
    for path, message in [
        ("/no/such/folder", "no folder"),
        (str(tmp_path), r"no config\.json"),
        ("someone/some-model", "cannot load the model someone/some-model"),
    ]:
        with pytest.raises(UserError, match=message):
            models.load_model(path, revision=None, weights=None, engine=HF)
    (tmp_path / "config.json").write_text("{}")
    with pytest.raises(UserError):
        models.load_model(str(tmp_path), revision=None, weights=None, engine=HF)
    monkeypatch.setenv("DIALOEVAL_CACHE", str(tmp_path / "cache"))
    with pytest.raises(UserError, match="dialoeval fetch smollm2"):
        models.resolve("smollm2")
    with pytest.raises(UserError, match="no GPU"):
        models.choose_device("cuda")


def test_identity_follows_the_weights(folder, tmp_path):
    other = str(random_gpt2(tmp_path / "other", seed=4))
    one = open_generator(model(folder), HF, GREEDY).identity()
    assert open_generator(model(folder), HF, GREEDY).identity() == one
    assert open_generator(model(other), HF, GREEDY).identity()["weights"] != one["weights"]
    assert open_generator(model(folder, max_turns=1), HF, GREEDY).identity() != one
    json.dumps(one, allow_nan=False)


@pytest.mark.parametrize(
    ("settings", "message"),
    [
        ({"num_beams": 0}, "num_beams"),
        ({"strategy": "greedy", "top_k": 5}, "has no effect with decoding.strategy=greedy"),
        ({"strategy": "greedy", "num_beams": 2}, "strategy=beam"),
        ({"strategy": "sample", "num_candidates": 4}, "rerank"),
        ({"strategy": "sample", "temperature": 0.0}, "temperature"),
        ({"min_new_tokens": 99}, "min_new_tokens"),
        ({"top_p": math.inf}, "top_p"),
    ],
)
def test_decoding_that_says_two_things(folder, settings, message):
    with pytest.raises(UserError, match=message):
        open_generator(model(folder), HF, DecodingConfig(**{"name": "x", "strategy": "greedy", **settings}))


def test_context_and_window(folder):
    long = Example("long", tuple(TEXTS * 10))
    generator = open_generator(model(folder), HF, GREEDY)
    reply = texts(generator, GREEDY, [long, Example("empty", ())])
    assert reply["long"].dropped_turns > 0 and reply["empty"].dropped_turns == 0
    # one turn of 5,000 words loses its first words, and the rest fills the limit
    huge = Example("huge", ("you " * 5000 + "me",))
    for engine in (HF, EngineConfig(name="fast", device="cpu", workers=1)):
        generator = open_generator(model(folder), engine, GREEDY)
        (prompt,) = [
            generator.source.prompter.build(huge.context, generator.source.loaded.window - GREEDY.max_new_tokens)
        ]
        assert len(prompt.token_ids) == generator.source.loaded.window - GREEDY.max_new_tokens
        assert texts(generator, GREEDY, [huge])["huge"].dropped_turns == 1
    with pytest.raises(UserError, match="leaves no room"):
        texts(generator, DecodingConfig(name="x", strategy="greedy", max_new_tokens=500))


@pytest.mark.parametrize("strategy", ["greedy", "beam"])
def test_decoding_that_looks_back_never_sees_padding(folder, strategy):
    beams = 3 if strategy == "beam" else 1
    decoding = DecodingConfig(
        name="x", strategy=strategy, num_beams=beams, no_repeat_ngram_size=2, repetition_penalty=1.3, max_new_tokens=10
    )
    generator = open_generator(model(folder), HF, decoding)
    examples = [*EXAMPLES, Example("empty", ())]
    together = {name: reply.text for name, reply in texts(generator, decoding, examples).items()}
    alone = {name: r.text for example in examples for name, r in texts(generator, decoding, [example]).items()}
    assert together == alone


def test_rounded_weights_never_reach_a_float32_run(folder):
    first = texts(open_generator(model(folder), HF, GREEDY), GREEDY)
    rounded = open_generator(model(folder), EngineConfig(name="hf", device="cpu", dtype="bf16"), GREEDY)
    assert texts(rounded, GREEDY)["e0"].logprob != first["e0"].logprob
    assert texts(open_generator(model(folder), HF, GREEDY), GREEDY) == first


def test_a_prompt_that_fills_the_window_gets_an_empty_reply(folder):
    generator = open_generator(model(folder), HF, GREEDY)
    window = generator.source.loaded.window
    work = [TokenRequest("full", tuple(range(1, window + 1))), TokenRequest("short", (3, 4))]
    by_id = {reply.example_id: reply for reply in generator.source.engine.generate(work, GREEDY, 0)}
    assert by_id["full"] == TokenReply("full", 0, (), 0.0, "length") and by_id["short"].token_ids


def test_a_request_may_have_a_lower_limit_of_its_own(folder):
    generator = open_generator(model(folder), HF, GREEDY)
    free = {r.example_id: r.token_ids for r in generator.source.engine.generate(requests(None), GREEDY, 0)}
    by_id = {r.example_id: r.token_ids for r in generator.source.engine.generate(requests(3), GREEDY, 0)}
    assert by_id == {name: tokens[:3] for name, tokens in free.items()} and max(map(len, free.values())) > 3


def requests(limit: int | None) -> list[TokenRequest]:
    return [TokenRequest(str(i), (7 + i, 3, 9), limit) for i in range(4)]


def test_generation_settings_saved_with_a_model_are_hidden_and_stay(folder):
    """Other runs get the same model from memory with its saved settings."""
    generator = open_generator(model(folder), HF, GREEDY)
    saved = generator.source.loaded.model.generation_config
    saved.repetition_penalty, saved.suppress_tokens = 5.0, list(range(1, 300))
    try:
        first = texts(generator, GREEDY)
        assert generator.source.loaded.model.generation_config is saved
    finally:
        saved.repetition_penalty = saved.suppress_tokens = None
    assert texts(generator, GREEDY) == first
