"""Compile METEOR's inner loops once with numba, keep the machine code, and load it without numba.

Importing numba and loading its cached functions takes some 0.55 s a process, more than scoring a thousand replies. So
the entry points are compiled in a process of their own, their LLVM code is turned into an object file for the plain
x86-64 or ARM64 (any machine that shares the cache can run it), and later processes load that file with llvmlite alone
in some 0.05 s. Calls release the interpreter's lock, so threads share one copy of all tables.
"""

from __future__ import annotations

import ctypes
import hashlib
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import numpy as np

from dialoeval.errors import UserError
from dialoeval.files import atomic_open

# Each entry point's arguments, as entries.py takes them: numpy's letters for arrays' elements, "-" for a number.
ENTRIES = {
    "describe_words": "HiiiHiiiiHIIiQ",
    "find_word_bases": "HiiiHiHi",
    "score_replies": "-iiqqiIIBiiQiqiqHiddiiiiiiiQQiiiqddi",
}
_SOURCES = ("entries.py", "scoring.py", "searching.py", "matching.py", "words.py", "stemming.py", "native.py")
_SLOTS = 1 + 3 * 40  # as in entries.py
_DIGEST_BYTES = 32
# Paths that raise errors refer to numba's run-time library. No entry point can raise, so none of these is ever called.
_NEVER_CALLED = (
    "NRT_Free",
    "NRT_MemInfo_call_dtor",
    "numba_do_raise",
    "numba_gil_ensure",
    "numba_gil_release",
    "numba_runtime_build_excinfo_struct",
    "numba_unpickle",
)


def _key() -> str:
    """Names the machine code: our sources, the compilers' versions, the kind of machine."""
    import importlib.metadata

    import llvmlite.binding as llvm

    digest = hashlib.sha256()
    for name in _SOURCES:
        digest.update((Path(__file__).parent / name).read_bytes())
    versions = [importlib.metadata.version(package) for package in ("numba", "llvmlite")]
    digest.update(" ".join([*versions, llvm.get_default_triple()]).encode())
    return digest.hexdigest()[:16]


def compile_to(path: Path) -> None:
    """Compile all entry points into one object file at `path` (its SHA-256, then the machine code)."""
    import llvmlite.binding as llvm

    from dialoeval.metrics.meteor15 import entries

    target = llvm.Target.from_default_triple().create_target_machine(opt=3, codemodel="jitdefault", jit=True)
    body = b""
    for name in ENTRIES:
        entry = entries.ENTRIES[name]
        code = entry.inspect_llvm().replace(f'"{entry.native_name}"', f'"{name}"')
        module = llvm.parse_assembly(code.replace(f"@{entry.native_name}(", f"@{name}("))
        machine_code = target.emit_object(module)
        body += len(machine_code).to_bytes(8, "little") + machine_code
    with atomic_open(path, "wb") as stream:
        stream.write(hashlib.sha256(body).digest() + body)


def _read(path: Path) -> list[bytes] | None:
    """The machine code of each entry point; None where the file is absent or damaged."""
    try:
        data = path.read_bytes()
    except OSError:
        return None
    digest, body = data[:_DIGEST_BYTES], data[_DIGEST_BYTES:]
    if hashlib.sha256(body).digest() != digest:
        return None
    parts = []
    while body:
        size = 8 + int.from_bytes(body[:8], "little")
        parts.append(body[8:size])
        body = body[size:]
    return parts


class Kernels:
    """The compiled entry points, as functions of numpy arrays and whole numbers."""

    def __init__(self, machine_code: list[bytes]) -> None:
        import llvmlite.binding as llvm

        for initialize in ("initialize_native_target", "initialize_native_asmprinter"):
            getattr(llvm, initialize)()
        abort = ctypes.cast(ctypes.CDLL(None).abort, ctypes.c_void_p).value
        for symbol in _NEVER_CALLED:
            if llvm.address_of_symbol(symbol) is None:
                llvm.add_symbol(symbol, abort)
        self._functions: dict[str, Callable[[ctypes.c_void_p], None]] = {}
        self._engines = []
        for name, code in zip(ENTRIES, machine_code, strict=True):
            machine = llvm.Target.from_default_triple().create_target_machine(opt=3, codemodel="jitdefault", jit=True)
            engine = llvm.create_mcjit_compiler(llvm.parse_assembly(""), machine)
            engine.add_object_file(llvm.ObjectFileRef.from_data(code))
            engine.finalize_object()
            self._engines.append(engine)
            self._functions[name] = ctypes.CFUNCTYPE(None, ctypes.c_void_p)(engine.get_function_address(name))

    def call(self, name: str, *arguments: np.ndarray | int) -> int:
        """Call one entry point (its result, where it has one). Arrays must be C-contiguous and of `ENTRIES`' types."""
        frame = np.zeros(_SLOTS, np.int64)
        for n, (letter, argument) in enumerate(zip(ENTRIES[name], arguments, strict=True)):
            slot = 1 + 3 * n
            if isinstance(argument, np.ndarray):
                if letter == "-" or argument.dtype != np.dtype(letter) or not argument.flags.c_contiguous:
                    raise TypeError(f"argument {n} of {name} must be contiguous and of type {letter!r}")
                frame[slot] = argument.ctypes.data
                frame[slot + 1] = argument.shape[0]
                frame[slot + 2] = argument.shape[1] if argument.ndim > 1 else 1
            else:
                frame[slot] = argument
        self._functions[name](frame.ctypes.data)
        return int(frame[0])


_loaded: dict[Path, Kernels] = {}


def path_in(folder: Path) -> Path:
    """Where the machine code for this version and machine lies in the cache folder."""
    return folder / f"loops-{_key()}.o"


def is_ready(folder: Path) -> bool:
    return path_in(folder).is_file()


def load(folder: Path) -> Kernels:
    """The compiled entry points, compiled first where the cache folder has no sound copy.

    Raises:
        UserError: the compiler fails, or the folder cannot be written.
    """
    path = path_in(folder)
    if path not in _loaded:
        machine_code = _read(path)
        if machine_code is None:
            # A process of its own: the compiler's 300 MB go back when it ends.
            command = [sys.executable, "-m", __name__, str(path)]
            done = subprocess.run(command, capture_output=True, text=True, check=False)
            machine_code = _read(path)
            if machine_code is None:
                reason = (done.stderr.strip().splitlines() or ["no output"])[-1]
                raise UserError(f"cannot compile METEOR's inner loops into {path}: {reason}")
        _loaded[path] = Kernels(machine_code)
    return _loaded[path]


if __name__ == "__main__":
    compile_to(Path(sys.argv[1]))
