"""The public sets as published, where `REWRIGHT_PUBLIC_DATA` names a folder with them; skipped elsewhere."""

import os
from pathlib import Path

import pytest

from rewriter.datasets import read_prompts
from rewriter.keypoints import from_unigenbench

ROOT = os.environ.get("REWRIGHT_PUBLIC_DATA")
pytestmark = pytest.mark.skipif(
    not ROOT, reason="REWRIGHT_PUBLIC_DATA is not set: the public prompt sets are not part of the repository"
)

FILES = [
    ("geneval/evaluation_metadata.jsonl", 553), ("t2i_r1/geneval_and_t2i_data_final.jsonl", 7223), ("t2i_compbench/color_train.txt", 700),
    ("t2i_compbench/numeracy_val.txt", 300), ("unigenbench/test_prompts_en.csv", 600), ("unigenbench/test_prompts_zh.csv", 600),
    ("unigenbench/train_prompt.txt", 10_000), ("vbench/VBench_full_info.json", 946), ("dsg/dsg-1k-anns.csv", 1059),
]  # fmt: skip


@pytest.mark.parametrize(("name", "rows"), FILES)
def test_published_files_have_their_published_size(name: str, rows: int):
    read = read_prompts(Path(ROOT or "") / name, duplicates="keep")
    assert len(read) == rows
    assert {row.licence for row in read} <= {"MIT", "Apache-2.0", "CC-BY-4.0"}


@pytest.mark.parametrize("language", ["en", "zh"])
def test_all_1813_unigenbench_labels_are_known(language: str):
    rows = read_prompts(Path(ROOT or "") / f"unigenbench/test_prompts_{language}.csv", duplicates="keep")
    labels = [from_unigenbench(tag) for row in rows for tag in row.tags]
    assert len(labels) == 1813
    assert {row.language for row in rows} == {language}
