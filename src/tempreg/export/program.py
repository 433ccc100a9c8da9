"""A network as a graph of torch's own operations, for inference: `torch.export` and its file.

`Unrolled` runs all timesteps, as the network does. `Step` runs one: the membrane potentials go
in and come out, one tensor for each layer of neurons, zeros before the first timestep.
"""

from __future__ import annotations

import copy
import io
from pathlib import Path
from typing import Any

import torch
from torch import Tensor, nn

from tempreg.files import replacing
from tempreg.models.base import SpikingNetwork
from tempreg.neurons import Neuron
from tempreg.ops.lif_reference import charge, reset
from tempreg.ops.spec import LIFSpec


class _Tape:
    """Membrane potentials of the layers of neurons in the order they run. Final."""

    def __init__(self) -> None:
        self.before: list[Tensor] | None = None
        self.after: list[Tensor] = []

    def take(self, current: Tensor) -> Tensor:
        """The potential that the next layer starts from."""
        if self.before is None:
            return torch.zeros_like(current)
        return self.before[len(self.after)]


class _PlainNeuron(nn.Module):
    """Neurons in torch's own operations, without a backward pass. Final."""

    def __init__(self, neuron: Neuron, tape: _Tape) -> None:
        super().__init__()
        self.tau = float(torch.as_tensor(neuron.current_tau()).detach())
        self.spec: LIFSpec = neuron.spec
        self.tape = tape

    def forward(self, x: Tensor) -> Tensor:
        """Spikes [T, *N] of the input current [T, *N]."""
        steps = x.unbind(0)
        v, spikes = self.tape.take(steps[0]), []
        for current in steps:
            h = charge(v, current, self.tau)
            spike = (h > self.spec.v_threshold).to(h.dtype)
            v = reset(h, spike, self.spec)
            spikes.append(spike)
        self.tape.after.append(v)
        return torch.stack(spikes)


class Unrolled(nn.Module):
    """The whole network: its input -> logits [T, B, num_classes]. Final."""

    def __init__(self, model: SpikingNetwork) -> None:
        super().__init__()
        self.model, self.tape = _plain(model)

    def forward(self, x: Tensor) -> Tensor:
        """See `SpikingNetwork`."""
        self.tape.before, self.tape.after = None, []
        logits: Tensor = self.model(x)
        self.tape.after = []
        return logits


class Step(nn.Module):
    """One timestep of a network: [B, C, H, W] and potentials -> logits [B, K], potentials. Final.

    `initial_states(x)` gives the potentials before the first timestep.
    """

    def __init__(self, model: SpikingNetwork) -> None:
        super().__init__()
        self.model, self.tape = _plain(model)

    @torch.no_grad()
    def initial_states(self, x: Tensor) -> list[Tensor]:
        """Zeros in the shapes that an input [B, C, H, W] leads to."""
        self.tape.before, self.tape.after = None, []
        self.model(x.unsqueeze(0))
        states, self.tape.after = [torch.zeros_like(v) for v in self.tape.after], []
        return states

    def forward(self, x: Tensor, *states: Tensor) -> tuple[Tensor, ...]:
        """Logits [B, num_classes], then the potentials after this timestep."""
        self.tape.before, self.tape.after = list(states), []
        logits: Tensor = self.model(x.unsqueeze(0))
        after, self.tape.before, self.tape.after = self.tape.after, None, []
        return (logits.squeeze(0), *after)


def frames_like(
    model: SpikingNetwork, input_size: tuple[int, int], *, events: bool, stateful: bool
) -> Tensor:
    """Four samples of noise, 0 and 1: one timestep or static ones [B, C, H, W], else [T, B, ...].

    Args:
        model: a network of `tempreg.models`.
        input_size: (H, W).
        events: each timestep has a frame of its own; else one image is shown at all of them.
        stateful: one timestep rather than all.
    """
    generator = torch.Generator().manual_seed(0)
    shape: tuple[int, ...] = (4, model.in_channels, *input_size)
    if events and not stateful:
        shape = (model.num_steps, *shape)
    return (torch.rand(shape, generator=generator) < 0.2).float()


def traced(module: Unrolled | Step, frames: Tensor) -> torch.export.ExportedProgram:
    """The network as a `torch.export` program, for batches of any size; frames as `frames_like`."""
    batch = torch.export.Dim("batch", min=1)
    inputs: tuple[Tensor, ...] = (frames,)
    dynamic: Any = ({frames.ndim - 4: batch},)
    if isinstance(module, Step):
        states = module.initial_states(frames)
        inputs, dynamic = (frames, *states), (*dynamic, tuple({0: batch} for _ in states))
    with torch.no_grad():
        return torch.export.export(module, inputs, dynamic_shapes=dynamic, strict=False)


def write_program(program: torch.export.ExportedProgram, path: Path) -> None:
    """Replace the file at `path`, which `torch.export.load` reads."""
    content = io.BytesIO()  # in memory first: on a full disk torch ends the process
    torch.export.save(program, content)
    with replacing(path) as temporary:
        temporary.write_bytes(content.getvalue())


def _plain(model: SpikingNetwork) -> tuple[SpikingNetwork, _Tape]:
    """A copy in evaluation mode on the CPU, with plain neurons."""
    tape = _Tape()
    plain = copy.deepcopy(model).cpu().float().eval()
    for parent in list(plain.modules()):
        for name, child in list(parent.named_children()):
            if isinstance(child, Neuron):
                setattr(parent, name, _PlainNeuron(child, tape))
    return plain.requires_grad_(False), tape
