"""Which licences of data, models, generators and rewards allow commercial use; `--commercial_only` refuses the others.

A run records every licence it meets in `run.json` and in the model card. The table holds SPDX identifiers and, where a well-known
model has a licence of its own without one, the name its authors use. What is not in the table is unknown, and unknown is refused:
permission is written down or it is not there.
"""

from __future__ import annotations

import difflib
from collections.abc import Mapping
from typing import Literal

Use = Literal["commercial", "restricted", "non-commercial", "unknown"]

# "restricted" allows commercial use under conditions that a program cannot check (revenue, territory, use policy): refused too.
LICENCES: dict[str, Use] = {
    "0BSD": "commercial",
    "AFL-3.0": "commercial",
    "Apache-2.0": "commercial",
    "BSD-2-Clause": "commercial",
    "BSD-3-Clause": "commercial",
    "BSL-1.0": "commercial",
    "CC-BY-3.0": "commercial",
    "CC-BY-4.0": "commercial",
    "CC-BY-SA-4.0": "commercial",
    "CC0-1.0": "commercial",
    "CDLA-Permissive-1.0": "commercial",
    "CDLA-Permissive-2.0": "commercial",
    "ISC": "commercial",
    "MIT": "commercial",
    "MIT-0": "commercial",
    "ODC-By-1.0": "commercial",
    "PDDL-1.0": "commercial",
    "Unlicense": "commercial",
    "Zlib": "commercial",
    "CreativeML-OpenRAIL-M": "restricted",
    "OpenRAIL++-M": "restricted",
    "Llama-3.1": "restricted",
    "Llama-3.2": "restricted",
    "Gemma": "restricted",
    "stabilityai-community": "restricted",
    "tencent-hunyuan-community": "restricted",
    "CC-BY-NC-2.0": "non-commercial",
    "CC-BY-NC-4.0": "non-commercial",
    "CC-BY-NC-ND-4.0": "non-commercial",
    "CC-BY-NC-SA-4.0": "non-commercial",
    "FLUX.1-dev-non-commercial": "non-commercial",
    "qwen-research": "non-commercial",
    "mit-research": "non-commercial",
}
_BY_LOWER = {name.lower(): name for name in LICENCES}


class LicenceRefused(ValueError):
    """A run asked for commercially usable parts only, and some part is not, or nobody knows."""


def canonical(identifier: str | None) -> str:
    """The table's spelling of an identifier; "unknown" for none at all, the text itself for one that is not in the table."""
    text = (identifier or "").strip()
    return _BY_LOWER.get(text.lower(), text) or "unknown"


def use_of(identifier: str | None) -> Use:
    """What an identifier allows. `A OR B` allows what its best part does, `A AND B` what its worst part does."""
    text = canonical(identifier)
    for word, choose in ((" OR ", 0), (" AND ", -1)):
        if word in text:
            order: tuple[Use, ...] = ("commercial", "restricted", "non-commercial", "unknown")
            uses = sorted((use_of(part.strip(" ()")) for part in text.split(word)), key=order.index)
            return uses[choose]
    return LICENCES.get(text, "unknown")


def require_commercial(licences: Mapping[str, str]) -> None:
    """Raise LicenceRefused, naming every part, unless all of `licences` (part → identifier) allow commercial use."""
    refused = []
    for part, identifier in licences.items():
        use = use_of(identifier)
        if use != "commercial":
            name = canonical(identifier)
            close = difflib.get_close_matches(name, LICENCES, n=1, cutoff=0.8) if use == "unknown" else []
            hint = f" (did you mean {close[0]}?)" if close else ""
            kind = "not known" if name == "unknown" else f"{name}, {use}"
            refused.append(f"{part}: {kind}{hint}")
    if refused:
        raise LicenceRefused(
            f"commercial use only was asked for, but {'; '.join(refused)}. Name the licence where the part is declared "
            f"(an SPDX identifier), choose another part, or drop the option"
        )
