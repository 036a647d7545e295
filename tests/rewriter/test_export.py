"""A merged model answers as the adapter on its base did."""

from pathlib import Path

import pytest

from rewriter import Rewriter, RewriterConfig
from rewriter.export import merge
from rewriter.llm import SamplingParams, TransformersBackend
from rewriter.models import licence_of

ASK = [[{"role": "user", "content": "two red circles left of a star"}]]


@pytest.fixture(scope="module")
def adapter(tiny_model_dir: str, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A LoRA adapter that changes the answers: its B matrices are not zero."""
    import torch
    from peft import LoraConfig, get_peft_model
    from transformers import AutoModelForCausalLM

    folder = tmp_path_factory.mktemp("adapter")
    base = AutoModelForCausalLM.from_pretrained(tiny_model_dir)
    with torch.random.fork_rng():
        torch.manual_seed(1)
        model = get_peft_model(base, LoraConfig(r=4, target_modules="all-linear"))
        for name, weight in model.named_parameters():
            if "lora_B" in name:
                weight.data = torch.randn(weight.shape)
    model.save_pretrained(folder)
    RewriterConfig(template="shapes", dialect="shapes", base_model=tiny_model_dir, licence="Apache-2.0").save(
        folder
    )
    return folder


def test_merged_weights_give_the_adapters_text(adapter, tiny_model_dir, tmp_path):
    out = merge(adapter, tmp_path / "merged")
    params = SamplingParams(max_tokens=8)
    before = TransformersBackend(str(adapter), tiny_model_dir, device="cpu").generate(ASK, 1, params)
    assert TransformersBackend(str(out), device="cpu").generate(ASK, 1, params) == before
    assert before != TransformersBackend(tiny_model_dir, device="cpu").generate(ASK, 1, params)
    assert not (out / "adapter_config.json").exists()
    assert Rewriter.from_pretrained(str(out), "transformers").licence == "Apache-2.0"
    assert licence_of(str(out)) == "Apache-2.0"
    assert "fingerprint" in (out / "README.md").read_text()


def test_a_folder_that_is_not_empty_is_kept(adapter, tmp_path):
    (tmp_path / "mine.txt").write_text("mine")
    with pytest.raises(FileExistsError, match="is not empty; choose another folder"):
        merge(adapter, tmp_path)
    assert [p.name for p in tmp_path.iterdir()] == ["mine.txt"]


def test_a_folder_without_an_adapter_is_refused(tiny_model_dir, tmp_path):
    with pytest.raises(FileNotFoundError, match=r"holds no adapter \(adapter_config.json\)"):
        merge(tiny_model_dir, tmp_path / "out")
