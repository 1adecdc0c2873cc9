"""Batched against single replies for every family of transformers, as tiny random models: the table of docs/models.md.

python benchmarks/families.py                      all families, about 4 minutes on one core
python benchmarks/families.py gpt2 mamba           some
python benchmarks/families.py --exact              also the list for dialoeval/generation/batching.py
"""

from __future__ import annotations

import argparse
import sys
import textwrap
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parent.parent / "tests"))

from support.families import SETTINGS, Counts, Verdict, examine, families


def table(verdicts: list[Verdict]) -> str:
    """Return the verdicts as Markdown."""
    ran = [verdict for verdict in verdicts if verdict.reason is None]
    exact = [verdict for verdict in ran if not verdict.differs]
    lines = []
    for kind in ("decoder", "encoder-decoder"):
        names = [verdict.model_type for verdict in exact if verdict.kind == kind]
        counts = [verdict.counts for verdict in exact if verdict.kind == kind]
        sums = ", ".join(_sum(name, [c[name] for c in counts if name in c]) for name in SETTINGS)
        lines += [f"{len(names)} {kind} families, batched ({sums}):", "", textwrap.fill(", ".join(names), 120), ""]
    lines += ["| run one by one | kind | greedy, batched | beam, batched | as run |", "|---|---|---|---|---|"]
    for verdict in ran:
        if verdict.differs:
            cells = [_cell(verdict.counts.get(name)) for name in SETTINGS]
            differ = sum(counts.differ for counts in verdict.engine.values())
            lines.append(f"| {verdict.model_type} | {verdict.kind} | {cells[0]} | {cells[1]} | {differ} differ |")
    lines += ["", "| not tested | kind | reason |", "|---|---|---|"]
    for verdict in verdicts:
        if verdict.reason:
            reason = verdict.reason.replace("|", "/")[:110]
            lines.append(f"| {verdict.model_type} | {verdict.kind} | {reason} |")
    return "\n".join(lines)


def _cell(counts: Counts | None) -> str:
    return "no beam search" if counts is None else f"{counts.differ} of {counts.replies} differ"


def _sum(name: str, counts: list[Counts]) -> str:
    return f"{name}: {sum(c.differ for c in counts)} of {sum(c.replies for c in counts):,} replies differ"


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("names", nargs="*")
    parser.add_argument("--exact", action="store_true")
    arguments = parser.parse_args()
    verdicts = []
    for name, kind in families():
        if not arguments.names or name in arguments.names:
            verdicts.append(examine(name, kind))
            print(name, kind, verdicts[-1].reason or ("differs" if verdicts[-1].differs else "exact"), file=sys.stderr)
    print(table(verdicts))
    if arguments.exact:
        for kind in ("decoder", "encoder-decoder"):
            exact = [v.model_type for v in verdicts if v.kind == kind and v.reason is None and not v.differs]
            print(f"\n{kind}:\n" + textwrap.fill(" ".join(exact), 112))
    wrong = [v.model_type for v in verdicts if any(counts.differ for counts in v.engine.values())]
    if wrong:
        print(f"the engine's replies differ: {', '.join(wrong)}", file=sys.stderr)
    return 1 if wrong else 0


if __name__ == "__main__":
    sys.exit(main())
