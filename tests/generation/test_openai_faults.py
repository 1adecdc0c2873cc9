"""What servers do besides replying: refusals, faults that pass, other dialects, reasoning, and answers kept on disk."""

from __future__ import annotations

import json

import pytest
from support.chat_server import CUT, RESET, answer, completion, error, running

from dialoeval.config import DecodingConfig, EngineConfig, ModelConfig
from dialoeval.data import Example
from dialoeval.errors import UserError
from dialoeval.generation import open_generator

GREEDY = DecodingConfig(name="greedy", strategy="greedy")
FILTERED = error(400, "The response was filtered", code="content_filter")


@pytest.fixture
def server():
    with running() as started:
        yield started


def examples(count):
    return [Example(str(i), ("hello", f"turn {i}")) for i in range(count)]


def opened(server, decoding=GREEDY, template_args=None, **engine):
    model = ModelConfig(name="m", path="some-model", template_args=template_args or {})
    settings = {"name": "openai", "base_url": server.url, "concurrency": 4, "retries": 3, **engine}
    return open_generator(model, EngineConfig(**settings), decoding)


def ask(server, count=1, decoding=GREEDY, file=None, **engine):
    generator = opened(server, decoding, **engine)
    if file is not None:
        generator.keep_answers(file)
    replies = {reply.id: reply for reply in generator.reply(examples(count), decoding, 0)}
    generator.close()
    return replies


def only(text, response):
    return lambda body, before: response if body["messages"][-1]["content"] == text else None


REFUSALS = {
    "400 content_filter": (FILTERED, "content_filter: The response was filtered"),
    "finish_reason": (completion("half a", "content_filter"), "the server's content filter"),
    "refusal field": (completion(None, "stop", refusal="I can't\nhelp."), "I can't help."),
    "400 for one context": (error(400, "messages.1: invalid"), "invalid"),
    "403 moderation": (error(403, "flagged by moderation"), "flagged"),
}


@pytest.mark.parametrize("name", REFUSALS)
@pytest.mark.parametrize("poisoned", [0, 23])
def test_a_poisoned_context_among_40(server, tmp_path, name, poisoned):
    response, reason = REFUSALS[name]
    server.plan = only(f"turn {poisoned}", response)
    replies = ask(server, 40, file=tmp_path / "answers")
    assert len(replies) == 40
    refused = replies.pop(str(poisoned))
    assert refused.text == "" and refused.tokens == 0 and reason in refused.refusal
    assert all(reply.text == f"TURN {i}" and reply.refusal is None for i, reply in replies.items())
    assert set(server.asked.values()) == {1}
    again = ask(server, 40, file=tmp_path / "answers")
    assert again == replies | {str(poisoned): refused} and set(server.asked.values()) == {1}


@pytest.mark.parametrize("name", REFUSALS)
def test_a_refusal_stops_if_asked(server, name):
    server.plan = only("turn 2", REFUSALS[name][0])
    with pytest.raises(UserError, match=r"refuses example 2.*on_refusal=record"):
        ask(server, 4, concurrency=1, on_refusal="stop")


@pytest.mark.parametrize(
    "response",
    [
        error(404, "no such model", code="model_not_found"),
        error(400, "no such model", code="model_not_found"),
        error(400, "all of it is wrong"),
        error(401, "who are you"),
    ],
)
def test_what_concerns_every_request_stops_soon(server, response):
    server.plan = lambda body, before: response
    with pytest.raises(UserError, match="rejects the request: HTTP 40"):
        ask(server, 40, concurrency=2)
    assert len(server.bodies) <= 5


FAULTS = {
    "no choices": answer({"choices": []}),
    "no choices at all": answer({"id": "x"}),
    "null choices": answer({"choices": None}),
    "a list": answer([1]),
    "error inside 200": answer({"error": {"message": "overloaded", "code": 502}}),
    "error inside 200, text": answer({"error": "overloaded"}),
    "error inside a choice": answer({"choices": [{"error": {"code": 502}, "finish_reason": "error"}]}),
    "invalid JSON": (200, {}, b'{"choices": [{"mess'),
    "not UTF-8": (200, {}, b"\xff\xfe"),
    "reset": RESET,
    "cut": CUT,
    **{str(status): error(status, "later") for status in (408, 409, 425, 429, 500, 502, 503, 504, 529)},
}


@pytest.mark.parametrize("name", FAULTS)
def test_a_fault_that_passes(server, name):
    server.plan = lambda body, before: FAULTS[name] if before == 0 else None
    replies = ask(server)
    assert replies["0"].text == "TURN 0" and server.asked["turn 0"] == 2


@pytest.mark.parametrize("name", ["no choices", "error inside 200", "reset", "503"])
def test_tries_are_bounded(server, name):
    server.plan = lambda body, before: FAULTS[name]
    with pytest.raises(UserError, match="no answer after 2 tries"):
        ask(server, retries=1)
    assert server.asked["turn 0"] == 2


def test_finish_reasons_are_kept(server):
    reasons = {"turn 0": "stop", "turn 1": "length", "turn 2": "tool_calls", "turn 3": "max_tokens"}
    server.plan = lambda body, before: completion("x", reasons[body["messages"][-1]["content"]])
    assert [reply.finish for _, reply in sorted(ask(server, 4).items())] == ["stop", "length", "tool_calls", "length"]


def test_max_completion_tokens_is_switched_to_once(server):
    def plan(body, before):
        if "max_tokens" in body:
            words = "Unsupported parameter: 'max_tokens' is not supported with this model. Use 'max_completion_tokens'."
            return error(400, words, param="max_tokens", code="unsupported_parameter")
        return None

    server.plan = plan
    assert len(ask(server, 6, concurrency=1)) == 6
    assert ["max_tokens" in body for body in server.bodies] == [True, *[False] * 6]
    assert server.bodies[-1]["max_completion_tokens"] == 64


def test_a_refused_temperature_is_omitted(server):
    def plan(body, before):
        words = "Unsupported value: 'temperature' does not support 0.0 with this model."
        return error(400, words, param="temperature", code="unsupported_value") if "temperature" in body else None

    server.plan = plan
    assert len(ask(server, 6, concurrency=1)) == 6
    assert ["temperature" in body for body in server.bodies] == [True, *[False] * 6]


def test_fields_of_a_request(server):
    generator = opened(server, omit=["seed"], extra_body={"min_p": 0.1}, template_args={"enable_thinking": False})
    list(generator.reply(examples(1), GREEDY, 0))
    (body,) = server.bodies
    assert body["min_p"] == 0.1 and body["chat_template_kwargs"] == {"enable_thinking": False}
    identity = generator.identity()
    assert identity["extra_body"] == {"min_p": 0.1} and identity["prompt"]["template_args"] == {
        "enable_thinking": False
    }
    assert not {"extra_body", "omit"} & opened(server).identity().keys()
    with pytest.raises(UserError, match=r"engine\.extra_body\.temperature"):
        EngineConfig(extra_body={"temperature": 1})
    with pytest.raises(UserError, match=r"engine\.omit"):
        EngineConfig(omit=["messages"])
    with pytest.raises(UserError, match="set the same"):
        opened(server, extra_body={"chat_template_kwargs": {}}, template_args={"enable_thinking": False})


@pytest.mark.parametrize(
    "response",
    [
        completion("yes", reasoning_content="Let me think."),
        completion("yes", reasoning="Let me think."),
        completion("<think>\nLet me think.\n</think>\n\nyes"),
        completion("Let me think.\n</think>\n\nyes"),
    ],
)
def test_reasoning_is_kept_apart(server, response):
    server.plan = lambda body, before: response
    reply = ask(server)["0"]
    assert reply.text == "yes" and reply.reasoning == "Let me think."


def test_reasoning_that_never_ends_leaves_no_reply(server):
    server.plan = lambda body, before: completion("<think>and so on", "length")
    reply = ask(server)["0"]
    assert (reply.text, reply.reasoning, reply.finish) == ("", "and so on", "length")


def test_a_server_that_only_streams(server):
    parts = [
        {"choices": [{"index": 0, "delta": {"role": "assistant", "content": text}, "finish_reason": end}]}
        for text, end in (("yes", None), (" it is", "stop"))
    ]
    events = "".join(f"data: {json.dumps(part)}\n\n" for part in parts) + "data: [DONE]\n\n"
    broken = f"data: {json.dumps(parts[0])}\n\n"

    def plan(body, before):
        if "stream" not in body:
            return error(400, "This model only supports streaming: set stream=true")
        return 200, {"Content-Type": "text/event-stream"}, (broken if before == 1 else events).encode()

    server.plan = plan
    assert ask(server)["0"].text == "yes it is" and len(server.bodies) == 3


def test_stop_texts(server):
    server.plan = lambda body, before: completion("one\ntwo", "length")
    decoding = DecodingConfig(name="g", strategy="greedy", stop=["\n"])
    reply = ask(server, decoding=decoding)["0"]
    assert (reply.text, reply.finish) == ("one", "stop") and server.bodies[0]["stop"] == ["\n"]
    with pytest.raises(UserError, match="end_tokens"):
        opened(server, DecodingConfig(name="g", strategy="greedy", end_tokens=[3]))


def test_a_half_written_answer_is_asked_for_again(server, tmp_path):
    file = tmp_path / "answers"
    first = ask(server, 3, file=file, concurrency=1)
    file.write_bytes(file.read_bytes()[:-5])
    assert ask(server, 3, file=file, concurrency=1) == first
    assert sorted(server.asked.values()) == [1, 1, 2]
    lines = file.read_bytes().split(b"\n")
    file.write_bytes(b"\n".join([b"{", *lines[1:]]))
    with pytest.raises(UserError, match="line 1: damaged"):
        ask(server, 3, file=file)


def test_another_request_is_another_answer(server, tmp_path):
    ask(server, 2, file=tmp_path / "answers")
    ask(server, 2, file=tmp_path / "answers", decoding=DecodingConfig(name="g", strategy="greedy", max_new_tokens=7))
    assert set(server.asked.values()) == {2}
