"""Peak memory of the `fast` engine: the 762M shape, beam width 10, 6,000 contexts.

    python benchmarks/generation_memory.py --seconds 300

The weights are random, the contexts those of `generation.py`. The longest prompts come first and the slots are full
from the start, so memory peaks early: the run stops after --seconds and reports the number of contexts done. Memory is
the proportional set size of this process and its workers (shared pages count once), read every half second.
"""

from __future__ import annotations

import argparse
import json
import os
import random
import signal
import sys
import threading
import time
from pathlib import Path

os.environ.setdefault("OMP_NUM_THREADS", "1")

SHAPES = {"117M": (12, 768, 12), "345M": (24, 1024, 16), "762M": (36, 1280, 20)}  # layers, width, heads (GPT-2)


def used_bytes() -> int:
    """Return the proportional set size of this process and its children."""
    me = os.getpid()
    family = [me]
    for task in Path(f"/proc/{me}/task").iterdir():
        try:
            family += [int(child) for child in (task / "children").read_text().split()]
        except OSError:
            continue  # a thread that has ended
    total = 0
    for process in family:
        try:
            text = Path(f"/proc/{process}/smaps_rollup").read_text()
        except OSError:
            continue  # it has ended
        total += next((int(line.split()[1]) * 1024 for line in text.splitlines() if line.startswith("Pss:")), 0)
    return total


class TimeIsUp(Exception):
    """The time limit, which interrupts the work like Ctrl-C."""


def time_is_up(*_: object) -> None:
    raise TimeIsUp


class Watch(threading.Thread):
    """A thread that records the peak memory."""

    def __init__(self) -> None:
        super().__init__(daemon=True)
        self.peak = 0
        self.stopped = threading.Event()

    def run(self) -> None:
        while not self.stopped.wait(0.5):
            self.peak = max(self.peak, used_bytes())


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--shape", choices=list(SHAPES), default="762M")
    parser.add_argument("--contexts", type=int, default=6000)
    parser.add_argument("--beams", type=int, default=10)
    parser.add_argument("--max-new-tokens", type=int, default=64)
    parser.add_argument("--workers", type=int, default=0, help="0: one per core")
    parser.add_argument("--seconds", type=float, default=300)
    parser.add_argument("--json", type=Path, help="write the figures to this file")
    chosen = parser.parse_args()

    import torch
    from transformers import GPT2Config, GPT2LMHeadModel

    from dialoeval.config import DecodingConfig, EngineConfig
    from dialoeval.files import write_json
    from dialoeval.generation.engines.fast import FastEngine
    from dialoeval.generation.types import TokenRequest

    layers, width, heads = SHAPES[chosen.shape]
    config = GPT2Config(n_layer=layers, n_embd=width, n_head=heads)
    torch.manual_seed(0)
    model = GPT2LMHeadModel(config).eval()
    draw = random.Random(0)
    requests = []
    for i in range(chosen.contexts):
        length = min(80, 5 + int(draw.expovariate(1 / 18.5)))
        requests.append(TokenRequest(f"e{i}", tuple(draw.randrange(config.vocab_size - 1) for _ in range(length))))
    how = DecodingConfig(name="beam", strategy="beam", num_beams=chosen.beams, max_new_tokens=chosen.max_new_tokens)
    engine = FastEngine(
        model,
        EngineConfig(device="cpu", workers=chosen.workers),
        eos_ids=(config.eos_token_id,),
        window=config.n_positions,
    )
    watch = Watch()
    watch.start()
    started = time.monotonic()
    answered = 0
    replies = engine.generate(requests, how, 0)
    signal.signal(signal.SIGALRM, time_is_up)
    signal.setitimer(signal.ITIMER_REAL, chosen.seconds)
    try:
        for _ in replies:
            answered += 1
    except TimeIsUp:
        pass
    finally:
        signal.setitimer(signal.ITIMER_REAL, 0)
        replies.close()
        watch.stopped.set()
        watch.join()
        engine.close()
    figures = {
        "shape": chosen.shape,
        "beams": chosen.beams,
        "contexts": chosen.contexts,
        "answered": answered,
        "seconds": round(time.monotonic() - started, 1),
        "workers": engine.workers,
        "weights_gib": round(sum(p.numel() for p in model.parameters()) * 4 / 2**30, 2),
        "peak_gib": round(watch.peak / 2**30, 2),
    }
    print(json.dumps(figures, indent=2))
    if chosen.json:
        write_json(chosen.json, figures)
    return 0


if __name__ == "__main__":
    sys.exit(main())
