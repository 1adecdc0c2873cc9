"""Pictures: colours and shapes, labels that do not meet, the order of swept values, seeds as one point."""

from __future__ import annotations

import itertools
import re

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from support.report_runs import examples, replies, write_run

from dialoeval.reports.forest import Row, forest
from dialoeval.reports.svg import COLOURS, SHAPES, Box, colour, dot, placed, text_width
from dialoeval.reports.sweep_plots import effect, setting_plots, value_label
from dialoeval.runs.folder import RunFolder
from dialoeval.runs.reader import load_run


def test_sixty_runs_differ_in_colour_or_shape():
    classes = [colour(i) for i in range(COLOURS * SHAPES)]
    assert len(set(classes)) == len(classes)
    shapes = {re.sub(r"[\d.,-]+", "", dot(0, 0, colour(i), "")) + str(i // COLOURS) for i in range(60)}
    assert len(shapes) >= SHAPES


@settings(max_examples=60, deadline=None)
@given(
    st.lists(st.tuples(st.floats(50, 440), st.floats(10, 260), st.text("abc m", min_size=1, max_size=28)), max_size=12),
    st.lists(st.tuples(st.floats(50, 400), st.floats(10, 250)), max_size=5),
)
def test_placed_labels_meet_neither_each_other_nor_points(points, bars):
    room = Box(46, 0, 460, 270)
    avoided = [Box(x, y, x + 30, y + 2) for x, y in bars]
    boxes = [
        Box(place[0], place[1] - 11, place[0] + text_width(text), place[1] + 3)
        for place, (_, _, text) in zip(placed(points, room, avoided), points, strict=True)
        if place is not None
    ]
    assert not any(a.meets(b) for a, b in itertools.combinations(boxes, 2))
    assert not any(box.left < x < box.right and box.top < y < box.bottom for box in boxes for x, y, _ in points)
    assert all(room.holds(box) for box in boxes)


def test_off_stands_where_a_setting_has_no_effect():
    def order(setting, values):
        return [value_label(setting, value) for value in sorted(values, key=lambda value: effect(setting, value))]

    assert order("top_k", [0, 40, 5]) == ["5", "40", "off"]
    assert order("top_p", [1, 0.9, 0.5]) == ["0.5", "0.9", "off"]
    assert order("no_repeat_ngram_size", [3, 0]) == ["off", "3"]
    assert order("repetition_penalty", [1.2, 1.0]) == ["off", "1.2"]
    assert order("num_beams", [10, 1]) == ["1", "10"]


def test_seeds_are_one_point_from_the_lowest_to_the_highest(tmp_path):
    data, runs = examples(30, references=3), []
    for k, seed in itertools.product((5, 0), (1, 2, 3)):
        path = write_run(
            tmp_path, data, replies(data, k * 10 + seed, 0.2 + seed / 10), name=f"k{k}s{seed}",
            decoding={"name": "topk", "strategy": "sample", "top_k": k},
        )  # fmt: skip
        config = path / "config.yaml"
        config.write_text(re.sub(r"^seed: .*$", f"seed: {seed}", config.read_text(), flags=re.M))
        runs.append(load_run(RunFolder(path)))
    assert {run.settings.seed for run in runs} == {1, 2, 3}
    (plot,) = (p for p in setting_plots([run.name for run in runs], runs) if p.title == "NIST-4 by top k")
    svg = str(plot.svg)
    assert "Mean over seeds" in plot.note and svg.count('class="seed') == 6 and svg.count('class="dot') == 2
    values = [run.scores["nist4"] for run in runs[:3]]
    assert f"5, 3 seeds: mean {sum(values) / 3:.2f}, {min(values):.2f} to {max(values):.2f}" in svg
    assert "seed" not in {p.title.split(" by ")[1] for p in setting_plots([r.name for r in runs], runs)}


@pytest.mark.parametrize("real", [True, False])
def test_a_forest_of_one_kind_has_one_heading_and_marks_long_intervals(real):
    rows = [Row("a", 1.0, -200.0, 300.0, "+1", real, "k1 s0"), Row("b", -2.0, -3.0, -1.0, "-2", real, "k1 s0")]
    svg = str(forest("t", "", rows, "%").svg)
    assert ("Not told apart" in svg) != real and svg.count("<polygon") == 2  # arrows at both ends of the first
    assert "hollow" in svg or real
    empty = str(forest("t", "", [Row("a", 0.0, 0.0, 0.0, "0", real, "k1 s0")], "").svg)
    assert "NaN" not in empty and "inf" not in empty
