"""What a run does that says nothing: the default of every setting, each with a word on it."""

from __future__ import annotations

from tempreg.config import RunConfig
from tempreg.config.dotted import leaves, setting_of

DEFAULTS = {
    "": {
        "seed": 0, "epochs": 10, "batch_size": 32, "num_steps": 6, "backend": "auto",
        "conv": "dense", "recompute": "nothing", "truncate": 0, "device": "auto", "devices": 1,
        "num_nodes": 1, "sync_batch_norm": False, "workers": None, "precision": "32-true",
        "tf32": True, "deterministic": False, "eval_precision": "same", "keep": "last",
        "patience": 0, "balance": False, "test_every": 0, "fisher_every": 0, "snapshot_every": 0,
        "tensorboard": False,
    },
    "data.": {
        "name": "nmnist", "path": None, "gap": 0, "frames": "time", "frame_ms": None,
        "unequal": False, "normalise": "none", "size": None, "resize": "area",
        "shorter_side": None, "mean": None, "std": None, "test_part": "drawn", "validation": 0.1,
        "sessions": "auto", "skip_damaged": False, "split_seed": 0, "cache": True,
        "train_size": None, "folds": 0, "fold": 0, "reserve": 0.0, "within_reserve": False,
        "own": None,
    },
    "augment.": {
        "shift": 0, "roll": 0, "crop": False, "rotate": 0.0, "shear": 0.0, "nda": False,
        "flip": False, "rand": 0, "drop": False, "jitter": 0.0, "cutout": 0,
        "cutout_fill": "mean", "mixup": 0.0, "cutmix": 0.0,
    },
    "model.": {
        "name": "csnn", "tau": 2.0, "v_threshold": 1.0, "v_reset": 0.0, "surrogate": "triangle",
        "surrogate_param": 1.0, "neuron": "lif", "norm": "bn", "detach_reset": False, "rho": 0.9,
        "jump": 0.2, "tau_syn": 2.0, "order": 4, "width": None, "depth": None, "heads": None,
        "poolings": None, "recurrent": True, "channels": None, "readout": "logits",
        "dropout": 0.0, "own": None, "wrap": "auto", "wrap_options": None, "weights": None,
    },
    "objective.": {
        "name": "trt", "lam": 1e-5, "decay": 0.5, "eps": 1e-5, "eta": 0.05, "select": "paper",
        "tet_lam": 0.05, "tet_means": 1.0, "smoothing": 0.1, "distill": 0.5, "l2": 1e-4,
        "logit_lam": 0.05, "logit_decay": 0.5, "tks_alpha": 0.7, "tks_temperature": 3.0,
        "tks_detached": True, "twsd_beta": 0.5, "twsd_teacher": "right", "s2w_lam": 1.0,
        "weigh_classes": False, "class_weights": None, "own": None,
    },
    "optimizer.": {
        "name": "adamw", "lr": 1e-3, "weight_decay": 0.0, "momentum": 0.9, "cosine": "step",
        "warmup_epochs": 0.0, "clip_norm": None,
    },
}  # fmt: skip


def test_defaults_of_settings_stay() -> None:
    """Another one alters what every file that leaves it out computes (docs/policy.md)."""
    config = RunConfig()
    found = {name: setting_of(config, name) for name, _, _ in leaves()}
    wanted = {f"{at}{name}": v for at, some in DEFAULTS.items() for name, v in some.items()}
    assert found == wanted
    assert {name: type(v) for name, v in found.items()} == {n: type(v) for n, v in wanted.items()}


def test_every_setting_says_what_it_is() -> None:
    for name, _, told in leaves():
        assert len(told.split()) > 1 or told == "neuron", name
