"""Whether an HDF5 file holds all that it shows.

HDF5 lets a file show what stands in others, by links, as raw bytes or as a view of data sets. In a
file from a stranger these would be any files of this machine.
"""

from __future__ import annotations

from typing import Any

from tempreg.errors import one_line


def elsewhere(file: Any) -> str | None:
    """What of an open `h5py.File` stands in another file, as a sentence; None where nothing does.

    No other file is opened to find out. Links within the file are no harm: what they lead to is
    looked at where it stands. What can't be opened is left to the reader that wants it.
    """
    import h5py  # whoever opened the file has it

    told = "{}, {}: only what stands in a file itself is read"
    groups, seen = [file], {h5py.h5o.get_info(file.id).addr}
    while groups:
        group = groups.pop()
        for name in group:
            link = group.get(name, getlink=True)
            if isinstance(link, h5py.ExternalLink):
                where = f"{_path(group, name)} is a link into another file"
                return told.format(where, one_line(link.filename))
            if not isinstance(link, h5py.HardLink):
                continue
            try:
                held = group[name]
            except (KeyError, OSError, RuntimeError):
                continue
            if isinstance(held, h5py.Dataset):
                if other := _other_file(held):
                    where = f"{_path(group, name)} has its numbers in another file"
                    return told.format(where, one_line(other))
            elif isinstance(held, h5py.Group):
                address = h5py.h5o.get_info(held.id).addr
                if address not in seen:
                    seen.add(address)
                    groups.append(held)
    return None


def _other_file(held: Any) -> str | None:
    """The first other file that a data set's numbers stand in."""
    if held.external:
        return str(held.external[0][0])
    if held.is_virtual:
        return next((s.file_name for s in held.virtual_sources() if s.file_name != "."), None)
    return None


def _path(group: Any, name: str) -> str:
    return one_line(f"{group.name.rstrip('/')}/{name}")
