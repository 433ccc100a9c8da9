"""A run's metrics for TensorBoard: the scalars of metrics.jsonl, in event files of the run."""

from __future__ import annotations

from importlib.util import find_spec
from typing import TYPE_CHECKING, Any, final

from torch import nn

from tempreg.errors import PackageMissing, to_install
from tempreg.training.run_directory import RunDirectory

if TYPE_CHECKING:
    from torch.utils.tensorboard import SummaryWriter

FOLDER = "tensorboard"


@final
class Board:
    """An observer that copies what metrics.jsonl has of each epoch. A context manager.

    Tags are SPLIT/NAME, as `validation/accuracy`; of a list SPLIT/NAME/t with t from 1. The step is
    the epoch. In each session all lines so far are written again, into a file that takes the place
    of the earlier ones (which TensorBoard then skips), so that a run that went on after a kill, or
    was begun without, shows each epoch once. Values are float32, as TensorBoard's scalars are.

    Args:
        run: its folder; files go to `tensorboard/` in it at the end of the first epoch.

    Raises:
        PackageMissing: tensorboard is not installed.
    """

    def __init__(self, run: RunDirectory) -> None:
        if find_spec("tensorboard") is None:
            raise PackageMissing(
                f"tensorboard: true needs the package tensorboard: {to_install('tensorboard')}"
            )
        self._run = run
        self._writer: SummaryWriter | None = None

    def __enter__(self) -> Board:
        return self

    def __exit__(self, *_: object) -> None:
        if self._writer is not None:
            self._writer.close()

    def __call__(self, epoch: int, network: nn.Module) -> None:
        """Write what is new in metrics.jsonl; see `loop.Observer`."""
        lines = self._run.read_metrics()
        if self._writer is None:
            from torch.utils.tensorboard import SummaryWriter  # takes seconds

            self._writer = SummaryWriter(str(self._run.path / FOLDER), purge_step=0)
        else:
            lines = [line for line in lines if line["epoch"] == epoch]
        for line in lines:
            for tag, value in scalars(line).items():
                self._writer.add_scalar(tag, value, line["epoch"])
        self._writer.flush()


def scalars(line: dict[str, Any]) -> dict[str, float]:
    """The numbers of one line of metrics.jsonl, by tag."""
    found: dict[str, float] = {}
    for name, value in line.items():
        if name in ("epoch", "split"):
            continue
        values = {f"/{t}": v for t, v in enumerate(value, 1)} if isinstance(value, list) else None
        for ending, number in (values or {"": value}).items():
            found[f"{line['split']}/{name}{ending}"] = number
    return found
