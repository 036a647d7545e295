"""The Diffusion-DPO family: one small file a method.

    loss = build_loss("diffusion_dpo", beta=2000.0)
    loss(PairErrors(policy_w, policy_l, ref_w, ref_l))      -> LossOutput(loss, metrics)

A file holds a formula and its hyper-parameters; how latents are noised, and which captions, weights and reference are used, is said in its
class variables and done elsewhere. `docs/paper-index.md` has a table of all of them.
"""

from __future__ import annotations

from dataclasses import MISSING, fields
from importlib import import_module
from typing import Any

from diffusion_core.losses.base import Loss
from diffusion_core.losses.d3po import D3PO
from diffusion_core.losses.dcpo import DCPO
from diffusion_core.losses.densedpo import DenseDPO
from diffusion_core.losses.diffusion_dpo import DiffusionDPO
from diffusion_core.losses.dmpo import DMPO
from diffusion_core.losses.dspo import DSPO
from diffusion_core.losses.inpo import InPO
from diffusion_core.losses.inversion_dpo import InversionDPO
from diffusion_core.losses.kto import KTO
from diffusion_core.losses.mapo import MaPO
from diffusion_core.losses.orpo import ORPO
from diffusion_core.losses.pso import PSO
from diffusion_core.losses.pso_db import PSODB
from diffusion_core.losses.rpo import RPO
from diffusion_core.losses.sdpo import SDPO
from diffusion_core.losses.sft import SFT
from diffusion_core.losses.smpo import SmPO
from diffusion_core.losses.spo import SPO

LOSSES: dict[str, type[Loss]] = {
    "sft": SFT,
    "diffusion_dpo": DiffusionDPO,
    "mapo": MaPO,
    "inpo": InPO,
    "smpo": SmPO,
    "inversion_dpo": InversionDPO,
    "dcpo": DCPO,
    "densedpo": DenseDPO,
    "rpo": RPO,
    "kto": KTO,
    "dspo": DSPO,
    "sdpo": SDPO,
    "dmpo": DMPO,
    "orpo": ORPO,
    "spo": SPO,
    "d3po": D3PO,
    "pso": PSO,
    "pso_db": PSODB,
}


def build_loss(name: str, **hyper: Any) -> Any:
    """The loss called `name` in LOSSES, or your own by dotted path (`my_package.losses:MyLoss`), with its hyper-parameters.

    Raises ValueError for an unknown name or hyper-parameter, or a value of the wrong type, saying what is known.
    """
    cls = LOSSES[name] if name in LOSSES else _own(name)
    if cls in LOSSES.values():
        _check(name, cls, hyper)
    return cls(**hyper)


def _own(path: str) -> Any:
    module, _, attribute = path.replace(":", ".").rpartition(".")
    if not module:
        raise ValueError(
            f"unknown loss {path!r}; known: {', '.join(LOSSES)}, or your own as package.module:Class"
        )
    try:
        return getattr(import_module(module), attribute)
    except (ImportError, AttributeError) as error:
        raise ValueError(f"the loss {path!r} cannot be imported: {error}") from error


def _check(name: str, cls: type[Loss], hyper: dict[str, Any]) -> None:
    known = {field.name: field.default for field in fields(cls)}
    for key, value in hyper.items():
        if key not in known:
            told = ", ".join(f"{k}={v}" for k, v in known.items()) or "none"
            raise ValueError(f"{name} has no hyper-parameter {key!r}; it has: {told}")
        default = known[key]
        if default is MISSING or default is None:
            continue
        kinds = (int, float) if type(default) is float else (type(default),)
        if not isinstance(value, kinds) or (isinstance(value, bool) and type(default) is not bool):
            raise ValueError(
                f"{name}: {key}={value!r} must be a {type(default).__name__}, as its default {default!r}"
            )
