"""The bridge of a run from its arguments: generator, reward, cache and the licences of all three."""

from __future__ import annotations

from typing import Any

from recipes.arguments import GrpoArguments
from recipes.configuration import ConfigError
from rewards.bridge import Bridge
from rewriter.dialects import Dialect
from rewriter.templates import Template


def load_generator(args: GrpoArguments) -> Any:
    """Raises ConfigError naming the generator where it cannot be loaded."""
    from rewards.external import load_generator as load

    try:
        return load(args.generator)
    except (OSError, ValueError) as error:
        raise ConfigError(f"generator: {args.generator!r} cannot be loaded: {error}") from error


def load_reward(args: GrpoArguments) -> Any:
    """The reward by name; `shapes-mixed` is the mean of the judge's strict and shaped verdicts.

    Strict verdicts are what is wanted, but on a hard prompt all of a group fail and nothing is learned; shaped ones are dense, but pay
    for scenes that are nearly right. Half of each keeps a slope everywhere and its top at the exact scene.
    """
    from rewards.external import load_reward as load

    if args.reward == "shapes-mixed":
        from rewards.compose import Composite, Term
        from rewards.shapes import ShapesJudge

        mixed = Composite(
            [Term(ShapesJudge("strict", name="strict")), Term(ShapesJudge("shaped", name="shaped"))],
            name="shapes-mixed",
        )
        mixed.licence = "Apache-2.0"  # type: ignore[attr-defined]
        return mixed
    bounds = None if args.reward_bounds is None else (args.reward_bounds[0], args.reward_bounds[1])
    try:
        return load(args.reward, bounds=bounds)
    except (OSError, ValueError) as error:
        raise ConfigError(f"reward: {error}") from error


def identity(part: Any) -> str:
    """What a generator or reward is, for comparing one run with another.

    Its fingerprint; what declares none has one of this process, for the cache's sake, and is known by its name here.
    """
    from rewards.external import PROCESS

    members = [identity(member) for member in getattr(part, "members", ())]
    if any("undeclared" in member for member in members):  # a composite hashes its members' fingerprints
        return f"{part.name}{members}"
    return part.fingerprint.replace(PROCESS, "undeclared")


def licences(args: GrpoArguments, generator: Any, reward: Any) -> dict[str, str]:
    """SPDX identifiers, or "unknown": what the arguments say, else what the parts say themselves."""
    return {
        "generator": args.generator_licence or getattr(generator, "licence", "unknown"),
        "reward": args.reward_licence or getattr(reward, "licence", "unknown"),
    }


def build_bridge(
    args: GrpoArguments, generator: Any, reward: Any, *, seed: int, dialect: Dialect, template: Template
) -> Bridge:
    """The one async reward of a GRPO run. Rows repeat under new ids, so that seeds need not change with the epoch."""
    from rewards.store import Store

    return Bridge(
        generator,
        reward,
        dialect=dialect,
        answer=template.answer,
        images_per_prompt=args.images_per_prompt,
        seed=seed,
        reseed="never",
        steps=args.image_steps,
        guidance=args.image_guidance,
        store=Store(args.cache),
        generation_batch=args.image_batch,
        deadline_s=args.reward_deadline_s,
        call_timeout_s=args.call_timeout_s,
        baseline=args.log_baseline,
        name="image_reward",
    )
