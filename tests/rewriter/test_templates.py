"""One template everywhere: the token ids of data building, SFT, GRPO, vLLM and the server are the same, and are committed."""

import json
import sys
from types import ModuleType, SimpleNamespace

import pytest
from hypothesis import given
from hypothesis import strategies as st

from rewriter.datasets import PromptRow, to_grpo_rows, to_sft_rows
from rewriter.dialects import dialect_names, load_dialect
from rewriter.llm import OpenAIBackend, SamplingParams, TransformersBackend, VLLMBackend
from rewriter.models import embedded_gguf, load_tokenizer
from rewriter.parsing import ParseFailure, parse
from rewriter.schema import Rewrite
from rewriter.templates import load_template, template_names

GOLDEN = "rewriter_token_ids.json"
PROMPTS = [
    "a pair of crimson discs, nothing else",
    "zwei rote Kreise",
    "三个红色圆形",
    'letter "A" (red:1.2) <lora:x:1>',
    " two  spaces ",
]
REWRITE = "two red circles; white background"


@pytest.fixture(scope="module")
def smollm2():
    try:
        embedded_gguf("smollm2")
    except FileNotFoundError as missing:
        pytest.skip(str(missing))
    return load_tokenizer("smollm2")


@pytest.fixture(scope="module")
def golden(request):
    from pathlib import Path

    return json.loads((Path(__file__).parent.parent / "golden" / GOLDEN).read_text(encoding="utf-8"))


def test_the_embedded_template_costs_as_many_tokens_as_committed(smollm2, golden):
    template = load_template("shapes")
    assert template.fingerprint == golden["fingerprint"]
    assert len(template.prompt_ids(smollm2, "")) == golden["overhead"] <= 24


@pytest.mark.parametrize("prompt", PROMPTS)
def test_prompt_ids_are_the_committed_ones(smollm2, golden, prompt):
    ids = load_template("shapes").prompt_ids(smollm2, prompt)
    assert ids == golden["prompts"][prompt]
    assert (
        ids.count(smollm2.bos_token_id) == 3
    )  # <|im_start|> opens system, user and assistant; no second BOS


@pytest.mark.parametrize("prompt", PROMPTS)
def test_every_way_to_the_model_gives_the_same_ids(smollm2, golden, prompt, monkeypatch):
    template = load_template("shapes")
    row = PromptRow("r", prompt)
    grpo = to_grpo_rows([row], template)[0]
    sft = to_sft_rows([(row, Rewrite(prompt=REWRITE))], template)[0]
    text = smollm2(template.prompt_text(smollm2, prompt), add_special_tokens=False)["input_ids"]
    ways = {
        "grpo": smollm2.apply_chat_template(grpo["prompt"], add_generation_prompt=True, return_dict=False),
        "sft": smollm2.apply_chat_template(sft["prompt"], add_generation_prompt=True, return_dict=False),
        "text": text,
        "vllm": _ids_given_to_vllm(smollm2, template.messages(prompt), monkeypatch),
        "transformers": _ids_given_to_transformers(smollm2, template.messages(prompt)),
        "server": smollm2.apply_chat_template(
            _messages_posted(template.messages(prompt)), add_generation_prompt=True, return_dict=False
        ),
    }
    assert {name: ids == golden["prompts"][prompt] for name, ids in ways.items()} == dict.fromkeys(ways, True)


def test_trl_trains_on_the_same_prompt_ids_and_on_the_completion_only(
    smollm2, golden, tiny_model_dir, tmp_path
):
    """The real SFTTrainer prepares the rows; nothing is trained."""
    from datasets import Dataset
    from transformers import LlamaConfig, LlamaForCausalLM
    from trl import SFTConfig, SFTTrainer

    template = load_template("shapes")
    rows = to_sft_rows(
        [(PromptRow(str(i), p), Rewrite(prompt=REWRITE)) for i, p in enumerate(PROMPTS)], template
    )
    config = LlamaConfig(
        vocab_size=len(smollm2), hidden_size=4, intermediate_size=4, num_hidden_layers=1, num_attention_heads=1, head_dim=4, num_key_value_heads=1
    )  # fmt: skip
    arguments = SFTConfig(
        output_dir=str(tmp_path), use_cpu=True, bf16=False, gradient_checkpointing=False, report_to="none"
    )
    trainer = SFTTrainer(
        LlamaForCausalLM(config), arguments, train_dataset=Dataset.from_list(rows), processing_class=smollm2
    )
    for prompt, row in zip(PROMPTS, trainer.train_dataset, strict=True):
        asked = golden["prompts"][prompt]
        assert row["input_ids"][: len(asked)] == asked
        assert row["input_ids"][len(asked) :] == golden["completion"]
        assert row["labels"] == [-100] * len(asked) + golden["completion"]


def test_the_end_of_the_answer_is_the_tokenizers_end(smollm2, golden):
    assert smollm2.eos_token_id == 2
    assert smollm2.eos_token_id in golden["completion"]
    assert smollm2.pad_token_id != smollm2.eos_token_id
    assert smollm2.decode(smollm2.encode("a ring , a star .")) == "a ring , a star ."


def test_golden_file_is_up_to_date_with_its_generator(smollm2, golden):
    assert golden == make_golden(smollm2)


def make_golden(tokenizer) -> dict[str, object]:
    """The committed file's content; written by `python -m tests.rewriter.test_templates` after a deliberate change."""
    template = load_template("shapes")
    prompts = {prompt: template.prompt_ids(tokenizer, prompt) for prompt in PROMPTS}
    asked = template.messages(PROMPTS[0])
    answered = tokenizer.apply_chat_template(
        [*asked, {"role": "assistant", "content": REWRITE}], return_dict=False
    )
    return {
        "fingerprint": template.fingerprint,
        "overhead": len(template.prompt_ids(tokenizer, "")),
        "prompts": prompts,
        "completion": answered[len(prompts[PROMPTS[0]]) :],
    }


@pytest.mark.parametrize("name", template_names())
def test_templates_load_and_their_fingerprints_differ(name):
    template = load_template(name)
    assert template.system == template.system.strip() != ""
    assert [m["role"] for m in template.messages("a cat")] == ["system", "user"]
    assert template.messages("a cat")[1]["content"] == "a cat"
    others = [load_template(other).fingerprint for other in template_names() if other != name]
    assert template.fingerprint not in others


def test_an_unknown_template_names_the_known_ones():
    with pytest.raises(ValueError, match=r"unknown template 'shape'; known: .*shapes"):
        load_template("shape")


@given(st.text(), st.one_of(st.none(), st.text()), st.sampled_from(template_names()))
def test_what_a_completion_says_is_read_back_or_refused(prompt, think, name):
    template = load_template(name)
    if template.answer == "plain":
        think = None
    try:
        rewrite = Rewrite(prompt=prompt, think=think)
        text = template.completion(rewrite)
    except ValueError:
        return
    assert parse(text, template.answer) == rewrite


def test_a_rewrite_that_the_form_cannot_carry_is_refused():
    with pytest.raises(ValueError, match="does not survive the form 'plain'"):
        load_template("shapes").completion(Rewrite(prompt="two\nlines"))
    assert isinstance(parse("two\nlines"), ParseFailure)


@pytest.mark.parametrize("name", dialect_names())
def test_every_dialect_has_a_template_and_sensible_limits(name):
    dialect = load_dialect(name)
    assert load_template(dialect.template)
    assert dialect.about
    assert dialect.max_tokens is None or dialect.max_words <= dialect.max_tokens
    assert dialect.skip_above_words <= dialect.max_prompt_chars // 5


def test_clip_dialects_have_77_tokens_and_the_embedded_one_40_words():
    assert [load_dialect(n).max_tokens for n in ("sd15", "sdxl")] == [77, 77]
    assert load_dialect("shapes").max_words == 40


def test_an_unknown_dialect_names_the_known_ones():
    with pytest.raises(ValueError, match=r"unknown dialect 'sdxxl'; known: .*sdxl"):
        load_dialect("sdxxl")


def _ids_given_to_vllm(tokenizer, messages, monkeypatch) -> list[int]:
    seen: list[int] = []

    def generate(prompts, sampling, **_):
        seen.extend(prompts[0]["prompt_token_ids"])
        completion = SimpleNamespace(text="two red circles<|im_end|>", token_ids=[1])
        return [SimpleNamespace(prompt_token_ids=prompts[0]["prompt_token_ids"], outputs=[completion])]

    stub = ModuleType("vllm")
    stub.SamplingParams = lambda **fields: SimpleNamespace(**fields)
    monkeypatch.setitem(sys.modules, "vllm", stub)
    backend = object.__new__(VLLMBackend)
    backend.name, backend.tokenizer, backend._lora, backend.tally = (
        "stub",
        tokenizer,
        None,
        SimpleNamespace(prompt_tokens=0, completion_tokens=0),
    )
    backend.max_model_len = 1024
    backend._engine = SimpleNamespace(generate=generate)
    assert backend.generate([messages]) == [["two red circles"]]
    return seen


def _ids_given_to_transformers(tokenizer, messages) -> list[int]:
    seen: list[int] = []
    backend = object.__new__(TransformersBackend)
    backend.name, backend.tokenizer, backend.batch_size = "stub", tokenizer, 4
    backend._batch = lambda ids, seeds, params: seen.extend(ids[0]) or ["two red circles"]
    backend.generate([messages], 1, SamplingParams())
    return seen


def _messages_posted(messages) -> list[dict[str, str]]:
    import httpx

    posted: list[dict[str, str]] = []

    def answer(request: httpx.Request) -> httpx.Response:
        posted.extend(json.loads(request.content)["messages"])
        return httpx.Response(200, json={"choices": [{"message": {"content": "two red circles"}}]})

    client = httpx.Client(transport=httpx.MockTransport(answer))
    OpenAIBackend("http://llm/v1", "m", client=client).generate([messages])
    return posted


if __name__ == "__main__":
    from pathlib import Path

    target = Path(__file__).parent.parent / "golden" / GOLDEN
    target.parent.mkdir(exist_ok=True)
    target.write_text(
        json.dumps(make_golden(load_tokenizer("smollm2")), ensure_ascii=False) + "\n", encoding="utf-8"
    )
