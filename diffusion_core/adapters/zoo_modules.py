"""The embedded generator's three modules: a PixArt-class transformer in pixel space, a small BERT text encoder, a word tokenizer."""

from __future__ import annotations

import json
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

import torch

if TYPE_CHECKING:
    from collections.abc import Iterable

BOS, PAD, UNKNOWN = "[BOS]", "[PAD]", "[UNK]"


@dataclass(frozen=True)
class ZooConfig:
    """Sizes of the modules and how they are trained and sampled; written to `generator.json` beside the weights."""

    canvas: int = 48
    patch: int = 16
    width: int = 256
    layers: int = 6
    heads: int = 4
    text_width: int = 192
    text_layers: int = 2
    max_tokens: int = 48
    prediction: str = "x0"
    process: str = "flow"
    time_scale: int = 1000
    steps: int = 12
    guidance: float = 1.5
    shift: float = 4.0  # more steps where the scene is decided; chosen on training captions
    eta: float = 1.0  # fresh noise at every step: an object too many, once drawn, is not final
    licence: str = "Apache-2.0"
    format: str = "rewright-generator"


@dataclass
class ZooModules:
    transformer: torch.nn.Module
    text_encoder: torch.nn.Module
    tokenizer: Any


def word_tokenizer(words: Iterable[str], max_tokens: int) -> Any:
    """A word-level tokenizer: lower case, punctuation split off, unknown words to one token, `[BOS]` in front."""
    from tokenizers import Tokenizer, models, normalizers, pre_tokenizers, processors
    from transformers import PreTrainedTokenizerFast

    vocabulary = {token: i for i, token in enumerate([PAD, UNKNOWN, BOS, *dict.fromkeys(words)])}
    tokenizer = Tokenizer(models.WordLevel(vocabulary, unk_token=UNKNOWN))
    tokenizer.normalizer = normalizers.Sequence([normalizers.NFC(), normalizers.Lowercase()])
    tokenizer.pre_tokenizer = pre_tokenizers.BertPreTokenizer()
    tokenizer.post_processor = processors.TemplateProcessing(
        single=f"{BOS} $A", special_tokens=[(BOS, vocabulary[BOS])]
    )
    return PreTrainedTokenizerFast(
        tokenizer_object=tokenizer,
        bos_token=BOS,
        pad_token=PAD,
        unk_token=UNKNOWN,
        model_max_length=max_tokens,
        padding_side="right",
    )


def build_modules(config: ZooConfig, words: Iterable[str]) -> ZooModules:
    """Fresh modules with random weights from torch's global generator."""
    from diffusers import PixArtTransformer2DModel
    from transformers import BertConfig, BertModel

    tokenizer = word_tokenizer(words, config.max_tokens)
    transformer = PixArtTransformer2DModel(
        sample_size=config.canvas,
        patch_size=config.patch,
        in_channels=3,
        out_channels=3,
        num_layers=config.layers,
        num_attention_heads=config.heads,
        attention_head_dim=config.width // config.heads,
        cross_attention_dim=config.width,
        caption_channels=config.text_width,
        norm_type="ada_norm_single",
        use_additional_conditions=False,
    )
    text_encoder = BertModel(
        BertConfig(
            vocab_size=len(tokenizer),
            hidden_size=config.text_width,
            num_hidden_layers=config.text_layers,
            num_attention_heads=config.heads,
            intermediate_size=4 * config.text_width,
            max_position_embeddings=config.max_tokens,
            hidden_dropout_prob=0.0,
            attention_probs_dropout_prob=0.0,
            type_vocab_size=1,
            pad_token_id=tokenizer.pad_token_id,
        ),
        add_pooling_layer=False,
    )
    return ZooModules(transformer, text_encoder, tokenizer)


def save_modules(modules: ZooModules, folder: Path, config: ZooConfig) -> None:
    """Write the zoo folder that `Generator.from_pretrained` reads; weights as fp16 safetensors."""
    import copy

    folder.mkdir(parents=True, exist_ok=True)
    (folder / "generator.json").write_text(json.dumps(asdict(config), indent=2) + "\n")
    copy.deepcopy(modules.transformer).half().save_pretrained(folder / "transformer", safe_serialization=True)
    copy.deepcopy(modules.text_encoder).half().save_pretrained(
        folder / "text_encoder", safe_serialization=True
    )
    modules.tokenizer.save_pretrained(folder / "tokenizer")
