"""The reference engine: `generate` of transformers, with every setting explicit."""

from __future__ import annotations

import contextlib
import inspect
import time
from collections import Counter
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, TypeVar

from dialoeval.config import DecodingConfig, EngineConfig
from dialoeval.errors import is_out_of_memory
from dialoeval.generation import batching, processors, rng, stopping
from dialoeval.generation.types import TORCH_DTYPES, Accounting, TokenReply, TokenRequest
from dialoeval.models.hub import quiet
from dialoeval.models.loading import LoadedModel

if TYPE_CHECKING:
    import torch
    from transformers import GenerationConfig

VERSION = 1
RUNS_HERE = True
KEYED_DRAWS = True
ROUNDS_IN_PLACE = True  # a second copy of a large model would not fit
AUTO = 1

# padded prompt tokens times beams per batch, unless engine.batch_tokens is set
_BATCH_TOKENS = {"cpu": 4096, "cuda": 65536}
_ROW_TOKENS = 32  # a row's lowest token count: its reply takes memory too

_Job = tuple[TokenRequest, int]  # request, sample index
_Item = TypeVar("_Item")
_Result = TypeVar("_Result")


def supports(loaded: LoadedModel, decoding: DecodingConfig) -> str | None:
    """Return None, or the reason if transformers cannot search beams with the model."""
    family = loaded.model.config.model_type
    if decoding.strategy == "beam" and family in batching.WITHOUT_BEAMS:
        return f"transformers has no beam search for {family} models, whose state cannot be reordered"
    return None


def open_engine(loaded: LoadedModel, engine: EngineConfig) -> HfEngine:
    """Return the engine for a model, whose weights it rounds in place if `engine.dtype` is not fp32."""
    return HfEngine(loaded, engine)


class HfEngine:
    """Batched `generate` for any causal or encoder-decoder model of transformers.

    Prompts are sorted by length and padded. The attention mask comes from the lengths, since the padding token may be
    the end-of-text token. In float32, greedy and beam replies equal those of one prompt at a time: architectures
    outside `batching.EXACT` are checked first, and run one by one if their batches differ.

    Attributes:
        batching: what the check found; None for a tested architecture.
        singly: whether prompts run one by one.
    """

    name = "hf"

    def __init__(self, model: LoadedModel, engine: EngineConfig) -> None:
        import torch

        self.loaded = model
        self.model = model.model
        torch.set_float32_matmul_precision("highest")  # disables TF32
        self.device = torch.device(model.device)
        self.budget = engine.batch_tokens or _BATCH_TOKENS[self.device.type]
        self.counters: Counter[str] = Counter()
        self.seconds = 0.0  # within `generate`
        self._keeps_logits = "logits_to_keep" in inspect.signature(self.model.forward).parameters
        self.batching, self.singly = self._check_batches()  # in float32: other precisions round batches differently
        if engine.dtype != "fp32":
            self.model = _rounded(model.model, engine.dtype)

    @property
    def version(self) -> int | str:
        """The version of the engine's numerics, and whether it runs the model one by one."""
        return f"{VERSION}, one by one" if self.singly else VERSION

    def generate(self, requests: Sequence[TokenRequest], decoding: DecodingConfig, seed: int) -> Iterator[TokenReply]:
        """Yield num_candidates replies per request, in order of prompt length."""
        jobs = [(request, sample) for request in requests for sample in range(decoding.num_candidates)]
        jobs.sort(key=lambda job: len(job[0].token_ids))
        start = 0
        while start < len(jobs):
            limit = self._new_tokens(jobs[start][0], decoding)
            if limit <= 0:  # this prompt and all longer ones fill the context length
                for request, sample in jobs[start:]:
                    yield TokenReply(request.example_id, sample, (), 0.0, "length")
                return
            rows = self._rows(jobs, start, limit, decoding)
            yield from self._batch(jobs[start : start + rows], limit, decoding, seed)
            start += rows

    def stream(
        self, request: TokenRequest, decoding: DecodingConfig, seed: int, hear: Callable[[Sequence[int]], None]
    ) -> TokenReply:
        """Return the one reply of greedy search or sampling, and tell its tokens so far at every step."""
        limit = self._new_tokens(request, decoding)
        if limit <= 0:  # the prompt fills the context length
            return TokenReply(request.example_id, 0, (), 0.0, "length")
        (reply,) = self._generate_batch([(request, 0)], limit, decoding, seed, _Heard(hear, self.loaded.eos_ids))
        return reply

    def score(self, pairs: Sequence[tuple[Sequence[int], Sequence[int]]]) -> list[float]:
        """Return log P(target | context) in nats for each pair, from right-padded batches."""
        order = sorted(range(len(pairs)), key=lambda i: (len(pairs[i][0]), len(pairs[i][1])))
        scores = [0.0] * len(pairs)
        start = 0
        while start < len(order):
            rows, width = 0, 0
            for i in order[start:]:
                width = max(width, _ROW_TOKENS, sum(map(len, pairs[i])))
                # logits of many positions need more memory
                if rows and (self.singly or (rows + 1) * width > self.budget // 4):
                    break
                rows += 1
            indices = order[start : start + rows]
            values = self._halving(lambda part: self._score_batch([pairs[i] for i in part]), indices)
            for i, value in zip(indices, values, strict=True):
                scores[i] = value
            start += rows
        return scores

    def accounting(self) -> Accounting:
        """Return seconds, tokens, replies and the share of padding."""
        counts: Accounting = dict(self.counters)
        if self.batching is not None:
            counts["batching"] = self.batching
        padded = self.counters["padded_tokens"]
        if padded:
            del counts["padded_tokens"]
            counts["generate_seconds"] = round(self.seconds, 3)
            counts["padding_share"] = round(1 - self.counters["prompt_tokens"] / padded, 4)
        return counts

    def close(self) -> None:
        """Do nothing: the engine starts no processes."""

    def _new_tokens(self, request: TokenRequest, decoding: DecodingConfig) -> int:
        room = self.loaded.window - (1 if self.loaded.encoder_decoder else len(request.token_ids))
        return min(request.limit(decoding), room)

    def _rows(self, jobs: Sequence[_Job], start: int, limit: int, decoding: DecodingConfig) -> int:
        """Return the number of jobs from `start` that form one batch.

        All rows of a batch have the same limit of new tokens. With a repetition penalty or no-repeat n-grams they also
        have the same prompt length: the processors of transformers treat padding as text.
        """
        if self.singly:
            return 1
        reads_prompt = decoding.repetition_penalty != 1 or decoding.no_repeat_ngram_size > 0
        same_length = reads_prompt and not self.loaded.encoder_decoder
        length = len(jobs[start][0].token_ids)
        rows = 1
        while start + rows < len(jobs):
            request = jobs[start + rows][0]
            tokens = max(len(request.token_ids), _ROW_TOKENS)
            if (rows + 1) * decoding.num_beams * tokens > self.budget:
                break
            if self._new_tokens(request, decoding) != limit or (same_length and len(request.token_ids) != length):
                break
            rows += 1
        return rows

    def _batch(self, jobs: Sequence[_Job], limit: int, decoding: DecodingConfig, seed: int) -> list[TokenReply]:
        return self._halving(lambda part: self._generate_batch(part, limit, decoding, seed), jobs)

    def _halving(self, work: Callable[[Sequence[_Item]], list[_Result]], items: Sequence[_Item]) -> list[_Result]:
        """Return the results of `work` on all items, or on halves of them after an out-of-memory error."""
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

    def _generate_batch(
        self, jobs: Sequence[_Job], limit: int, decoding: DecodingConfig, seed: int, heard: _Heard | None = None
    ) -> list[TokenReply]:
        import torch

        started = time.perf_counter()
        prompts = [request.token_ids for request, _ in jobs]
        ids, mask = self._padded(prompts)
        custom = []
        if decoding.strategy == "sample":
            keys = [rng.key(seed, request.example_id) for request, _ in jobs]
            custom = [_KeyedDraw(decoding, keys, [sample for _, sample in jobs], ids.shape[1], self.loaded)]
        with torch.inference_mode(), quiet(), self._without_saved_settings():
            out = self.model.generate(
                input_ids=ids,
                attention_mask=mask,
                generation_config=self._generation_config(limit, decoding),
                logits_processor=custom,
                stopping_criteria=self._stop_texts(decoding, ids.shape[1]),
                streamer=heard,
            )
        skip = 1 if self.loaded.encoder_decoder else ids.shape[1]
        replies = [_split_end(row[skip:].tolist(), self.loaded.eos_ids, limit) for row in out]
        replies = [self._cut(tokens, end, decoding) for tokens, end in replies]
        self.counters["prompt_tokens"] += int(mask.sum())
        self.counters["padded_tokens"] += mask.numel()
        self.counters["generated_tokens"] += sum(len(tokens) for tokens, _ in replies)
        self.counters["replies"] += len(replies)
        self.seconds += time.perf_counter() - started
        targets = [tokens if end is None else [*tokens, end] for tokens, end in replies]
        logprobs = self.score(list(zip(prompts, targets, strict=True)))
        return [
            TokenReply(request.example_id, sample, tuple(tokens), logprob, "length" if end is None else "stop")
            for (request, sample), (tokens, end), logprob in zip(jobs, replies, logprobs, strict=True)
        ]

    def _check_batches(self) -> tuple[str | None, bool]:
        """Return what a check of batched against single replies found, and whether to run one by one."""
        family = self.model.config.model_type
        if family in batching.EXACT[self.loaded.encoder_decoder]:
            return None, False
        vocabulary = self.model.get_input_embeddings().weight.shape[0]
        prompts = batching.probes(vocabulary, self.loaded.window, (*self.loaded.eos_ids, self._pad_id()))
        found = batching.difference(prompts, self._probe)
        if found is None:
            return f"checked for {family}: {len(prompts)} of {len(prompts)} batched replies equal single ones", False
        return f"one by one, since the check for {family} found: {found}", True

    def _probe(self, prompts: Sequence[Sequence[int]]) -> tuple[torch.Tensor, torch.Tensor]:
        """Return greedy replies without end tokens, and the logits of each token; see `batching.difference`."""
        import torch
        from transformers import GenerationConfig

        ids, mask = self._padded(prompts)
        config = GenerationConfig(  # type: ignore[no-untyped-call]
            max_new_tokens=batching.NEW_TOKENS,
            do_sample=False,
            pad_token_id=self._pad_id(),
            decoder_start_token_id=self._decoder_start(),
            use_cache=True,
            output_logits=True,
            return_dict_in_generate=True,
        )
        with torch.inference_mode(), quiet(), self._without_saved_settings():
            out = self.model.generate(input_ids=ids, attention_mask=mask, generation_config=config)
        return out.sequences[:, -batching.NEW_TOKENS :], torch.stack(out.logits, 1).float()

    def _stop_texts(self, decoding: DecodingConfig, width: int) -> list[Any]:
        """Return the criterion that ends rows at the first stop text, if there are any."""
        import torch

        start = 1 if self.loaded.encoder_decoder else width

        def ended(input_ids: torch.Tensor, scores: torch.Tensor, **options: Any) -> torch.Tensor:
            rows = [stopping.ends(row, self.loaded.tokenizer, decoding.stop) for row in input_ids[:, start:].tolist()]
            return torch.tensor(rows, device=input_ids.device)

        return [ended] if decoding.stop else []

    def _cut(self, tokens: list[int], end: int | None, decoding: DecodingConfig) -> tuple[list[int], int | None]:
        """Return a reply without what follows the tokens of the first stop text: padding."""
        found = stopping.cut(tokens, self.loaded.tokenizer, decoding.stop)
        return (tokens, end) if found is None else (tokens[: found[0]], None)

    def _padded(self, prompts: Sequence[Sequence[int]]) -> tuple[torch.Tensor, torch.Tensor]:
        """Return (ids, mask), each (rows, longest); the mask is 0 at padding.

        Padding is on the left for a causal model, which continues the prompt, and on the right for an encoder.
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
        pad: int | None = self.loaded.tokenizer.pad_token_id
        vocabulary = self.model.get_input_embeddings().weight.shape[0]
        return self.loaded.eos_id if pad is None or pad >= vocabulary else pad

    @contextlib.contextmanager
    def _without_saved_settings(self) -> Iterator[None]:
        """Hide the model's saved generation settings, with which `generate` replaces settings that are None."""
        from transformers import GenerationConfig

        saved = self.model.generation_config
        blank = GenerationConfig(decoder_start_token_id=self._decoder_start())  # type: ignore[no-untyped-call]
        self.model.generation_config = blank
        try:
            yield
        finally:
            self.model.generation_config = saved

    def _decoder_start(self) -> Any:
        """Return the first decoder token of an encoder-decoder model, or None: the only setting from the model."""
        saved = self.model.generation_config.decoder_start_token_id
        return getattr(self.model.config, "decoder_start_token_id", None) if saved is None else saved

    def _generation_config(self, limit: int, decoding: DecodingConfig) -> GenerationConfig:
        from transformers import GenerationConfig

        beams = decoding.num_beams
        early = decoding.early_stopping
        return GenerationConfig(  # type: ignore[no-untyped-call]
            max_new_tokens=limit,
            min_new_tokens=min(decoding.min_new_tokens, limit) or None,
            do_sample=False,  # _KeyedDraw samples
            num_beams=beams,
            num_return_sequences=1,
            **({"length_penalty": decoding.length_penalty, "early_stopping": early} if beams > 1 else {}),
            repetition_penalty=decoding.repetition_penalty,
            no_repeat_ngram_size=decoding.no_repeat_ngram_size,
            eos_token_id=list(self.loaded.eos_ids),
            pad_token_id=self._pad_id(),
            bos_token_id=None,
            decoder_start_token_id=self._decoder_start(),
            use_cache=True,
        )

    def _score_batch(self, pairs: Sequence[tuple[Sequence[int], Sequence[int]]]) -> list[float]:
        import torch

        rows = [self._teacher_forced(context, target) for context, target in pairs]
        inputs = torch.zeros(len(rows), max(len(row.inputs) for row in rows), dtype=torch.long)
        for i, row in enumerate(rows):
            inputs[i, : len(row.inputs)] = torch.tensor(row.inputs)
        first = min(row.first for row in rows)
        with torch.inference_mode(), quiet():
            logits = self._logits([row.source for row in rows], inputs.to(self.device), first)  # (rows, width, V)
            scores = []
            for row, row_logits in zip(rows, logits, strict=True):
                targets = torch.tensor(row.targets, dtype=torch.long, device=self.device)
                target_logits = row_logits[row.first - first :][: len(targets)].float()  # (targets, V)
                logprobs = target_logits.gather(1, targets[:, None])[:, 0] - target_logits.logsumexp(-1)
                scores.append(logprobs.double().sum().item())
        return scores

    def _teacher_forced(self, context: Sequence[int], target: Sequence[int]) -> _TeacherForced:
        if self.loaded.encoder_decoder:
            start = self._decoder_start()
            return _TeacherForced(context, [start, *target[:-1]], 0, list(target))
        return _TeacherForced((), [*context, *target[:-1]], len(context) - 1, list(target))

    def _logits(self, sources: Sequence[Sequence[int]], inputs: torch.Tensor, first: int) -> torch.Tensor:
        """Return logits (rows, positions, V) of the decoder's `inputs` from position `first`."""
        logits: torch.Tensor
        if self.loaded.encoder_decoder:
            source, mask = self._padded(sources)
            out = self.model(input_ids=source, attention_mask=mask, decoder_input_ids=inputs, use_cache=False)
            logits = out.logits[:, first:]
        # Right padding follows every real token, so causal attention ignores it.
        elif self._keeps_logits:  # the output head takes the most memory: skip it for the context
            logits = self.model(input_ids=inputs, use_cache=False, logits_to_keep=inputs.shape[1] - first).logits
        else:
            logits = self.model(input_ids=inputs, use_cache=False).logits[:, first:]
        return logits


@dataclass(frozen=True)
class _TeacherForced:
    """One row of a scoring pass.

    Attributes:
        source: encoder tokens; empty for a causal model.
        inputs: decoder tokens.
        first: position in `inputs` that predicts the first target token.
        targets: tokens to score.
    """

    source: Sequence[int]
    inputs: list[int]
    first: int
    targets: list[int]


class _KeyedDraw:
    """The last logits processor, which draws a token with keyed draws and sets the scores of all others to -inf."""

    def __init__(
        self, decoding: DecodingConfig, keys: list[int], samples: list[int], width: int, loaded: LoadedModel
    ) -> None:
        self.decoding, self.keys, self.samples = decoding, keys, samples
        self.start = 1 if loaded.encoder_decoder else width

    def __call__(self, input_ids: torch.Tensor, scores: torch.Tensor) -> torch.Tensor:
        import torch

        step = input_ids.shape[1] - self.start
        filtered = processors.warp(scores, self.decoding)
        draws = rng.uniforms(self.keys, self.samples, [step] * len(self.keys))
        tokens = rng.choose(filtered, torch.from_numpy(draws))
        return torch.full_like(scores, float("-inf")).scatter_(1, tokens[:, None].to(scores.device), 0.0)


class _Heard:
    """A streamer of transformers, which is given the prompt first and then each token of the only row."""

    def __init__(self, hear: Callable[[Sequence[int]], None], eos_ids: tuple[int, ...]) -> None:
        self.hear, self.eos_ids = hear, eos_ids
        self.tokens: list[int] | None = None  # none before the prompt

    def put(self, value: torch.Tensor) -> None:
        """Take the prompt or a token."""
        if self.tokens is None:
            self.tokens = []
        elif int(value) not in self.eos_ids:
            self.tokens.append(int(value))
            self.hear(self.tokens)

    def end(self) -> None:
        """Do nothing: the reply is returned."""


def _split_end(tokens: list[int], eos_ids: tuple[int, ...], limit: int) -> tuple[list[int], int | None]:
    """Return the first `limit` tokens up to the end token, and the end token or None."""
    for i, token in enumerate(tokens[:limit]):
        if token in eos_ids:
            return tokens[:i], token
    return tokens[:limit], None


def _rounded(model: Any, dtype: str) -> Any:
    """Round the model's weights in place, except for the output head: 16-bit logits would tie."""
    import torch

    head = model.get_output_embeddings()
    exact = torch.nn.Linear(head.in_features, head.out_features, bias=head.bias is not None, device=head.weight.device)
    with torch.no_grad():
        for name, value in head.named_parameters():
            getattr(exact, name).copy_(value)
    model.to(getattr(torch, TORCH_DTYPES[dtype]))
    exact.register_forward_pre_hook(lambda _, inputs: (inputs[0].float(),))
    model.set_output_embeddings(exact)
    return model
