"""What came to a study after it had begun, and what that means for its p-values."""

from __future__ import annotations

from typing import Any

from tempreg.study.results import StudyData


def growth_sentences(study: StudyData) -> list[str]:
    """A sentence an addition, oldest first, and one on p-values where seeds were added."""
    entries = study.facts.get("added") or ()
    said = [f"Added on {_when(entry)}: {_what(entry)}." for entry in entries]
    if any(entry.get("replicates") for entry in entries):
        said.append(
            "Intervals and p-values are those of a study of this size from the start. Where seeds "
            "were added because of what the first ones showed, they are too narrow and too small."
        )
    return said


def growth_commands(study: StudyData) -> list[str]:
    """The commands by which anything was added, oldest first."""
    recorded = [str(line) for line in study.facts.get("continued") or ()]
    entries = study.facts.get("added") or ()
    return recorded + [str(entry["command"]) for entry in entries if entry.get("command")]


def _when(entry: dict[str, Any]) -> str:
    return str(entry.get("at", "an unknown date")).replace("T", " ").replace("+00:00", " UTC")


def _what(entry: dict[str, Any]) -> str:
    said = []
    for name, word in (("arms", "arm"), ("replicates", "seed"), ("analyses", "analysis of")):
        what = [str(item) for item in entry.get(name) or ()]
        if name == "replicates" and what:
            said.append(f"{len(what)} seed{'s' * (len(what) > 1)} an arm")
        elif what:
            said.append(f"{word}{'s' * (len(what) > 1 and name == 'arms')} {', '.join(what)}")
    said += [f"{name} {entry[name]}" for name in ("samples", "draws") if entry.get(name)]
    return "; ".join(said) or "nothing that was recorded"
