"""The back ends: transformers on a random two-layer Llama, OpenAI-compatible servers over a mock transport."""

import json
from collections import Counter

import httpx
import numpy as np
import pytest
import stamina

from rewriter.llm import LLMError, OpenAIBackend, SamplingParams, TransformersBackend, row_seed

ASK = [
    [{"role": "user", "content": text}]
    for text in ("a red circle", "two blue star and one ring left of a square", "no star")
]


@pytest.fixture(scope="module")
def backend(tiny_model_dir: str) -> TransformersBackend:
    return TransformersBackend(tiny_model_dir, device="cpu")


def test_greedy_answers_do_not_depend_on_the_batch(backend: TransformersBackend):
    together = backend.generate(ASK, 1, SamplingParams(max_tokens=6))
    alone = [backend.generate([m], 1, SamplingParams(max_tokens=6))[0] for m in ASK]
    assert together == alone
    assert all(len(texts) == 1 for texts in together)


def test_seeded_samples_repeat_differ_and_do_not_depend_on_the_batch(backend: TransformersBackend):
    params = SamplingParams(max_tokens=6, temperature=1.0, seed=3)
    first = backend.generate(ASK, 3, params)
    backend.batch_size = 2
    second = backend.generate(ASK, 3, params)
    backend.batch_size = 32
    assert first == second
    assert len({text for texts in first for text in texts}) > 3
    assert first != backend.generate(ASK, 3, SamplingParams(max_tokens=6, temperature=1.0, seed=4))


def test_sampling_leaves_torchs_random_state_alone(backend: TransformersBackend):
    import torch

    before = torch.get_rng_state()
    backend.generate(ASK[:1], 1, SamplingParams(max_tokens=3, temperature=1.0))
    assert torch.equal(before, torch.get_rng_state())


def test_samples_follow_the_models_distribution(backend: TransformersBackend):
    """First tokens of 600 samples against softmax(logits): total variation below 3 standard deviations of chance."""
    import torch

    ids = backend.tokenizer.apply_chat_template(
        ASK[0], add_generation_prompt=True, return_tensors="pt", return_dict=False
    )
    with torch.no_grad():
        wanted = torch.softmax(backend._net(ids).logits[0, -1].float(), -1).numpy()
    backend.batch_size = 600
    texts = backend.generate(ASK[:1], 600, SamplingParams(max_tokens=1, temperature=1.0, seed=0))[0]
    backend.batch_size = 32
    counts = Counter(texts)
    end = counts.pop("", 0) / 600  # the end token decodes to nothing
    assert end == pytest.approx(wanted[backend.tokenizer.eos_token_id], abs=3 * np.sqrt(0.02 / 600))
    words = {
        backend.tokenizer.decode([i]): p for i, p in enumerate(wanted) if i != backend.tokenizer.eos_token_id
    }
    distance = 0.5 * sum(abs(counts.get(w, 0) / 600 - p) for w, p in words.items())
    expected = 0.5 * sum(np.sqrt(2 / np.pi * p * (1 - p) / 600) for p in words.values())
    assert distance < 1.6 * expected


def test_top_p_leaves_the_tail_out(backend: TransformersBackend):
    texts = backend.generate(ASK[:1], 64, SamplingParams(max_tokens=1, temperature=1.0, top_p=1e-6, seed=0))[
        0
    ]
    assert set(texts) == set(backend.generate(ASK[:1], 1, SamplingParams(max_tokens=1))[0])


def test_tokens_are_counted(tiny_model_dir: str):
    backend = TransformersBackend(tiny_model_dir, device="cpu")
    backend.generate(ASK[:1], 2, SamplingParams(max_tokens=4))
    assert backend.tally.prompt_tokens == 2 * len(
        backend.tokenizer.apply_chat_template(ASK[0], add_generation_prompt=True, return_dict=False)
    )
    assert 2 <= backend.tally.completion_tokens <= 8


@pytest.mark.parametrize("fields", [{"max_tokens": 0}, {"temperature": -1}, {"top_p": 0.0}, {"top_p": 1.1}])
def test_impossible_sampling_is_refused(fields):
    with pytest.raises(ValueError, match="max_tokens must be"):
        SamplingParams(**fields)


def test_row_seeds_are_stable_across_processes():
    assert row_seed(1, "a", 2) == 436969018
    assert len({row_seed(1, "a", k) for k in range(100)}) == 100


def server(answers: list[httpx.Response | Exception]) -> tuple[OpenAIBackend, list[dict]]:
    seen: list[dict] = []

    def answer(request: httpx.Request) -> httpx.Response:
        seen.append({"body": json.loads(request.content), "key": request.headers.get("authorization")})
        reply = answers[min(len(seen), len(answers)) - 1]
        if isinstance(reply, Exception):
            raise reply
        return reply

    client = httpx.Client(transport=httpx.MockTransport(answer))
    return OpenAIBackend("http://llm/v1/", "m", api_key="k", client=client), seen


def ok(*texts: str) -> httpx.Response:
    choices = [{"message": {"content": text}} for text in texts]
    return httpx.Response(
        200, json={"choices": choices, "usage": {"prompt_tokens": 5, "completion_tokens": 7}}
    )


@pytest.fixture(autouse=True)
def _no_waiting():
    with stamina.set_testing(True, attempts=3, cap=True):
        yield


def test_an_openai_server_is_asked_in_its_form():
    backend, seen = server([ok("two", "three")])
    assert backend.generate(ASK[:1], 2, SamplingParams(9, 0.5, 0.9, 4)) == [["two", "three"]]
    body = {
        "model": "m",
        "messages": ASK[0],
        "n": 2,
        "max_tokens": 9,
        "temperature": 0.5,
        "top_p": 0.9,
        "seed": 4,
    }
    assert seen == [{"body": body, "key": "Bearer k"}]
    assert (backend.tally.prompt_tokens, backend.tally.completion_tokens) == (5, 7)


@pytest.mark.parametrize(
    "first",
    [httpx.Response(503), httpx.Response(429), httpx.ConnectError("refused"), httpx.ReadTimeout("slow")],
)
def test_transport_errors_and_overload_are_asked_again(first):
    backend, seen = server([first, ok("two")])
    assert backend.generate(ASK[:1]) == [["two"]]
    assert len(seen) == 2


def test_retries_end():
    backend, seen = server([httpx.ConnectError("refused")])
    with pytest.raises(
        LLMError, match=r"http://llm/v1/chat/completions gave no answer in 3 attempts: ConnectError"
    ):
        backend.generate(ASK[:1])
    assert len(seen) == 3


def test_a_servers_no_is_not_asked_again():
    backend, seen = server([httpx.Response(404, text="no such model")])
    with pytest.raises(LLMError, match="answered 404: no such model"):
        backend.generate(ASK[:1])
    assert len(seen) == 1


@pytest.mark.parametrize(
    "reply",
    [httpx.Response(200, text="<html>"), httpx.Response(200, json={"x": 1}), httpx.Response(200, json=[1])],
)
def test_what_is_no_chat_completion_is_an_error(reply):
    with pytest.raises(LLMError, match="did not answer with a chat completion"):
        server([reply])[0].generate(ASK[:1])


def test_a_wrong_number_of_choices_is_an_error():
    with pytest.raises(LLMError, match="returned 1 choices where 2 were asked for"):
        server([ok("two")])[0].generate(ASK[:1], 2)


def test_a_missing_content_is_an_empty_answer():
    reply = httpx.Response(200, json={"choices": [{"message": {"content": None}}]})
    assert server([reply])[0].generate(ASK[:1]) == [[""]]
