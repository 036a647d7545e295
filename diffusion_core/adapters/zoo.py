"""Read a zoo folder: `generator.json`, `transformer/`, `text_encoder/`, `tokenizer/`."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Literal

import torch
from pydantic import BaseModel, ConfigDict, ValidationError
from safetensors.torch import load_file

from diffusion_core.adapters.canvas import Canvas, image_canvas
from diffusion_core.adapters.decoders import PixelDecoder
from diffusion_core.adapters.dit import DENOISERS, BertConditioner, SD3Denoiser
from diffusion_core.generator import Generator
from diffusion_core.kernels import DDIM, FlowEuler
from diffusion_core.processes import Flow
from diffusion_core.sampling import ClipX0

WEIGHTS = ("transformer/diffusion_pytorch_model.safetensors", "text_encoder/model.safetensors")


class GeneratorManifest(BaseModel):
    """`generator.json`: how the networks beside it are to be used. Keys not listed here describe their
    training and are ignored."""

    model_config = ConfigDict(frozen=True, extra="ignore")

    format: Literal["rewright-generator"]
    process: Literal["flow"]
    prediction: Literal["x0", "flow"]
    canvas: int
    steps: int
    guidance: float
    max_tokens: int
    time_scale: float
    licence: str
    shift: float = 1.0
    eta: float = 0.0
    clip_x0: bool = False


def load_zoo(
    folder: Path, device: torch.device, canvas: Canvas | None = None, *, weights: bool = True
) -> Generator:
    """The generator in `folder`, in float32 whatever the precision on disk. A `canvas` other than the manifest's
    is a size it was not trained on. Without `weights` they stay as they were made: for counting bytes.

    Raises:
        FileNotFoundError: if the manifest or a weight file is missing.
        ValueError: if the manifest is malformed, the transformer's class is unknown, or `canvas` does not fit it.
    """
    missing = [name for name in ("generator.json", *WEIGHTS) if not (folder / name).is_file()]
    if missing:
        raise FileNotFoundError(
            f"the generator in {folder} lacks {', '.join(missing)}; make it with "
            "`rewright train generator/shapes_dit_cpu` and copy the run's `generator` folder there"
        )
    try:
        manifest = GeneratorManifest.model_validate_json((folder / "generator.json").read_text())
    except ValidationError as error:
        raise ValueError(f"{folder / 'generator.json'} is not a generator's manifest: {error}") from error
    from diffusers import PixArtTransformer2DModel, SD3Transformer2DModel
    from transformers import AutoTokenizer, BertConfig, BertModel

    name = json.loads((folder / "transformer" / "config.json").read_text())["_class_name"]
    if name not in DENOISERS:
        raise ValueError(
            f"{folder}: no adapter for the transformer class {name!r}; known: {', '.join(sorted(DENOISERS))}"
        )
    classes = {cls.__name__: cls for cls in (PixArtTransformer2DModel, SD3Transformer2DModel)}
    transformer = classes[name].from_config(classes[name].load_config(folder / "transformer"))
    text_encoder = BertModel(BertConfig.from_pretrained(folder / "text_encoder"), add_pooling_layer=False)
    tokenizer = AutoTokenizer.from_pretrained(folder / "tokenizer", local_files_only=True)
    for module, file in zip((transformer, text_encoder), WEIGHTS, strict=True):
        if weights:
            module.load_state_dict(load_file(folder / file))  # copies into float32 parameters
        module.eval().requires_grad_(False).to(device)
    denoiser_class, process = DENOISERS[name], Flow(manifest.shift)
    joint = denoiser_class is SD3Denoiser
    height, width = image_canvas(canvas, (manifest.canvas, manifest.canvas), transformer.config.patch_size)
    return Generator(
        conditioner=BertConditioner(tokenizer, text_encoder, manifest.max_tokens, joint=joint),
        denoiser=denoiser_class(process, manifest.prediction, transformer, time_scale=manifest.time_scale),
        process=process,
        kernel=DDIM(process, manifest.eta) if manifest.eta else FlowEuler(process),
        decoder=PixelDecoder(),
        shape=(3, height, width),
        steps=manifest.steps,
        guidance=manifest.guidance,
        name=folder.name,
        licence=manifest.licence,
        hooks=(ClipX0(process),) if manifest.clip_x0 else (),
        device=device,
    )
