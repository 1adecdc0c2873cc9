"""dialoeval: the reference harness for evaluating response generation."""

__version__ = "0.1.0"
