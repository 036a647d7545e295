"""vLLM for real, on the embedded model: starting takes about half a minute, hence slow."""

from pathlib import Path

import pytest

from rewriter.llm import SamplingParams, TransformersBackend, VLLMBackend
from rewriter.models import resolve_base
from rewriter.schema import RewriterConfig
from rewriter.templates import load_template

pytestmark = pytest.mark.slow
PROMPTS = ["a pair of crimson discs", "one small blue star above two rings", "zwei rote Kreise"]


@pytest.fixture(scope="module")
def adapter(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A LoRA adapter on SmolLM2 that changes its answers."""
    import torch
    from peft import LoraConfig, get_peft_model
    from transformers import AutoModelForCausalLM

    folder = tmp_path_factory.mktemp("adapter")
    base = AutoModelForCausalLM.from_pretrained(resolve_base("smollm2"), dtype=torch.float32)
    with torch.random.fork_rng():
        torch.manual_seed(0)
        model = get_peft_model(base, LoraConfig(r=8, lora_alpha=16, target_modules=["q_proj", "v_proj"]))
        for name, weight in model.named_parameters():
            if "lora_B" in name:
                weight.data = 0.06 * torch.randn(weight.shape)
    model.save_pretrained(folder)
    RewriterConfig(template="shapes", dialect="shapes", base_model="smollm2", licence="Apache-2.0").save(
        folder
    )
    return folder


def test_an_adapter_in_vllm_says_what_it_says_in_transformers(adapter: Path, monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setenv("VLLM_CPU_KVCACHE_SPACE", "1")
    messages = [load_template("shapes").messages(p) for p in PROMPTS]
    params = SamplingParams(max_tokens=12)
    slow = TransformersBackend(str(adapter), "smollm2", device="cpu")
    base = TransformersBackend("smollm2", device="cpu")
    fast = VLLMBackend(str(adapter), "smollm2", max_model_len=128)
    sampled = SamplingParams(max_tokens=12, temperature=1.0, seed=5)
    answers, first, second = (
        fast.generate(messages, n, p) for n, p in ((1, params), (2, sampled), (2, sampled))
    )
    too_long = fast.generate([load_template("shapes").messages("ring " * 300), messages[0]], 1, params)
    fast.close()
    assert too_long == [[""], answers[0]]
    assert answers == slow.generate(messages, 1, params)
    assert answers != base.generate(messages, 1, params)
    assert first == second
    assert fast.tally.prompt_tokens > 0
