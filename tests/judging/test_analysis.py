"""The analysis of judgments: DSTC7's published figures, what small studies say, and what they cannot say."""

from __future__ import annotations

import csv
import json
from dataclasses import replace

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from support.judgment_rows import PAIR, coin_flips, preferences, ratings, study

from dialoeval.errors import UserError
from dialoeval.judging.analysis import analyse
from dialoeval.judging.estimates import Settings
from dialoeval.judging.imported import read_judgments_file
from dialoeval.judging.judgments import ItemKind, Judgment, Standing
from dialoeval.judging.panel import answers, panel
from dialoeval.judging.pools import parse_pools, pooled
from dialoeval.judging.ratings import context_means, differences, means
from dialoeval.reports.judgments_text import to_markdown
from dialoeval.stats import Agreement, Davidson, TwoWay, Undefined, sign_test

FEW = Settings(resamples=200)


@pytest.fixture(scope="module")
def dstc7(shared):
    return read_judgments_file(str(shared / "dstc7" / "human_judgments.tsv"))


@pytest.fixture(scope="module")
def pooled_dstc7(dstc7):
    return pooled(dstc7, parse_pools(["TeamCE+TeamEC=Team C/E"], dstc7.systems))


@pytest.mark.oracle
def test_the_published_means_and_intervals_of_dstc7(pooled_dstc7, shared):
    official = json.loads((shared / "dstc7" / "official_human.json").read_text("utf-8"))["systems"]
    names = {"Baseline S2S": "Baseline"} | {f"Team {x}": f"Team{x}" for x in "ABDFG"}
    lines = means(panel(pooled_dstc7, answers(pooled_dstc7)), Settings())
    found = {(line.system, line.question): line.estimate for line in lines}
    assert len(found) == 30
    for system, figures in official.items():
        for theirs, ours in (("relevance", "relevance"), ("interest", "informativeness"), ("overall", "overall")):
            estimate = found[names.get(system, system), ours]
            assert estimate.value == pytest.approx(figures[theirs], abs=5e-7)
            ends = estimate.contexts.low, estimate.contexts.high
            assert ends == pytest.approx(figures[f"{theirs}_ci95"], abs=0.003)
    human = found["Human", "overall"].without_one
    assert human == pytest.approx((3.536, 3.586), abs=0.0006)


@pytest.mark.oracle
def test_all_cells_that_dstc7_published(pooled_dstc7, shared):
    of = panel(pooled_dstc7, answers(pooled_dstc7))
    contexts = list(dict.fromkeys(row.context for row in answers(pooled_dstc7)))
    table = context_means(of)["overall"]
    with (shared / "dstc7" / "human_by_instance.tsv").open(encoding="utf-8-sig") as stream:
        rows = [row for row in csv.DictReader(stream, delimiter="\t") if row["InstanceID"] in set(contexts)]
    place = {name: i for i, name in enumerate(pooled_dstc7.systems)}
    cells = 0
    for row in rows:
        for name, value in row.items():
            if name != "InstanceID":
                ours = table[contexts.index(row["InstanceID"]), place["Team C/E" if name == "TeamCE" else name]]
                assert ours == pytest.approx(float(value), abs=0.005 + 1e-9)
                cells += 1
    assert cells == 10_000


@pytest.mark.oracle
def test_differences_of_dstc7_with_both_kinds_of_clusters(pooled_dstc7):
    of = panel(pooled_dstc7, answers(pooled_dstc7))
    keep = [i for i, unit in enumerate(of.units) if unit[0] in ("Baseline", "Human", "TeamB", "TeamD", "TeamG")]
    found = {}
    for one in differences(of.where(np.isin(of.unit, keep)), FEW):
        sign = 1
        for first, second in ((one.first, one.second), (one.second, one.first)):
            found[first, second, one.question] = (sign * one.estimate.value, one.estimate.both, one.items)
            sign = -1
    expected = {
        ("TeamB", "Baseline"): (0.1353, 0.0662, 0.0698, 0.0756),
        ("Human", "TeamB"): (0.6157, 0.0680, 0.1384, 0.1418),
        ("TeamG", "TeamD"): (0.0623, 0.0669, 0.1896, 0.1916),
    }
    for (first, second), (value, item, judge, both) in expected.items():
        difference, interval, _ = found[first, second, "overall"]
        widths = interval.item_half_width, interval.judge_half_width, interval.half_width
        assert (difference, *widths) == pytest.approx((value, item, judge, both), abs=6e-5)
    items = found["Human", "TeamB", "overall"][2]
    assert (items.wins, items.ties, items.losses) == (698, 63, 239)


@pytest.mark.oracle
@pytest.mark.slow
def test_agreement_of_dstc7(dstc7):
    analysis = analyse(dstc7, Settings(resamples=20))
    lines = {line.question: line for line in analysis.reliability}
    expected = {
        "relevance": (0.067207, 0.192407, 0.192942, 0.067179, 0.192952, 0.417674),
        "informativeness": (0.050331, 0.156458, 0.157340, 0.050302, 0.157348, 0.359053),
    }
    for question, figures in expected.items():
        line = lines[question]
        found = [line.alpha[level].value for level in ("nominal", "ordinal", "interval")]
        found += [line.kappa.value, line.icc1.value, line.icc_k.value]
        assert found == pytest.approx(figures, abs=1e-6)
    assert lines["overall"].icc1.value == pytest.approx(0.194447, abs=1e-6)
    assert lines["overall"].icc_k.value == pytest.approx(0.420004, abs=1e-6)
    assert lines["overall"].ceiling == pytest.approx(0.648077, abs=1e-6)
    assert lines["relevance"].by_unit["Constant"] == pytest.approx(0.005, abs=5e-4)
    pair = analysis.questions[0]
    assert pair.equal == pytest.approx(0.677, abs=5e-4) and pair.correlation == pytest.approx(0.769, abs=5e-4)
    assert analysis.tally.twice == 54 and len(analysis.judges) == 317
    assert analysis.judges[0].share == pytest.approx(0.064, abs=5e-4)


def test_one_judge_an_item_gives_the_sign_test():
    win = analyse(preferences([[1]] * 60 + [[-1]] * 40), FEW).people.wins[0]
    assert win.p_value == win.p_independent == pytest.approx(0.0568879336)
    assert win.judgments.percentages == (60, 0, 40) and win.winner == 0


def test_judges_who_always_agree_count_once_an_item():
    win = analyse(preferences([[1] * 3] * 60 + [[-1] * 3] * 40), FEW).people.wins[0]
    assert win.p_value == pytest.approx(sign_test(60, 40)) and win.p_independent < 0.001
    assert (win.items.wins, win.items.ties, win.items.losses) == (60, 0, 40) and win.preferred.value == 0.6


def test_a_majority_needs_one_most_frequent_answer():
    win = analyse(preferences([[1, 0, -1], [1, 1, -1], [0, 0, 1]]), FEW).people.wins[0]
    assert (win.items.wins, win.items.ties, win.items.losses) == (1, 2, 0)
    assert win.net.value == pytest.approx(2 / 9)


def test_percentages_are_rounded_half_up_and_need_not_add_up():
    win = analyse(preferences([[1]] * 1 + [[0]] * 1 + [[-1]] * 6), FEW).people.wins[0]
    assert win.judgments.percentages == (13, 13, 75)


def test_only_a_corrected_p_makes_bold():
    rows = preferences([[1]] * 30 + [[-1]] * 14).rows
    alone = analyse(study(rows), FEW)
    assert alone.people.wins[0].p_value < 0.05 and alone.people.wins[0].winner == 1
    assert "**30 (68%)**" in to_markdown(alone)
    more = [*rows, *(replace(row, question="human-like", value=0) for row in rows)]
    assert analyse(study(more), FEW).people.wins[0].p_adjusted == pytest.approx(2 * alone.people.wins[0].p_value)


def test_models_surplus_gold_and_excluded_judges_are_apart():
    people = preferences([[1, 1, -1]] * 10).rows
    extra = [
        *(replace(row, judge="model", value=-1) for row in people if row.judge == "j0"),
        *(replace(row, judge="late", value=-1, standing=Standing.surplus) for row in people if row.judge == "j0"),
        *(replace(row, item=f"g{i}", kind=ItemKind.gold, gold=1) for i, row in enumerate(people[:4])),
        *(replace(row, judge="bad", value=-1) for row in people if row.judge == "j0"),
        Judgment("x", "x", ("a", "b"), "automatic", "relevance", 0, standing=Standing.automatic),
        replace(people[0], judge="model", item="y", context="y", refusal="no answer"),
    ]
    analysis = analyse(study([*people, *extra], models=frozenset({"model"}), excluded=frozenset({"bad"})), FEW)
    counts = analysis.people.wins[0].judgments
    assert (counts.wins, counts.ties, counts.losses) == (20, 0, 10)
    assert analysis.with_excluded.wins[0].judgments.losses == 20
    assert analysis.with_automatic.wins[0].judgments.ties == 1
    tally = analysis.tally
    assert (tally.counted, tally.excluded, tally.surplus, tally.automatic, tally.gold) == (30, 10, 10, 1, 4)
    assert (tally.model, tally.refused) == (11, 1)
    model = analysis.models[0]
    assert model.tables.wins[0].judgments.losses == 10 and model.agreement[0].equal == 0 and model.refused == 1
    assert model.agreement[0].items == 10 and "model" not in {judge.judge for judge in analysis.judges}
    text = to_markdown(analysis)
    assert "Model as judge: model" in text and "excluded" in text
    json.dumps(analysis.to_json(), allow_nan=False)


def test_a_model_that_answers_as_people_do_agrees_fully():
    people = preferences([[1, 1, 1], [-1, -1, -1], [0, 0, 0]] * 4).rows
    model = [replace(row, judge="m") for row in people if row.judge == "j0"]
    found = analyse(study([*people, *model], models=frozenset({"m"})), FEW).models[0].agreement[0]
    assert found.equal == found.alpha == 1.0 and found.correlation == pytest.approx(1.0) and found.people == 1.0


def test_only_a_model_has_tables_but_no_agreement():
    rows = [replace(row, judge="m") for row in preferences([[1]] * 5).rows]
    analysis = analyse(study(rows, models=frozenset({"m"})), FEW)
    assert analysis.people.answers == 0 and analysis.models[0].tables.answers == 5
    assert "needs judgments" in to_markdown(analysis)


@pytest.mark.parametrize(
    ("judgments", "said"),
    [
        (study([]), "needs judgments, and there are none of people"),
        (preferences([[1], [-1], [1]]), "one judge says nothing about other judges"),
        (preferences([[1, 0, -1]]), "one item says nothing about other items"),
        (preferences([[0, 0, 0]] * 5), "no judgment was decided"),
        (preferences([[1, 1, 1]] * 5), "b lost every comparison"),
        (ratings({"s": [[3, 3, 3]] * 4}), "every judgment was the same"),
        (ratings({"s": [[3]]}), "no item has two judgments"),
        (replace(ratings({"s": []}), systems=("s",)), "needs judgments, and there are none of people"),
    ],
)
def test_what_cannot_be_computed_says_why(judgments, said):
    analysis = analyse(judgments, FEW)
    text = to_markdown(analysis)
    assert "not computed" in text and said in text
    json.dumps(analysis.to_json(), allow_nan=False)


def test_all_ties_have_p_one_and_no_winner():
    win = analyse(preferences([[0, 0, 0]] * 5), FEW).people.wins[0]
    assert win.p_value == win.p_adjusted == 1.0 and win.winner == 0 and isinstance(win.preferred.value, Undefined)


def test_few_judges_use_students_t_and_say_so():
    analysis = analyse(preferences([[1, -1, 1], [1, 0, -1], [1, 1, 1], [-1, 0, 1]] * 5), FEW)
    both = analysis.people.wins[0].preferred.both
    assert isinstance(both, TwoWay) and both.df == 2 and "Student's t" in to_markdown(analysis)


def test_a_preference_for_a_side_is_found():
    rows = [
        Judgment(f"i{c}", f"c{c}", ("a", "b"), "lefty", "relevance", 1 if c % 2 else -1, "a" if c % 2 else "b")
        for c in range(40)
    ]
    analysis = analyse(study(rows), FEW)
    assert analysis.side.left == analysis.side.decided == 40
    assert "prefers side A" in analysis.judges[0].flags


def test_gold_speed_and_monotone_answers_are_flagged():
    rows = list(coin_flips(60, pool=3).rows)
    rows = [replace(row, value=1, seconds=0.5) if row.judge == "j0" else row for row in rows]
    rows += [
        Judgment(f"g{i}", f"g{i}", ("a", "b"), "j0", "relevance", -1, kind=ItemKind.gold, gold=1) for i in range(4)
    ]
    judge = next(j for j in analyse(study(rows, min_seconds=2.0), FEW).judges if j.judge == "j0")
    assert (judge.gold_passed, judge.gold, judge.fast, judge.monotone) == (0, 4, 1.0, 1.0)
    flags = " ".join(judge.flags)
    assert (
        "0 of 4 gold answers right" in flags and "faster" in flags and "in a row" in flags and "all questions" in flags
    )


def test_repeats_measure_consistency_only():
    rows = preferences([[1], [1], [-1]]).rows
    again = [replace(row, item=f"r{i}", kind=ItemKind.repeat, value=1) for i, row in enumerate(rows)]
    analysis = analyse(study([*rows, *again]), FEW)
    assert (analysis.consistency[0].equal, analysis.consistency[0].repeats) == (2, 3)
    assert analysis.people.answers == 3


def test_an_unknown_anchor_is_refused():
    with pytest.raises(UserError, match="no system 'c'"):
        analyse(preferences([[1]]), Settings(anchor="c"))


def test_strengths_have_the_closed_form_of_two_systems():
    judgments = preferences([[1]] * 30 + [[0]] * 10 + [[-1]] * 20)
    fit = analyse(judgments, Settings(200, anchor="b")).people.strengths[0].fit
    assert isinstance(fit, Davidson) and fit.strengths[0] == pytest.approx(np.log(30 / 20))
    assert fit.nu == pytest.approx(10 / np.sqrt(600))


@settings(max_examples=30, deadline=None)
@given(st.lists(st.lists(st.sampled_from([1, 0, -1]), min_size=1, max_size=4), min_size=1, max_size=12))
def test_exchanging_the_systems_mirrors_the_analysis(values):
    there = analyse(preferences(values), Settings(50)).people.wins[0]
    back = analyse(preferences([[-value for value in row] for row in values]), Settings(50)).people.wins[0]
    assert there.judgments.wins == back.judgments.losses and there.items.wins == back.items.losses
    assert there.p_value == pytest.approx(back.p_value) and there.net.value == pytest.approx(-back.net.value)


@settings(max_examples=20, deadline=None)
@given(st.randoms(use_true_random=False))
def test_the_order_of_rows_does_not_matter(rng):
    judgments = coin_flips(12)
    rows = list(judgments.rows)
    rng.shuffle(rows)
    a, b = (analyse(replace(judgments, rows=part), Settings(50)) for part in (judgments.rows, rows))
    assert [win.p_value for win in a.people.wins] == pytest.approx([win.p_value for win in b.people.wins])
    alphas = [[line.alpha["nominal"] for line in one.reliability] for one in (a, b)]
    for left, right in zip(*alphas, strict=True):
        assert isinstance(left, Agreement) and left.value == pytest.approx(right.value)


def differing(a, b, path=""):
    """Paths at which two JSON values differ by more than rounding."""
    if isinstance(a, dict) and isinstance(b, dict):
        return [p for key in a.keys() | b.keys() for p in differing(a.get(key), b.get(key), f"{path}.{key}")]
    if isinstance(a, list) and isinstance(b, list) and len(a) == len(b):
        return [p for i, (x, y) in enumerate(zip(a, b, strict=True)) for p in differing(x, y, f"{path}[{i}]")]
    same = a == b or (isinstance(a, float) and isinstance(b, float) and a == pytest.approx(b, rel=1e-9, abs=1e-9))
    return [] if same else [path]


@settings(max_examples=10, deadline=None)
@given(st.randoms(use_true_random=False), st.booleans())
def test_no_figure_depends_on_the_order_of_rows(rng, likert):
    given_points = {s: [[rng.randint(1, 5) for _ in range(3)] for _ in range(12)] for s in ("a", "b", "human")}
    judgments = ratings(given_points) if likert else coin_flips(12, seed=rng.randint(0, 99))
    rows = list(judgments.rows)
    rng.shuffle(rows)
    a, b = (analyse(replace(judgments, rows=part), Settings(50)).to_json() for part in (judgments.rows, rows))
    # equal answers in a row are of an order by nature
    assert [path for path in differing(a, b) if not path.endswith((".longest_run", ".flags"))] == []


def test_automatic_ties_are_nobodys():
    people = preferences([[1, 1, -1], [1, 0, 1], [-1, 1, 1], [1, -1, 0]])
    automatic = [
        Judgment(f"e{i}", f"e{i}", PAIR, "nobody", "relevance", 0, standing=Standing.automatic)
        for i in range(30)
        for _ in range(3)
    ]
    found = analyse(replace(people, rows=[*people.rows, *automatic]), FEW)
    both = found.with_automatic.wins[0].net.both
    assert found.with_automatic.judges == found.with_automatic.wins[0].judges == both.judges == 3 and both.df == 2
    # the variance is that of the pairwise products of judgments that share a context or a judge
    values = np.array([row.value for row in people.rows] + [0] * 90) - found.with_automatic.wins[0].net.value
    contexts = [row.context for row in [*people.rows, *automatic]]
    judges = [row.judge for row in people.rows] + list(range(90))
    variance = sum(
        values[i] * values[j]
        for i in range(len(values))
        for j in range(len(values))
        if contexts[i] == contexts[j] or judges[i] == judges[j]
    )
    assert both.half_width == pytest.approx(4.302653 * np.sqrt(variance) / len(values), rel=1e-6)


def test_a_question_called_overall_is_itself():
    given_points = {"a": [[5], [4], [5], [4]], "b": [[1], [2], [1], [1]]}
    judgments = ratings(given_points)
    names = {"informativeness": "overall"}
    rows = [
        replace(
            row, question=names.get(row.question, row.question), value=3 if row.question == "relevance" else row.value
        )
        for row in judgments.rows
        for value in [row.value]
    ]
    questions = tuple(replace(q, name=names.get(q.name, q.name)) for q in judgments.questions)
    found = analyse(replace(judgments, rows=rows, questions=questions), FEW)
    overall = next(line for line in found.people.differences if line.question == "overall")
    assert overall.estimate.value == pytest.approx(3.25) and (overall.items.wins, overall.items.total) == (4, 4)
    assert [line.question for line in found.reliability] == ["relevance", "overall"]
    assert context_means(panel(found.judgments, found.judgments.rows))["overall"].tolist() == [
        [5, 1],
        [4, 2],
        [5, 1],
        [4, 1],
    ]


def test_without_resamples_no_p_of_random_flips():
    judgments = ratings({"a": [[5], [4], [5]] * 5, "b": [[1], [2], [1]] * 5})
    line = analyse(judgments, Settings(0)).people.differences[0]
    assert isinstance(line.p_value, Undefined) and "no resamples" in line.p_value.reason


def test_the_interval_over_judges_is_checked_by_drawing_contexts_and_judges():
    found = analyse(coin_flips(60, pool=30), Settings(400))
    line = found.people.wins[0].net
    # Owen's pigeonhole bootstrap by its definition: every context and every judge drawn on its own
    rows = [row for row in found.judgments.rows if (row.question, row.systems) == ("relevance", ("a", "b"))]
    rng, drawn = np.random.default_rng(7), []
    contexts, judges = (sorted({getattr(row, name) for row in rows}) for name in ("context", "judge"))
    for _ in range(2000):
        of_contexts = dict(
            zip(contexts, rng.multinomial(len(contexts), np.full(len(contexts), 1 / len(contexts))), strict=True)
        )
        of_judges = dict(zip(judges, rng.multinomial(len(judges), np.full(len(judges), 1 / len(judges))), strict=True))
        weights = np.array([of_contexts[row.context] * of_judges[row.judge] for row in rows])
        drawn.append(weights @ [row.value for row in rows] / weights.sum() if weights.sum() else np.nan)
    low, high = np.nanquantile(drawn, [0.025, 0.975])
    assert (line.pigeonhole.low, line.pigeonhole.high) == pytest.approx((low, high), abs=0.12)
    assert line.pigeonhole.high - line.pigeonhole.low > 2 * line.both.half_width * 0.9
    assert "pigeonhole bootstrap" in to_markdown(found)
    assert analyse(preferences([[1], [0], [1]]), FEW).people.wins[0].net.pigeonhole is None
