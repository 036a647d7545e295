"""A generator of tensors without storage, built from configuration files alone: what `rewright plan` counts bytes on.

Nothing of the weights is read. Must be called, and used, under `torch.device("meta")`.
"""

from __future__ import annotations

from pathlib import Path
from typing import Any

import torch

from diffusion_core.adapters.canvas import Canvas
from diffusion_core.adapters.zoo import load_zoo
from diffusion_core.denoiser import float_dtype
from diffusion_core.generator import EMBEDDED, Generator
from diffusion_core.types import Cond

CLIP_TOKENS, T5_TOKENS = 77, 256


def blueprint(name: str, dtype: torch.dtype, canvas: Canvas | None = None) -> Generator:
    """The generator that `Generator.from_pretrained(name)` would give, with every weight's shape and precision.

    Raises:
        FileNotFoundError: if its configuration files are neither in a folder nor in the hub's cache.
        ValueError: if its class has no adapter.
    """
    folder = EMBEDDED.get(name, Path(name))
    if (folder / "generator.json").is_file():
        return load_zoo(folder, torch.device("meta"), canvas, weights=False)
    return _pipeline(name, dtype, canvas)


def _pipeline(name: str, dtype: torch.dtype, canvas: Canvas | None) -> Generator:
    import diffusers

    from diffusion_core.adapters.pipelines import PIPELINES, declared_licence

    try:
        index = diffusers.DiffusionPipeline.load_config(name)
    except OSError as error:
        raise FileNotFoundError(
            f"no configuration of {name!r}: not a folder here, and the hub gave no model_index.json ({error})"
        ) from error
    class_name = index["_class_name"]
    if class_name not in PIPELINES:
        raise ValueError(
            f"{name}: no adapter for pipeline class {class_name!r}; known: {', '.join(sorted(PIPELINES))}"
        )
    read, steps, guidance = PIPELINES[class_name]
    parts = {
        part: _part(name, part, *entry, dtype)
        for part, entry in index.items()
        if isinstance(entry, list) and len(entry) == 2 and not part.startswith("_")
    }
    plain = {k: v for k, v in index.items() if not isinstance(v, list) and not k.startswith("_")}
    if class_name == "StableDiffusionPipeline":
        parts |= {"safety_checker": None, "feature_extractor": None}
        plain["requires_safety_checker"] = False
    pipe = getattr(diffusers, class_name)(**parts, **plain)
    return Generator(
        **{"steps": steps, "guidance": guidance, **read(pipe, canvas)},
        name=Path(name).name,
        licence=declared_licence(name),
        device="meta",
    )


def _part(name: str, part: str, library: str | None, class_name: str | None, dtype: torch.dtype) -> Any:
    """A component: networks from their configuration, schedulers as they are, nothing for the rest (tokenizers, image processors)."""
    import diffusers
    import transformers

    if class_name is None or library is None:
        return None
    cls = getattr(diffusers if library == "diffusers" else transformers, class_name, None)
    if cls is None:
        return None
    if issubclass(cls, diffusers.SchedulerMixin):
        with torch.device("cpu"):  # its tables are read, not counted
            return cls.from_pretrained(name, subfolder=part)
    if issubclass(cls, diffusers.ModelMixin):
        return cls.from_config(cls.load_config(name, subfolder=part)).to(dtype)
    if issubclass(cls, transformers.PreTrainedModel):
        config = transformers.AutoConfig.from_pretrained(name, subfolder=part)
        return cls(config).to(dtype)
    return None


def blank_cond(generator: Generator, rows: int) -> Cond:
    """Conditioning of the shapes that the generator's conditioner gives, for so many rows."""
    module: Any = next(iter(generator.denoiser.modules().values()))
    config, dtype = module.config, float_dtype(module)

    def blank(*shape: int, kind: torch.dtype = dtype) -> torch.Tensor:
        return torch.zeros(rows, *shape, dtype=kind)

    conditioner: Any = generator.conditioner
    match type(module).__name__:
        case "UNet2DConditionModel":
            tensors = {"text": blank(_clip_tokens(conditioner), config.cross_attention_dim)}
            if config.addition_embed_type == "text_time":
                width = config.projection_class_embeddings_input_dim - 6 * config.addition_time_embed_dim
                tensors |= {"pooled": blank(width), "time_ids": blank(6, kind=torch.float32)}
            return Cond(tensors)
        case "SD3Transformer2DModel":
            length = (
                conditioner.max_tokens
                if hasattr(conditioner, "max_tokens")
                else _clip_tokens(conditioner) + T5_TOKENS
            )
            return Cond(
                {
                    "text": blank(length, config.joint_attention_dim),
                    "pooled": blank(config.pooled_projection_dim),
                }
            )
        case "FluxTransformer2DModel":
            tensors = {
                "text": blank(conditioner.max_tokens, config.joint_attention_dim),
                "pooled": blank(config.pooled_projection_dim),
            }
            if conditioner.guidance is not None:
                tensors["guidance"] = blank(kind=torch.float32)
            return Cond(tensors)
        case "PixArtTransformer2DModel":
            tensors = {"text": blank(conditioner.max_tokens, config.caption_channels)}
            if getattr(conditioner, "canvas", None) is not None:
                tensors |= {"resolution": blank(2), "aspect_ratio": blank(1)}
            return Cond(tensors, torch.ones(rows, conditioner.max_tokens, dtype=torch.long))
        case "WanTransformer3DModel":
            return Cond({"text": blank(conditioner.max_tokens, config.text_dim)})
        case "CogVideoXTransformer3DModel":
            return Cond({"text": blank(conditioner.max_tokens, config.text_embed_dim)})
        case other:
            raise ValueError(f"the shapes of the conditioning of {other} are not known here")


def read_blank(generator: Generator, rows: int) -> None:
    """So many prompts, as long as the model reads them, through each text encoder."""
    conditioner: Any = generator.conditioner
    for module in conditioner.modules().values():
        positions = getattr(module.config, "max_position_embeddings", None)
        longest = getattr(conditioner, "max_tokens", T5_TOKENS)
        module(input_ids=torch.zeros(rows, min(positions or longest, longest), dtype=torch.long))


def _clip_tokens(conditioner: Any) -> int:
    encoder = conditioner.pipe.text_encoder
    return CLIP_TOKENS if encoder is None else encoder.config.max_position_embeddings


def relative_costs(folder: Path | None, side: int) -> dict[str, float]:
    """Floating-point operations of one prompt through the text encoder and one image of `side` pixels through the VAE's encoder, in units of
    one forward of the UNet, counted on tensors without storage. None: Stable Diffusion 1.5 itself.
    """
    from diffusers import AutoencoderKL, UNet2DConditionModel
    from torch.utils.flop_counter import FlopCounterMode
    from transformers import AutoConfig, CLIPTextConfig, CLIPTextModel

    with torch.device("meta"), torch.no_grad():
        if folder is None:
            four = {
                "down_block_types": ("DownEncoderBlock2D",) * 4,
                "up_block_types": ("UpDecoderBlock2D",) * 4,
            }
            unet: Any = UNet2DConditionModel(sample_size=64, cross_attention_dim=768, attention_head_dim=8)
            vae: Any = AutoencoderKL(
                block_out_channels=(128, 256, 512, 512), layers_per_block=2, latent_channels=4, **four
            )
            text: Any = CLIPTextConfig(
                hidden_size=768, intermediate_size=3072, num_hidden_layers=12, num_attention_heads=12
            )
        else:
            unet = UNet2DConditionModel.from_config(
                UNet2DConditionModel.load_config(folder, subfolder="unet")
            )
            vae = AutoencoderKL.from_config(AutoencoderKL.load_config(folder, subfolder="vae"))
            text = AutoConfig.from_pretrained(folder, subfolder="text_encoder")
        encoder: Any = CLIPTextModel(text)
        tokens, latent = text.max_position_embeddings, side // 8
        words = torch.zeros(1, tokens, unet.config.cross_attention_dim)
        calls = {
            "unet": lambda: unet(torch.zeros(1, 4, latent, latent), torch.ones(1), words),
            "text_encoder": lambda: encoder(input_ids=torch.zeros(1, tokens, dtype=torch.long)),
            "vae": lambda: vae.encode(torch.zeros(1, 3, side, side)),
        }
        counted = {}
        for name, call in calls.items():
            with FlopCounterMode(display=False) as counter:
                call()
            counted[name] = counter.get_total_flops()
    return {name: value / counted["unet"] for name, value in counted.items()}
