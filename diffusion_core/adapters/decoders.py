"""From the denoiser's space to pixels in [0, 1], and back."""

from __future__ import annotations

from typing import Any

import torch
from torch import Tensor


class PixelDecoder:
    """The denoiser works on pixels in [-1, 1]."""

    def decode(self, latents: Tensor) -> Tensor:
        return (latents + 1) / 2

    def encode(self, pixels: Tensor) -> Tensor:
        return pixels * 2 - 1

    def modules(self) -> dict[str, torch.nn.Module]:
        return {}


class VaeDecoder:
    """An `AutoencoderKL`: latents = (mean of the posterior - shift) * scale.

    A VAE whose configuration says `force_upcast` (SDXL's) overflows in half precision, so it is kept in
    float32.
    """

    def __init__(self, vae: Any) -> None:
        self.vae = vae.float() if vae.config.force_upcast else vae
        self.scale = vae.config.scaling_factor
        self.shift = vae.config.shift_factor or 0.0

    def decode(self, latents: Tensor) -> Tensor:
        z = (latents / self.scale + self.shift).to(self.vae.dtype)
        return (self.vae.decode(z, return_dict=False)[0].to(latents.dtype) + 1) / 2

    def encode(self, pixels: Tensor) -> Tensor:
        posterior = self.vae.encode((pixels * 2 - 1).to(self.vae.dtype), return_dict=False)[0]
        return ((posterior.mode() - self.shift) * self.scale).to(pixels.dtype)

    def modules(self) -> dict[str, torch.nn.Module]:
        return {"vae": self.vae}


class WanDecoder:
    """`AutoencoderKLWan`: each latent channel is standardised with the configuration's mean and deviation.

    (B, C, F, H, W) to (B, 3, F', H', W') with F' = temporal factor (F - 1) + 1.
    """

    def __init__(self, vae: Any) -> None:
        self.vae = vae
        self.mean = torch.tensor(vae.config.latents_mean).view(-1, 1, 1, 1)
        self.std = torch.tensor(vae.config.latents_std).view(-1, 1, 1, 1)

    def decode(self, latents: Tensor) -> Tensor:
        z = (latents * self.std.to(latents) + self.mean.to(latents)).to(self.vae.dtype)
        return (self.vae.decode(z, return_dict=False)[0].to(latents.dtype) + 1) / 2

    def encode(self, pixels: Tensor) -> Tensor:
        posterior = self.vae.encode((pixels * 2 - 1).to(self.vae.dtype), return_dict=False)[0]
        return (posterior.mode().to(pixels.dtype) - self.mean.to(pixels)) / self.std.to(pixels)

    def modules(self) -> dict[str, torch.nn.Module]:
        return {"vae": self.vae}


class CogVideoXDecoder:
    """`AutoencoderKLCogVideoX`: latents = mean of the posterior * scale, axes as in `WanDecoder`.

    `invert_scale_latents` does not enter: it concerns the picture that an image-to-video model is given. CogVideoX
    1.5 works on an even number of latent frames, so `padding` copies of the first are put in front, and dropped
    again before decoding.
    """

    def __init__(self, vae: Any, padding: int = 0) -> None:
        self.vae, self.padding = vae, padding
        self.scale = vae.config.scaling_factor

    def decode(self, latents: Tensor) -> Tensor:
        z = (latents[:, :, self.padding :] / self.scale).to(self.vae.dtype)
        return (self.vae.decode(z, return_dict=False)[0].to(latents.dtype) + 1) / 2

    def encode(self, pixels: Tensor) -> Tensor:
        posterior = self.vae.encode((pixels * 2 - 1).to(self.vae.dtype), return_dict=False)[0]
        z = (posterior.mode() * self.scale).to(pixels.dtype)
        return torch.cat([z[:, :, :1].expand(-1, -1, self.padding, -1, -1), z], 2)

    def modules(self) -> dict[str, torch.nn.Module]:
        return {"vae": self.vae}
