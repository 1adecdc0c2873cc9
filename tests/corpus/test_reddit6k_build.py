"""`dialoeval build reddit6k`: the published builder's output, its quirks, and what is counted."""

from __future__ import annotations

import gzip
import json
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from dialoeval import data
from dialoeval.cli.main import main
from dialoeval.config import DatasetConfig
from dialoeval.corpus.reddit6k import Built, build
from dialoeval.data.content import content

ROWS = [
    ("s,p,a", "hi there", "one “two”"),
    ("s,p,b", "hi there", "three"),
    ("s,q,c", "other words", "four"),
    ("s,q,d", "hi “there”", "five"),
    ("s,q,e", 'hi "there"', "six"),
]


def write(path: Path, lines: list[str]) -> str:
    path.write_text("".join(f"{line}\n" for line in lines), encoding="utf-8")
    return str(path)


def made(tmp_path: Path, ids: list[str], rows: object = ROWS, **more: object) -> tuple[Built, str]:
    lines = ["\t".join(row) for row in rows]  # type: ignore[attr-defined]
    out = tmp_path / "set.txt"
    built = build(write(tmp_path / "rows.tsv", lines), write(tmp_path / "ids.txt", ids), out, **more)  # type: ignore[arg-type]
    return built, out.read_text("utf-8")


@pytest.mark.oracle
def test_the_published_builders_bytes(shared, tmp_path, capsys):
    folder = shared / "reddit_extract"
    expected = (folder / "test.scored_refs.txt").read_bytes()
    out = tmp_path / "new" / "test.scored_refs.txt"
    human = write(
        tmp_path / "human.txt", [line.split("\t")[-1].split("|")[1] for line in expected.decode().splitlines()]
    )
    arguments = ["--rows", str(folder / "test.tsv.gz"), "--ids", str(folder / "ids.txt"), "--out", str(out)]
    assert main(["build", "reddit6k", *arguments, "--human", human]) == 0
    assert out.read_bytes() == expected
    printed = capsys.readouterr()
    assert "18 of 18 lines, 227 references" in printed.out and "18 of 18 lines (100.00%)" in printed.out
    assert not printed.err
    manifest = json.loads(out.with_name("test.scored_refs.txt.manifest.json").read_text("utf-8"))
    assert manifest["output"]["sha256"] == content(out).sha256 and manifest["counts"]["human_equal"] == 18
    plain = tmp_path / "rows.tsv"
    plain.write_bytes(gzip.decompress((folder / "test.tsv.gz").read_bytes()))
    build(str(plain), str(folder / "ids.txt"), tmp_path / "again.txt")
    assert (tmp_path / "again.txt").read_bytes() == expected


@pytest.mark.oracle
def test_the_same_from_the_dumps(shared, tmp_path):
    folder = shared / "reddit_extract"
    sessions = ["--dumps", str(folder), "--months", "2011-01", "--out", str(tmp_path / "out"), "split=test"]
    assert main(["build", "sessions", *sessions]) == 0
    rows, out = tmp_path / "out" / "rows.tsv", tmp_path / "set.txt"
    assert main(["build", "reddit6k", "--rows", str(rows), "--ids", str(folder / "ids.txt"), "--out", str(out)]) == 0
    assert out.read_bytes() == (folder / "test.scored_refs.txt").read_bytes()


@pytest.mark.oracle
def test_the_set_is_what_the_dataset_reads(shared, tmp_path):
    folder = shared / "reddit_extract"
    out = tmp_path / "set.txt"
    build(str(folder / "test.tsv.gz"), str(folder / "ids.txt"), out)
    dataset = data.load(DatasetConfig(name="reddit6k", kind="reddit6k", path=str(out)))
    rows = {}
    for _, line in content(folder / "test.tsv.gz").text_lines():
        keys, source, target = line.replace("“", '"').replace("”", '"').split("\t")
        rows[keys] = (tuple(source.split(" EOS ")), target)
    for example, (_, line) in zip(dataset.examples, content(folder / "ids.txt").text_lines(), strict=True):
        keys = [cell.split(",", 1)[1] for cell in line.split("\t")[1:]]
        assert example.context == rows[keys[0]][0] and example.human == rows[keys[-1]][1]
        assert list(example.references) == [rows[key][1] for key in keys[:-1]]


def test_missing_references_other_sources_and_lost_lines(tmp_path):
    ids = [
        "multiref\t9,s,p,a\t5,s,p,x\t4,s,q,c\t3,s,p,b",  # one missing, one of another source
        "multiref\t9,s,p,x\t5,s,p,a",  # lost
        "",
        "multiref\t9,s,q,d\t1,s,q,e",  # sources that differ in quotes only are equal
        "other\t9,s,p,a\t1,s,q,c",  # its human reply has another source; one reference is left
        "multiref\t1,s,p,b\t9,s,p,a",
    ]
    built, text = made(tmp_path, ids)
    assert text == (
        'hi there\t9|one "two"\t3|three\n'
        'hi "there"\t9|five\t1|six\n'
        'hi there\t9|one "two"\n'
        'hi there\t1|three\t9|one "two"\n'
    )
    counts = built.counts
    assert (counts.lines, counts.lines_written, counts.lines_lost) == (5, 4, 1)
    assert (counts.references, counts.references_written) == (12, 7)
    assert (counts.references_missing, counts.references_of_another_source) == (1, 2)
    assert (counts.lines_without_human, counts.lines_of_one_reference) == (1, 1)
    assert (counts.lines_not_by_score, counts.lines_of_another_header) == (1, 1)
    assert built.numbers["lines_lost"] == [2] and built.numbers["lines_without_human"] == [5]
    built, text = made(tmp_path, ids, drop_without_human=True)
    assert text.count("\n") == 3 == built.counts.lines_written and built.counts.lines_without_human == 1


def test_the_last_row_of_a_key_counts_and_ends_are_stripped(tmp_path):
    rows = [("s,p,a", "hi", "first"), ("s,p,a", "hi", "second \u00a0"), ("s,p,b", "hi", "x")]
    built, text = made(tmp_path, ["multiref\t2,s,p,a\t1,s,p,b  "], rows)
    assert text == "hi\t2|second\t1|x\n" and built.counts.repeated_rows == 1


def test_the_check_against_the_published_human_replies(tmp_path):
    ids = ["multiref\t2,s,p,a\t1,s,p,b", "multiref\t2,s,p,a\t1,s,p,x", "multiref\t2,s,p,b\t1,s,p,a"]
    human = write(tmp_path / "human.txt", ["three", "one “two”", "one “two”"])
    counts = made(tmp_path, ids, human=human)[0].counts
    assert (counts.human_compared, counts.human_equal) == (2, 2)  # the second line has lost its human reply
    human = write(tmp_path / "human.txt", ["three", "three", "five"])
    assert made(tmp_path, ids, human=human)[0].counts.human_equal == 1


@given(st.lists(st.lists(st.integers(0, 6), min_size=1, max_size=6), min_size=1, max_size=6))
@settings(max_examples=40, deadline=None)
def test_every_reference_is_accounted_for(tmp_path_factory, lines):
    rows = [("s,p,0", "a", "w0"), *((f"s,p,{i}", "ab"[i % 2], f"w{i}") for i in range(1, 5))]  # 5 and 6 are missing
    lines = [[0], *lines]
    ids = ["multiref\t" + "\t".join(f"{i},s,p,{i}" for i in line) for line in lines]
    built, text = made(tmp_path_factory.mktemp("built"), ids, rows)
    counts = built.counts
    in_lost_lines = sum(len(line) for line in lines if line[0] > 4)
    assert (
        counts.references
        == sum(map(len, lines))
        == in_lost_lines + (counts.references_written + counts.references_missing + counts.references_of_another_source)
    )
    assert counts.lines == counts.lines_written + counts.lines_lost
    cells = [line.split("\t") for line in text.splitlines()]
    assert len(cells) == counts.lines_written and sum(map(len, cells)) - len(cells) == counts.references_written
    assert all(cell == f"{cell[0]}|w{cell[0]}" for row in cells for cell in row[1:])


@pytest.mark.parametrize(
    ("ids", "rows", "said"),
    [
        (["multiref"], ROWS, "ids.txt, line 1: expected multiref"),
        (["multiref\t9"], ROWS, "ids.txt, line 1: expected multiref"),
        (["multiref\t9,s,p,a"], [("s,p,a", "hi")], "rows.tsv, line 1: expected keys, source, target by tabs, found 2"),
        (["multiref\t9,z"], ROWS, "has the first reference of none of the 1 lines"),
    ],
)
def test_mistakes_are_one_sentence_and_write_nothing(tmp_path, capsys, ids, rows, said):
    files = [write(tmp_path / "rows.tsv", ["\t".join(row) for row in rows]), write(tmp_path / "ids.txt", ids)]
    out = tmp_path / "set.txt"
    out.write_text("before")
    assert main(["build", "reddit6k", "--rows", files[0], "--ids", files[1], "--out", str(out)]) == 2
    error = capsys.readouterr().err
    assert said in error and error.count("\n") == 1
    assert out.read_text() == "before" and not (tmp_path / "set.txt.manifest.json").exists()
    assert main(["build", "reddit6k", "--rows", files[0], "--ids", files[1], "--out", files[1]]) == 2
    assert "give the set another name" in capsys.readouterr().err


def test_what_was_lost_is_said(tmp_path, capsys):
    rows = write(tmp_path / "rows.tsv", ["\t".join(row) for row in ROWS])
    ids = write(tmp_path / "ids.txt", ["multiref\t9,s,p,a\t1,s,p,x", "multiref\t9,s,p,x\t1,s,p,a"])
    command = ["build", "reddit6k", "--rows", rows, "--ids", ids, "--out", str(tmp_path / "set.txt")]
    assert main(command) == 0
    printed = capsys.readouterr()
    assert "1 of 2 lines, 1 references" in printed.out
    assert "their last column, which dataset=reddit6k takes for it, is another reply" in printed.err
    assert "1 lines are lost" in printed.err and "(lines 2 of the list)" in printed.err
    human = write(tmp_path / "human.txt", ["x"])
    assert main([*command, "--human", human]) == 2
    assert "has 1 lines, but the list of ids has 2" in capsys.readouterr().err
