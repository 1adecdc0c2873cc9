"""`dialoeval build sessions`: linked threads, files that are no dumps, builds that are in the way."""

from __future__ import annotations

import resource
from collections import Counter
from itertools import pairwise
from pathlib import Path

import pytest

from dialoeval.corpus.recipe import parse
from dialoeval.corpus.sessions import build_sessions
from dialoeval.errors import UserError
from tests.support.reddit import comment, extract, submission, write_month

THREAD = [comment("a"), comment("b", "t1_a", "an answer to it"), comment("c", "t1_b", "and one more")]


def built(folder: Path, *given: str, months=("2011-01",), out="out", **options):
    result = build_sessions(folder, list(months), folder / out, parse(given), workers=1, **options)
    return result, (folder / out / "rows.tsv").read_bytes()


@pytest.mark.parametrize("scope", ["month", "all"])
def test_a_parent_in_another_thread_is_found_in_any_number_of_partitions(scope, tmp_path):
    names = [f"{number:x}" for number in range(40, 60)]
    comments = [comment(f"c{name}", f"t3_{name}", f"the words of {name}", link_id=f"t3_{name}") for name in names]
    chain = [f"c{name}" for name in names[5:15]]  # each answers the one before, in another thread
    comments += [
        comment(f"r{one}", f"t1_{'r' * (i > 0)}{before}", f"here is {one}", link_id=f"t3_{one[1:]}")
        for i, (before, one) in enumerate(pairwise(chain))
    ]
    comments += [comment("c2a", "t1_c2b", "in a thread that is not its own", link_id="t3_33")]
    comments += [comment("cé", "t1_c28", "odd names", link_id="t3_29"), comment("x", "t1_cé", "too", link_id="t3_2c")]
    heads = [submission(name) for name in names]
    write_month(tmp_path, "2011-01", comments if scope == "month" else [], heads)
    write_month(tmp_path, "2011-02", [] if scope == "month" else comments, [])
    rows, skipped = extract(comments, heads, clean=True, title=False, leaves=True)
    assert rows.count("\n") >= 3
    for parts in (1, 2, 3, 7):
        months = ("2011-01",) if scope == "month" else ("2011-01", "2011-02")
        result, found = built(tmp_path, f"scope={scope}", months=months, parts=parts, out=f"out{parts}")
        assert found == rows.encode() and Counter(result.skipped) == skipped


@pytest.mark.parametrize("kind", ["RC", "RS"])
@pytest.mark.parametrize("other", ["page", "noise", "the other kind"])
def test_a_file_that_is_no_dump_is_refused(kind, other, tmp_path):
    write_month(tmp_path, "2011-01", THREAD, [submission()])
    twin = tmp_path / f"{'RS' if kind == 'RC' else 'RC'}_2011-01"
    content = {"page": b"<html>\n404\n</html>\n", "noise": bytes(range(256)) * 9, "the other kind": twin.read_bytes()}
    (tmp_path / f"{kind}_2011-01").write_bytes(content[other])
    with pytest.raises(UserError, match=rf"{kind}_2011-01 is no dump of (comments|submissions): none of its lines"):
        built(tmp_path)


def test_a_month_without_rows_is_said(tmp_path, caplog):
    write_month(tmp_path, "2011-01", THREAD, [submission()])
    write_month(tmp_path, "2011-02", THREAD, [submission(num_comments=0)])
    assert built(tmp_path, months=("2011-01", "2011-02"))[0].rows == 1
    assert [record.getMessage() for record in caplog.records if record.levelname == "WARNING"] == [
        "2011-02 has no rows: lines.tsv and skipped.tsv say where its 3 comments went"
    ]


@pytest.mark.parametrize(
    ("given", "months", "message"),
    [
        (["split=test"], ["2011-01"], "another build, with split=train, leaves_only=yes: choose"),
        (["words=W"], ["2011-01"], "another build, with words=none: choose"),
        ([], ["2011-01", "2011-02"], r"of the months 2011-01 \(a finished build is not extended\): choose"),
        ([], ["2011-02"], r"of the months 2011-01 \(a"),
    ],
)
def test_what_differs_in_the_build_that_is_in_the_way(given, months, message, tmp_path):
    for month in ("2011-01", "2011-02"):
        write_month(tmp_path, month, THREAD, [submission()])
    (tmp_path / "words.txt").write_text("damn\n")
    built(tmp_path)
    with pytest.raises(UserError, match=message):
        built(tmp_path, *(one.replace("=W", f"={tmp_path}/words.txt") for one in given), months=months)


def test_what_differs_in_the_build_that_was_begun(tmp_path):
    write_month(tmp_path, "2011-01", THREAD, [submission()])
    (tmp_path / "RC_2011-01").write_bytes(b"nothing\n")
    with pytest.raises(UserError, match="no dump"):
        built(tmp_path)
    with pytest.raises(UserError, match=r"beginning of another build, with max_depth=5: choose .* or remove"):
        built(tmp_path, "max_depth=10")


def test_other_dumps_of_the_same_months_are_named(tmp_path):
    write_month(tmp_path, "2011-01", THREAD, [submission()])
    built(tmp_path)
    write_month(tmp_path, "2011-01", THREAD * 2, [submission()])
    with pytest.raises(UserError, match="of other dumps of these months"):
        built(tmp_path)


@pytest.mark.parametrize(
    ("setting", "content", "message"),
    [
        ("keys", "t3_s,t1_a,dep\n", "no line of 2011-01 is a link, a comment and `dep`"),
        ("discard", "t3_s\tt1_a\tkeep\n", "no line of 2011-01 is the 56 hexadecimal digits"),
        ("words", None, "is a folder: expected a file"),
        ("subreddits", None, "is a folder: expected a file"),
        ("keys", None, "no such file: .*2011-01.gz"),
    ],
)
def test_a_list_that_is_something_else_is_refused(setting, content, message, tmp_path):
    write_month(tmp_path, "2011-01", THREAD, [submission()])
    path = tmp_path / "list"
    path.mkdir() if content is None else path.write_text(content)
    with pytest.raises(UserError, match=message):
        built(tmp_path, f"{setting}={path}")


@pytest.mark.parametrize("workers", [1, 2])
def test_a_list_that_changed_is_read_anew_by_the_next_build(workers, tmp_path):
    write_month(tmp_path, "2011-01", THREAD, [submission()])
    words, weights = tmp_path / "words.txt", []
    for number, text in enumerate(("damn\n", "answer\n", "more\n")):
        words.write_text(text)
        out = tmp_path / f"out{number}"
        build_sessions(tmp_path, ["2011-01"], out, parse([f"words={words}"]), workers=workers)
        fields = (out / "rows.tsv").read_text().rstrip("\n").split("\t")
        weights.append([turn[:3] for text in fields[1:] for turn in text.split(" EOS ")])
    assert weights == [["1.0", "1.0", "1.0"], ["1.0", "0.0", "1.0"], ["1.0", "1.0", "0.0"]]


def test_partitions_need_more_open_files_than_some_systems_begin_with(tmp_path):
    write_month(tmp_path, "2011-01", THREAD, [submission()])
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    resource.setrlimit(resource.RLIMIT_NOFILE, (64, hard))
    try:
        result, _ = built(tmp_path, parts=80)
    finally:
        resource.setrlimit(resource.RLIMIT_NOFILE, (soft, hard))
    assert result.rows == 1
