"""What callers give to the metrics: used as it is meant, or refused with its place; nothing is read and dropped."""

from __future__ import annotations

import enum
import io
import multiprocessing

import numpy as np
import pandas as pd
import pytest
from hypothesis import given
from hypothesis import strategies as st

import dialoeval
from dialoeval import metrics
from dialoeval.errors import UserError
from dialoeval.metrics import meteor15
from dialoeval.metrics.inputs import context_lists, paired_inputs
from dialoeval.metrics.registry import compute

REPLIES = ["a b c d", "no way"]
REFERENCES = [["a b c e", "x"], ["no way at all", "never"]]


class Word(str, enum.Enum):  # noqa: UP042 - the older form is what is tested
    """A string enumeration, whose `str` is not its value."""

    YES = "yes"


def lists_of(kind):
    """The references as outer and inner lists of a kind, and the names of its inner kinds."""
    inner = {
        "tuple": tuple,
        "generator": lambda texts: (text for text in texts),
        "map": lambda texts: map(str, texts),
        "array": np.array,
        "objects": lambda texts: np.array(texts, object),
        "series": lambda texts: pd.Series(texts, index=range(5, 5 + len(texts))),
        "index": pd.Index,
        "strings": lambda texts: pd.Series(texts, dtype="string"),
        "values": lambda texts: dict(enumerate(texts)).values(),
        "characters": lambda texts: [np.str_(text) for text in texts],
        "arrow": lambda texts: pytest.importorskip("pyarrow").array(texts, "string"),
    }
    return inner[kind]


KINDS = [
    "tuple", "generator", "map", "array", "objects", "series", "index", "strings", "values", "characters", "arrow"
]  # fmt: skip


@given(st.lists(st.tuples(st.text(), st.lists(st.text(), max_size=3)), max_size=4), st.sampled_from(KINDS), st.data())
def test_what_is_taken_gives_back_the_texts_that_went_in(pairs, outer, data):
    if outer == "arrow":  # which holds no lone surrogates
        pairs = [(h.encode("utf-8", "replace").decode(), [r.encode("utf-8", "replace").decode() for r in refs])
                 for h, refs in pairs]  # fmt: skip
    pairs = [(h.rstrip("\0"), [r.rstrip("\0") for r in refs]) for h, refs in pairs]  # numpy's strings end there
    replies, references = [h for h, _ in pairs], [refs for _, refs in pairs]
    inner = data.draw(st.sampled_from(KINDS if outer != "arrow" else ["tuple"]))
    if inner == "arrow":
        inner = "objects"
    empty_as_text = [lists_of(inner)(refs) if refs else [] for refs in references]
    given_replies = lists_of(outer)(replies) if replies else []
    assert paired_inputs(given_replies, iter(empty_as_text)) == (replies, references)
    assert context_lists([lists_of(inner)(refs) if refs else [] for refs in references], len(replies)) == references


def functions():
    """Every function that takes replies and references."""
    return {
        "nist": metrics.nist,
        "bleu": metrics.bleu,
        "meteor": metrics.meteor,
        "score": lambda h, r: dialoeval.score(h, r, resamples=0).figures,
        "statistics": lambda h, r: [float(x[0]) for x in metrics.statistics(h, r, meteor=False).figures().values()],
        "rouge_l": lambda h, r: compute("rouge_l", h, r),
        "meteor15.corpus": meteor15.corpus,
        "meteor15.statistics": lambda h, r: meteor15.statistics(h, r).tolist(),
    }


@pytest.mark.parametrize("name", functions())
def test_every_function_reads_arrays_and_iterators_and_refuses_what_is_missing(name):
    function = functions()[name]
    expected = function(REPLIES, REFERENCES)
    assert function(REPLIES, [REFERENCES[0], map(str, REFERENCES[1])]) == expected
    assert function(iter(REPLIES), (iter(refs) for refs in REFERENCES)) == expected
    frame = pd.DataFrame({"reply": REPLIES, "references": [np.array(refs, object) for refs in REFERENCES]})
    assert function(frame["reply"], frame["references"]) == expected
    assert function(frame["reply"].to_numpy(), frame["references"].to_numpy()) == expected
    for references, place in (
        ([["a"], None], r"references\[1\] is not a list of strings but None"),
        ([["a"], np.array(["a", None], object)], r"references\[1\]\[1\] is None"),
        ([["a"], float("nan")], r"references\[1\] .* but NaN"),
        ([["a"], [pd.NA]], r"references\[1\]\[0\] is <NA>"),
        ([["a"], {"a": 1}], r"references\[1\] .* but dict"),
        ([["a"], {"a", "b"}], r"references\[1\] .* but set"),
        ([["a"], b"ab"], r"references\[1\] .* but bytes"),
        ([["a"], io.StringIO("a\nb\n")], r"references\[1\] .* but StringIO"),
        ([iter(["a"])] * 2, r"references\[1\] is the iterator of references\[0\]"),
    ):
        with pytest.raises(UserError, match=place):
            function(REPLIES, references)


def test_an_iterator_for_both_sides_is_refused():
    both = iter([["a"], ["b"]])
    with pytest.raises(UserError, match="the same iterator"):
        metrics.bleu(both, both)


def test_a_member_of_an_enumeration_is_its_value():
    assert metrics.bleu([Word.YES], [[Word.YES]]) == metrics.bleu(["yes"], [["yes"]])
    assert paired_inputs([Word.YES], [[Word.YES]]) == (["yes"], [["yes"]])


@pytest.mark.parametrize("method", ["fork", "spawn"])
def test_meteor_works_in_the_processes_of_a_pool(method):
    jobs = [(REPLIES, REFERENCES), (REPLIES[:1], REFERENCES[:1])]
    expected = [metrics.meteor(*job) for job in jobs]
    with multiprocessing.get_context(method).Pool(2) as pool:
        assert pool.starmap(metrics.meteor, jobs) == expected
        assert pool.starmap(meteor15.corpus, jobs) == expected
