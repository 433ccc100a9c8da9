"""The settings of how data is read."""

from __future__ import annotations

from dataclasses import dataclass
from os import PathLike
from typing import Literal, final

from tempreg.options.field import check_settings, setting

Binning = Literal["time", "count", "number", "published", "duration"]


@dataclass(frozen=True)
class SourceOptions:
    """Where data is, and how its files become samples and parts; each reader uses what concerns
    its kind."""

    path: str | PathLike[str] | None = setting(
        None, "its folder or file (null: where it is usually kept)"
    )
    gap: int = setting(
        0, "nmnist-gap, fashion-gap: timesteps of another item in between", "[0, 1000]"
    )
    frames: Binning = setting(
        "time",
        "event frames of equal time, of equally many events (count: to one; number: N // T, the "
        "rest in the last; published: as the paper's scripts make them of CIFAR10-DVS), or of "
        "data.frame_ms each",
    )
    frame_ms: float | None = setting(
        None, "with frames duration: milliseconds a frame", ">= 0.001, at most 1e12"
    )
    unequal: bool = setting(
        False,
        "with frames duration: a recording ends with its last event, and the empty frames after it "
        "are neither learnt from nor counted",
    )
    normalise: Literal["none", "max", "percentile"] = setting(
        "none", "divide each recording's frames by their largest count or a high percentile"
    )
    size: int | None = setting(
        None, "resize to this height and width (null: as recorded)", ">= 1, at most 8192"
    )
    resize: Literal["area", "bilinear"] = setting(
        "area", "event frames: area conserves events; bilinear, with antialiasing, doesn't"
    )
    shorter_side: int | None = setting(
        None,
        "images: bring the shorter side to this before data.size is cut from the middle (null: to "
        "data.size)",
        ">= 1, at most 8192",
    )
    mean: tuple[float, ...] | None = setting(
        None, "images: subtracted from each channel of pixels in 0 ... 1 (null: the data set's)"
    )
    std: tuple[float, ...] | None = setting(
        None,
        "images: each channel is divided by it after that (null: the data set's)",
        "one or more numbers > 0",
    )
    test_part: Literal["drawn", "last"] = setting(
        "drawn",
        "where no test part is official: a tenth of each class by split_seed, or its last tenth "
        "in the order of the files' numbers",
    )
    validation: float = setting(
        0.1,
        "share of training data held out where no split is official; 0 trains on all, and leaves "
        "nothing to choose by",
        "[0, 1)",
    )
    sessions: Literal["auto", "none"] = setting(
        "auto",
        "own folders: what was recorded in one go, by folders and names, is never divided between "
        "parts; none: each file is on its own",
    )
    skip_damaged: bool = setting(
        False,
        "files of images and recordings: leave out, and count, those that can't be read or hold no "
        "event; all are read first",
    )
    split_seed: int = setting(0, "of splits that are drawn", ">= 0")
    cache: bool = setting(True, "keep event frames on disk")

    def __post_init__(self) -> None:
        check_settings(self, "data.")
        if self.shorter_side is not None and self.shorter_side < (self.size or 1):
            raise ValueError(
                f"data.shorter_side ({self.shorter_side}) must be at least data.size ({self.size})"
            )
        if self.frames == "duration" and self.frame_ms is None:
            raise ValueError("data.frames duration needs data.frame_ms, got None")
        if self.unequal and self.frames != "duration":
            raise ValueError(
                "data.unequal is for data.frames duration, with which recordings have more or "
                f"fewer frames; with {self.frames} all have T"
            )


@dataclass(frozen=True)
class SplitOptions:
    """Which samples of a data set are trained on, and which tested: see `data.splits.resample`."""

    train_size: int | None = setting(
        None, "train on so many samples, drawn by split_seed (null: on all)", ">= 1 or null"
    )
    folds: int = setting(0, "pool all splits for cross-validation with so many folds (0: don't)")
    fold: int = setting(0, "which fold is tested, 0 ... folds - 1")
    reserve: float = setting(
        0.0, "with folds: share of all samples that is never tested, only trained on", "[0, 1)"
    )
    within_reserve: bool = setting(False, "cross-validate within that share alone, as trials do")

    def __post_init__(self) -> None:
        check_settings(self, "data.")
        if self.folds < 0 or self.folds == 1:
            raise ValueError(f"data.folds must be 0 or >= 2, got {self.folds}")
        if not 0 <= self.fold < max(1, self.folds):
            raise ValueError(
                f"data.fold must be in 0 ... folds - 1, got {self.fold} of {self.folds}"
            )
        if self.reserve > 0 and self.folds == 0:
            raise ValueError(
                "data.reserve is for cross-validation: give data.folds, or leave it at 0, got "
                f"{self.reserve}"
            )
        if self.within_reserve and self.reserve == 0:
            raise ValueError("data.within_reserve needs a data.reserve above 0")


@final
@dataclass(frozen=True, kw_only=True)
class DataOptions(SourceOptions):
    """How a data set is asked for: everything but its name. See `SourceOptions` for the rest.

    Attributes:
        num_steps: T of event frames, >= 1; static images ignore it.
        whole_images: training images keep their size where they can, for random crops.
    """

    num_steps: int
    whole_images: bool = False

    def __post_init__(self) -> None:
        super().__post_init__()
        if self.num_steps < 1:
            raise ValueError(f"num_steps must be >= 1, got {self.num_steps}")
