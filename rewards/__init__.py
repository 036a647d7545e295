"""Rewards: media in, one honest number per sample out.

`base` holds the protocol, `bridge` turns rewritten prompts into rewards for TRL and for evaluation, `compose` joins
several rewards into one, `external` adapts a user's own generator and scorer, `store` is the cache.
Importing this package loads neither torch nor numpy; the names below are resolved on first use.
"""

from importlib import import_module
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from rewards.base import Item, Media, Reward, Scores, Status, check_reward
    from rewards.bridge import Bridge
    from rewards.cases import Outcome, Row
    from rewards.compose import Composite, Term
    from rewards.external import load_generator, load_reward
    from rewards.failures import RewardMisconfigured, RewardOutage, ScoreUnavailable
    from rewards.store import Store

_HOME = {
    "Bridge": "bridge",
    "Composite": "compose",
    "Item": "base",
    "Media": "base",
    "Outcome": "cases",
    "Reward": "base",
    "RewardMisconfigured": "failures",
    "RewardOutage": "failures",
    "Row": "cases",
    "ScoreUnavailable": "failures",
    "Scores": "base",
    "Status": "base",
    "Store": "store",
    "Term": "compose",
    "check_reward": "base",
    "load_generator": "external",
    "load_reward": "external",
}

__all__ = [
    "Bridge",
    "Composite",
    "Item",
    "Media",
    "Outcome",
    "Reward",
    "RewardMisconfigured",
    "RewardOutage",
    "Row",
    "ScoreUnavailable",
    "Scores",
    "Status",
    "Store",
    "Term",
    "check_reward",
    "load_generator",
    "load_reward",
]


def __getattr__(name: str) -> object:
    if name not in _HOME:
        raise AttributeError(f"module 'rewards' has no attribute {name!r}; known: {', '.join(__all__)}")
    return getattr(import_module(f"rewards.{_HOME[name]}"), name)
