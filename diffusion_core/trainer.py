"""One loop for every loss that reads pairs.

A step is a function of (seed, step): which pairs, which noise, which times and which prompts are dropped follow from the numbers of the
pairs and of their visits (`draws.py`). So a run that goes on from a checkpoint, and a run on two processes with the same pairs a step, see
what one uninterrupted process would have seen; on a CPU the first is the same bit for bit.
"""

from __future__ import annotations

import contextlib
import math
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal

import torch
from torch import Tensor, nn

from diffusion_core.checkpoint import Checkpoints
from diffusion_core.denoiser import Denoiser
from diffusion_core.draws import seed_of
from diffusion_core.encoding import EncodedPairs, PairBatch
from diffusion_core.monitoring import Displacement, EarlyStop, Means
from diffusion_core.objective import Objective
from diffusion_core.reference import Reference, check_policy
from diffusion_core.types import Cond, LossOutput, Time

Row = dict[str, float]
Evaluate = Callable[
    [int], Mapping[str, float]
]  # step -> numbers; "reward" among them is what early stopping follows


@dataclass(frozen=True)
class TrainerConfig:
    """How long, how much at once, how fast.

    A step has `batch_size` · `accumulation` · processes pairs. `fixed_draws` (0: none) is how many visits of a pair have a noise of their
    own before the first comes again. `max_seconds` ends the run early, at a whole step.
    """

    max_steps: int
    batch_size: int = 1
    accumulation: int = 1
    learning_rate: float = 1e-5
    warmup_steps: int = 0
    schedule: Literal["constant", "linear", "cosine"] = "constant"
    optimizer: Literal["adamw", "adamw_8bit", "adafactor"] = "adamw"
    weight_decay: float = 1e-2
    max_grad_norm: float = 1.0
    prompt_dropout: float = 0.0
    fixed_draws: int = 0
    ema_decay: float | None = None
    log_every: int = 1
    save_every: int = 100
    eval_every: int = 0
    keep_checkpoints: int = 2
    patience: int = 0
    alarm_after: int = 10
    max_seconds: float | None = None
    seed: int = 0

    def __post_init__(self) -> None:
        for name in ("max_steps", "batch_size", "accumulation", "log_every", "save_every"):
            if getattr(self, name) < 1:
                raise ValueError(f"{name}={getattr(self, name)} must be at least 1")
        if not self.learning_rate > 0:
            raise ValueError(f"learning_rate={self.learning_rate} must be above 0")
        if not 0 <= self.prompt_dropout < 1:
            raise ValueError(f"prompt_dropout={self.prompt_dropout} must lie in [0, 1)")
        if self.ema_decay is not None and not 0 < self.ema_decay < 1:
            raise ValueError(f"ema_decay={self.ema_decay} must lie in (0, 1), or be None")
        if self.patience and not self.eval_every:
            raise ValueError("patience stops on evaluations: give eval_every, or patience: 0")


class Policy(nn.Module):
    """A denoiser's `raw` as a module's forward, for accelerate to wrap."""

    def __init__(self, denoiser: Denoiser) -> None:
        super().__init__()
        self.networks = nn.ModuleDict(denoiser.modules())
        self._raw = denoiser.raw

    def forward(self, x_t: Tensor, t: Time, cond: Cond) -> Tensor:
        return self._raw(x_t, t, cond)


@dataclass(frozen=True)
class Slot:
    """A pair's place: its number in the set, which visit it is, and its position in the whole step's batch."""

    pair: int
    visit: int
    position: int


class PreferenceTrainer:
    """Trains a denoiser on encoded pairs. `train()` returns the number of the last step.

    `accelerator` is accelerate's, with `gradient_accumulation_steps` of 1: accumulation is counted here, by pairs. `evaluate(step)` runs on
    the main process with the EMA's weights in place, and `rewarded` says to all processes that it gives a reward. `on_log(row)` receives a mapping of numbers every `log_every` steps.
    """

    def __init__(
        self,
        denoiser: Denoiser,
        pairs: EncodedPairs,
        objective: Objective,
        config: TrainerConfig,
        *,
        accelerator: Any,
        output: Path,
        reference: Reference | None = None,
        reference_mode: str = "none",
        validation: Sequence[int] = (),
        evaluate: Evaluate | None = None,
        rewarded: bool = False,
        on_log: Callable[[Row], None] | None = None,
    ) -> None:
        self.denoiser, self.pairs, self.objective, self.config = denoiser, pairs, objective, config
        self.accelerator, self.reference, self.mode = accelerator, reference, reference_mode
        self.evaluate, self.on_log, self.rewarded = evaluate, on_log or (lambda row: None), rewarded
        self.validation = list(validation)
        held = set(validation)
        self.train_index = [i for i in range(len(pairs)) if i not in held]
        if not self.train_index:
            raise ValueError(f"no pair is left to train on: {len(pairs)} pairs, all held out")
        for network in denoiser.modules().values():
            check_policy(network, reference_mode)
        self.named = {
            n: p for net in denoiser.modules().values() for n, p in net.named_parameters() if p.requires_grad
        }
        self.optimizer = make_optimizer(list(self.named.values()), config)
        self.policy, self.optimizer = accelerator.prepare(Policy(denoiser), self.optimizer)
        self.ema = {n: p.detach().clone() for n, p in self.named.items()} if config.ema_decay else None
        self.displacement, self.early_stop = Displacement(config.alarm_after), EarlyStop(config.patience)
        self.checkpoints = Checkpoints(output, config.keep_checkpoints)
        self.table: tuple[Tensor, Tensor] | None = None
        self.best: dict[str, Tensor] | None = None  # the weights of the best evaluation
        self.means = Means()
        self.step, self.seconds, self._prepared = 0, 0.0, False
        self._epoch, self._permutation = -1, list[int]()
        self.stopping = False  # set from outside (a signal): the step is finished and saved first

    @property
    def pairs_per_step(self) -> int:
        return self.config.batch_size * self.config.accumulation * self.accelerator.num_processes

    def slots(self, step: int, micro: int) -> list[Slot]:
        """This process's pairs of a micro-batch. Every epoch is a permutation of its own."""
        size, world = self.config.batch_size, self.accelerator.num_processes
        first = micro * world * size + self.accelerator.process_index * size
        rng = torch.Generator().manual_seed(seed_of(self.config.seed, "strata", step))
        strata = torch.randperm(
            self.pairs_per_step, generator=rng
        ).tolist()  # a micro-batch has times from everywhere
        found = []
        for position in range(first, first + size):
            epoch, place = divmod(step * self.pairs_per_step + position, len(self.train_index))
            visit = epoch % self.config.fixed_draws if self.config.fixed_draws else epoch
            found.append(Slot(self.train_index[self._order(epoch)[place]], visit, strata[position]))
        return found

    def _order(self, epoch: int) -> list[int]:
        if self._epoch != epoch:
            rng = torch.Generator().manual_seed(seed_of(self.config.seed, "epoch", epoch))
            self._epoch, self._permutation = (
                epoch,
                torch.randperm(len(self.train_index), generator=rng).tolist(),
            )
        return self._permutation

    def batch(self, slots: Sequence[Slot]) -> PairBatch:
        """The pairs of these slots, with the prompts dropped that their visits drop."""
        share = self.config.prompt_dropout
        dropped = [seed_of(self.config.seed, s.pair, s.visit, "prompt") / 2**63 < share for s in slots]
        per_image = self.objective.loss.captions == "per_image"
        return self.pairs.batch([s.pair for s in slots], dropped, per_image=per_image)

    def prepare(self) -> None:
        """Go to the newest checkpoint, and take the reference's errors where they are taken beforehand; once."""
        if not self._prepared:
            self.resume()
            self._precompute()
            self._prepared = True

    def begin(self, reward: float) -> None:
        """What the start had (NaN: unknown), of the main process for all: they must stop early together."""
        told = torch.tensor(
            reward if self.accelerator.is_main_process else 0.0, device=self.accelerator.device
        )
        self.early_stop.add(0, float(self.accelerator.reduce(told, "sum")))

    def train(self) -> int:
        """Run to `max_steps`, the time limit or the early stop, from the newest checkpoint if there is one."""
        self.prepare()
        began, before = time.monotonic(), self.seconds
        while self.step < self.config.max_steps and not self.early_stop.stopped:
            self.means.add(self._train_step())
            self.step += 1
            self.seconds = before + time.monotonic() - began
            last = self.step == self.config.max_steps or self._out_of_time()
            if self.step % self.config.log_every == 0 or last:
                self._log()
            if self.config.eval_every and (self.step % self.config.eval_every == 0 or last):
                self._evaluate()
            if self.step % self.config.save_every == 0 or last or self.early_stop.stopped or self.stopping:
                self.save()
            if last or self.stopping:
                break
        return self.step

    def _out_of_time(self) -> bool:
        """The main process's clock for all of them: they must leave the loop together."""
        limit = self.config.max_seconds
        if limit is None:
            return False
        over = torch.tensor(float(self.seconds >= limit), device=self.accelerator.device)
        return bool(self.accelerator.reduce(over * self.accelerator.is_main_process, "sum"))

    def _train_step(self) -> Row:
        rate = self.config.learning_rate * rate_factor(self.config, self.step)
        for group in self.optimizer.param_groups:
            group["lr"] = rate
        found: list[LossOutput] = []
        for micro in range(self.config.accumulation):
            slots = self.slots(self.step, micro)
            last = micro == self.config.accumulation - 1
            with _synced(self.accelerator, self.policy, last):
                output = self.loss_of(slots)
                if not bool(output.loss.isfinite()):
                    self._refuse("the loss", output.loss, slots)
                self.accelerator.backward(output.loss / self.config.accumulation)
            found.append(output)
        norm = torch.nn.utils.clip_grad_norm_(
            list(self.named.values()), self.config.max_grad_norm or math.inf
        )
        if not bool(norm.isfinite()):
            self._refuse("the norm of the gradient", norm, [])
        self.optimizer.step()
        self.optimizer.zero_grad(set_to_none=True)
        self._update_ema()
        row = {
            name: float(torch.stack([o.metrics[name].float() for o in found]).mean())
            for name in found[0].metrics
        }
        return {
            "loss": float(torch.stack([o.loss.detach() for o in found]).mean()),
            **row,
            "grad_norm": float(norm),
            "lr": rate,
        }

    def loss_of(self, slots: Sequence[Slot]) -> LossOutput:
        """The loss of a micro-batch, with its graph."""
        batch, visits = self.batch(slots), [s.visit for s in slots]
        known = None if self.table is None else self._looked_up(slots)
        fixed = self.config.fixed_draws > 0
        with self.accelerator.autocast():
            return self.objective(
                batch,
                self.policy,
                self.reference,
                visits,
                positions=None if fixed else [s.position for s in slots],
                total=self.pairs_per_step,
                ref_errors=known,
                mean_over_processes=lambda value: self.accelerator.reduce(value, "mean"),
            )

    def _refuse(self, what: str, value: Tensor, slots: Sequence[Slot]) -> None:
        names = ", ".join(self.pairs.pairs[s.pair].id for s in slots[:4])
        raise FloatingPointError(
            f"{what} of step {self.step} is {float(value.detach())}{f' (pairs {names})' if names else ''}; nothing of this step was kept. Lower "
            "the learning rate, look at the pairs, or train in float32; the run goes on from its newest checkpoint"
        )

    @torch.no_grad()
    def _update_ema(self) -> None:
        if self.ema is None or self.config.ema_decay is None:
            return
        decay = min(self.config.ema_decay, (1 + self.step) / (10 + self.step))
        for name, parameter in self.named.items():
            self.ema[name].lerp_(parameter.detach(), 1 - decay)

    @torch.no_grad()
    def swap_ema(self) -> None:
        """Exchange the weights with their running mean; twice is nothing."""
        for name, parameter in self.named.items() if self.ema is not None else ():
            held = parameter.detach().clone()
            parameter.copy_(self.ema[name])  # type: ignore[index]
            self.ema[name].copy_(held)  # type: ignore[index]

    def _log(self) -> None:
        row = self.means.take(self.accelerator)
        if "winner_error_gap" in row and self.displacement.add(
            row["winner_error_gap"], row["loser_error_gap"]
        ):
            row["displacement"] = 1.0
        self._tell(row)

    def _tell(self, row: Row) -> None:
        if self.accelerator.is_main_process:
            self.on_log({"step": self.step, "seconds": round(self.seconds, 2), **row})
        self.accelerator.log(row, step=self.step)

    def _evaluate(self) -> None:
        self.swap_ema()
        row = {f"eval_{k}": v for k, v in self.held_out().items()}
        told = (
            self.evaluate(self.step) if self.evaluate is not None and self.accelerator.is_main_process else {}
        )
        row |= {f"eval_{k}": float(v) for k, v in told.items()}
        if self.rewarded:  # on every process, also those that did not draw
            reward = torch.zeros((), device=self.accelerator.device)
            if self.accelerator.is_main_process:
                reward += told.get("reward", math.nan)
            if self.early_stop.add(self.step, float(self.accelerator.reduce(reward, "sum"))):
                self.best = {n: p.detach().cpu().clone() for n, p in self.named.items()}
        self.swap_ema()
        self._tell(row)

    @torch.no_grad()
    def held_out(self) -> Row:
        """Loss and metrics on the held-out pairs, at draws of their own (visit -1) that are the same every time."""
        means, size = Means(), self.config.batch_size
        for start in range(0, len(self.validation), size):
            slots = [Slot(pair, -1, 0) for pair in self.validation[start : start + size]]
            known = None if self.table is None else self._looked_up(slots)
            with self.accelerator.autocast():
                output = self.objective(
                    self.batch(slots), self.denoiser.raw, self.reference, [-1] * len(slots), ref_errors=known
                )
            row = {"loss": float(output.loss.detach()), **{k: float(v) for k, v in output.metrics.items()}}
            means.add(row, weight=len(slots))
        return means.take(None)

    def _precompute(self) -> None:
        """With `precomputed`: the reference's errors for every fixed draw of every pair, and of the held-out ones for theirs (the last)."""
        if self.mode != "precomputed":
            return
        if self.table is None:
            assert self.reference is not None, "precomputed is given the reference it asks once"
            table = torch.zeros(
                2,
                len(self.pairs),
                self.config.fixed_draws + 1,
                self.objective.draws,
                device=self.accelerator.device,
            )
            rank, world, size = (
                self.accelerator.process_index,
                self.accelerator.num_processes,
                self.config.batch_size,
            )
            wanted = [(i, v) for v in range(self.config.fixed_draws) for i in self.train_index] + [
                (i, -1) for i in self.validation
            ]
            mine = wanted[rank::world]
            for start in range(0, len(mine), size):
                pairs, visits = (list(column) for column in zip(*mine[start : start + size], strict=True))
                slots = [Slot(pair, visit, 0) for pair, visit in zip(pairs, visits, strict=True)]
                with torch.no_grad(), self.accelerator.autocast():
                    ref = self.objective.reference_errors(self.batch(slots), self.reference, visits)
                for side, value in enumerate(ref):
                    table[side, pairs, visits] = value.view(len(slots), -1)
            table = self.accelerator.reduce(table, "sum")
            self.table = (table[0], table[1])
        self.reference = None

    def _looked_up(self, slots: Sequence[Slot]) -> tuple[Tensor, Tensor]:
        assert self.table is not None
        pairs, visits = [s.pair for s in slots], [s.visit for s in slots]
        return self.table[0][pairs, visits].flatten(), self.table[1][pairs, visits].flatten()

    def save(self) -> None:
        """A checkpoint of this step, by the main process."""
        if self.accelerator.is_main_process:
            self.checkpoints.save(
                self.step,
                {
                    "trained": {n: p.detach().cpu() for n, p in self.named.items()},
                    "ema": self.ema,
                    "optimizer": self.optimizer.state_dict(),
                    "table": self.table,
                    "best": self.best,
                    "means": self.means.state(),
                    "displacement": self.displacement.state(),
                    "early_stop": self.early_stop.state(),
                },
                seconds=self.seconds,
            )
        self.accelerator.wait_for_everyone()

    def resume(self) -> int:
        """Go to the newest checkpoint that can be read; the step it is of, 0 where there is none."""
        found = None if self.step else self.checkpoints.newest()
        if found is None:
            return self.step
        self.step, self.seconds, state = found
        missing = sorted(set(self.named) ^ set(state["trained"]))
        if missing:
            raise ValueError(
                f"the checkpoint of step {self.step} is of another network or adapter ({missing[0]} is only in one of them); "
                "give the configuration it was made with, or --fresh to start over"
            )
        with torch.no_grad():
            for name, parameter in self.named.items():
                parameter.copy_(state["trained"][name])
        self.optimizer.load_state_dict(state["optimizer"])  # moves the states to their parameters
        if self.ema is not None and state["ema"] is not None:
            self.ema = {n: state["ema"][n].to(p.device) for n, p in self.named.items()}
        if state["table"] is not None:
            chosen, rejected = state["table"]
            self.table = (chosen.to(self.accelerator.device), rejected.to(self.accelerator.device))
        self.best = state["best"]
        self.means.restore(state["means"])
        self.displacement.restore(state["displacement"])
        self.early_stop.restore(state["early_stop"])
        return self.step

    @torch.no_grad()
    def restore_best(self) -> bool:
        """Put the weights of the best evaluation in place; False where none was better than the start."""
        if self.best is None:
            return False
        for name, parameter in self.named.items():
            parameter.copy_(self.best[name])
        return True


def rate_factor(config: TrainerConfig, step: int) -> float:
    """Warm-up over `warmup_steps`, then constant, or linear or cosine to 0 at `max_steps`."""
    if step < config.warmup_steps:
        return (step + 1) / config.warmup_steps
    left = (config.max_steps - step) / max(1, config.max_steps - config.warmup_steps)
    match config.schedule:
        case "linear":
            return left
        case "cosine":
            return 0.5 * (1 - math.cos(math.pi * left))
        case _:
            return 1.0


def make_optimizer(parameters: list[nn.Parameter], config: TrainerConfig) -> torch.optim.Optimizer:
    """AdamW, the same with 8-bit states (bitsandbytes), or Adafactor without its own clipping of rates (the SDXL recipe)."""
    if config.optimizer == "adamw":
        return torch.optim.AdamW(
            parameters, lr=config.learning_rate, weight_decay=config.weight_decay, fused=True
        )
    if config.optimizer == "adamw_8bit":
        from bitsandbytes.optim.adamw import AdamW8bit

        return AdamW8bit(parameters, lr=config.learning_rate, weight_decay=config.weight_decay)
    if config.optimizer == "adafactor":
        from transformers import Adafactor

        return Adafactor(
            parameters,
            lr=config.learning_rate,
            weight_decay=config.weight_decay,
            scale_parameter=False,
            relative_step=False,
            warmup_init=False,
        )
    raise ValueError(f"optimizer={config.optimizer!r} is not one of adamw, adamw_8bit, adafactor")


def _synced(accelerator: Any, policy: nn.Module, last: bool) -> Any:
    """Gradients are averaged over the processes once a step, with the last micro-batch."""
    return contextlib.nullcontext() if last else accelerator.no_sync(policy)
