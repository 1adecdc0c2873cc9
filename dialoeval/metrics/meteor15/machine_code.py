"""Compile METEOR's inner loops once with numba, keep the machine code, and load it without numba.

Importing numba and loading its cached functions takes about 0.55 s per process, longer than scoring a thousand replies.
So the entry points are compiled in a separate process, into an object file for baseline x86-64 or ARM64 (any machine
that shares the cache can run it), which later processes load with llvmlite in about 0.05 s. Calls release the
interpreter's lock, so threads share one copy of all tables.
"""

from __future__ import annotations

import ctypes
import hashlib
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np

from dialoeval.errors import UserError
from dialoeval.files import atomic_open
from dialoeval.metrics.meteor15.formula import STATISTICS
from dialoeval.metrics.meteor15.layout import ENTRY_POINTS, Arrays, array_types
from dialoeval.metrics.meteor15.options import MODULES

_HERE = Path(__file__).parent
_SOURCES = (_HERE / "machine_code.py", _HERE / "layout.py", _HERE / "hash_tables.py", *(_HERE / "kernels").glob("*.py"))
_DIGEST_BYTES = 32
# Paths that raise errors refer to numba's run-time library. No entry point can raise, so none of these is ever called.
_NEVER_CALLED = (
    "numba_do_raise",
    "numba_gil_ensure",
    "numba_gil_release",
    "numba_runtime_build_excinfo_struct",
    "numba_unpickle",
)


def _key() -> str:
    """Return a digest of the loops' sources, the compilers' versions and the kind of machine."""
    import importlib.metadata

    import llvmlite.binding as llvm

    digest = hashlib.sha256()
    for path in sorted(_SOURCES):
        digest.update(path.read_bytes())
    versions = [importlib.metadata.version(package) for package in ("numba", "llvmlite")]
    digest.update(" ".join([*versions, llvm.get_default_triple(), *MODULES, *STATISTICS]).encode())
    return digest.hexdigest()[:16]


def _target_machine() -> Any:
    import llvmlite.binding as llvm

    return llvm.Target.from_default_triple().create_target_machine(opt=3, codemodel="jitdefault", jit=True)


def compile_to(path: Path) -> None:
    """Compile all entry points into one file: its SHA-256, then each object's size (8 bytes) and machine code."""
    import llvmlite.binding as llvm

    from dialoeval.metrics.meteor15.kernels.entry_points import compile_entry_point

    machine = _target_machine()
    body = b""
    for name in ENTRY_POINTS:
        entry_point = compile_entry_point(name)
        code = entry_point.inspect_llvm().replace(f'"{entry_point.native_name}"', f'"{name}"')
        machine_code = machine.emit_object(
            llvm.parse_assembly(code.replace(f"@{entry_point.native_name}(", f"@{name}("))
        )
        body += len(machine_code).to_bytes(8, "little") + machine_code
    with atomic_open(path, "wb") as stream:
        stream.write(hashlib.sha256(body).digest() + body)


def read(path: Path) -> list[bytes] | None:
    """Return the machine code of each entry point, or None if the file does not exist or is damaged."""
    try:
        data = path.read_bytes()
    except OSError:
        return None
    digest, body = data[:_DIGEST_BYTES], data[_DIGEST_BYTES:]
    if hashlib.sha256(body).digest() != digest:
        return None
    objects = []
    while body:
        end = 8 + int.from_bytes(body[:8], "little")
        objects.append(body[8:end])
        body = body[end:]
    return objects


class Kernels:
    """The compiled entry points, as functions of named tuples of numpy arrays."""

    def __init__(self, machine_code: list[bytes]) -> None:
        import llvmlite.binding as llvm

        llvm.initialize_native_target()
        llvm.initialize_native_asmprinter()
        abort = ctypes.cast(ctypes.CDLL(None).abort, ctypes.c_void_p).value
        for symbol in _NEVER_CALLED:
            if llvm.address_of_symbol(symbol) is None:
                llvm.add_symbol(symbol, abort)
        self._types = {name: [array_types(arrays) for arrays in ENTRY_POINTS[name]] for name in ENTRY_POINTS}
        self._functions: dict[str, Callable[[int], None]] = {}
        self._engines = []
        for name, code in zip(ENTRY_POINTS, machine_code, strict=True):
            engine = llvm.create_mcjit_compiler(llvm.parse_assembly(""), _target_machine())
            engine.add_object_file(llvm.ObjectFileRef.from_data(code))
            engine.finalize_object()
            self._engines.append(engine)
            self._functions[name] = ctypes.CFUNCTYPE(None, ctypes.c_void_p)(engine.get_function_address(name))

    def call(self, name: str, *arguments: Arrays) -> None:
        """Call an entry point of `layout.ENTRY_POINTS`.

        Raises:
            TypeError: an argument is not of the declared named tuple, or an array is not C-contiguous or not of the
                declared type and number of dimensions.
        """
        if tuple(map(type, arguments)) != ENTRY_POINTS[name]:
            raise TypeError(f"{name} takes {', '.join(arrays.__name__ for arrays in ENTRY_POINTS[name])}")
        frame: list[int] = []
        for argument, types in zip(arguments, self._types[name], strict=True):
            for array, (dtype, ndim) in zip(argument, types, strict=True):
                if array.dtype != dtype or array.ndim != ndim or not array.flags.c_contiguous:
                    group = type(argument).__name__
                    raise TypeError(f"an array of {group} must be contiguous and of type {dtype}, {ndim}-d")
                frame += (array.ctypes.data, *array.shape)
        slots = np.array(frame, np.int64)
        self._functions[name](slots.ctypes.data)


_loaded: dict[Path, Kernels] = {}


def path_in(folder: Path) -> Path:
    """Return the path of the machine code for this version and machine in the cache folder."""
    return folder / f"loops-{_key()}.o"


def is_ready(folder: Path) -> bool:
    """Return whether the cache folder holds machine code for this version and machine."""
    return path_in(folder).is_file()


def load(folder: Path) -> Kernels:
    """Return the compiled entry points; compile them first unless the cache folder has an intact copy.

    Raises:
        UserError: the compiler fails, or the folder cannot be written.
    """
    path = path_in(folder)
    if path not in _loaded:
        machine_code = read(path)
        if machine_code is None:
            # A separate process: the compiler's 300 MB are freed when it ends.
            command = [sys.executable, "-m", __name__, str(path)]
            process = subprocess.run(command, capture_output=True, text=True, check=False)
            machine_code = read(path)
            if machine_code is None:
                reason = (process.stderr.strip().splitlines() or ["no output"])[-1]
                raise UserError(f"cannot compile METEOR's inner loops into {path}: {reason}")
        _loaded[path] = Kernels(machine_code)
    return _loaded[path]


if __name__ == "__main__":
    compile_to(Path(sys.argv[1]))
