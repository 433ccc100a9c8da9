"""Checkpoints and weights files: what they hold, what is refused, and a disk that is full."""

from __future__ import annotations

import errno
import math
from pathlib import Path

import pytest
import torch
from safetensors import SafetensorError
from safetensors.torch import save_file
from torch import nn

from tempreg.training.checkpoint import (
    CheckpointError,
    Position,
    load_checkpoint,
    restore_weights,
    save_checkpoint,
    save_weights,
)


def saved_empty(folder: Path) -> Path:
    """A weights file without a tensor."""
    save_file({}, folder / "empty.safetensors")
    return folder / "empty.safetensors"


def checkpointed(tmp_path: Path) -> tuple[Path, nn.Module, torch.optim.Optimizer]:
    """A checkpoint of a network after one step of Adam, with settings "these"."""
    net = nn.Linear(3, 2)
    optimizer = torch.optim.Adam(net.parameters(), lr=0.1)
    net(torch.ones(1, 3)).sum().backward()
    optimizer.step()
    save_checkpoint(tmp_path / "last.pt", net, optimizer, Position(epoch=1), {}, "these")
    return tmp_path / "last.pt", net, optimizer


def test_a_checkpoint_holds_weights_and_optimizer(tmp_path: Path) -> None:
    file, net, optimizer = checkpointed(tmp_path)
    other = nn.Linear(3, 2)
    fresh = torch.optim.Adam(other.parameters(), lr=0.1)
    position, precision = load_checkpoint(file, other, fresh, "these")
    assert position == Position(1, 0, {}, -1, -1.0, math.inf, 0.0)
    assert precision == {}
    assert torch.equal(other.weight, net.weight)
    assert torch.equal(other.bias, net.bias)
    for mine, theirs in zip(fresh.state.values(), optimizer.state.values(), strict=True):
        assert torch.equal(mine["exp_avg"], theirs["exp_avg"])
        assert mine["step"] == theirs["step"] == 1


def test_checkpoints_that_cannot_be_used(tmp_path: Path) -> None:
    file, net, optimizer = checkpointed(tmp_path)

    def refused(words: str, model: nn.Module = net) -> None:
        with pytest.raises(CheckpointError, match=words) as caught:
            load_checkpoint(file, model, optimizer, "these")
        assert str(file) in str(caught.value)
        assert caught.value.__cause__ is None

    refused("belongs to another network: Error.* size mismatch for weight", nn.Linear(4, 2))
    content = torch.load(file, weights_only=True)
    torch.save(content | {"version": 2}, file)
    refused("has version 2, expected 1$")
    torch.save({k: v for k, v in content.items() if k != "settings"}, file)
    refused(r"other settings than config\.yaml")
    for lacking in ("model", "optimizer", "position", "precision"):
        torch.save({k: v for k, v in content.items() if k != lacking}, file)
        refused(f"belongs to another network: '{lacking}'")
    torch.save(content | {"position": {"hour": 3}}, file)
    refused("belongs to another network: .*unexpected keyword argument 'hour'")
    torch.save({"model": 1}, file)
    refused(r"is damaged \('version'\): restore it from a copy, or start again")
    torch.save([1, 2], file)
    refused(r"is damaged \(list indices")
    whole = file.read_bytes()
    file.write_bytes(whole[: len(whole) // 2])
    refused(r"is damaged \(it is not an archive as torch\.save writes it\)")
    file.write_bytes(b"")
    refused("is damaged")
    file.unlink()
    refused("there is no checkpoint")


def test_code_in_a_checkpoint_is_not_run(tmp_path: Path) -> None:
    class Code:
        def __reduce__(self) -> tuple[object, tuple[str]]:
            return Path.touch, (tmp_path / "run",)

    file, net, optimizer = checkpointed(tmp_path)
    torch.save({"version": 1, "settings": "these", "model": Code()}, file)
    with pytest.raises(CheckpointError, match="is damaged"):
        load_checkpoint(file, net, optimizer, "these")
    assert not (tmp_path / "run").exists()


def test_a_full_disk_leaves_the_checkpoint_before(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    file, net, optimizer = checkpointed(tmp_path)
    save_weights(tmp_path / "w.safetensors", net)
    before = file.read_bytes(), (tmp_path / "w.safetensors").read_bytes()

    def full(*_: object) -> None:
        raise OSError(errno.ENOSPC, "No space left on device")

    def full_too(*_: object) -> None:
        raise SafetensorError("No space left on device")

    monkeypatch.setattr(torch, "save", full)
    monkeypatch.setattr("tempreg.training.checkpoint.save_file", full_too)
    with pytest.raises(OSError, match="No space left on device"):
        save_checkpoint(file, net, optimizer, Position(), {}, "these")
    with pytest.raises(OSError, match=r"can't write .*w\.safetensors: No space left on device$"):
        save_weights(tmp_path / "w.safetensors", net)
    assert (file.read_bytes(), (tmp_path / "w.safetensors").read_bytes()) == before
    assert len(list(tmp_path.iterdir())) == 2


def test_weights_are_read_back_whatever_their_layout(tmp_path: Path) -> None:
    net, other = nn.Conv2d(2, 3, 3), nn.Conv2d(2, 3, 3)
    net.to(memory_format=torch.channels_last)
    save_weights(tmp_path / "w.safetensors", net)
    restore_weights(other, tmp_path / "w.safetensors")
    assert torch.equal(net.weight, other.weight)
    with pytest.raises(CheckpointError, match=r"there is no weights file .*none"):
        restore_weights(other, tmp_path / "none")
    with pytest.raises(CheckpointError, match=r"lacks tensor (weight|bias)$"):
        restore_weights(other, saved_empty(tmp_path))
    with pytest.raises(CheckpointError, match=r"weight has shape \[3, 2, 3, 3\], expected"):
        restore_weights(nn.Conv2d(2, 3, 5), tmp_path / "w.safetensors")


def test_checkpoints_of_this_version_say_so(tmp_path: Path) -> None:
    file, *_ = checkpointed(tmp_path)
    assert torch.load(file, weights_only=True)["version"] == 1
