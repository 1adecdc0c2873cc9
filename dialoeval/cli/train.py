"""`dialoeval train`: causal language modelling on dialogues."""

from __future__ import annotations

import shlex
from collections.abc import Sequence

from dialoeval.cli.flags import parse

HELP = """usage: dialoeval train [training=NAME] [model=NAME] [dataset=NAME] [key=value ...]

Train or fine-tune a dialogue model: turns joined and ended by the end-of-text token, or in the model's chat template.

  dialoeval train model=dialogpt-small dataset=conversations dataset.path=talks.jsonl
  dialoeval train training=tiny                     # the embedded model, from random weights
  dialoeval train training.direction=backward ...   # reply -> context, for MMI reranking
  dialoeval train model.prompt=chat model.path=...  # chat models: the loss is on the assistant's turns

  training.epochs=3                                 # in place of training.max_steps
  training.keep=best training.patience=3            # by held-out loss: keep the best weights, stop early

Run again after an interruption, the same command resumes and ends with the same weights.
  --cfg job    print the whole configuration and stop
"""


def main(arguments: Sequence[str]) -> int:
    """Compose conf/train.yaml with the overrides, train, and print where the model is."""
    flags = parse("train", arguments)
    if "--help" in flags:
        print(HELP, end="")
        return 0
    if flags.hydra:
        from dialoeval.config.hydra_app import print_flags

        return print_flags("train", flags.hydra, flags.overrides, show=lambda text: print(text, end=""))
    from dialoeval.config.compose import compose

    config = compose("train", flags.overrides)
    from dialoeval.training.train import train

    record = train(config, command=shlex.join(["dialoeval", "train", *arguments]))
    perplexity = record.validation_perplexity
    print(f"model: {config.training.output_dir}" + (f"  held-out perplexity: {perplexity}" if perplexity else ""))
    return 0
