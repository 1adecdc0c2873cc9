"""Normalised Reddit text has NLTK's tokens, word by word from memory or whole."""

from __future__ import annotations

from hypothesis import given, settings
from hypothesis import strategies as st
from nltk.tokenize import TweetTokenizer

from dialoeval.corpus.normalise import Normaliser, marks, prepare
from tests.support.reddit import normal

NLTK = TweetTokenizer(preserve_case=True)
PIECES = st.sampled_from(
    [
        "555",
        "1234",
        "(800)",
        "1",
        "1.",
        "123)",
        ".",
        "..",
        "....",
        "http",
        "URL",
        "MENTION",
        "w/o",
        "w/ttp:a",
        ":)",
        "8",
        "8)",
        "D",
        "do:",
        "abc12",
        "foo.com",
        ".com",
        "a'b",
        "don't",
        "A.B",
        "3.5",
        "(",
        ")",
        "''",
        ",",
        "“",
        "”",
        "5551234",
        "__url__",
        "x",
        "YELL",
        "ING",
        "😀",
        "#x",
        "b/c",
        "\\",
        "_",
        "é",
        "\u2028",
    ]
)
TEXTS = st.one_of(
    st.text("aDpPoO8:;.,!?'()[]  0123 19“”_#w/hURLMENTIO\\😀\u2028\x00", max_size=40),
    st.lists(PIECES, max_size=12).map("".join),
    st.lists(PIECES, max_size=12).map(" ".join),
    st.text(max_size=30),
)
normaliser = Normaliser()


@settings(max_examples=1500, deadline=None)
@given(TEXTS)
def test_tokens_are_those_of_nltk(text):
    prepared = prepare(text)
    whole = " ".join(" ".join(NLTK.tokenize(prepared)).split())
    assert normaliser.turn(text) == (whole, marks(whole))
    assert whole == normal(text)


def test_memory_of_words_is_bounded(monkeypatch):
    monkeypatch.setattr("dialoeval.corpus.normalise._MOST_WORDS", 50)
    small = Normaliser()
    for number in range(300):
        assert small.turn(f"word{number} plain{'x' * number} 5551234")[0].startswith(f"word {number} plain")
        assert len(small.plain) + len(small.other) <= 50
