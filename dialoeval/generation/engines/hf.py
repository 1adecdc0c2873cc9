"""The reference engine: transformers' own `generate`, with nothing left to its defaults."""

from __future__ import annotations

import inspect
import time
from collections import Counter
from collections.abc import Iterator, Sequence
from typing import Any

from dialoeval.config import DecodingConfig, EngineConfig
from dialoeval.errors import is_out_of_memory
from dialoeval.generation import processors, rng
from dialoeval.generation.types import TokenReply, TokenRequest
from dialoeval.models.hub import quiet
from dialoeval.models.loading import LoadedModel

VERSION = 1

# padded prompt tokens times beams a batch, unless engine.batch_tokens says
_BATCH_TOKENS = {"cpu": 4096, "cuda": 65536}
_ROW_TOKENS = 32  # a row counts as at least so many: its reply needs room too


class HfEngine:
    """Batched `generate` over any causal or encoder-decoder model of transformers.

    Prompts are sorted by length and padded; the attention mask is made of lengths, since the padding token may be the
    end-of-text token. In float32 greedy and beam replies are those of one prompt at a time.
    """

    name = "hf"

    def __init__(self, model: LoadedModel, engine: EngineConfig) -> None:
        import torch

        self.loaded = model
        self.model = model.model if engine.dtype == "fp32" else _rounded(model.model, engine.dtype)
        torch.set_float32_matmul_precision("highest")  # no TF32 in float32
        self.device = torch.device(model.device)
        self.budget = engine.batch_tokens or _BATCH_TOKENS[self.device.type]
        self.counters: Counter[str] = Counter()
        self._keeps_logits = "logits_to_keep" in inspect.signature(self.model.forward).parameters

    def generate(self, requests: Sequence[TokenRequest], decoding: DecodingConfig, seed: int) -> Iterator[TokenReply]:
        """Yield num_candidates replies a request, in order of prompt length."""
        jobs = [(request, sample) for request in requests for sample in range(decoding.num_candidates)]
        jobs.sort(key=lambda job: len(job[0].token_ids))
        start = 0
        while start < len(jobs):
            limit = self._new_tokens(jobs[start][0], decoding)
            if limit <= 0:  # the prompt fills the window, as all that follow do
                for request, sample in jobs[start:]:
                    yield TokenReply(request.example_id, sample, (), 0.0, "length")
                return
            rows = self._rows(jobs, start, limit, decoding)
            yield from self._batch(jobs[start : start + rows], limit, decoding, seed)
            start += rows

    def score(self, pairs: Sequence[tuple[Sequence[int], Sequence[int]]]) -> list[float]:
        """Sum of log P(target | context) of each pair, in nats, by forward passes of right-padded batches."""
        order = sorted(range(len(pairs)), key=lambda i: (len(pairs[i][0]), len(pairs[i][1])))
        scores = [0.0] * len(pairs)
        start = 0
        while start < len(order):
            rows, width = 0, 0
            for i in order[start:]:
                width = max(width, _ROW_TOKENS, sum(map(len, pairs[i])))
                if rows and (rows + 1) * width > self.budget // 4:  # logits of many positions need more room
                    break
                rows += 1
            indices = order[start : start + rows]
            values = self._halving(lambda part: self._score_batch([pairs[i] for i in part]), indices)
            for i, value in zip(indices, values, strict=True):
                scores[i] = value
            start += rows
        return scores

    def accounting(self) -> dict[str, Any]:
        """Seconds, tokens and padding so far."""
        counts = dict(self.counters)
        padded = counts.pop("padded_tokens", 0)
        if padded:
            counts["padding_share"] = round(1 - counts["prompt_tokens"] / padded, 4)
        return {key: round(value, 3) if isinstance(value, float) else value for key, value in counts.items()}

    def close(self) -> None:
        """Nothing to stop."""

    def _new_tokens(self, request: TokenRequest, decoding: DecodingConfig) -> int:
        room = self.loaded.window - (1 if self.loaded.encoder_decoder else len(request.token_ids))
        return min(decoding.max_new_tokens, room)

    def _rows(self, jobs: list, start: int, limit: int, decoding: DecodingConfig) -> int:
        """How many jobs from `start` on make one batch.

        Rows that may generate another number of tokens before the window ends are batched apart. So are prompts of
        another length where decoding looks back at the tokens: transformers' processors take padding for text.
        """
        looks_back = decoding.repetition_penalty != 1 or decoding.no_repeat_ngram_size > 0
        alike = looks_back and not self.loaded.encoder_decoder
        length = len(jobs[start][0].token_ids)
        rows = 1
        while start + rows < len(jobs):
            request = jobs[start + rows][0]
            tokens = max(len(request.token_ids), _ROW_TOKENS)
            if (rows + 1) * decoding.num_beams * tokens > self.budget:
                break
            if self._new_tokens(request, decoding) != limit or (alike and len(request.token_ids) != length):
                break
            rows += 1
        return rows

    def _batch(self, jobs: list, limit: int, decoding: DecodingConfig, seed: int) -> list[TokenReply]:
        return self._halving(lambda part: self._generate_batch(part, limit, decoding, seed), jobs)

    def _halving(self, work: Any, items: list) -> list:
        """Do `work` on all items at once, or on halves where memory does not suffice: results are the same."""
        import torch

        try:
            return work(items)
        except RuntimeError as error:
            if not is_out_of_memory(error) or len(items) == 1:
                raise
            if self.device.type == "cuda":
                torch.cuda.empty_cache()
            self.budget = max(1, self.budget // 2)
            self.counters["out_of_memory"] += 1
            middle = len(items) // 2
            return self._halving(work, items[:middle]) + self._halving(work, items[middle:])

    def _generate_batch(self, jobs: list, limit: int, decoding: DecodingConfig, seed: int) -> list[TokenReply]:
        import torch

        started = time.perf_counter()
        prompts = [request.token_ids for request, _ in jobs]
        ids, mask = self._padded(prompts)
        custom = []
        if decoding.strategy == "sample":
            keys = [rng.key(seed, request.example_id) for request, _ in jobs]
            custom = [_KeyedDraw(decoding, keys, [sample for _, sample in jobs], ids.shape[1], self.loaded)]
        with torch.inference_mode(), quiet():
            out = self.model.generate(
                input_ids=ids,
                attention_mask=mask,
                generation_config=self._generation_config(limit, decoding),
                logits_processor=custom,
            )
        skip = 1 if self.loaded.encoder_decoder else ids.shape[1]
        replies = [_ended(row[skip:].tolist(), self.loaded.eos_ids, limit) for row in out]
        self.counters["prompt_tokens"] += int(mask.sum())
        self.counters["padded_tokens"] += mask.numel()
        self.counters["generated_tokens"] += sum(len(tokens) for tokens, _ in replies)
        self.counters["replies"] += len(replies)
        self.counters["generate_seconds"] += time.perf_counter() - started
        targets = [tokens if end is None else [*tokens, end] for tokens, end in replies]
        logprobs = self.score(list(zip(prompts, targets, strict=True)))
        return [
            TokenReply(request.example_id, sample, tuple(tokens), logprob, "length" if end is None else "stop")
            for (request, sample), (tokens, end), logprob in zip(jobs, replies, logprobs, strict=True)
        ]

    def _padded(self, prompts: list[tuple[int, ...]]) -> tuple[Any, Any]:
        """(ids, mask), each (rows, longest): the mask's zeros are where padding is.

        Padding stands on the left of a causal model's prompt, which the reply goes on from, and on the right of an
        encoder's, whose positions are counted from the left.
        """
        import torch

        width = max(map(len, prompts))
        ids = torch.full((len(prompts), width), self._pad_id(), dtype=torch.long)
        mask = torch.zeros_like(ids)
        for row, prompt in enumerate(prompts):
            start = 0 if self.loaded.encoder_decoder else width - len(prompt)
            ids[row, start : start + len(prompt)] = torch.tensor(prompt)
            mask[row, start : start + len(prompt)] = 1
        return ids.to(self.device), mask.to(self.device)

    def _pad_id(self) -> int:
        pad = self.loaded.tokenizer.pad_token_id
        return self.loaded.eos_id if pad is None else pad

    def _generation_config(self, limit: int, decoding: DecodingConfig) -> Any:
        """A configuration that owes nothing to the one saved beside the model but the decoder's start token."""
        from transformers import GenerationConfig

        saved = self.model.generation_config
        self.model.generation_config = GenerationConfig(
            decoder_start_token_id=saved.decoder_start_token_id
            or getattr(self.model.config, "decoder_start_token_id", None)
        )
        beams = decoding.num_beams
        early = decoding.early_stopping
        return GenerationConfig(
            max_new_tokens=limit,
            min_new_tokens=min(decoding.min_new_tokens, limit) or None,
            do_sample=False,  # draws are keyed: see _KeyedDraw
            num_beams=beams,
            num_return_sequences=1,
            **({"length_penalty": decoding.length_penalty, "early_stopping": early} if beams > 1 else {}),
            repetition_penalty=decoding.repetition_penalty,
            no_repeat_ngram_size=decoding.no_repeat_ngram_size,
            eos_token_id=list(self.loaded.eos_ids),
            pad_token_id=self._pad_id(),
            bos_token_id=None,
            decoder_start_token_id=self.model.generation_config.decoder_start_token_id,
            use_cache=True,
        )

    def _score_batch(self, pairs: list[tuple[Sequence[int], Sequence[int]]]) -> list[float]:
        import torch

        rows = [_teacher_forced(self.loaded, self.model, context, target) for context, target in pairs]
        inputs = torch.zeros(len(rows), max(len(row["inputs"]) for row in rows), dtype=torch.long)
        for i, row in enumerate(rows):
            inputs[i, : len(row["inputs"])] = torch.tensor(row["inputs"])
        first = min(row["first"] for row in rows)
        with torch.inference_mode(), quiet():
            logits = self._logits([row["source"] for row in rows], inputs.to(self.device), first)  # (rows, width, V)
            scores = []
            for row, of_row in zip(rows, logits, strict=True):
                targets = torch.tensor(row["targets"], dtype=torch.long, device=self.device)
                of_targets = of_row[row["first"] - first :][: len(targets)].float()  # (targets, V)
                chosen = of_targets.gather(1, targets[:, None])[:, 0] - of_targets.logsumexp(-1)
                scores.append(chosen.double().sum().item())
        return scores

    def _logits(self, sources: list[Sequence[int] | None], inputs: Any, first: int) -> Any:
        """(rows, positions, V) logits of the decoder's `inputs` from position `first` on."""
        if self.loaded.encoder_decoder:
            source, mask = self._padded([tuple(tokens) for tokens in sources])
            out = self.model(input_ids=source, attention_mask=mask, decoder_input_ids=inputs, use_cache=False)
            return out.logits[:, first:]
        # right padding lies after every real token, where causal attention cannot see it
        if self._keeps_logits:  # the head, which is most of the memory, need not see the context
            return self.model(input_ids=inputs, use_cache=False, logits_to_keep=inputs.shape[1] - first).logits
        return self.model(input_ids=inputs, use_cache=False).logits[:, first:]


class _KeyedDraw:
    """A last logits processor: filters the scores, draws by keyed noise, and leaves the drawn token alone possible."""

    def __init__(
        self, decoding: DecodingConfig, keys: list[int], samples: list[int], width: int, loaded: LoadedModel
    ) -> None:
        self.decoding, self.keys, self.samples = decoding, keys, samples
        self.start = 1 if loaded.encoder_decoder else width

    def __call__(self, input_ids: Any, scores: Any) -> Any:
        import torch

        step = input_ids.shape[1] - self.start
        filtered = processors.warp(scores, self.decoding)
        draws = rng.uniforms(self.keys, self.samples, [step] * len(self.keys))
        drawn = rng.choose(filtered, torch.from_numpy(draws))
        return torch.full_like(scores, float("-inf")).scatter_(1, drawn[:, None].to(scores.device), 0.0)


def _ended(tokens: list[int], eos_ids: tuple[int, ...], limit: int) -> tuple[list[int], int | None]:
    """(tokens before the end token, the end token or None)."""
    for i, token in enumerate(tokens[:limit]):
        if token in eos_ids:
            return tokens[:i], token
    return tokens[:limit], None


def _rounded(model: Any, dtype: str) -> Any:
    """`model` with its weights rounded in place, but for its output head: logits rounded to 16 bits tie."""
    import torch

    head = model.get_output_embeddings()
    whole = torch.nn.Linear(head.in_features, head.out_features, bias=head.bias is not None, device=head.weight.device)
    with torch.no_grad():
        for name, value in head.named_parameters():
            getattr(whole, name).copy_(value)
    model.to({"bf16": torch.bfloat16, "fp16": torch.float16}[dtype])
    whole.register_forward_pre_hook(lambda _, inputs: (inputs[0].float(),))
    model.set_output_embeddings(whole)
    return model


def _teacher_forced(loaded: LoadedModel, model: Any, context: Sequence[int], target: Sequence[int]) -> dict[str, Any]:
    """Input tokens of a forward pass, where in it the first target token is predicted, and the targets."""
    if loaded.encoder_decoder:
        start = model.config.decoder_start_token_id
        return {"source": context, "inputs": [start, *target[:-1]], "first": 0, "targets": list(target)}
    inputs = [*context, *target[:-1]]
    return {"source": None, "inputs": inputs, "first": len(context) - 1, "targets": list(target)}
