"""Models whose replies may end with any of several tokens."""

from __future__ import annotations

import json

import pytest
from support.model_folders import EXAMPLES, GREEDY, load, open_model
from support.random_models import edit_json

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
