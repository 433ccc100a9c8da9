"""`tempreg train`."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any

from tempreg.cautions import CHOSEN_ON_TEST
from tempreg.cli.own import described, guessed_run
from tempreg.cli.parser import Parser, add_settings, config_from, with_flags
from tempreg.cli.tables import scores_table
from tempreg.cli.trust import add_trust, trust_in_settings
from tempreg.errors import one_line

EXAMPLES = """\
tempreg train nmnist-trt --out runs/trt                            # a preset
tempreg train nmnist-trt --objective tet --epochs 5 --lr 1e-3 --out runs/tet
tempreg train nmnist-trt --model.channels 8,16 --out runs/small
tempreg train --data my_pictures --out runs/mine                   # a folder for each class
tempreg train --resume --out runs/trt                              # go on with a run"""


def run(words: Sequence[str]) -> int:
    """The command; returns its exit code."""
    parser = Parser(
        prog="tempreg train",
        description="Train a network; its folder then holds weights, metrics and a summary.",
        examples=EXAMPLES,
        add_help=False,
    )
    parser.add_argument("source", nargs="?", metavar="PRESET|FILE.yaml", help="settings")
    parser.add_argument("--out", type=Path, required=True, metavar="DIR", help="the run's folder")
    parser.add_argument("--resume", action="store_true", help="continue the run in --out")
    add_trust(parser)
    add_settings(parser)
    args = parser.parse(words)
    source = args.source
    own = getattr(args, "data.path", None)
    lines: list[str] = []
    if source is None and args.resume and (own is None or (args.out / "config.yaml").exists()):
        source = str(args.out / "config.yaml")
    if source is not None:
        config = config_from(source, args)
    elif own is not None:
        config, found = guessed_run(own)
        config = with_flags(config, args)
        lines = described(found, config)
    else:
        parser.error(
            "name a preset or a .yaml file, give --data FOLDER with a folder for each class, or "
            "--resume, to continue a run"
        )

    from tempreg.runs import train
    from tempreg.runs.launch import is_first_process
    from tempreg.training.progress import reporter_for
    from tempreg.training.run_directory import RunDirectory

    speaks = is_first_process()
    if speaks:
        print("".join(f"{line}\n" for line in lines), end="", flush=True)
    finished = RunDirectory(args.out).summary.exists()
    trust = trust_in_settings(args, source, config)
    summary = train(config, args.out, resume=args.resume, reporter=reporter_for(), trust=trust)
    if not speaks:
        return 0  # one of several that train together
    if finished:
        print(f"the run in {args.out} was finished already")
    print(scores_table("test", summary))
    print(f"{_scores(summary)}  (epoch {summary['kept_epoch']})  {args.out}")
    _say_what_limits(summary, config.patience)
    return 0


def _scores(summary: dict[str, Any]) -> str:
    """Of every split, with all timesteps."""
    name = "accuracy" if "test_accuracy" in summary else "r2"
    found = {"train": "train", "validation": "val", "test": "test"}
    values = {split: summary[f"{short}_{name}"] for split, short in found.items()}
    shown = {
        k: f"{v:.2%}" if name == "accuracy" else f"{v:.4f}"
        for k, v in values.items()
        if v is not None
    }
    said = "  ".join(f"{split} {value}" for split, value in shown.items())
    return said if name == "accuracy" else f"R^2: {said}"


def _say_what_limits(summary: dict[str, Any], patience: int) -> None:
    """What a person must know beside the accuracies."""
    if summary.get("stopped_early"):
        print(
            f"stopped after epoch {summary['epochs']}: no better on validation for "
            f"{patience} epochs"
        )
    for caution in summary.get("cautions", ()):
        print(one_line(caution))
    if summary.get("chosen_on_test"):
        print(
            f"{CHOSEN_ON_TEST} After the last epoch, which nothing was chosen by, it is "
            f"{summary['test_accuracy_at_last_epoch']:.2%}."
        )
