"""Every packaged configuration parses; every bad one gets one message that names the key, and exit code 2."""

import json
from pathlib import Path

import pytest

from recipes.configuration import (
    CONFIGS,
    ConfigError,
    config_names,
    parse_arguments,
    read_yaml,
    resolve_config,
)
from recipes.train import RECIPES, main

GOOD = """
recipe: rewriter_grpo
output_dir: {folder}
prompts: shapes
max_steps: 4
per_device_train_batch_size: 8
num_generations: 4
use_cpu: true
bf16: false
"""


def classes_of(recipe: str) -> tuple[type, ...]:
    from trl import DPOConfig, GRPOConfig, SFTConfig

    from recipes.arguments import (
        GeneratorArguments,
        GrpoArguments,
        LayoutDataArguments,
        LayoutModelArguments,
        RewriterArguments,
        RunArguments,
        SftArguments,
    )
    from recipes.layout_dpo_arguments import LayoutPairArguments
    from recipes.layout_grpo_arguments import LayoutGrpoArguments

    return {
        "generator": (RunArguments, GeneratorArguments),
        "layout_dpo": (RunArguments, LayoutModelArguments, LayoutPairArguments, DPOConfig),
        "layout_grpo": (RunArguments, LayoutModelArguments, LayoutGrpoArguments, GRPOConfig),
        "layout_sft": (RunArguments, LayoutModelArguments, LayoutDataArguments, SFTConfig),
        "rewriter_sft": (RunArguments, RewriterArguments, SftArguments, SFTConfig),
        "rewriter_grpo": (RunArguments, RewriterArguments, GrpoArguments, GRPOConfig),
    }[recipe]


@pytest.mark.parametrize("name", config_names())
def test_every_packaged_configuration_parses(name: str):
    from recipes.policy import writing

    path = resolve_config(name)
    recipe = read_yaml(path)["recipe"]
    assert recipe in RECIPES
    if recipe == "diffusion_pref":
        from recipes.diffusion_pref import parse

        given = [] if "pairs" in read_yaml(path) else ["--pairs", "x", "--output_dir", "y"]
        assert parse(["--config", str(path), *given]).loss is not None
        return
    extra = [] if recipe == "generator" else ["--use_cpu", "true"]  # those for GPUs ask for bfloat16 there
    parsed = parse_arguments(classes_of(recipe), ["--config", str(path), *extra])
    if recipe == "layout_sft":
        from recipes.layout_sft import check as check_layout

        check_layout(parsed[1], parsed[2], parsed[3])
    elif recipe == "layout_dpo":
        from recipes.layout_dpo import check as check_pairs

        check_pairs(parsed[1], parsed[2], parsed[3])
    elif recipe == "layout_grpo":
        from recipes.layout_grpo import check as check_rooms

        parsed[3].use_cpu = False  # of those for GPUs, which roll out with vLLM
        check_rooms(parsed[1], parsed[2], parsed[3])
    elif recipe != "generator":
        writing(parsed[1])  # its template and dialect exist
    if recipe == "rewriter_grpo":
        from recipes.rewriter_grpo import check, prompts_needed

        check(parsed[2], parsed[3])
        assert prompts_needed(parsed[3]) >= parsed[3].max_steps


def test_every_stage_has_a_smoke_configuration():
    stages = {
        f"{name}/smoke"
        for name in ("generator", "layout/sft", "layout/dpo", "layout/grpo", "rewriter/sft", "rewriter/grpo")
    }
    assert stages <= set(config_names())


def test_continued_fine_tuning_differs_from_the_first_in_its_start_and_its_end_only():
    first, continued = (
        read_yaml(resolve_config(f"rewriter/sft/shapes_{name}")) for name in ("cpu", "continued")
    )
    changed = {key for key in first.keys() | continued.keys() if first.get(key) != continued.get(key)}
    assert changed == {"output_dir", "initial_adapter", "plateau_patience", "plateau_delta", "max_steps"}
    assert continued["plateau_patience"] == 0
    assert continued["max_steps"] > 3600 / 0.1  # seconds a step, faster than any CPU


def test_configurations_say_what_they_are_for():
    for name in config_names():
        assert (CONFIGS / f"{name}.yaml").read_text().startswith("# "), name


@pytest.mark.parametrize(
    ("line", "message"),
    [
        ("learning_rat: 1.0e-5", "unknown key 'learning_rat'; did you mean 'learning_rate'"),
        ("imagesperprompt: 3", "unknown key 'imagesperprompt'; did you mean 'images_per_prompt'"),
        ("images_per_prompt: 2.5", "images_per_prompt: 2.5 is not a whole number"),
        ("num_iterations: 2.5", "num_iterations: 2.5 is not a whole number"),
        ("learning_rate: [1, 2]", "learning_rate: [1, 2] is not a number"),
        ("lora_target_modules: q_proj", "lora_target_modules: 'q_proj' is not a list"),
        ("vllm_dtype: float8", "vllm_dtype: 'float8' is not one of auto, float32, bfloat16"),
        ("loss_type: dappo", "loss_type: 'dappo' is not one of"),
        ("scale_rewards: groups", "did you mean 'group'"),
        ("canary_tolerance: -1.0", "canary_tolerance=-1.0"),
        ("max_grad_norm: strong", "max_grad_norm: 'strong' is not a number"),
        ("seed: 1\nseed: 2", "the key 'seed' is given twice"),
        (
            "save_strategy: steps\nsave_steps: 1\nsteps_per_generation: 3\nnum_generations: 8",
            "save_steps: 1 steps end inside a generation batch",
        ),
        ("adapter: nowhere", "adapter: 'nowhere' holds no adapter"),
        ("dialect: klingon", "dialect: unknown dialect 'klingon'; known: "),
        ("template: none_such", "template: unknown template 'none_such'; known: "),
        ("prompts: nowhere.jsonl", "prompts: nowhere.jsonl does not exist"),
        ("reward: no_such_module_of_mine:score", "reward: cannot import 'no_such_module_of_mine'"),
        (
            "generator: no_such_module_of_mine:draw",
            "generator: 'no_such_module_of_mine:draw' cannot be loaded",
        ),
    ],
    ids=lambda text: text.split(":")[0],
)
def test_a_bad_value_gets_one_message(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], line: str, message: str
):
    text = GOOD.format(folder=tmp_path / "run")
    for key in {part.split(":")[0] for part in line.splitlines()}:
        text = "".join(kept for kept in text.splitlines(keepends=True) if not kept.startswith(f"{key}:"))
    bad = tmp_path / "bad.yaml"
    bad.write_text(f"{text}{line}\n")
    assert main([str(bad)]) == 2
    err = capsys.readouterr().err
    assert message in err
    assert len(err.strip().splitlines()) == 1
    assert not list(tmp_path.glob("run/checkpoint*"))


@pytest.mark.parametrize(
    ("content", "message"),
    [
        (b"", "is empty"),
        (b"- a\n- b\n", "must hold key: value lines, it holds a list"),
        (b"recipe: [\n", "is not valid YAML"),
        (b"\xff\xfe\x00", "is not a text file"),
        (
            b"output_dir: x\n",
            "recipe: None is not one of diffusion_pref, generator, layout_dpo, layout_grpo, layout_sft, rewriter_grpo, rewriter_sft",
        ),
        (b"recipe: rewriter_grop\n", "did you mean 'rewriter_grpo'?"),
    ],
    ids=["empty", "list", "syntax", "binary", "no recipe", "misspelt recipe"],
)
def test_a_bad_file_gets_one_message(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], content: bytes, message: str
):
    bad = tmp_path / "bad.yaml"
    bad.write_bytes(content)
    assert main([str(bad)]) == 2
    err = capsys.readouterr().err
    assert message in err
    assert str(bad) in err


@pytest.mark.parametrize(
    ("words", "message"),
    [
        (["rewriter/grpo/shape_cpu"], "did you mean rewriter/grpo/shapes_cpu?"),
        (["../secrets"], "no configuration '../secrets'"),
        (
            ["rewriter/grpo/smoke", "--learning_rte", "1"],
            "unknown argument '--learning_rte'; did you mean 'learning_rate'?",
        ),
        (["rewriter/grpo/smoke", "--max_steps", "many"], "--max_steps: invalid int value: 'many'"),
        (["rewriter/grpo/smoke", "--max_steps", "0"], "max_steps: missing"),
        (
            ["rewriter/sft/smoke", "--pairs", "nowhere.jsonl"],
            "pairs: nowhere.jsonl does not exist; make it with `rewright data sft",
        ),
        (["generator/smoke", "--samples", "3"], "samples=3 is less than one batch of 16"),
        (["--max_steps", "3"], "the configuration comes first"),
    ],
    ids=lambda value: " ".join(value[:2]) if isinstance(value, list) else "",
)
def test_a_bad_command_line_gets_one_message(
    capsys: pytest.CaptureFixture[str], words: list[str], message: str
):
    assert main(words) == 2
    assert message in capsys.readouterr().err


def test_a_model_that_is_not_there_is_named(tmp_path: Path, capsys: pytest.CaptureFixture[str], bench):
    common = ["rewriter/sft/smoke", "--output_dir", str(tmp_path / "run"), "--pairs", str(bench.pairs)]
    assert main([*common, "--base_model", str(tmp_path / "none")]) == 2
    err = capsys.readouterr().err
    assert "base_model:" in err
    assert "cannot be loaded" in err
    assert len(err.strip().splitlines()) == 1


def test_an_unwritable_folder_is_named(tmp_path: Path, capsys: pytest.CaptureFixture[str]):
    (tmp_path / "file").write_text("")
    assert main(["generator/smoke", "--output_dir", str(tmp_path / "file" / "run")]) == 2
    assert "output_dir: cannot write to" in capsys.readouterr().err


@pytest.mark.parametrize(
    "line", ["{not json", '{"prompt": "a"}', '{"prompt": "", "rewrite": "b"}', '["a", "b"]']
)
def test_a_bad_pair_is_named_by_its_line(tmp_path: Path, line: str):
    from recipes.rewriter_sft import read_pairs

    file = tmp_path / "pairs.jsonl"
    file.write_text(f'{{"prompt": "a", "rewrite": "b"}}\n{line}\n')
    with pytest.raises(ConfigError, match="line 2"):
        read_pairs(str(file))


def test_a_rewrite_of_several_lines_is_refused_before_training(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], bench
):
    pairs = tmp_path / "pairs.jsonl"
    pairs.write_text(bench.pairs.read_text() + json.dumps({"prompt": "a", "rewrite": "one\ntwo"}) + "\n")
    common = [
        "rewriter/sft/smoke",
        *bench.common,
        "--output_dir",
        str(tmp_path / "run"),
        "--pairs",
        str(pairs),
    ]
    assert main([*common, "--validation_share", "0", "--eval_strategy", "no"]) == 2
    assert "does not survive the form 'plain'" in capsys.readouterr().err


def test_a_dry_run_prints_the_configuration_and_the_first_rows_and_trains_nothing(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], bench
):
    words = ["rewriter/grpo/smoke", *bench.common, "--output_dir", str(tmp_path / "run"), "--dry_run"]
    assert main(words) == 0
    out = capsys.readouterr().out
    assert '"learning_rate": 0.0001' in out
    assert '"prompt_text"' in out
    assert "assistant" in out
    assert not (tmp_path / "run").exists()


def test_the_command_line_wins_over_the_file():
    _, _, grpo, config = parse_arguments(
        classes_of("rewriter_grpo"),
        ["--config", "rewriter/grpo/smoke", "--images_per_prompt", "5", "--learning-rate", "1e-3"],
    )
    assert grpo.images_per_prompt == 5
    assert config.learning_rate == 1e-3


def test_help_names_every_configuration_and_loads_no_torch():
    import subprocess
    import sys

    code = (
        "import sys; from recipes.train import main; code = main(['--help']); "
        "assert 'torch' not in sys.modules and 'trl' not in sys.modules; sys.exit(code)"
    )
    done = subprocess.run(
        [sys.executable, "-c", code], capture_output=True, text=True, cwd=Path(__file__).parents[3]
    )
    assert done.returncode == 0, done.stderr
    assert all(name in done.stdout for name in config_names())


def test_the_generator_recipe_runs_and_goes_on(tmp_path: Path):
    assert main(["generator/smoke", "--output_dir", str(tmp_path)]) == 0
    rows = [json.loads(line) for line in (tmp_path / "metrics.jsonl").read_text().splitlines()]
    assert rows[-1]["samples"] == 64
    summary = json.loads((tmp_path / "summary.json").read_text())
    assert summary["samples"] == 64
    assert summary["loss"] == rows[-1]["loss"]
    assert summary["seconds"] > 0
    assert (tmp_path / "generator" / "generator.json").is_file()
