"""A finished run's network as a folder to publish, laid out as model hubs have it.

    config.json          the run's settings, and how its data is read
    model.safetensors    the weights
    README.md            the model card
    network.nir          of a network that came from a NIR graph, that graph

It is read back by `tempreg.load`, and by what takes a run's network without its data. Nothing in it
is unpickled, and code that it names is imported only where that is trusted.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from pathlib import Path
from shlex import quote
from typing import Any

from tempreg.config import RunConfig, config_from_dict, config_to_dict, read_config
from tempreg.data import DataSet
from tempreg.data.single import described
from tempreg.errors import RequestError
from tempreg.files import link_out, naming, replacing, write_json, write_text
from tempreg.report.model_card import published_card
from tempreg.runs.own.trust import NIR
from tempreg.runs.places import without_places
from tempreg.training.run_directory import RunDirectory, RunDirectoryError

CONFIG = "config.json"
GRAPH = "network.nir"
_PRIVATE = {"data": ("path",), "model": ("weights",)}
"""Settings that are places on this machine, by section."""
_READ = ("name", "classes", "in_channels", "input_size", "reading", "cautions", "targets")
"""Of data.json; what else is there is about single files."""


def write_hub(path: Path, out: Path | None) -> list[str]:
    """Write the folder of the run in `path`; returns what to tell about it, a sentence each.

    Args:
        path: a finished run's folder.
        out: a folder that is new, empty or was written so before; by default `hub` in the run's.

    Raises:
        RunDirectoryError: the run can't be used.
        RequestError: `out` holds something else.
    """
    run, folder = RunDirectory(path), out if out is not None else path / "hub"
    run.check_run(finished=True)
    for file in (run.data, run.card):
        if not file.is_file():
            raise RunDirectoryError(
                f"the run in {path} has no {file.name}, which the folder is made of: restore it, "
                "or train the run again"
            )
    if out is None and (told := link_out(path, [folder.name])):
        raise RunDirectoryError(told)
    _check_folder(folder)
    settings = config_to_dict(read_config(run.config))
    graph = _graph(path, settings["model"])
    for section, names in _PRIVATE.items():
        settings[section] |= dict.fromkeys(names)
    whole = settings
    settings = without_places(whole)
    data = {k: v for k, v in run.read_json(run.data).items() if k in _READ}
    data["name"] = without_places(data.get("name"))
    stored = {
        "library_name": "tempreg",
        "architectures": [settings["model"]["name"]],
        "id2label": {str(i): name for i, name in enumerate(_data(run.data, data).classes)},
        "settings": settings,
        "data": data,
    }
    with naming(folder):
        folder.mkdir(exist_ok=True)
    new = RunDirectory(folder)
    with replacing(new.weights) as temporary:
        temporary.write_bytes(run.weights.read_bytes())
    if graph is not None:
        settings["model"]["own"]["file"] = GRAPH
        with replacing(folder / GRAPH) as temporary:
            temporary.write_bytes(graph.read_bytes())
    write_text(new.card, published_card(run.card.read_text(encoding="utf-8")))
    write_json(folder / CONFIG, stored)
    own = graph is None and settings["model"]["own"] != whole["model"]["own"]
    shorter = [f"{CONFIG} has of the paths in model.own only their last part"] if own else []
    return [
        f"{folder}: {CONFIG}, {new.weights.name} and {new.card.name}, to read by "
        f"tempreg.load({str(folder)!r})",
        *shorter,
        "nothing was sent; edit the card's license, and publish the folder with huggingface_hub, "
        f"as: hf upload USER/NAME {quote(str(folder))}",
    ]


def is_hub(path: Path) -> bool:
    """Whether the folder is laid out so, and is no run's."""
    return (path / CONFIG).is_file() and not RunDirectory(path).config.exists()


def read_hub(path: Path) -> tuple[RunConfig, DataSet]:
    """The settings and the data set, without its samples, of a folder that `write_hub` wrote.

    Raises:
        RunDirectoryError: another config.json.
        ConfigError: settings that can't be used.
    """
    file = path / CONFIG
    stored: Any = RunDirectory(path).read_json(file)
    if stored.get("library_name") != "tempreg":
        raise RunDirectoryError(
            f"{file} is none that `tempreg export --format hub` wrote: its library_name isn't "
            "tempreg"
        )
    config = config_from_dict(stored.get("settings"), f"{file}, settings")
    if config.model.name == NIR:  # whatever place the file names, it is the graph beside it
        own = {**(config.model.own or {}), "file": str(path / GRAPH)}
        config = replace(config, model=replace(config.model, own=own))
    if not (model := RunDirectory(path)).weights.is_file():
        raise RunDirectoryError(f"{path} has no {model.weights.name}, the network's weights")
    return config, _data(file, stored.get("data"))


def _graph(path: Path, model: Mapping[str, Any]) -> Path | None:
    """The file of a network that came from one; RunDirectoryError where it isn't there."""
    if model["name"] != NIR:
        return None
    file = Path(str((model["own"] or {}).get("file"))).expanduser()
    if not file.is_file():
        raise RunDirectoryError(
            f"the network of the run in {path} came from {file}, which isn't there: put it back"
        )
    return file


def _data(file: Path, values: Any) -> DataSet:
    try:
        return described(values)
    except (ValueError, KeyError, TypeError, AttributeError, OverflowError) as error:
        raise RunDirectoryError(f"{file} is damaged ({error}): restore it") from None


def _is_ours(folder: Path) -> bool:
    """Whether `write_hub` wrote it; other tools' models have a config.json too."""
    if not is_hub(folder):
        return False
    try:
        stored = RunDirectory(folder).read_json(folder / CONFIG)
    except RunDirectoryError:
        return False
    return bool(stored.get("library_name") == "tempreg")


def _check_folder(folder: Path) -> None:
    """RequestError unless the folder can be written to without losing something else."""
    if not folder.parent.is_dir():
        raise RequestError(f"--out {folder}: there is no folder {folder.parent}: make it first")
    if not (folder.exists() or folder.is_symlink()):
        return
    if not folder.is_dir() or (any(folder.iterdir()) and not _is_ours(folder)):
        raise RequestError(
            f"--out {folder}: it is there already, and isn't what --format hub wrote: give another"
        )
