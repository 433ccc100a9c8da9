"""`tempreg train`."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

from tempreg.cli.own import described, guessed_run
from tempreg.cli.parser import Parser, add_settings, config_from, with_flags
from tempreg.cli.tables import per_step_table


def run(words: Sequence[str]) -> int:
    """The command; returns its exit code."""
    parser = Parser(
        prog="tempreg train",
        description="Train a network; its folder then holds weights, metrics and a summary.",
    )
    parser.add_argument("source", nargs="?", metavar="PRESET|FILE.yaml", help="settings")
    parser.add_argument("--out", type=Path, required=True, metavar="DIR", help="the run's folder")
    parser.add_argument("--resume", action="store_true", help="continue the run in --out")
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

    from tempreg.launch import is_first_process
    from tempreg.runs import train
    from tempreg.training.progress import reporter_for
    from tempreg.training.run_directory import RunDirectory

    speaks = is_first_process()
    if speaks:
        print("".join(f"{line}\n" for line in lines), end="", flush=True)
    finished = RunDirectory(args.out).summary.exists()
    summary = train(config, args.out, resume=args.resume, reporter=reporter_for())
    if not speaks:
        return 0  # one of several that train together
    if finished:
        print(f"the run in {args.out} was finished already")
    print(per_step_table({"test accuracy": summary["accuracy_per_step"]}))
    print(
        f"train {summary['train_accuracy']:.2%}  validation {summary['val_accuracy']:.2%}", end=""
    )
    print(f"  test {summary['test_accuracy']:.2%}  (epoch {summary['kept_epoch']})  {args.out}")
    return 0
