"""Every way in which a score can fail to come, and what TRL makes of it."""

import asyncio
import json
import threading
import time

import pytest
import torch

from rewards.base import Status
from rewards.breaker import CircuitBreaker
from rewards.cases import Row
from rewards.compose import Composite, Term
from rewards.failures import CallTimeout, RewardMisconfigured, RewardOutage, ScoreUnavailable, classify
from rewards.retries import RetryPolicy
from rewards.store import Store
from rewards.testing import (
    Applicable,
    Brightness,
    ColourGenerator,
    Constant,
    Crashing,
    Faulty,
    Flaky,
    NotANumber,
    OutOfRange,
    Slow,
    WrongLength,
    unit_hash,
)
from rewards.workers.local import LocalWorker

approx = pytest.approx

PATIENT = CircuitBreaker(enabled=False)


def score(bridge, count=8, **options):
    rows = [Row(str(i), "a dog") for i in range(count)]
    return bridge.score_texts(rows, [f"a red dog number {i}" for i in range(count)], images=False, **options)


@pytest.mark.parametrize(
    ("error", "status", "cause"),
    [
        (TimeoutError("t"), Status.RETRYABLE, "timeout"),
        (ConnectionRefusedError("c"), Status.RETRYABLE, "unavailable"),
        (OSError("o"), Status.RETRYABLE, "unavailable"),
        (ScoreUnavailable("s"), Status.RETRYABLE, "unavailable"),
        (MemoryError(), Status.RETRYABLE, "memory"),
        (torch.OutOfMemoryError("cuda"), Status.RETRYABLE, "memory"),
        (RuntimeError("DefaultCPUAllocator: not enough memory: you tried"), Status.RETRYABLE, "memory"),
        (RuntimeError("size mismatch"), Status.BROKEN, "crash"),
        (KeyError("k"), Status.BROKEN, "crash"),
    ],
)
def test_exceptions_are_retried_only_when_they_are_known_to_pass(error, status, cause):
    failure = classify(error)
    assert (failure.status, failure.cause) == (status, cause)


@pytest.mark.parametrize(
    ("code", "status"), [(429, Status.RETRYABLE), (503, Status.RETRYABLE), (400, Status.BROKEN)]
)
def test_http_answers_are_retried_by_their_code(code, status):
    import httpx

    response = httpx.Response(code, request=httpx.Request("GET", "http://localhost"))
    with pytest.raises(httpx.HTTPStatusError) as caught:
        response.raise_for_status()
    assert classify(caught.value).status == status
    assert classify(httpx.ConnectTimeout("t")).status == Status.RETRYABLE


def test_flaky_scorer_is_retried_until_it_answers(make_bridge):
    reward = Flaky(failures=2)
    bridge = make_bridge(reward=reward)
    assert all(outcome.ok for outcome in score(bridge))
    assert max(reward.tries.values()) == 3
    assert bridge.last.exhausted == 0


def test_scorer_that_stays_away_gives_none_after_a_bounded_number_of_tries(make_bridge):
    reward = Flaky(failures=1000)
    bridge = make_bridge(reward=reward, breaker=PATIENT)
    outcomes = score(bridge, 4)
    assert [o.value for o in outcomes] == [None] * 4
    assert {o.cause for o in outcomes} == {"unavailable"}
    assert max(reward.tries.values()) == 3
    assert bridge.last.exhausted == 8


def test_backend_that_is_down_is_not_asked_for_every_sample(make_bridge):
    reward = Flaky(failures=1000)
    score(make_bridge(reward=reward, breaker=PATIENT, images_per_prompt=1), 200)
    assert reward.calls < 60


def test_backoff_doubles_and_never_exceeds_its_step():
    import random

    policy, rng = RetryPolicy(backoff_s=0.5, jitter=0.5), random.Random(0)
    first = [policy.pause_s(1, rng) for _ in range(200)]
    second = [policy.pause_s(2, rng) for _ in range(200)]
    assert 0.25 <= min(first) < max(first) <= 0.5 <= min(second) < max(second) <= 1.0


def test_nan_is_broken_for_its_sample_only_and_is_not_retried(make_bridge):
    reward = NotANumber(share=0.3)
    bridge = make_bridge(reward=reward, images_per_prompt=1)
    outcomes = score(bridge, 32)
    bad = [unit_hash("nan", o.conditioning, o.seeds[0]) < 0.3 for o in outcomes]
    assert 0 < sum(bad) < 32
    assert [o.value is None for o in outcomes] == bad
    assert reward.scored == 32
    assert bridge.last.n_none == {"non_finite": sum(bad)}
    assert bridge.last.exhausted == 0


def test_one_crashing_sample_does_not_take_its_batch_with_it(make_bridge):
    reward = Crashing(share=0.05)
    bridge = make_bridge(reward=reward, images_per_prompt=1)
    outcomes = score(bridge, 64)
    bad = [unit_hash("crash", o.conditioning, o.seeds[0]) < 0.05 for o in outcomes]
    assert 0 < sum(bad) < 16
    assert [o.value is None for o in outcomes] == bad
    assert bridge.last.n_none == {"crash": sum(bad)}
    assert {r["cause"] for r in bridge.quarantine.recent} == {"crash"}


def test_one_timing_out_sample_does_not_take_its_batch_with_it(make_bridge):
    reward = Crashing(share=0.05, error=TimeoutError("no answer"))
    bridge = make_bridge(reward=reward, images_per_prompt=1, breaker=PATIENT)
    outcomes = score(bridge, 64)
    bad = [unit_hash("crash", o.conditioning, o.seeds[0]) < 0.05 for o in outcomes]
    assert [o.value is None for o in outcomes] == bad
    assert bridge.last.n_none == {"timeout": sum(bad)}


def test_out_of_memory_halves_the_batch_until_it_fits(make_bridge):
    class Small(Brightness):
        def score(self, media, items, *, deadline=None):
            sizes.append(len(items))
            if len(items) > 8:
                raise torch.OutOfMemoryError("out of memory")
            return super().score(media, items, deadline=deadline)

    sizes: list[int] = []
    bridge = make_bridge(reward=Small(), images_per_prompt=1)
    assert all(outcome.ok for outcome in score(bridge, 32))
    assert sizes[0] == 32
    assert sum(size for size in sizes if size <= 8) == 32


def test_wrong_length_is_broken_down_to_the_sample(make_bridge):
    bridge = make_bridge(reward=WrongLength(), images_per_prompt=1)
    assert [o.value for o in score(bridge, 4)] == [None] * 4
    assert bridge.last.n_none == {"wrong_length": 4}


def test_out_of_range_is_clipped_and_counted_or_rejected(make_bridge):
    clipping = make_bridge(reward=OutOfRange(), images_per_prompt=1)
    outcomes = score(clipping, 16)
    assert max(o.value for o in outcomes) == 1.0
    assert clipping.last.clipped == sum(o.value == 1.0 for o in outcomes) > 0
    rejecting = make_bridge(reward=OutOfRange(), images_per_prompt=1, out_of_range="reject")
    score(rejecting, 16)
    assert rejecting.last.n_none == {"out_of_range": clipping.last.clipped}


def test_generator_that_raises_for_one_prompt_costs_that_prompt_only(make_bridge):
    class Picky(ColourGenerator):
        def generate(self, requests, **options):
            if any("number 3" in request.prompt for request in requests):
                raise ValueError("cannot draw that")
            return super().generate(requests, **options)

    bridge = make_bridge(Picky())
    outcomes = score(bridge)
    assert [o.value is None for o in outcomes] == [i == 3 for i in range(8)]
    assert outcomes[3].cause == "crash"
    assert bridge.quarantine.recent[0]["stage"] == "generate"


@pytest.mark.parametrize(("bad_draws", "ok"), [(1, True), (2, False)])
def test_non_finite_image_is_drawn_once_more_with_the_same_seed(make_bridge, bad_draws, ok):
    class Noisy(ColourGenerator):
        def generate(self, requests, **options):
            samples = super().generate(requests, **options)
            if self.calls <= bad_draws:
                samples[0].pixels[:] = float("nan")
            return samples

    generator = Noisy()
    bridge = make_bridge(generator, images_per_prompt=1)
    outcomes = score(bridge, 3)
    assert [o.ok for o in outcomes] == [ok, True, True]
    assert len({(r.prompt, r.seed) for r in generator.requests}) == 3
    assert generator.calls == 2
    assert bridge.last.n_none == ({} if ok else {"non_finite": 1})


def test_generator_that_gives_no_images_is_broken_media(make_bridge):
    class Flat(ColourGenerator):
        def generate(self, requests, **options):
            samples = super().generate(requests, **options)
            return [type(s)(s.pixels[0], s.request) for s in samples]

    assert {o.cause for o in score(make_bridge(Flat()), 2)} == {"bad_media"}


def test_missing_seed_leaves_no_number_at_all(make_bridge):
    reward = NotANumber(share=0.4)
    bridge = make_bridge(reward=reward, images_per_prompt=4)
    for outcome in score(bridge, 16):
        lost = any(unit_hash("nan", outcome.conditioning, s) < 0.4 for s in outcome.seeds)
        assert (outcome.value is None) is lost


def test_missing_part_of_a_composite_leaves_no_number_at_all(make_bridge):
    reward = Composite(
        [Term(Constant(name="flat", fingerprint="flat")), Term(NotANumber(name="nan", share=0.4))]
    )
    bridge = make_bridge(reward=reward, images_per_prompt=1)
    outcomes = score(bridge, 16)
    bad = [unit_hash("nan", o.conditioning, o.seeds[0]) < 0.4 for o in outcomes]
    assert 0 < sum(bad) < 16
    assert [o.value is None for o in outcomes] == bad
    assert bridge.last.n_none == {"non_finite": sum(bad)}


def test_part_that_does_not_apply_is_left_out_and_the_weights_renormalised(make_bridge, call):
    bright = Applicable()
    flat = Constant(name="flat", fingerprint="flat", value=0.25)
    bridge = make_bridge(reward=Composite([Term(bright, 3.0), Term(flat, 1.0)]))
    spec = [json.dumps({"apply": []})] * 2
    rewards, _, _ = call(bridge, ["a dog"] * 2, ["a red dog", "a blue dog"], spec=spec)
    assert rewards == [approx(0.25), approx(0.25)]


# -- time ------------------------------------------------------------------------------------------------------------


def test_hung_scorer_ends_the_call_at_the_deadline_with_exact_accounting(make_bridge, call):
    reward = Slow(share=1.0)
    bridge = make_bridge(reward=reward, deadline_s=0.6, call_timeout_s=None, breaker=PATIENT)
    began = time.monotonic()
    rewards, metrics, _ = call(bridge, ["a dog"] * 4, ["a red dog", "a blue dog", "", "a green dog"])
    assert time.monotonic() - began < 1.2
    assert rewards == [None] * 4  # three hang; one policy failure alone cannot be compared with anything
    assert bridge.last.n_none == {"deadline": 3, "group_dropped": 1}
    assert metrics["image_reward/n_none"] == 4
    reward.release.set()


def test_results_that_come_after_the_deadline_are_ignored(make_bridge, call):
    reward = Slow(share=1.0)
    store = Store(":memory:")
    bridge = make_bridge(reward=reward, deadline_s=0.3, store=store, breaker=PATIENT)
    rewards, _, _ = call(bridge, ["a dog"] * 2, ["a red dog", "a blue dog"])
    counted = dict(bridge.last.n_none)
    reward.release.set()
    time.sleep(0.2)
    assert rewards == [None, None]
    assert dict(bridge.last.n_none) == counted == {"deadline": 2}
    assert store.stats()["scores"] == 0


def test_bridge_works_again_after_a_hung_call(make_bridge, call):
    reward = Slow(share=1.0)
    bridge = make_bridge(reward=reward, deadline_s=0.3, breaker=PATIENT)
    assert call(bridge, ["a dog"], ["a red dog"])[0] == [None]
    reward.share = 0.0
    rewards, _, _ = call(bridge, ["a dog"], ["a red dog"])
    assert rewards[0] is not None
    reward.release.set()


def test_hanging_samples_are_cut_off_one_by_one_by_the_call_time_out(make_bridge):
    reward = Slow(share=0.1)
    bridge = make_bridge(reward=reward, images_per_prompt=1, call_timeout_s=0.3, breaker=PATIENT)
    outcomes = score(bridge, 24)
    bad = [unit_hash("slow", o.conditioning, o.seeds[0]) < 0.1 for o in outcomes]
    assert 0 < sum(bad) < 8
    assert [o.value is None for o in outcomes] == bad
    assert bridge.last.n_none == {"timeout": sum(bad)}
    reward.release.set()


def test_slow_generator_leaves_time_to_score_what_it_has_drawn(make_bridge, call):
    generator = ColourGenerator(delay_s=0.25)
    bridge = make_bridge(generator, images_per_prompt=1, generation_batch=1, deadline_s=1.5, breaker=PATIENT)
    rewards, _, _ = call(bridge, ["a dog"] * 8, [f"a red dog {i}" for i in range(8)])
    bridge.last.check()
    done = sum(r is not None for r in rewards)
    assert done >= 4 or bridge.last.groups_dropped == 1
    assert bridge.last.n_none["deadline"] >= 1


def test_worker_leaves_a_hanging_job_behind_and_goes_on():
    worker, release = LocalWorker(), threading.Event()
    with pytest.raises(CallTimeout):
        worker.run(release.wait, 0.05)
    assert worker.hanging == 1
    assert worker.run(lambda: 7, 1.0) == 7
    release.set()
    time.sleep(0.05)
    assert worker.hanging == 0
    worker.close()


def test_worker_bounds_the_number_of_hanging_threads():
    worker, release = LocalWorker(max_abandoned=2), threading.Event()
    for _ in range(4):
        with pytest.raises(CallTimeout):
            worker.run(release.wait, 0.05)
    assert worker.hanging == 2
    release.set()
    assert worker.run(lambda: 7, 1.0) == 7


def test_worker_tells_the_jobs_own_timeout_from_its_own():
    def impatient():
        raise TimeoutError("mine")

    worker = LocalWorker()
    with pytest.raises(TimeoutError, match="mine"):
        worker.run(impatient, 1.0)
    assert worker.hanging == 0


def test_worker_computes_with_its_own_number_of_threads():
    before = torch.get_num_threads()
    worker = LocalWorker(threads=2)
    assert worker.run(torch.get_num_threads, 30.0) == 2
    assert torch.get_num_threads() == before


# -- breaker ---------------------------------------------------------------------------------------------------------


def test_breaker_opens_after_three_whole_batches_without_a_score(make_bridge):
    bridge = make_bridge(reward=Crashing(share=1.0, error=ConnectionError("down")))
    score(bridge, 2)
    score(bridge, 2)
    with pytest.raises(RewardOutage, match="3 whole batches") as caught:
        score(bridge, 2)
    assert caught.value.accounting.n_none == {"unavailable": 2}


def test_breaker_opens_above_the_failed_share_and_not_below():
    opened, closed = CircuitBreaker(), CircuitBreaker()
    for _ in range(20):
        opened.record(100, 7)
        closed.record(100, 3)
    closed.check()
    with pytest.raises(RewardOutage, match=r"7\.0% of the last 200"):
        opened.check()


def test_breaker_waits_for_a_window_before_it_judges_a_share():
    breaker = CircuitBreaker()
    breaker.record(100, 50)
    breaker.check()
    breaker.record(100, 50)
    with pytest.raises(RewardOutage):
        breaker.check()


def test_breaker_forgets_failures_that_lie_more_than_a_window_back():
    breaker = CircuitBreaker()
    breaker.record(200, 20)
    breaker.record(400, 0)
    breaker.check()


def test_breaker_threshold_is_configurable(make_bridge):
    def bridge(**options):
        reward = Crashing(share=0.2, error=TimeoutError("t"))
        return make_bridge(reward=reward, images_per_prompt=1, breaker=CircuitBreaker(**options))

    score(bridge(max_failed_share=0.5), 300)
    with pytest.raises(RewardOutage):
        score(bridge(max_failed_share=0.1), 300)
    score(bridge(enabled=False), 300)


def test_broken_samples_and_policy_failures_never_open_the_breaker(make_bridge, call):
    for reward in (NotANumber(), WrongLength(), Crashing()):
        bridge = make_bridge(
            reward=reward, breaker=CircuitBreaker(max_failed_share=0.01, window=1, max_failed_batches=1)
        )
        score(bridge, 20)
        call(bridge, ["a dog"] * 4, [""] * 4)
        assert bridge.breaker.failed_share == 0.0


def test_cached_samples_do_not_hide_an_outage(make_bridge):
    reward = Crashing(share=0.0, error=ConnectionError("down"))
    bridge = make_bridge(reward=reward)
    score(bridge, 50)
    reward.share = 1.0
    rows = [Row(str(i), "a dog") for i in range(51)]
    texts = [f"a red dog number {i}" for i in range(50)]
    for i in range(2):
        bridge.score_texts(rows, [*texts, f"new {i}"])
    with pytest.raises(RewardOutage):
        bridge.score_texts(rows, [*texts, "new 3"])


@pytest.mark.parametrize("options", [{"max_failed_share": 0}, {"max_failed_share": 1.5}, {"window": 0}])
def test_impossible_breakers_are_refused(options):
    with pytest.raises(ValueError, match=next(iter(options))):
        CircuitBreaker(**options)


# -- groups ----------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("size", "lost", "dropped"),
    [
        (4, 2, False),
        (4, 3, True),
        (5, 2, False),
        (5, 3, True),
        (3, 1, False),
        (3, 2, True),
        (2, 1, True),
        (1, 0, False),
    ],
)
def test_group_is_dropped_below_half_or_two_valid_members(make_bridge, call, size, lost, dropped):
    class Loses(Brightness):
        def answer(self, value_B, items):
            bad = torch.tensor([item.conditioning.startswith("lost") for item in items])
            return super().answer(torch.where(bad, torch.nan, value_B), items)

    texts = [f"lost dog {i}" if i < lost else f"red dog {i}" for i in range(size)]
    bridge = make_bridge(reward=Loses())
    rewards, metrics, _ = call(bridge, ["a dog"] * size, texts)
    assert sum(r is None for r in rewards) == (size if dropped else lost)
    assert metrics["image_reward/groups_dropped_share"] == float(dropped)


def test_other_groups_do_not_suffer_from_a_dropped_one(make_bridge, call):
    reward = NotANumber(share=1.0)
    reward.answer = lambda value_B, items: Brightness.answer(
        reward, torch.where(torch.tensor(["cat" in i.conditioning for i in items]), torch.nan, value_B), items
    )
    prompts = ["a dog"] * 2 + ["a pet"] * 2
    rewards, _, _ = call(
        make_bridge(reward=reward), prompts, ["a red dog", "a dog now", "a cat", "a red cat"]
    )
    assert [r is None for r in rewards] == [False, False, True, True]


# -- all at once -----------------------------------------------------------------------------------------------------


def faulty_run(make_bridge, samples=1000, group=10):
    prompts = [f"prompt {i // group}" for i in range(samples)]
    completions = [f"a rewrite number {i}" if i % 50 else "" for i in range(samples)]
    reward = Faulty(timeouts=0.10, nans=0.05, crashes=0.01)
    bridge = make_bridge(
        ColourGenerator(size=4),
        reward,
        images_per_prompt=1,
        deadline_s=20.0,
        breaker=CircuitBreaker(max_failed_share=0.5),
    )
    one = {"prompts": prompts, "prompt_text": prompts, "row_id": prompts}
    began = time.monotonic()
    rewards = asyncio.run(bridge(completions=completions, **one))
    return bridge, reward, prompts, completions, rewards, time.monotonic() - began


def test_thousand_samples_through_a_faulty_scorer_are_all_accounted_for_in_time(make_bridge):
    bridge, reward, prompts, completions, rewards, seconds = faulty_run(make_bridge)
    assert seconds < 20.0
    expected, causes = [], {"timeout": "timeout", "nan": "non_finite", "crash": "crash"}
    for prompt, text in zip(prompts, completions, strict=True):
        seed = bridge.seeds(prompt)[0]
        expected.append("policy" if not text else reward.fate(text, seed))
    groups = [expected[i : i + 10] for i in range(0, 1000, 10)]
    kept = [sum(fate in ("ok", "policy") for fate in group) >= 5 for group in groups]
    tally = bridge.last
    assert tally.n == len(rewards) == 1000
    assert tally.n_ok + tally.n_policy + sum(tally.n_none.values()) == 1000
    for fate, cause in causes.items():
        assert tally.n_none[cause] == expected.count(fate) > 0
    dropped = sum(f in ("ok", "policy") for g, k in zip(groups, kept, strict=True) if not k for f in g)
    assert tally.n_none["group_dropped"] == dropped
    assert tally.n_policy == sum(f == "policy" for g, k in zip(groups, kept, strict=True) if k for f in g)
    for i, (fate, value) in enumerate(zip(expected, rewards, strict=True)):
        if not kept[i // 10] or fate in causes:
            assert value is None
        elif fate == "policy":
            assert value == 0.0
        else:
            brightness = round(255 * unit_hash(completions[i], bridge.seeds(prompts[i])[0])) / 255
            assert value == approx(brightness, abs=1e-6)


def advantages(rewards: list[float | None], group: int) -> list[float]:
    """TRL 1.16's arithmetic for one reward function (sum_then_normalize, scale_rewards="group")."""
    from trl.trainer.utils import nanstd

    held = torch.tensor([torch.nan if r is None else r for r in rewards])
    grouped = held.view(-1, group)
    centred = grouped - torch.nanmean(grouped, dim=1, keepdim=True)
    scaled = centred / (nanstd(grouped, dim=1, keepdim=True) + 1e-4)
    return torch.nan_to_num(scaled.view(-1), nan=0.0).tolist()


def test_no_advantage_is_poisoned_by_the_faulty_scorer(make_bridge):
    bridge, _, prompts, completions, rewards, _ = faulty_run(make_bridge)
    truth = [
        round(255 * unit_hash(text, bridge.seeds(prompt)[0])) / 255 if text else 0.0
        for prompt, text in zip(prompts, completions, strict=True)
    ]
    got = advantages(rewards, 10)
    for start in range(0, 1000, 10):
        members = range(start, start + 10)
        valid = [i for i in members if rewards[i] is not None]
        assert all(got[i] == 0.0 for i in members if rewards[i] is None)
        clean = advantages([truth[i] for i in valid], len(valid)) if valid else []
        assert [got[i] for i in valid] == approx(clean, abs=1e-3)
        order = sorted(valid, key=truth.__getitem__)
        assert [got[i] for i in order] == sorted(got[i] for i in valid)


def test_replay_of_trl_shows_why_a_composite_leaves_no_partial_row():
    full = advantages([1.1, 1.1, 0.9, 0.7], 4)
    assert full == approx([0.78, 0.78, -0.26, -1.30], abs=0.01)
    partial_row = advantages([0.6, 1.1, 0.9, 0.7], 4)  # the best sample lost its second reward: TRL's nansum
    assert partial_row == approx([-1.01, 1.24, 0.34, -0.56], abs=0.01)
    assert advantages([None, 1.1, 0.9, 0.7], 4) == approx([0.0, 1.0, 0.0, -1.0], abs=0.01)
    as_zero = advantages([0.0, 1.1, 0.9, 0.7], 4)
    assert as_zero == approx([-1.41, 0.89, 0.47, 0.05], abs=0.01)


def test_misconfiguration_stops_the_run_instead_of_costing_every_sample(make_bridge):
    class Assumed(OutOfRange):
        bounds_assumed = True

    with pytest.raises(RewardMisconfigured, match="declares no range"):
        score(make_bridge(reward=Assumed()))


def test_broken_samples_are_written_to_the_quarantine_file(make_bridge, tmp_path):
    bridge = make_bridge(reward=Crashing(), store=Store(tmp_path))
    score(bridge, 2)
    records = [json.loads(line) for line in (tmp_path / "quarantine.jsonl").read_text().splitlines()]
    assert len(records) == 4
    assert {r["conditioning"] for r in records} == {"a red dog number 0", "a red dog number 1"}
    assert all(r["cause"] == "crash" and "this scorer has a bug" in r["note"] for r in records)


def test_waiting_for_a_turn_counts_towards_the_time_out():
    worker, release = LocalWorker(), threading.Event()
    holder = threading.Thread(target=lambda: worker.run(lambda: release.wait(5.0)))
    holder.start()
    time.sleep(0.05)
    threading.Timer(0.2, release.set).start()
    began = time.monotonic()
    with pytest.raises(CallTimeout):
        worker.run(lambda: time.sleep(5.0), 0.4)
    assert time.monotonic() - began < 0.6
    holder.join()


def test_process_can_end_while_a_scorer_hangs():
    code = """
import asyncio, threading
from rewards.workers.waiting import in_daemon_thread
async def main():
    try:
        await asyncio.wait_for(in_daemon_thread(threading.Event().wait), 0.2)
    except TimeoutError:
        print("gave up")
asyncio.run(main())
"""
    import subprocess
    import sys

    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, timeout=20)
    assert (done.returncode, done.stdout) == (0, "gave up\n")


def test_call_with_time_left_takes_over_what_a_shorter_one_was_making(make_bridge):
    generator = ColourGenerator(delay_s=0.4)
    bridge = make_bridge(generator, breaker=PATIENT, images_per_prompt=1)
    row, text = [Row("1", "a dog")], ["a red dog"]
    hasty = []
    first = threading.Thread(target=lambda: hasty.extend(bridge.score_texts(row, text, deadline_s=0.2)))
    first.start()
    time.sleep(0.05)
    patient = bridge.score_texts(row, text)[0]
    first.join()
    assert (hasty[0].value, hasty[0].cause) == (None, "deadline")
    assert patient.ok


def test_budget_is_at_most_a_third_of_the_collective_time_out_when_distributed(monkeypatch):
    import sys
    from types import SimpleNamespace

    from rewards.deadline import call_budget_s

    alone = SimpleNamespace(is_available=lambda: True, is_initialized=lambda: False)
    monkeypatch.setitem(sys.modules, "torch.distributed", alone)
    assert call_budget_s(600.0) == 600.0
    distributed = SimpleNamespace(is_available=lambda: True, is_initialized=lambda: True)
    monkeypatch.setitem(sys.modules, "torch.distributed", distributed)
    assert call_budget_s(600.0) == call_budget_s(None) == 200.0
    assert call_budget_s(50.0) == 50.0
