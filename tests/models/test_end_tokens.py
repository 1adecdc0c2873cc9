"""Models whose replies may end with any of several tokens."""

from __future__ import annotations

import json

import pytest
from support.model_folders import EXAMPLES, GREEDY, load, open_model
from support.random_models import bpe_tokenizer, edit_json

from dialoeval.config import DecodingConfig
from dialoeval.errors import UserError
from dialoeval.generation.generator import ReplyGenerator
from dialoeval.generation.types import TokenRequest

TOPK = DecodingConfig(name="topk", strategy="sample", top_k=20, max_new_tokens=12)
BEAM = DecodingConfig(name="beam", strategy="beam", num_beams=3, max_new_tokens=8)


def tokens(opened: ReplyGenerator, decoding: DecodingConfig) -> dict[str, tuple[tuple[int, ...], str]]:
    """example -> (tokens, finish) of an engine."""
    requests = [TokenRequest(e.id, opened.source.prompter.build(e.context, 100).token_ids) for e in EXAMPLES]
    return {
        reply.example_id: (reply.token_ids, reply.finish)
        for reply in opened.source.engine.generate(requests, decoding, 7)
    }


def second_end(replies: dict[str, tuple[tuple[int, ...], str]]) -> int:
    """A token in the middle of some replies and absent from others."""
    for reply, _ in replies.values():
        for token in reply[2:]:
            having = sum(token in other for other, _ in replies.values())
            if having < len(replies):
                return token
    raise AssertionError("every reply has the same tokens")


@pytest.mark.parametrize("decoding", [GREEDY, TOPK], ids=["greedy", "topk"])
def test_replies_stop_at_any_end_token(gpt2, copy, decoding):
    plain = tokens(open_model(gpt2, decoding, "hf"), decoding)
    other = second_end(plain)
    edit_json(copy / "generation_config.json", eos_token_id=[other, 0])
    opened = open_model(copy, decoding)
    assert opened.source.loaded.eos_ids == (0, other)
    assert opened.describe().engine == "hf"
    assert opened.describe().reason == f"fast cannot: {copy} ends replies with 2 tokens"
    expected = {
        name: (reply[: reply.index(other)], "stop") if other in reply else (reply, finish)
        for name, (reply, finish) in plain.items()
    }
    assert expected != plain
    assert tokens(opened, decoding) == expected
    # the end token that was drawn counts in the reply's probability
    requests = [opened.source.prompter.build(example.context, 100).token_ids for example in EXAMPLES]
    targets = []
    for name, (reply, finish) in expected.items():
        end = (other if other in plain[name][0] else 0,) if finish == "stop" else ()
        targets.append((requests[[e.id for e in EXAMPLES].index(name)], (*reply, *end)))
    logprobs = dict(zip(expected, opened.source.engine.score(targets), strict=True))
    for reply in opened.reply(EXAMPLES, decoding, 7):
        assert reply.logprob == pytest.approx(logprobs[reply.id], abs=1e-3)
        assert (reply.tokens, reply.finish) == (len(expected[reply.id][0]), expected[reply.id][1])


def test_beams_and_the_shortest_reply_know_all_end_tokens(gpt2, copy):
    other = second_end(tokens(open_model(gpt2, BEAM, "hf"), BEAM))
    edit_json(copy / "generation_config.json", eos_token_id=[0, other])
    replies = tokens(open_model(copy, BEAM), BEAM)
    assert not any({0, other} & set(reply) for reply, _ in replies.values())
    assert any(finish == "stop" for _, finish in replies.values())
    shortest = DecodingConfig(name="g", strategy="greedy", max_new_tokens=12, min_new_tokens=6)
    replies = tokens(open_model(copy, shortest), shortest)
    assert min(len(reply) for reply, _ in replies.values()) >= 6


def test_the_fast_engine_refuses_several_end_tokens(copy):
    edit_json(copy / "generation_config.json", eos_token_id=[0, 5])
    with pytest.raises(UserError, match=r"engine=fast cannot run this: .* ends replies with 2 tokens .*engine=auto"):
        open_model(copy, GREEDY, "fast")


def test_one_end_token_in_a_list_is_one(gpt2, copy):
    edit_json(copy / "generation_config.json", eos_token_id=[0])
    opened = open_model(copy, GREEDY, "fast")
    assert opened.describe().engine == "fast" and opened.source.loaded.eos_ids == (0,)
    opened.close()


def test_another_end_token_is_another_model(copy):
    ends = []
    for more in ([0], [0, 5], [0, 6]):
        edit_json(copy / "generation_config.json", eos_token_id=more)
        ends.append(json.dumps(load(copy).identity.to_json()))
    assert len(set(ends)) == 3


def test_an_end_token_that_is_not_the_tokenizers_counts(copy):
    edit_json(copy / "generation_config.json", eos_token_id=5)
    assert load(copy).eos_ids == (0, 5)


def test_a_backward_model_may_have_several_end_tokens(gpt2, copy):
    edit_json(copy / "generation_config.json", eos_token_id=[0, 5])
    mmi = DecodingConfig(name="mmi", strategy="sample", top_k=10, num_candidates=2, rerank="mmi", max_new_tokens=4)
    opened = open_model(gpt2, mmi, backward=str(copy))
    assert opened.describe().engine == "fast" and opened.reranker.engine.name == "hf"
    opened.close()
    with pytest.raises(UserError, match=r"engine=fast cannot run this: .*ends replies with 2 tokens"):
        open_model(gpt2, mmi, "fast", backward=str(copy))


def test_end_tokens_beyond_the_embedding(gpt2, copy, caplog):
    edit_json(copy / "generation_config.json", eos_token_id=[0, 4_000, -1])
    with caplog.at_level("INFO", "dialoeval.models.loading"):
        assert load(copy).eos_ids == (0,)
    assert "the end token 4000 is left out: its embedding has 400 tokens" in caplog.text
    edit_json(copy / "generation_config.json", eos_token_id=["</s>"])
    with pytest.raises(UserError, match=r"eos_token_id of its generation_config\.json is '</s>'|not a model that can"):
        load(copy)


def test_a_tokenizers_end_token_beyond_the_embedding_is_refused(copy):
    state = json.loads((copy / "tokenizer.json").read_text(encoding="utf-8"))
    vocabulary = state["model"]["vocab"]
    last = max(vocabulary, key=vocabulary.get)
    vocabulary["<far>"] = vocabulary.pop(last) + 5_000  # a gap: as many tokens as before
    state["model"]["merges"] = [pair for pair in state["model"]["merges"] if last not in ("".join(pair), *pair)]
    state["added_tokens"].append({**state["added_tokens"][0], "id": vocabulary["<far>"], "content": "<far>"})
    (copy / "tokenizer.json").write_text(json.dumps(state), encoding="utf-8")
    edit_json(copy / "tokenizer_config.json", eos_token="<far>")
    with pytest.raises(
        UserError, match=r"the end token of its tokenizer has the id 5399, its embedding 400|its tokenizer has"
    ):
        load(copy)


def test_a_first_decoder_token_that_is_not_there_is_refused(tmp_path):
    from transformers import T5Config, T5ForConditionalGeneration

    config = T5Config(vocab_size=400, d_model=32, d_kv=8, d_ff=64, num_layers=1, num_heads=4)
    config.decoder_start_token_id = 0
    T5ForConditionalGeneration(config).save_pretrained(tmp_path)
    bpe_tokenizer().save_pretrained(tmp_path)
    plain = load(tmp_path).identity.without_path()
    edit_json(tmp_path / "generation_config.json", decoder_start_token_id=7)
    assert load(tmp_path).identity.without_path() == plain | {"start": 7}, "another start makes other replies"
    edit_json(tmp_path / "generation_config.json", decoder_start_token_id=9_000)
    with pytest.raises(
        UserError, match=r"decoder_start_token_id of .* is 9000, which its embedding of 400 tokens lacks"
    ):
        load(tmp_path)
