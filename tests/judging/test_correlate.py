"""Metrics against people: the figures of mt-metrics-eval on DSTC7's segments, and studies of our own."""

from __future__ import annotations

import json

import numpy as np
import pytest
from support.judgment_rows import coin_flips, preferences, ratings
from support.report_runs import examples, replies, write_run

from dialoeval.cli import judge_correlate
from dialoeval.errors import UserError
from dialoeval.judging.correlate import correlations
from dialoeval.judging.estimates import Settings
from dialoeval.judging.imported import parse_pools, pooled, read_judgments_file
from dialoeval.judging.metric_scores import Judged, MetricScores, add_file, add_run, parse_names
from dialoeval.reports.correlations_text import to_markdown
from dialoeval.stats import Undefined, Williams

FEW = Settings(resamples=50)
NAMES = [
    *("Baseline (constant)=Constant", "Baseline (random)=Random", "Baseline (seq2seq)=Baseline"),
    *(f"Team{x}-Primary=Team{x}" for x in "ABDFG"),
    "TeamC-Primary=Team C/E",
]


@pytest.fixture(scope="module")
def dstc7(shared):
    return read_judgments_file(str(shared / "dstc7" / "human_judgments.tsv"))


@pytest.mark.oracle
@pytest.mark.slow
def test_segments_of_dstc7(dstc7, shared):
    scores = MetricScores()
    add_file(scores, str(shared / "dstc7" / "official_segments.jsonl"), dstc7.systems, {})
    found = correlations(dstc7, scores, FEW)
    lines = {line.metric: line for line in found.segments if line.question == "overall"}
    assert list(lines) == ["nist", "bleu", "meteor", "length"]
    expected = {
        "meteor": (0.092421, 0.139540, 0.045865, 0.089454, 0.103088, 0.063583, 954, 0.501000, 0.501000),
        "nist": (0.191893, 0.229426, 0.053240, 0.144126, 0.194772, 0.062306, 957, 0.544167, 0.544167),
        "bleu": (-0.016665, -0.136368, -0.031821, -0.083719, -0.106780, -0.022153, 1000, 0.417333, 0.417500),
    }
    for metric, figures in expected.items():
        line = lines[metric]
        ours = [one[grouping].value for one in (line.pearson, line.kendall) for grouping in ("none", "item", "sys")]
        ours += [line.pearson["item"].groups, line.accuracy.uncalibrated, line.accuracy.value]
        assert ours == pytest.approx(figures, abs=1.1e-6)
    assert lines["length"].pearson["none"].value == pytest.approx(0.312, abs=5e-4)
    test = next(t for t in found.tests if t.level == "segment" and (t.first, t.second) == ("nist", "meteor"))
    assert test.test.delta == pytest.approx(0.089887, abs=1e-6)
    assert found.ceilings["overall"] == pytest.approx(0.648077, abs=1e-6)


@pytest.mark.oracle
@pytest.mark.slow
def test_systems_of_dstc7(dstc7, shared):
    judgments = pooled(dstc7, parse_pools(["TeamCE+TeamEC=Team C/E"], dstc7.systems))
    scores = MetricScores()
    names = parse_names(NAMES, judgments.systems)
    add_file(scores, str(shared / "dstc7" / "official_2208.json"), judgments.systems, names)
    kept = ("meteor", "nist4", "bleu4", "entropy4", "div1", "length")
    scores.systems = {name: scores.systems[name] for name in kept}
    found = correlations(judgments, scores, FEW)
    lines = {line.metric: line for line in found.systems if line.question == "overall"}
    expected = {
        "meteor": (0.703992, 0.7576, 0.5556),
        "nist4": (0.641599, 0.6727, 0.5556),
        "bleu4": (0.585480, 0.5273, 0.4222),
        "entropy4": (0.3041, 0.1030, 0.1111),
        "div1": (0.2932, 0.0909, 0.0667),
    }
    for metric, figures in expected.items():
        ours = [lines[metric].figures[kind].value for kind in ("pearson", "spearman", "kendall")]
        assert ours == pytest.approx(figures, abs=6e-5)
    assert len(lines["meteor"].systems) == 10
    assert lines["meteor"].figures["pearson"].p_value == pytest.approx(0.023067, abs=1e-5)
    assert lines["meteor"].without_human["pearson"].value == pytest.approx(0.598, abs=5e-4)
    assert lines["bleu4"].without_human["pearson"].value == pytest.approx(0.118, abs=6e-4)
    tests = {(t.first, t.second): t.test for t in found.tests}
    for pair, t, p in [
        (("meteor", "bleu4"), 0.597798, 0.284401),
        (("nist4", "bleu4"), 0.170378, 0.434766),
        (("meteor", "nist4"), 0.290852, 0.389797),
    ]:
        assert isinstance(tests[pair], Williams)
        assert (tests[pair].t, tests[pair].p_value) == pytest.approx((t, p), abs=2e-6)


def segments(tmp_path, rows, name="segments.jsonl"):
    file = tmp_path / name
    file.write_text("".join(json.dumps(row) + "\n" for row in rows))
    return str(file)


def three_systems():
    return ratings({name: [[c % 5 + 1, (c + s) % 5 + 1] for c in range(8)] for s, name in enumerate("xyz")})


def test_a_perfect_metric_and_too_few_systems(tmp_path):
    judgments = three_systems()
    truth = {(row.systems[0], row.context): 0.0 for row in judgments.rows}
    for row in judgments.rows:
        truth[row.systems[0], row.context] += row.value / 4
    rows = [{"system": s, "id": c, "perfect": value, "reply": "a b"} for (s, c), value in truth.items()]
    scores = MetricScores()
    add_file(scores, segments(tmp_path, rows), judgments.systems, {})
    found = correlations(judgments, scores, FEW)
    perfect, length = (
        next(line for line in found.segments if (line.question, line.metric) == ("overall", name))
        for name in ("perfect", "length")
    )
    assert perfect.pearson["none"].value == pytest.approx(1) and perfect.accuracy.value == 1.0
    assert isinstance(length.pearson["none"], Undefined)
    assert all(isinstance(line.figures["pearson"], Undefined) for line in found.systems)
    text = to_markdown(found)
    assert "3 systems, and it needs 4" in text and "constant" in text
    json.dumps(found.to_json(), allow_nan=False)


def test_preferences_become_net_wins(tmp_path):
    judgments = coin_flips(30)
    rows = [
        {"system": s, "id": f"c{c}", "metric": (c * 7 + ord(s[0])) % 11, "length": c % 5}
        for c in range(30)
        for s in judgments.systems
    ]
    scores = MetricScores()
    add_file(scores, segments(tmp_path, rows), judgments.systems, {})
    found = correlations(judgments, scores, FEW)
    assert found.human == "human" and {line.metric for line in found.segments} == {"metric", "length"}
    assert np.isfinite(found.segments[0].pearson["none"].value)


@pytest.mark.parametrize(
    ("rows", "said"),
    [
        ([{"system": "x", "metric": 1}], 'line 1: field "id" is missing'),
        ([{"id": "c0", "metric": 1}], 'line 1: field "system" is missing: the study has 3 systems'),
        ([{"system": "other", "id": "c0", "m": 1}], r"none of its systems \(other\) is one of the study \(x, y, z\)"),
        ([{"system": "x", "id": "c0", "m": "inf"}], 'line 1: field "m" is .inf., not a finite number'),
    ],
)
def test_scores_that_cannot_be_used(tmp_path, rows, said):
    with pytest.raises(UserError, match=said):
        add_file(MetricScores(), segments(tmp_path, rows), ("x", "y", "z"), {})


def test_scores_of_other_contexts_are_refused(tmp_path):
    scores = MetricScores()
    add_file(scores, segments(tmp_path, [{"system": "x", "id": "other", "m": 1}]), ("x", "y", "z"), {})
    with pytest.raises(UserError, match="have none of the 8 contexts"):
        correlations(three_systems(), scores, FEW)


def test_no_people_no_correlation():
    with pytest.raises(UserError, match="no judgments of people"):
        correlations(preferences([[1]], models=frozenset({"j0"})), MetricScores(), FEW)


def test_without_lengths_it_says_so(tmp_path):
    scores = MetricScores()
    add_file(scores, segments(tmp_path, [{"system": "x", "id": "c0", "m": 1}]), ("x", "y", "z"), {})
    assert any("length" in note for note in correlations(three_systems(), scores, FEW).notes)


def test_runs_are_metrics_of_their_systems(tmp_path, capsys):
    given = examples(12)
    for seed, name in enumerate(("first", "second")):
        write_run(tmp_path, given, replies(given, seed), name=name)
    lines = ["judge,context,system,relevance"]
    lines += [
        f"j{k},{e.id},{s},{(i + k) % 5 + 1}" for i, e in enumerate(given) for s in ("first", "second") for k in (0, 1)
    ]
    file = tmp_path / "ratings.csv"
    file.write_text("\n".join(lines) + "\n")
    runs = [str(tmp_path / "first"), f"second={tmp_path / 'second'}"]
    arguments = ["--from", str(file), "--runs", *runs, "--resamples", "20", "--out", str(tmp_path / "out")]
    assert judge_correlate.main(arguments) == 0
    out = capsys.readouterr().out
    assert "relevance: length" in out and "nist4 (corpus)" in out and "2 systems, and it needs 4" in out
    values = json.loads((tmp_path / "out" / "correlations.json").read_text())
    assert values["judgments_sha256"] and (tmp_path / "out" / "correlations.md").read_text() in out
    with pytest.raises(UserError, match="give SYSTEM=RUN"):
        add_run(MetricScores(), runs[0], Judged(("x", "y"), ()))
    with pytest.raises(UserError, match="give the metrics"):
        judge_correlate.main(["--from", str(file)])
