"""The parts of a preference run around its loop: loading and encoding, the record, and what comes out."""

from __future__ import annotations

import hashlib
import json
import shutil
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from recipes.configuration import ConfigError
from recipes.diffusion_pref import MAY_CHANGE, Run
from recipes.run_record import RunRecord
from recipes.terminal import progress, remark, say

LORA, NETWORK, CACHE, SAMPLES = "lora", "network", "encoded", "samples"


def load(
    made: Run, pairs: Sequence[Any], output: Path, accelerator: Any
) -> tuple[Any, Any, list[Any], dict[str, str]]:
    """(generator ready to train, encoded pairs, prompts of the evaluation, hashes of the inputs). Text encoders are gone from it, and the decoder unless it draws."""
    import torch

    from diffusion_core.adapters.lora_io import add_lora
    from diffusion_core.encoding import encode, prompts_of, without_encoders
    from recipes.preference_eval import eval_prompts

    args = made.train
    prompts = eval_prompts(args.eval_prompts, args.eval_count) if args.eval_prompts else []
    generator = load_generator(made, accelerator)
    canvas = generator.canvas if made.model.canvas is None else tuple(made.model.canvas)
    extra = [prompt.prompt for prompt in prompts]
    work = 2 * len(pairs) + len(prompts_of(pairs, extra))
    with accelerator.main_process_first(), _ticks("images and prompts encoded", work, accelerator) as tick:
        try:
            encoded = encode(
                generator,
                pairs,
                output / CACHE,
                canvas,
                extra_prompts=extra,
                batch=made.data.encode_batch,
                on_progress=tick,
            )
        except ValueError as error:
            raise ConfigError(f"pairs: {error}") from error
    generator = without_encoders(generator, encoded, keep_decoder=bool(prompts))
    inputs = inputs_of(generator, pairs, encoded)
    for network in generator.denoiser.modules().values():
        network.requires_grad_(not made.model.lora_r)
    if made.model.lora_r:
        torch.manual_seed(args.seed)
        add_lora(generator, made.model.lora_r, made.model.lora_alpha, made.model.lora_targets)
    if made.model.gradient_checkpointing:
        for network in generator.denoiser.modules().values():
            network.enable_gradient_checkpointing()
    return generator, encoded, prompts, inputs


@contextmanager
def _ticks(title: str, total: int, accelerator: Any) -> Iterator[Callable[[int, int], None] | None]:
    """A callback (done, total) that moves a bar, on the main process."""
    if not accelerator.is_main_process:
        yield None
        return
    done = 0
    with progress(title, total) as ticker:

        def tick(now: int, total: int) -> None:
            nonlocal done
            ticker.advance(now - done)
            done = now

        yield tick


def load_generator(made: Run, accelerator: Any) -> Any:
    """Raises ConfigError naming the model where it cannot be loaded or trained."""
    import torch

    from diffusion_core.generator import Generator

    model = made.model
    options: dict[str, Any] = {}
    if model.canvas is not None:
        options["canvas"] = tuple(model.canvas)
    if model.quantize != "none":
        options["quantize"] = model.quantize
    try:
        generator = Generator.from_pretrained(
            model.model, device=str(accelerator.device), dtype=getattr(torch, model.dtype), **options
        )
    except (OSError, ValueError) as error:
        raise ConfigError(f"model: {error}") from error
    if not generator.denoiser.modules():
        raise ConfigError(f"model: {model.model} has no network to train")
    return generator


def check_record(made: Run, output: Path, main: bool) -> bool:
    """Whether this very run is over. Raises ConfigError where another run lies in the folder; `--fresh` clears it first."""
    from recipes.resume import check_same_run, newest_checkpoint

    if made.run.fresh:
        if main:
            newest_checkpoint(output, fresh=True)
            for name in (SAMPLES, LORA, NETWORK):
                shutil.rmtree(output / name, ignore_errors=True)
            for name in ("metrics.jsonl", "run.json", "summary.json", "report.html"):
                (output / name).unlink(missing_ok=True)
        return False
    constant = made.train.lr_scheduler_type == "constant"
    check_same_run(output, made.flat, MAY_CHANGE if constant else MAY_CHANGE - {"max_steps"}, {})
    before, now = recorded(output), json.loads(json.dumps(made.flat, default=str))
    told = {"fresh", "dry_run"}
    same = {k: v for k, v in before.get("config", {}).items() if k not in told} == {
        k: v for k, v in now.items() if k not in told
    }
    over = before.get("status") == "finished" and same
    if over and main:
        say(f"{output} holds this run, finished; --fresh starts it over")
    return over


def recorded(output: Path) -> dict[str, Any]:
    """`run.json` of the folder; empty where there is none."""
    try:
        return json.loads((output / "run.json").read_text(encoding="utf-8"))
    except (FileNotFoundError, json.JSONDecodeError):
        return {}


def record_of(
    made: Run, count: int, output: Path, generator: Any, encoded: Any, inputs: Mapping[str, str]
) -> RunRecord:
    """The run's record. Raises ConfigError where a licence is refused, or where data or model are others than at the run's first start."""
    from recipes.licences import LicenceRefused, require_commercial
    from recipes.resume import check_same_run

    licences = {
        "model": made.model.model_licence or generator.licence,
        "pairs": made.data.pairs_licence or pairs_licence(made.data.pairs),
    }
    if made.train.reward:
        licences["reward"] = made.train.reward_licence or getattr(_reward(made), "licence", "unknown")
    if made.run.commercial_only:
        try:
            require_commercial(licences)
        except LicenceRefused as error:
            raise ConfigError(str(error)) from error
    if not made.run.fresh:
        check_same_run(output, {}, frozenset(), dict(inputs))
    return RunRecord(
        output,
        "diffusion_pref",
        made.flat,
        seeds={"seed": made.train.seed},
        licences=licences,
        datasets=[{"path": made.data.pairs, "pairs": count, "encoded": encoded.folder.name}],
        models={
            "model": made.model.model,
            "network": type(next(iter(generator.denoiser.modules().values()))).__name__,
        },
        inputs=dict(inputs),
    )


def inputs_of(generator: Any, pairs: Sequence[Any], encoded: Any) -> dict[str, str]:
    """Hashes of what the run is made of: a path does not say what lies there."""
    import torch

    network, labels = hashlib.sha256(), hashlib.sha256()
    for name, module in generator.denoiser.modules().items():
        for key, value in sorted(module.state_dict().items()):
            network.update(f"{name}.{key}{tuple(value.shape)}{value.dtype}".encode())
            network.update(value.detach().cpu().contiguous().reshape(-1).view(torch.uint8).numpy())
    for pair in pairs:
        labels.update(repr((pair.id, pair.prob_chosen, pair.segments)).encode())
    return {
        "pairs and encoders": encoded.folder.name,
        "network": network.hexdigest(),
        "labels": labels.hexdigest(),
    }


def pairs_licence(source: str) -> str:
    """What the manifest beside the pairs says, or "unknown"."""
    manifest = Path(source) / "pairs.json"
    try:
        return json.loads(manifest.read_text(encoding="utf-8")).get("licence") or "unknown"
    except (OSError, ValueError):
        return "unknown"


def _reward(made: Run) -> Any:
    from rewards.external import load_reward

    try:
        return load_reward(made.train.reward)
    except (OSError, ValueError) as error:
        raise ConfigError(f"reward: {error}") from error


def watch_of(made: Run, generator: Any, prompts: Sequence[Any], output: Path) -> Any | None:
    """Draws and scores the evaluation's prompts; None where there are none."""
    from recipes.preference_eval import Watch

    if not prompts:
        return None
    args = made.train
    reward = _reward(made) if args.reward else None
    return Watch(
        generator,
        prompts,
        args.eval_seeds,
        output / SAMPLES,
        reward,
        args.eval_image_steps,
        args.eval_guidance,
    )


def outcome(
    made: Run,
    trainer: Any,
    generator: Any,
    output: Path,
    record: RunRecord,
    watch: Any | None,
    step: int,
) -> None:
    """Draw with the final weights, save them with their card, write summary and report."""
    from recipes.preference_report import summary, write_report

    trainer.swap_ema()
    if made.train.patience and trainer.restore_best():
        step = trainer.early_stop.best_step
        remark(f"the weights of step {step} are kept, the best of the evaluations")
    elif made.train.patience:
        remark(
            "no evaluation was better than the start; the last weights are kept, and the report says how they did"
        )
    if watch is not None:
        watch(step)
    folder = save_weights(made, generator, output, record)
    found = summary(output, trainer, watch, step)
    part = output / "summary.part"
    part.write_text(json.dumps(found, indent=2) + "\n", encoding="utf-8")
    part.replace(output / "summary.json")
    page = write_report(output, made.flat, found, watch, step)
    record.finish("finished", **found)
    say(f"{folder}")
    if found.get("reward"):
        reward, change = found["reward"], found["reward"]["difference"]
        say(
            f"reward {reward['before']['mean']:.3f} -> {reward['after']['mean']:.3f} on the same prompts and seeds, difference "
            f"{change['mean']:+.3f} ({change['low']:+.3f} to {change['high']:+.3f})"
        )
    if trainer.early_stop.stopped:
        remark(
            f"stopped early: the best reward, {trainer.early_stop.best:.4g}, was at step {trainer.early_stop.best_step}"
        )
    remark(f"report: {page}")


def save_weights(made: Run, generator: Any, output: Path, record: RunRecord) -> Path:
    """output/lora or output/network, with a model card; the folder appears whole or not at all."""
    from diffusion_core.adapters.lora_io import network, save_lora

    name, module = network(generator)
    folder = output / (LORA if made.model.lora_r else NETWORK)
    part = output / f".{folder.name}.part"
    shutil.rmtree(part, ignore_errors=True)
    part.mkdir()
    if made.model.lora_r:
        save_lora(generator, part)
    else:
        module.save_pretrained(part)
    (part / "README.md").write_text(
        card(made, name, type(module).__name__, record.licences), encoding="utf-8"
    )
    shutil.rmtree(folder, ignore_errors=True)
    part.rename(folder)
    return folder


def card(made: Run, part: str, network: str, licences: Any) -> str:
    """README.md of the result, with the metadata block hubs read."""
    lora = made.model.lora_r > 0
    use = (
        f'pipe = DiffusionPipeline.from_pretrained("{made.model.model}")\npipe.load_lora_weights("path/to/this/folder")'
        if lora
        else f'{part} = {network}.from_pretrained("path/to/this/folder")\n'
        f'pipe = DiffusionPipeline.from_pretrained("{made.model.model}", {part}={part})'
    )
    imports = "DiffusionPipeline" if lora else f"DiffusionPipeline, {network}"
    settings = {
        "loss": made.data.loss,
        "hyper-parameters": json.dumps(made.data.method_kwargs or {}),
        "reference": made.reference,
        "learning rate": made.train.learning_rate,
        "steps": made.train.max_steps,
        "seed": made.train.seed,
        **{f"licence of {name}": value for name, value in licences.items()},
    }
    lines = "\n".join(f"- {name}: {value}" for name, value in settings.items())
    return f"""---
license: {licences["model"].lower()}
base_model: {made.model.model}
library_name: diffusers
tags: [text-to-image, preference-optimization, {made.data.loss}, rewright{", lora" if lora else ""}]
---
# {made.model.model}, trained on preferences with {made.data.loss}

{"A LoRA adapter" if lora else f"The `{network}`"} of `{made.model.model}`. Made with Rewright; `run.json` and `report.html` of the run say how it did.

```python
from diffusers import {imports}

{use}
```

{lines}
"""
