"""A generator behind an OpenAI-images server: POST /v1/images/generations, answers as base64 PNG.

The protocol has no seed; servers of open models (vLLM-Omni, LocalAI, stable-diffusion.cpp) read the extra field
`seed`, and a server that ignores it gives images that do not repeat. Steps, guidance and the negative prompt are sent
as further extra fields when they are set.
"""

from __future__ import annotations

import base64
import binascii
import io
import os
import weakref
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from typing import TYPE_CHECKING, Any
from urllib.parse import parse_qs, urlsplit, urlunsplit

from rewards.external import PROCESS, to_pixels
from rewards.failures import RETRYABLE_HTTP, RewardMisconfigured, ScoreUnavailable, Undeliverable

if TYPE_CHECKING:
    import httpx

MAX_PIXELS = 64 << 20  # a larger answer is refused before it is decoded
API_KEY = "REWRIGHT_IMAGES_API_KEY"
_OPTIONS = {"model", "size", "version", "licence", "connections", "timeout_s"}


class ImagesServer:
    """Settings come from the URL's query: model, size (default 1024x1024), connections, timeout_s, licence, version.

    Give `version` to say that model and server stay what they are: only then are images cached beyond this process.
    The environment variable REWRIGHT_IMAGES_API_KEY is sent as a bearer token.
    """

    def __init__(
        self,
        url: str,
        *,
        model: str | None = None,
        size: str = "1024x1024",
        version: str | None = None,
        licence: str = "unknown",
        connections: int = 4,
        timeout_s: float = 120.0,
    ) -> None:
        self.url, self.model, self.size = url, model, size
        self.connections, self.timeout_s, self.licence = connections, timeout_s, licence
        self.name = f"{model or 'images'}@{urlsplit(url).netloc}"
        self.fingerprint = f"{url}|{model}|{size}|{version or PROCESS}"
        self._client: httpx.Client | None = None

    @classmethod
    def from_url(cls, spec: str) -> ImagesServer:
        """http(s)://host[/v1][/images/generations][?model=…&size=…]"""
        parts = urlsplit(spec)
        given = {name: values[-1] for name, values in parse_qs(parts.query).items()}
        if unknown := set(given) - _OPTIONS:
            raise ValueError(
                f"unknown option {sorted(unknown)} in {spec!r}; known: {', '.join(sorted(_OPTIONS))}"
            )
        path = parts.path.rstrip("/")
        if not path.endswith("/images/generations"):
            path += "/images/generations" if path.endswith("/v1") else "/v1/images/generations"
        options: dict[str, Any] = dict(given)
        for name, kind in (("connections", int), ("timeout_s", float)):
            if name in options:
                options[name] = kind(options[name])
        return cls(urlunsplit((parts.scheme, parts.netloc, path, "", "")), **options)

    def generate(
        self, requests: Sequence[Any], *, batch_size: int | None = None, on_progress: Any = None
    ) -> list[Any]:
        """One Sample per request, `connections` at a time (the server batches)."""
        from diffusion_core.types import Sample

        samples = []
        with ThreadPoolExecutor(self.connections, thread_name_prefix="rewright-images") as pool:
            for request, image in zip(requests, pool.map(self._image, requests), strict=True):
                samples.append(Sample(to_pixels(image), request))
                if on_progress is not None:
                    on_progress(len(samples), len(requests))
        return samples

    def _image(self, request: Any) -> Any:
        body: dict[str, Any] = {
            "prompt": request.prompt,
            "n": 1,
            "size": self.size,
            "response_format": "b64_json",
            "seed": request.seed,
        }
        extra = {
            "model": self.model,
            "negative_prompt": request.negative_prompt or None,
            "num_inference_steps": request.steps,
            "guidance_scale": request.guidance,
        }
        body.update({name: value for name, value in extra.items() if value is not None})
        response = self._http().post(self.url, json=body)
        if response.status_code in RETRYABLE_HTTP or response.status_code >= 500:
            raise ScoreUnavailable(f"{self.url} answered {response.status_code}: {response.text[:200]}")
        if response.status_code in (401, 403, 404, 405):
            raise RewardMisconfigured(
                f"{self.url} answered {response.status_code}: {response.text[:200]}; check the address and {API_KEY}"
            )
        if response.status_code >= 400:
            raise Undeliverable(
                "bad_media", f"{self.url} answered {response.status_code}: {response.text[:200]}"
            )
        return _decoded(response)

    def _http(self) -> httpx.Client:
        if self._client is None:
            import httpx

            key = os.environ.get(API_KEY)
            headers = {"Authorization": f"Bearer {key}"} if key else {}
            self._client = httpx.Client(timeout=self.timeout_s, headers=headers)
            weakref.finalize(self, self._client.close)
        return self._client

    def __getstate__(self) -> dict[str, Any]:
        return {**self.__dict__, "_client": None}


def _decoded(response: httpx.Response) -> Any:
    """The first image of an answer, as a PIL image."""
    from PIL import Image

    try:
        encoded = response.json()["data"][0]["b64_json"]
        image = Image.open(io.BytesIO(base64.b64decode(encoded, validate=True)))
        if image.width * image.height > MAX_PIXELS:
            raise Undeliverable(
                "bad_media", f"the server sent an image of {image.width} x {image.height} pixels"
            )
        image.load()
    except (KeyError, IndexError, TypeError, ValueError, binascii.Error, OSError) as error:
        raise Undeliverable("bad_media", f"the server's answer holds no base64 image: {error}") from error
    return image
