"""The parser is total, and takes only what is a prompt."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from rewriter.parsing import FAILURES, ParseFailure, parse
from rewriter.schema import Rewrite

PLAIN = [
    ("two red circles", "two red circles"),
    ("  two red circles \n", "two red circles"),
    ('"two red circles"', "two red circles"),
    ("“two red circles”", "two red circles"),
    ("```\ntwo red circles\n```", "two red circles"),
    ("```text\ntwo red circles\n```", "two red circles"),
    ('"Bonjour"', '"Bonjour"'),  # one quoted word is a text to draw
    ('"A" above "B"', '"A" above "B"'),
    ("it's the dog's bowl", "it's the dog's bowl"),
    ("a clock that says ten past ten", "a clock that says ten past ten"),
    ("a sorry-looking dog, sure of itself", "a sorry-looking dog, sure of itself"),
    ("here comes the sun, poster", "here comes the sun, poster"),
    ("a robot; as an artist it paints", "a robot; as an artist it paints"),
]

FAILS = [
    ("", "empty"), (" \n\t ", "empty"), ('""', None), ("a\nb", "multiline"), ("one red circle\n\nI hope this helps", "multiline"),
    ("<think>two</think>", "stray_tag"), ("<answer>two red circles</answer>", "stray_tag"), ("two red circles</answer>", "stray_tag"),
    ("two red circles<|im_end|>", "role_tokens"), ("<|im_start|>user\nhello", "role_tokens"), ("[INST] draw [/INST]", "role_tokens"),
    ("<start_of_turn>model", "role_tokens"),
    ("```\ntwo red circles", "code_fence"), ("text ```code``` text", "code_fence"),
    ("I'm sorry, but I can't help with that.", "refusal"), ("As an AI language model, I cannot draw.", "refusal"),
    ("I cannot create this image.", "refusal"), ("Sorry, no.", "refusal"), ("Unfortunately, I am not able to do that", "refusal"),
    ("I’m unable to comply", "refusal"), ("抱歉，我无法生成", "refusal"),
    ("This cannot be done: as an AI model I have no eyes", "refusal"),
    ("Sure! two red circles", "preamble"), ("Here is the rewritten prompt: two red circles", "preamble"),
    ("Here's your improved prompt:", "preamble"), ("Rewritten prompt: two red circles", "preamble"), ("Prompt: two red circles", "preamble"),
    ("Certainly, here you go", "preamble"),
    ("\ud800", "not_text"), ("a\x00b", "not_text"), ("x" * 20_001, "too_long"),
]  # fmt: skip

THINK = [
    (
        "<think>count them</think><answer>two red circles</answer>",
        Rewrite(prompt="two red circles", think="count them"),
    ),
    (
        "<think>a\nb</think>\n<answer>\ntwo red circles\n</answer>\n",
        Rewrite(prompt="two red circles", think="a\nb"),
    ),
    ("<answer>two red circles</answer>", Rewrite(prompt="two red circles")),
    ("<think></think><answer>two</answer>", Rewrite(prompt="two", think="")),
    ("<answer>draft</answer> better: <answer>two red circles</answer>", Rewrite(prompt="two red circles")),
    (
        "<think>the form is <answer>x</answer></think><answer>two</answer>",
        Rewrite(prompt="two", think="the form is <answer>x</answer>"),
    ),
    ('<answer>"two red circles"</answer>', Rewrite(prompt="two red circles")),
]

THINK_FAILS = [
    ("<think>count them", "unclosed_think"), ("<think>count them<answer>two</answer>", "unclosed_think"),
    ("<think>a</think>two red circles", "no_answer"), ("two red circles", "no_answer"),
    ("<think>a</think><answer>two red", "unclosed_answer"), ("<answer>a</answer> and more", "trailing_text"),
    ("<answer>one <answer>two</answer>", "stray_tag"), ("<answer>a</answer></answer>", "trailing_text"),
    ("<think><answer>two</answer></think>", "no_answer"), ("<think>a<think>b</think><answer>c</answer>", "stray_tag"),
    ("<answer></answer>", "empty"), ("<answer> \n </answer>", "empty"), ("a</think><answer>two</answer>", "stray_tag"),
    ("<ANSWER>two</ANSWER>", "stray_tag"), ("<answer>I'm sorry, I can't do that.</answer>", "refusal"),
    ("I'm sorry, I can't do that.", "refusal"), ("<answer>a<|im_end|></answer>", "role_tokens"),
    ("<answer>a\nb</answer>", "multiline"),
]  # fmt: skip


@pytest.mark.parametrize(("text", "prompt"), PLAIN)
def test_plain_answers_are_read(text: str, prompt: str):
    assert parse(text) == Rewrite(prompt=prompt)


@pytest.mark.parametrize(("text", "reason"), [row for row in FAILS if row[1]])
def test_what_is_no_prompt_fails_with_its_reason(text: str, reason: str):
    assert parse(text) == ParseFailure(reason)


@pytest.mark.parametrize(("text", "rewrite"), THINK)
def test_reasoned_answers_are_read(text: str, rewrite: Rewrite):
    assert parse(text, "think_answer") == rewrite


@pytest.mark.parametrize(("text", "reason"), THINK_FAILS)
def test_broken_reasoned_answers_fail_with_their_reason(text: str, reason: str):
    assert parse(text, "think_answer") == ParseFailure(reason)


@pytest.mark.parametrize("value", [None, 3, b"two red circles", ["two"]])
def test_what_is_no_text_fails(value: object):
    assert parse(value) == ParseFailure("not_text")


_PIECES = st.sampled_from(
    ["<think>", "</think>", "<answer>", "</answer>", "< answer", "```", '"', "“", "”", "\n", "<|im_end|>", "I'm sorry", "As an AI",
     "two red circles", "Here is the prompt:", "\x00", "\ud83d", "提示", "'", " "]
)  # fmt: skip


@given(
    st.one_of(st.text(), st.lists(_PIECES, max_size=12).map("".join)),
    st.sampled_from(["plain", "think_answer"]),
)
def test_any_text_gives_a_clean_prompt_or_a_known_reason(text, form):
    result = parse(text, form)
    if isinstance(result, ParseFailure):
        assert result.reason in FAILURES
        assert FAILURES[result.reason] in str(result)
    else:
        assert result.prompt.strip() == result.prompt != ""
        assert "\n" not in result.prompt
        assert not any(mark in result.prompt for mark in ("<think", "<answer", "</", "<|im_end|>", "```"))


@given(st.text(alphabet='<>/thinkanswer|im_ed`"\n', max_size=3000))
def test_tag_like_noise_is_no_problem(text):
    assert parse(text, "think_answer") is not None


@pytest.mark.parametrize("form", ["plain", "think_answer"])
@pytest.mark.parametrize(
    "noise",
    ["<answer>" * 2400, "<think>" * 2800, "``" * 9000, "score " * 3300, "«" * 19000, "here is " * 2400],
)
def test_hostile_repetition_is_read_in_linear_time(form, noise):
    import time

    start = time.process_time()
    parse(noise, form)
    assert time.process_time() - start < 0.5
