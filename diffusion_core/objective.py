"""From a batch of pairs to the loss: noise it, ask policy and reference, hand the loss what it reads.

A batch is [winners; losers] in one forward pass, each pair `draws` times. Errors are taken in float32, whatever the networks run in.
"""

from __future__ import annotations

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
ELSEWHERE = (
    "reference_inversion",
    "partial",
)  # made by the loss's own path, or beforehand as pairs: noised as shared here
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
    pixel_frames: int | None = None  # frames of a video before the VAE: a segment is a stretch of these
    noising: Any = field(default=None)

    def __post_init__(self) -> None:
        if isinstance(self.loss, Loss) and issubclass(self.loss.inputs, StepLogProbs):
            raise ValueError(
                f"{type(self.loss).__name__} compares steps of trajectories that the model itself made: it needs roll-outs, and this trainer "
                "reads pairs; take a loss of pairs (diffusion_dpo, sdpo, mapo, ...), or call it on your own roll-outs"
            )
        if self.space not in SPACES:
            raise ValueError(f"error_space={self.space!r} is not one of {', '.join(SPACES)}")
        if self.noising is None and self.loss.noising not in (*NOISINGS, *ELSEWHERE):
            raise ValueError(
                f"{type(self.loss).__name__}.noising is {self.loss.noising!r}; known: {', '.join((*NOISINGS, *ELSEWHERE))}"
            )
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
            output = self.loss(_unpaired(found, mean_over_processes))
        elif issubclass(self.loss.inputs, SoftPairErrors):
            soft = SoftPairErrors(policy_w, policy_l, ref_w, ref_l, self._probabilities(batch, policy_w))
            output = self.loss(soft)
        else:
            output = self.loss(found)
        return output if ref_errors is None and known is None else _with_gaps(output, found)

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
        parts: list[Tensor] = [
            part
            for out in (said, known)
            for part in segment_errors(asked, out, labels.shape[1], self.pixel_frames).chunk(2)
        ]
        policy_0, policy_1, ref_0, ref_1 = parts
        return SegmentErrors(policy_0, policy_1, ref_0, ref_1, labels)

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


def segment_errors(asked: Asked, said: Tensor, segments: int, pixel_frames: int | None = None) -> Tensor:
    """(R, segments): as `errors`, for equal stretches of a video's frames (axis 2 of (R, C, F, H, W)); the mean over a stretch's latent frames.

    A latent frame belongs to the stretch that holds its middle. With a causal VAE the first stands for one of the `pixel_frames`, each other
    for (pixel_frames − 1)/(F − 1) of them.
    """
    if said.ndim != 5:
        raise ValueError(
            f"segments are stretches of a video (R, C, F, H, W); the samples have shape {tuple(said.shape)}"
        )
    square_RF = (said - asked.target).square().mean((1, 3, 4)) * asked.weight_R.unsqueeze(1)
    of_F = torch.tensor(segment_of(said.shape[2], segments, pixel_frames), device=said.device)
    counts = torch.bincount(of_F, minlength=segments)
    if not bool((counts > 0).all()):
        raise ValueError(
            f"{segments} segments are labelled, and of the video's {said.shape[2]} latent frames none lies in segment "
            f"{int((counts == 0).nonzero()[0])}: give fewer, longer segments"
        )
    sums = torch.zeros(len(said), segments, device=said.device, dtype=square_RF.dtype)
    return sums.index_add(1, of_F, square_RF) / counts


def segment_of(frames: int, segments: int, pixel_frames: int | None = None) -> list[int]:
    """The segment of each latent frame."""
    if pixel_frames is None or frames == 1:
        middles = [(frame + 0.5) / frames for frame in range(frames)]
    else:
        stride = (pixel_frames - 1) / (frames - 1)
        middles = [
            (0.5 if frame == 0 else 1 + (frame - 0.5) * stride) / pixel_frames for frame in range(frames)
        ]
    return [min(int(middle * segments), segments - 1) for middle in middles]


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


def _with_gaps(output: LossOutput, found: PairErrors) -> LossOutput:
    """With both errors against the reference's, for losses that do not tell them: displacement is seen in these."""
    gaps = {
        "winner_error_gap": (found.policy_w - found.ref_w).detach().mean(),
        "loser_error_gap": (found.policy_l - found.ref_l).detach().mean(),
    }
    return LossOutput(output.loss, {**gaps, **output.metrics})


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
