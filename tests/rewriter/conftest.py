"""Small language models built in process: a word-level tokenizer with a chat template and a random two-layer Llama."""

from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path

import pytest
from hypothesis import settings

from rewriter.llm import GREEDY, LLMError, SamplingParams, Tally

settings.register_profile("rewright", deadline=None)  # a busy machine is no failure
settings.load_profile("rewright")

WORDS = [
    "one",
    "two",
    "three",
    "red",
    "blue",
    "green",
    "circle",
    "circles",
    "square",
    "squares",
    "star",
    "ring",
    "small",
    "large",
    "above",
    "below",
    "left",
    "right",
    "of",
    "a",
    "the",
    "and",
    "no",
    "rewrite",
    "for",
    "image",
    "model",
    ".",
    ",",
    ";",
    "white",
    "background",
    "system",
    "user",
    "assistant",
]
CHAT_TEMPLATE = (
    "{% for m in messages %}<s> {{ m['role'] }} {{ m['content'] }} </s> {% endfor %}"
    "{% if add_generation_prompt %}<s> assistant {% endif %}"
)


@pytest.fixture(scope="session")
def tiny_model_dir(tmp_path_factory: pytest.TempPathFactory) -> str:
    """A folder with a random two-layer Llama (float32) and its word-level tokenizer."""
    import torch
    from tokenizers import Tokenizer, models, pre_tokenizers
    from transformers import LlamaConfig, LlamaForCausalLM, PreTrainedTokenizerFast

    folder = tmp_path_factory.mktemp("tiny") / "model"
    vocabulary = {word: i for i, word in enumerate(["<pad>", "<s>", "</s>", "<unk>", *WORDS])}
    backend = Tokenizer(models.WordLevel(vocabulary, unk_token="<unk>"))
    backend.pre_tokenizer = pre_tokenizers.WhitespaceSplit()
    tokenizer = PreTrainedTokenizerFast(
        tokenizer_object=backend, pad_token="<pad>", bos_token="<s>", eos_token="</s>", unk_token="<unk>"
    )
    tokenizer.chat_template = CHAT_TEMPLATE
    config = LlamaConfig(
        vocab_size=len(vocabulary), hidden_size=32, intermediate_size=48, num_hidden_layers=2, num_attention_heads=4,
        num_key_value_heads=2, max_position_embeddings=128, bos_token_id=1, eos_token_id=2, pad_token_id=0,
        tie_word_embeddings=True,
    )  # fmt: skip
    with torch.random.fork_rng():
        torch.manual_seed(0)
        model = LlamaForCausalLM(config)
    model.save_pretrained(folder)
    tokenizer.save_pretrained(folder)
    return str(folder)


@dataclass
class ScriptedLLM:
    """Answers from a script: by the user's prompt, otherwise `default`. Records what it was asked."""

    answers: dict[str, str | Exception] = field(default_factory=dict)
    default: str = "two red circles"
    name: str = "scripted"
    tally: Tally = field(default_factory=Tally)
    asked: list[str] = field(default_factory=list)
    batches: list[int] = field(default_factory=list)
    params: list[SamplingParams] = field(default_factory=list)

    def generate(
        self,
        messages: Sequence[Sequence[dict[str, str]]],
        n: int = 1,
        params: SamplingParams = GREEDY,
    ) -> list[list[str]]:
        prompts = [m[-1]["content"] for m in messages]
        self.asked += prompts
        self.batches.append(len(prompts))
        self.params.append(params)
        out: list[list[str]] = []
        for prompt in prompts:
            answer = self.answers.get(prompt, self.default)
            if isinstance(answer, Exception):
                raise answer
            out.append([answer] * n)
            self.tally.prompt_tokens += len(prompt.split())
            self.tally.completion_tokens += n * len(answer.split())
        return out


@pytest.fixture
def scripted() -> ScriptedLLM:
    return ScriptedLLM()


@pytest.fixture
def broken_llm() -> ScriptedLLM:
    return ScriptedLLM(answers={"a red circle": LLMError("connection refused")})


@pytest.fixture
def golden_dir() -> Path:
    return Path(__file__).parent.parent / "golden"
