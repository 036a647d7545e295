"""`rewright generate`: a prompt in, pictures out."""

from __future__ import annotations

import argparse
from pathlib import Path

from recipes.terminal import progress, remark, say

_DESCRIPTION = """
Make images of a prompt. Without --model it is the embedded shapes generator, which draws one to four coloured shapes and knows
a closed vocabulary: "two small red circles, one large blue square; red circles left of blue square; white background".
"""
_EPILOG = """
examples:
  rewright generate "two red circles, one blue square" -o x.png
  rewright generate "a pair of crimson discs" --rewrite -o x.png      rewritten first, by the newest rewriter in runs/
  rewright generate "one green star" -n 4 --seed 7 -o star.png        star_0.png … star_3.png
  rewright generate "one green star" --lora runs/dpo/lora -o star.png  with an adapter of `rewright train diffusion/...`
  rewright generate "a fox in the snow" --model path/to/pipeline -o fox.png
"""


def add_parser(subparsers: argparse._SubParsersAction) -> None:
    parser = subparsers.add_parser(
        "generate",
        help="make images of a prompt",
        description=_DESCRIPTION,
        epilog=_EPILOG,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    parser.add_argument("prompt", help="the text the generator is given")
    parser.add_argument(
        "-o",
        "--output",
        type=Path,
        required=True,
        help="PNG file; with -n above 1 a number is put before .png",
    )
    parser.add_argument(
        "--seed", type=int, default=0, help="seed of the first image, the next ones count up (default 0)"
    )
    parser.add_argument("-n", "--n", type=int, default=1, help="number of images (default 1)")
    parser.add_argument(
        "--model", help="folder, diffusers id, module:object or URL (default: the embedded generator)"
    )
    parser.add_argument("--lora", type=Path, help="folder of an adapter for the model, such as runs/dpo/lora")
    parser.add_argument("--steps", type=int, help="sampling steps (default: the generator's)")
    parser.add_argument(
        "--guidance", type=float, help="classifier-free guidance scale (default: the generator's)"
    )
    parser.add_argument("--rewrite", action="store_true", help="rewrite the prompt first")
    parser.add_argument(
        "--adapter", help="the rewriter's folder (default: the newest runs/*/rewriter); implies --rewrite"
    )
    parser.add_argument(
        "--native",
        action="store_true",
        help="keep the generator's resolution; small images are magnified otherwise",
    )


def run(args: argparse.Namespace) -> int:
    from diffusion_core.types import GenerationRequest
    from recipes.pictures import as_image, enlarge, save_png
    from recipes.runs import rewriter_folder
    from rewards.external import load_generator

    if not 1 <= args.n <= 1000:
        raise ValueError(f"-n {args.n}: give a number of images from 1 to 1000")
    if not args.prompt.strip():
        raise ValueError("the prompt is empty; say what to draw")
    if args.output.suffix.lower() != ".png":
        raise ValueError(f"{args.output}: images are written as PNG; give a file name that ends in .png")
    prompt = args.prompt
    if args.rewrite or args.adapter:
        from rewriter import Rewriter

        prompt = Rewriter.from_pretrained(str(rewriter_folder(args.adapter)), backend="transformers")(prompt)
        say(prompt)
    generator = load_generator(args.model)
    if len(getattr(generator, "shape", ())) == 4:
        raise ValueError(
            f"{args.model} makes videos; this command writes pictures. From Python: Generator.generate gives (3, F, H, W)"
        )
    if args.lora is not None:
        from diffusion_core.adapters.lora_io import load_lora
        from diffusion_core.generator import Generator

        if not isinstance(generator, Generator):
            raise ValueError(
                f"--lora: {args.model} is no diffusers model or embedded generator; load the adapter there"
            )
        load_lora(generator, args.lora)
    args.output.parent.mkdir(
        parents=True, exist_ok=True
    )  # before the work, so that a wrong path costs nothing
    requests = [
        GenerationRequest(prompt, seed=args.seed + k, steps=args.steps, guidance=args.guidance)
        for k in range(args.n)
    ]
    saved = 0
    try:
        with progress("images", args.n) as ticker:
            for k, request in enumerate(requests):
                image = as_image(generator.generate([request])[0])
                save_png(image if args.native else enlarge(image), _name(args.output, k, args.n))
                saved += 1
                ticker.advance()
    except KeyboardInterrupt as stop:
        stop.add_note(f"{saved} of {args.n} images are saved beside {args.output}.")
        raise
    remark(
        f"wrote {_name(args.output, 0, args.n)}"
        + (f" … {_name(args.output, args.n - 1, args.n)}" if args.n > 1 else "")
    )
    return 0


def _name(output: Path, k: int, n: int) -> Path:
    return output if n == 1 else output.with_name(f"{output.stem}_{k}{output.suffix}")
