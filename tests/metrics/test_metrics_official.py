"""The paper's metrics against what the official tools printed for real systems."""

from __future__ import annotations

import json

import numpy as np
import pytest

from dialoeval.config import ScoringConfig
from dialoeval.config.compose import group
from dialoeval.metrics.scores import score_statistics
from dialoeval.metrics.system_statistics import Statistics, statistics

SYSTEMS = ("Human", "TeamB", "TeamD", "Constant")


def read(path):
    return [json.loads(line) for line in path.read_text("utf-8").splitlines()]


@pytest.fixture(scope="module")
def made(shared) -> dict[str, tuple[list[str], list[str], list[list[str]], Statistics]]:
    references = {row["id"]: row["references"] for row in read(shared / "dstc7" / "references.jsonl")}
    replies: dict[str, dict[str, str]] = {}
    for row in read(shared / "dstc7" / "replies.jsonl"):
        replies.setdefault(row["system"], {})[row["id"]] = row["reply"]
    made = {}
    for system, texts in replies.items():
        ids = sorted(texts)
        lines, lists = [texts[i] for i in ids], [references[i] for i in ids]
        made[system] = ids, lines, lists, statistics(lines, lists, group("protocol", "dstc7"))
    return made


@pytest.mark.oracle
@pytest.mark.parametrize("system", SYSTEMS)
def test_sets_equal_the_official_tools(made, shared, system):
    official = json.loads((shared / "dstc7" / "official.json").read_text("utf-8"))[system]
    figures = {name: float(values[0]) for name, values in made[system][3].figures().items()}
    for name, value in official.items():
        if name == "n_lines":
            assert len(made[system][3]) == value
        elif name.startswith(("nist", "bleu")):
            assert f"{figures[name]:.4f}" == f"{value:.4f}", name
        else:
            assert figures[name.replace("div", "distinct")] == pytest.approx(value, abs=1e-9), name


@pytest.mark.oracle
@pytest.mark.parametrize("system", SYSTEMS)
def test_every_reply_equals_the_official_tools(made, shared, system):
    official = {row["id"]: row for row in read(shared / "dstc7" / "official_segments.jsonl") if row["system"] == system}
    ids, _, _, found = made[system]
    assert found.corpus.texts.hypotheses == [official[i]["cleaned"] for i in ids]
    for row in found.segments(ids).rows():
        expected = official[row["id"]]
        assert f"{row['nist']:.4f}" == f"{expected['nist']:.4f}"
        assert f"{row['bleu']:.4f}" == f"{expected['bleu']:.4f}"
        assert row["meteor"] == pytest.approx(expected["meteor"], abs=1e-9)
        assert row["length"] == len(expected["cleaned"].split())


@pytest.mark.oracle
def test_reddit6k_human_replies(shared):
    expected = json.loads((shared / "reddit6k" / "expected.json").read_text("utf-8"))
    with open(shared / "reddit6k" / "human.ref.6k.txt", encoding="utf-8") as stream:
        lines = [line.rstrip("\n") for line in stream]
    made = statistics(lines, [[]] * len(lines), group("protocol", "reddit6k"), meteor=False)
    scores = score_statistics(made, ScoringConfig(resamples=0))
    found = scores.to_json()
    assert found["n"] == expected["lines"]
    assert found["entropy"] == pytest.approx(expected["entropy"], abs=1e-9)
    assert found["distinct"] == pytest.approx(expected["distinct"], abs=1e-12)
    assert found["avg_len"] == pytest.approx(expected["avg_len"], abs=1e-12)
    assert found["nist"] == [None] * 4
    assert found["counts"]["replies_without_references"] == 6000


@pytest.mark.oracle
def test_shards_merge_to_the_whole(made):
    ids, lines, lists, whole = made["TeamB"]
    protocol = group("protocol", "dstc7")
    parts = [statistics(lines[k::3], lists[k::3], protocol, meteor=False) for k in range(3)]
    merged = Statistics.merge(parts)
    order = [i for k in range(3) for i in range(k, len(ids), 3)]
    for name, value in merged.figures().items():
        assert value[0] == pytest.approx(float(whole.figures()[name][0]), rel=1e-12), name
    assert np.allclose(merged.parts["nist"].rows, whole.parts["nist"].rows[order], rtol=1e-12)
    assert np.array_equal(merged.parts["bleu"].rows, whole.parts["bleu"].rows[order])
