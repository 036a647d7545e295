"""From a YAML file and a command line to validated argument objects, with one message for whatever is wrong.

The grammar is TRL's (`TrlParser`: defaults, then the YAML, then `--key value`). What is added: a configuration may be named as it lies
in the installed package (`rewriter/grpo/smoke`), TRL's own fields are type-checked too, and every fault is a ConfigError that names the
key, the value and what was probably meant.
"""

from __future__ import annotations

import dataclasses
import difflib
import re
import typing
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any, NoReturn

CONFIGS = Path(__file__).parent / "configs"

# Values that TRL and transformers check late, some only after the first roll-out.
_CHOICES: dict[str, tuple[str, ...]] = {
    "loss_type": ("nll", "dft", "grpo", "dr_grpo", "dapo", "bnpo", "cispo", "sapo", "luspo", "vespo"),
    "scale_rewards": ("group", "batch", "none"),
    "importance_sampling_level": ("token", "sequence"),
    "vllm_mode": ("colocate", "server"),
    "vllm_importance_sampling_mode": ("token_truncate", "token_mask", "sequence_truncate", "sequence_mask"),
}


class ConfigError(ValueError):
    """A configuration that cannot be run; exit code 2."""


def config_names() -> list[str]:
    """Names of the packaged configurations, such as `rewriter/sft/smoke`."""
    return sorted(str(path.relative_to(CONFIGS).with_suffix("")) for path in CONFIGS.rglob("*.yaml"))


def resolve_config(name: str) -> Path:
    """A file, or a packaged configuration with or without `.yaml`. Raises ConfigError with the closest names."""
    given = Path(name).expanduser()
    if given.is_file():
        return given
    if given.is_dir():
        inside = [
            known
            for known in config_names()
            if (CONFIGS / known).with_suffix(".yaml").is_relative_to(given.resolve())
        ]
        raise ConfigError(
            f"{name} is a folder; give one configuration{': ' + ', '.join(inside) if inside else ''}"
        )
    packaged = CONFIGS / f"{name.removesuffix('.yaml')}.yaml"
    if packaged.is_file() and packaged.resolve().is_relative_to(CONFIGS.resolve()):
        return packaged
    known = config_names()
    close = difflib.get_close_matches(name.removesuffix(".yaml"), known, n=1, cutoff=0.5)
    hint = f"did you mean {close[0]}? " if close else ""
    raise ConfigError(f"no configuration {name!r}: {hint}It is neither a file nor one of {', '.join(known)}")


def read_yaml(path: Path) -> dict[str, Any]:
    """The mapping in a YAML file. Raises ConfigError naming the file, and the line where there is one."""
    import yaml

    try:
        content = yaml.load(path.read_text(encoding="utf-8"), Loader=_unique_keys())  # noqa: S506 - a SafeLoader underneath
    except UnicodeDecodeError as error:
        raise ConfigError(f"{path} is not a text file (byte {error.start} is not UTF-8)") from error
    except OSError as error:
        raise ConfigError(f"cannot read {path}: {error.strerror}") from error
    except yaml.YAMLError as error:
        raise ConfigError(f"{path} is not valid YAML: {' '.join(str(error).split())}") from error
    if content is None:
        raise ConfigError(f"{path} is empty; a configuration has at least recipe: and output_dir:")
    if not isinstance(content, dict):
        raise ConfigError(f"{path} must hold key: value lines, it holds a {type(content).__name__}")
    for key in content:
        if not isinstance(key, str):
            raise ConfigError(f"{path}: the key {key!r} is not a word; write it in quotes")
    return content


def _unique_keys() -> type:
    """A SafeLoader that refuses a key given twice: PyYAML would silently take the last."""
    import yaml

    class Loader(yaml.SafeLoader):
        def construct_mapping(self, node: Any, deep: bool = False) -> dict[Any, Any]:
            seen: set[Any] = set()
            for key_node, _ in node.value:
                key = self.construct_object(key_node, deep=True)
                if isinstance(key, str | int | float) and key in seen:
                    raise yaml.constructor.ConstructorError(
                        None, None, f"the key {key!r} is given twice", key_node.start_mark
                    )
                seen.add(key) if isinstance(key, str | int | float) else None
            return super().construct_mapping(node, deep)

    return Loader


def parse_arguments(classes: Sequence[type], argv: Sequence[str]) -> tuple[Any, ...]:
    """One object per class from `--config FILE --key value ...`. Raises ConfigError for whatever is wrong."""
    from pydantic import ValidationError

    words = list(argv)
    parser = _parser(classes)
    known = {field.name: cls for cls in classes for field in dataclasses.fields(cls) if field.init}
    place = "the command line"
    bare = (
        words[: words.index("--config")] + words[words.index("--config") + 2 :]
        if "--config" in words
        else words
    )
    _, rest = parser.parse_known_args(bare)
    if rest:
        raise ConfigError(
            f"unknown argument {rest[0]!r}{_meant(rest[0].lstrip('-').partition('=')[0], known)}"
        )
    if "--config" in words:
        index = words.index("--config")
        if index + 1 >= len(words):
            raise ConfigError("--config needs a file or the name of a packaged configuration")
        path = resolve_config(words[index + 1])
        words[index + 1] = str(path)
        place = str(path)
        content = read_yaml(path)
        content.pop("env", None)
        _check_keys(content, known, path)
        _check_types(content, known, path)
        _check_choices(content, path)
    try:
        parsed = parser.parse_args_and_config(words)
    except ValidationError as error:
        raise ConfigError(f"{place}: {describe(error)}") from error
    except ConfigError:
        raise
    except (
        ValueError,
        TypeError,
        ImportError,
    ) as error:  # TrainingArguments checks combinations when it is made
        raise ConfigError(f"{place}: {' '.join(str(error).split())}") from error
    for made in parsed:
        _check_choices({k: v for k, v in vars(made).items() if k in _CHOICES and k in known}, Path(place))
    return tuple(parsed)


def _parser(classes: Sequence[type]) -> Any:
    from trl import TrlParser

    class Parser(TrlParser):
        def error(self, message: str) -> NoReturn:
            """argparse would print some 250 options before the message."""
            raise ConfigError(re.sub(r"^argument (--\w+)(/--[\w-]+)?:", r"\1:", message))

    return Parser(list(classes), prog="rewright train CONFIG", allow_abbrev=False)


def _check_keys(content: Mapping[str, Any], known: Mapping[str, type], path: Path) -> None:
    for key in content:
        if key not in known:
            raise ConfigError(f"{path}: unknown key {key!r}{_meant(key, known)}")


def _meant(word: str, known: Mapping[str, type]) -> str:
    close = difflib.get_close_matches(word.replace("-", "_"), known, n=2, cutoff=0.6)
    return f"; did you mean {' or '.join(map(repr, close))}?" if close else ""


def _check_types(content: Mapping[str, Any], known: Mapping[str, type], path: Path) -> None:
    """Every value against the annotation of its field: TRL's stdlib dataclasses take `2.5` for an int without a word."""
    from pydantic import ConfigDict, PydanticSchemaGenerationError, TypeAdapter, ValidationError

    hints = {cls: typing.get_type_hints(cls) for cls in set(known.values())}
    for key, value in content.items():
        hint = hints[known[key]][key]
        try:
            adapter = TypeAdapter(
                hint, config=ConfigDict(arbitrary_types_allowed=True, coerce_numbers_to_str=False)
            )
        except PydanticSchemaGenerationError:
            continue  # a type of transformers that only it can read
        try:
            adapter.validate_python(value)
        except ValidationError as error:
            wanted = _spell(hint)
            raise ConfigError(
                f"{path}: {key}: {value!r} is not {wanted} ({error.errors()[0]['msg']})"
            ) from error


def _spell(hint: Any) -> str:
    """An annotation for people."""
    plain = {int: "a whole number", float: "a number", bool: "true or false", str: "a text"}
    if hint in plain:
        return plain[hint]
    if typing.get_origin(hint) is typing.Literal:
        return "one of " + ", ".join(map(str, typing.get_args(hint)))
    parts = [a for a in typing.get_args(hint) if a is not type(None)]
    if parts and typing.get_origin(hint) is list:
        return f"a list of {getattr(parts[0], '__name__', parts[0])!s}s"
    if parts and typing.get_origin(hint) is not dict:
        return " or ".join(_spell(part) for part in parts)
    return {dict: "a mapping", list: "a list"}.get(
        typing.get_origin(hint) or hint, getattr(hint, "__name__", str(hint))
    )


def _check_choices(content: Mapping[str, Any], path: Path) -> None:
    for key, choices in _CHOICES.items():
        value = content.get(key)
        if isinstance(value, str) and value not in choices:
            close = difflib.get_close_matches(value, choices, n=1)
            hint = f"; did you mean {close[0]!r}?" if close else ""
            raise ConfigError(f"{path}: {key}: {value!r} is not one of {', '.join(choices)}{hint}")


def describe(error: Any) -> str:
    """A pydantic ValidationError as `key: what is wrong`, several joined by semicolons."""
    found = []
    for entry in error.errors():
        name = ".".join(str(part) for part in entry["loc"]) or error.title
        found.append(f"{name}: {entry['input']!r}: {entry['msg']}" if entry["loc"] else entry["msg"])
    return "; ".join(found)


def resolved(objects: Sequence[Any]) -> dict[str, Any]:
    """All arguments of a run as one flat mapping for `run.json`; tokens are left out."""
    flat: dict[str, Any] = {}
    for made in objects:
        content = made.to_dict() if hasattr(made, "to_dict") else dataclasses.asdict(made)
        flat.update(content)
    return {key: value for key, value in sorted(flat.items()) if not key.endswith("_token")}
