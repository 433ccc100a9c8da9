"""What imports alone make: public names, and defaults, which decide what equal calls compute."""

from __future__ import annotations

import inspect

import tempreg
import tempreg.objectives
from tempreg import analysis
from tempreg.analysis.result import Result
from tempreg.audit.network import audit
from tempreg.study.statistics.bootstrap import bootstrap
from tempreg.study.statistics.paired import paired, tost


def test_defaults_of_what_is_public_stay() -> None:
    """Another default alters what everyone computes with equal calls (docs/policy.md)."""
    wanted = {
        tempreg.RateLoss: {"time_dim": 0},
        tempreg.StepLoss: {"smoothing": 0.0, "time_dim": 0},
        tempreg.TETLoss: {"lam": 0.05, "means": 1.0, "time_dim": 0},
        tempreg.AnytimeLoss: {"distill": 0.0, "both_softened": False, "time_dim": 0},
        tempreg.Regularised: {
            "lam": 0.0, "decay": 0.5, "eps": 1e-5, "eta": 0.0, "select": "paper"
        },
        tempreg.TRTLoss: {
            "lam": 1e-5, "decay": 0.5, "eps": 1e-5, "eta": 0.05, "select": "paper", "time_dim": 0
        },
        tempreg.functional.trt_penalty: {"lam": 1e-5, "decay": 0.5, "eps": 1e-5},
        tempreg.functional.lif: {
            "v_threshold": 1.0, "v_reset": 0.0, "surrogate": "triangle", "surrogate_param": 1.0,
            "detach_reset": False, "backend": "auto",
        },
        analysis.fisher_information: {
            "estimator": "exact", "seed": 0, "labels": "true", "draws": 8, "chunk": 16,
            "resamples": 2000,
        },
        analysis.flatness: {
            "seed": 0, "radius": 1.0, "points": 21, "plane_points": 11,
            "sigmas": (0.05, 0.1, 0.2, 0.4), "draws": 5, "corners": None, "gains": False,
            "rhos": (0.01, 0.03, 0.1),
            "ascent_steps": 5, "calibration": None, "chunk": 64,
        },
        analysis.surrogate_curvature: {"seed": 0, "probes": 16, "chunk": 32},
        analysis.temporal_gradients: {"is_neuron": None, "chunk": 32},
        analysis.weight_gradients_by_step: {"chunk": 32},
        analysis.spikes: {"is_neuron": None, "chunk": 64},
        analysis.generalization_gap: {"chunk": 64},
        analysis.anytime: {
            "thresholds": (0.0, 0.5, 0.6, 0.7, 0.8, 0.9, 0.95, 0.98, 0.99, 0.995, 0.999, 1.0),
            "bins": 15, "energy_per_step": None, "is_neuron": None, "chunk": 64,
        },
        analysis.step_transfer: {"chunk": 64},
        analysis.early_exits: {"risks": (0.02, 0.05, 0.1), "delta": 0.1, "seed": 0},
        analysis.early_robustness: {"corruptions": None, "seed": 0, "chunk": 64},
        analysis.linear_probes: {"cumulative": True, "grid": 4, "is_neuron": None, "chunk": 64},
    }  # fmt: skip
    wanted |= {
        audit: {"targets": None, "seed": 0, "per_step": None, "compiled": False},
        paired: {"confidence": 0.95, "overlap": 0.0},
        tost: {"overlap": 0.0},
        bootstrap: {"draws": 2000, "seed": 0, "confidence": 0.95, "overlap": 0.0},
    }
    for function, defaults in wanted.items():
        found = inspect.signature(function).parameters.values()
        own = {p.name: p.default for p in found if p.default is not p.empty}
        assert own == defaults, function


def test_the_objectives_that_are_public() -> None:
    assert {"TRTLoss", "selected_parameters"} < set(tempreg.objectives.__all__)
    assert all(callable(getattr(tempreg.objectives, name)) for name in tempreg.objectives.__all__)


def test_results_say_what_they_are() -> None:
    kinds = [kind for kind in vars(analysis).values() if isinstance(kind, type)]
    quantities = [
        kind.quantity for kind in kinds if issubclass(kind, Result) and kind is not Result
    ]
    assert len(quantities) > 7
    assert all(isinstance(quantity, str) for quantity in quantities)
    assert len(set(quantities)) == len(quantities)
