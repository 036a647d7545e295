"""Layout models behind `layout.generate.Backend`: transformers and vLLM, both held to the wire's grammar by xgrammar.

The grammar is compiled without any space between values, as `layout.serialise` writes: a schema on its own would let vLLM put a space
behind each comma, which the model has never seen.
"""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any

import layout
from layout.generate import Asked, Constraint
from recipes.layout_rows import prompted

EMBEDDED = Path(layout.__file__).parent / "zoo" / "rooms_llama"


def grammar_of(constraint: Constraint) -> Any:
    """The xgrammar Grammar of a constraint."""
    import json

    from xgrammar import Grammar

    if constraint.ebnf is not None:
        return Grammar.from_ebnf(constraint.ebnf)
    parts = []
    if constraint.before:
        parts.append(Grammar.from_ebnf(f"root ::= {json.dumps(constraint.before)}\n"))
    if constraint.schema is not None:
        parts.append(Grammar.from_json_schema(constraint.schema, any_whitespace=False, separators=(",", ":")))
    if constraint.after:
        parts.append(Grammar.from_ebnf(f"root ::= {json.dumps(constraint.after)}\n"))
    return parts[0] if len(parts) == 1 else Grammar.concat(*parts)


class TransformersBackend:
    """A layout model in this process. `tokens` counts what it has written."""

    def __init__(self, model: Any, tokenizer: Any, *, batch: int = 16) -> None:
        from xgrammar import GrammarCompiler, TokenizerInfo

        self.model, self.tokenizer, self.batch = model.eval(), tokenizer, batch
        self.tokens = 0
        info = TokenizerInfo.from_huggingface(
            tokenizer, vocab_size=model.config.vocab_size, stop_token_ids=[tokenizer.eos_token_id]
        )
        self._compiler = GrammarCompiler(info, max_threads=1)

    @classmethod
    def load(cls, name: str | Path = EMBEDDED, *, batch: int = 16) -> TransformersBackend:
        """From a folder or hub id, in float32 on a CPU. Raises ValueError naming what cannot be loaded."""
        import torch
        from transformers import AutoModelForCausalLM, AutoTokenizer

        if Path(name).is_absolute() and not (Path(name) / "config.json").is_file():
            raise ValueError(
                f"{name} holds no layout model; train one with `rewright train layout/sft/rooms_cpu`"
            )
        try:
            tokenizer = AutoTokenizer.from_pretrained(name)
            model = AutoModelForCausalLM.from_pretrained(
                name, dtype=torch.bfloat16 if torch.cuda.is_available() else torch.float32
            )
        except OSError as error:
            raise ValueError(
                f"the layout model {str(name)!r} cannot be loaded: {str(error).splitlines()[0]}"
            ) from error
        return cls(model.to("cuda") if torch.cuda.is_available() else model, tokenizer, batch=batch)

    def complete(self, asked: Sequence[Asked], *, temperature: float, seed: int) -> list[str]:
        import torch

        found: list[str] = []
        with torch.random.fork_rng(), torch.inference_mode():
            torch.manual_seed(seed)
            for k in range(0, len(asked), self.batch):
                found += self._batch(asked[k : k + self.batch], temperature)
        return found

    def _batch(self, asked: Sequence[Asked], temperature: float) -> list[str]:
        texts = [prompted(self.tokenizer, a.prompt) + a.begun for a in asked]
        encoded = self.tokenizer(
            texts, add_special_tokens=False, return_tensors="pt", padding=True, padding_side="left"
        )
        ids_BL, mask_BL = encoded["input_ids"], encoded["attention_mask"]
        written = self.model.generate(
            input_ids=ids_BL.to(self.model.device),
            attention_mask=mask_BL.to(self.model.device),
            logits_processor=[self._mask(asked)] if any(a.constraint for a in asked) else None,
            max_new_tokens=max(a.max_tokens for a in asked),
            do_sample=temperature > 0,
            **({"temperature": temperature, "top_k": 0, "top_p": 1.0} if temperature > 0 else {}),
            eos_token_id=self.tokenizer.eos_token_id,
            pad_token_id=self.tokenizer.pad_token_id,
        )
        new_BL = written[:, ids_BL.shape[1] :]
        self.tokens += int((new_BL != self.tokenizer.pad_token_id).sum())
        return self.tokenizer.batch_decode(new_BL, skip_special_tokens=True)

    def _mask(self, asked: Sequence[Asked]) -> Any:
        compiled: dict[int, Any] = {}
        for a in asked:
            if a.constraint is not None and id(a.constraint) not in compiled:
                compiled[id(a.constraint)] = self._compiler.compile_grammar(grammar_of(a.constraint))
        return GrammarMask([compiled.get(id(a.constraint)) for a in asked], self.model.config.vocab_size)


class GrammarMask:
    """A logits processor for one call of `generate`: every row may only go on as its own grammar says (None: as it likes)."""

    def __init__(self, compiled: Sequence[Any], vocabulary: int) -> None:
        from xgrammar import GrammarMatcher, allocate_token_bitmask

        self._matchers = [None if c is None else GrammarMatcher(c) for c in compiled]
        self._bits = allocate_token_bitmask(len(compiled), vocabulary)
        self._prompt: int | None = None

    def __call__(self, input_ids: Any, scores: Any) -> Any:
        from xgrammar import apply_token_bitmask_inplace

        first = self._prompt is None
        self._prompt = self._prompt or input_ids.shape[1]
        rows = [i for i, m in enumerate(self._matchers) if m is not None]
        for i in rows:
            matcher = self._matchers[i]
            if not first and not matcher.is_terminated():
                token = int(input_ids[i, -1])
                assert matcher.accept_token(token), f"token {token} is not in the grammar of row {i}"
        # A row that has ended gets padding whatever its scores are.
        going = [i for i in rows if not self._matchers[i].is_terminated()]
        for i in going:
            self._matchers[i].fill_next_token_bitmask(self._bits, i)
        if going:
            apply_token_bitmask_inplace(scores, self._bits.to(scores.device), indices=going)
        return scores


class VllmBackend:
    """A layout model in a vLLM engine in this process; many requests at once, or a model too large for transformers' speed."""

    def __init__(self, engine: Any, tokenizer: Any) -> None:
        self.engine, self.tokenizer = engine, tokenizer
        self.tokens = 0  # written so far

    @classmethod
    def load(cls, name: str | Path, **options: Any) -> VllmBackend:
        """Start an engine; `options` are vLLM's."""
        from transformers import AutoTokenizer
        from vllm import LLM

        options = {"structured_outputs_config": {"backend": "xgrammar"}, **options}
        return cls(LLM(model=str(name), **options), AutoTokenizer.from_pretrained(name))

    def complete(self, asked: Sequence[Asked], *, temperature: float, seed: int) -> list[str]:
        from vllm import SamplingParams
        from vllm.sampling_params import StructuredOutputsParams

        prompts, sampling = [], []
        for k, a in enumerate(asked):
            text = prompted(self.tokenizer, a.prompt) + a.begun
            prompts.append({"prompt_token_ids": self.tokenizer(text, add_special_tokens=False)["input_ids"]})
            held = a.constraint and StructuredOutputsParams(grammar=str(grammar_of(a.constraint)))
            sampling.append(
                SamplingParams(
                    temperature=temperature, max_tokens=a.max_tokens, seed=seed + k, structured_outputs=held
                )
            )
        outputs = self.engine.generate(prompts, sampling, use_tqdm=False)
        self.tokens += sum(len(output.outputs[0].token_ids) for output in outputs)
        return [output.outputs[0].text for output in outputs]
