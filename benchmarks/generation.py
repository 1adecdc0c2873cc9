"""Speed of the engines in generation and scoring, and their differences from one-by-one `generate`.

    python benchmarks/generation.py --quick --json FILE
    python benchmarks/generation.py --tasks greedy beam10 --contexts 500

Two workloads. `random`: a GPT-2 of 117M random parameters, contexts of 5 to 80 tokens (mean 22.7) and replies of fixed
lengths (mean 14.3; beam search: 14 each), so that every engine does the same work. `tiny`: a trained model (--model) on
human conversations, with replies of any length. Rates are contexts (scoring: pairs) per second of CPU time of one
thread. All engines of a task run in turn, --rounds times, so that other load on the machine slows them equally.
Engines whose packages are not installed are skipped with a message.
"""

from __future__ import annotations

import argparse
import json
import os
import random
import sys
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

from generation_engines import LONGEST, TASKS, Item, Workload, engines, temporary_folder

os.environ.setdefault("OMP_NUM_THREADS", "1")
os.environ.setdefault("TOKENIZERS_PARALLELISM", "false")

# Contexts per engine: (quick, full). Slow engines get fewer, from the start of the same list.
SIZES = {
    "greedy": {"one_by_one": (24, 500), "pipeline_b16": (32, 128), "generate_sorted": (96, 500), "other": (192, 500)},
    "beam10": {"one_by_one": (8, 500), "generate_sorted": (16, 64), "other": (36, 500)},
    "topk": {"one_by_one": (16, 64), "generate_sorted": (64, 256), "other": (192, 500)},
    "mmi16": {"one_by_one": (2, 8), "generate_sorted": (4, 16), "other": (16, 64)},
    "scoring": {"one_by_one": (64, 500), "generate_sorted": (128, 500), "other": (192, 500)},
}


def random_workload(count: int) -> Workload:
    """Return the workload of the 117M model, with a tokenizer whose words are the numbers of its tokens."""
    import torch
    from tokenizers import Tokenizer, models, pre_tokenizers
    from transformers import GPT2Config, GPT2LMHeadModel, PreTrainedTokenizerFast

    torch.manual_seed(0)
    model = GPT2LMHeadModel(GPT2Config()).eval()
    with torch.no_grad():  # with the initial weights every reply repeats one token
        for block in model.transformer.h:
            for layer in (block.attn.c_attn, block.attn.c_proj, block.mlp.c_fc, block.mlp.c_proj):
                layer.weight.mul_(2.0)
    last = model.config.vocab_size - 1
    words = {str(i): i for i in range(1, last)} | {"<pad>": 0, "<end>": last}
    tokenizer = Tokenizer(models.WordLevel(words, unk_token="<pad>"))
    tokenizer.pre_tokenizer = pre_tokenizers.WhitespaceSplit()
    folder = temporary_folder()
    PreTrainedTokenizerFast(
        tokenizer_object=tokenizer, pad_token="<pad>", bos_token="<end>", eos_token="<end>", unk_token="<pad>"
    ).save_pretrained(folder)
    model.generation_config.eos_token_id = None
    model.save_pretrained(folder)
    draw = random.Random(0)
    items = []
    for i in range(count):
        prompt_length = min(80, 5 + int(draw.expovariate(1 / 18.5)))
        length = min(LONGEST, 2 + int(draw.expovariate(1 / 13.5)))
        prompt, target = ([draw.randrange(50256) for _ in range(n)] for n in (prompt_length - 1, 23))
        items.append(Item(f"e{i}", (*prompt, 50256), length, tuple(target)))
    return Workload("random", model, folder, items, None)


def text_workload(folder: str, count: int) -> Workload:
    """Return the workload of a trained model on the chitchat test split; targets are the human replies."""
    import torch
    from transformers import AutoModelForCausalLM, AutoTokenizer

    from dialoeval.config import DatasetConfig
    from dialoeval.data import load

    model = AutoModelForCausalLM.from_pretrained(folder, dtype=torch.float32).eval()
    tokenizer = AutoTokenizer.from_pretrained(folder)
    dataset = load(DatasetConfig(name="chitchat", kind="chitchat", split="test", context_turns=3, limit=count))
    items = []
    for example in dataset.examples:
        prompt = [i for turn in example.context for i in [*tokenizer(turn).input_ids, tokenizer.eos_token_id]]
        target = [*tokenizer(example.references[0]).input_ids, tokenizer.eos_token_id]
        items.append(Item(example.id, tuple(prompt[-120:]), None, tuple(target[:60])))
    return Workload("tiny", model, folder, items, tokenizer.eos_token_id)


def differs(task: str, result: Any, reference: Any) -> bool:
    """Return whether two replies differ, or two scores by more than 1e-3."""
    return abs(result - reference) > 1e-3 if task == "scoring" else result != reference


def measure(
    work: Workload, task: str, runners: dict[str, Any], chosen: argparse.Namespace
) -> dict[str, dict[str, Any]]:
    """Run a task's engines in turn, and return their rates and numbers of differences from one-by-one `generate`."""
    seconds = dict.fromkeys(runners, 0.0)
    results: dict[str, list[Any]] = {}
    sizes = {}
    for name in runners:
        quick, full = SIZES[task].get(name, SIZES[task]["other"])
        sizes[name] = min(len(work.items), chosen.contexts or (quick if chosen.quick else full))
    for engine in runners.values():
        engine.run(task, work.items[:1])  # a warm-up
    for _ in range(chosen.rounds):
        for name, engine in runners.items():
            started = time.process_time()
            results[name] = engine.run(task, work.items[: sizes[name]])
            seconds[name] += time.process_time() - started
    table: dict[str, dict[str, Any]] = {}
    for name, own_results in results.items():
        rate = sizes[name] * chosen.rounds / seconds[name]
        pairs = list(zip(own_results, results.get("one_by_one", []), strict=False))
        random_draws = task in ("topk", "mmi16")  # which differ between engines
        mismatches = None if random_draws or not pairs else sum(differs(task, *pair) for pair in pairs)
        compared_with = sizes[name] if mismatches is None else len(pairs)
        table[name] = {"rate": round(rate, 3), "mismatches": mismatches, "n": compared_with}
        against = rate / (sizes["generate_sorted"] * chosen.rounds / seconds["generate_sorted"])
        compared = "" if mismatches is None else f"{mismatches} of {len(pairs)} differ"
        print(f"  {name:18}{rate:9.2f} /core-s {against:7.2f}x  {compared}", flush=True)
    return table


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--quick", action="store_true", help="fewer contexts: about 15 minutes")
    parser.add_argument("--json", type=Path, help="write the table to this file")
    parser.add_argument("--model", help="folder of the trained model (default: the embedded tiny); 'none' skips it")
    parser.add_argument("--tasks", nargs="+", choices=TASKS, default=list(TASKS))
    parser.add_argument("--engines", nargs="+", help="run only these (and generate_sorted)")
    parser.add_argument("--workloads", nargs="+", choices=("random", "tiny"), default=["random", "tiny"])
    parser.add_argument("--contexts", type=int, help="give every engine this many contexts")
    parser.add_argument("--rounds", type=int, default=1)
    chosen = parser.parse_args()

    import torch
    import transformers

    from dialoeval.files import write_json
    from dialoeval.paths import assets_dir

    print(
        f"torch {torch.__version__}, transformers {transformers.__version__}, {torch.backends.cpu.get_cpu_capability()}"
    )
    torch.set_num_threads(1)
    transformers.utils.logging.set_verbosity_error()
    transformers.utils.logging.disable_progress_bar()
    count = chosen.contexts or 500
    folder = chosen.model or str(assets_dir() / "tiny")
    works: list[Callable[[], Workload]] = []
    if "random" in chosen.workloads:
        works.append(lambda: random_workload(count))
    if "tiny" in chosen.workloads and folder != "none":
        if Path(folder, "config.json").is_file():
            works.append(lambda: text_workload(folder, count))
        else:
            print(f"{folder} has no model: the workload tiny is skipped")
    table: dict[str, dict[str, Any]] = {}
    for make in works:
        work = make()
        available = engines(work)
        if unknown := sorted(set(chosen.engines or ()) - set(available)):
            parser.error(f"unknown engines: {', '.join(unknown)}; available: {', '.join(available)}")
        runners: dict[str, Any] = {}
        for name, (open_engine, _) in available.items():
            if not chosen.engines or name in {*chosen.engines, "generate_sorted"}:
                runners[name] = open_engine()
        for task in chosen.tasks:
            label = task if work.name == "random" else f"{work.name}:{task}"
            print(label, flush=True)
            table[label] = measure(work, task, {n: e for n, e in runners.items() if task in available[n][1]}, chosen)
            if chosen.json:
                write_json(chosen.json, table)  # after each task, in case a later one fails
    if not chosen.json:
        print(json.dumps(table, indent=2))
    return 0


if __name__ == "__main__":
    sys.exit(main())
