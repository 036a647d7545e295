"""A random two-layer Llama, a random zoo generator and a reward that reads pixels: every recipe runs for real in seconds."""

import sys
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import pytest

WORDS = [
    "one",
    "two",
    "three",
    "red",
    "blue",
    "green",
    "yellow",
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
    "draw",
    "please",
    "make",
    "on",
    "white",
    "black",
    "gray",
    "background",
    ";",
    ",",
    ".",
    "rewrite",
    "for",
    "image",
    "model",
    "system",
    "user",
    "assistant",
]
CHAT = (
    "{% for m in messages %}<s> {{ m['role'] }} {{ m['content'] }} </s> {% endfor %}"
    "{% if add_generation_prompt %}<s> assistant {% endif %}"
)
PAIRS = [
    (f"please draw {n} {c} {s} on {b}", f"{n} {c} {s} ; {b} background")
    for n in ("one", "two")
    for c in ("red", "blue", "green")
    for s in ("circle", "star", "ring")
    for b in ("white", "black")
]
REWARD = '''
import hashlib

SEEN = []


def brightness(images, prompts):
    """Mean brightness; remembers what it was shown."""
    SEEN.extend(hashlib.sha256(image.tobytes()).hexdigest() for image in images)
    return [float(image.mean()) / 255 for image in images]


brightness.bounds = (0.0, 1.0)
brightness.fingerprint = "brightness-1"
brightness.licence = "Apache-2.0"
'''


@dataclass(frozen=True)
class Bench:
    """Where the tiny parts lie."""

    root: Path
    model: Path
    zoo: Path
    prompts: Path
    pairs: Path

    @property
    def common(self) -> list[str]:
        return ["--base_model", str(self.model), "--model_licence", "Apache-2.0"]


@pytest.fixture(scope="session")
def bench(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Bench]:
    import json

    import torch

    from diffusion_core.adapters.builders import save_zoo

    root = tmp_path_factory.mktemp("training")
    made = Bench(root, root / "model", root / "zoo", root / "prompts.jsonl", root / "pairs.jsonl")
    save_tiny_llama(made.model)
    with torch.random.fork_rng():
        torch.manual_seed(1)
        save_zoo(made.zoo)
    prompts = ["draw a star", "a ring please", "make a square", "the circle on the left"]
    made.prompts.write_text(
        "".join(json.dumps({"prompt": p, "licence": "Apache-2.0"}) + "\n" for p in prompts)
    )
    made.pairs.write_text(
        "".join(json.dumps({"prompt": p, "rewrite": r, "licence": "Apache-2.0"}) + "\n" for p, r in PAIRS)
    )
    (root / "tiny_reward.py").write_text(REWARD)
    sys.path.insert(0, str(root))
    yield made
    sys.path.remove(str(root))
    sys.modules.pop("tiny_reward", None)


def save_tiny_llama(folder: Path) -> None:
    """Two layers, two heads of 32 (what vLLM's CPU attention takes), a word-level tokenizer, tied embeddings as SmolLM2 has."""
    import torch
    from tokenizers import Tokenizer, models, pre_tokenizers
    from transformers import LlamaConfig, LlamaForCausalLM, PreTrainedTokenizerFast

    vocabulary = {word: i for i, word in enumerate(["<pad>", "<s>", "</s>", "<unk>", *WORDS])}
    backend = Tokenizer(models.WordLevel(vocabulary, unk_token="<unk>"))
    backend.pre_tokenizer = pre_tokenizers.WhitespaceSplit()
    tokenizer = PreTrainedTokenizerFast(
        tokenizer_object=backend, pad_token="<pad>", bos_token="<s>", eos_token="</s>", unk_token="<unk>"
    )
    tokenizer.chat_template = CHAT
    config = LlamaConfig(
        vocab_size=len(vocabulary), hidden_size=64, intermediate_size=96, num_hidden_layers=2, num_attention_heads=2,
        num_key_value_heads=1, max_position_embeddings=256, bos_token_id=1, eos_token_id=2, pad_token_id=0,
        tie_word_embeddings=True, initializer_range=0.2,
    )  # fmt: skip
    with torch.random.fork_rng():
        torch.manual_seed(0)
        model = LlamaForCausalLM(config)
    model.save_pretrained(folder)
    tokenizer.save_pretrained(folder)


def adapter_weights(run: Path) -> dict[str, object]:
    from safetensors.torch import load_file

    return load_file(run / "rewriter" / "adapter_model.safetensors")


@pytest.fixture
def weights_of():
    """The adapter a run has written, by name."""
    return adapter_weights
