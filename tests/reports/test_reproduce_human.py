"""The published human evaluations, and what follows from public judgments and counts."""

from __future__ import annotations

import json

import pytest

from dialoeval.cli.main import main
from dialoeval.errors import UserError
from dialoeval.judging.estimates import Settings
from dialoeval.reports.paper import published
from dialoeval.reports.reproduce_human import comparisons, fits, ratings, sections


@pytest.mark.oracle
def test_published_ratings_are_the_sources(shared):
    theirs = json.loads((shared / "dstc7" / "official_human.json").read_text("utf-8"))["systems"]
    for system, figures in theirs.items():
        for question, rating in published().ratings[system].items():
            assert (rating.mean, [rating.low, rating.high]) == (figures[question], figures[f"{question}_ci95"])
    assert len(published().ratings) == len(theirs)


@pytest.mark.oracle
def test_all_thirty_means_follow_from_the_public_judgments(shared):
    rows = ratings(shared / "dstc7", Settings(resamples=10_000))
    assert len(rows) == 30
    for row in rows:
        assert row.measured.value == pytest.approx(row.published.mean, abs=5e-7)
        ends = row.measured.contexts.low, row.measured.contexts.high
        assert ends == pytest.approx((row.published.low, row.published.high), abs=0.003)


def test_percentages_that_the_paper_prints():
    found = {(one.row.question, one.row.a, one.row.b): one.percentages for one in comparisons()}
    assert len(found) == 18
    assert found["relevance", "DialoGPT 345M", "Human"] == (45, 9, 47)
    assert found["relevance", "DialoGPT 345M", "PersonalityChat"] == (72, 9, 19)
    assert found["human-like", "DialoGPT 345M MMI", "Human"] == (50, 4, 46)


def test_hidden_rows_add_up():
    hidden = published().hidden_judgments
    assert len(hidden) == 9 and all(row.wins + row.ties + row.losses == 6000 for row in hidden)


def test_p_values_and_the_bracket_of_totals():
    found = {(one.row.question, one.row.a, one.row.b): (one.p_independent, one.p_agreeing) for one in comparisons()}
    for name, pairs in {
        "DialoGPT 345M": ((0.0519, 0.258), (2.35e-5, 0.0144), (5.96e-5, 0.0201)),
        "DialoGPT 345M MMI": ((3.79e-4, 0.0395), (7.83e-4, 0.0516), (0.00980, 0.134)),
    }.items():
        for question, expected in zip(("relevance", "informativeness", "human-like"), pairs, strict=True):
            assert found[question, name, "Human"] == pytest.approx(expected, rel=4e-3)
    assert found["informativeness", "DialoGPT 345M", "PersonalityChat"][0] < 1e-300


def test_strengths_of_the_published_pairs():
    expected = {
        "relevance": (-0.053151, 0.096816, -1.346646, 0.198888, -14613.3458),
        "informativeness": (-0.112268, 0.089224, -1.491398, 0.089890, -12968.5841),
        "human-like": (-0.106499, 0.068752, -1.442656, 0.093210, -13078.8079),
    }
    for question, figures in expected.items():
        fit = fits()[question]
        at = {name: fit.strengths[i] for i, name in enumerate(fit.names)}
        strengths = [at[name] for name in ("DialoGPT 345M", "DialoGPT 345M MMI", "PersonalityChat")]
        assert [*strengths, fit.nu] == pytest.approx(figures[:4], abs=1e-6)
        assert fit.log_likelihood == pytest.approx(figures[4], abs=1e-4)


def test_without_judgments_the_published_table_stands_alone():
    (_, _, table, lines) = sections("dstc7", None)[0]
    assert len(table.rows) == 10 and "needs the public judgments" in lines[0]


@pytest.mark.parametrize("end", [".md", ".json", ".csv", ".tex", ".html"])
def test_the_command_writes_every_format(tmp_path, capsys, end):
    out = tmp_path / f"human{end}"
    assert main(["reproduce", "reddit6k", "--human", "--out", str(out)]) == 0
    printed = capsys.readouterr().out
    assert "2,671 (45%)" in printed and "system 4" in printed and "0.26" in printed
    assert out.stat().st_size > 500


def test_a_folder_without_judgments_is_refused(tmp_path):
    with pytest.raises(UserError, match=r"has no human_judgments\.tsv"):
        sections("dstc7", tmp_path)
