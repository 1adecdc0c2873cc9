"""Judgments by the name that a user gives: a study folder, or a file."""

from __future__ import annotations

from pathlib import Path

from dialoeval.errors import UserError
from dialoeval.judging.imported import ImportSettings, read_judgments_file
from dialoeval.judging.judgments import ItemKind, Judgments


def read_source(name: str, settings: ImportSettings | None = None) -> Judgments:
    """Return the judgments of a study folder, or of a file.

    Raises:
        UserError: it is neither, or it cannot be read.
    """
    path = Path(name)
    if path.is_dir():
        from dialoeval.judging.store import judgments

        if not (path / "study.yaml").is_file():
            raise UserError(f"{name} is not a study: it has no study.yaml (`dialoeval judge new` makes studies)")
        return judgments(path)
    if not path.exists():
        raise UserError(f"{name} is neither a study folder nor a file of judgments")
    return read_judgments_file(name, settings)


def judged_replies(name: str) -> dict[tuple[str, str], str]:
    """Return {(system, context): reply} of a study folder, the human reply's too."""
    from dialoeval.judging.items import load_study

    return {
        (system, item.example_id): text
        for item in load_study(name).items
        if item.kind == ItemKind.real
        for system, text in item.replies.items()
    }


def run_folders(name: str) -> dict[str, str]:
    """Return {system: folder of its run} of a study folder; empty for a file."""
    if not Path(name).is_dir():
        return {}
    from dialoeval.judging.design import read_design
    from dialoeval.judging.items import run_folder

    systems = read_design(Path(name) / "study.yaml").systems
    return {key: str(run_folder(Path(name), s.run)) for key, s in systems.items() if s.index is None}
