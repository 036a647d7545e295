"""The bridge's contract with TRL, and what is drawn, shared, cached and counted."""

import asyncio
import json
import pickle
import subprocess
import sys
import threading
from types import SimpleNamespace

import pytest

from rewards.bridge import Bridge
from rewards.cases import Row
from rewards.compose import Composite, Term
from rewards.failures import RewardMisconfigured
from rewards.seeds import shared_seeds
from rewards.store import Store
from rewards.testing import Applicable, Brightness, ColourGenerator, Constant, GroupRank, Slow, unit_hash

approx = pytest.approx


def level(prompt: str, seed: int) -> float:
    return round(255 * unit_hash(prompt, seed)) / 255


def test_reward_is_the_mean_over_the_rows_seeds(make_bridge, call):
    bridge = make_bridge(images_per_prompt=3)
    rewards, _, _ = call(bridge, ["a dog"], ["a brown dog"])
    assert rewards == [approx(sum(level("a brown dog", s) for s in bridge.seeds("row a dog")) / 3, abs=1e-6)]


def test_all_completions_of_a_row_share_their_seeds(make_bridge, call):
    generator = ColourGenerator()
    bridge = make_bridge(generator, images_per_prompt=3)
    call(bridge, ["a dog"] * 4, ["a red dog", "a blue dog", "a green dog", "a black dog"])
    seeds = {}
    for request in generator.requests:
        seeds.setdefault(request.prompt, []).append(request.seed)
    assert len(seeds) == 4
    assert {tuple(s) for s in seeds.values()} == {bridge.seeds("row a dog")}


def test_seeds_change_with_the_epoch_and_the_row_but_not_with_their_number():
    assert shared_seeds(7, "row", 2, epoch=0) == shared_seeds(7, "row", 4, epoch=0)[:2]
    different = {shared_seeds(7, "row", 2), shared_seeds(7, "row", 2, epoch=1), shared_seeds(7, "other", 2)}
    assert len(different | {shared_seeds(8, "row", 2)}) == 4
    assert all(0 <= s < 2**31 for seeds in different for s in seeds)


@pytest.mark.parametrize(("reseed", "equal"), [("epoch", False), ("never", True)])
def test_epoch_of_the_trainer_reseeds_unless_told_otherwise(make_bridge, call, reseed, equal):
    bridge = make_bridge(reseed=reseed)
    first, _, _ = call(bridge, ["a dog"], ["a red dog"], trainer_state=SimpleNamespace(epoch=0.9))
    same, _, _ = call(bridge, ["a dog"], ["a red dog"], trainer_state=SimpleNamespace(epoch=0.1))
    later, _, _ = call(bridge, ["a dog"], ["a red dog"], trainer_state=SimpleNamespace(epoch=1.0))
    assert first == same
    assert (first == later) is equal


def test_duplicates_are_drawn_and_scored_once(make_bridge, call):
    generator, reward = ColourGenerator(), Brightness()
    bridge = make_bridge(generator, reward)
    rewards, metrics, _ = call(bridge, ["a dog"] * 6, ["a red dog"] * 5 + ["a blue dog"])
    assert len(generator.requests) == 4
    assert reward.scored == 4
    assert len(set(rewards[:5])) == 1
    assert metrics["image_reward/dedupe_rate"] == approx(1 - 4 / 12)


def test_second_call_is_answered_from_the_cache(make_bridge, call):
    generator, reward = ColourGenerator(), Brightness()
    bridge = make_bridge(generator, reward)
    first, _, _ = call(bridge, ["a dog"] * 2, ["a red dog", "a blue dog"])
    second, metrics, _ = call(bridge, ["a dog"] * 2, ["a red dog", "a blue dog"])
    assert second == first
    assert (generator.calls, reward.calls) == (1, 1)
    assert metrics["image_reward/media_hit_rate"] == metrics["image_reward/score_hit_rate"] == 1.0


def test_images_are_reused_by_another_reward_but_scores_are_not(make_bridge, call):
    generator, store = ColourGenerator(), Store(":memory:")
    call(make_bridge(generator, store=store), ["a dog"], ["a red dog"])
    other = Constant(fingerprint="other", value=0.25)
    rewards, _, _ = call(make_bridge(generator, other, store=store), ["a dog"], ["a red dog"])
    assert rewards == [0.25]
    assert generator.calls == 1


def test_scores_are_not_shared_between_different_targets(make_bridge, call):
    reward = Applicable()
    spec = [json.dumps({"apply": ["brightness"]}), json.dumps({"apply": []})]
    bridge = make_bridge(reward=reward, images_per_prompt=1)
    rewards, _, _ = call(bridge, ["a dog"] * 2, ["a red dog"] * 2, spec=spec, row_id=["one", "two"])
    assert rewards[0] is not None
    assert rewards[1] is None
    assert bridge.last.n_none == {"na": 1}


def test_copied_prompt_earns_the_baseline_and_not_the_floor(make_bridge, call):
    bridge = make_bridge(baseline=True, dialect="shapes")
    prompt = "two small red circles above a blue square on white"
    rewards, metrics, _ = call(bridge, [prompt] * 2, [prompt.upper(), prompt + " "])
    baseline = bridge.score_texts([Row(f"row {prompt}", prompt)], [prompt])[0].value
    assert rewards == [baseline, baseline]
    assert metrics["image_reward/baseline"] == approx(baseline)
    assert metrics["image_reward/gain"] == approx(0.0)
    assert metrics["image_reward/copied_share"] == 1.0


REFUSED_BY_THE_PARSER = [
    "I can't decide, so draw a red star",
    "Sorry, I meant a blue star",
    "OK: two red circles",
    "Here's my prompt: a red star",
    "a red star\nand a blue ring",
]


@pytest.mark.parametrize("prompt", REFUSED_BY_THE_PARSER)
@pytest.mark.parametrize("answer", ["plain", "think_answer"])
def test_a_copied_prompt_that_reads_like_a_refusal_earns_the_baseline(make_bridge, call, prompt, answer):
    bridge = make_bridge(baseline=True, dialect="shapes", answer=answer)
    completion = prompt if answer == "plain" else f"<think>as it is</think> <answer>\n{prompt}</answer>"
    rewards, metrics, extras = call(bridge, [prompt], [completion])
    assert rewards == [bridge.score_texts([Row(f"row {prompt}", prompt)], [prompt])[0].value]
    assert metrics["image_reward/copied_share"] == 1.0
    assert metrics["image_reward/guard/copy"] == 1
    assert not extras["outcome"][0].startswith("parse_")


def test_a_copy_outside_the_answers_tags_or_of_nothing_is_no_copy(make_bridge, call):
    bridge = make_bridge(answer="think_answer")
    rewards, _, extras = call(bridge, ["a dog"] * 2, ["a dog", "<answer>a dog"])
    assert rewards == [0.0, 0.0]
    assert extras["outcome"] == ["parse_no_answer", "parse_unclosed_answer"]


def test_baseline_is_drawn_with_the_same_seeds_and_only_once_per_row(make_bridge, call):
    generator = ColourGenerator()
    bridge = make_bridge(generator, baseline=True)
    _, metrics, _ = call(bridge, ["a dog"] * 4, ["a red dog"] * 4)
    drawn = [r.seed for r in generator.requests if r.prompt == "a dog"]
    assert tuple(drawn) == bridge.seeds("row a dog")
    assert metrics["image_reward/baseline"] == approx(sum(level("a dog", s) for s in drawn) / 2, abs=1e-6)
    call(bridge, ["a dog"] * 4, ["a blue dog"] * 4)
    assert sum(r.prompt == "a dog" for r in generator.requests) == 2


@pytest.mark.parametrize(
    "completion", ["", "   ", "Here is the prompt: a dog", "I'm sorry, I cannot.", "a\nb"]
)
def test_unreadable_completion_gets_the_floor_and_spares_the_generator(make_bridge, call, completion):
    generator = ColourGenerator()
    bridge = make_bridge(generator, Brightness(bounds=(-1.0, 1.0)))
    rewards, metrics, extras = call(bridge, ["a dog"], [completion])
    assert rewards == [-1.0]
    assert generator.calls == 0
    assert metrics["image_reward/n_policy"] == 1
    assert extras["outcome"][0].startswith("parse_")


def test_failed_guard_gets_the_floor_and_spares_the_generator(make_bridge, call):
    generator = ColourGenerator()
    refuse = SimpleNamespace(code="colour_changed", message="red became blue", severity="fail")
    warn = SimpleNamespace(code="short", message="short", severity="warn")
    bridge = make_bridge(
        generator, dialect=object(), check=lambda o, r, d: [warn, refuse] if "blue" in r else [warn]
    )
    rewards, metrics, _ = call(bridge, ["a red dog"] * 2, ["a blue dog", "a scarlet dog"])
    assert rewards[0] == 0.0
    assert rewards[1] > 0.0
    assert {r.prompt for r in generator.requests} == {"a scarlet dog"}
    assert metrics["image_reward/policy/guard_colour_changed"] == 1
    assert metrics["image_reward/guard/short"] == 2


@pytest.mark.parametrize(
    ("dialect", "prompt", "rewrite"),
    [
        ("flux-dev", 'a sign saying "OPEN" on a door', 'a wooden door with a sign saying "SHUT"'),
        ("shapes", "two red circles, no blue square", "two red circles and a blue square"),
        ("shapes", "two red circles", "two green circles"),
        ("shapes", "three small stars", "two small stars"),
    ],
)
def test_real_guards_of_the_dialect_stop_a_changed_request(make_bridge, call, dialect, prompt, rewrite):
    generator = ColourGenerator()
    rewards, _, extras = call(make_bridge(generator, dialect=dialect), [prompt], [rewrite])
    assert rewards == [0.0]
    assert extras["outcome"][0].startswith("guard_")
    assert generator.calls == 0


def test_original_prompt_and_spec_reach_the_reward_whatever_the_rewrite(make_bridge, call):
    seen = []

    class Spy(Brightness):
        def score(self, media, items, *, deadline=None):
            seen.extend(items)
            return super().score(media, items, deadline=deadline)

    call(make_bridge(reward=Spy()), ["a dog"], ["a red dog"], spec=['{"count": 1}'])
    assert {(i.prompt, i.conditioning, i.spec["count"], i.row) for i in seen} == {
        ("a dog", "a red dog", 1, "row a dog")
    }


def test_unicode_spellings_of_one_text_are_one_image(make_bridge, call):
    generator = ColourGenerator()
    call(make_bridge(generator), ["a café"] * 2, ["a red caf\u00e9", "a red cafe\u0301"])
    assert {r.prompt for r in generator.requests} == {"a red caf\u00e9"}
    assert len(generator.requests) == 2


def test_last_assistant_message_and_text_blocks_are_read(make_bridge, call):
    blocks = [{"type": "text", "text": "a red "}, {"type": "text", "text": "dog"}]
    turns = [
        {"role": "assistant", "content": "a blue dog"},
        {"role": "tool", "content": "seen"},
        {"role": "assistant", "content": blocks},
    ]
    _, _, extras = call(make_bridge(), ["a dog"] * 2, [turns, "a green dog"])
    assert extras["rewrite"] == ["a red dog", "a green dog"]


def test_plain_string_completions_are_read_too(make_bridge):
    answer = asyncio.run(
        make_bridge()(prompts=["p"], completions=["a red dog"], prompt_text=["a dog"], row_id=["1"])
    )
    assert answer[0] == approx(answer[0])


def test_trl_recognises_the_bridge_as_async_and_takes_its_name(make_bridge):
    from trl.trainer.utils import get_callable_name, is_async_callable

    bridge = make_bridge(name="shapes")
    assert is_async_callable(bridge)
    assert get_callable_name(bridge) == "shapes"


def test_bridge_survives_a_pickle_round_trip_after_use(call, tmp_path, make_bridge):
    bridge = make_bridge(store=Store(tmp_path))
    before, _, _ = call(bridge, ["a dog"], ["a red dog"])
    copy = pickle.loads(pickle.dumps(bridge))  # noqa: S301 - our own object, to show that it can be sent to a worker
    after, metrics, _ = call(copy, ["a dog"], ["a red dog"])
    assert after == before
    assert metrics["image_reward/score_hit_rate"] == 1.0
    assert copy.__name__ == bridge.__name__


def test_group_reward_sees_whole_groups_with_duplicates_counted(make_bridge, call):
    bridge = make_bridge(reward=GroupRank(), images_per_prompt=1)
    texts = ["a red dog", "a red dog", "a blue dog", "a green dog"]
    rewards, _, _ = call(bridge, ["a dog"] * 4, texts)
    seed = bridge.seeds("row a dog")[0]
    levels = [level(t, seed) for t in texts]
    assert rewards == [approx(sum(v >= p for p in levels) / 4) for v in levels]


def test_composite_scores_members_once_and_logs_their_parts(make_bridge, call):
    bright, flat = Brightness(), Constant(name="flat", fingerprint="flat", value=1.0)
    bridge = make_bridge(reward=Composite([Term(bright, 3.0), Term(flat, 1.0)]))
    rewards, metrics, _ = call(bridge, ["a dog"], ["a red dog"])
    mean = sum(level("a red dog", s) for s in bridge.seeds("row a dog")) / 2
    assert rewards == [approx((3 * mean + 1) / 4, abs=1e-6)]
    assert metrics["image_reward/part/brightness"] == approx(mean, abs=1e-6)
    again, _, _ = call(bridge, ["a dog"], ["a red dog"])
    assert again == rewards
    assert (bright.calls, flat.calls) == (1, 1)


def test_concurrent_calls_draw_an_image_once(make_bridge):
    generator = ColourGenerator(delay_s=0.2)
    bridge = make_bridge(generator)

    async def both():
        one = {"prompts": ["p"], "completions": ["a red dog"], "prompt_text": ["a dog"], "row_id": ["1"]}
        return await asyncio.gather(bridge(**one), bridge(**one), bridge(**one))

    answers = asyncio.run(both())
    assert answers[0] == answers[1] == answers[2] != [None]
    assert len(generator.requests) == 2


def test_event_loop_stays_free_while_the_bridge_works(make_bridge):
    bridge = make_bridge(ColourGenerator(delay_s=0.5))
    ticks = []

    async def tick():
        while len(ticks) < 10:
            ticks.append(1)
            await asyncio.sleep(0.01)
        return len(ticks)

    async def both():
        work = asyncio.ensure_future(
            bridge(prompts=["p"], completions=["a red dog"], prompt_text=["a dog"], row_id=["1"])
        )
        await asyncio.sleep(0)
        counted = await tick()
        assert not work.done()
        await work
        return counted

    assert asyncio.run(both()) == 10


def test_evaluation_returns_images_parts_and_values_per_seed(make_bridge):
    bridge = make_bridge(ColourGenerator(size=5), images_per_prompt=3)
    rows = [Row("1", "a dog", {"x": 1}), Row("2", "a cat", '{"x": 2}')]
    outcomes = bridge.score_texts(rows, ["a red dog", "a cat"])
    assert [len(o.images) for o in outcomes] == [3, 3]
    assert outcomes[0].images[0].shape == (5, 5, 3)
    assert outcomes[0].images[0].dtype.name == "uint8"
    for outcome in outcomes:
        assert outcome.value == approx(sum(outcome.values) / 3)
        assert outcome.seeds == bridge.seeds("1" if outcome is outcomes[0] else "2")
        assert outcome.parts == {"mean": approx(outcome.value)}
    assert [o.copied for o in outcomes] == [False, True]


def test_evaluation_draws_the_images_again_when_only_the_score_is_cached(make_bridge, tmp_path):
    store = Store(tmp_path)
    generator = ColourGenerator()
    bridge = make_bridge(generator, store=store)
    first = bridge.score_texts([Row("1", "a dog")], ["a red dog"], images=False)[0]
    assert first.images == []
    store.forget_memory()
    second = bridge.score_texts([Row("1", "a dog")], ["a red dog"])[0]
    assert second.value == first.value
    assert [round(float(i.mean()) / 255, 5) for i in second.images] == [round(v, 5) for v in second.values]
    assert generator.calls == 1


def test_evaluation_takes_texts_as_they_are_unless_they_are_completions(make_bridge):
    bridge = make_bridge()
    row = [Row("1", "a dog")]
    assert bridge.score_texts(row, ["Here is the prompt: a dog"])[0].ok
    assert (
        bridge.score_texts(row, ["Here is the prompt: a dog"], completions=True)[0].cause == "parse_preamble"
    )
    assert bridge.score_texts(row, [" "])[0].value == 0.0


def test_missing_column_and_bad_rows_are_refused_with_the_way_out(make_bridge):
    bridge = make_bridge()
    with pytest.raises(ValueError, match="prompt_text"):
        asyncio.run(bridge(prompts=["p"], completions=["c"]))
    with pytest.raises(ValueError, match=r"row '7'.*not JSON"):
        bridge.score_texts([Row("7", "a dog", "{")], ["a dog"])
    with pytest.raises(ValueError, match="must be an object"):
        bridge.score_texts([Row("7", "a dog", "[1]")], ["a dog"])
    with pytest.raises(ValueError, match="share the id '7'"):
        bridge.score_texts([Row("7", "a dog"), Row("7", "a cat")], ["a dog", "a cat"])
    with pytest.raises(ValueError, match="1 rows for 2 texts"):
        bridge.score_texts([Row("7", "a dog")], ["a dog", "a cat"])


def test_impossible_settings_are_refused_at_construction(make_bridge):
    with pytest.raises(RewardMisconfigured, match="load_generator"):
        make_bridge(generator=object())
    with pytest.raises(RewardMisconfigured, match="load_reward"):
        make_bridge(reward=object())
    with pytest.raises(ValueError, match="images_per_prompt=0"):
        make_bridge(images_per_prompt=0)
    with pytest.raises(ValueError, match="deadline_s=0"):
        make_bridge(deadline_s=0)
    with pytest.raises(ValueError, match="reseed='always'"):
        make_bridge(reseed="always")
    with pytest.raises(ValueError, match="floor"):
        make_bridge(reward=Brightness(bounds=(float("-inf"), float("inf"))))


def test_reward_without_a_finite_range_works_with_an_explicit_floor(make_bridge, call):
    bridge = make_bridge(reward=Brightness(bounds=(float("-inf"), float("inf"))), floor=-3.0)
    rewards, _, _ = call(bridge, ["a dog"] * 2, ["", "a red dog"])
    assert rewards[0] == -3.0
    assert 0.0 <= rewards[1] <= 1.0


def test_worker_threads_are_made_on_first_use_only(make_bridge, call):
    def workers() -> int:
        return sum(t.name == "rewright-worker" for t in threading.enumerate())

    before = workers()
    bridge = make_bridge()
    assert workers() == before
    call(bridge, ["a dog"], ["a red dog"])
    call(bridge, ["a dog"], ["a blue dog"])
    assert workers() == before + 1


def test_score_of_a_slow_reward_within_the_deadline_is_kept(make_bridge, call):
    rewards, _, _ = call(make_bridge(reward=Slow(seconds=0.05)), ["a dog"], ["a red dog"])
    assert rewards[0] is not None


@pytest.mark.parametrize(
    "module", ["rewards", "rewards.base", "rewards.store", "rewards.compose", "rewards.bridge"]
)
def test_importing_rewards_loads_no_torch(module):
    code = f"import sys, {module}; sys.exit('torch' in sys.modules)"
    assert subprocess.run([sys.executable, "-c", code], timeout=60).returncode == 0


def test_bridge_is_exported_by_the_package():
    import rewards

    assert rewards.Bridge is Bridge
    with pytest.raises(AttributeError, match="no attribute 'Brigde'"):
        _ = rewards.Brigde
