"""The bridge: rewritten prompts in, one float or None per completion out, for TRL and for evaluation.

    parse → guards → de-duplicate (conditioning, seed) → images, M seeds shared by the row → scores → compose → groups

Where a completion can end:

- OK: the mean over its M images.
- POLICY_FAIL (unparsable, empty, over length, a guard broken): the floor; the generator is not asked.
- a copied prompt is no failure: it is drawn and scored as the original and earns the baseline, no bonus.
- None: the infrastructure failed after all retries, the score was broken, or the reward does not apply. One missing
  image or part leaves no number, because a sum without a term turns the order of a group around.
- None for a whole group that keeps fewer than max(2, half) of its members: too few to compare.

Nothing that is not finite leaves. What never arrives ends at the deadline, not later.
"""

from __future__ import annotations

import math
import time
from collections.abc import Callable, Sequence
from typing import Any, Literal

from rewards.accounting import Accounting, mean
from rewards.base import Reward, Status, declared_floor
from rewards.breaker import CircuitBreaker
from rewards.cases import Case, Outcome, Row, Shot, Unit, targets_of
from rewards.deadline import Deadline, call_budget_s
from rewards.drawing import ImageGenerator
from rewards.failures import RewardMisconfigured, RewardOutage
from rewards.keys import MediaKeys
from rewards.outcomes import combined, drop_thin_groups, mean_gain, outcome_of, part_means
from rewards.pipeline import Pipeline, Worker
from rewards.quarantine import Quarantine
from rewards.retries import RetryPolicy
from rewards.screening import Screen, unscreened
from rewards.seeds import shared_seeds
from rewards.store import Store
from rewards.workers.local import LocalWorker
from rewards.workers.waiting import in_daemon_thread


class Bridge:
    """An async reward function for TRL >= 1.14, and `score_texts` for evaluation.

    It can be pickled if its generator and reward can; threads and the cache's connection are made anew.
    The dataset's columns `prompt_text` (the user's own prompt), `spec` (JSON of the frozen targets, or None) and
    `row_id` are read; others are ignored.
    """

    def __init__(
        self,
        generator: ImageGenerator,
        reward: Reward,
        *,
        dialect: Any = None,
        answer: Literal["plain", "think_answer"] = "plain",
        images_per_prompt: int = 4,
        seed: int = 0,
        reseed: Literal["epoch", "never"] = "epoch",
        negative_prompt: str = "",
        steps: int | None = None,
        guidance: float | None = None,
        store: Store | None = None,
        worker: Worker | None = None,
        threads: int | None = None,
        generation_batch: int = 64,
        deadline_s: float | None = 600.0,
        call_timeout_s: float | None = 120.0,
        retries: RetryPolicy | None = None,
        breaker: CircuitBreaker | None = None,
        floor: float | None = None,
        out_of_range: Literal["clip", "reject"] = "clip",
        baseline: bool = False,
        quarantine: Quarantine | None = None,
        parse: Callable[..., Any] | None = None,
        check: Callable[..., Sequence[Any]] | None = None,
        name: str = "image_reward",
    ) -> None:
        """`dialect` is the target profile whose guards apply, its name, or None for none.

        `images_per_prompt` is M; `reseed` says whether the M seeds of a row change each epoch. `deadline_s` bounds a
        whole call, `call_timeout_s` one call of generator or scorer (None: no bound). `baseline` also scores the
        un-rewritten prompts with the same seeds, for the logs: a constant per group would not change advantages.
        """
        _check_options(generator, reward, images_per_prompt, generation_batch, deadline_s, call_timeout_s)
        _one_of("reseed", reseed, ("epoch", "never"))
        _one_of("out_of_range", out_of_range, ("clip", "reject"))
        self.__name__ = name
        self.generator, self.reward = generator, reward
        self.floor = declared_floor(reward, floor)
        self.images_per_prompt, self.seed, self.reseed = images_per_prompt, seed, reseed
        self.deadline_s, self.baseline = deadline_s, baseline
        self.store = store if store is not None else Store()
        self.breaker = breaker if breaker is not None else CircuitBreaker()
        folder = self.store.folder
        self.quarantine = quarantine or Quarantine(
            folder / "quarantine.jsonl" if folder is not None else None
        )
        self.screen = Screen(answer=answer, dialect=dialect, parse=parse, check=check)
        self.last: Accounting | None = None
        self._combine = getattr(reward, "combine", None)
        self._members: tuple[Reward, ...] = (
            getattr(reward, "members", (reward,)) if self._combine else (reward,)
        )
        self._setting = {"negative_prompt": negative_prompt, "steps": steps, "guidance": guidance}
        self._pipeline = Pipeline(
            generator,
            self._members,
            store=self.store,
            worker=worker if worker is not None else LocalWorker(threads),
            quarantine=self.quarantine,
            retries=retries if retries is not None else RetryPolicy(),
            call_timeout_s=call_timeout_s,
            generation_batch=generation_batch,
            out_of_range=out_of_range,
            setting=self._setting,
        )

    # -- TRL -----------------------------------------------------------------------------------------------------------

    async def __call__(
        self,
        *,
        prompts: Sequence[Any],
        completions: Sequence[Any],
        prompt_text: Sequence[str] | None = None,
        spec: Sequence[str | None] | None = None,
        row_id: Sequence[str] | None = None,
        log_metric: Callable[[str, float], None] | None = None,
        log_extra: Callable[[str, list[Any]], None] | None = None,
        trainer_state: Any = None,
        **columns: Any,
    ) -> list[float | None]:
        """One float or None per completion. Raises RewardOutage when the circuit breaker opens."""
        rows = _rows(len(prompts), prompt_text, spec, row_id)
        if len(completions) != len(rows):
            raise ValueError(f"{len(completions)} completions for {len(rows)} prompts")
        epoch = int(getattr(trainer_state, "epoch", None) or 0) if self.reseed == "epoch" else 0
        deadline = Deadline.after(call_budget_s(self.deadline_s))
        # a thread waits for the worker, so that other rewards of the step go on meanwhile
        outcomes, cases, metrics = await in_daemon_thread(
            lambda: self._score_completions(rows, completions, epoch, deadline)
        )
        if log_metric is not None:
            for metric, value in metrics.items():
                log_metric(f"{self.__name__}/{metric}", value)
        if log_extra is not None:
            log_extra("rewrite", [case.rewrite for case in cases])
            log_extra(
                "outcome",
                [case.reason or outcome.cause or "ok" for case, outcome in zip(cases, outcomes, strict=True)],
            )
        return [outcome.value for outcome in outcomes]

    def _score_completions(
        self, rows: Sequence[Row], completions: Sequence[Any], epoch: int, deadline: Deadline
    ) -> tuple[list[Outcome], list[Case], dict[str, float]]:
        began, tally = time.monotonic(), Accounting()
        targets = targets_of(rows)
        cases = self.screen(targets, completions, [target.row_id for target in targets])
        outcomes = self._outcomes(cases, epoch, deadline, tally, images=False, baseline=self.baseline)
        baselines = outcomes[len(cases) :]
        outcomes = outcomes[: len(cases)]
        drop_thin_groups(cases, outcomes, tally)
        self._settle(cases, outcomes, tally, began)
        metrics = {
            **tally.metrics(),
            **part_means(outcomes),
            "words": mean(len(c.rewrite.split()) for c in cases),
        }
        if baselines:
            metrics["baseline"] = mean(o.value for o in baselines if o.value is not None)
            metrics["gain"] = mean_gain(targets, outcomes, baselines)
        self._trip(tally)
        return outcomes, cases, {name: value for name, value in metrics.items() if math.isfinite(value)}

    # -- evaluation ------------------------------------------------------------------------------------------------------

    def score_texts(
        self,
        rows: Sequence[Row],
        texts: Sequence[Any],
        *,
        completions: bool = False,
        images: bool = True,
        epoch: int = 0,
        deadline_s: float | None = None,
    ) -> list[Outcome]:
        """Score each text against its row, with the same seeds whatever the text: arms are comparable pairwise.

        Texts go to the generator as they are; `completions=True` parses and guards them first. There is no group rule
        here, and no total deadline unless given (every single call still has its time-out).
        """
        if len(rows) != len(texts):
            raise ValueError(f"{len(rows)} rows for {len(texts)} texts")
        began, tally = time.monotonic(), Accounting()
        targets = targets_of(rows)
        groups = [target.row_id for target in targets]
        cases = self.screen(targets, texts, groups) if completions else unscreened(targets, texts, groups)
        outcomes = self._outcomes(cases, epoch, Deadline.after(deadline_s), tally, images=images)
        self._settle(cases, outcomes, tally, began)
        self._trip(tally)
        return outcomes

    def seeds(self, row_id: str, epoch: int = 0) -> tuple[int, ...]:
        """The seeds that all texts of a row are drawn with."""
        return shared_seeds(self.seed, row_id, self.images_per_prompt, epoch if self.reseed == "epoch" else 0)

    # -- inside ----------------------------------------------------------------------------------------------------------

    def _outcomes(
        self,
        cases: Sequence[Case],
        epoch: int,
        deadline: Deadline,
        tally: Accounting,
        *,
        images: bool,
        baseline: bool = False,
    ) -> list[Outcome]:
        """One outcome per case; with `baseline`, those of the distinct rows' own prompts after them."""
        if baseline:
            targets = list({case.target.row_id: case.target for case in cases}.values())
            names = [
                f"{target.row_id}|baseline" for target in targets
            ]  # no members of the groups they are held against
            cases = [*cases, *unscreened(targets, [target.prompt for target in targets], names)]
        media_keys = MediaKeys(self.generator.fingerprint, *self._setting.values())
        seeds = {c.target.row_id: self.seeds(c.target.row_id, epoch) for c in cases}
        shots: dict[bytes, Shot] = {}
        units: dict[Any, Unit] = {}
        units_of: list[list[Unit]] = []
        whole_groups = self.reward.scope == "group"  # then a duplicate counts as a member of its own
        for number, case in enumerate(cases):
            own: list[Unit] = []
            for seed in seeds[case.target.row_id] if case.conditioning is not None else ():
                assert case.conditioning is not None
                key = media_keys(case.conditioning, seed)
                shot = shots.get(key) or shots.setdefault(key, Shot(case.conditioning, seed, key))
                identity = (key, case.target.row_id, number if whole_groups else 0)
                unit = units.get(identity)
                if unit is None:
                    unit = units[identity] = Unit(shot, case.target, case.group, [None] * len(self._members))
                own.append(unit)
            units_of.append(own)
        tally.shots += sum(map(len, units_of))
        tally.shots_distinct += len(shots)
        distinct = list(units.values())
        self._pipeline.run(distinct, pixels=images, deadline=deadline, tally=tally)
        verdicts = combined(distinct, self._combine)
        verdict_of = {id(unit): verdict for unit, verdict in zip(distinct, verdicts, strict=True)}
        return [
            outcome_of(case, own, [verdict_of[id(unit)] for unit in own], floor=self.floor, images=images)
            for case, own in zip(cases, units_of, strict=True)
        ]

    def _settle(
        self, cases: Sequence[Case], outcomes: Sequence[Outcome], tally: Accounting, began: float
    ) -> None:
        """Count every case exactly once."""
        tally.n = len(cases)
        for case, outcome in zip(cases, outcomes, strict=True):
            if outcome.value is None:
                tally.n_none[outcome.cause] += 1
            elif outcome.status == Status.POLICY_FAIL:
                tally.n_policy += 1
                tally.policy_reasons[outcome.cause] += 1
            else:
                tally.n_ok += 1
            tally.n_copied += case.copied
            tally.violations.update(case.violations)
        tally.seconds = time.monotonic() - began
        tally.check()
        self.last = tally
        self.breaker.record(tally.fresh, tally.exhausted)

    def _trip(self, tally: Accounting) -> None:
        try:
            self.breaker.check()
        except RewardOutage as outage:
            outage.accounting = tally
            raise


def _check_options(
    generator: Any,
    reward: Any,
    images: int,
    batch: int,
    deadline_s: float | None,
    call_timeout_s: float | None,
) -> None:
    if not callable(getattr(generator, "generate", None)) or not getattr(generator, "fingerprint", ""):
        raise RewardMisconfigured(
            f"{generator!r} is no generator: it needs generate(requests) and a fingerprint; "
            f"rewards.external.load_generator adapts a plain generate(prompts, seeds)"
        )
    if not isinstance(reward, Reward):
        raise RewardMisconfigured(
            f"{reward!r} does not follow the Reward protocol; rewards.external.load_reward adapts score(images, prompts)"
        )
    if "image" not in reward.kinds:
        raise RewardMisconfigured(
            f"reward {reward.name!r} scores {sorted(reward.kinds)}, the generator draws images"
        )
    if images < 1 or batch < 1:
        raise ValueError(f"images_per_prompt={images} and generation_batch={batch} must be at least 1")
    for name, seconds in (("deadline_s", deadline_s), ("call_timeout_s", call_timeout_s)):
        if seconds is not None and not seconds > 0:
            raise ValueError(f"{name}={seconds} must be positive, or None for no limit")


def _one_of(name: str, value: str, known: Sequence[str]) -> None:
    if value not in known:
        raise ValueError(f"{name}={value!r}; known: {', '.join(known)}")


def _rows(
    count: int,
    prompt_text: Sequence[str] | None,
    spec: Sequence[str | None] | None,
    row_id: Sequence[str] | None,
) -> list[Row]:
    """Dataset columns as rows. Rows without an id are told apart by prompt and spec."""
    if prompt_text is None:
        raise ValueError(
            "the dataset has no column 'prompt_text' (the user's own prompt); build it with "
            "rewriter.datasets.to_grpo_rows and keep remove_unused_columns=False"
        )
    specs = spec if spec is not None else [None] * count
    ids = row_id if row_id is not None else [f"{p}\x1f{s}" for p, s in zip(prompt_text, specs, strict=True)]
    return [Row(str(i), p, s) for i, p, s in zip(ids, prompt_text, specs, strict=True)]
