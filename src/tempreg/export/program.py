"""A network as a graph of torch's own operations, for inference: `torch.export` and its file.

`Unrolled` runs all timesteps, as the network does. `Step` runs one: the membrane potentials go
in and come out, one tensor for each layer of neurons, zeros before the first timestep.
"""

from __future__ import annotations

import copy
import io
import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any, final

import torch
from torch import Tensor, nn
from typing_extensions import override

from tempreg.export.errors import ExportError
from tempreg.export.fold import BY_TIMESTEP
from tempreg.export.notes import notes_of, told
from tempreg.export.request import Request
from tempreg.files import replacing
from tempreg.foreign import sees_later
from tempreg.models.base import SpikingNetwork
from tempreg.models.norms import NormOverTime
from tempreg.models.readout import READOUT
from tempreg.neurons import Neuron, State, StepNeuron
from tempreg.ops.lif_reference import charge, reset
from tempreg.ops.spec import LIFSpec

NOTES = "tempreg.json"
"""What a program's file says of its input and output: an entry of `extra_files`."""


@final
class _Tape:
    """Membrane potentials of the layers of neurons in the order they run."""

    def __init__(self) -> None:
        self.before: list[Tensor] | None = None
        self.after: list[Tensor] = []

    def take(self, current: Tensor) -> Tensor:
        """The potential that the next layer starts from."""
        if self.before is None:
            return torch.zeros_like(current)
        return self.before[len(self.after)]


@final
class _PlainNeuron(nn.Module):
    """Neurons in torch's own operations, without a backward pass."""

    def __init__(self, neuron: Neuron, tape: _Tape) -> None:
        super().__init__()
        self.tau = float(torch.as_tensor(neuron.current_tau()).detach())
        self.spec: LIFSpec = neuron.spec
        self.tape = tape
        self.initial_state = neuron.initial_state

    def forward(self, x: Tensor, state: Tensor | None = None) -> Tensor | tuple[Tensor, Tensor]:
        """Spikes [T, *N] of the input current [T, *N]; with a state, which the network keeps
        itself, also the last one."""
        steps = x.unbind(0)
        v, spikes = self.tape.take(steps[0]) if state is None else state, []
        for current in steps:
            h = charge(v, current, self.tau)
            spike = (h > self.spec.v_threshold).to(h.dtype)
            v = reset(h, spike, self.spec)
            spikes.append(spike)
        if state is not None:
            return torch.stack(spikes), v
        self.tape.after.append(v)
        return torch.stack(spikes)


Scaling = tuple[float | Tensor, float | Tensor]
"""What pixels are multiplied by, and what is added: one value, or [C, 1, 1]."""


@final
class _Scale(nn.Module):
    """Whole numbers to what the network takes: x * scale + offset in float32."""

    scale: Tensor
    offset: Tensor

    def __init__(self, scaling: Scaling) -> None:
        super().__init__()
        self.register_buffer("scale", torch.as_tensor(scaling[0], dtype=torch.float32))
        self.register_buffer("offset", torch.as_tensor(scaling[1], dtype=torch.float32))

    @override
    def forward(self, x: Tensor) -> Tensor:
        return x.to(torch.float32) * self.scale + self.offset


@final
class _PlainStepNeuron(nn.Module):
    """A neuron of other equations, whose state goes onto the tape."""

    def __init__(self, neuron: StepNeuron, tape: _Tape) -> None:
        super().__init__()
        self.neuron, self.tape = neuron, tape
        if hasattr(neuron, "backend"):
            neuron.backend = "reference"  # type: ignore[assignment]  # torch's own operations
        self.initial_state = neuron.initial_state

    def forward(self, x: Tensor, given: State | None = None) -> Tensor | tuple[Tensor, State]:
        """Spikes [T, *N] of the input [T, *N]; see `_PlainNeuron`."""
        if given is not None:
            return self.neuron(x, given)
        begin, state = len(self.tape.after), self.neuron.initial_state(x)
        if self.tape.before is not None:
            state = tuple(self.tape.before[begin : begin + len(state)])
        spikes, last = self.neuron(x, state)
        self.tape.after += last
        return spikes


@final
class Unrolled(nn.Module):
    """The whole network: its input -> logits [T, B, num_classes].

    With a scaling the input is pixels of 0 to 255, uint8.
    """

    def __init__(self, model: nn.Module, scaling: Scaling | None = None) -> None:
        super().__init__()
        self.model, self.tape = _plain(model)
        self.scale = nn.Identity() if scaling is None else _Scale(scaling)

    @override
    def forward(self, x: Tensor) -> Tensor:
        self.tape.before, self.tape.after = None, []
        logits: Tensor = self.model(self.scale(x))
        self.tape.after = []
        return logits


@final
class Step(nn.Module):
    """One timestep of a network: [B, C, H, W] and potentials -> logits [B, K], potentials.

    `initial_states(x)` gives the potentials before the first timestep.
    """

    def __init__(self, model: nn.Module, scaling: Scaling | None = None) -> None:
        super().__init__()
        self.model, self.tape = _plain(model)
        self.scale = nn.Identity() if scaling is None else _Scale(scaling)

    @torch.no_grad()
    def initial_states(self, x: Tensor) -> list[Tensor]:
        """Zeros in the shapes that an input [B, C, H, W] leads to."""
        self.tape.before, self.tape.after = None, []
        self.model(self.scale(x).unsqueeze(0))
        states, self.tape.after = [torch.zeros_like(v) for v in self.tape.after], []
        return states

    def forward(self, x: Tensor, *states: Tensor) -> tuple[Tensor, ...]:
        """Logits [B, num_classes], then the potentials after this timestep."""
        self.tape.before, self.tape.after = list(states), []
        logits: Tensor = self.model(self.scale(x).unsqueeze(0))
        after, self.tape.before, self.tape.after = self.tape.after, None, []
        return (logits.squeeze(0), *after)


def write(request: Request) -> list[str]:
    """See `formats.Format`."""
    module, frames, notes = prepared(request)
    write_program(traced(module, frames), request.file, notes)
    return [
        *told(notes),
        "to load: torch.export.load(FILE).module() with PyTorch alone, without tempreg",
    ]


def prepared(request: Request) -> tuple[Unrolled | Step, Tensor, dict[str, str]]:
    """What is traced, inputs to trace it with, and what a user of the file must know."""
    network, scaling = request.network, request.scaling
    if request.stateful and any(isinstance(m, NormOverTime) for m in network.modules()):
        raise ExportError(BY_TIMESTEP)
    if request.stateful and network.readout is not None:
        raise ExportError(
            f"one timestep has no place for the state of a {READOUT}: export all timesteps"
        )
    if request.stateful and (name := sees_later(network)):
        raise ExportError(
            f"{name} has psn neurons, whose spikes depend on later timesteps: export all timesteps"
        )
    module = Step(network, scaling) if request.stateful else Unrolled(network, scaling)
    frames = frames_like(
        network, request.input_size, events=request.events, stateful=request.stateful
    )
    if scaling is not None:
        generator = torch.Generator().manual_seed(0)
        frames = torch.randint(0, 256, frames.shape, generator=generator, dtype=torch.uint8)
    name, kind = ("frames", "float32") if scaling is None else ("pixels", "uint8")
    sizes = ", ".join(map(str, frames.shape[-3:]))
    time = f"{network.num_steps}, " if frames.ndim == 5 else ""
    return module, frames, notes_of(request, f"{name} {kind} [{time}batch, {sizes}]")


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


def traced(
    module: Unrolled | Step, frames: Tensor, batch_dim: int | None = None
) -> torch.export.ExportedProgram:
    """The network as a `torch.export` program, for batches of any size.

    Args:
        module: what is traced.
        frames: an input, as `frames_like`.
        batch_dim: which of its dimensions is the batch; None: the one before channels and pixels.
    """
    from torch._dynamo.exc import UserError  # which takes seconds, as exporting does

    inputs: tuple[Tensor, ...] = (frames,)
    if isinstance(module, Step):
        inputs = (frames, *module.initial_states(frames))
    place = frames.ndim - 4 if batch_dim is None else batch_dim

    def export(batch: Any) -> torch.export.ExportedProgram:
        own: Any = ({place: batch},)
        if isinstance(module, Step):
            own = (*own, tuple({0: batch} for _ in inputs[1:]))
        return torch.export.export(module, inputs, dynamic_shapes=own, strict=False)

    with torch.no_grad():
        try:
            return export(torch.export.Dim("batch", min=1))
        except UserError:
            # Of convolutions without a norm, torch finds a condition on the batch that always holds
            # and that it can't prove; of a size without a name it doesn't ask for a proof.
            return export(torch.export.Dim.DYNAMIC)


def write_program(
    program: torch.export.ExportedProgram, path: Path, notes: Mapping[str, str] | None = None
) -> None:
    """Replace the file at `path`, which `torch.export.load` reads; `notes` are its `NOTES`."""
    content = io.BytesIO()  # in memory first: on a full disk torch ends the process
    kept = {NOTES: json.dumps(dict(notes or {}), indent=2)}
    torch.export.save(program, content, extra_files=kept)
    with replacing(path) as temporary:
        temporary.write_bytes(content.getvalue())


def _plain(model: nn.Module) -> tuple[nn.Module, _Tape]:
    """A copy in evaluation mode on the CPU, with plain neurons."""
    tape = _Tape()
    holder = nn.ModuleList([copy.deepcopy(model).cpu().float().eval()])
    for parent in list(holder.modules()):
        if hasattr(parent, "checked"):  # a network of another library, in what wraps it
            parent.checked = False  # type: ignore[assignment]
        for name, child in list(parent.named_children()):
            if isinstance(child, Neuron):
                setattr(parent, name, _PlainNeuron(child, tape))
            elif isinstance(child, StepNeuron):
                setattr(parent, name, _PlainStepNeuron(child, tape))
    return holder[0].requires_grad_(False), tape
