"""N-grams of a few texts in many others, against sets of tuples."""

from __future__ import annotations

import string
from collections import Counter

from hypothesis import given, settings
from hypothesis import strategies as st

from dialoeval.text import grams
from dialoeval.text.grams import Grams
from dialoeval.text.plain_words import plain_words

WORDS = st.lists(st.sampled_from("abcde"), max_size=12)
TEXTS = st.lists(WORDS, max_size=8)


def ngrams(words, n):
    return [tuple(words[i : i + n]) for i in range(len(words) - n + 1)]


@settings(deadline=None, max_examples=150)
@given(TEXTS, TEXTS, st.sets(st.integers(1, 6), min_size=1), st.integers(1, 30))
def test_counts_are_those_of_tuples(few, many, orders, block):
    before, grams._BLOCK = grams._BLOCK, block
    try:
        found = Grams(few, orders)
        found.count(iter(many))
    finally:
        grams._BLOCK = before
    assert found.words == sum(map(len, many))
    for n in orders:
        counts = Counter(gram for words in many for gram in ngrams(words, n))
        expected = [(t, i, counts[gram]) for t, words in enumerate(few) for i, gram in enumerate(ngrams(words, n))]
        windows = found.windows(n)
        assert list(zip(windows.text, windows.start, windows.count, strict=True)) == expected


@settings(deadline=None, max_examples=50)
@given(TEXTS, st.lists(TEXTS, max_size=4))
def test_shards_and_their_order_do_not_matter(few, shards):
    one, other = Grams(few, (1, 3)), Grams(few, (1, 3))
    one.count([words for shard in shards for words in shard])
    for shard in reversed(shards):
        other.count(reversed(shard))
    for n in (1, 3):
        assert one.windows(n).count.tolist() == other.windows(n).count.tolist()


@settings(deadline=None)
@given(st.text(st.sampled_from("aB' ,.-\n\t’é¿"), max_size=30))
def test_plain_words_lose_case_and_punctuation_only(text):
    marks = string.punctuation + "’¿"
    assert plain_words(text) == "".join(c for c in text.lower() if c not in marks).split()
    assert plain_words(" ".join(plain_words(text))) == plain_words(text)
