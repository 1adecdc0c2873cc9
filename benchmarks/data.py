"""Throughput and memory of `dialoeval build sessions`: `python benchmarks/data.py --json FILE`.

The dump is synthetic: threads of messages from the package chitchat-dataset, about 225 bytes a comment, compressed by
zstandard. Every build runs in its own process; start-up counts. The peak is that of the largest process, and of all
together. The published extractor handles 17,000 comments a second of such a dump on one core.
"""

from __future__ import annotations

import argparse
import json
import os
import random
import subprocess
import sys
import tempfile
import threading
import time
from pathlib import Path
from typing import Any

PUBLISHED = 17_000  # comments a second
SETTINGS = {
    "train": ["recipe=dialogpt2019", "split=train"],
    "test": ["recipe=dialogpt2019", "split=test"],
}


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--comments", type=int, nargs="*", default=[100_000, 500_000])
    parser.add_argument("--workers", type=int, nargs="*", default=[1, 2])
    parser.add_argument("--splits", nargs="*", choices=SETTINGS, default=["train"])
    parser.add_argument("--repeats", type=int, default=1)
    parser.add_argument("--json", metavar="FILE")
    options = parser.parse_args()
    results = []
    print("split  comments  workers  B/comment  seconds  comments/s  x published  per CPU s  peak MB: one process, all")
    with tempfile.TemporaryDirectory() as folder:
        for number in options.comments:
            dumps = Path(folder) / str(number)
            size = write_dumps(dumps, number)
            for split in options.splits:
                for workers in options.workers:
                    runs = [build(dumps, split, workers, number) for _ in range(options.repeats)]
                    best = min(runs, key=lambda run: run["seconds"])
                    results.append(best | {"bytes_per_comment": size / number})
                    rate = best["comments_per_second"]
                    print(
                        f"{split:5} {number:9,} {workers:8} {size / number:10.1f} {best['seconds']:8.2f} {rate:11,.0f}"
                        f" {rate / PUBLISHED:12.2f} {number / best['cpu_seconds']:10,.0f}"
                        f" {best['peak_mb_one']:21.0f} {best['peak_mb_all']:4.0f}",
                        flush=True,
                    )
    if options.json:
        Path(options.json).write_text(json.dumps({"cores": os.cpu_count(), "results": results}, indent=2) + "\n")
    return 0


def write_dumps(folder: Path, comments: int) -> int:
    """Write the dumps of a month; return the number of bytes of its comments."""
    import zstandard

    from dialoeval.data.sources.chitchat import conversations

    folder.mkdir(parents=True)
    messages = [" ".join(turn.split()) for _, turns in conversations("train") for turn in turns]
    messages = [message for message in messages if 20 <= len(message) <= 130]
    draw = random.Random(1)
    size = written = thread = 0
    with (
        open(folder / "RC_2011-01.zst", "wb") as rc,
        open(folder / "RS_2011-01.zst", "wb") as rs,
        zstandard.ZstdCompressor().stream_writer(rc) as out,
        zstandard.ZstdCompressor().stream_writer(rs) as heads,
    ):
        while written < comments:
            thread += 1
            link, names = f"t3_{thread:x}", [f"t3_{thread:x}"]
            replies = min(draw.randint(1, 30), comments - written)
            heads.write(json.dumps(_submission(link, replies, draw.choice(messages))).encode() + b"\n")
            for _ in range(replies):
                written += 1
                name, parent = f"c{written:x}", draw.choice(names[-4:])
                line = json.dumps(_comment(draw, name, parent, link, draw.choice(messages))).encode() + b"\n"
                size += out.write(line) and len(line)
                names.append(f"t1_{name}")
    return size


def _submission(link: str, replies: int, title: str) -> dict[str, Any]:
    return {
        "id": link[3:],
        "score": 3,
        "num_comments": replies,
        "domain": "self.pics",
        "permalink": f"/r/pics/comments/{link[3:]}/x/",
        "title": title,
        "selftext": "",
    }


def _comment(draw: random.Random, name: str, parent: str, link: str, body: str) -> dict[str, Any]:
    return {
        "id": name,
        "author": f"u{draw.randint(1, 9999)}",
        "parent_id": parent,
        "link_id": link,
        "score": draw.choice((-1, 0, 1, 1, 1, 2, 5, 30)),
        "body": body,
        "subreddit": "pics",
        "created_utc": 1293867710,
        "gilded": 0,
    }


def build(dumps: Path, split: str, workers: int, comments: int) -> dict[str, Any]:
    """Build the rows of a dump in a process of its own; return time and memory."""
    with tempfile.TemporaryDirectory(dir=dumps.parent) as out:
        command = [sys.executable, "-m", "dialoeval", "build", "sessions", "--dumps", str(dumps), "--months", "2011-01"]
        command += ["--out", out, f"workers={workers}", *SETTINGS[split]]
        before, started = os.times(), time.perf_counter()
        with subprocess.Popen(command, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL) as process:
            peaks = Peaks(process.pid)
            code = process.wait()
            peaks.stop()
        seconds, after = time.perf_counter() - started, os.times()
        if code:
            raise SystemExit(f"{' '.join(command)}: exit code {code}")
        rows = json.loads((Path(out) / "manifest.json").read_text())["rows"]
    cpu = after.children_user + after.children_system - before.children_user - before.children_system
    return {
        "split": split,
        "comments": comments,
        "workers": workers,
        "rows": rows,
        "seconds": seconds,
        "cpu_seconds": cpu,
        "comments_per_second": comments / seconds,
        "peak_mb_one": peaks.one / 1e6,
        "peak_mb_all": peaks.all / 1e6,
    }


class Peaks(threading.Thread):
    """Watches the resident memory of a process and its children, in bytes."""

    def __init__(self, process: int) -> None:
        super().__init__(daemon=True)
        self.process, self.one, self.all, self.running = process, 0, 0, True
        self.start()

    def run(self) -> None:
        while self.running:
            sizes = [_resident(process) for process in (self.process, *_children(self.process))]
            self.one, self.all = max(self.one, *sizes), max(self.all, sum(sizes))
            time.sleep(0.02)

    def stop(self) -> None:
        self.running = False
        self.join()


def _resident(process: int) -> int:
    try:
        return int(Path(f"/proc/{process}/statm").read_text().split()[1]) * os.sysconf("SC_PAGE_SIZE")
    except (OSError, IndexError):
        return 0


def _children(process: int) -> list[int]:
    try:
        return [int(one) for one in Path(f"/proc/{process}/task/{process}/children").read_text().split()]
    except OSError:
        return []


if __name__ == "__main__":
    sys.exit(main())
