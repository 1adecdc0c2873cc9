"""Hashes of the files that arguments of metrics name."""

from __future__ import annotations

from dataclasses import replace

import dialoeval as de
from dialoeval.metrics.named_files import named_files
from dialoeval.metrics.score_tables import score_table


def test_a_file_is_found_under_each_way_to_write_it_and_its_hash_follows_its_bytes(tmp_path):
    (tmp_path / "model").mkdir()
    (tmp_path / "model" / "config.json").write_text("{}")
    (tmp_path / "train.tsv").write_text("a\tb\n")
    names = [
        f"copying:{tmp_path}/train.tsv",
        f"bland:dialogpt_tsv:{tmp_path}/train.tsv@5",
        f"toxicity:{tmp_path}/model@toxic",
        f"backward:{tmp_path}/model",
    ]
    first = named_files([*names, "seq_rep", "backward:tiny-backward", "copying:chitchat-train", "seq_rep:"])
    assert list(first) == names and first[names[0]] == first[names[1]] and first[names[2]] == first[names[3]]
    (tmp_path / "train.tsv").write_text("a\tc\n")
    (tmp_path / "model" / "config.json").write_text("{ }")
    second = named_files(names)
    assert all(first[name] != second[name] for name in names)


def test_a_table_says_which_rows_had_another_file(tmp_path):
    words = tmp_path / "words.txt"
    name, scores = f"profanity:{words}", []
    for text in ("darn\n", "darn\n", "drat\n"):
        words.write_text(text)
        scores.append(de.score(["oh darn"], [["oh"]], extra=[name, "seq_rep"], meteor=False, resamples=0))
    told = f"Profanity (words.txt): not comparable, since {words} was not the same file or model for all rows"
    rows = [(str(i), one) for i, one in enumerate(scores)]
    assert told in score_table(rows).notes and told not in score_table(rows[:2]).notes
    models = [replace(one, settings={"files": {name: str(i)}}) for i, one in enumerate(scores[:2])]
    assert told in score_table([("a", models[0]), ("b", models[1])]).notes  # a model's signature has no hash
    assert told not in score_table([("a", models[0]), ("b", scores[1])]).notes  # not known
