"""A trained adapter as a model of its own: weights merged, tokenizer, `rewriter.json` and a model card in one folder."""

import shutil
import tempfile
from pathlib import Path

from rewriter.llm import is_adapter, load_for_inference
from rewriter.schema import RewriterConfig
from rewriter.templates import load_template


def merge(adapter_dir: str | Path, out_dir: str | Path) -> Path:
    """Merge an adapter into its base and write a folder that `Rewriter.from_pretrained` and any vLLM server load.

    The folder appears whole or not at all. Raises FileNotFoundError for a folder without an adapter, FileExistsError for an
    `out_dir` that is not empty.
    """
    adapter, target = Path(adapter_dir), Path(out_dir)
    if not is_adapter(str(adapter)):
        raise FileNotFoundError(
            f"{adapter} holds no adapter (adapter_config.json); give the folder a training run wrote"
        )
    config = RewriterConfig.load(adapter)
    if target.exists() and any(target.iterdir()):
        raise FileExistsError(f"{target} is not empty; choose another folder")
    model, tokenizer = load_for_inference(str(adapter), config.base_model, device="cpu")
    target.parent.mkdir(parents=True, exist_ok=True)
    scratch = Path(tempfile.mkdtemp(prefix=f".{target.name}-", dir=target.parent))
    try:
        scratch.chmod(0o755)
        model.save_pretrained(scratch)
        tokenizer.save_pretrained(scratch)
        config.save(scratch)
        (scratch / "README.md").write_text(model_card(config), encoding="utf-8")
        if target.exists():
            target.rmdir()
        scratch.rename(target)
    finally:
        shutil.rmtree(scratch, ignore_errors=True)
    return target


def model_card(config: RewriterConfig) -> str:
    """README.md of a merged rewriter, with the metadata block hubs read."""
    template = load_template(config.template)
    return f"""---
license: {config.licence.lower()}
base_model: {config.base_model}
library_name: transformers
pipeline_tag: text-generation
tags: [prompt-rewriting, rewright]
---
# Prompt rewriter for `{config.dialect}`

Rewrites a user's prompt for the target `{config.dialect}`. Made with Rewright: a LoRA adapter on `{config.base_model}`, merged.

```python
from rewriter import Rewriter

rewriter = Rewriter.from_pretrained("path/to/this/folder")
print(rewriter("a pair of crimson discs, nothing else"))
```

It must be asked with the template it was trained with (`{config.template}`, fingerprint `{template.fingerprint}`): system message
`{template.system.splitlines()[0]}`{" …" if len(template.system.splitlines()) > 1 else ""}, then the user's prompt as it came.
Without Rewright's guards a rewrite may change the request: compare it with the original before use.

Licence of the weights: {config.licence}.
"""
