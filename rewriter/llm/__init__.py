"""One protocol for asking a language model, and its three back ends.

`generate(messages, n, params)` takes conversations and returns n completions for each, in order. In-process back ends encode
with the one template (`templates.encode_chat`), so that a model is asked in serving with the ids it was trained on.
A back end that cannot answer raises `LLMError`; what the model says is never an error here.
"""

from rewriter.llm.base import GREEDY, LLM, LLMError, SamplingParams, Tally, adapter_base, is_adapter, row_seed
from rewriter.llm.openai_backend import OpenAIBackend
from rewriter.llm.transformers_backend import TransformersBackend, load_for_inference
from rewriter.llm.vllm_backend import VLLMBackend

__all__ = [
    "GREEDY",
    "LLM",
    "LLMError",
    "OpenAIBackend",
    "SamplingParams",
    "Tally",
    "TransformersBackend",
    "VLLMBackend",
    "adapter_base",
    "is_adapter",
    "load_for_inference",
    "row_seed",
]
