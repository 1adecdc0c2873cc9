"""Extra metrics, one module each with a ``METRIC`` class: see `dialoeval.metrics.registry`.

They use the text before the protocol's cleaning, and the protocol's distinct references.
"""
