"""`dialoeval doctor`: what works on this machine."""

from __future__ import annotations

import argparse
import sys
from collections.abc import Callable, Sequence
from pathlib import Path


def main(arguments: Sequence[str]) -> int:
    """Print one line a finding; exit code 0 unless something is broken."""
    parser = argparse.ArgumentParser(
        prog="dialoeval doctor",
        description="Check what works here: versions, GPU, CPU, caches, METEOR's data, the Hub.",
    )
    parser.add_argument("--offline", action="store_true", help="do not try to reach the Hub")
    options = parser.parse_args(arguments)
    checks: list[Callable[[], tuple[str, str]]] = [
        _python,
        _packages,
        _device,
        _models,
        _baselines,
        _meteor,
        _cache,
        _runs,
        _plugins,
    ]
    if not options.offline:
        checks.append(_hub)
    broken = False
    for check in checks:
        state, text = check()
        broken |= state == "broken"
        print(f"{state:<8}{text}")
    return 1 if broken else 0


def _python() -> tuple[str, str]:
    version = sys.version_info
    good = (3, 11) <= version[:2] < (3, 14)
    return ("ok" if good else "broken"), f"Python {version[0]}.{version[1]}.{version[2]} (supported: 3.11 to 3.13)"


def _packages() -> tuple[str, str]:
    from dialoeval.runs.environment import versions

    installed = versions()
    missing = [name for name, version in installed.items() if version is None]
    listed = ", ".join(f"{name} {version}" for name, version in installed.items() if version)
    return ("broken", f"missing packages: {', '.join(missing)}") if missing else ("ok", listed)


def _device() -> tuple[str, str]:
    import torch

    if torch.cuda.is_available():
        names = ", ".join(torch.cuda.get_device_name(i) for i in range(torch.cuda.device_count()))
        return "ok", f"GPU: {names}"
    capability = torch.backends.cpu.get_cpu_capability()
    cores = torch.get_num_threads()
    flags = Path("/proc/cpuinfo").read_text() if Path("/proc/cpuinfo").exists() else ""
    fast = "amx_bf16" in flags or "avx512_bf16" in flags
    return "ok", f"no GPU; CPU {capability}, {cores} threads; bf16 is {'fast' if fast else 'slow'} here"


def _models() -> tuple[str, str]:
    from dialoeval.errors import UserError
    from dialoeval.models.loading import EMBEDDED, resolve

    present: list[str] = []
    absent: list[str] = []
    for name in (*EMBEDDED, "smollm2"):
        try:
            is_present = Path(resolve(name), "config.json").is_file()
        except UserError:
            is_present = False
        if is_present:
            present.append(name)
        else:
            absent.append(name)
    rest = f"; missing: {', '.join(absent)} (dialoeval fetch smollm2)" if absent else ""
    return ("ok" if "tiny" in present else "broken"), f"models that work without the Hub: {', '.join(present)}{rest}"


def _baselines() -> tuple[str, str]:
    import importlib.util

    from dialoeval.config.schema import BaselineKind
    from dialoeval.models import packaged_encoder

    missing = {"bm25": "retrieval"} if importlib.util.find_spec("bm25s") is None else {}
    if packaged_encoder() is None:
        missing["dense"] = "embeddings"
    works = ", ".join(kind for kind in BaselineKind if kind not in missing)
    rest = "".join(f"; {kind} needs pip install 'dialoeval[{extra}]'" for kind, extra in missing.items())
    return ("note" if missing else "ok"), f"baselines that work: {works}{rest}"


def _meteor() -> tuple[str, str]:
    from dialoeval.errors import UserError
    from dialoeval.metrics import meteor

    try:
        score = meteor(["a small test"], [["a little test"]])
    except UserError as error:
        return "broken", f"METEOR: {error}"
    return "ok", f"METEOR 1.5: data and index found (a test gives {score:.4f}); Java is not needed"


def _cache() -> tuple[str, str]:
    from dialoeval.paths import cache_dir

    folder = cache_dir()
    size = sum(file.stat().st_size for file in folder.rglob("*") if file.is_file()) if folder.is_dir() else 0
    return "ok", f"cache: {folder} ({size / 1e6:.0f} MB; DIALOEVAL_CACHE names another folder)"


def _runs() -> tuple[str, str]:
    return "ok", f"{len(list(Path('reports').glob('*/manifest.json')))} runs in ./reports"


def _plugins() -> tuple[str, str]:
    from dialoeval import plugins

    offers = [offer for kind in plugins.KINDS for named in plugins.find(kind).values() for offer in named]
    packages = sorted({offer.package for offer in offers})
    if faults := plugins.faults():
        return "broken", f"plugins: {'; '.join(faults)}"
    return "ok", f"plugins: {', '.join(packages) or 'none'}"


def _hub() -> tuple[str, str]:
    import urllib.error
    import urllib.request

    from huggingface_hub.constants import ENDPOINT

    try:
        with urllib.request.urlopen(ENDPOINT, timeout=3):
            return "ok", f"the Hub ({ENDPOINT}) can be reached"
    except (OSError, urllib.error.URLError, ValueError):
        return "note", f"the Hub ({ENDPOINT}) cannot be reached: only embedded, fetched and local models will work"
