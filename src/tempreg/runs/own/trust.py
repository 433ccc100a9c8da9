"""Which code of the user's may be imported: what a person named, and nothing that a file names.

Settings may name code: "my_net:Net", a class of a module, or "path/to/my_net.py:Net". A run's or a
study's folder may come from anywhere, so what its files name is not imported for that reason.
"""

from __future__ import annotations

from collections.abc import Iterable
from typing import NamedTuple, final

from tempreg.config import RunConfig
from tempreg.errors import RequestError
from tempreg.options.own import is_own


@final
class CodeNotTrusted(RequestError):
    """Files name code that nobody has said may run; the message has both."""


NIR = "tempreg.interop.nir_graphs:FromNIR"
"""tempreg's own class of networks from NIR files, which are data: nothing of them is run."""


@final
class Trust(NamedTuple):
    """Whose code may be imported.

    Attributes:
        names: as "my_net:Net", what a person named.
        everything: whatever is named anywhere.
    """

    names: frozenset[str] = frozenset()
    everything: bool = False

    def check(self, setting: str, name: str) -> None:
        """CodeNotTrusted, before anything of it is imported, where nobody has named this code."""
        if self.everything or name in (*self.names, NIR) or not is_own(name):
            return
        raise CodeNotTrusted(
            f"{setting} {name} is code, which would be imported and run, and only a file in a "
            "folder names it: nothing was run, for a folder may come from anybody; if you know "
            "the code, add --trust-code (in Python: trust_code=True)"
        )

    def check_all(self, config: RunConfig) -> None:
        """`check` of all code that the settings name."""
        for setting, name in code_in(config).items():
            self.check(setting, name)


NOTHING = Trust()
EVERYTHING = Trust(everything=True)


def as_trust(trust_code: bool | Trust) -> Trust:
    """All code that files name (True), none of it, or what a `Trust` says."""
    if isinstance(trust_code, Trust):
        return trust_code
    return EVERYTHING if trust_code else NOTHING


def trust_flags(trust: Trust, config: RunConfig) -> list[str]:
    """What passes trust in the code of one run on to another command, name by name."""
    names = sorted(set(code_in(config).values()))
    trusted = [name for name in names if trust.everything or name in trust.names]
    return [word for name in trusted for word in ("--trust", name)]


def code_in(config: RunConfig) -> dict[str, str]:
    """The names of code in settings, by setting."""
    named = {
        "data.name": config.data.name,
        "model.name": config.model.name,
        "objective.name": config.objective.name,
    }
    return {setting: name for setting, name in named.items() if is_own(name)}


def naming(configs: Iterable[RunConfig]) -> Trust:
    """What these settings name, which a person wrote."""
    return Trust(frozenset(name for config in configs for name in code_in(config).values()))
