"""Texts that go into any format come out of `score`'s readers as they were; a mutated file loses none in silence."""

from __future__ import annotations

import bz2
import contextlib
import csv
import gzip
import io
import json
import lzma

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from dialoeval.data.scoring_fields import FieldMap
from dialoeval.data.scoring_files import Reading, match, read
from dialoeval.errors import UserError

QUICK = settings(max_examples=60, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
ANY = st.characters(exclude_categories=["Cs"])
JSON_TEXT = st.text(ANY, max_size=12)
CELL = st.text(st.characters(exclude_categories=["Cs"], exclude_characters="\r"), max_size=12)
LINE = st.text(st.characters(exclude_categories=["Cs"], exclude_characters="\r\n\t"), max_size=12)
TOKENS = st.lists(
    st.sampled_from(['"', "'", ",", "|", "0.3|", "{", "[", "]", "}", ":", "é", "漢", " ", "a", "#", "\\"]), max_size=6
)
CODES = {"": bytes, ".gz": gzip.compress, ".bz2": bz2.compress, ".xz": lzma.compress}


def examples(text):
    texts = st.one_of(text, TOKENS.map("".join))
    return st.lists(st.tuples(texts, st.lists(texts, min_size=1, max_size=3)), min_size=1, max_size=6)


def jsonl(rows):
    return "".join(json.dumps(row, ensure_ascii=False) + "\n" for row in rows).encode()


def table(rows, kind):
    stream = io.StringIO(newline="")
    if kind == "csv":
        csv.writer(stream, lineterminator="\n").writerows(rows)
        return stream.getvalue().encode()
    return "".join("\t".join(row) + "\n" for row in rows).encode()


def write(folder, name, content, code=""):
    path = folder / (name + code)
    path.write_bytes(CODES[code](content))
    return str(path)


def back(hypotheses, references, fields=None):
    files = read([hypotheses], [references], Reading(fields or FieldMap(), keep_empty=True))
    ((system),) = files.systems.values()
    texts = match(system.samples[0], files.references)
    return list(zip(texts.replies, texts.references, strict=True))


def ids(data):
    return [f"id{number:03d}" for number in range(len(data))]


@QUICK
@given(
    data=examples(JSON_TEXT), code=st.sampled_from(sorted(CODES)), shape=st.sampled_from(["lines", "array", "object"])
)
def test_json_gives_back_the_texts(tmp_path, data, code, shape):
    replies = [{"id": key, "reply": reply} for key, (reply, _) in zip(ids(data), data, strict=True)]
    lists = [{"id": key, "references": refs} for key, (_, refs) in zip(ids(data), data, strict=True)]
    if shape == "lines":
        contents = jsonl(replies), jsonl(lists)
    elif shape == "array":
        contents = json.dumps(replies).encode(), json.dumps(lists, indent=2).encode()
    else:
        contents = (
            json.dumps({row["id"]: row["reply"] for row in replies}).encode(),
            json.dumps({row["id"]: row["references"] for row in lists}).encode(),
        )
    found = back(write(tmp_path, "h.json", contents[0], code), write(tmp_path, "r.txt", contents[1], code))
    assert found == [(reply, refs) for reply, refs in data]


@QUICK
@given(
    data=examples(CELL), kind=st.sampled_from(["csv", "tsv"]), header=st.booleans(), code=st.sampled_from(sorted(CODES))
)
def test_tables_give_back_the_texts(tmp_path, data, kind, header, code):
    if kind == "tsv":
        data = [(_flat(reply), list(map(_flat, refs))) for reply, refs in data]
    width = max(len(refs) for _, refs in data)
    replies = [[key, reply] for key, (reply, _) in zip(ids(data), data, strict=True)]
    lists = [[key, *refs, *[""] * (width - len(refs))] for key, (_, refs) in zip(ids(data), data, strict=True)]
    if header:
        replies.insert(0, ["id", "reply"])
        lists.insert(0, ["id", *(f"reference{i}" for i in range(width))])
    hypotheses = write(tmp_path, f"h.{kind}", table(replies, kind), code)
    found = back(hypotheses, write(tmp_path, f"r.{kind}", table(lists, kind), code))
    assert found == [(reply, refs + [""] * (width - len(refs))) for reply, refs in data]


def _flat(text):
    return text.replace("\t", " ").replace("\n", " ").replace("|", "/")  # 0.3|text is the paper's format


@QUICK
@given(data=examples(LINE))
def test_parallel_text_gives_back_the_texts_or_is_refused(tmp_path, data):
    hypotheses = write(tmp_path, "h.txt", "".join(reply + "\n" for reply, _ in data).encode())
    references = write(tmp_path, "r.txt", "".join(refs[0] + "\n" for _, refs in data).encode())
    whole = [(reply, refs[:1]) for reply, refs in data]
    with contextlib.suppress(UserError):  # such as a text that begins like JSON
        assert back(hypotheses, references) == whole
    with contextlib.suppress(UserError):
        assert back(hypotheses, references, FieldMap(reply="0", references=("0",))) == whole


@QUICK
@given(data=examples(CELL))
def test_parquet_gives_back_the_texts(tmp_path, data):
    import pyarrow
    from pyarrow import parquet

    keys = ids(data)
    hypotheses, references = str(tmp_path / "h"), str(tmp_path / "r")
    parquet.write_table(pyarrow.table({"id": keys, "reply": [reply for reply, _ in data]}), hypotheses)
    parquet.write_table(pyarrow.table({"id": keys, "references": [refs for _, refs in data]}), references)
    assert back(hypotheses, references) == [(reply, refs) for reply, refs in data]


FORMATS = ["jsonl", "json", "csv", "tsv", "txt", "convos", "refs"]


@settings(QUICK, max_examples=400)
@given(draw=st.data())
def test_a_mutated_file_is_refused_or_loses_no_text(tmp_path, draw):
    """One byte is cut, doubled or replaced, or the file ends early; a text that is gone must be an error."""
    kind = draw.draw(st.sampled_from(FORMATS))
    texts = draw.draw(st.lists(st.text("abc é,|'{[", min_size=1, max_size=8), min_size=2, max_size=5))
    keys = ids(texts)
    whole = _written(kind, keys, texts)
    place = draw.draw(st.integers(0, len(whole) - 1))
    byte = draw.draw(st.sampled_from([b"", b'"', b"\t", b"\n", b",", b"{", b"}", b"[", b"\x00", b"\xff", b"\\"]))
    cut = draw.draw(st.booleans())
    mutated = whole[:place] if cut else whole[:place] + byte + whole[place + draw.draw(st.integers(0, 1)) :]
    references = write(tmp_path, "gold.jsonl", jsonl({"id": key, "references": ["x"]} for key in keys))
    try:
        found = back(write(tmp_path, f"h.{kind}", mutated), references)
    except UserError:
        return
    assert len(found) == len(texts)
    changed = sum(found_text != text for (found_text, _), text in zip(found, texts, strict=True))
    assert changed <= 1 + (kind == "txt"), (whole, mutated, found)


def _written(kind, keys, texts):
    pairs = list(zip(keys, texts, strict=True))
    if kind == "jsonl":
        return jsonl({"id": key, "reply": text} for key, text in pairs)
    if kind == "json":
        return json.dumps(dict(pairs), ensure_ascii=False).encode()
    if kind == "csv":
        return table([["id", "reply"], *map(list, pairs)], "csv")
    if kind == "tsv":
        return table(map(list, pairs), "tsv")
    if kind == "convos":
        return table([[key, "s", "c", "1", "1", "START EOS hi", text] for key, text in pairs], "tsv")
    if kind == "refs":
        return table([[f"hi EOS {key}", f"1|{text}", text] for key, text in pairs], "tsv")
    return "".join(text + "\n" for text in texts).encode()


@pytest.mark.parametrize(
    "content", [b"", b"\n\n", b"\xff\xfea\x00", b"PK\x03\x04", b"\x1f\x8bxx", b"PAR1", b"{", b"[", b"\x00"]
)
def test_what_is_no_text_is_refused_in_one_sentence(tmp_path, content):
    gold = write(tmp_path, "g.jsonl", jsonl([{"id": "a", "references": ["x"]}] * 2))
    for name in ("x.txt", "x.jsonl", "x.csv", "x.json", "x.tsv", "x"):
        with pytest.raises(UserError) as error:
            back(write(tmp_path, name, content), gold)
        assert "\n" not in str(error.value)
