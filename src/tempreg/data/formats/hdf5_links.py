"""What an HDF5 file has in it, and whether it holds all that it shows.

HDF5 lets a file show what stands in others, by links, as raw bytes or as a view of data sets. In a
file from a stranger these would be any files of this machine.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any, Final

from tempreg.errors import one_line

DAMAGED: Final = (OSError, KeyError, RuntimeError, UnicodeDecodeError)
"""What h5py raises of a file that isn't as it should be; the last of names that are no text."""


def elsewhere(file: Any) -> str | None:
    """What of an open `h5py.File` stands in another file, as a sentence; None where nothing does.

    No other file is opened to find out. Links within the file are no harm: what they lead to is
    looked at where it stands. What can't be opened is left to the reader that wants it.
    """
    import h5py  # whoever opened the file has it

    told = "{}, {}: only what stands in a file itself is read"
    for group, name in _entries(file):
        link = group.get(name, getlink=True)
        if isinstance(link, h5py.ExternalLink):
            where = f"{_path(group, name)} is a link into another file"
            return told.format(where, one_line(link.filename))
        held = _held(group, name)
        if isinstance(held, h5py.Dataset) and (other := _other_file(held)):
            where = f"{_path(group, name)} has its numbers in another file"
            return told.format(where, one_line(other))
    return None


def data_sets(file: Any) -> Iterator[str]:
    """The paths of an open file's data sets, from its root."""
    import h5py

    for group, name in _entries(file):
        if isinstance(_held(group, name), h5py.Dataset):
            yield _path(group, name).lstrip("/")


def _entries(file: Any) -> Iterator[tuple[Any, str]]:
    """Each group of the file, once, with each name in it."""
    import h5py

    groups, seen = [file], {_address(file)}
    while groups:
        group = groups.pop()
        for name in group:
            yield group, name
            held = _held(group, name)
            if isinstance(held, h5py.Group) and (address := _address(held)) not in seen:
                seen.add(address)
                groups.append(held)


def _held(group: Any, name: str) -> Any:
    """What stands under a name in the file itself; None where nothing does, or can't be opened."""
    import h5py

    if not isinstance(group.get(name, getlink=True), h5py.HardLink):
        return None
    try:
        return group[name]
    except DAMAGED:
        return None


def _address(group: Any) -> Any:
    """Where a group stands. `h5o.get_info` would say so, too, but walks its index, too, which
    ends nowhere where a damaged one leads in a circle."""
    import h5py

    return h5py.h5g.get_objinfo(group.id).objno


def _other_file(held: Any) -> str | None:
    """The first other file that a data set's numbers stand in."""
    if held.external:
        return str(held.external[0][0])
    if held.is_virtual:
        return next((s.file_name for s in held.virtual_sources() if s.file_name != "."), None)
    return None


def _path(group: Any, name: str) -> str:
    return one_line(f"{group.name.rstrip('/')}/{name}")
