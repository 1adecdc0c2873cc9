"""`dialoeval judge model`: a model judges the items of a study."""

from __future__ import annotations

from collections.abc import Sequence

from dialoeval.errors import UserError

USAGE = """usage: dialoeval judge model STUDY model=NAME [engine=NAME] [key=value ...]

Let a model judge every item of a study, each pair in both orders. A local model answers by the probability of each
option; a server by its log-probabilities, or else by one word. Run again, it asks only what has no answer yet.
`dialoeval judge report STUDY` then shows it apart from people: its tables, its agreement with them, and how far its
verdicts rest on order, position and length.

  dialoeval judge model studies/mine model=smollm2
  dialoeval judge model studies/mine model=custom model.path=gpt-4o engine=openai engine.base_url=URL
"""


def main(arguments: Sequence[str]) -> int:
    """Put the questions that have no answer, and print what to do next."""
    if not arguments or {"-h", "--help"} & set(arguments):
        print(USAGE, end="")
        return 0 if arguments else 2
    studies = [argument for argument in arguments if "=" not in argument]
    overrides = [argument for argument in arguments if "=" in argument]
    if len(studies) != 1 or studies[0].startswith("-"):
        raise UserError("give one study and settings such as model=smollm2 (`dialoeval judge model --help`)")
    if not any(override.startswith(("model=", "model.path=")) for override in overrides):
        raise UserError("name the model that judges: model=smollm2, or model.path=FOLDER")
    if wrong := [o for o in overrides if not o.startswith(("model", "engine"))]:
        raise UserError(f"{wrong[0]} has no effect on a judge: only model and engine settings have")
    from dialoeval.config.compose import compose
    from dialoeval.judging.items import load_study
    from dialoeval.judging.model_judge import judge_study, number_of_asks
    from dialoeval.judging.model_open import open_judge
    from dialoeval.progress import progress

    study = load_study(studies[0])
    items = [*study.judged, *study.golds]
    config = compose("config", overrides)
    judge = open_judge(config.model, config.engine)
    try:
        with progress("answers", number_of_asks(items, study.design.questions)) as step:
            answers, new = judge_study(study.path, items, study.design.questions, judge, step)
    finally:
        judge.close()
    refused = sum(answer.probabilities is None for answer in answers.answers.values())
    print(
        f"{answers.judge}: {new} new answers, {len(answers.answers)} in all" + (f", {refused} refused" * bool(refused))
    )
    print(f"\nnext: dialoeval judge report {studies[0]}")
    return 0
