"""METEOR's index in the user's cache: damaged, of another version, locked, unwritable, without its source."""

from __future__ import annotations

import json
import os
import shutil
import subprocess
import sys
import threading

import numpy as np
import pytest

from dialoeval.errors import UserError
from dialoeval.metrics.meteor15 import index, index_build, index_file, machine_code, segment, source
from dialoeval.metrics.meteor15.layout import BaseForms, Scratch, Synonyms, Vocabulary


@pytest.fixture(scope="module")
def sound():
    """The folder of a sound index."""
    index.load()
    return index.folder()


@pytest.fixture
def cache(sound, tmp_path, monkeypatch):
    """A copy of the cache in a folder of its own, in which building takes no time: the arrays come from `sound`."""
    loaded = index.load()
    monkeypatch.setenv("DIALOEVAL_CACHE", str(tmp_path))
    shutil.copytree(sound, index.folder())
    builds = []

    def build(kernels, *, progress):
        builds.append(1)
        lexicon = source.Lexicon(source.files()[0])
        return index_file.Tables(
            loaded.vocabulary, loaded.synonyms, loaded.phrases, lexicon.function_words, lexicon.prefixes
        )

    monkeypatch.setattr(index_build, "build", build)
    monkeypatch.setattr(index, "_open", {})
    return index.folder() / "english.index", builds


def works() -> bool:
    return 0.4 < segment("the cat sat", ["the cat sat on"]) < 0.5


def test_a_sound_index_is_used_as_it_is(cache):
    path, builds = cache
    assert works()
    assert not builds
    assert path.with_suffix(".verified").is_file()


@pytest.mark.parametrize(
    "damage", ["flip", "truncate", "empty", "garbage", "no header", "missing", "version", "source"]
)
def test_a_damaged_index_is_built_again(cache, damage):
    path, builds = cache
    data = bytearray(path.read_bytes())
    header = json.loads(data[: data.index(b"\n")])
    if damage == "flip":
        data[len(data) // 2] ^= 255
    elif damage == "truncate":
        del data[-1000:]
    elif damage == "empty":
        data.clear()
    elif damage == "garbage":
        data = bytearray(os.urandom(10_000))
    elif damage == "no header":
        data[:40] = b"[1, 2]\n" + b" " * 33
    elif damage == "version":
        data[: header["start"]] = json.dumps(header | {"format": -1}).encode().ljust(header["start"] - 1) + b"\n"
    elif damage == "source":
        data[: header["start"]] = (
            json.dumps(header | {"fingerprint": "0.9"}).encode().ljust(header["start"] - 1) + b"\n"
        )
    path.write_bytes(data)
    if damage == "missing":
        path.unlink()
    assert works()
    assert builds == [1]
    index._open.clear()
    assert works()
    assert builds == [1]


def test_damaged_machine_code_is_found(cache):
    path, _ = cache
    code = machine_code.path_in(path.parent)
    data = bytearray(code.read_bytes())
    assert machine_code.read(code) is not None
    data[100] ^= 255
    code.write_bytes(data)
    assert machine_code.read(code) is None
    code.write_bytes(data[:20])
    assert machine_code.read(code) is None


def test_waits_for_the_process_that_builds(cache):
    import filelock

    path, builds = cache
    path.unlink()
    lock = filelock.FileLock(path.with_suffix(".lock"))
    lock.acquire()
    waiting = threading.Thread(target=works)
    waiting.start()
    waiting.join(0.3)
    assert waiting.is_alive()
    assert not builds
    lock.release()
    waiting.join(60)
    assert builds == [1]


def test_a_cache_that_cannot_be_written(tmp_path, monkeypatch):
    blocked = tmp_path / "file"
    blocked.write_text("")
    monkeypatch.setenv("DIALOEVAL_CACHE", str(blocked))
    monkeypatch.setattr(index, "_open", {})
    with pytest.raises(UserError, match="DIALOEVAL_CACHE"):
        index.load()


def test_a_full_disk(cache, monkeypatch):
    path, _ = cache
    path.unlink()

    def full(*_arguments):
        raise OSError(28, "No space left on device")

    monkeypatch.setattr("os.fsync", full)
    with pytest.raises(UserError, match="No space left"):
        index.load()
    assert not path.exists()
    assert not list(path.parent.glob("*.tmp"))


def test_missing_package(monkeypatch):
    monkeypatch.setattr(index, "_open", {})
    monkeypatch.setattr("importlib.util.find_spec", lambda name: None)
    with pytest.raises(UserError, match="pip install pycocoevalcap"):
        index.load()


def test_damaged_package(tmp_path):
    jar, table = tmp_path / "meteor.jar", tmp_path / "paraphrase.gz"
    jar.write_bytes(b"no zip")
    table.write_bytes(b"no gzip")
    with pytest.raises(UserError, match="damaged"):
        source.Lexicon(jar)
    with pytest.raises(UserError, match="cannot read"):
        list(source.paraphrases(table))


def test_wrong_types_never_reach_the_machine_code(sound):
    kernels = index.load().kernels
    floats = [
        Vocabulary(*[np.zeros(2, np.float32)] * 3),
        Synonyms(*[np.zeros((2, 2), np.float32)] * 3),
        BaseForms(np.zeros(2, np.float32)),
        Scratch(*[np.zeros(2, np.float32)] * 2),
    ]
    with pytest.raises(TypeError, match="contiguous and of type"):
        kernels.call("find_base_forms", *floats)
    for arguments in ([np.zeros(2, np.float32)] * 4, floats[:3], floats[::-1]):
        with pytest.raises(TypeError, match="find_base_forms takes Vocabulary"):
            kernels.call("find_base_forms", *arguments)


@pytest.mark.slow
def test_the_whole_build(sound, tmp_path):
    """From nothing, in a process of its own: the same arrays, under 500 MB."""
    code = (
        "import re, resource; from dialoeval.metrics.meteor15 import index; index.load();"
        # of this process since its start: ru_maxrss would begin at what the parent had when it forked
        "own = int(re.search(r'VmHWM:\\s+(\\d+)', open('/proc/self/status').read()).group(1));"
        "print(max(own, resource.getrusage(resource.RUSAGE_CHILDREN).ru_maxrss))"
    )
    environment = os.environ | {"DIALOEVAL_CACHE": str(tmp_path)}
    done = subprocess.run([sys.executable, "-c", code], env=environment, capture_output=True, text=True, check=True)
    assert int(done.stdout) < 500 * 1024
    built = tmp_path / sound.name / "english.index"
    assert built.read_bytes() == (sound / "english.index").read_bytes()
