"""The engines that `generation.py` measures, behind one call: `run(task, items) -> replies or scores`."""

from __future__ import annotations

import atexit
import importlib.util
import os
import shutil
import tempfile
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

BEAMS, CANDIDATES, TOP_K, BEAM_LENGTH, LONGEST = 10, 16, 10, 14, 40
TASKS = ("greedy", "beam10", "topk", "mmi16", "scoring")
SETTINGS: dict[str, dict[str, Any]] = {
    "greedy": {"do_sample": False},
    "beam10": {"do_sample": False, "num_beams": BEAMS},
    "topk": {"do_sample": True, "top_k": TOP_K},
    "mmi16": {"do_sample": True, "top_k": TOP_K, "num_return_sequences": CANDIDATES},
}


@dataclass(frozen=True)
class Item:
    """A context, the fixed length of its reply (None: the model decides), and a target to score."""

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
    eos_id: int | None  # None: only the length ends a reply


def temporary_folder() -> str:
    """Return a new folder that is removed when the benchmark ends."""
    folder = tempfile.mkdtemp(prefix="dialoeval-benchmark-")
    atexit.register(shutil.rmtree, folder, ignore_errors=True)
    return folder


def reply_length(task: str, item: Item) -> int:
    if item.length is None:
        return LONGEST
    return BEAM_LENGTH if task == "beam10" else item.length


def cut(tokens: Sequence[int], length: int, eos_id: int | None) -> tuple[int, ...]:
    """Return a reply without the tokens after its length or from its end token on, which a batch adds."""
    tokens = list(tokens[:length])
    return tuple(tokens[: tokens.index(eos_id)] if eos_id in tokens else tokens)


class Generate:
    """transformers' `generate` and forward passes, in batches sorted by length; a batch of one is the reference."""

    def __init__(self, work: Workload, batch: dict[str, int]):
        self.work, self.batch = work, batch

    def run(self, task: str, items: Sequence[Item]) -> list[Any]:
        size = self.batch.get(task, self.batch["default"])
        order = sorted(range(len(items)), key=lambda i: len(items[i].prompt))
        results: list[Any] = [None] * len(items)
        for start in range(0, len(items), size):
            batch = [items[i] for i in order[start : start + size]]
            for i, result in zip(order[start : start + size], self.run_batch(task, batch), strict=True):
                results[i] = result
        return results

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
        """Return the scores from right-padded forward passes with logits at all positions."""
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
        replies = []
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
                replies.append(cut(tokens[max(skip, len(prompt)) :], length, self.work.eos_id))
        return replies


class Fast:
    """This project's engine, one process."""

    def __init__(self, work: Workload, dtype: str):
        from dialoeval.config import EngineConfig
        from dialoeval.generation.engines.fast import FastEngine

        self.work = work
        config = EngineConfig(device="cpu", dtype=dtype, workers=1)
        eos_id = -1 if work.eos_id is None else work.eos_id
        window = work.model.config.max_position_embeddings
        self.engine = FastEngine(work.model, config, eos_ids=(eos_id,), window=window)

    def run(self, task: str, items: Sequence[Item]) -> list[Any]:
        from dialoeval.config import DecodingConfig
        from dialoeval.generation.types import TokenRequest

        if task == "scoring":
            return self.engine.score([(item.prompt, item.target) for item in items])
        lengths = {item.id: reply_length(task, item) for item in items}
        settings = {
            "greedy": {"strategy": "greedy"},
            "beam10": {"strategy": "beam", "num_beams": BEAMS},
            "topk": {"strategy": "sample", "top_k": TOP_K},
            "mmi16": {"strategy": "sample", "top_k": TOP_K, "num_candidates": CANDIDATES, "rerank": "mmi"},
        }[task]
        decoding = DecodingConfig(name=task, max_new_tokens=max(lengths.values()), **settings)
        requests = [TokenRequest(item.id, item.prompt, lengths[item.id]) for item in items]
        replies: dict[str, list[tuple[int, ...]]] = {}
        for reply in sorted(self.engine.generate(requests, decoding, 0), key=lambda reply: reply.sample):
            replies.setdefault(reply.example_id, []).append(reply.token_ids)
        if task != "mmi16":
            return [replies[item.id][0] for item in items]
        pairs = [(reply or (0,), item.prompt) for item in items for reply in replies[item.id]]
        scores = self.engine.score(pairs)
        return [max(zip(scores[i * CANDIDATES :], replies[item.id], strict=False))[1] for i, item in enumerate(items)]


class CTranslate2:
    """CTranslate2 in sorted batches of 64 (beams: 8), whose rows share one length."""

    def __init__(self, work: Workload, compute_type: str):
        import ctranslate2
        from transformers import AutoTokenizer

        self.work = work
        self.tokenizer = AutoTokenizer.from_pretrained(work.folder)
        folder = Path(temporary_folder()) / "model"
        ctranslate2.converters.TransformersConverter(work.folder).convert(str(folder))
        self.model = ctranslate2.Generator(str(folder), compute_type=compute_type, intra_threads=1)

    def run(self, task: str, items: Sequence[Item]) -> list[Any]:
        size = 8 if task == "beam10" else 64
        order = sorted(range(len(items)), key=lambda i: len(items[i].prompt))
        results: list[Any] = [None] * len(items)
        for start in range(0, len(items), size):
            part = order[start : start + size]
            for i, result in zip(part, self.run_batch(task, [items[i] for i in part]), strict=True):
                results[i] = result
        return results

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
    """vLLM in this process; greedy and top-k only, since its beam search divides by another length."""

    def __init__(self, work: Workload, dtype: str):
        os.environ.setdefault("VLLM_ENABLE_V1_MULTIPROCESSING", "0")  # so that its CPU time is this process's
        os.environ.setdefault("VLLM_CPU_KVCACHE_SPACE", "2")  # GiB; the default is most of the memory
        os.environ.setdefault("VLLM_LOGGING_LEVEL", "ERROR")
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


def bfloat16_is_fast() -> bool:
    import torch

    return torch.cuda.is_available() or torch.ops.mkldnn._is_mkldnn_bf16_supported()


def engines(work: Workload) -> dict[str, tuple[Callable[[], Any], tuple[str, ...]]]:
    """Return name -> (function that opens the engine, its tasks)."""
    available: dict[str, tuple[Callable[[], Any], tuple[str, ...]]] = {
        "one_by_one": (lambda: Generate(work, {"default": 1}), TASKS),
        "pipeline_b16": (lambda: Pipeline(work), ("greedy",)),
        "generate_sorted": (lambda: Generate(work, {"default": 32, "beam10": 8, "mmi16": 4}), TASKS),
        "fast_fp32": (lambda: Fast(work, "fp32"), TASKS),
        "fast_bf16": (lambda: Fast(work, "bf16"), TASKS),
    }
    for package in ("ctranslate2", "vllm"):
        if importlib.util.find_spec(package) is None:
            print(f"{package} is skipped: it is not installed")
    if importlib.util.find_spec("ctranslate2"):
        tasks = ("greedy", "beam10", "topk", "scoring")
        available["ctranslate2_fp32"] = (lambda: CTranslate2(work, "float32"), tasks)
        available["ctranslate2_int8"] = (lambda: CTranslate2(work, "int8"), tasks)
    if importlib.util.find_spec("vllm"):
        available["vllm_fp32"] = (lambda: Vllm(work, "float32"), ("greedy", "topk"))
        if bfloat16_is_fast():
            available["vllm_bf16"] = (lambda: Vllm(work, "bfloat16"), ("greedy", "topk"))
        else:
            print("vllm_bf16 is skipped: this CPU has no bfloat16 arithmetic, which vLLM would emulate")
    return available
