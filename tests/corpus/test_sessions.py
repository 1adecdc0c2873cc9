"""`dialoeval build sessions` against what the published extractor prints, and against a slow extractor on odd dumps."""

from __future__ import annotations

import gzip
import hashlib
import json
from collections import Counter
from pathlib import Path

import pytest
from hypothesis import HealthCheck, Phase, given, settings
from hypothesis import strategies as st

from dialoeval.cli.main import main
from dialoeval.corpus import scan
from dialoeval.corpus.recipe import parse
from dialoeval.corpus.sessions import build_sessions
from dialoeval.errors import UserError
from tests.support.reddit import comment, extract, submission, write_month

PUBLISHED = Path(__file__).resolve().parents[3] / "shared" / "reddit_extract"
GOLDENS = {
    "train": ["recipe=dialogpt2019", "split=train", f"words={PUBLISHED}/words.txt", f"subreddits={PUBLISHED}/subs.txt"],
    "test": ["recipe=dialogpt2019", "split=test"],
    "title": ["clean=yes", "min_score=0", "max_depth=10", "title=yes", "leaves_only=no"],
    "raw": ["clean=no", "min_score=0", "min_depth=1", "max_depth=10", "title=yes", "leaves_only=yes"],
}
needs_published = pytest.mark.skipif(not PUBLISHED.is_dir(), reason=f"no published rows in {PUBLISHED}")


def table(text: str) -> dict[str, int]:
    return {reason: int(count) for reason, count in (line.split("\t") for line in text.splitlines())}


def files(folder: Path) -> dict[str, bytes]:
    return {path.name: path.read_bytes() for path in folder.iterdir() if path.name != ".lock"}


@needs_published
@pytest.mark.parametrize("name", GOLDENS)
@pytest.mark.parametrize(("workers", "parts"), [(1, 0), (2, 5)])
def test_published_rows_and_reasons(name, workers, parts, tmp_path):
    build_sessions(PUBLISHED, ["2011-01"], tmp_path, parse(GOLDENS[name]), workers=workers, parts=parts)
    assert (tmp_path / "rows.tsv").read_bytes() == gzip.decompress((PUBLISHED / f"{name}.tsv.gz").read_bytes())
    assert (tmp_path / "skipped.tsv").read_text() == (PUBLISHED / f"{name}.skipped.tsv").read_text()
    manifest = json.loads((tmp_path / "manifest.json").read_text())
    month = manifest["months"][0]
    counts = [month[kind][what] for kind in ("comments", "submissions") for what in ("kept", "read")]
    assert "\t".join(map(str, ["2011-01", *counts])) == (PUBLISHED / "extract.stat.tsv").read_text().strip()
    assert month["inputs"][1]["sha256"] == hashlib.sha256((PUBLISHED / "RC_2011-01.zst").read_bytes()).hexdigest()


NAMES = st.sampled_from("abcdefgh")
WORDS = st.sampled_from(
    [
        "I",
        "see",
        "you.",
        "w/o",
        "b/c",
        "#tag",
        "(so)",
        "http://x.y/z",
        "xHTTPS:",
        "URL",
        "SHOUT",
        "no",
        "no",
        "no",
        "😀",
        "don't",
        "555",
        "1234",
        "(800)",
        ":)",
        "...",
        "\t",
        "\n",
        "\\",
        "“hi”",
        "\x00",
        "\u2028",
        "\x85",
        "\xa0",
        "a.com",
        "8)",
        "x" * 31,
        "foo..bar",
        "&gt;",
        ">",
        "__url__",
        "d:",
    ]
)
BODIES = st.one_of(
    st.lists(WORDS, max_size=8).map(" ".join),
    st.lists(WORDS, max_size=5).map("".join),
    st.integers(28, 32).map(lambda number: "w " * number),
    st.integers(28, 32).map(lambda number: "a,b,c,d,e,f,g,h " * number),
    st.sampled_from(["[deleted]", "[removed]", "1.0 1.0", "a b", None, 7, ["x"]]),
)
IDS = st.one_of(NAMES, NAMES, NAMES, st.integers(0, 3), st.sampled_from(["t1_a", "a,b", "é", " d", "\xa0e", "\t f"]))
PARENTS = st.one_of(
    NAMES.map("t1_{}".format), NAMES.map("t1_{}".format), st.sampled_from(["t3_s", "t3_o", "t1_gone", "", None])
)


@st.composite
def months(draw):
    """Draw comments and submissions with the oddities of real dumps; some comments answer one of another thread."""
    submissions, comments = [], []
    for thread in ("s", "o", 5, "t"):
        if draw(st.integers(0, 5)):
            other = draw(
                st.sampled_from(
                    [{}, {}, {}, {"title": " "}, {"num_comments": "3"}, {"num_comments": 1}, {"score": None}]
                )
            )
            submissions.append(submission(thread, **other))
        for _ in range(draw(st.integers(0, 7))):
            name, parent = draw(IDS), draw(PARENTS)
            if isinstance(parent, str) and parent.startswith("t1_"):
                parent += str(thread if draw(st.integers(0, 5)) else draw(st.sampled_from("sot")))
            one = comment(
                f"{name}{thread}" if isinstance(name, str) else int(f"{name}5"),
                parent,
                draw(BODIES),
                link_id=f"t3_{thread}",
                score=draw(st.sampled_from([0, 1, 1, 2, None, "4", -3])),
                author=draw(st.sampled_from(["a", None, "b c"])),
            )
            if isinstance(name, int):  # a number has no thread in it: the same comment is in several threads
                one["parent_id"] = draw(st.sampled_from(["t1_as", "t1_bs", "t3_s", "t1_05", "t1_15", one["parent_id"]]))
            if draw(st.integers(0, 12)) == 0:
                del one[draw(st.sampled_from(sorted(one)))]
            comments.append(one)
    return draw(st.permutations(comments)), submissions


@settings(
    max_examples=100,
    deadline=None,
    phases=[Phase.explicit, Phase.reuse, Phase.generate],
    suppress_health_check=list(HealthCheck),
)
@given(
    months(), st.booleans(), st.booleans(), st.booleans(), st.integers(1, 3), st.sampled_from([1, 3]), st.integers(1, 4)
)
def test_odd_dumps_give_the_rows_of_a_slow_extractor(
    tmp_path_factory, month, clean, title, leaves, depth, parts, longest
):
    folder = tmp_path_factory.mktemp("odd")
    write_month(folder, "2011-01", *month)
    rows, skipped = extract(
        *month, clean=clean, title=title, leaves=leaves, min_score=1, min_depth=depth, max_depth=longest
    )
    given = [f"clean={clean}", f"title={title}", f"leaves_only={leaves}", f"min_depth={depth}", f"max_depth={longest}"]
    built = build_sessions(folder, ["2011-01"], folder / "out", parse(given), workers=1, parts=parts)
    assert (folder / "out" / "rows.tsv").read_bytes() == rows.encode()
    assert built.skipped == dict(skipped)


def built(folder: Path, *given: str, months=("2011-01",), **options):
    out = folder / f"out{len(list(folder.iterdir()))}"
    result = build_sessions(folder, list(months), out, parse(given), workers=1, **options)
    return result, (out / "rows.tsv").read_bytes()


THREAD = [comment("a"), comment("b", "t1_a", "an answer to it"), comment("c", "t1_b", "and one more")]


def test_what_the_published_extractor_stops_at_is_counted(tmp_path):
    bad = [
        b'{"id": "x", "body": "cut \xe2\x82"}',
        b"not json",
        b"[]",
        b"",
        comment("d", body="lone \ud800 half"),
        comment("e", "t1_a", "a score of words", score="many"),
        comment("f", "t1_a", "a tab in the name", author="a\tb"),
        comment("g", "t1_a", "no such link", link_id="t3_link"),
        comment(10**30, "t1_a", "a long number"),
    ]
    heads = [submission(), submission("link", permalink=None), submission(7), submission("r", title=None), {"id": "x"}]
    write_month(tmp_path, "2011-01", [*THREAD, *bad], heads)
    result, rows = built(tmp_path, "split=test")
    assert result.skipped == {"bad_permalink": 1, "bad_score": 1, "min_depth": 1}
    lines = {reason: count for (kind, reason), count in result.lines.items() if kind == "comments"}
    assert lines == {
        "read": 12,
        "kept": 6,
        "invalid_utf8": 1,
        "not_json": 2,
        "not_object": 1,
        "surrogate": 1,
        "bad_field": 1,
    }
    assert f"t3_s,t1_a,t1_{10**30}\t".encode() in rows


def test_carriage_returns_end_lines_as_in_text_files(tmp_path):
    write_month(tmp_path, "2011-01", THREAD, [submission()])
    expected = built(tmp_path, "split=test")
    for path in (tmp_path / "RC_2011-01", tmp_path / "RS_2011-01"):
        path.write_bytes(path.read_bytes().replace(b"\n", b"\r\n"))
    assert built(tmp_path, "split=test")[1] == expected[1] != b""


def test_rows_are_in_order_within_slices_of_submissions(tmp_path, monkeypatch):
    monkeypatch.setattr(scan, "SLICE", 2)
    names = ["z", "y", "b", "a"]
    comments = [
        one | {"id": one["id"] + s, "link_id": f"t3_{s}", "parent_id": one["parent_id"] + s}
        for s in names
        for one in THREAD
    ]
    write_month(tmp_path, "2011-01", comments, [submission(name) for name in names])
    for parts in (1, 4):
        _, rows = built(tmp_path, parts=parts)
        assert [row[:4] for row in rows.decode().splitlines()] == ["t3_y", "t3_z", "t3_a", "t3_b"]


def test_later_comments_on_older_submissions(tmp_path):
    write_month(tmp_path, "2011-01", THREAD, [submission()])
    write_month(
        tmp_path, "2011-02", [one | {"id": one["id"] + "2", "parent_id": one["parent_id"] + "2"} for one in THREAD], []
    )
    months = ("2011-01", "2011-02")
    alone, rows = built(tmp_path, months=months)
    assert (alone.rows, alone.lines["comments", "no_submission"]) == (1, 3)
    both, more = built(tmp_path, "scope=all", months=months)
    assert both.rows == 2 and more.startswith(rows)


def test_keys_and_discarded_turns(tmp_path):
    write_month(tmp_path, "2011-01", THREAD, [submission()])
    (tmp_path / "keys").mkdir()
    keys = [f"t3_s\tt1_{name}\tdep" for name in "abc"] + ["t3_s\tt1_c\tkeep"]
    digest = hashlib.sha224(b"an answer to it").hexdigest()
    (tmp_path / "keys" / "2011-01.gz").write_bytes(gzip.compress("\n".join(keys).encode()))
    (tmp_path / "keys" / "2011-01-o.gz").write_bytes(gzip.compress(digest.encode()))
    _, rows = built(tmp_path, f"keys={tmp_path}/keys", f"discard={tmp_path}/keys")
    assert rows == b"t3_s,t1_b,t1_c\t1.0 some words here EOS 0.0 an answer to it\t1.0 and one more\n"
    (tmp_path / "keys" / "2011-01.gz").write_bytes(gzip.compress("\n".join(keys[1:]).encode()))
    _, rows = built(tmp_path, f"keys={tmp_path}/keys")
    assert rows == b"t3_s,t1_b,t1_c\t1.0 an answer to it\t1.0 and one more\n"


def test_clean_drops_what_the_paper_drops(tmp_path):
    comments = [comment(f"q{i}", body="what do you say") for i in range(8)]
    replies = ["i say the same of it"] * 5 + ["i say i do not know", "wat nou weer toch", "i say the bots are here"]
    comments += [comment(f"r{i}", f"t1_q{i}", text) for i, text in enumerate(replies)]
    comments[-1]["author"] = "HelperBot"
    write_month(tmp_path, "2011-01", comments, [submission()])
    result, rows = built(tmp_path, "recipe=clean", "split=test", "top_words=6", "bland=4")
    reasons = ("not_english", "bland", "bot", "duplicate")
    assert [result.skipped.get(reason, 0) for reason in reasons] == [1, 5, 1, 0]
    assert rows.count(b"\n") == result.rows == 1
    result, _ = built(tmp_path, "recipe=clean", "split=test", "top_words=0", "bland=0")
    assert [result.skipped.get(reason, 0) for reason in reasons] == [0, 0, 1, 4]


@pytest.mark.parametrize("suffix", [".zst", ".bz2", ".xz", ".gz"])
def test_a_dump_that_ends_early_is_an_error(suffix, tmp_path, capsys):
    import bz2
    import lzma

    import zstandard

    write_month(tmp_path, "2011-01", THREAD * 50, [submission()])
    plain = (tmp_path / "RC_2011-01").read_bytes()
    expected = built(tmp_path, "split=test")
    (tmp_path / "RC_2011-01").unlink()
    pack = {".zst": zstandard.compress, ".bz2": bz2.compress, ".xz": lzma.compress, ".gz": gzip.compress}[suffix]
    packed = pack(plain[:70]) + pack(plain[70:])  # several frames are one text
    path = tmp_path / f"RC_2011-01{suffix}"
    path.write_bytes(packed)
    assert built(tmp_path, "split=test")[1] == expected[1]
    for damaged in (packed[:-9], b"", b"nothing of the kind"):
        path.write_bytes(damaged)
        code = main(
            ["build", "sessions", "--dumps", str(tmp_path), "--months", "2011-01", "--out", str(tmp_path / "o")]
        )
        assert code == 2
        assert str(path) in capsys.readouterr().err


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["min_scor=1"], "did you mean 'min_score'"),
        (["min_depth=0"], "min_depth=0"),
        (["clean=perhaps"], "expected yes or no"),
        (["recipe=paper"], "recipe=paper"),
        (["title"], "no setting=value"),
        (["words=nowhere.txt"], "no such file: nowhere.txt"),
        (["discard=x", "split=test"], "discard"),
        (["workers=0"], "workers=0"),
        (["--months", "2011-13"], "2011-13"),
        (["--months", "2011-02"], "RS_2011-02"),
    ],
)
def test_mistakes_are_one_sentence(arguments, message, tmp_path, capsys):
    write_month(tmp_path, "2011-01", THREAD, [submission()])
    months = [] if "--months" in arguments else ["--months", "2011-01"]
    call = ["build", "sessions", "--dumps", str(tmp_path), "--out", str(tmp_path / "o"), *months, *arguments]
    assert main(call) == 2
    assert message in capsys.readouterr().err


def test_another_build_in_the_folder_is_refused(tmp_path):
    write_month(tmp_path, "2011-01", THREAD, [submission()])
    out = tmp_path / "out"
    first = build_sessions(tmp_path, ["2011-01"], out, parse([]), workers=1)
    assert build_sessions(tmp_path, ["2011-01"], out, parse([]), workers=2, parts=3).before and not first.before
    with pytest.raises(UserError, match="holds another build"):
        build_sessions(tmp_path, ["2011-01"], out, parse(["split=test"]), workers=1)


def test_a_month_without_submissions_has_no_rows(tmp_path):
    write_month(tmp_path, "2011-01", THREAD, [])
    result, rows = built(tmp_path)
    assert (rows, result.rows, result.lines["comments", "no_submission"]) == (b"", 0, 3)


def test_an_int_id_of_a_submission_has_no_comments_but_a_title(tmp_path):
    heads = [submission(5), submission("5", title=" ")]
    comments = [comment("a", "t3_5", link_id="t3_5"), comment("b", "t1_a", "an answer", link_id="t3_5")]
    write_month(tmp_path, "2011-01", comments, heads)
    rows, skipped = extract(comments, heads, clean=True, title=True, leaves=False)
    result, found = built(tmp_path, "split=test", "title=yes")
    assert found == rows.encode() and Counter(result.skipped) == skipped and rows


def test_a_dump_fetched_again_is_read_again(tmp_path):
    write_month(tmp_path, "2011-01", THREAD, [submission()])
    write_month(tmp_path, "2011-02", THREAD, [submission()])
    _, expected = built(tmp_path, months=("2011-01", "2011-02"))
    whole = gzip.compress((tmp_path / "RC_2011-02").read_bytes())
    (tmp_path / "RC_2011-02").unlink()
    (tmp_path / "RC_2011-02.gz").write_bytes(whole[:-5])
    out = tmp_path / "out"
    with pytest.raises(UserError, match="ends in the middle"):
        build_sessions(tmp_path, ["2011-01", "2011-02"], out, parse([]), workers=1)
    assert (out / ".build" / "2011-01" / "rows.json").exists()
    (tmp_path / "RC_2011-02.gz").write_bytes(whole)
    build_sessions(tmp_path, ["2011-01", "2011-02"], out, parse([]), workers=1)
    assert (out / "rows.tsv").read_bytes() == expected
    assert not (out / ".build").exists()
