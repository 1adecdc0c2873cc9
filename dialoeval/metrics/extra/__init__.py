"""Metrics beside the paper's, one module each with a ``METRIC`` class: see `dialoeval.metrics.registry`.

They see the text as it was before the protocol's cleaning, and the protocol's references, each once.
"""
