"""How many images the embedded generator draws per second, in batches and one by one."""

from __future__ import annotations

import time


def run(model: str | None = None) -> dict[str, float]:
    """Rates at the generator's default steps and guidance; `model` as in `rewright generate --model`."""
    import numpy as np
    import torch

    from diffusion_core.types import GenerationRequest
    from diffusion_core.worlds.shapes import caption, sample_spec
    from rewards.external import load_generator

    generator = load_generator(model)
    rng = np.random.default_rng(0)
    requests = [GenerationRequest(caption(sample_spec(rng)), seed=i) for i in range(64)]
    generator.generate(requests[:2])  # the first call is slower than the others
    found = {"threads": float(torch.get_num_threads())}
    for batch in (1, 8, 64):
        asked = requests[: max(8, batch)]
        began = time.perf_counter()
        for start in range(0, len(asked), batch):
            generator.generate(asked[start : start + batch])
        found[f"batch_{batch}_images_per_s"] = len(asked) / (time.perf_counter() - began)
    return found
