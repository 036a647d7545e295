"""Prompt files: what is read, and what is refused with which words."""

import json
from pathlib import Path

import pytest

from rewriter.datasets import PromptFileError, PromptRow, overlap, read_prompts, to_grpo_rows, to_sft_rows
from rewriter.schema import Rewrite
from rewriter.templates import load_template


def put(tmp_path: Path, name: str, content: str | bytes) -> Path:
    path = tmp_path / name
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_bytes(content.encode() if isinstance(content, str) else content)
    return path


def test_a_text_file_is_one_prompt_per_line(tmp_path):
    rows = read_prompts(put(tmp_path, "p.txt", "a red circle\n\n  two stars  \r\n"))
    assert [(r.id, r.prompt) for r in rows] == [("p:1", "a red circle"), ("p:3", "two stars")]
    assert rows[0].licence == "unknown"


def test_jsonl_keeps_spec_id_licence_and_tags(tmp_path):
    line = {
        "id": 7,
        "prompt": "a star",
        "spec": {"objects": [{"shape": "star"}]},
        "license": "MIT",
        "tags": ["size"],
        "mine": 1,
    }
    row = read_prompts(put(tmp_path, "p.jsonl", json.dumps(line) + "\n"))[0]
    assert row == PromptRow(
        "7", "a star", {"objects": [{"shape": "star"}]}, "MIT", "p.jsonl", None, ("size",)
    )


def test_line_separators_inside_a_json_text_do_not_split_it(tmp_path):
    line = json.dumps({"prompt": "a\u2028b"}, ensure_ascii=False)
    assert read_prompts(put(tmp_path, "p.jsonl", line + "\n"))[0].prompt == "a\u2028b"


def test_csv_tsv_and_json_lists_are_read(tmp_path):
    csv = put(tmp_path, "p.csv", 'prompt,spec,licence\n"a ""big"" star, red","{""objects"": []}",MIT\n')
    assert read_prompts(csv)[0].prompt == 'a "big" star, red'
    assert read_prompts(csv)[0].spec == {"objects": []}
    assert read_prompts(put(tmp_path, "p.tsv", "id\tprompt\nx\ta star\n"))[0].id == "x"
    assert read_prompts(put(tmp_path, "p.json", '[{"prompt": "a"}, {"prompt": "b"}]'))[1].prompt == "b"


def test_a_byte_order_mark_is_no_part_of_the_prompt(tmp_path):
    assert read_prompts(put(tmp_path, "p.txt", "\ufeffa star\n"))[0].prompt == "a star"


def test_limit_takes_the_first_rows(tmp_path):
    assert len(read_prompts(put(tmp_path, "p.txt", "a\nb\nc\n"), limit=2)) == 2


BAD = [
    ("p.jsonl", "", "is empty"),
    ("p.txt", " \n\n", "holds no prompt"),
    ("p.txt", b"\x00\x01\x02PNG", "is a binary file"),
    ("p.txt", "grün\n".encode("latin-1"), "line 1: byte 0xfc is not UTF-8"),
    ("p.txt", b"ok\nok2\n" + b"\xff\xfe", "line 3: byte 0xff is not UTF-8"),
    ("p.jsonl", '{"prompt": "a"}\n{"prompt": "b"\n', "line 2 is not valid JSON"),
    ("p.jsonl", '{"prompt": "a"}\n"b"\n', "line 2: expected an object"),
    ("p.jsonl", '{"promt": "a"}\n', "line 1: no 'prompt'; it has 'promt'"),
    ("p.jsonl", '{"prompt": 3}\n', "'prompt' must be a text, got int"),
    ("p.jsonl", '{"prompt": "  "}\n', "line 1: the prompt is empty"),
    ("p.jsonl", '{"prompt": "a", "spec": [1]}\n', "'spec' must be an object, got list"),
    ("p.jsonl", '{"prompt": "a", "spec": "{"}\n', "line 1 is not valid JSON"),
    ("p.jsonl", json.dumps({"prompt": "x" * 20_001}), "has 20,001 characters; the limit is 20,000"),
    ("p.jsonl", '{"id": 1, "prompt": "a"}\n{"id": 1, "prompt": "b"}\n', "the id '1' occurs twice"),
    ("p.jsonl", "[" * 100_000, "line 1 is not valid JSON"),
    ("p.json", '{"prompt": "a"}', "must hold a JSON list"),
    ("p.csv", "text\na\n", "no 'prompt'"),
    ("p.csv", 'prompt\n"a\n', "not a valid table"),
    ("p.jsonl", '{"prompt": "a", "tags": 5}', "line 1: 'tags' must be a list of texts"),
    ("p.jsonl", '{"prompt": "a", "tags": {"x": 1}}', "line 1: 'tags' must be a list of texts"),
    ("p.jsonl", '{"prompt": "a", "language": 5}', "line 1: 'language' must be a text"),
    ("p.jsonl", '{"prompt": "a \\ud800 b"}', "line 1: the prompt holds a NUL or half of a surrogate pair"),
    ("p.jsonl", '{"prompt": "a \\u0000 b"}', "line 1: the prompt holds a NUL or half of a surrogate pair"),
    ("p.jsonl", '{"prompt": "a", "id": "\\udfff"}', "line 1: half of a surrogate pair in 'id'"),
    ("p.txt", b"a star\n" * 10_000 + b"a \x00 ring\n", "line 10001: the prompt holds a NUL"),
    ("p.parquet", "PAR1", "unknown kind '.parquet'"),
]


@pytest.mark.parametrize(("name", "content", "message"), BAD)
def test_a_bad_file_is_refused_with_file_line_and_reason(tmp_path, name, content, message):
    path = put(tmp_path, name, content)
    with pytest.raises(PromptFileError) as refused:
        read_prompts(path)
    assert message in str(refused.value)
    assert str(path) in str(refused.value)


def test_a_misspelt_key_is_named_once_with_the_closest_known_one(tmp_path, caplog):
    lines = '{"prompt": "a", "spcs": {"objects": []}, "mine": 1}\n{"prompt": "b", "spcs": {}}\n'
    assert len(read_prompts(put(tmp_path, "p.jsonl", lines))) == 2
    (warning,) = [r.getMessage() for r in caplog.records if r.levelname == "WARNING"]
    assert "not read: 'mine', 'spcs' (did you mean 'spec'?)" in warning
    caplog.clear()
    read_prompts(put(tmp_path, "q.jsonl", '{"prompt": "a", "spec": {"objects": []}}\n'))
    assert not caplog.records


def test_a_folder_a_missing_and_a_huge_file_are_refused(tmp_path):
    for path, message in ((tmp_path, "is a folder"), (tmp_path / "no.txt", "does not exist")):
        with pytest.raises(PromptFileError, match=message):
            read_prompts(path)
    with pytest.raises(PromptFileError, match="has 0 MiB; the limit is 0 MiB: split it"):
        read_prompts(put(tmp_path, "p.txt", "a star\n" * 100), max_bytes=100)


def test_repeated_prompts_are_dropped_kept_or_refused(tmp_path):
    path = put(tmp_path, "p.txt", "a star\na ring\na star\n")
    assert [r.prompt for r in read_prompts(path)] == ["a star", "a ring"]
    assert len(read_prompts(path, duplicates="keep")) == 3
    with pytest.raises(PromptFileError, match="'p:3' repeats 'p:1'"):
        read_prompts(path, duplicates="error")


def test_the_same_prompt_with_another_spec_is_no_repetition(tmp_path):
    path = put(tmp_path, "p.jsonl", '{"prompt": "a", "spec": {"n": 1}}\n{"prompt": "a", "spec": {"n": 2}}\n')
    assert len(read_prompts(path)) == 2


def test_rows_become_trl_rows():
    template = load_template("shapes")
    row = PromptRow("r1", "a pair of discs", {"objects": [{"count": 2}]})
    assert to_grpo_rows([row], template) == [
        {"prompt": template.messages("a pair of discs"), "prompt_text": "a pair of discs", "spec": '{"objects": [{"count": 2}]}', "row_id": "r1"}
    ]  # fmt: skip
    assert to_grpo_rows([PromptRow("r2", "x")], template)[0]["spec"] is None
    sft = to_sft_rows([(row, Rewrite(prompt="two circles"))], template)[0]
    assert sft["completion"] == [{"role": "assistant", "content": "two circles"}]


SETS = [
    ("geneval.jsonl", '{"tag": "counting", "include": [{"class": "cow", "count": 2}], "prompt": "a photo of two cows"}\n',
     "geneval", "MIT", "eval", ("counting",)),
    ("t2i.jsonl", '{"prompt": "a car below a zebra", "nouns": ["car"], "spatial_info": {}, "task_type": "spatial"}\n',
     "t2i_r1", "Apache-2.0", "train", ("spatial",)),
    ("color_val.txt", "a green bench\n", "t2i_compbench/color_val", "MIT", "eval", ("color",)),
    ("3d_spatial_train.txt", "a bench behind a car\n", "t2i_compbench/3d_spatial_train", "MIT", "train", ("3d_spatial",)),
    ("u.csv", 'index,prompt_en,sub_dims_en\n0,"two pandas, drawn","{""Testpoints"": [""Style""], ""Testpoint Description"": [""x""]}"\n',
     "unigenbench/en", "CC-BY-4.0", "eval", ("Style",)),
    ("u.csv", 'index,prompt_zh_long,sub_dims_zh_long\n0,两只熊猫,"{""考点"": [""语法-否定""]}"\n',
     "unigenbench/zh_long", "CC-BY-4.0", "eval", ("Grammar - Negation",)),
    ("unigenbench/train_prompt.txt", "Please draw a whale.\n", "unigenbench/train", "CC-BY-4.0", "train", ()),
    ("VBench_full_info.json", '[{"prompt_en": "a stop sign", "dimension": ["temporal_flickering"]}]', "vbench", "Apache-2.0", "eval",
     ("temporal_flickering",)),
]  # fmt: skip


@pytest.mark.parametrize(("name", "content", "source", "licence", "use", "tags"), SETS)
def test_public_sets_are_recognised_by_content(tmp_path, name, content, source, licence, use, tags):
    row = read_prompts(put(tmp_path, name, content))[0]
    assert (row.source, row.licence, row.use, row.tags) == (source, licence, use, tags)
    assert row.id.startswith(source)


def test_dsg_questions_are_gathered_under_their_prompt(tmp_path):
    head = "item_id,text,keywords,proposition_id,dependency,category_broad,category_detailed,tuple,question_natural_language\n"
    body = 'whoops_5,a cube,cube,1,0,entity,whole,t1,Is there a cube?\nwhoops_5,a cube,red,2,"1",attribute,color,t2,Is it red?\n'
    (row,) = read_prompts(put(tmp_path, "dsg.csv", head + body))
    assert row.id == "dsg:whoops_5"
    assert [(q["id"], q["depends_on"]) for q in row.spec["questions"]] == [(1, []), (2, [1])]


def test_training_refuses_rows_of_a_test_set(tmp_path):
    rows = read_prompts(put(tmp_path, "color_val.txt", "a green bench\n"))
    with pytest.raises(PromptFileError, match="belongs to a test set"):
        to_grpo_rows(rows, load_template("shapes"))
    with pytest.raises(PromptFileError, match="belongs to a test set"):
        to_sft_rows([(rows[0], Rewrite(prompt="a bench"))], load_template("shapes"))


def test_overlap_finds_shared_sequences_and_short_repeats():
    test_set = [
        PromptRow("t1", "a photo of one two three four five six seven"),
        PromptRow("t2", "a Red bench"),
    ]
    rows = [
        PromptRow("a", "x one two three four five six seven of"),
        PromptRow("b", "a red bench"),
        PromptRow("c", "a red chair"),
    ]
    assert overlap(rows, test_set, n=7) == {"a", "b"}
