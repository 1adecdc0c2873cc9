"""Text processing before metrics: the cleaning of the protocols and the tokenizers of the official tools."""
