"""Signs that a file was read wrongly: each kind found where it is, and nothing where nothing is."""

from __future__ import annotations

import dataclasses
import json
import time
from collections import defaultdict

import pytest
from hypothesis import given
from hypothesis import strategies as st

from dialoeval.text.guards import MARKERS, Finding, check_examples, check_replies

PLAIN = [f"{word} thing number {i}" for i, word in enumerate(["this", "that", "any", "some", "no"] * 20)]
REFERENCES = [[f"a reference to {text}", f"yes , {text} ."] for text in PLAIN]
CONTEXTS = [["hello there", f"what about {text} ?"] for text in PLAIN]


def kinds(findings):
    return {finding.kind: finding for finding in findings}


def of_replies(replies):
    return kinds(check_replies(replies, REFERENCES[: len(replies)], CONTEXTS[: len(replies)], english_only=True))


def with_some(text, n):
    return [text] * n + PLAIN[n:]


def test_plain_texts_show_nothing():
    assert check_replies(PLAIN, REFERENCES, CONTEXTS, english_only=True) == ()
    assert check_replies(PLAIN, [[] for _ in PLAIN], None, english_only=True) == ()
    assert check_replies([], [], [], english_only=True) == ()


def test_real_replies_show_only_what_is_true(shared):
    lines = (shared / "dstc7" / "references.jsonl").read_text("utf-8").splitlines()
    references = {row["id"]: row["references"] for row in map(json.loads, lines)}
    systems = defaultdict(dict)
    for line in (shared / "dstc7" / "replies.jsonl").read_text("utf-8").splitlines():
        row = json.loads(line)
        systems[row["system"]][row["id"]] = row["reply"]
    for name, replies in systems.items():
        found = check_replies(list(replies.values()), [references[key] for key in replies], None, english_only=True)
        assert kinds(found).keys() == ({"equal_replies"} if name == "Constant" else set())
    human = (shared / "reddit6k" / "human.ref.6k.txt").read_text("utf-8").splitlines()
    assert check_replies(human, [[] for _ in human], None, english_only=True) == ()


def test_the_shipped_dialogues_show_nothing():
    from dialoeval import load_dataset

    examples = load_dataset("chitchat").examples
    assert check_examples([e.context for e in examples], [e.references for e in examples]) == ()


@pytest.mark.parametrize(
    ("kind", "text", "fewest"),
    [
        *(("markers", f"hello {marker} you", 1) for marker in MARKERS),
        ("separators", "hello EOS you", 1),
        ("separators", "START EOS", 1),
        ("separators", "you do </s>", 1),
        ("separators", "one [SEP] two", 1),
        ("weights", "1.0 i am fine", 1),
        ("weights", "0.0 hi", 1),
        *(
            ("speakers", f"{who} i am fine", 5)
            for who in ("User:", "A:", "Speaker 1:", "user :", "Ross Geller:", "bot:")
        ),
        ("structure", '{"text": "hi"}', 1),
        ("structure", '["hi", "ho"]', 1),
        ("structure", "hi\tho", 1),
        ("structure", "0.3|hello", 1),
        ("other_scripts", "今天天气很好", 5),
        ("other_scripts", "как дела", 5),
        ("other_scripts", "สวัสดีครับ ok", 5),
    ],
)
def test_signs_in_replies_references_and_contexts(kind, text, fewest):
    found = of_replies(with_some(text, fewest))
    finding = found[f"{kind}_in_replies"]
    assert found.keys() == {f"{kind}_in_replies"} and finding.blocking
    assert (finding.count, finding.total) == (fewest, 100)
    assert f"{fewest} of 100 replies" in finding.message and repr(text) in finding.message
    texts = with_some(text, 2 * fewest)
    assert kinds(check_examples(CONTEXTS, [[r] for r in texts])).keys() >= {f"{kind}_in_references"}
    if kind != "other_scripts":
        contexts = [["hello", turn] for turn in with_some(text, 2 * fewest + 5)]
        assert f"{kind}_in_contexts" in kinds(check_examples(contexts, REFERENCES))
    if fewest > 1:
        assert not of_replies(with_some(text, fewest - 1))


@pytest.mark.parametrize(
    "text",
    [
        "version 1.0 is out",
        "10.0 out of 10",
        "the answer is : no",
        "it costs 0.3 | 0.4",
        "an Eos camera",
        "[citation needed]",
        "{sighs}",
        "naïve café, señor — œuvre",
        "Việt Nam đẹp lắm",
        "🙂🙂🙂 ok",
        "𝓯𝓪𝓷𝓬𝔂",
        "see http://a.b/c",
        "__url__ , look",
        "12:30 is fine",
        "",
    ],
)
def test_ordinary_texts_are_not_signs(text):
    assert not {kind for kind in of_replies([text] * 99 + PLAIN[99:]) if kind.endswith("_in_replies")}


def test_rare_separators_and_names_are_ordinary():
    many = [f"{text} again {i}" for i in range(5) for text in PLAIN]
    for text in ("right </s>", "a Canon EOS 5D", "TIL: cats purr", "Мудак"):
        found = check_replies([text] * 4 + many[4:], [[] for _ in many], None, english_only=True)
        assert found == ()


def test_equal_replies():
    assert of_replies(["same"] * 2)["equal_replies"].message.startswith("all 2 replies are equal, 'same'")
    assert of_replies([""] * 3)["equal_replies"].blocking
    assert not of_replies(["same"]) and not of_replies(["same", "same", "other"])


def test_the_same_references_everywhere():
    found = kinds(check_examples(None, [["a", "b"], [], ["a", "b"]]))
    assert (found["equal_references"].count, found["equal_references"].blocking) == (2, True)
    assert not check_examples(None, [["a", "b"], ["b", "a"]]) and not check_examples(None, [["a"], []])
    assert not check_examples(None, [[], []])


def test_references_that_are_the_last_turn():
    turns = [list(context) for context in CONTEXTS]
    references = [[context[-1].upper() + " ", "other"] if i < 5 else REFERENCES[i] for i, context in enumerate(turns)]
    [finding] = check_examples(turns, references, ids=[f"d{i}" for i in range(100)])
    assert (finding.kind, finding.count, finding.blocking) == ("reference_is_last_turn", 5, True)
    assert "'what about this thing number 0 ?' (d0)" in finding.message
    assert not check_examples(turns, references[:4] + REFERENCES[4:])
    assert not check_examples(turns, [[context[0]] * 2 for context in turns[:1]] + REFERENCES[1:])  # not the last turn


def test_duplicate_examples():
    [finding] = check_examples([*CONTEXTS, CONTEXTS[3], CONTEXTS[4]], [*REFERENCES, REFERENCES[3], REFERENCES[4]])
    assert (finding.kind, finding.count, finding.total, finding.blocking) == ("duplicate_examples", 2, 102, False)
    assert not check_examples([*CONTEXTS, CONTEXTS[3], CONTEXTS[3]], [*REFERENCES, ["new"], ["newer"]])


def test_empty_contexts():
    [finding] = check_examples([[], ["", " "], *CONTEXTS[2:]], REFERENCES, ids=list(map(str, range(100))))
    assert (finding.kind, finding.count, finding.total, finding.blocking) == ("empty_contexts", 2, 100, True)
    assert "2 of 100 contexts are empty, the first is that of example 1 (0)" in finding.message
    many = [*CONTEXTS, *([f"turn {i}"] for i in range(100))]
    references = [*REFERENCES, *([f"own {i}"] for i in range(100))]
    assert not check_examples([[], *many[1:]], references)[0].blocking
    assert not check_examples(None, REFERENCES)


def test_other_scripts_only_where_a_metric_is_for_english():
    texts = ["今天天气很好" + str(i) for i in range(10)]
    assert check_replies(texts, [[text + "a"] for text in texts], None, english_only=False) == ()
    found = kinds(check_replies(texts, [[text + "a"] for text in texts], None, english_only=True))
    assert found.keys() == {"other_scripts_in_replies", "other_scripts_in_references"}
    assert "METEOR 1.5 is English; a sentence without spaces is one word" in found["other_scripts_in_replies"].message


TEXT = st.text(st.characters(codec=None, exclude_categories=()), max_size=20) | st.sampled_from(
    ["\ud800", "A: x", "\t"]
)


@given(st.lists(st.tuples(TEXT, st.lists(TEXT, max_size=2), st.lists(TEXT, max_size=2)), max_size=6))
def test_any_text_is_accepted_and_counted(rows):
    found = check_replies([r[0] for r in rows], [r[1] for r in rows], [r[2] for r in rows], english_only=True)
    assert len(kinds(found)) == len(found)
    for finding in found:
        assert 0 < finding.count <= finding.total and "\n" not in finding.message
        finding.message.encode()  # a lone surrogate is escaped
        assert Finding.from_json(json.loads(json.dumps(dataclasses.asdict(finding)))) == finding


@pytest.mark.parametrize(
    "change", [{"count": True}, {"kind": 1}, {"message": None}, {"blocking": 1}, {"total": "3"}, {"more": 1}]
)
def test_damaged_findings_are_none(change):
    whole = {"kind": "k", "count": 1, "total": 2, "message": "m", "blocking": True}
    assert Finding.from_json(whole) == Finding("k", 1, 2, "m", True)
    assert Finding.from_json(whole | change) is None
    assert Finding.from_json({"kind": "k"}) is None and Finding.from_json("k") is None


def test_a_hundred_thousand_replies_are_checked_at_once():
    replies = [f"{text} and {i}" for i in range(1000) for text in PLAIN]
    started = time.process_time()
    assert check_replies(replies, [[] for _ in replies], None, english_only=True) == ()
    assert time.process_time() - started < 2
