"""Datasets: where examples come from."""

from dialoeval.data.example import Dataset, Example

__all__ = ["Dataset", "Example"]
