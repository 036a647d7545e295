"""Layout models behind `layout.generate.Backend`: transformers and vLLM, both held to the wire's grammar by xgrammar.

The grammar is compiled without any space between values, as `layout.serialise` writes: a schema on its own would let vLLM put a space
behind each comma, which the model has never seen.
"""

from __future__ import annotations

import json
from collections import Counter
from collections.abc import Sequence
from concurrent.futures import Executor, Future, ThreadPoolExecutor
from pathlib import Path
from typing import Any

import layout
from layout.generate import Asked, Constraint
from recipes.layout_guiding import GuideMask, Spelling
from recipes.layout_rows import prompted

EMBEDDED = Path(layout.__file__).parent / "zoo" / "rooms_llama"


def grammar_of(constraint: Constraint) -> Any:
    """The xgrammar Grammar of a constraint."""
    from xgrammar import Grammar

    if constraint.ebnf is not None:
        return Grammar.from_ebnf(constraint.ebnf)
    parts = []
    if constraint.before:
        parts.append(Grammar.from_ebnf(f"root ::= {json.dumps(constraint.before)}\n"))
    if constraint.schema is not None:
        parts.append(
            Grammar.from_json_schema(
                with_shared_arrays(constraint.schema), any_whitespace=False, separators=(",", ":")
            )
        )
    if constraint.after:
        parts.append(Grammar.from_ebnf(f"root ::= {json.dumps(constraint.after)}\n"))
    return parts[0] if len(parts) == 1 else Grammar.concat(*parts)


def with_shared_arrays(schema: dict[str, Any]) -> dict[str, Any]:
    """The schema with every array that it says more than once as one definition: where objects may stand is the same for all of them.

    xgrammar compiles each part of a schema anew: of eight objects, 8.5 ms a room where it was 13.4. Only arrays, whose end is one
    bracket: of shared numbers, what may follow is looked up at every token, which costs more than it saves (44 µs where it is 2).
    """
    counts: Counter[str] = Counter()

    def count(value: Any) -> None:
        if isinstance(value, dict):
            if value.get("type") == "array":
                counts[json.dumps(value)] += 1
            for part in value.values():
                count(part)
        elif isinstance(value, list):
            for part in value:
                count(part)

    definitions: dict[str, Any] = {}
    names: dict[str, str] = {}

    def put(value: Any) -> Any:
        if isinstance(value, list):
            return [put(part) for part in value]
        if not isinstance(value, dict):
            return value
        key = json.dumps(value)
        if value.get("type") != "array" or counts[key] < 2:
            return {name: put(part) for name, part in value.items()}
        if key not in names:
            names[key] = f"array_{len(names)}"
            definitions[names[key]] = {name: put(part) for name, part in value.items()}
        return {"$ref": f"#/$defs/{names[key]}"}

    count(schema)
    found = put(schema)
    return {**found, "$defs": definitions} if definitions else schema


class TransformersBackend:
    """A layout model in this process. `lengths` are the tokens of the texts that it wrote last; `endless` lets it write on past its end."""

    endless = False
    follows = True

    def __init__(self, model: Any, tokenizer: Any, *, batch: int = 16) -> None:
        import torch
        from xgrammar import GrammarCompiler, TokenizerInfo

        self.model, self.tokenizer, self.batch = model.eval(), tokenizer, batch
        self.lengths: list[int] = []
        self._spelling = Spelling(tokenizer)
        info = TokenizerInfo.from_huggingface(
            tokenizer, vocab_size=model.config.vocab_size, stop_token_ids=[tokenizer.eos_token_id]
        )
        # While a grammar is compiled the model computes nothing yet, or its first pass over the prompt.
        self._compiler = GrammarCompiler(info, max_threads=max(1, torch.get_num_threads()))

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
        self.lengths = []
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
        # The grammars are compiled beside the pass over the prompts; the mask waits for them at the first token.
        with ThreadPoolExecutor(1) as aside:
            mask = self._mask(asked, aside)
            written = self.model.generate(
                input_ids=ids_BL.to(self.model.device),
                attention_mask=mask_BL.to(self.model.device),
                logits_processor=[mask] if mask is not None else None,
                max_new_tokens=max(a.max_tokens for a in asked),
                do_sample=temperature > 0,
                **({"temperature": temperature, "top_k": 0, "top_p": 1.0} if temperature > 0 else {}),
                # The first number that is no token ends nothing; None would be the model's own.
                eos_token_id=self.model.config.vocab_size if self.endless else self.tokenizer.eos_token_id,
                pad_token_id=self.tokenizer.pad_token_id,
            )
        new_BL = written[:, ids_BL.shape[1] :]
        self.lengths += (new_BL != self.tokenizer.pad_token_id).sum(dim=1).tolist()
        return self.tokenizer.batch_decode(new_BL, skip_special_tokens=True)

    def _mask(self, asked: Sequence[Asked], aside: Executor) -> GrammarMask | GuideMask | None:
        """One compilation a different constraint; equal ones are the same object when many answers to one request are wanted."""
        guides = [a.guide for a in asked if a.guide is not None]
        if guides:
            assert len(guides) == len(asked), "all texts of a batch have a guide or none has"
            return GuideMask([begin() for begin in guides], self._spelling, self.tokenizer.eos_token_id)
        if not any(a.constraint for a in asked):
            return None
        jobs: dict[int, Future[Any]] = {}
        for a in asked:
            if a.constraint is not None and id(a.constraint) not in jobs:
                jobs[id(a.constraint)] = aside.submit(self._compiled, a.constraint)
        return GrammarMask([jobs.get(id(a.constraint)) for a in asked], self.model.config.vocab_size)

    def _compiled(self, constraint: Constraint) -> Any:
        return self._compiler.compile_grammar(grammar_of(constraint))


class GrammarMask:
    """A logits processor for one call of `generate`: every row may only go on as its own grammar says (None: as it likes)."""

    def __init__(self, compiled: Sequence[Future[Any] | None], vocabulary: int) -> None:
        from xgrammar import allocate_token_bitmask

        self._compiled, self._vocabulary = compiled, vocabulary
        self._matchers: list[Any] = []
        self._bits = allocate_token_bitmask(len(compiled), vocabulary)

    def __call__(self, input_ids: Any, scores: Any) -> Any:
        from xgrammar import GrammarMatcher

        if not self._matchers:
            self._matchers = [None if c is None else GrammarMatcher(c.result()) for c in self._compiled]
        else:
            for i, (matcher, token) in enumerate(zip(self._matchers, input_ids[:, -1].tolist(), strict=True)):
                if matcher is not None and not matcher.is_terminated():
                    assert matcher.accept_token(token), f"token {token} is not in the grammar of row {i}"
        for i, matcher in enumerate(self._matchers):
            if matcher is None or matcher.is_terminated():
                self._bits[i] = -1  # all bits: a row that has ended gets padding whatever its scores are
            else:
                matcher.fill_next_token_bitmask(self._bits, i)
        return self._apply(scores)

    def _apply(self, scores: Any) -> Any:
        if scores.device.type != "cpu":
            from xgrammar import apply_token_bitmask_inplace

            apply_token_bitmask_inplace(scores, self._bits.to(scores.device))
            return scores
        import numpy as np
        import torch

        # xgrammar's own kernel for CPUs takes over three times as long.
        bytes_BN = self._bits.numpy().view(np.uint8)
        allowed_BV = np.unpackbits(bytes_BN, axis=1, count=scores.shape[1], bitorder="little")
        return scores.masked_fill_(torch.from_numpy(allowed_BV == 0), float("-inf"))


class VllmBackend:
    """A layout model in a vLLM engine in this process; many requests at once, or a model too large for transformers' speed."""

    endless = False  # as in `TransformersBackend`
    follows = False  # its grammars are compiled before it writes

    def __init__(self, engine: Any, tokenizer: Any) -> None:
        self.engine, self.tokenizer = engine, tokenizer
        self.lengths: list[int] = []  # tokens of the texts written last

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
                    temperature=temperature,
                    max_tokens=a.max_tokens,
                    seed=seed + k,
                    structured_outputs=held,
                    ignore_eos=self.endless,
                )
            )
        outputs = self.engine.generate(prompts, sampling, use_tqdm=False)
        self.lengths = [len(output.outputs[0].token_ids) for output in outputs]
        return [output.outputs[0].text for output in outputs]
