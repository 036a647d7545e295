"""From a batch of pairs to the loss: noise it, ask policy and reference, hand the loss what it reads.

A batch is [winners; losers] in one forward pass, each pair `draws` times. Errors are taken in float32, whatever the networks run in.
"""

from __future__ import annotations

import itertools
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any

import torch
from torch import Tensor

from diffusion_core.draws import Times, generators
from diffusion_core.encoding import PairBatch
from diffusion_core.losses.base import Loss
from diffusion_core.losses.inputs import (
    InversionErrors,
    PredictionBatch,
    SegmentErrors,
    SoftPairErrors,
    UnpairedErrors,
)
from diffusion_core.noising import NOISINGS, DDIMInversion, IndependentNoise, SharedNoise, invert_path
from diffusion_core.processes import Process
from diffusion_core.reference import Reference
from diffusion_core.types import Cond, LossOutput, PairErrors, Pred, StepLogProbs, Time

Forward = Callable[[Tensor, Time, Cond], Tensor]  # (x_t, t, cond) -> the network's output
SPACES = ("native", "eps", "x0", "v", "flow")


@dataclass(frozen=True, eq=False)
class Asked:
    """One question to both networks: rows [winners; losers], R = 2 · pairs · draws. `target` is what the network should say there."""

    x_t: Tensor
    t: Tensor
    cond: Cond
    target: Tensor
    weight_R: Tensor


@dataclass(frozen=True)
class Objective:
    """What one loss needs of a batch. `draws` noises and times a pair; `error_space` None takes the loss's own.

    `inversion_steps` is the length of Inversion-DPO's path (the release has 40; memory grows with it).
    """

    loss: Loss
    process: Process
    kind: str
    times: Times
    seed: int = 0
    draws: int = 1
    error_space: str | None = None
    inversion_steps: int = 10
    noising: Any = field(default=None)

    def __post_init__(self) -> None:
        if isinstance(self.loss, Loss) and issubclass(self.loss.inputs, StepLogProbs):
            raise ValueError(
                f"{type(self.loss).__name__} compares steps of trajectories that the model itself made: it needs roll-outs, and this trainer "
                "reads pairs; take a loss of pairs (diffusion_dpo, sdpo, mapo, ...), or call it on your own roll-outs"
            )
        if self.space not in SPACES:
            raise ValueError(f"error_space={self.space!r} is not one of {', '.join(SPACES)}")
        if self.draws < 1:
            raise ValueError(f"draws={self.draws} must be at least 1")

    @property
    def space(self) -> str:
        return self.error_space or self.loss.error_space

    @property
    def noise(self) -> SharedNoise | IndependentNoise | DDIMInversion:
        return self.noising or NOISINGS.get(self.loss.noising, SharedNoise)()

    def ask(
        self, batch: PairBatch, forward: Forward, visits: list[int], positions: list[int] | None, total: int
    ) -> Asked:
        """Noised latents with their targets; `forward` is the policy's, and is asked without a graph where the noising inverts."""
        repeat = self.draws
        x0 = torch.cat([batch.x_w, batch.x_l]).repeat_interleave(repeat, 0)
        cond = Cond.cat([batch.cond_w, batch.cond_l]).map(lambda value: value.repeat_interleave(repeat, 0))
        quantile = self.times.quantiles(self.seed, batch.index, visits, repeat, positions, total)
        t = self.times.times(self.process, quantile).to(x0.device).repeat(2)
        rows = generators(self.seed, batch.index, visits, repeat)

        @torch.no_grad()
        def predict(x: Tensor, at: Tensor, which: Tensor) -> Pred:
            part = cond.map(lambda value: value[which])
            return self.process.convert(forward(x, at, part), self.kind, x, at)

        noised = self.noise(self.process, x0, t, predict, rows)
        target = self.process.target(self.kind, x0, noised.eps, noised.t)
        return Asked(
            noised.x_t,
            noised.t,
            cond,
            target.float(),
            error_weight(self.process, self.kind, self.space, noised.t).to(x0.device),
        )

    def __call__(
        self,
        batch: PairBatch,
        policy: Forward,
        reference: Reference | None,
        visits: list[int],
        *,
        positions: list[int] | None = None,
        total: int = 1,
        ref_errors: tuple[Tensor, Tensor] | None = None,
        mean_over_processes: Callable[[Tensor], Tensor] | None = None,
    ) -> LossOutput:
        """The loss of a batch. `ref_errors` (pairs · draws,) of winners and losers stand for a reference that was asked before."""
        if issubclass(self.loss.inputs, InversionErrors):
            return self._inversion(batch, policy, reference)
        asked = self.ask(batch, policy, visits, positions, total)
        said = policy(asked.x_t, asked.t, asked.cond).float()
        known = None if reference is None else reference.raw(asked.x_t, asked.t, asked.cond).float()
        if issubclass(self.loss.inputs, PredictionBatch):
            return self.loss(_predictions(asked, said, known))
        if issubclass(self.loss.inputs, SegmentErrors):
            return self.loss(self._segments(batch, asked, said, known))
        policy_w, policy_l = errors(asked, said).chunk(2)
        if ref_errors is not None:
            ref_w, ref_l = ref_errors
        elif known is not None:
            ref_w, ref_l = errors(asked, known).chunk(2)
        else:
            ref_w, ref_l = torch.zeros_like(policy_w), torch.zeros_like(policy_l)
        found = PairErrors(policy_w, policy_l, ref_w, ref_l)
        if issubclass(self.loss.inputs, UnpairedErrors):
            return self.loss(_unpaired(found, mean_over_processes))
        if issubclass(self.loss.inputs, SoftPairErrors):
            return self.loss(
                SoftPairErrors(policy_w, policy_l, ref_w, ref_l, self._probabilities(batch, policy_w))
            )
        return self.loss(found)

    def reference_errors(
        self, batch: PairBatch, reference: Reference, visits: list[int]
    ) -> tuple[Tensor, Tensor]:
        """(pairs · draws,) of winners and losers under the reference, for the draws of these visits."""
        asked = self.ask(batch, reference.raw, visits, None, 1)
        ref_w, ref_l = errors(asked, reference.raw(asked.x_t, asked.t, asked.cond).float()).chunk(2)
        return ref_w, ref_l

    def _probabilities(self, batch: PairBatch, like: Tensor) -> Tensor:
        if batch.prob_w is None:
            raise ValueError(
                f"{type(self.loss).__name__} needs the probability that the winner is better (`prob_chosen`) for every pair; relabel the pairs "
                "with a reward (`rewright pairs --relabel`) or take diffusion_dpo"
            )
        return batch.prob_w.repeat_interleave(self.draws, 0).to(like.dtype)

    def _segments(self, batch: PairBatch, asked: Asked, said: Tensor, known: Tensor | None) -> SegmentErrors:
        labels = batch.segments
        if labels is None:  # one segment: the whole video, the vanilla form
            labels = torch.ones(len(batch.index), 1, device=said.device)
        labels = labels.repeat_interleave(self.draws, 0).to(said.dtype)
        assert known is not None, "densedpo has a reference"
        parts = [
            part for out in (said, known) for part in segment_errors(asked, out, labels.shape[1]).chunk(2)
        ]
        return SegmentErrors(*parts, labels)

    def _inversion(self, batch: PairBatch, policy: Forward, reference: Reference | None) -> LossOutput:
        assert reference is not None, "inversion_dpo has a reference"
        x0, cond = torch.cat([batch.x_w, batch.x_l]), Cond.cat([batch.cond_w, batch.cond_l])

        def predict(x: Tensor, at: Tensor, which: Tensor) -> Pred:
            part = cond.map(lambda value: value[which])
            return self.process.convert(reference.raw(x, at, part), self.kind, x, at)

        path = invert_path(self.process, x0, self.inversion_steps, predict)
        gaps = []
        for z, eps, t in zip(path.z_NB, path.eps_NB, path.t, strict=True):
            at = t.expand(len(z)).to(z.device)
            pred = self.process.convert(policy(z, at, cond), self.kind, z, at)
            gaps.append((pred.eps.float() - eps.float()).square().flatten(1).mean(1))
        gap_w, gap_l = torch.stack(gaps, 1).chunk(2)
        alpha_bar = self.process.a(path.t).square().to(gap_w.device, gap_w.dtype)
        return self.loss(InversionErrors(gap_w, gap_l, alpha_bar))


def errors(asked: Asked, said: Tensor) -> Tensor:
    """(R,) float32: squared error of an answer, the mean over its sample, in the space that was asked for."""
    return (said - asked.target).square().flatten(1).mean(1) * asked.weight_R


def segment_errors(asked: Asked, said: Tensor, segments: int) -> Tensor:
    """(R, segments): as `errors`, for equal stretches of the frames (axis 2 of (R, C, F, H, W)); a latent frame belongs to one of them."""
    if said.ndim != 5:
        raise ValueError(
            f"segments are stretches of a video (R, C, F, H, W); the samples have shape {tuple(said.shape)}"
        )
    frames = said.shape[2]
    if segments > frames:
        raise ValueError(
            f"{segments} segments are labelled, and the video has {frames} latent frames: give at most one label a frame"
        )
    square = (said - asked.target).square().mean((1, 3, 4)) * asked.weight_R.unsqueeze(1)
    edges = [round(i * frames / segments) for i in range(segments + 1)]
    return torch.stack([square[:, a:b].mean(1) for a, b in itertools.pairwise(edges)], 1)


def error_weight(process: Process, kind: str, space: str, t: Tensor) -> Tensor:
    """(R,) float32 factor that turns a squared error of `kind` into one of `space`, for the same x_t.

    An error d of ε is −(s/a) d of x0, so (a² + s²)/a d of v and (a + s)/a d of the flow: with the same beta a v- or flow-model is pushed
    harder at high noise.
    """
    if space in ("native", kind):
        return torch.ones(len(t), dtype=torch.float32)
    a, s = process.a(t.cpu()), process.s(t.cpu())
    scale = {"eps": torch.ones_like(a), "x0": s / a, "v": (a * a + s * s) / a, "flow": (a + s) / a}
    return (scale[space] / scale[kind]).square().float()


def _predictions(asked: Asked, said: Tensor, known: Tensor | None) -> PredictionBatch:
    assert known is not None, "losses on predictions have a reference"
    root = asked.weight_R.sqrt().reshape(-1, *[1] * (said.ndim - 1))
    parts = [part for value in (said, known, asked.target) for part in (value * root).chunk(2)]
    return PredictionBatch(*parts)


def _unpaired(found: PairErrors, mean_over_processes: Callable[[Tensor], Tensor] | None) -> UnpairedErrors:
    policy, ref = torch.cat([found.policy_w, found.policy_l]), torch.cat([found.ref_w, found.ref_l])
    liked = torch.arange(len(policy), device=policy.device) < len(found.policy_w)
    gain = (ref - policy).detach().mean()
    return UnpairedErrors(
        policy, ref, liked, gain if mean_over_processes is None else mean_over_processes(gain)
    )
