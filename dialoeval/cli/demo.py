"""`dialoeval demo`: decodings of one model, baselines and people in the paper's table, with the page of all replies."""

from __future__ import annotations

import argparse
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from dialoeval.reports.scores_view import ScoresView
    from dialoeval.runs.folder import RunFolder

DECODINGS = ("greedy", "beam", "topk", "mmi")
CHAT = ("smollm2", "decoding.max_new_tokens=40")  # a chat model, and what keeps its replies as short as people's


def main(arguments: Sequence[str]) -> int:
    """Run the decodings and the baselines, print the table, write the page."""
    parser = argparse.ArgumentParser(
        prog="dialoeval demo",
        description="Reply to human conversations by greedy search, beam search, top-k sampling and MMI reranking; run "
        "the baselines constant, random and BM25 and the human replies; print the paper's table with the differences "
        "that are real, and write the page. Called again, it takes all replies from the reports folder.",
    )
    parser.add_argument(
        "--model", choices=("tiny", "smollm2"), default="tiny", help="an embedded or fetched model [tiny]"
    )
    parser.add_argument("--contexts", type=int, default=100, metavar="N", help="how many conversations [100]")
    parser.add_argument("--reports-dir", default="reports", metavar="DIR")
    options = parser.parse_args(arguments)
    from dialoeval.errors import UserError
    from dialoeval.reports.html import scores_table, write_html
    from dialoeval.reports.scores_view import scores_view
    from dialoeval.runs.reader import beside_each_other, load_run

    if options.contexts < 2:
        raise UserError("--contexts must be 2 or more")
    folders = _runs(options.model, options.contexts, options.reports_dir)
    runs = beside_each_other([load_run(folder) for folder in folders])
    page = Path(options.reports_dir) / f"demo-{options.model}.html"
    tests = write_html([run.path for run in runs], page, f"{options.model}: decodings, baselines and people")
    view = scores_view(runs, tests, scores_table(runs).best())
    print(_table(view))
    print("\n".join(view.legend[1:]))
    print(f"\npage: {page.resolve().as_uri()}")
    return 0


def _runs(model: str, contexts: int, reports_dir: str) -> Iterator[RunFolder]:
    """Yield the runs of the model's decodings, then those of the baselines and of people."""
    import logging

    from dialoeval.config.compose import compose
    from dialoeval.errors import UserError
    from dialoeval.runs.floor import floor
    from dialoeval.runs.folder import RunFolder
    from dialoeval.runs.runner import run

    shared = [f"reports_dir={reports_dir}", f"dataset.limit={contexts}"]
    own = [f"model={model}", *(CHAT[1:] if model == CHAT[0] else ())]
    decodings = [decoding for decoding in DECODINGS if model == "tiny" or decoding != "mmi"]  # needs a backward model
    found = [run(compose("config", [*own, f"decoding={decoding}", *shared])).folder for decoding in decodings]
    log = logging.getLogger("dialoeval")
    try:
        found.append(run(compose("config", ["model=baseline-bm25", *shared])).folder)
    except UserError as error:  # its package is an extra
        log.info("no row baseline-bm25: %s", error)
    yield from found
    floors = floor(found[:1])
    for remark in floors.remarks:
        log.info("%s", remark)
    yield from (RunFolder(path) for path in floors.runs)


def _table(view: ScoresView) -> str:
    """Return the table as Markdown; a mark follows each figure that differs from the first row's."""
    from dialoeval.tables import Strong, Table

    rows: list[tuple[str, ...]] = []
    for name, _, _, cells in view.rows:
        texts = (f"{shown.cell.figure} {shown.mark}".rstrip() for shown in cells)
        rows.append((name, *(Strong(text) if shown.best else text for text, shown in zip(texts, cells, strict=True))))
    headings = ("System", *(f"{one.heading} {one.arrow}".rstrip() for one in view.columns))
    return Table(headings, tuple(rows)).to_markdown()
