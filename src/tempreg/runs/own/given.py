"""Objects in place of what settings name: a network, a data set, an objective made in Python."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, final

from torch import nn

from tempreg.config import RunConfig
from tempreg.data import DataSet
from tempreg.objectives import Objective
from tempreg.runs.build import arranged, build_options
from tempreg.runs.own.code import GIVEN
from tempreg.runs.own.data import as_data_set
from tempreg.runs.own.network import wrap


@final
@dataclass(frozen=True)
class Given:
    """What stands for a name in a run's settings; None: the name itself.

    Attributes:
        model: a network; trained as it is, in place.
        data: see `data.as_data_set`.
        objective: the loss.
    """

    model: nn.Module | None = None
    data: Any = None
    objective: Objective | None = None

    def data_for(self, config: RunConfig) -> DataSet | None:
        """The data set as the settings arrange it."""
        if self.data is None:
            return None
        return arranged(config, as_data_set(config.data.name, self.data, build_options(config)))

    def model_for(self, config: RunConfig, data: DataSet) -> nn.Module | None:
        """The network, wrapped as the settings say."""
        return None if self.model is None else wrap(self.model, config, data)

    def names(self) -> Mapping[str, str]:
        """What settings say in their place, by dotted name."""
        objects = {"model": self.model, "data": self.data, "objective": self.objective}
        return {
            f"{part}.name": f"{GIVEN}:{type(value).__name__}"
            for part, value in objects.items()
            if value is not None
        }


NOTHING_GIVEN = Given()
