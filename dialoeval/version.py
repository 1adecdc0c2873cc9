"""The version of the package: written into scores, signatures and run folders."""

__version__ = "0.1.0"
