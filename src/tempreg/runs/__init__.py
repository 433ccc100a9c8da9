"""Whole runs: settings become objects here, and objects a folder that can be read back.

Configurations end here: what lies below is told values, never settings files.
"""

from tempreg.runs.fit import train
from tempreg.runs.identity import finished_summary
from tempreg.runs.read import cautions_of, chosen_on_test, evaluate_run, load, load_run

__all__ = [
    "cautions_of",
    "chosen_on_test",
    "evaluate_run",
    "finished_summary",
    "load",
    "load_run",
    "train",
]
