"""Common random numbers: which seeds a row's images are drawn with.

All rewrites of a row are rendered with the same M seeds, so that the contrast inside a group is between rewrites and
not between noises. The seeds change each epoch, so that nothing is learned about single noises.
"""

from __future__ import annotations

import hashlib

SEED_BITS = 31  # fits the int32 of image servers, and every torch or numpy generator


def shared_seeds(run_seed: int, row_id: str, count: int, epoch: int = 0) -> tuple[int, ...]:
    """The `count` seeds of a row in an epoch; the first ones do not depend on `count`."""
    stem = hashlib.sha256(f"{run_seed}|{epoch}|".encode() + row_id.encode())
    seeds = []
    for k in range(count):
        one = stem.copy()
        one.update(f"|{k}".encode())
        seeds.append(int.from_bytes(one.digest()[:8], "big") >> (64 - SEED_BITS))
    return tuple(seeds)
