"""Finding what earlier runs left in `runs/`."""

from __future__ import annotations

from pathlib import Path

RUNS = Path("runs")
SMOKE_RUN = "demo-smoke"  # its rewriter has learned nothing: it is taken only where there is no other


def rewriter_folder(given: str | None, root: Path = RUNS) -> Path:
    """The rewriter's folder: the one given, or the newest `runs/*/rewriter`.

    Raises FileNotFoundError with what to do where there is none.
    """
    if given is not None:
        folder = Path(given)
        if not folder.is_dir():
            raise FileNotFoundError(f"no rewriter in {folder}: the folder does not exist")
        nested = folder / "rewriter"
        return (
            nested
            if not (folder / "rewriter.json").is_file() and (nested / "rewriter.json").is_file()
            else folder
        )
    found = sorted(
        root.glob("*/rewriter/rewriter.json"),
        key=lambda path: (path.parts[-3] != SMOKE_RUN, path.stat().st_mtime),
    )
    if not found:
        raise FileNotFoundError(
            f"no trained rewriter in {root}/*/rewriter: make one with `rewright demo`, or name one with --adapter"
        )
    return found[-1].parent
