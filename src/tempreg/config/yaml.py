"""Configurations as YAML files, read as YAML 1.2 reads them, which PyYAML does not.

In YAML 1.1, which is PyYAML's, 1e-3 is a word, 010 is eight, 1:30 is ninety and yes is true; and
of a key given twice the last wins without a word. Here numbers are decimal, truth is true or
false, and a second key is refused.
"""

from __future__ import annotations

import re
from pathlib import Path
from typing import Any, final

import yaml

from tempreg.config.schema import RunConfig
from tempreg.config.structure import ConfigError, config_from_dict, config_to_dict


@final
class _Loader(yaml.SafeLoader):
    """YAML 1.2's core scalars, and each key once."""

    yaml_implicit_resolvers: dict[str, Any] = {}  # noqa: RUF012 - PyYAML's way to say it

    def construct_mapping(self, node: yaml.MappingNode, deep: bool = False) -> dict[Any, Any]:
        """A dictionary; a key that comes twice is an error."""
        keys = [key.value for key, _ in node.value]
        for index, key in enumerate(keys):
            if key in keys[:index]:
                mark = node.value[index][0].start_mark
                raise yaml.MarkedYAMLError(problem=f"{key!r} is given twice", problem_mark=mark)
        return super().construct_mapping(node, deep)


for _tag, _pattern, _first in (
    ("null", r"~|null|Null|NULL|", ["~", "n", "N", ""]),
    ("bool", r"true|True|TRUE|false|False|FALSE", list("tTfF")),
    ("int", r"[-+]?(0|[1-9][0-9]*)", list("-+0123456789")),
    (
        "float",
        r"[-+]?(\.[0-9]+|(0|[1-9][0-9]*)(\.[0-9]*)?)([eE][-+]?[0-9]+)?|[-+]?\.(inf|Inf)|\.(nan|NaN)",
        list("-+0123456789."),
    ),
):
    _Loader.add_implicit_resolver(
        f"tag:yaml.org,2002:{_tag}", re.compile(f"^(?:{_pattern})$"), _first
    )


def parse(text: str, where: str) -> Any:
    """Plain data from YAML; ConfigError names `where` and the line."""
    try:
        return yaml.load(text, _Loader)
    except (yaml.YAMLError, ValueError, RecursionError) as error:
        mark = getattr(error, "problem_mark", None)
        line = f", line {mark.line + 1}" if mark is not None else ""
        reason = getattr(error, "problem", None) or "unreadable"
        raise ConfigError(f"{where}{line}: this is not YAML as settings are in: {reason}") from None


def read_config(path: Path) -> RunConfig:
    """The configuration in a YAML file; ConfigError says what is wrong with it, and where."""
    try:
        text = path.read_text(encoding="utf-8")
    except FileNotFoundError:
        raise ConfigError(f"there is no configuration file {path}") from None
    except (OSError, UnicodeDecodeError) as error:
        raise ConfigError(f"the configuration file {path} can't be read: {error}") from None
    return config_from_dict(parse(text, str(path)), str(path))


def config_text(config: RunConfig) -> str:
    """The configuration as YAML; `read_config` gives it back."""
    return yaml.safe_dump(config_to_dict(config), sort_keys=False)
