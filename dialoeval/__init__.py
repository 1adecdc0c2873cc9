"""dialoeval: the reference harness for evaluating response generation."""

from dialoeval.version import __version__ as __version__
