"""Configurations as YAML files."""

from __future__ import annotations

from pathlib import Path

import yaml

from tempreg.config.schema import RunConfig
from tempreg.config.structure import ConfigError, config_from_dict, config_to_dict


def read_config(path: Path) -> RunConfig:
    """The configuration in a YAML file; ConfigError says what is wrong with it, and where."""
    try:
        text = path.read_text(encoding="utf-8")
    except FileNotFoundError:
        raise ConfigError(f"there is no configuration file {path}") from None
    except (OSError, UnicodeDecodeError) as error:
        raise ConfigError(f"the configuration file {path} can't be read: {error}") from None
    try:
        data = yaml.safe_load(text)
    except yaml.YAMLError as error:
        place = getattr(error, "problem_mark", None)
        line = f", line {place.line + 1}" if place is not None else ""
        raise ConfigError(f"{path}{line}: this is not YAML that settings can be in") from None
    return config_from_dict(data, str(path))


def config_text(config: RunConfig) -> str:
    """The configuration as YAML; `read_config` gives it back."""
    return yaml.safe_dump(config_to_dict(config), sort_keys=False)
