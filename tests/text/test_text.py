"""Cleaning and tokenizers, checked against NLTK and against what Perl's regular expressions do."""

from __future__ import annotations

import json

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from dialoeval.text import tweet
from dialoeval.text.clean import clean, clean_line
from dialoeval.text.mteval import tokenize_line, xml_line

LEFT_BY_CLEANING = st.one_of(
    st.text("abdpoct8017 :.,()'\"!?_nz", max_size=40),
    st.text("0158 .)(", max_size=40),
    st.text("a1. ", max_size=30),
    st.text("dp:8o'()", max_size=30),
    st.builds(
        "{}{}{}".format,
        st.text("ab1 ", max_size=5),
        st.sampled_from(["http:", "https:"]),
        st.text("ab1.()(),: ", max_size=15),
    ),
)


@pytest.fixture(scope="module")
def nltk_tokenizer():
    return pytest.importorskip("nltk.tokenize.casual").TweetTokenizer(preserve_case=False)


@pytest.mark.oracle
@settings(max_examples=3000, deadline=None)
@given(LEFT_BY_CLEANING)
def test_tweet_tokenizer_equals_nltks(nltk_tokenizer, text):
    assert tweet.tokenize(text) == nltk_tokenizer.tokenize(text)


@pytest.mark.oracle
def test_tweet_tokenizer_equals_nltks_on_real_text(nltk_tokenizer, shared):
    lines = (shared / "reddit6k" / "human.ref.6k.txt").read_text("utf-8").splitlines()[:2500]
    for line in lines:
        left = "".join(c if c.isascii() and (c.isalnum() or c in "():,.!?\"'") else " " for c in line.lower())
        assert tweet.tokenize(left) == nltk_tokenizer.tokenize(left)


@pytest.mark.parametrize(
    ("line", "cleaned"),
    [
        ("I don't know:). how about this?https://github.com/x", "i do n't know :) . how about this ? __url__"),
        ("please try [ GitHub ] ( https://github.com )", "please try github"),
        ("I won't, can't & WOULDN'T've", "i will n't , can n't wouldn't 've"),
        ("a|b\tc  d\u3000e", "a b c d e"),
        ("", ""),
        ("\u05e9\u05dc\u05d5\u05dd \U0001f600", ""),
        ("\ud800x", "x"),
        ("call 555-123-4567 ......", "call 555 123 4567 ..."),
        ("\u0130stanbul \u212a", "i stanbul k"),
    ],
)
def test_cleaning(line, cleaned):
    assert clean_line(line) == cleaned


def test_cleaning_equals_the_official_scripts(shared):
    replies = {}
    for line in (shared / "dstc7" / "replies.jsonl").read_text("utf-8").splitlines():
        row = json.loads(line)
        replies[row["system"], row["id"]] = row["reply"]
    segments = [
        json.loads(line) for line in (shared / "dstc7" / "official_segments.jsonl").read_text("utf-8").splitlines()
    ]
    assert clean(replies[row["system"], row["id"]] for row in segments) == [row["cleaned"] for row in segments]


@pytest.mark.parametrize("text", ["9" * 1_000_000, "a" * 1_000_000, "a b. " * 200_000, '"' * 1_000_000])
def test_a_million_characters_are_cleaned_and_tokenized(text):
    assert clean_line(text)
    assert tokenize_line(text)


@pytest.mark.parametrize(
    ("line", "words"),
    [
        # what Perl gives for the official script's substitutions
        ("Hello, World!", ["hello", ",", "world", "!"]),
        ("...", [".", ".", "."]),
        ("1,000.5 a,,5 5,", ["1,000.5", "a", ",", ",5", "5", ","]),
        ("x..5 5..x", ["x", ".", ".5", "5", ".", ".", "x"]),
        ("3-4 a-b 5--6", ["3", "-", "4", "a-b", "5", "-", "-6"]),
        ("don't 'quote'", ["don't", "'quote'"]),
        ("\u00c9T\u00c9 \u0130", ["\u00c9t\u00c9", "\u0130"]),
        ("a\u00a0b\u0085c\u3000d\x0be\u200bf\u180eg\x1ch", ["a", "b", "c", "d", "e\u200bf\u180eg\x1ch"]),
        ("&quot;x&amp;y&lt;&gt; <skipped>", ['"', "x", "&", "y", "<", ">"]),
        ("well-\nknown\nword", ["wellknown", "word"]),
        ("\ud83d\ude00 \ud800", ["\ud83d\ude00", "\ud800"]),
        ("a/b@c [d] {e} f_g h~i", list("a/b@c[d]{e}f_gh~i")),
        (" \t ", []),
        ("", []),
    ],
)
def test_mteval_tokenizer(line, words):
    assert tokenize_line(line) == words


def test_xml_line():
    assert xml_line("a&b<c>d", None) == "a b c>d"
    assert xml_line("", "__empty__") == "__empty__"
    assert xml_line(" ", "__empty__") == " "
    assert xml_line("", None) == ""
