"""Hashes of the files that arguments of metrics name."""

from __future__ import annotations

from dialoeval.metrics.named_files import named_files


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
