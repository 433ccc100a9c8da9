"""The end of a run: which weights are kept, and what they score on every split."""

from __future__ import annotations

from typing import Final

from torch import nn

from tempreg.training.checkpoint import Position, restore_weights
from tempreg.training.processes import Processes
from tempreg.training.run_directory import RunDirectory
from tempreg.training.scored import Scored
from tempreg.training.splits import Splits
from tempreg.training.summary import Evaluations

BEST_ON_TEST: Final = "best-on-test"


def kept_evaluations(
    network: nn.Module,
    processes: Processes,
    run: RunDirectory,
    keep: str,
    position: Position,
    splits: Splits,
) -> Evaluations:
    """Leave the kept weights in `network`, evaluated on every split; `position` is the last one.

    Where the last epoch's are kept, the best ones by validation are tested beside them; where
    the best ones by the test split are, the last ones are.
    """
    best_test = None
    last_test = splits.evaluate("test") if keep == BEST_ON_TEST else None
    if position.best_epoch not in (position.epoch, -1):
        last = {name: tensor.clone() for name, tensor in network.state_dict().items()}
        with processes.agreeing():
            if processes.first:
                restore_weights(network, run.best)
        processes.copy_from_first(network.state_dict().values())
        if keep == "last":
            best_test = splits.evaluate("test")
            network.load_state_dict(last)
    train = splits.evaluate("train")
    validation, validation_items = None, None
    if len(splits.data.validation):
        validation, validation_items = splits.with_items("validation")
    test, test_items = splits.with_items("test")
    return Evaluations(
        train=train,
        validation=validation,
        test=test,
        at_best=best_test or test,
        test_of_last=last_test,
        validation_items=validation_items,
        test_items=test_items,
    )


def peak(run: RunDirectory, last: Scored) -> dict[str, float]:
    """The best test score of those looked at by epoch, and how far it fell from there."""
    seen = [m[last.NAME] for m in run.read_metrics() if m.get("split") == "test"]
    highest = max([*seen, last.score])
    return {f"peak_test_{last.NAME}": highest, "peak_minus_last": highest - last.score}
