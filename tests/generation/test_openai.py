"""The openai engine against a local HTTP server."""

from __future__ import annotations

import dataclasses
import json
import threading
import time
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

import pytest

from dialoeval.config import DecodingConfig, EngineConfig, ModelConfig
from dialoeval.data import Example
from dialoeval.errors import UserError
from dialoeval.generation import open_generator

EXAMPLES = [Example(str(i), ("hello", f"turn {i}")) for i in range(6)]
GREEDY = DecodingConfig(name="greedy", strategy="greedy")


class Server(ThreadingHTTPServer):
    """A server that replies with the last message in capitals, after the planned failures."""

    def __init__(self) -> None:
        super().__init__(("127.0.0.1", 0), Handler)
        self.failures: list[tuple[int, dict[str, str], bytes]] = []
        self.seen: list[dict] = []
        self.lock = threading.Lock()
        self.choices = 99  # maximum per response
        self.refused: str | None = None  # last message that gets a 401
        self.seconds = 0.0  # duration of every other response
        self.logprobs: list[list[float]] | None = None  # of each choice's tokens


class Handler(BaseHTTPRequestHandler):
    def do_POST(self):
        body = json.loads(self.rfile.read(int(self.headers["Content-Length"])))
        with self.server.lock:
            self.server.seen.append({"path": self.path, "key": self.headers.get("Authorization"), **body})
            failure = self.server.failures.pop(0) if self.server.failures else None
        text = body["messages"][-1]["content"].upper()
        if self.server.refused and text == self.server.refused.upper():
            failure = (401, {}, b"no")
        else:
            time.sleep(self.server.seconds)
        count = min(body["n"], self.server.choices)
        choices = [{"message": {"content": f"{text}!" * i or text}, "finish_reason": "stop"} for i in range(count)]
        if body.get("logprobs"):
            for i, choice in enumerate(choices):
                values = self.server.logprobs[i] if self.server.logprobs else [-0.5 - i, -1.0]
                choice["logprobs"] = {"content": [{"token": "a", "logprob": value} for value in values]}
        answer = {"choices": choices, "usage": {"completion_tokens": 2}}
        status, headers, data = failure or (200, {}, json.dumps(answer).encode())
        self.send_response(status)
        for name, value in headers.items():
            self.send_header(name, value)
        if "Content-Length" not in headers:
            self.send_header("Content-Length", str(len(data)))
        self.end_headers()
        self.wfile.write(data)

    def log_message(self, *arguments):
        pass


@pytest.fixture
def server():
    with Server() as running:
        thread = threading.Thread(target=running.serve_forever, daemon=True)
        thread.start()
        yield running
        running.shutdown()


def generator(server, **engine):
    url = f"http://127.0.0.1:{server.server_port}/v1"
    model = ModelConfig(name="m", path="some-model", system_prompt="Be brief.")
    return open_generator(model, EngineConfig(**{"name": "openai", "base_url": url, **engine}), GREEDY)


def test_replies_roles_and_key(server, monkeypatch):
    monkeypatch.setenv("MY_KEY", "secret")
    reply_generator = generator(server, api_key_env="MY_KEY")
    replies = {reply.id: reply for reply in reply_generator.reply(EXAMPLES, GREEDY, 0)}
    assert {name: reply.text for name, reply in replies.items()} == {str(i): f"TURN {i}" for i in range(6)}
    assert replies["0"].finish == "stop" and replies["0"].tokens == 2
    request = server.seen[0]
    assert request["path"] == "/v1/chat/completions" and request["key"] == "Bearer secret"
    assert [message["role"] for message in request["messages"]] == ["system", "assistant", "user"]
    assert request["temperature"] == 0.0 and "seed" not in request
    assert "secret" not in json.dumps([reply_generator.identity(), reply_generator.describe().to_json()])


def test_failures_are_tried_again(server):
    now = {"Retry-After": "0"}
    server.failures = [(429, now, b"slow down"), (500, now, b""), (200, {}, b"{not json")]
    reply_generator = generator(server, concurrency=1)
    assert len(list(reply_generator.reply(EXAMPLES[:2], GREEDY, 0))) == 2
    assert reply_generator.describe().accounting == {"requests": 5, "retried": 3}


@pytest.mark.parametrize(
    ("failure", "message"),
    [
        ((401, {}, b"no key"), "OPENAI_API_KEY"),
        ((400, {}, b"unknown model"), "unknown model"),
        ((200, {}, b'{"choices": []}'), "not a chat completion"),
    ],
)
def test_what_cannot_be_mended_is_one_clear_error(server, failure, message):
    server.failures = [failure]
    with pytest.raises(UserError, match=message):
        list(generator(server, concurrency=1, retries=0).reply(EXAMPLES[:1], GREEDY, 0))


def test_a_redirect_never_carries_the_key_away(server, monkeypatch):
    monkeypatch.setenv("OPENAI_API_KEY", "secret")
    server.failures = [(302, {"Location": f"http://127.0.0.1:{server.server_port}/elsewhere"}, b"moved, secret")]
    with pytest.raises(UserError, match="HTTP 302") as raised:
        list(generator(server, concurrency=1).reply(EXAMPLES[:1], GREEDY, 0))
    assert "secret" not in str(raised.value) and [seen["path"] for seen in server.seen] == ["/v1/chat/completions"]
    with pytest.raises(UserError, match="not contain a password"):
        generator(server, base_url="http://me:secret@127.0.0.1:9/v1")


def test_broken_answers_are_tried_again(server):
    short = {"Retry-After": "0"}
    server.failures = [(200, short, b"\xff\xfe"), (502, short, b"")]
    reply_generator = generator(server, concurrency=1)
    assert len(list(reply_generator.reply(EXAMPLES[:1], GREEDY, 0))) == 1
    assert reply_generator.describe().accounting["retried"] == 2


def test_turns_left_out_are_counted(server):
    url = f"http://127.0.0.1:{server.server_port}/v1"
    model = ModelConfig(name="m", path="some-model", max_turns=1)
    reply_generator = open_generator(model, EngineConfig(name="openai", base_url=url), GREEDY)
    (reply,) = reply_generator.reply(EXAMPLES[:1], GREEDY, 0)
    assert reply.dropped_turns == 1 and len(server.seen[0]["messages"]) == 1


def test_a_server_that_is_not_there(server):
    reply_generator = generator(server, base_url="http://127.0.0.1:9/v1", retries=0)
    with pytest.raises(UserError, match="no answer after 1 tries"):
        list(reply_generator.reply(EXAMPLES[:1], GREEDY, 0))


MMI = DecodingConfig(name="mmi", strategy="sample", num_candidates=5, rerank="mmi")


def reranked(server, decoding, **engine):
    url = f"http://127.0.0.1:{server.server_port}/v1"
    model = ModelConfig(name="m", path="some-model", backward="tiny-backward")
    reply_generator = open_generator(model, EngineConfig(**{"name": "openai", "base_url": url, **engine}), decoding)
    return reply_generator, {reply.id: reply for reply in reply_generator.reply(EXAMPLES[:2], decoding, 7)}


def test_candidates_of_a_server_are_reranked_here(server):
    reply_generator, replies = reranked(server, MMI)
    for reply in replies.values():
        assert len(reply.candidates) == 5 and all(c.backward_logprob < 0 for c in reply.candidates)
        assert reply.text == max(reply.candidates, key=lambda c: c.score).text
    assert {request["n"] for request in server.seen} == {5} and "logprobs" not in server.seen[0]
    assert reply_generator.identity()["reranker"]["kind"] == "mmi"


def test_a_server_that_gives_one_choice_at_a_time_is_asked_again(server):
    server.choices = 2
    _, replies = reranked(server, MMI, concurrency=1)
    assert [len(reply.candidates) for reply in replies.values()] == [5, 5]
    assert [request["n"] for request in server.seen] == [5, 3, 1] * 2
    seeds = [request["seed"] for request in server.seen]
    assert len(set(seeds)) == 6  # otherwise candidates would repeat


def test_forward_log_probabilities_are_asked_for_where_they_count(server):
    half = dataclasses.replace(MMI, mmi_lambda=0.5)
    _, replies = reranked(server, half)
    assert all(request["logprobs"] for request in server.seen)
    assert [c.logprob for c in replies["0"].candidates] == [-1.5, -2.5, -3.5, -4.5, -5.5]
    assert all(c.tokens == 2 for c in replies["0"].candidates)


def test_a_context_that_is_too_long_loses_its_oldest_turns(server):
    too_long = (400, {}, b'{"error": {"code": "context_length_exceeded", "message": "too many tokens"}}')
    server.failures = [too_long]
    reply_generator = generator(server, concurrency=1)
    replies = {reply.id: reply for reply in reply_generator.reply(EXAMPLES[:2], GREEDY, 0)}
    assert [replies[name].dropped_turns for name in ("0", "1")] == [1, 0]
    assert [message["role"] for message in server.seen[1]["messages"]] == ["system", "user"]
    server.failures = [too_long, too_long]
    with pytest.raises(UserError, match="the last turn of example 0 alone is too long"):
        list(reply_generator.reply(EXAMPLES[:1], GREEDY, 0))


def test_a_mean_log_probability_is_over_the_tokens_that_it_sums(server):
    """Servers leave the end token out of the log-probabilities: counting it would favour short replies."""
    server.logprobs = [[-1.0], [-0.8] * 20]
    forward = DecodingConfig(name="mmi", strategy="sample", num_candidates=2, rerank="mmi", mmi_lambda=0.0)
    _, replies = reranked(server, forward)
    assert [candidate.score for candidate in replies["0"].candidates] == [-1.0, -0.8]
    server.logprobs = [[float("-inf")]] * 2
    with pytest.raises(UserError, match="log-probability that is not finite"):
        reranked(server, forward, retries=0)


@pytest.mark.parametrize("status", [400, 500])
def test_a_server_that_refuses_several_choices_is_asked_for_one_at_a_time(server, status):
    server.failures = [(status, {"Retry-After": "0"}, b'{"error": "Only one completion choice is allowed"}')]
    _, replies = reranked(server, MMI, concurrency=1)
    assert [len(reply.candidates) for reply in replies.values()] == [5, 5]
    assert [request["n"] for request in server.seen] == [5, *[1] * 10]


@pytest.mark.parametrize(
    "words",
    [
        "This model's maximum context length is 256 tokens. However, your prompt contains at least 257 input tokens",
        "You passed 300 input tokens and requested 64 output tokens. However, the model's context length is only 256 "
        "tokens, resulting in a maximum input length of 192 tokens.",
    ],
)
def test_the_words_of_servers_for_too_long(server, words):
    server.failures = [(400, {}, json.dumps({"error": {"padding": "x" * 400, "message": words}}).encode())]
    (reply,) = generator(server, concurrency=1).reply(EXAMPLES[:1], GREEDY, 0)
    assert reply.dropped_turns == 1


@pytest.mark.parametrize("key", ["sk-secret-123", "sk-secret-123\r\n"])
def test_no_error_shows_the_key(server, monkeypatch, key):
    monkeypatch.setenv("OPENAI_API_KEY", key)
    body = b'{"error": "' + b"x" * 280 + b' bad key Bearer sk-secret-123"}'
    for failure in ((401, {}, body), (200, {}, body), (500, {}, body)):
        server.failures = [failure]
        with pytest.raises(UserError) as raised:
            list(generator(server, concurrency=1, retries=0).reply(EXAMPLES[:1], GREEDY, 0))
        assert "secret" not in str(raised.value)
    assert server.seen[-1]["key"] == "Bearer sk-secret-123"


@pytest.mark.parametrize("refused", ["turn 0", "turn 1"])
def test_after_an_error_nothing_new_is_sent(server, refused):
    """The first failure stops all requests, whether its result is read next or later."""
    server.choices, server.refused, server.seconds = 1, refused, 0.01
    with pytest.raises(UserError, match="HTTP 401"):
        reranked(server, dataclasses.replace(MMI, num_candidates=200), concurrency=2)
    assert len(server.seen) < 50  # of 400


def test_an_error_stops_requests_that_wait_for_another_try(server):
    busy = (429, {"Retry-After": "60"}, b"slow down")
    server.failures, server.refused = [busy], "turn 1"
    started = time.monotonic()
    with pytest.raises(UserError, match="HTTP 401"):
        list(generator(server, concurrency=2).reply(EXAMPLES[:2], GREEDY, 0))
    assert time.monotonic() - started < 30


def test_a_generator_can_be_used_again_after_an_error(server):
    reply_generator = generator(server, concurrency=2)
    server.failures = [(401, {}, b"no")]
    with pytest.raises(UserError, match="HTTP 401"):
        list(reply_generator.reply(EXAMPLES, GREEDY, 0))
    assert len(list(reply_generator.reply(EXAMPLES, GREEDY, 0))) == len(EXAMPLES)


def test_no_request_waits_for_its_turn_after_an_error(server):
    slow = generator(server, concurrency=2, requests_per_minute=1)
    server.failures = [(401, {}, b"no")]
    started = time.monotonic()
    with pytest.raises(UserError, match="HTTP 401"):
        list(slow.reply(EXAMPLES, GREEDY, 0))
    assert time.monotonic() - started < 30  # less than the 60 s wait of the second request


def test_a_refusal_that_breaks_off_is_tried_again(server):
    server.failures = [(500, {"Retry-After": "0", "Content-Length": "5000"}, b"oh no")]
    assert len(list(generator(server, concurrency=1).reply(EXAMPLES[:1], GREEDY, 0))) == 1


@pytest.mark.parametrize("url", ["http://[abc", "ftp://host/v1", "http://", "localhost:8000/v1", "http://host:port/v1"])
def test_what_is_no_address(url):
    with pytest.raises(UserError, match="is not an http"):
        open_generator(ModelConfig(name="m", path="m"), EngineConfig(name="openai", base_url=url), GREEDY)


def test_settings_that_the_protocol_has_no_words_for():
    engine = EngineConfig(name="openai", base_url="http://127.0.0.1:9/v1")
    for settings in ({"top_k": 10, "strategy": "sample"}, {"strategy": "beam", "num_beams": 4}):
        with pytest.raises(UserError, match="engine=openai"):
            open_generator(ModelConfig(name="m", path="m"), engine, DecodingConfig(**{"name": "x", **settings}))
    with pytest.raises(UserError, match="base_url"):
        open_generator(ModelConfig(name="m", path="m"), EngineConfig(name="openai"), GREEDY)
