"""`rewright train CONFIG`: one command for every recipe; the configuration's `recipe:` key says which.

The same runs start as `python -m recipes.rewriter_grpo --config CONFIG` and, on several GPUs, as
`accelerate launch -m recipes.rewriter_grpo --config CONFIG`.
"""

from __future__ import annotations

import difflib
import sys
from collections.abc import Sequence
from importlib import import_module

RECIPES = {
    "diffusion_pref": "recipes.diffusion_pref",
    "generator": "recipes.generator_run",
    "layout_dpo": "recipes.layout_dpo",
    "layout_grpo": "recipes.layout_grpo",
    "layout_sft": "recipes.layout_sft",
    "rewriter_grpo": "recipes.rewriter_grpo",
    "rewriter_sft": "recipes.rewriter_sft",
}

_HELP = """usage: rewright train CONFIG [--key value ...] [--dry_run]

Train from a YAML configuration. CONFIG is a file, or the name of a packaged configuration:

  {names}

Its `recipe:` key picks the recipe: {recipes}. Every key of the file can be given again on the command line.
The keys are those of recipes/arguments.py and, for the language models, of TRL's SFTConfig, DPOConfig and GRPOConfig; for
diffusion/ those of recipes/preference_arguments.py, for layout/dpo/ and layout/grpo/ also of recipes/layout_dpo_arguments.py
and recipes/layout_grpo_arguments.py.

  --dry_run          check everything, print the resolved configuration and the first rows, train nothing
  --fresh            start over instead of going on from the newest checkpoint
  --commercial_only  refuse unknown and non-commercial licences

A run that was interrupted goes on when the same command is given again. It leaves in output_dir: run.json (configuration, versions,
hashes, seeds, licences), metrics.jsonl, checkpoints, and the result (rewriter/, layout_lm/,
generator/, lora/ or network/).

examples:
  rewright train rewriter/sft/shapes_cpu --output_dir runs/sft
  rewright train layout/sft/rooms_cpu
  rewright train layout/dpo/rooms_cpu_stage2 --base_model runs/layout/sft/layout_lm
  rewright train layout/grpo/rooms_cpu --base_model runs/layout/dpo2/layout_lm
  rewright train rewriter/grpo/shapes_cpu --adapter runs/sft/rewriter --max_steps 300
  rewright train my_run.yaml --dry_run
"""


def main(argv: Sequence[str] | None = None) -> int:
    """Exit code: 0 done, 1 the run failed, 2 the configuration is wrong."""
    from recipes.configuration import ConfigError, config_names, read_yaml, resolve_config
    from recipes.terminal import remark, say

    words = list(sys.argv[1:] if argv is None else argv)
    if not words or words[0] in ("-h", "--help"):
        say(_HELP.format(names="\n  ".join(config_names()), recipes=", ".join(RECIPES)))
        return 0 if words else 2
    try:
        if words[0] == "--config" and len(words) > 1:  # TRL's spelling
            words = words[1:]
        if words[0].startswith("-"):
            raise ConfigError(
                f"the configuration comes first: rewright train CONFIG [--key value ...], not {words[0]!r}"
            )
        path = resolve_config(words[0])
        name = _recipe_of(words[1:]) or read_yaml(path).get("recipe")
        if name not in RECIPES:
            close = difflib.get_close_matches(str(name), RECIPES, n=1)
            hint = f"; did you mean {close[0]!r}?" if close else ""
            raise ConfigError(f"{path}: recipe: {name!r} is not one of {', '.join(RECIPES)}{hint}")
        return import_module(RECIPES[name]).run(["--config", str(path), *words[1:]])
    except ConfigError as error:
        remark(f"rewright train: {error}")
        return 2


def _recipe_of(words: Sequence[str]) -> str | None:
    """The value of `--recipe` on the command line, if it is there."""
    for index, word in enumerate(words):
        if word == "--recipe" and index + 1 < len(words):
            return words[index + 1]
        if word.startswith("--recipe="):
            return word.partition("=")[2]
    return None


def entry(name: str, argv: Sequence[str] | None = None) -> int:
    """`python -m recipes.<name> --config ...`: TRL's grammar, the same messages and exit codes."""
    from recipes.cli import message_of
    from recipes.configuration import ConfigError
    from recipes.terminal import remark

    try:
        return import_module(RECIPES[name]).run(list(sys.argv[1:] if argv is None else argv))
    except ConfigError as error:
        remark(f"{name}: {error}")
        return 2
    except KeyboardInterrupt:
        remark(f"{name}: interrupted; the same command goes on from the newest checkpoint")
        return 130
    except (ValueError, OSError, FloatingPointError) as error:
        remark(f"{name}: {message_of(error)}")
        return 1


if __name__ == "__main__":
    sys.exit(main())
