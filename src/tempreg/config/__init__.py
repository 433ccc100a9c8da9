"""Run configurations: schema, presets, YAML. Imports no torch."""

from tempreg.config.presets import PRESETS
from tempreg.config.schema import RunConfig
from tempreg.config.structure import ConfigError, config_from_dict, config_to_dict
from tempreg.config.yaml import config_text, read_config

__all__ = [
    "PRESETS",
    "ConfigError",
    "RunConfig",
    "config_from_dict",
    "config_text",
    "config_to_dict",
    "read_config",
]
