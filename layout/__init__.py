"""Text to 3D rooms: scenes as data and geometry, exact checks, metrics, repair and a rule-based synthesiser.

Nothing here imports torch; the public names load on first use.
"""

from importlib import import_module
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from layout.schema import Door, Room, Scene, SceneObject, Spec, Window

_EXPORTS = {
    "Door": "layout.schema",
    "Room": "layout.schema",
    "Scene": "layout.schema",
    "SceneObject": "layout.schema",
    "Spec": "layout.schema",
    "Window": "layout.schema",
}

__all__ = ["Door", "Room", "Scene", "SceneObject", "Spec", "Window"]


def __getattr__(name: str) -> Any:
    if name not in _EXPORTS:
        raise AttributeError(
            f"module 'layout' has no attribute {name!r}; public names: {', '.join(sorted(__all__))}"
        )
    return getattr(import_module(_EXPORTS[name]), name)


def __dir__() -> list[str]:
    return sorted(__all__)
