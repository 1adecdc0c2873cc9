"""`dialoeval train`: causal language modelling on dialogues."""

from __future__ import annotations

import shlex
from collections.abc import Sequence

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
    if {"-h", "--help"} & set(arguments):
        print(HELP, end="")
        return 0
    from dialoeval.config.compose import compose

    show = list(arguments[-2:]) == ["--cfg", "job"]
    config = compose("train", arguments[:-2] if show else arguments)
    if show:
        from dialoeval.config.compose import to_yaml

        print(to_yaml(config), end="")
        return 0
    from dialoeval.training.train import train

    record = train(config, command=shlex.join(["dialoeval", "train", *arguments]))
    perplexity = record.validation_perplexity
    print(f"model: {config.training.output_dir}" + (f"  held-out perplexity: {perplexity}" if perplexity else ""))
    return 0
