"""Assignment: k distinct judges an item, sides balanced, leases, gold items, repeats, surplus."""

from __future__ import annotations

import tempfile
from collections import Counter
from dataclasses import replace
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from support.judging import study

from dialoeval.judging.assign import GAP, Nothing, check_gold, next_item
from dialoeval.judging.design import Gold, GoldRule
from dialoeval.judging.items import Study
from dialoeval.judging.judgments import ItemKind, Standing, StudyKind
from dialoeval.judging.store import Store, judgments

NO_GOLD = Gold(share=0, first=0)


@pytest.fixture(scope="module")
def base(tmp_path_factory):
    return study(tmp_path_factory.mktemp("base"), contexts=10, human=True)


OPEN: list[Store] = []


@pytest.fixture(autouse=True)
def closed():
    yield
    while OPEN:
        OPEN.pop().close()


def copy(base: Study, folder: Path, **design) -> Store:
    """A store in an empty folder, for the same items under another design."""
    folder.mkdir(exist_ok=True)
    OPEN.append(Store(Study(folder, replace(base.design, **design), base.items)))
    return OPEN[-1]


def answer(store, assignment, value="a"):
    questions = store.study.design.questions
    assert store.record(assignment.token, assignment.judge, {q.name: value for q in questions})


@settings(max_examples=12, deadline=None)
@given(
    k=st.integers(1, 4),
    people=st.integers(1, 14),
    block=st.sampled_from([2, 4, 50]),
    turns=st.lists(st.tuples(st.integers(0, 13), st.sampled_from(["done", "done", "done", "left"])), max_size=150),
)
def test_items_get_k_distinct_judges_and_balanced_sides(base, k, people, block, turns):
    with tempfile.TemporaryDirectory() as folder:
        store = copy(base, Path(folder), judges_per_item=k, block=block)
        names = [f"j{i}" for i in range(people)]
        for name in names:
            store.add_judge(name)
        now = 1000.0
        for who, what in turns:  # judges come and go; some leave without an answer
            judge = names[who % people]
            found = next_item(store, judge, now)
            if not isinstance(found, Nothing) and what == "done":
                answer(store, found)
            now += 400
        now += 1e6
        while True:  # all leases are over: whoever has something left finishes
            found = [next_item(store, name, now) for name in names]
            if all(isinstance(one, Nothing) for one in found):
                break
            for one in found:
                if not isinstance(one, Nothing):
                    answer(store, one)
        rows = list(store.connection().execute("SELECT item, judge, left_system FROM assignments WHERE done_at"))
        real = {item.item: item for item in base.judged}
        done = Counter(item for item, _, _ in rows if item in real)
        assert set(done.values()) == {min(k, people)} and len(done) == len(real)
        assert len({(item, judge) for item, judge, _ in rows}) == len(rows)
        if people >= k:
            left = Counter()
            for item, _, system in rows:
                if item in real:
                    left[real[item].systems, system == real[item].systems[0]] += 1
            for pair in base.design.pairs:
                assert abs(left[pair, True] - left[pair, False]) <= 1, left
            total = sum(n if first else -n for (_, first), n in left.items())
            assert abs(total) <= 1
        store.close()


def test_a_reload_changes_nothing_even_after_the_lease(base, tmp_path):
    store = copy(base, tmp_path, gold=NO_GOLD)
    store.add_judge("a")
    first = next_item(store, "a", 0)
    assert next_item(store, "a", 60) == first
    assert next_item(store, "a", 1e6) == first
    answer(store, first)
    assert next_item(store, "a", 1e6 + 1).token != first.token


def test_a_late_answer_is_kept_as_surplus(base, tmp_path):
    store = copy(base, tmp_path, judges_per_item=1, gold=NO_GOLD, repeats=0)
    for name in "ab":
        store.add_judge(name)
    late = next_item(store, "a", 0)
    now, done = 1e6, set()
    while not isinstance(found := next_item(store, "b", now), Nothing):
        done.add(found.item.item)
        answer(store, found)
    assert late.item.item in done
    answer(store, late, "b")
    rows = [row for row in judgments(store.study).rows if row.item == late.item.item]
    assert {row.judge: row.standing for row in rows} == {"a": Standing.surplus, "b": Standing.counted}
    assert isinstance(next_item(store, "a", now), Nothing)


def test_waiting_for_anothers_lease_says_how_long(base, tmp_path):
    store = copy(base, tmp_path, judges_per_item=1, gold=NO_GOLD, repeats=0)
    for name in "ab":
        store.add_judge(name)
    next_item(store, "a", 0)
    while not isinstance(found := next_item(store, "b", 60), Nothing):
        answer(store, found)
    assert found == Nothing(29)
    assert not isinstance(next_item(store, "b", 1e6), Nothing)


def test_gold_items_first_then_a_share_and_the_rule_excludes(base, tmp_path):
    store = copy(base, tmp_path, judges_per_item=1, gold=Gold(0.1, 3, 0.7, GoldRule.exclude), repeats=0)
    for name in ("good", "bad", "other"):
        store.add_judge(name)
    kinds = []
    for _ in range(25):
        found = next_item(store, "good", 0)
        kinds.append(found.item.kind)
        right = found.item.kind == ItemKind.gold and found.left == "fitting"
        answer(store, found, "a" if right else "b")
        assert not check_gold(store, "good")
    assert kinds[:3] == [ItemKind.gold] * 3 and ItemKind.gold not in kinds[3:13] and kinds.count(ItemKind.gold) == 5
    for i in range(6):  # three, and three more since they were wrong
        found = next_item(store, "bad", 0)
        assert found.item.kind == ItemKind.gold
        answer(store, found, "b" if found.left == "fitting" else "a")
        assert check_gold(store, "bad") == (i == 5)
    read = judgments(store.study)
    assert read.excluded == {"bad"}
    gold = [row for row in read.rows if row.kind == ItemKind.gold and row.question == "relevance"]
    assert {(row.judge, row.value == row.gold) for row in gold} == {("good", True), ("bad", False)}


def test_an_excluded_judges_items_go_to_others(base, tmp_path):
    store = copy(base, tmp_path, judges_per_item=1, gold=NO_GOLD, repeats=0)
    for name in "ab":
        store.add_judge(name)
    first = next_item(store, "a", 0)
    answer(store, first)
    store.set_status("a", "excluded", "")
    seen = set()
    while not isinstance(found := next_item(store, "b", 1), Nothing):
        seen.add(found.item.item)
        answer(store, found)
    assert first.item.item in seen
    assert {r.judge: r.standing for r in judgments(store.study).rows if r.item == first.item.item} == {
        "a": Standing.counted,
        "b": Standing.counted,
    }


def test_repeats_come_late_with_swapped_sides(base, tmp_path):
    store = copy(base, tmp_path, judges_per_item=1, gold=NO_GOLD, repeats=0.2)
    store.add_judge("a")
    order = []
    while not isinstance(found := next_item(store, "a", 0), Nothing):
        order.append(found)
        answer(store, found)
    repeats = [(i, one) for i, one in enumerate(order) if one.item.kind == ItemKind.repeat]
    assert repeats
    for i, one in repeats:
        j, before = next((j, o) for j, o in enumerate(order) if o.item.item + "-again" == one.item.item)
        assert i - j >= GAP and before.left == one.right and before.right == one.left


def test_a_context_is_new_to_a_judge_where_possible_and_flagged_where_not(base, tmp_path):
    store = copy(base, tmp_path, gold=NO_GOLD, repeats=0)
    names = [f"j{i}" for i in range(9)]
    for name in names:
        store.add_judge(name)
    for _ in range(10):
        for name in names:
            answer(store, next_item(store, name, 0))
    assert all(isinstance(next_item(store, name, 0), Nothing) for name in names)
    assert {row.flags for row in judgments(store.study).rows} == {()}
    (tmp_path / "few").mkdir()
    few = copy(base, tmp_path / "few", judges_per_item=1, gold=NO_GOLD, repeats=0)
    few.add_judge("a")
    while not isinstance(found := next_item(few, "a", 0), Nothing):
        answer(few, found)
    flags = Counter(row.flags for row in judgments(few.study).rows if row.question == "relevance")
    assert flags == {(): 10, ("repeat_context",): 20}


def test_the_most_a_judge_may_do(base, tmp_path):
    store = copy(base, tmp_path, max_per_judge=4)
    store.add_judge("a")
    kinds = Counter()
    while not isinstance(found := next_item(store, "a", 0), Nothing):
        kinds[found.item.kind] += 1
        answer(store, found)
    assert kinds[ItemKind.real] == 4


def test_values_follow_the_systems_whatever_the_side(base, tmp_path):
    store = copy(base, tmp_path, judges_per_item=2, gold=NO_GOLD, repeats=0)
    for name in "ab":
        store.add_judge(name)
    for name in "ab":
        while not isinstance(found := next_item(store, name, 0), Nothing):
            answer(store, found, "a" if found.left == found.item.systems[0] else "b")
    read = judgments(store.study)
    assert {row.value for row in read.rows} == {1} and len(read.rows) == 30 * 2 * 3
    assert Counter(row.shown_first == row.systems[0] for row in read.rows) == {True: 90, False: 90}
    assert read == judgments(store.study)  # reading again gives the same rows and hash


def test_ratings(tmp_path):
    made = study(tmp_path, kind=StudyKind.likert, contexts=4, human=True, gold=Gold(0, 2))
    store = Store(made)
    OPEN.append(store)
    store.add_judge("a")
    while not isinstance(found := next_item(store, "a", 0), Nothing):
        assert found.right is None
        answer(store, found, "4" if found.item.kind == ItemKind.real else "1")
    read = judgments(made)
    real = [row for row in read.rows if row.kind == ItemKind.real]
    assert Counter(row.systems for row in real) == {(name,): 8 for name in made.design.systems}
    assert {row.value for row in real} == {4} and {row.shown_first for row in read.rows} == {None}
    assert {(r.value, r.gold) for r in read.rows if r.kind == ItemKind.gold and r.question == "relevance"} == {(1, 1)}
