"""`dialoeval build dstc7`: conversations as the published script writes them, by their keys; what was not found."""

from __future__ import annotations

import hashlib
import json
import random
import re
from pathlib import Path

import pytest

from dialoeval import data
from dialoeval.cli.main import main
from dialoeval.config import DatasetConfig
from dialoeval.corpus import dstc7_sets
from dialoeval.corpus.dstc7_sets import build
from dialoeval.data.dstc7_release import read_release
from dialoeval.errors import UserError

LONG, LONGER = (" ".join(f"w{i}" for i in range(n)) for n in (120, 250))


def submission(name, title="A Title", **more):
    return {"id": name, "subreddit": "science", "title": title, "domain": "x.org", "url": "http://x.org/a#part"} | more


def comment(name, parent, body, score=3, **more):
    link = more.pop("link", "s1")
    parent = f"t3_{link}" if parent is None else f"t1_{parent}"
    return {
        "id": name,
        "link_id": f"t3_{link}",
        "parent_id": parent,
        "body": body,
        "author": "u",
        "score": score,
    } | more


SUBMISSIONS = [submission("s1"), submission("s2", "Short of\n\tcomments")]
COMMENTS = [
    comment("a", None, "First   one,\r\nhere.", 5),
    comment("b", "a", "Second: IT'S http://x.org/Q?a=1 (yes) :D", 2),
    comment("c", "b", "third", 1),
    comment("d", "c", "fourth", 1),
    comment("e", "d", "fifth", 1),
    comment("f", "e", "sixth", 1),
    comment("g", "f", "seventh", 1),
    comment("h", "gone", "its parent is of another month", 1),
    comment("i", "a", "[deleted]", 9),
    comment("j", "i", "an answer to a deleted one", 9),
    comment("k", "a", "&gt; quoted", 9),
    comment("l", "a", "of a deleted user", 9, author="[deleted]"),
    comment("m", "a", "too low", 0),
    comment("n", "a", "x", 9),
    comment("o", "a", "y" * 281, 9),
    comment("p", "a", LONG, 4),
    comment("q", "p", LONG, 4),
    comment("r", "q", "a cut context", 4),
    comment("s", "a", LONGER, 4),
    comment("t", "s", "after a long turn", 4),
    comment("z", None, "of the other", 7, link="s2"),
]
# (subreddit, submission, score, turn, context, reply) of what the published script writes, worked out by its rules
TITLE, A, B = "START EOS a title", "first one , here .", "second : it's http://x.org/Q?a=1 ( yes ) :D"

PLAIN = [
    ("s1", 1, 1, "START", "a title"),
    ("s1", 5, 2, TITLE, A),
    ("s1", 2, 3, f"{TITLE} EOS {A}", B),
    ("s1", 1, 4, f"{TITLE} EOS {A} EOS {B}", "third"),
    ("s1", 1, 5, f"{TITLE} EOS {A} EOS {B} EOS third", "fourth"),
    ("s1", 1, 6, f"{TITLE} EOS {A} EOS {B} EOS third EOS fourth", "fifth"),
    ("s1", 1, 7, f"{TITLE} EOS {A} EOS {B} EOS third EOS fourth EOS fifth", "sixth"),
    ("s1", 1, 7, f"{TITLE} EOS {B} EOS third EOS fourth EOS fifth EOS sixth", "seventh"),
    ("s1", 1, 2, TITLE, "its parent is of another month"),
    ("s1", 4, 3, f"{TITLE} EOS {A}", LONG),  # its reply is below: more than 280 characters
    ("s1", 4, 5, "... " + " ".join(f"{TITLE} EOS {A} EOS {LONG} EOS {LONG}".split()[-200:]), "a cut context"),
    ("s1", 4, 4, f"... EOS {LONGER}", "after a long turn"),
    ("s2", 1, 1, "START", "short of comments"),
    ("s2", 7, 2, "START EOS short of comments", "of the other"),
]
FIELDS = [("science", *map(str, line)) for line in PLAIN if len(line[-1]) <= 280]


def key(fields):
    return hashlib.sha224("\t".join(fields).encode()).hexdigest()


KEYS = {fields[-1]: key(fields) for fields in FIELDS}


def dump(folder: Path, month: str, submissions=SUBMISSIONS, comments=COMMENTS) -> Path:
    folder.mkdir(exist_ok=True)
    for kind, rows in (("RS", submissions), ("RC", comments)):
        lines = [row if isinstance(row, str) else json.dumps(row) for row in rows]
        (folder / f"{kind}_{month}").write_text("".join(f"{line}\n" for line in lines), encoding="utf-8")
    return folder


def lists(folder: Path, **files: list[str]) -> Path:
    folder.mkdir(exist_ok=True)
    names = {"test": "test.hashes", "valid": "valid.hashes", "sets": "test-multiref.sets", "scored": "test.2k.txt"}
    for name, lines in files.items():
        (folder / names.get(name, name)).write_text("".join(f"{line}\n" for line in lines))
    return folder


def lines_of(path: Path) -> list[list[str]]:
    return [line.split("\t") for line in path.read_text("utf-8").splitlines()]


def test_every_conversation_is_the_published_scripts(tmp_path):
    place = lists(tmp_path / "lists", valid=list(KEYS.values()))
    odd = ["not json", "[]", json.dumps({"id": "x", "link_id": "t3_s1"}), json.dumps(comment("y", "a", None))]
    dump(tmp_path / "dumps", "2017-02", comments=[*odd, *COMMENTS])
    built = build(str(tmp_path / "dumps"), str(place), tmp_path / "out")
    assert (built.valid.found, built.valid.listed) == (len(KEYS), len(KEYS)) == (13, 13)
    expected = sorted([key(fields), *fields] for fields in FIELDS)
    assert lines_of(tmp_path / "out" / "valid.convos.txt") == expected
    assert built.titles == 2
    counts = built.months["2017-02"]
    assert counts["RC_malformed"] == 4 and counts["RC_read"] == len(COMMENTS) + 4 and counts["found"] == 13
    # what has the form of the sets: no others
    assert counts["conversations"] == 14  # the low score is tried under other scores only
    assert not (tmp_path / "out" / "missing.tsv").exists() and not (tmp_path / "out" / ".months").exists()
    dataset = data.load(
        DatasetConfig(name="d", kind="dstc7", path=str(tmp_path / "out"), split="valid", allow_empty_context=True)
    )
    assert {e.references[0]: e.context for e in dataset.examples}["third"] == ("a title", A, B)


@pytest.mark.parametrize(
    ("odd", "context"),
    [
        (comment(5, "a", "a number for an id"), "START EOS a title"),  # skipped, and so no turn
        (comment("5", None, "of the other thread", link="s2"), "START EOS short of comments EOS of the other thread"),
    ],
)
def test_parents_that_reddit_does_not_have_are_as_in_the_published_script(odd, context, tmp_path):
    reply = comment("u", "5", "an answer")
    listed = ("science", "s1", "3", str(context.count("EOS") + 1), context, "an answer")
    place = lists(tmp_path / "lists", valid=[key(listed)])
    dump(tmp_path / "dumps", "2017-02", comments=[odd, reply])
    build(str(tmp_path / "dumps"), str(place), tmp_path / "out")
    assert lines_of(tmp_path / "out" / "valid.convos.txt") == [[key(listed), *listed]]


def test_the_order_of_the_lines_and_the_compression_do_not_matter(tmp_path):
    import gzip

    place = lists(tmp_path / "lists", valid=list(KEYS.values()))
    dump(tmp_path / "one", "2017-01")
    build(str(tmp_path / "one"), str(place), tmp_path / "out")
    expected = (tmp_path / "out" / "valid.convos.txt").read_bytes()
    for seed in range(5):
        draw, folder = random.Random(seed), tmp_path / f"dumps{seed}"
        dump(folder, "2017-01", draw.sample(SUBMISSIONS, 2), draw.sample(COMMENTS, len(COMMENTS)))
        plain = folder / "RC_2017-01"
        (folder / "RC_2017-01.gz").write_bytes(gzip.compress(plain.read_bytes()))
        plain.unlink()
        build(str(folder), str(place), tmp_path / f"out{seed}")
        assert (tmp_path / f"out{seed}" / "valid.convos.txt").read_bytes() == expected


def sets(*lines: list[str]) -> list[str]:
    return [
        "\t".join((KEYS.get(line[0], line[0]), *(f"{n}|{KEYS.get(k, k)}" for n, k in enumerate(line[1:], 1))))
        for line in lines
    ]


ABSENT = ["0" * 55 + str(i) for i in range(5)]


def test_the_references_keep_the_place_of_the_human_reply(tmp_path):
    made = sets(
        ["third", "fourth", "third", "fifth"],  # whole
        ["fourth", ABSENT[0], "fourth", "fifth", "sixth"],  # the first is missing: another takes its place
        ["fifth", "fourth", ABSENT[1], "sixth"],  # the human reply is missing
        ["sixth", ABSENT[2], "sixth"],  # only the human reply is there
        [ABSENT[3], "fourth", "fifth"],  # the conversation is missing
        ["seventh", "fourth", "seventh", ABSENT[4]],  # a later one is missing
        [A, "fifth"],  # one reference in all
    )
    test = [line.split("\t")[0] for line in made]
    place = lists(tmp_path / "lists", test=test, sets=made)
    dump(tmp_path / "dumps", "2017-04")
    built = build(str(tmp_path / "dumps"), str(place), tmp_path / "out")
    found = {row[0]: row[1:] for row in lines_of(tmp_path / "out" / "test.refs.txt")}
    assert found == {
        KEYS["third"]: ["1|fourth", "2|third", "3|fifth"],
        KEYS["fourth"]: ["3|fifth", "2|fourth", "4|sixth"],
        KEYS["seventh"]: ["1|fourth", "2|seventh"],
        KEYS[A]: ["1|fifth"],
    }
    assert (built.contexts, built.complete, built.moved) == (4, 2, 1)
    assert (built.human_lost, built.no_reference, built.no_conversation) == (1, 1, 1)
    convos = lines_of(tmp_path / "out" / "test.convos.txt")
    assert {row[0] for row in convos} == set(test) - {ABSENT[3]} and {row[6] for row in convos} == {"__UNDISCLOSED__"}
    missing = lines_of(tmp_path / "out" / "missing.tsv")
    assert missing == [
        ["test", ABSENT[3]],
        *(["reference", name] for name in (ABSENT[0], ABSENT[1], ABSENT[2], ABSENT[4])),
    ]
    dataset = data.load(DatasetConfig(name="d", kind="dstc7", path=str(tmp_path / "out")))
    assert {e.id for e in dataset.examples} == found.keys() and all(e.context for e in dataset.examples)
    [human] = read_release(tmp_path / "out")
    assert dict(zip(human.ids, human.replies, strict=True)) == {
        KEYS["third"]: "third", KEYS["fourth"]: "fourth", KEYS["seventh"]: "seventh"}  # fmt: skip


def test_the_scored_keys_choose_the_contexts(tmp_path):
    made = sets(["third", "fourth", "third"], ["fourth", "fifth", "fourth"])
    place = lists(tmp_path / "lists", test=list(KEYS.values()), sets=made, scored=[KEYS["fourth"]])
    dump(tmp_path / "dumps", "2017-04")
    assert build(str(tmp_path / "dumps"), str(place), tmp_path / "out").contexts == 1
    assert len(lines_of(tmp_path / "out" / "test.refs.txt")) == 1
    assert len(lines_of(tmp_path / "out" / "test.convos.txt")) == len(KEYS)


def test_other_scores_are_tried_if_asked(tmp_path, capsys):
    changed = [row | {"score": {"c": 4, "m": -2, "d": None}.get(row["id"], row["score"])} for row in COMMENTS]
    low = ("science", "s1", "2", "3", f"{TITLE} EOS {A}", "too low")
    wanted = [KEYS["third"], KEYS["fourth"], key(low)]
    place = lists(tmp_path / "lists", valid=[*wanted, KEYS["fifth"]])
    dump(tmp_path / "dumps", "2017-01", comments=changed)
    arguments = [
        "build",
        "dstc7",
        "--dumps",
        str(tmp_path / "dumps"),
        "--lists",
        str(place),
        "--out",
        str(tmp_path / "o"),
    ]
    assert main(arguments) == 0
    printed = capsys.readouterr()
    assert "valid: 1 of 4 (25.00%) found" in printed.out and "--score-search 20" in printed.err
    assert "not in" in printed.err and "2017-02" in printed.err  # the other months
    assert main([*arguments, "--score-search", "4"]) == 0
    printed = capsys.readouterr()
    assert "valid: 4 of 4 (100.00%) found" in printed.out
    assert "3 conversations were found by another score" in printed.err
    assert {row[3] for row in lines_of(tmp_path / "o" / "valid.convos.txt")} == {"1", "2"}


def test_domain_and_subreddit_lists_leave_out_what_cannot_be_in_the_sets(tmp_path):
    place = lists(tmp_path / "lists", valid=list(KEYS.values()), **{"subreddits-official.txt": ["science"]})
    dump(tmp_path / "dumps", "2017-01", [submission("s1"), submission("s2", "Short of\n\tcomments", subreddit="cats")])
    assert build(str(tmp_path / "dumps"), str(place), tmp_path / "a").valid.found == 11
    lists(place, **{"domains-official.txt": ["x.org"]})
    dump(
        tmp_path / "dumps",
        "2017-01",
        [submission("s1", url="http://x.org/#a"), submission("s2", "Short of comments", url="http://x.org/#ab1")],
    )
    assert build(str(tmp_path / "dumps"), str(place), tmp_path / "b").months["2017-01"]["RS_kept"] == 1


def test_a_build_goes_on_where_it_was_killed(tmp_path, monkeypatch):
    place = lists(tmp_path / "lists", valid=list(KEYS.values()))
    for month, rows in (("2017-01", COMMENTS[:9]), ("2017-02", COMMENTS), ("2017-03", COMMENTS[9:])):
        dump(tmp_path / "dumps", month, comments=rows)
    build(str(tmp_path / "dumps"), str(place), tmp_path / "whole")
    read = []
    real = dstc7_sets.read_month

    def killed(dumps, month, *more):
        read.append(month)
        if read.count("2017-02") == 1 and month == "2017-02":
            raise KeyboardInterrupt
        return real(dumps, month, *more)

    monkeypatch.setattr(dstc7_sets, "read_month", killed)
    with pytest.raises(KeyboardInterrupt):
        build(str(tmp_path / "dumps"), str(place), tmp_path / "out")
    assert [path.name for path in (tmp_path / "out").iterdir()] == [".months"]
    build(str(tmp_path / "dumps"), str(place), tmp_path / "out")
    assert read == ["2017-01", "2017-02", "2017-02", "2017-03"]
    for path in (tmp_path / "whole").iterdir():
        assert (tmp_path / "out" / path.name).read_bytes() == path.read_bytes()
    # the same folder, other lists: nothing of the earlier build stays
    lists(place, valid=[KEYS["third"]])
    build(str(tmp_path / "dumps"), str(place), tmp_path / "out")
    assert len(lines_of(tmp_path / "out" / "valid.convos.txt")) == 1


def test_months_may_be_chosen_and_others_than_the_published_are_read_if_there_are_no_others(tmp_path):
    place = lists(tmp_path / "lists", valid=list(KEYS.values()))
    dump(tmp_path / "dumps", "2011-01")
    assert list(build(str(tmp_path / "dumps"), str(place), tmp_path / "a").months) == ["2011-01"]
    dump(tmp_path / "dumps", "2017-05")
    assert list(build(str(tmp_path / "dumps"), str(place), tmp_path / "b").months) == ["2017-05"]
    assert list(build(str(tmp_path / "dumps"), str(place), tmp_path / "c", "2011-01").months) == ["2011-01"]
    with pytest.raises(UserError, match="2012-01 are missing"):
        build(str(tmp_path / "dumps"), str(place), tmp_path / "d", "2011-01,2012-01")


@pytest.mark.parametrize(
    ("files", "said"),
    [
        ({}, "holds none of the organisers' lists"),
        ({"test": ["abc"]}, "test.hashes, line 1: expected the 56 hexadecimal digits"),
        ({"sets": [KEYS["third"]]}, "test-multiref.sets, line 1: expected a key, then"),
        ({"sets": [f"{KEYS['third']}\t1|x"]}, "line 1: expected the 56"),
        ({"sets": [f"{KEYS['third']}\t1|{KEYS['third']}"] * 2}, "line 2: the key .* is there twice"),
        ({"valid": ABSENT}, "none of the 5 conversations"),
    ],
)
def test_mistakes_are_one_sentence_and_write_no_set(tmp_path, capsys, files, said):
    place = lists(tmp_path / "lists", **files)
    dump(tmp_path / "dumps", "2017-01")
    out = tmp_path / "out"
    assert main(["build", "dstc7", "--dumps", str(tmp_path / "dumps"), "--lists", str(place), "--out", str(out)]) == 2
    error = capsys.readouterr().err.splitlines()[-1]
    assert re.search(said, error) and error.startswith("dialoeval: ")
    assert not list(out.glob("*.txt")) and not (out / "manifest.json").exists()
