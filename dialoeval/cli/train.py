"""`dialoeval train`: causal language modelling on dialogues."""

from __future__ import annotations

import contextlib
import logging
import shlex
from collections.abc import Iterator, Sequence

from dialoeval.cli.flags import parse
from dialoeval.errors import UserError

HELP = """usage: dialoeval train [training=NAME] [model=NAME] [dataset=NAME] [key=value ...]

Train or fine-tune a dialogue model: turns joined and ended by the end-of-text token, or in the model's chat template.

  dialoeval train model=dialogpt-small dataset=conversations dataset.path=talks.jsonl
  dialoeval train recipe=dialogpt dataset=dialogpt_tsv dataset.path=rows.tsv ...   # DialoGPT's published settings
  dialoeval train training=tiny                     # the embedded model, from random weights
  dialoeval train training.direction=backward ...   # reply -> context, for MMI reranking
  dialoeval train model.prompt=chat model.path=...  # chat models: the loss is on the assistant's turns

  training.objective=all                            # learn the first turn too, not only the responses
  training.lora.rank=8                              # train an adapter (pip install 'dialoeval[lora]')
  training.epochs=3                                 # in place of training.max_steps
  training.keep=best training.patience=3            # by held-out loss: keep the best weights, stop early

On several GPUs or machines: accelerate launch -m dialoeval train ...

Run again after an interruption, the same command resumes and ends with the same weights.
  --cfg job    print the whole configuration and stop
"""


def main(arguments: Sequence[str]) -> int:
    """Compose conf/train.yaml with the overrides, train, and print where the model is."""
    with _only_the_first_tells():
        return _main(arguments)


def _main(arguments: Sequence[str]) -> int:
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
    perplexity, released = record.validation_perplexity, record.released_perplexity
    print(
        f"model: {config.training.output_dir}"
        + (f"  held-out perplexity: {perplexity}" if perplexity else "")
        + (f" (as the DialoGPT release computes it: {released})" if released else "")
    )
    return 0


@contextlib.contextmanager
def _only_the_first_tells() -> Iterator[None]:
    """Keep the other processes of `accelerate launch` silent: the first one tells what concerns all.

    The first process of another machine tells a mistake too, which that machine alone may have.

    Raises:
        SystemExit: in another than the first, where an error of all or a lost process ends the training.
    """
    from dialoeval.training.processes import LostProcess, first_here, rank

    if rank() == 0:
        yield
        return
    logging.getLogger("dialoeval").setLevel(logging.CRITICAL)
    try:
        with contextlib.redirect_stdout(None):
            yield
    except UserError as error:
        if first_here():
            raise
        raise SystemExit(2) from error
    except LostProcess as error:
        raise SystemExit(1) from error
    except KeyboardInterrupt as error:
        raise SystemExit(130) from error
