"""The report on judgments as one self-contained page."""

from __future__ import annotations

import os

from markupsafe import Markup

from dialoeval.judging.analysis import Analysis
from dialoeval.reports.html import write_page
from dialoeval.reports.judgments_plots import pictures
from dialoeval.reports.judgments_text import meta, sections, title


def write_judgments(analysis: Analysis, out_path: str | os.PathLike[str]) -> None:
    """Write report.html.

    Raises:
        UserError: the page cannot be written.
    """
    shown = [
        {
            "heading": section.heading,
            "remark": section.remark,
            "tables": [(Markup(table.to_html()), table.notes) for table in section.tables],
            "lines": section.lines,
            "plots": pictures(analysis.people, section.name),
        }
        for section in sections(analysis)
    ]
    write_page(out_path, "judgments.html", {"title": title(analysis), "meta": meta(analysis), "sections": shown})
