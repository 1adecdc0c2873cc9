"""Facts about the project that several files state agree."""

from __future__ import annotations

import re
import tomllib
from pathlib import Path

import yaml
from packaging.requirements import Requirement

import dialoeval

ROOT = Path(__file__).resolve().parents[1]


def normalized(name: str) -> str:
    return re.sub(r"[-_.]+", "-", name).lower()


def test_the_citation_names_this_version():
    assert yaml.safe_load((ROOT / "CITATION.cff").read_text("utf-8"))["version"] == dialoeval.__version__


def test_every_package_of_the_set_up_is_pinned():
    project = tomllib.loads((ROOT / "pyproject.toml").read_text("utf-8"))["project"]
    extras = project["optional-dependencies"]
    needed = {
        normalized(Requirement(line).name) for line in [*project["dependencies"], *extras["test"], *extras["dev"]]
    }
    lines = (ROOT / "constraints.txt").read_text("utf-8").splitlines()
    pinned = {normalized(line.partition("==")[0]) for line in lines if "==" in line}
    assert needed - {"dialoeval"} <= pinned
