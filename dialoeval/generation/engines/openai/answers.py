"""Answers of servers with the OpenAI chat-completions protocol: what each one means, and its candidates."""

from __future__ import annotations

import json
import math
import re
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from typing import Any

from dialoeval.generation.stopping import first, settled
from dialoeval.generation.types import Candidate

# Error texts for a context that exceeds the context length: OpenAI's code; vLLM, older and newer; llama.cpp.
_TOO_LONG = (
    "context_length_exceeded",
    "maximum context length",
    "maximum input length",
    "exceed_context_size",
    "exceeds the available context",
)
# Error texts of servers that return only one choice per request.
_ONE_CHOICE = re.compile(r"one completion choice|\bn\b\W+(must be|should be|only supports) 1\b", re.IGNORECASE)
# Error codes and texts of content filters: OpenAI, Azure, OpenRouter, Google, Alibaba.
_REFUSAL = re.compile(
    r"content[_ ]?(filter|policy|management policy)|ResponsibleAIPolicyViolation|moderation|safety_|invalid_prompt|"
    r"prohibited_content|data_inspection_failed|flagged",
    re.IGNORECASE,
)
# Error codes and texts that concern every request.
_EVERY_REQUEST = re.compile(
    r"model_not_found|invalid_api_key|unsupported_(parameter|value)|unknown_parameter|unrecognized request argument|"
    r"extra_forbidden",
    re.IGNORECASE,
)
_NEEDS_STREAM = re.compile(
    r"only support\w* stream|stream\W.{0,40}(required|must|only)|(enable|set|use).{0,20}stream", re.IGNORECASE
)
_OPTIONAL = ("max_tokens", "temperature", "top_p", "top_logprobs", "logprobs")  # fields that some models refuse
_PASSING = (408, 409, 425, 429)
_LENGTH = {"max_tokens": "length", "model_length": "length"}  # finish reasons of other names
_REASONING = re.compile(r"\s*<think>(.*?)(?:</think>|\Z)|(.*?)</think>", re.DOTALL)


class Fault(Exception):
    """The request failed for a reason that may pass."""


class Rejected(Exception):
    """The server rejects the request, perhaps for its context."""


class RejectsAll(Exception):
    """The server rejects the request for a reason that concerns every request."""


class Refused(Exception):
    """The server refuses to reply to this context."""


class ContextTooLong(Exception):
    """The conversation exceeds the context length of the server's model."""


class OneChoice(Exception):
    """The server returns only one choice per request, and the request was for more."""


class Unsupported(Exception):
    """The server does not take a field of the request, or takes only streams.

    Attributes:
        field: the field; "stream" for a server that takes only streams.
    """

    def __init__(self, field: str, reason: str) -> None:
        super().__init__(reason)
        self.field = field


@dataclass(frozen=True)
class Answer:
    """An HTTP response.

    Attributes:
        stream: whether the text is a stream of events.
    """

    status: int
    text: str
    stream: bool = False


def candidates(answer: Answer, body: dict[str, Any]) -> list[Candidate]:
    """Return the candidates of an answer, at least one.

    Args:
        answer: the server's.
        body: the request.

    Raises:
        Fault, Rejected, RejectsAll, Refused, ContextTooLong, OneChoice, Unsupported: it has none.
    """
    if answer.status >= 300:
        raise _error(answer.status, answer.text, body)
    try:
        completion = _joined(answer.text) if answer.stream else json.loads(answer.text)
    except (ValueError, TypeError, AttributeError) as error:
        raise Fault(f"{type(error).__name__}: {error}") from None
    try:
        if completion.get("error") and not completion.get("choices"):
            code = _error_object(answer.text).get("code")
            status = code if type(code) is int and 400 <= code < 600 else 400
            raise _error(status, answer.text, body, passing=status != code)
        found = [_candidate(choice, body.get("stop", [])) for choice in completion["choices"]]
        count = (completion.get("usage") or {}).get("completion_tokens")  # the sum over all choices
        if count and len(found) == 1 and found[0].logprob is None and found[0].refusal is None:
            found[0] = replace(found[0], tokens=int(count))
        problem = "no choices"
    except (KeyError, IndexError, TypeError, ValueError, AttributeError) as error:
        found, problem = [], f"{type(error).__name__}: {error}"
    if not found:
        raise Fault(f"the response is not a chat completion ({problem}): {answer.text}")
    return found


def _error(status: int, text: str, body: dict[str, Any], passing: bool = False) -> Exception:
    """Return the exception for an error response.

    Args:
        status: of HTTP.
        text: the response.
        body: the request.
        passing: whether an error that nothing else is known of may pass.
    """
    reason = f"HTTP {status}: {text[:300]}"
    if status in (400, 413, 422) and any(sign in text for sign in _TOO_LONG):
        return ContextTooLong(reason)
    if body["n"] > 1 and _ONE_CHOICE.search(text):
        return OneChoice(reason)
    if status in (400, 403, 422, 451) and _REFUSAL.search(text):
        return Refused(f"{_code(text) or 'content filter'}: {_message(text)}")
    if status in (400, 422):
        if "stream" not in body and _NEEDS_STREAM.search(text):
            return Unsupported("stream", reason)
        for field in _OPTIONAL:
            if field in body and _refuses(field, text):
                return Unsupported(field, reason)
        if _EVERY_REQUEST.search(text):
            return RejectsAll(reason)
    if passing or status in _PASSING or status >= 500:
        return Fault(reason)
    return Rejected(reason) if status in (400, 413, 422) else RejectsAll(reason)


def _refuses(field: str, text: str) -> bool:
    """Return whether an error text says that the server does not take a field."""
    return _error_object(text).get("param") == field or bool(
        re.search(
            rf"\bun(supported|recognized|known)\b.{{0,40}}\b{field}\b|"
            rf"\b{field}\b\W{{1,4}}(is |does )?(unsupported|not (support|permitted|allowed))",
            text,
            re.IGNORECASE,
        )
    )


def _error_object(text: str) -> dict[str, Any]:
    try:
        error = json.loads(text)["error"]
    except (ValueError, KeyError, TypeError):
        return {}
    return error if isinstance(error, dict) else {"message": error}


def _code(text: str) -> str:
    return str(_error_object(text).get("code") or "")


def _message(text: str) -> str:
    return " ".join(str(_error_object(text).get("message") or text).split())[:300]


def _candidate(choice: dict[str, Any], stop: Sequence[str]) -> Candidate:
    """Return the candidate of one choice; without log-probabilities its number of tokens is its number of words.

    Its text is cut before the first stop text, which some servers ignore or keep.
    """
    if choice.get("error") or choice.get("finish_reason") == "error":
        raise ValueError("a choice with an error")
    message = choice["message"]
    finish = str(choice.get("finish_reason") or "stop")
    finish = _LENGTH.get(finish, finish)
    refusal = message.get("refusal") or ("the server's content filter" if finish == "content_filter" else None)
    if refusal:
        return replace(Candidate.of("", 0, None, finish), refusal=" ".join(str(refusal).split()))
    text, reasoning = _without_reasoning(_text(message["content"]))
    if (place := first(text, stop)) >= 0:
        text, finish = text[:place], "stop"
    reasoning = message.get("reasoning_content") or message.get("reasoning") or reasoning
    reasoning = reasoning.strip() if isinstance(reasoning, str) else None
    steps = (choice.get("logprobs") or {}).get("content")
    if steps is None:
        return replace(Candidate.of(text, len(text.split()), None, finish), reasoning=reasoning or None)
    logprob = sum(float(step["logprob"]) for step in steps)
    if not math.isfinite(logprob):
        raise ValueError("a log-probability that is not finite")
    top = {str(one["token"]): float(one["logprob"]) for one in (steps[0].get("top_logprobs") or [])} if steps else {}
    candidate = Candidate.of(text, len(steps), logprob, finish, len(steps))
    return replace(candidate, reasoning=reasoning or None, first_token=top or None)


def _text(content: Any) -> str:
    """Return the text of a message's content, which may be a list of parts."""
    if isinstance(content, list):
        return "".join(part["text"] for part in content if part.get("type") == "text")
    if content is not None and not isinstance(content, str):
        raise TypeError("the content of a message must be text")
    return content or ""


def _without_reasoning(text: str) -> tuple[str, str | None]:
    """Return (reply, reasoning) of a text that begins with ``<think>...</think>``.

    The prompt may contain the first mark, and a reply that is cut may lack the last one.
    """
    found = _REASONING.match(text)
    if found is None:
        return text, None
    return text[found.end() :], found[1] if found[1] is not None else found[2]


def so_far(text: str, stop: Sequence[str]) -> str:
    """Return the reply in a stream of events that has not ended: what of it stays, without reasoning."""
    parts = [part for event in _events(text) for part in event.get("choices") or []]
    said = "".join((part.get("delta") or {}).get("content") or "" for part in parts)
    if "<think>".startswith(said.lstrip()[: len("<think>")]):  # reasoning, or what may become it
        said = _without_reasoning(said)[0] if said.lstrip().startswith("<think>") else ""
    return settled(said, stop)


def _joined(text: str) -> dict[str, Any]:
    """Return the completion of a stream of events.

    Raises:
        ValueError: the stream breaks off.
    """
    choices: dict[int, dict[str, Any]] = {}
    whole: dict[str, Any] = {}
    for event in _events(text):
        if event.get("error"):
            return {"error": event["error"]}
        whole["usage"] = event.get("usage") or whole.get("usage")
        for part in event.get("choices") or []:
            choice = choices.setdefault(part.get("index", 0), {"message": {"content": ""}, "finish_reason": None})
            for name, value in (part.get("delta") or {}).items():
                if isinstance(value, str) and name != "role":
                    choice["message"][name] = (choice["message"].get(name) or "") + value
            choice["finish_reason"] = part.get("finish_reason") or choice["finish_reason"]
            if (part.get("logprobs") or {}).get("content"):
                choice.setdefault("logprobs", {"content": []})["content"] += part["logprobs"]["content"]
    if any(choice["finish_reason"] is None for choice in choices.values()):
        raise ValueError("the stream of events breaks off")
    return whole | {"choices": [choices[index] for index in sorted(choices)]}


def _events(text: str) -> Iterator[dict[str, Any]]:
    for line in text.splitlines():
        if line.startswith("data:") and (data := line[5:].strip()) != "[DONE]":
            yield json.loads(data)
