"""Distinct images and scores of a call: cache → generator → cache → rewards → cache.

What is neither cached nor in the making elsewhere runs on the worker in micro-batches. Nothing here raises for a
sample; a sample ends with a score or with a `Failure`.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any, Protocol

from rewards.accounting import Accounting
from rewards.base import Reward, Status
from rewards.cases import PartScore, Shot, Unit
from rewards.deadline import Deadline
from rewards.drawing import ImageGenerator, Painter, grouped
from rewards.failures import Failure
from rewards.judging import Scorer
from rewards.keys import ScoreKeys, pixel_digest
from rewards.quarantine import Quarantine
from rewards.retries import RetryPolicy, Stage
from rewards.single_flight import SingleFlight
from rewards.store import Store

GENERATION_SHARE = 0.8  # of the time left: what is drawn by then must still be scored


class Worker(Protocol):
    def run(self, work: Callable[[], Any], timeout_s: float | None = None) -> Any: ...


class Pipeline:
    """The generator, the member rewards and what they share."""

    def __init__(
        self,
        generator: ImageGenerator,
        members: Sequence[Reward],
        *,
        store: Store,
        worker: Worker,
        quarantine: Quarantine,
        retries: RetryPolicy,
        call_timeout_s: float | None,
        generation_batch: int,
        out_of_range: str,
        setting: dict[str, Any],
    ) -> None:
        self.members = tuple(members)
        self.store, self.worker, self.quarantine = store, worker, quarantine
        self.retries, self.call_timeout_s = retries, call_timeout_s
        self.generation_batch, self.out_of_range = generation_batch, out_of_range
        self._paint = Painter(generator, setting)
        self._score_keys = [ScoreKeys(m.fingerprint) if _cacheable(m) else None for m in self.members]
        self._flight = SingleFlight()

    def run(self, units: Sequence[Unit], *, pixels: bool, deadline: Deadline, tally: Accounting) -> None:
        """Fill every unit's answers, and its shot's pixels if `pixels`."""
        shots = list({unit.shot.key: unit.shot for unit in units}.values())
        digests = self.store.get_digests([shot.key for shot in shots])
        for shot in shots:
            shot.digest = digests.get(shot.key)
        tally.shots_cached += len(digests)
        tally.scores_wanted += len(units) * len(self.members)
        self._recall(units, tally)
        fresh = [unit for unit in units if None in unit.answers]
        wanted = shots if pixels else list({unit.shot.key: unit.shot for unit in fresh}.values())
        self._draw(wanted, deadline.share(GENERATION_SHARE), tally)
        self._recall([unit for unit in fresh if unit.shot.key not in digests], tally)
        for index in range(len(self.members)):
            self._judge(index, fresh, deadline, tally)
        tally.fresh += len(fresh)
        tally.exhausted += sum(any(map(_exhausted, unit.answers)) for unit in fresh)

    # -- images ------------------------------------------------------------------------------------------------------

    def _draw(self, shots: Sequence[Shot], deadline: Deadline, tally: Accounting) -> None:
        """Give every shot pixels: from the store, from a concurrent call, or from the generator."""
        held = self.store.get_pixels([s.digest for s in shots if s.digest is not None and s.pixels is None])
        for shot in shots:
            if shot.digest in held:
                shot.pixels = held[shot.digest]
        missing = {shot.key: shot for shot in shots if shot.pixels is None}

        def make(keys: list[bytes]) -> dict[bytes, Any]:
            stage = self._stage(self._paint, self.generation_batch, deadline, tally.generated)
            answers = stage([missing[key] for key in keys])
            drawn = {k: a for k, a in zip(keys, answers, strict=True) if not isinstance(a, Failure)}
            tally.shots_generated += len(drawn)
            entries = {key: (pixel_digest(array), array) for key, array in drawn.items()}
            self.store.put_media([(key, digest, array) for key, (digest, array) in entries.items()])
            return {key: entries.get(key, answer) for key, answer in zip(keys, answers, strict=True)}

        for key, answer in self._shared(list(missing), make, deadline).items():
            shot = missing[key]
            if isinstance(answer, Failure):
                shot.failure = answer
                self._note_broken("generate", shot, "", answer)
            else:
                shot.digest, shot.pixels = answer

    # -- scores ------------------------------------------------------------------------------------------------------

    def _recall(self, units: Sequence[Unit], tally: Accounting) -> None:
        """Fill in cached scores of units whose image is known by digest."""
        for index, keys_of in enumerate(self._score_keys):
            if keys_of is None:
                continue
            wanted = [(keys_of(u.shot.digest, *_identity(u)), u) for u in units if u.shot.digest is not None]
            held = self.store.get_scores([key for key, _ in wanted])
            for key, unit in wanted:
                unit.answers[index] = held.get(key)
            tally.scores_cached += sum(unit.answers[index] is not None for _, unit in wanted)

    def _judge(self, index: int, units: Sequence[Unit], deadline: Deadline, tally: Accounting) -> None:
        """Score with one member what it has not scored yet."""
        member, keys_of = self.members[index], self._score_keys[index]
        waiting = [unit for unit in units if unit.answers[index] is None]
        for unit in waiting:
            if unit.shot.pixels is None:
                unit.answers[index] = unit.shot.failure or Failure(Status.BROKEN, "bad_media", "no image")
        ready = [unit for unit in waiting if unit.answers[index] is None]
        if not ready:
            return
        if keys_of is None:
            answers = self._score(member, ready, deadline, tally)
        else:
            by_key: dict[bytes, Unit] = {}
            keys = []
            for unit in ready:
                assert unit.shot.digest is not None
                keys.append(keys_of(unit.shot.digest, *_identity(unit)))
                by_key.setdefault(keys[-1], unit)

            def make(mine: list[bytes]) -> dict[bytes, Any]:
                found = dict(
                    zip(mine, self._score(member, [by_key[k] for k in mine], deadline, tally), strict=True)
                )
                self.store.put_scores([(k, a) for k, a in found.items() if isinstance(a, PartScore)])
                return found

            made = self._shared(list(by_key), make, deadline)
            answers = [made[key] for key in keys]
        for unit, answer in zip(ready, answers, strict=True):
            unit.answers[index] = answer
            if isinstance(answer, Failure):
                self._note_broken(member.name, unit.shot, unit.target.row_id, answer)

    def _score(
        self, member: Reward, units: Sequence[Unit], deadline: Deadline, tally: Accounting
    ) -> list[PartScore | Failure]:
        """Micro-batches of one frame size; whole groups for a group reward."""
        answers: dict[int, PartScore | Failure] = {}
        for index in grouped(range(len(units)), lambda i: _shape(units[i])):
            jobs = [units[i] for i in index]
            scorer = Scorer(member, deadline, self.out_of_range)
            stage = self._stage(scorer, member.max_batch, deadline, tally.scored)
            whole = (
                grouped(range(len(jobs)), [unit.group for unit in jobs].__getitem__)
                if member.scope == "group"
                else None
            )
            answers.update(zip(index, stage(jobs, whole), strict=True))
        tally.clipped += sum(isinstance(answer, PartScore) and answer.clipped for answer in answers.values())
        return [answers[i] for i in range(len(units))]

    # -- both --------------------------------------------------------------------------------------------------------

    def _stage(
        self, call: Any, max_batch: int, deadline: Deadline, on_call: Callable[[float, int], None]
    ) -> Stage:
        return Stage(
            call=call,
            run=self.worker.run,
            max_batch=max_batch,
            deadline=deadline,
            call_timeout_s=self.call_timeout_s,
            policy=self.retries,
            on_call=on_call,
        )

    def _shared(
        self, keys: list[bytes], make: Callable[[list[bytes]], dict[bytes, Any]], deadline: Deadline
    ) -> dict[bytes, Any]:
        """Make what nobody is making, wait for the rest; take over what another call left for lack of time."""
        gone = Failure(Status.RETRYABLE, "deadline", "another call was still making it")
        found: dict[bytes, Any] = {}
        while left := [key for key in keys if key not in found]:
            with self._flight.claim(left) as (ours, theirs, flight):
                flight.made = make(ours) if ours else {}
            found.update(flight.made)
            for key, other in theirs.items():
                answer = other.wait(key, deadline, gone)
                left_over = isinstance(answer, Failure) and answer.cause == "deadline"
                if not left_over or deadline.expired:
                    found[key] = answer
        return found

    def _note_broken(self, stage: str, shot: Shot, row: str, failure: Failure) -> None:
        if failure.status == Status.BROKEN:
            key = shot.key.hex()
            what = {"key": key, "row": row, "conditioning": shot.conditioning, "seed": shot.seed}
            self.quarantine.add(stage=stage, cause=failure.cause, note=failure.note, **what)


def _identity(unit: Unit) -> tuple[str, str, str]:
    return unit.target.prompt, unit.target.spec_json, unit.shot.conditioning


def _cacheable(member: Reward) -> bool:
    return member.deterministic and member.scope == "sample"


def _exhausted(answer: object) -> bool:
    return isinstance(answer, Failure) and answer.status == Status.RETRYABLE


def _shape(unit: Unit) -> tuple[int, ...]:
    assert unit.shot.pixels is not None
    return unit.shot.pixels.shape
