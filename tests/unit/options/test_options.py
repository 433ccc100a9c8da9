"""Settings stand once: files and objects refuse alike, and signatures show their defaults."""

from __future__ import annotations

import inspect
import subprocess
import sys
from collections.abc import Callable
from dataclasses import fields
from functools import reduce
from typing import Any, get_args, get_type_hints

import pytest
import torch
from torch import nn

import tempreg
from tempreg.config import ConfigError, RunConfig, config_from_dict, config_to_dict
from tempreg.config.dotted import leaves
from tempreg.data import Augmentation, DataOptions, events_to_frames
from tempreg.data.sources.embedded import nmnist_recordings
from tempreg.functional import lif, trt_penalty
from tempreg.models.base import NEURONS, PARALLEL, STEPPED
from tempreg.models.convolution import CONVOLUTIONS
from tempreg.ops.dispatch import BACKENDS
from tempreg.ops.spec import LIFSpec
from tempreg.options import NeuronOptions
from tempreg.options.field import _test, check_option, setting
from tempreg.options.neuron import CONSTANTS_OF, NeuronConstants, StepOptions
from tempreg.surrogate import DERIVATIVES

STEP_CONSTANTS = {"rho": 0.9, "jump": 0.2, "tau_syn": 2.0, "order": 4}
Refuse = Callable[[float], object]
OBJECTS: list[tuple[str, tuple[float, ...], Refuse]] = [
    ("model.tau", (0.999, 1e19), lambda x: tempreg.LIF(tau=x)),
    ("model.tau", (0.999, 1e19), lambda x: lif(torch.ones(2, 3), tau=x)),
    ("model.tau", (0.999, 1e19), lambda x: tempreg.PLIF(tau=x)),
    ("model.v_threshold", (-1e19, 1e19), lambda x: tempreg.IF(v_threshold=x)),
    ("model.v_reset", (-1e19, 1e19), lambda x: lif(torch.ones(2, 3), tau=2.0, v_reset=x)),
    ("model.surrogate_param", (0.0, 1e-19, 1e19), lambda x: tempreg.LIF(surrogate_param=x)),
    ("model.surrogate_param", (0.0, 1e-19, 1e19), lambda x: network(surrogate_param=x)),
    ("model.dropout", (-0.1, 1.0), lambda x: network(dropout=x)),
    ("data.frame_ms", (-1.0, 0.0, 0.0009, 1e13), lambda x: frames(x)),
    ("data.frame_ms", (0.0009, 1e13), lambda x: DataOptions(num_steps=2, frame_ms=x)),
    ("data.validation", (-0.1, 1.0), lambda x: DataOptions(num_steps=2, validation=x)),
    ("data.size", (0, -3), lambda x: DataOptions(num_steps=2, size=int(x))),
    ("augment.shear", (-1.0, 89.5), lambda x: Augmentation(shear=x)),
    ("augment.rotate", (-1.0, 180.5), lambda x: Augmentation(rotate=x)),
    ("augment.jitter", (-0.1, 1.1), lambda x: Augmentation(jitter=x)),
    ("augment.cutmix", (-0.1,), lambda x: Augmentation(cutmix=x)),
    ("objective.eps", (-1e-9, 1.1e6), lambda x: trt_penalty([], num_steps=2, eps=x)),
]


def network(**options: Any) -> nn.Module:
    return tempreg.create_model(
        "csnn", num_classes=2, in_channels=1, num_steps=2, input_size=8, **options
    )


def frames(frame_ms: float) -> torch.Tensor:
    return events_to_frames(nmnist_recordings()[0][:1], 2, "duration", frame_ms)


def with_one(dotted: str, value: object) -> dict[str, Any]:
    """Settings as in a file that has one."""
    return reduce(lambda inner, key: {key: inner}, reversed(dotted.split(".")), value)  # type: ignore[return-value, arg-type]


@pytest.mark.parametrize(("dotted", "values", "refuse"), OBJECTS)
def test_what_a_file_may_not_say_an_object_refuses(
    dotted: str, values: tuple[float, ...], refuse: Refuse
) -> None:
    for value in values:
        with pytest.raises(ConfigError) as told:
            config_from_dict(with_one(dotted, value), "file")
        with pytest.raises(ValueError, match="must be") as said:
            refuse(value)
        allowed = str(told.value).partition(" must be ")[2]
        assert allowed.partition(", got")[0] in str(said.value)


def test_every_range_holds_at_its_ends_and_not_beyond() -> None:
    ranged = [(dotted, text) for dotted, text in ranges() if text.startswith(("[", "("))]
    assert len(ranged) > 12
    for dotted, text in ranged:
        low, high = text[1:-1].split(", ")
        whole = dotted == "workers" or isinstance(
            reduce(getattr, dotted.split("."), RunConfig()), int
        )
        number, beyond = (int, 1.0) if whole else (float, 1e-3)
        for end, closed, step in ((low, text[0] == "[", -beyond), (high, text[-1] == "]", beyond)):
            outside = number(float(end) + step * max(1.0, abs(float(end))))
            with pytest.raises(ConfigError, match="must be in"):
                config_from_dict(with_one(dotted, outside), "file")
            if dotted != "data.reserve":  # which needs another setting
                at = with_one(dotted, number(float(end)))
                assert closed == accepted(at), (dotted, end)


def ranges() -> list[tuple[str, str]]:
    """The range of each setting that has one, by dotted name."""
    found, hints = [], get_type_hints(RunConfig)
    for dotted, _, _ in leaves():
        *section, name = dotted.split(".")
        kind = hints[section[0]] if section else RunConfig
        (item,) = (item for item in fields(kind) if item.name == name)
        if allowed := item.metadata.get("allowed"):
            found.append((dotted, allowed.removesuffix(" or null")))
    return found


def accepted(settings: dict[str, Any]) -> bool:
    try:
        config_from_dict(settings, "file")
    except ConfigError as error:
        if "must be in" not in str(error):
            raise
        return False
    return True


def test_ranges_in_words() -> None:
    holds = _test("one or more counts >= 1")
    assert holds((1, 2))
    assert not holds(())
    assert not holds((1, 0))
    assert not _test("finite")(float("nan"))
    assert not _test("> 0, at most 10")(0)
    with pytest.raises(ValueError, match="says no range"):
        setting(0, "help", "some")
    with pytest.raises(ValueError, match=r"optimizer\.clip_norm must be > 0 or null, got -1\.0"):
        config_from_dict({"optimizer": {"clip_norm": -1}}, "file")
    check_option(NeuronOptions, "v_reset", None)


def test_words_that_are_no_choice() -> None:
    with pytest.raises(ValueError, match=r"augment\.cutout_fill must be one of mean, black"):
        Augmentation(cutout_fill="grey")
    with pytest.raises(ValueError, match=r"data\.test_part must be one of drawn, last"):
        DataOptions(num_steps=2, test_part="first")
    with pytest.raises(ValueError, match="go together"):
        Augmentation(rand=3)


def test_sections_begin_with_what_has_a_name() -> None:
    settings = config_to_dict(RunConfig())
    assert list(settings["data"])[:3] == ["name", "path", "gap"]
    assert list(settings["data"])[-4:] == ["fold", "reserve", "within_reserve", "own"]
    assert [*settings["model"]] == [
        "name", "tau", "v_threshold", "v_reset", "surrogate", "surrogate_param", "neuron", "norm",
        "detach_reset", "rho", "jump", "tau_syn", "order", "width", "depth", "heads",
        "poolings", "recurrent", "channels", "readout", "dropout", "own", "wrap", "wrap_options",
        "weights",
    ]  # fmt: skip


@pytest.mark.parametrize(
    ("function", "others"),
    [
        (tempreg.LIF, {"tau": 2.0, "beta": None}),
        (tempreg.PLIF, {"tau": 2.0}),
        (tempreg.IF, {}),
        (tempreg.Neuron, {}),
        (lif, {}),
        (tempreg.SpikingNetwork, {"tau": 2.0, "neuron": "lif", "norm": "bn", "readout": "logits",
             **STEP_CONSTANTS}),
        (
            tempreg.create_model,
            {"tau": 2.0, "neuron": "lif", "norm": "bn", "input_size": None, "channels": None,
             "dropout": 0.0, "width": None, "depth": None, "heads": None, "poolings": None,
             "recurrent": True, "readout": "logits", "conv": "dense", **STEP_CONSTANTS},
        ),
    ],
)  # fmt: skip
def test_signatures_show_what_is_passed_on(
    function: Callable[..., Any], others: dict[str, Any]
) -> None:
    parameters = inspect.signature(function).parameters.values()
    shown = {p.name: p.default for p in parameters if p.default is not p.empty}
    assert shown == others | {
        "v_threshold": 1.0, "v_reset": 0.0, "surrogate": "triangle", "surrogate_param": 1.0,
        "detach_reset": False, "backend": "auto",
    }  # fmt: skip
    assert not any(p.kind is p.VAR_KEYWORD for p in parameters)


def test_the_constants_of_a_neuron_are_the_same_for_people_checkers_and_kernels() -> None:
    known = get_type_hints(NeuronConstants)
    assert known == get_type_hints(LIFSpec)
    hints = get_type_hints(NeuronOptions)
    assert all(hints[name] == kind for name, kind in known.items() if name != "surrogate")
    assert get_args(hints["surrogate"]) == tuple(DERIVATIVES)
    assert get_args(hints["neuron"]) == (*NEURONS, *STEPPED, *PARALLEL)
    assert get_args(get_type_hints(RunConfig)["backend"]) == BACKENDS
    assert get_args(get_type_hints(RunConfig)["conv"]) == CONVOLUTIONS
    assert list(CONSTANTS_OF) == [item.name for item in fields(StepOptions)]
    assert {kind for kinds in CONSTANTS_OF.values() for kind in kinds} < {*STEPPED, *PARALLEL}


@pytest.mark.filterwarnings("default:.*should not be instantiated:DeprecationWarning")
def test_checks_stay_within_a_compiled_graph() -> None:
    x, w = torch.randn(3, 5), torch.randn(7)
    lif(x, tau=2.0)  # which finds the backend

    def both(x: torch.Tensor, w: torch.Tensor) -> tuple[torch.Tensor, torch.Tensor]:
        return lif(x, tau=1.5, v_threshold=0.8), trt_penalty([w], num_steps=3, lam=0.1)

    whole = torch.compile(both, backend="eager", fullgraph=True)
    for found, wanted in zip(whole(x, w), both(x, w), strict=True):
        torch.testing.assert_close(found, wanted)


def test_settings_need_nothing_but_python() -> None:
    code = (
        "import sys; before = set(sys.modules); import tempreg.options; "
        "loaded = {name.partition('.')[0] for name in set(sys.modules) - before}; "
        "print(loaded - set(sys.stdlib_module_names))"
    )
    words = [sys.executable, "-c", code]
    assert subprocess.run(words, capture_output=True, text=True, check=True).stdout == (
        "{'tempreg'}\n"
    )
