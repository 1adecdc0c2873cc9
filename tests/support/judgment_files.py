"""Files of judgments for tests, and what is read of them."""

from __future__ import annotations

from dialoeval.judging.imported import read_judgments_file, settings_of

PAIRS = "id\tworker\tsystem_a\tsystem_b\trelevance\n"


def pairs(tmp_path, *rows, header=PAIRS, name="pairs.tsv"):
    """A file of pairs; a row is (first, second, value), of item 0, 1, ..."""
    lines = [f"{i}\tw{i % 3}\t" + "\t".join(map(str, row)) for i, row in enumerate(rows)]
    file = tmp_path / name
    file.write_text(header + "".join(line + "\n" for line in lines), "utf-8")
    return str(file)


def values(file, columns=None, points=None, named=None, **more):
    return [row.value for row in read_judgments_file(file, settings_of(columns, None, points, named, **more)).rows]
