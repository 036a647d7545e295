"""Text to 3D rooms: scenes as data and geometry, exact checks, metrics, repair and a rule-based synthesiser.

Nothing here imports torch; the public names load on first use.
"""

from importlib import import_module
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from layout.answer_schema import answer_schema
    from layout.checks import check
    from layout.instructions import Instruction, instruct
    from layout.parse import Parsed, ParseFailure
    from layout.report import Report, Violation
    from layout.schema import Door, Room, Scene, SceneObject, Spec, Window
    from layout.serialise import answer_text, prompt_text

_EXPORTS = {
    "Door": "layout.schema",
    "Instruction": "layout.instructions",
    "ParseFailure": "layout.parse",
    "Parsed": "layout.parse",
    "Report": "layout.report",
    "Room": "layout.schema",
    "Scene": "layout.schema",
    "SceneObject": "layout.schema",
    "Spec": "layout.schema",
    "Violation": "layout.report",
    "Window": "layout.schema",
    "answer_schema": "layout.answer_schema",
    "answer_text": "layout.serialise",
    "check": "layout.checks",
    "instruct": "layout.instructions",
    "prompt_text": "layout.serialise",
}

__all__ = [
    "Door",
    "Instruction",
    "ParseFailure",
    "Parsed",
    "Report",
    "Room",
    "Scene",
    "SceneObject",
    "Spec",
    "Violation",
    "Window",
    "answer_schema",
    "answer_text",
    "check",
    "instruct",
    "prompt_text",
]


def __getattr__(name: str) -> Any:
    if name not in _EXPORTS:
        raise AttributeError(
            f"module 'layout' has no attribute {name!r}; public names: {', '.join(sorted(__all__))}"
        )
    return getattr(import_module(_EXPORTS[name]), name)


def __dir__() -> list[str]:
    return sorted(__all__)
