"""How fast the engines generate and score, and how often they differ from one-by-one `generate`.

    python benchmarks/generation.py --quick --json FILE
    python benchmarks/generation.py --tasks greedy beam10 --contexts 500

Two workloads. `random`: a GPT-2 of 117M random parameters, contexts of 5 to 80 tokens (mean 22.7) and replies of a set
length (mean 14.3; beam search: 14 each), so that every engine does the same work. `tiny`: a trained model (--model) on
human conversations, replies end by themselves. Rates are contexts (scoring: pairs) per second of CPU time of one
thread; all engines of a task run in turn, --rounds times, so that a busy machine slows all alike. Engines that need
packages which are not installed are left out, and said so.
"""

from __future__ import annotations

import argparse
import importlib.util
import json
import os
import random
import sys
import tempfile
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

os.environ.setdefault("OMP_NUM_THREADS", "1")
os.environ.setdefault("TOKENIZERS_PARALLELISM", "false")

BEAMS, CANDIDATES, TOP_K, BEAM_LENGTH, LONGEST = 10, 16, 10, 14, 40
TASKS = ("greedy", "beam10", "topk", "mmi16", "scoring")
SETTINGS: dict[str, dict[str, Any]] = {
    "greedy": {"do_sample": False},
    "beam10": {"do_sample": False, "num_beams": BEAMS},
    "topk": {"do_sample": True, "top_k": TOP_K},
    "mmi16": {"do_sample": True, "top_k": TOP_K, "num_return_sequences": CANDIDATES},
}
# Contexts an engine gets: (quick, full). The slow ones get fewer, from the start of the same list.
SIZES = {
    "greedy": {"one_by_one": (24, 500), "pipeline_b16": (32, 128), "generate_sorted": (96, 500), "other": (192, 500)},
    "beam10": {"one_by_one": (8, 500), "generate_sorted": (16, 64), "other": (36, 500)},
    "topk": {"one_by_one": (16, 64), "generate_sorted": (64, 256), "other": (192, 500)},
    "mmi16": {"one_by_one": (2, 8), "generate_sorted": (4, 16), "other": (16, 64)},
    "scoring": {"one_by_one": (64, 500), "generate_sorted": (128, 500), "other": (192, 500)},
}


@dataclass(frozen=True)
class Item:
    """A context, the reply length it is given (None: the model decides), and a target to score."""

    id: str
    prompt: tuple[int, ...]
    length: int | None
    target: tuple[int, ...]


@dataclass(frozen=True)
class Workload:
    name: str
    model: Any
    folder: str
    items: list[Item]
    eos_id: int | None  # None: nothing ends a reply but its length


def random_workload(count: int) -> Workload:
    """The 117M model with a tokenizer whose words are the numbers of its tokens."""
    import torch
    from tokenizers import Tokenizer, models, pre_tokenizers
    from transformers import GPT2Config, GPT2LMHeadModel, PreTrainedTokenizerFast

    torch.manual_seed(0)
    model = GPT2LMHeadModel(GPT2Config()).eval()
    with torch.no_grad():  # initial weights repeat one token for ever: larger ones make each context its own reply
        for block in model.transformer.h:
            for layer in (block.attn.c_attn, block.attn.c_proj, block.mlp.c_fc, block.mlp.c_proj):
                layer.weight.mul_(2.0)
    tokenizer = Tokenizer(models.WordLevel({str(i): i for i in range(model.config.vocab_size)}, unk_token="0"))
    tokenizer.pre_tokenizer = pre_tokenizers.WhitespaceSplit()
    folder = tempfile.mkdtemp(prefix="dialoeval-benchmark-")
    PreTrainedTokenizerFast(
        tokenizer_object=tokenizer, pad_token="0", bos_token="50256", eos_token="50256", unk_token="0"
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
    """A trained model on the test split of the chitchat conversations; targets are the human replies."""
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


def reply_length(task: str, item: Item) -> int:
    if item.length is None:
        return LONGEST
    return BEAM_LENGTH if task == "beam10" else item.length


def cut(tokens: Sequence[int], length: int, eos_id: int | None) -> tuple[int, ...]:
    """A reply without what a batch adds to it: tokens after its length or from its end token on."""
    tokens = list(tokens[:length])
    return tuple(tokens[: tokens.index(eos_id)] if eos_id in tokens else tokens)


class Generate:
    """transformers' `generate` and forward passes, in batches sorted by length; a batch of one is the reference."""

    def __init__(self, work: Workload, batch: dict[str, int]):
        self.work, self.batch = work, batch

    def run(self, task: str, items: Sequence[Item]) -> list[Any]:
        size = self.batch.get(task, self.batch["default"])
        order = sorted(range(len(items)), key=lambda i: len(items[i].prompt))
        found: list[Any] = [None] * len(items)
        for start in range(0, len(items), size):
            batch = [items[i] for i in order[start : start + size]]
            for i, result in zip(order[start : start + size], self.run_batch(task, batch), strict=True):
                found[i] = result
        return found

    def run_batch(self, task: str, batch: Sequence[Item]) -> list[Any]:
        if task == "scoring":
            return self.score([(item.prompt, item.target) for item in batch])
        replies = self.generate(task, batch)
        if task != "mmi16":
            return [group[0] for group in replies]
        pairs = [(reply or (0,), item.prompt) for item, group in zip(batch, replies, strict=True) for reply in group]
        scores = [score for start in range(0, len(pairs), 32) for score in self.score(pairs[start : start + 32])]
        return [max(zip(scores[i * CANDIDATES :], group, strict=False))[1] for i, group in enumerate(replies)]

    def generate(self, task: str, batch: Sequence[Item]) -> list[list[tuple[int, ...]]]:
        import torch

        width = max(len(item.prompt) for item in batch)
        tokens, mask = torch.zeros(2, len(batch), width, dtype=torch.long)
        for row, item in enumerate(batch):
            tokens[row, width - len(item.prompt) :] = torch.tensor(item.prompt)
            mask[row, width - len(item.prompt) :] = 1
        lengths = [reply_length(task, item) for item in batch]
        output = self.work.model.generate(
            tokens,
            attention_mask=mask,
            max_new_tokens=max(lengths),
            eos_token_id=self.work.eos_id,
            pad_token_id=0 if self.work.eos_id is None else self.work.eos_id,
            **({"top_k": None} | SETTINGS[task]),
        )[:, width:].tolist()
        each = len(output) // len(batch)
        return [
            [cut(row, length, self.work.eos_id) for row in output[i * each : (i + 1) * each]]
            for i, length in enumerate(lengths)
        ]

    def score(self, pairs: Sequence[tuple[Sequence[int], Sequence[int]]]) -> list[float]:
        """Right-padded forward passes, logits of all positions."""
        import torch

        sequences = [[*context, *target] for context, target in pairs]
        tokens, mask = torch.zeros(2, len(pairs), max(map(len, sequences)), dtype=torch.long)
        for row, sequence in enumerate(sequences):
            tokens[row, : len(sequence)] = torch.tensor(sequence)
            mask[row, : len(sequence)] = 1
        with torch.no_grad():
            logprobs = self.work.model(tokens, attention_mask=mask).logits.log_softmax(-1)
        scores = []
        for row, (context, target) in enumerate(pairs):
            at = slice(len(context) - 1, len(context) + len(target) - 1)
            scores.append(float(logprobs[row, at].gather(1, torch.tensor(target)[:, None]).sum()))
        return scores


class Pipeline:
    """`pipeline("text-generation")` on text, batches of 16 in the order given; greedy only."""

    def __init__(self, work: Workload):
        from transformers import AutoTokenizer, pipeline

        tokenizer = AutoTokenizer.from_pretrained(work.folder, padding_side="left")
        tokenizer.pad_token = tokenizer.pad_token or tokenizer.eos_token
        self.work, self.tokenizer = work, tokenizer
        self.pipe = pipeline("text-generation", model=work.model, tokenizer=tokenizer)

    def run(self, task: str, items: Sequence[Item]) -> list[Any]:
        found = []
        for start in range(0, len(items), 16):
            batch = items[start : start + 16]
            texts = [self.tokenizer.decode(item.prompt) for item in batch]
            lengths = [reply_length(task, item) for item in batch]
            outputs = self.pipe(
                texts, batch_size=16, max_new_tokens=max(lengths), do_sample=False, return_tensors=True,
                eos_token_id=self.work.eos_id, pad_token_id=self.tokenizer.pad_token_id,
            )  # fmt: skip
            for text, output, length in zip(texts, outputs, lengths, strict=True):
                prompt = self.tokenizer(text).input_ids
                tokens = output[0]["generated_token_ids"]
                skip = len(tokens) - max(lengths)  # left padding and prompt
                found.append(cut(tokens[max(skip, len(prompt)) :], length, self.work.eos_id))
        return found


class Fast:
    """This project's engine, one process."""

    def __init__(self, work: Workload, dtype: str):
        from dialoeval.config import EngineConfig
        from dialoeval.generation.engines.fast import FastEngine

        self.work = work
        config = EngineConfig(device="cpu", dtype=dtype, workers=1)
        eos_id = -1 if work.eos_id is None else work.eos_id
        window = work.model.config.max_position_embeddings
        self.engine = FastEngine(work.model, config, eos_id=eos_id, window=window)

    def run(self, task: str, items: Sequence[Item]) -> list[Any]:
        from dialoeval.config import DecodingConfig
        from dialoeval.generation.engines.fast import decode
        from dialoeval.generation.types import TokenRequest

        if task == "scoring":
            return self.engine.score([(item.prompt, item.target) for item in items])
        lengths = {item.id: reply_length(task, item) for item in items}
        settings = {
            "greedy": {"strategy": "greedy"},
            "beam10": {"strategy": "beam", "num_beams": BEAMS},
            "topk": {"strategy": "sample", "top_k": TOP_K},
            "mmi16": {"strategy": "sample", "top_k": TOP_K, "num_candidates": CANDIDATES},
        }[task]
        decoding = DecodingConfig(name=task, max_new_tokens=max(lengths.values()), **settings)
        limit, decode.limit = decode.limit, lambda request, *_: lengths[request.example_id]
        try:
            requests = [TokenRequest(item.id, item.prompt) for item in items]
            replies = sorted(self.engine.generate(requests, decoding, 0), key=lambda reply: reply.sample)
        finally:
            decode.limit = limit
        found: dict[str, list[tuple[int, ...]]] = {}
        for reply in replies:
            found.setdefault(reply.example_id, []).append(reply.token_ids)
        if task != "mmi16":
            return [found[item.id][0] for item in items]
        pairs = [(reply or (0,), item.prompt) for item in items for reply in found[item.id]]
        scores = self.engine.score(pairs)
        return [max(zip(scores[i * CANDIDATES :], found[item.id], strict=False))[1] for i, item in enumerate(items)]


class CTranslate2:
    """CTranslate2 in sorted batches of 64 (beams: 8); it cannot be given a length a row."""

    def __init__(self, work: Workload, compute_type: str):
        import ctranslate2
        from transformers import AutoTokenizer

        self.work = work
        self.tokenizer = AutoTokenizer.from_pretrained(work.folder)
        folder = Path(tempfile.mkdtemp(prefix="dialoeval-benchmark-")) / "model"
        ctranslate2.converters.TransformersConverter(work.folder).convert(str(folder))
        self.model = ctranslate2.Generator(str(folder), compute_type=compute_type, intra_threads=1)

    def run(self, task: str, items: Sequence[Item]) -> list[Any]:
        size = 8 if task == "beam10" else 64
        order = sorted(range(len(items)), key=lambda i: len(items[i].prompt))
        found: list[Any] = [None] * len(items)
        for start in range(0, len(items), size):
            part = order[start : start + size]
            for i, result in zip(part, self.run_batch(task, [items[i] for i in part]), strict=True):
                found[i] = result
        return found

    def run_batch(self, task: str, batch: Sequence[Item]) -> list[Any]:
        words = self.tokenizer.convert_ids_to_tokens
        if task == "scoring":
            sequences = [words([*item.prompt, *item.target]) for item in batch]
            results = self.model.score_batch(sequences)
            return [sum(r.log_probs[-len(item.target) :]) for r, item in zip(results, batch, strict=True)]
        lengths = [reply_length(task, item) for item in batch]
        options: dict[str, Any] = {"beam_size": BEAMS if task == "beam10" else 1}
        if task == "topk":
            options["sampling_topk"] = TOP_K
        if self.work.eos_id is None:
            options["min_length"] = max(lengths)
        results = self.model.generate_batch(
            [words(item.prompt) for item in batch], max_length=max(lengths), include_prompt_in_result=False, **options
        )
        return [cut(r.sequences_ids[0], n, self.work.eos_id) for r, n in zip(results, lengths, strict=True)]


class Vllm:
    """vLLM in this process; greedy and top-k (its beam search divides by another length, so it is left out)."""

    def __init__(self, work: Workload, dtype: str):
        os.environ.setdefault("VLLM_ENABLE_V1_MULTIPROCESSING", "0")  # so that its CPU time is this process's
        from vllm import LLM

        self.work = work
        window = work.model.config.max_position_embeddings
        self.model = LLM(work.folder, dtype=dtype, enforce_eager=True, max_model_len=window, seed=0)

    def run(self, task: str, items: Sequence[Item]) -> list[Any]:
        from vllm import SamplingParams

        lengths = [reply_length(task, item) for item in items]
        choice = {"temperature": 0.0} if task == "greedy" else {"top_k": TOP_K}
        parameters = [SamplingParams(max_tokens=n, ignore_eos=self.work.eos_id is None, **choice) for n in lengths]
        prompts = [{"prompt_token_ids": list(item.prompt)} for item in items]
        outputs = self.model.generate(prompts, parameters, use_tqdm=False)
        return [cut(o.outputs[0].token_ids, n, self.work.eos_id) for o, n in zip(outputs, lengths, strict=True)]


def engines(work: Workload) -> dict[str, tuple[Callable[[], Any], tuple[str, ...]]]:
    """Name -> (how to make it, the tasks it does)."""
    found: dict[str, tuple[Callable[[], Any], tuple[str, ...]]] = {
        "one_by_one": (lambda: Generate(work, {"default": 1}), TASKS),
        "pipeline_b16": (lambda: Pipeline(work), ("greedy",)),
        "generate_sorted": (lambda: Generate(work, {"default": 32, "beam10": 8, "mmi16": 4}), TASKS),
        "fast_fp32": (lambda: Fast(work, "fp32"), TASKS),
        "fast_bf16": (lambda: Fast(work, "bf16"), TASKS),
    }
    if importlib.util.find_spec("ctranslate2"):
        tasks = ("greedy", "beam10", "topk", "scoring")
        found["ctranslate2_fp32"] = (lambda: CTranslate2(work, "float32"), tasks)
        found["ctranslate2_int8"] = (lambda: CTranslate2(work, "int8"), tasks)
    if importlib.util.find_spec("vllm"):
        found["vllm_fp32"] = (lambda: Vllm(work, "float32"), ("greedy", "topk"))
        found["vllm_bf16"] = (lambda: Vllm(work, "bfloat16"), ("greedy", "topk"))
    return found


def differs(task: str, ours: Any, reference: Any) -> bool:
    return abs(ours - reference) > 1e-3 if task == "scoring" else ours != reference


def measure(work: Workload, task: str, made: dict[str, Any], chosen: argparse.Namespace) -> dict[str, dict[str, Any]]:
    """Run a task's engines in turn; rate, and replies (scores: by more than 1e-3) that differ from one-by-one."""
    seconds = dict.fromkeys(made, 0.0)
    results: dict[str, list[Any]] = {}
    sizes = {}
    for name in made:
        quick, full = SIZES[task].get(name, SIZES[task]["other"])
        sizes[name] = min(len(work.items), chosen.contexts or (quick if chosen.quick else full))
    for _ in range(chosen.rounds):
        for name, engine in made.items():
            started = time.process_time()
            results[name] = engine.run(task, work.items[: sizes[name]])
            seconds[name] += time.process_time() - started
    table: dict[str, dict[str, Any]] = {}
    for name, found in results.items():
        rate = sizes[name] * chosen.rounds / seconds[name]
        pairs = list(zip(found, results.get("one_by_one", []), strict=False))
        drawn = task in ("topk", "mmi16")  # other draws: nothing to compare
        mismatches = None if drawn or not pairs else sum(differs(task, *pair) for pair in pairs)
        table[name] = {"rate": round(rate, 3), "mismatches": mismatches, "n": len(pairs) if pairs else len(found)}
        against = rate / (sizes["generate_sorted"] * chosen.rounds / seconds["generate_sorted"])
        compared = "" if mismatches is None else f"{mismatches} of {len(pairs)} differ"
        print(f"  {name:18}{rate:9.2f} /core-s {against:7.2f}x  {compared}", flush=True)
    return table


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--quick", action="store_true", help="fewer contexts: some minutes")
    parser.add_argument("--json", type=Path, help="write the table to this file")
    parser.add_argument(
        "--model", help="folder of the trained model (default: the embedded tiny); 'none' leaves it out"
    )
    parser.add_argument("--tasks", nargs="+", choices=TASKS, default=list(TASKS))
    parser.add_argument("--engines", nargs="+", help="only these (generate_sorted is always run)")
    parser.add_argument("--workloads", nargs="+", choices=("random", "tiny"), default=["random", "tiny"])
    parser.add_argument("--contexts", type=int, help="give every engine this many contexts")
    parser.add_argument("--rounds", type=int, default=1)
    chosen = parser.parse_args()

    import torch
    import transformers

    from dialoeval.paths import assets_dir

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
            print(f"no model in {folder}: replies that end by themselves are not measured")
    table: dict[str, dict[str, Any]] = {}
    for make in works:
        work = make()
        available = engines(work)
        wanted = [name for name in available if not chosen.engines or name in {*chosen.engines, "generate_sorted"}]
        made: dict[str, Any] = {}
        for name in wanted:
            made[name] = available[name][0]()
        for task in chosen.tasks:
            label = task if work.name == "random" else f"{work.name}:{task}"
            print(label, flush=True)
            table[label] = measure(work, task, {n: e for n, e in made.items() if task in available[n][1]}, chosen)
    if chosen.json:
        from dialoeval.files import write_json

        write_json(chosen.json, table)
    else:
        print(json.dumps(table, indent=2))
    return 0


if __name__ == "__main__":
    sys.exit(main())
