"""Studies edited by hand, databases that are not theirs, runs that do not fit: refused, never a figure in silence."""

from __future__ import annotations

import contextlib
import json
import os
import sqlite3
import threading
from contextlib import closing

import pytest
from support.judging import HELD_OUT, runs, study
from support.report_runs import examples, replies, write_run

from dialoeval.cli.main import main
from dialoeval.errors import UserError
from dialoeval.judging.analysis import analyse
from dialoeval.judging.assign import check_gold, next_item
from dialoeval.judging.design import TITLES, Gold, GoldRule, Identical, named_in
from dialoeval.judging.estimates import Settings
from dialoeval.judging.items import load_study
from dialoeval.judging.judgments import StudyKind
from dialoeval.judging.new import Options, describe, make_study
from dialoeval.judging.store import Store, judgments
from dialoeval.runs.folder import RunFolder
from dialoeval.runs.reader import load_run


def edit(made, old: str, new: str) -> None:
    file = made.path / "study.yaml"
    assert old in file.read_text()
    file.write_text(file.read_text().replace(old, new, 1))


def answered(made) -> None:
    """Open the study as `serve` does, with one answer."""
    with closing(Store(made)) as store:
        store.open_study()
        store.add_judge("alice")
        found = next_item(store, "alice")
        store.record(found.token, "alice", {question.name: "a" for question in made.design.questions})


@pytest.mark.parametrize(
    ("old", "new"),
    [
        ("pass: 0.7", "pass: 1.0"),
        ("share: 0.06", "share: 0.0"),
        ("repeats: 0.03", "repeats: 0.0"),
        ("min_seconds: 2", "min_seconds: 1.0"),
        ("lease_minutes: 30", "lease_minutes: 1.0"),
        ("max_per_judge: null", "max_per_judge: 1"),
    ],
)
def test_zero_and_one_are_numbers(tmp_path, old, new):
    made = study(tmp_path)
    edit(made, old, new)
    assert load_study(made.path).design != made.design


@pytest.mark.parametrize(
    ("old", "new", "message"),
    [
        ("lease_minutes: 30", "lease_minutes: .inf", "field lease_minutes must be a number, not inf"),
        ("lease_minutes: 30", "lease_minutes: 1.0e+300", "field lease_minutes must be at most 525600"),
        ("min_seconds: 2", "min_seconds: .nan", "field min_seconds must be a number, not nan"),
        ("min_seconds: 2", "min_seconds: true", "field min_seconds must be a number, not True"),
        ("title: Which reply", "title: Is ZebraFinch or which reply", "field title names the system 'zebrafinch'"),
        ("text: Which one is more relevant", "text: Is quokkamodel", r"field questions\[0\] names the system 'quokkam"),
        ("name: relevance", "name: sense", "to the question 'relevance', which study.yaml does not have"),
    ],
)
def test_what_a_study_file_cannot_say(tmp_path, old, new, message):
    made = study(tmp_path)
    edit(made, old, new)
    with pytest.raises(UserError, match=message):
        load_study(made.path)


def test_a_system_is_named_by_a_whole_word():
    assert named_in("Which one is by a HUMAN, a or b?", ["human", "a", "b"]) is None
    assert named_in("the tinyness of replies", ["tiny"]) is None
    assert named_in("nothing by Tiny.", ["beam", "tiny"]) == "tiny"
    assert named_in("gpt-2 (beam)", ["gpt-2"]) == "gpt-2"


@pytest.mark.parametrize("kind", list(StudyKind))
def test_a_system_may_be_called_as_a_word_of_our_own_questions(tmp_path, kind):
    data = examples(20, references=3)
    said = {name: replies(data, i) for i, name in enumerate(("one", "reply", "more", "agree"))}
    made = make_study(runs(tmp_path, 20, said), Options(kind=kind), tmp_path / "s", tmp_path)
    assert load_study(made.path).design.title == TITLES[kind]


@pytest.mark.parametrize(
    ("row", "change"),
    [
        (0, {"context": "one text, not turns"}),
        (0, {"context": ["a", 1]}),
        (0, {"replies": ["a", "b"]}),
        (0, {"swapped": "false"}),
        (0, {"kind": "repeat"}),
        (0, {"gold": {"relevance": "zebrafinch"}}),
        (-1, {"gold": None}),
        (-1, {"gold": ["relevance"]}),
        (-1, {"gold": {"relevance": "fittin"}}),
        (-1, {"gold": {"relevance": 1}}),
        (-1, {"gold": {"relevence": "fitting"}}),
    ],
)
def test_damaged_items_are_refused_with_their_line(tmp_path, row, change):
    made = study(tmp_path)
    file = made.path / "items.jsonl"
    rows = [json.loads(line) for line in file.read_text().splitlines()]
    rows[row] |= change
    file.write_text("".join(json.dumps(each) + "\n" for each in rows))
    with pytest.raises(UserError, match=rf"items\.jsonl, line {row % len(rows) + 1}\b"):
        load_study(made.path)


def test_equal_replies_can_be_dropped_until_the_first_judge(tmp_path):
    first = replies(examples(20, references=3), 1)
    said = {"zebrafinch": first, "quokkamodel": [text if i < 8 else text + " so" for i, text in enumerate(first)]}
    made = make_study(runs(tmp_path / "reports", 20, said), Options(), tmp_path / "s", tmp_path)
    edit(made, "identical: tie", "identical: drop")
    again = load_study(made.path)
    assert again.design.identical == Identical.drop
    assert len(again.judged) == 12 and again.automatic == [] and judgments(again).rows == []


@pytest.mark.parametrize(
    ("name", "verb"), [("study.yaml", "status"), ("items.jsonl", "export"), ("study.yaml", "report")]
)
def test_files_edited_after_opening_give_no_figures(tmp_path, capsys, name, verb):
    made = study(tmp_path)
    answered(made)
    with (made.path / name).open("a") as file:
        file.write("\n")
    assert main(["judge", verb, str(made.path)]) == 2
    text = capsys.readouterr().err
    assert f"{name} has changed since the first judge" in text and text.count("\n") == 1


def test_the_database_of_another_study_or_program(tmp_path):
    made, other = study(tmp_path), study(tmp_path, name="other", seed=1)
    answered(other)
    made.database.write_bytes(other.database.read_bytes())
    with pytest.raises(UserError, match="has changed since the first judge"):
        judgments(made)
    for version in (0, 1):
        made.database.unlink()
        with closing(sqlite3.connect(made.database)) as db:
            db.execute("CREATE TABLE judges(x)")
            db.execute(f"PRAGMA user_version = {version}")
        for read_only in (True, False):
            with pytest.raises(UserError, match="holds no judgments of a study"):
                Store(made, read_only)


def test_a_server_killed_before_its_first_commit(tmp_path):
    made = study(tmp_path)
    made.database.write_bytes(b"")
    with pytest.raises(UserError, match="has no judgments yet"):
        Store(made, read_only=True)
    with closing(Store(made)) as store:
        assert store.counts() == (0, 0)


@contextlib.contextmanager
def unprivileged():
    """Without the right of root to write everywhere."""
    if os.geteuid() != 0:
        yield
        return
    os.seteuid(65534)
    try:
        yield
    finally:
        os.seteuid(0)


def reachable(path) -> None:
    for folder in path.parents:
        if str(folder).count("/") > 1 and folder.stat().st_uid == os.geteuid():
            folder.chmod(folder.stat().st_mode | 0o755)


@pytest.mark.skipif(not hasattr(os, "seteuid"), reason="Windows has other rights")
def test_a_read_only_database_and_folder(tmp_path, capsys):
    made = study(tmp_path)
    answered(made)
    reachable(made.database)
    assert main(["judge", "status", str(made.path)]) == 0  # imports what is needed
    for log in made.path.glob("judgments.sqlite-*"):
        log.unlink()
    capsys.readouterr()
    made.database.chmod(0o444)
    made.path.chmod(0o777)
    with unprivileged(), pytest.raises(UserError, match="make the folder writable and the file in it"):
        Store(made)
    for log in made.path.glob("judgments.sqlite-*"):
        log.unlink()
    made.path.chmod(0o555)
    try:
        with unprivileged():  # an archive: nothing can be written beside the file, all can be read
            assert len(judgments(made).rows) == 3
            assert main(["judge", "status", str(made.path)]) == 0
            assert main(["judge", "export", str(made.path)]) == 2
    finally:
        made.path.chmod(0o755)
    shown = capsys.readouterr()
    assert "alice  1 items" in shown.out and "Permission denied" in shown.err and shown.err.count("\n") == 1


def test_the_connections_of_threads_that_ended_are_closed(tmp_path):
    with closing(Store(study(tmp_path))) as store:
        for _ in range(30):
            thread = threading.Thread(target=store.progress)
            thread.start()
            thread.join()
        assert len(store._connections) <= 2


def test_runs_with_other_references_have_no_one_human_reply(tmp_path):
    data = examples(20, references=3)
    turned = [type(e)(e.id, e.context, e.references[::-1]) for e in data]
    pair = runs(tmp_path, 20)
    write_run(tmp_path, turned, replies(data, 4), name="run-turned", protocol=HELD_OUT)
    pair["turned"] = load_run(RunFolder(tmp_path / "run-turned"))
    with pytest.raises(UserError, match=r"id d0000: references of zebrafinch and turned differ"):
        make_study(pair, Options(human=True), tmp_path / "s", tmp_path)
    assert make_study(pair, Options(), tmp_path / "s", tmp_path)  # nobody asks for the human reply


def test_titles_and_replies_that_tell_who_they_are(tmp_path):
    data = examples(20, references=3)
    said = {"zebrafinch": replies(data, 1), "quokkamodel": ["I am Quokkamodel, " + text for text in replies(data, 2)]}
    pair = runs(tmp_path / "reports", 20, said)
    with pytest.raises(UserError, match="--title names the system 'quokkamodel'"):
        make_study(pair, Options(title="quokkamodel or not?"), tmp_path / "s", tmp_path)
    made = make_study(pair, Options(contexts=12), tmp_path / "s", tmp_path)
    assert "warning: 12 replies of quokkamodel have a system's name in them ('quokkamodel')" in describe(made)


def test_a_new_study_does_not_take_over_old_judgments(tmp_path):
    made = study(tmp_path)
    answered(made)
    (made.path / "study.yaml").unlink()
    with pytest.raises(UserError, match=r"has judgments of another study \(judgments.sqlite\)"):
        study(tmp_path)


def test_a_judge_fails_with_as_many_gold_items_as_there_are(tmp_path):
    made = study(tmp_path, n=4, contexts=4, gold=Gold(0.0, 3, 0.7, GoldRule.exclude))
    golds = len(made.golds)
    assert 0 < golds < 6
    with closing(Store(made)) as store:
        store.add_judge("bad")
        for i in range(golds):
            found = next_item(store, "bad")
            wrong = "b" if found.left == "fitting" else "a"
            store.record(found.token, "bad", {question.name: wrong for question in made.design.questions})
            assert check_gold(store, "bad") == (i == golds - 1)


@pytest.mark.parametrize("rule", list(GoldRule))
def test_a_judge_who_saw_gold_items_only_is_in_the_report(tmp_path, rule):
    """The rule excludes after the first gold items: who fails them has judged nothing else."""
    made = study(tmp_path, contexts=4, judges_per_item=1, gold=Gold(0.0, 2, 0.9, rule))
    values = {question.name: "a" for question in made.design.questions}
    with closing(Store(made)) as store:
        store.open_study()
        for name, wrong in (("bad", 4), ("good", 0)):
            store.add_judge(name)
            for i in range(4):
                found = next_item(store, name)
                value = "ab"[(found.left == "fitting") == (i < wrong)]
                store.record(found.token, name, values | {"relevance": value})
                check_gold(store, name)
    before = {line.judge: line for line in analyse(judgments(made), Settings(resamples=50)).judges}
    assert before["bad"].answers == 0 and before["bad"].flags == ("0 of 4 gold answers right",)
    assert before["good"].answers == 6 and before["good"].gold_passed == 2
    assert main(["judge", "report", str(made.path), "--resamples", "50"]) == 0
    assert "0 of 4 gold answers right" in (made.path / "report.md").read_text()


def test_the_studys_own_pass_mark_flags_judges(tmp_path):
    made = study(tmp_path, contexts=4, judges_per_item=1, gold=Gold(0.0, 4, 0.9))
    with closing(Store(made)) as store:
        store.open_study()
        store.add_judge("a")
        for i in range(6):
            found = next_item(store, "a")
            value = "ab"[(found.left == "fitting") == (i == 0)]
            store.record(found.token, "a", {question.name: value for question in made.design.questions})
    (line,) = analyse(judgments(made), Settings(resamples=50)).judges
    assert f"{line.gold_passed} of {line.gold} gold answers right" in line.flags and line.gold_passed >= 0.7 * line.gold


def test_the_organiser_has_the_last_word_over_the_gold_rule(tmp_path):
    made = study(tmp_path, contexts=6, gold=Gold(0.0, 2, 0.7, GoldRule.exclude))
    with closing(Store(made)) as store:
        store.add_judge("bad")
        excluded = []
        for i in range(6):
            found = next_item(store, "bad")
            wrong = "b" if found.left == "fitting" else "a"
            store.record(found.token, "bad", {question.name: wrong for question in made.design.questions})
            excluded.append(check_gold(store, "bad"))
            if i == 3:
                store.set_status("bad", "active", "by the organiser")
        assert excluded == [False, False, False, True, False, False] and store.progress()[0].status == "active"


def test_gold_items_of_new_contexts_come_first(tmp_path):
    """Where the study uses all contexts, its gold items are of contexts that a judge may have seen."""
    made = study(tmp_path, n=12, contexts=12, judges_per_item=1, gold=Gold(0.5, 1), repeats=0)
    with closing(Store(made)) as store:
        store.add_judge("a")
        seen, again, golds = set(), [], {item.example_id for item in made.golds}
        for _ in range(9):
            found = next_item(store, "a")
            if found.item.kind == "gold" and golds - seen:
                again.append(found.item.example_id in seen)
            seen.add(found.item.example_id)
            value = "a" if found.left == "fitting" else "b"
            store.record(found.token, "a", {question.name: value for question in made.design.questions})
        assert again and not any(again)


def test_a_judge_has_a_name_of_their_own(tmp_path):
    with closing(Store(study(tmp_path))) as store:
        for name in ("", " ", " a", "model:smollm2", "automatic", "a\nb", "\u202ea", "x" * 101):
            with pytest.raises(UserError, match="is not a name for a judge"):
                store.add_judge(name)
        assert store.progress() == []


@pytest.mark.parametrize("k", [2, 4])
def test_a_judge_who_comes_back_finds_the_sides_still_balanced(tmp_path, k):
    """With an even number of judges, each side of every item is shown equally often, late ones included."""
    made = study(tmp_path, contexts=10, gold=Gold(0, 0), repeats=0, judges_per_item=k)
    with closing(Store(made)) as store:
        names = [f"j{i}" for i in range(k)]
        for name in names:
            store.add_judge(name)
        held = next_item(store, names[0], 0)  # its lease ends, others take the item, then its judge comes back
        now = 1e6
        for name in names[1:]:
            while (found := next_item(store, name, now)) and hasattr(found, "token"):
                store.record(found.token, name, {question.name: "a" for question in made.design.questions})
        again = next_item(store, names[0], now)
        assert again.token == held.token
        while hasattr(found := next_item(store, names[0], now), "token"):
            store.record(found.token, names[0], {question.name: "a" for question in made.design.questions})
        sql = "SELECT item, SUM(left_system = 'zebrafinch'), COUNT(*) FROM assignments GROUP BY item"
        assert {(left, n) for _, left, n in store.connection().execute(sql)} == {(k // 2, k)}


def test_a_stopped_judges_item_is_free_at_once(tmp_path):
    made = study(tmp_path, contexts=1, gold=Gold(0, 0), repeats=0, judges_per_item=1)
    with closing(Store(made)) as store:
        store.add_judge("a")
        store.add_judge("b")
        held = next_item(store, "a")
        assert next_item(store, "b").minutes == 30
        store.set_status("a", "stopped", "")
        assert next_item(store, "b").item == held.item


def test_a_clock_set_back_loses_and_doubles_nothing(tmp_path):
    """Leases use wall time; the order of answers, and so which of them count, uses their numbers."""
    made = study(tmp_path, contexts=3, gold=Gold(0, 0), repeats=0, judges_per_item=1)
    values = {question.name: "a" for question in made.design.questions}
    with closing(Store(made)) as store:
        store.open_study()
        store.add_judge("a")
        store.add_judge("b")
        first = next_item(store, "a", 1e9)
        assert next_item(store, "a", 1e6) == first  # the lease holds, far in the future now
        store.record(first.token, "a", values)
        while hasattr(found := next_item(store, "b", 1e6), "token"):
            store.record(found.token, "b", values)
        undone = store.last_done("b")
        while hasattr(found := next_item(store, "a", 1e6), "token"):
            store.record(found.token, "a", values)
        assert store.last_done("b") == undone
    rows = [row for row in judgments(made).rows if row.question == "relevance"]
    assert len(rows) == len({row.item for row in rows}) == 3 and all((row.seconds or 0) >= 0 for row in rows)


def test_exports_of_the_same_answers_are_the_same_bytes(tmp_path):
    from dialoeval.judging.export import export

    made = study(tmp_path, contexts=4, human=True, comment=True)
    with closing(Store(made)) as store:
        store.open_study()
        for name in ("zoë", "أحمد", "=1+1"):
            store.add_judge(name)
            for _ in range(6):
                found = next_item(store, name)
                store.record(
                    found.token, name, {question.name: "b" for question in made.design.questions}, "tab\there\nnew 🙂"
                )
        files = export(made)[1]  # while the store is open, as `judge export` beside `judge serve`
        first = {file.name: file.read_bytes() for file in files}
        assert set(first) == {"judgments.jsonl", "judgments.tsv", "comments.jsonl"}
        export(made)
        assert {file.name: file.read_bytes() for file in files} == first
    export(load_study(made.path))
    assert {file.name: file.read_bytes() for file in files} == first
    lines = first["judgments.tsv"].decode().splitlines()
    assert len(lines) == 1 + 3 * 6 * 3 and {line.count("\t") for line in lines} == {12}
