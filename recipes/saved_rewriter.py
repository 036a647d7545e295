"""Writing a trained adapter as a rewriter's folder: what `Rewriter.from_pretrained`, `rewright serve` and GRPO read."""

from __future__ import annotations

import json
import shutil
import tempfile
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from recipes.arguments import RewriterArguments
from rewriter.schema import RewriterConfig
from rewriter.templates import load_template

NAME = "rewriter"


def save_rewriter(
    model: Any,
    tokenizer: Any,
    output: Path,
    args: RewriterArguments,
    *,
    licence: str,
    max_new_tokens: int,
    facts: Mapping[str, str],
) -> Path:
    """Adapter, tokenizer, `rewriter.json` and model card in `output`/rewriter; the folder appears whole or not at all.

    `facts` go into the card: what it was trained on, how long, with which licences.
    """
    folder = output / NAME
    config = RewriterConfig(
        template=args.template,
        dialect=args.dialect,
        base_model=args.base_model,
        licence=licence,
        max_new_tokens=max_new_tokens,
    )
    scratch = Path(tempfile.mkdtemp(prefix=f".{NAME}-", dir=output))
    try:
        scratch.chmod(0o755)
        model.save_pretrained(scratch, selected_adapters=["default"], save_embedding_layers=False)
        adapter = json.loads((scratch / "adapter_config.json").read_text(encoding="utf-8"))
        adapter["base_model_name_or_path"] = (
            args.base_model
        )  # the folder it was loaded from means nothing on another machine
        (scratch / "adapter_config.json").write_text(json.dumps(adapter, indent=2) + "\n", encoding="utf-8")
        tokenizer.save_pretrained(scratch)
        config.save(scratch)
        (scratch / "README.md").write_text(card(config, facts), encoding="utf-8")
        shutil.rmtree(folder, ignore_errors=True)
        scratch.rename(folder)
    finally:
        shutil.rmtree(scratch, ignore_errors=True)
    return folder


def card(config: RewriterConfig, facts: Mapping[str, str]) -> str:
    """README.md of an adapter, with the metadata block hubs read."""
    template = load_template(config.template)
    lines = "\n".join(f"- {name}: {value}" for name, value in facts.items())
    return f"""---
license: {config.licence.lower()}
base_model: {config.base_model}
library_name: peft
pipeline_tag: text-generation
tags: [prompt-rewriting, rewright, lora]
---
# Prompt rewriter for `{config.dialect}`

A LoRA adapter on `{config.base_model}` that rewrites a user's prompt for the target `{config.dialect}`. Made with Rewright.

```python
from rewriter import Rewriter

rewriter = Rewriter.from_pretrained("path/to/this/folder")
print(rewriter("a pair of crimson discs, nothing else"))
```

{lines}

It must be asked with the template it was trained with (`{config.template}`, fingerprint `{template.fingerprint}`).
Without Rewright's guards a rewrite may change the request: compare it with the original before use.

Licence of the weights: {config.licence}.
"""
