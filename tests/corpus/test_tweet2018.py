"""The tweet tokens of the DSTC-7 sets: what NLTK 3.4.1 itself printed, which the sets were made with."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st
from nltk.tokenize import TweetTokenizer

from dialoeval.corpus.tweet2018 import tokenize


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ("I </3 You <3 </33", "i < / 3 you <3 < / 33"),
        ("🇺🇸 US!!!!! 👍🏽", "🇺 🇸 us ! ! ! 👍 🏽"),
        ("👩🏾\u200d🚀 1️⃣", "👩 🏾 \u200d 🚀 1 ️ ⃣"),
        ("éééééé A.B.C.", "ééé a . b . c ."),
        ("می\u200cخواهم", "می \u200c خواهم"),
        ("Call (555) 123-4567 NOW :D XD", "call (555) 123-4567 now :D xd"),
        ("HTTP://X.org/A?b=1 www.Foo.com/Bar a@B.com", "HTTP://X.org/A?b=1 www.foo.com/bar a@b.com"),
        ("&lt;b&gt; &#128; &amp;amp; &nbsp;.", "<b> € & amp ; ."),
        ("@You #Tag_2 -> 3.5-4 it’s IT'S", "@you #tag_2 -> 3.5- 4 it ’ s it's"),
        (f"{'x.' * 40}y@b.com c@{'d' * 64}.org", f"{'x.' * 40}y@b.com c@{'d' * 64}.org"),
        ("&a\x1fb; &c\x1dd;", "& a b ; & c d;"),
        ("[deleted] [ removed ]", "[ deleted ] [ removed ]"),
    ],
)
def test_words_of_nltk_3_4_1(text, words):
    assert " ".join(tokenize(text)) == words


@given(st.text("abcXYZ 019.,!?'\"():;-_@#/&\\|*+<>=", max_size=60).filter(lambda text: "</3" not in text))
def test_on_plain_characters_later_versions_give_the_same(text):
    assert tokenize(text) == TweetTokenizer(preserve_case=False).tokenize(text)
