"""Tables and pages from run folders."""

from __future__ import annotations

import os
from collections.abc import Sequence


def write_html(
    run_dirs: Sequence[str | os.PathLike[str]],
    out_path: str | os.PathLike[str],
    title: str | None = None,
    *,
    baseline: str | None = None,
    judgments: str | None = None,
) -> None:
    """Write one self-contained page of runs: see `dialoeval.reports.html.write_html`."""
    from dialoeval.reports.html import write_html as write

    write(run_dirs, out_path, title, baseline=baseline, judgments=judgments)
