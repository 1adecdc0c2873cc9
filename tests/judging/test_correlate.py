"""Metrics against people: the figures of mt-metrics-eval on DSTC7's segments, and studies of our own."""

from __future__ import annotations

import json
from dataclasses import replace

import numpy as np
import pytest
from scipy.stats import pearsonr
from scipy.stats import t as student_t
from support.judgment_rows import coin_flips, preferences, ratings
from support.report_runs import examples, replies, write_run

from dialoeval.cli import judge_correlate
from dialoeval.errors import UserError
from dialoeval.judging.correlate import correlations
from dialoeval.judging.estimates import Settings
from dialoeval.judging.imported import read_judgments_file
from dialoeval.judging.metric_scores import Judged, MetricScores, add_file, add_run, parse_names
from dialoeval.judging.pools import parse_pools, pooled
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
        (
            [{"system": "x", "id": "c0", "m": 1}, {"system": "x", "id": "c0", "m": 2}],
            "line 2: m of x for c0 is 2, and an earlier row says 1",
        ),
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


@pytest.mark.parametrize(
    ("value", "said"),
    [
        ({"x": 3}, '"systems", x: expected an object of figures, not 3'),
        ({"x": {"m": float("nan")}}, '"systems", x: m is nan, not a finite number'),
        ({"other": {"m": 1}}, r"none of its systems \(other\) is one of the study"),
    ],
)
def test_figures_of_systems_that_cannot_be_used(tmp_path, value, said):
    (tmp_path / "systems.json").write_text(json.dumps({"systems": value}))
    with pytest.raises(UserError, match=said):
        add_file(MetricScores(), str(tmp_path / "systems.json"), ("x", "y"), {})


def four_systems(seed=5, contexts=15):
    rng = np.random.default_rng(seed)
    points = {s: rng.integers(1, 6, size=(contexts, 3)).tolist() for s in ("w", "x", "y", "human")}
    judgments = ratings(points)
    scores = MetricScores()
    for metric in ("m1", "m2", "length"):
        scores.segments[metric] = {(s, f"c{c}"): float(rng.normal()) for s in points for c in range(contexts)}
    return judgments, scores


def test_a_metric_of_other_contexts_is_refused_though_another_fits():
    judgments, scores = four_systems()
    scores.segments["stray"] = {("w", "elsewhere"): 1.0}
    with pytest.raises(UserError, match="scores of stray have none of the 15 contexts"):
        correlations(judgments, scores, FEW)


def test_missing_scores_are_counted():
    judgments, scores = four_systems()
    for c in range(4):
        del scores.segments["m1"]["x", f"c{c}"]
    assert "m1: 4 of 60 judged replies have no score and are left out" in correlations(judgments, scores, FEW).notes


def test_no_correlation_depends_on_the_order_of_rows():
    judgments, scores = four_systems()
    rows = list(judgments.rows)
    np.random.default_rng(1).shuffle(rows)
    there, back = (
        correlations(replace(judgments, rows=part), scores, FEW).to_json() for part in (judgments.rows, rows)
    )
    assert there == back


def test_tests_between_metrics_at_both_levels_are_scipys():
    judgments, scores = four_systems()
    found = correlations(judgments, scores, FEW)
    kinds = {(one.level, one.grouping, type(one.test).__name__) for one in found.tests}
    assert kinds == {
        ("system", "system", "Williams"),
        ("system", "system", "Permutation"),
        ("segment", "item", "Permutation"),
        ("segment", "none", "Williams"),
    }
    people = {}
    for row in judgments.rows:
        people.setdefault((row.systems[0], row.context), []).append(row.value)
    keys = sorted(people)
    human = np.array([np.mean(people[key]) for key in keys])
    for one in found.tests:
        if one.grouping == "none":
            x, y = (np.array([scores.segments[name][key] for key in keys]) for name in (one.first, one.second))
            r12, r13, r23 = (pearsonr(a, b).statistic for a, b in ((human, x), (human, y), (x, y)))
            n, det = len(keys), np.linalg.det(np.corrcoef([human, x, y]))
            below = 2 * det * (n - 1) / (n - 3) + ((r12 + r13) / 2) ** 2 * (1 - r23) ** 3
            t = (r12 - r13) * np.sqrt((n - 1) * (1 + r23) / below)
            assert one.test.t == pytest.approx(t) and one.test.p_value == pytest.approx(student_t.sf(t, n - 3))
    # the data say which metric comes first: what is corrected is twice the one-sided p
    williams = sorted(one.test.p_value for one in found.tests if one.grouping == "none")
    assert min(one.p_adjusted for one in found.tests if one.grouping == "none") == pytest.approx(
        min(1.0, 3 * 2 * williams[0])
    )


def test_pairs_have_a_ceiling_of_what_metrics_are_held_against():
    rng = np.random.default_rng(3)
    lean = rng.normal(size=60)
    values = [np.sign(lean[c] + rng.normal(size=3)).astype(int).tolist() for c in range(60)]
    judgments = preferences(values)
    scores = MetricScores()
    scores.segments["length"] = {(s, f"c{c}"): float(c % 7) for s in "ab" for c in range(60)}
    found = correlations(judgments, scores, FEW)
    # Shrout and Fleiss by hand, each judgment for one reply and against the other
    table = np.concatenate([np.array(values), -np.array(values)])
    n, k = table.shape
    between = k * np.sum((table.mean(axis=1) - table.mean()) ** 2) / (n - 1)
    within = np.sum((table - table.mean(axis=1, keepdims=True)) ** 2) / (n * (k - 1))
    assert found.ceilings["relevance"] == pytest.approx(np.sqrt((between - within) / between))


def test_a_run_of_other_replies_or_examples_is_refused(tmp_path):
    given = examples(6)
    write_run(tmp_path, given, replies(given, 1), name="first")
    said = dict(zip([e.id for e in given], replies(given, 1), strict=True))
    texts = {("x", key): text for key, text in said.items()}
    path = f"x={tmp_path / 'first'}"
    add_run(MetricScores(), path, Judged(("x", "y"), set(said), {}, texts))
    other = {**texts, ("x", given[2].id): "something else"}
    with pytest.raises(UserError, match=f"its reply to {given[2].id} is not the one of x that was judged"):
        add_run(MetricScores(), path, Judged(("x", "y"), set(said), {}, other))
    with pytest.raises(UserError, match="none of its 6 examples is one of the 1 judged contexts"):
        add_run(MetricScores(), path, Judged(("x", "y"), {"elsewhere"}))


def test_negative_resamples_are_refused(tmp_path):
    file = tmp_path / "ratings.csv"
    file.write_text("judge,context,system,relevance\nj,c,s,1\n")
    with pytest.raises(UserError, match="--resamples -1: must not be negative"):
        judge_correlate.main(["--from", str(file), "--scores", "x", "--resamples", "-1"])
