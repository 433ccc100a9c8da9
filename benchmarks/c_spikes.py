"""Every spike of the exported C beside those of the network in float64.

The C is compiled with a line more: after each call of its neurons, their spikes are copied to where
Python reads them. A network in float64 says what each potential was before its spike; where a
spike differs, its distance from the threshold says whether that is rounding. What differs after it,
in the same recording, may follow from it: so the first ones are counted apart, those of the
earliest timestep and layer in which a recording differs.
"""

from __future__ import annotations

import ctypes
from dataclasses import dataclass
from typing import Any

import numpy as np
import torch
from torch import nn

from tempreg.export.c.graph import graph_of
from tempreg.export.c.memory import laid_out, stride

_BEFORE = "static void run_layer("
_COPIES = """static unsigned char *spy_memory, *spy_spikes;

static void spied(const net_layer *layer, int first, int block, size_t place, const net_sum *sums,
                  net_sum *v, unsigned char *spikes)
{
    fire(layer, first, block, place, sums, v, spikes);
    memcpy(spy_spikes + ((unsigned char *)v - spy_memory) / 4, spikes, (size_t)block);
}
#define fire spied

void spy(net_state *state, unsigned char *spikes);
void spy(net_state *state, unsigned char *spikes)
{
    spy_memory = state->memory.bytes;
    spy_spikes = spikes;
}

"""


def with_spikes_copied(source: str) -> str:
    """An exported model.c that has the function `spy`."""
    assert source.count(_BEFORE) == 1
    return source.replace(_BEFORE, _COPIES + _BEFORE)


@dataclass
class Differences:
    """Of spikes.

    Attributes:
        spikes: neurons times timesteps that were looked at.
        differ: of these, how many spiked in one and not in the other.
        recordings: of how many recordings any did.
        first: those of the earliest timestep and layer of each recording.
        furthest: the largest |h - v_threshold| of those.
        rounding: the largest |h - v_threshold| / (2^-23 max(1, max |h|)) of those.
    """

    spikes: int = 0
    differ: int = 0
    recordings: int = 0
    first: int = 0
    furthest: float = 0.0
    rounding: float = 0.0


class Reader:
    """Reads the spikes of a compiled network's step, layer by layer."""

    def __init__(self, functions: ctypes.CDLL, state: Any, network: Any, size: Any) -> None:
        channels = network.in_channels
        graph = graph_of(network, size, np.ones(channels), np.zeros(channels))
        memory = laid_out(graph)
        self.places = []
        for layer, part in zip(graph.layers, memory.membrane, strict=True):
            if layer.neuron is not None:
                self.places.append((layer.neuron, part.offset // 4, graph.maps[layer.output]))
        self.spikes = np.zeros(memory.size // 4, np.uint8)
        functions.spy(state, self.spikes.ctypes.data_as(ctypes.POINTER(ctypes.c_ubyte)))

    def layers(self) -> list[np.ndarray]:
        """[C, H, W] of each layer, of the step that was just run."""
        found = []
        for _, start, out in self.places:
            wide = stride(out)
            block = self.spikes[start : start + out.height * out.width * wide]
            shaped = block.reshape(out.height, out.width, wide)[..., : out.channels]
            found.append(shaped.transpose(2, 0, 1).copy())
        return found


@torch.no_grad()
def potentials(
    network: nn.Module, neurons: list[Any], x: torch.Tensor
) -> tuple[torch.Tensor, list[torch.Tensor]]:
    """Logits [T, B, classes], and h - v_threshold of each of the neurons' layers, [T, B, C, H, W];
    x [T, B, ...] and the network in float64."""
    given: dict[Any, torch.Tensor] = {}
    hooks = [
        n.register_forward_pre_hook(lambda m, args: given.__setitem__(m, args[0])) for n in neurons
    ]
    logits = network(x)
    for hook in hooks:
        hook.remove()
    found = []
    for neuron in neurons:
        spec, leak = neuron.spec, 1.0 / neuron.current_tau()
        v, margins = torch.zeros_like(given[neuron][0]), []
        for current in given[neuron]:
            h = leak * v + current
            fired = h > spec.v_threshold
            after = h - spec.v_threshold if spec.v_reset is None else spec.v_reset
            v = torch.where(fired, after, h)
            margins.append(h - spec.v_threshold)
        margin = torch.stack(margins)
        found.append(margin.reshape(*margin.shape[:2], *_three(margin.shape[2:])))
    return logits, found


def _three(shape: torch.Size) -> tuple[int, ...]:
    return tuple(shape) if len(shape) == 3 else (*shape, 1, 1)


def count(found: Differences, stepped: list[list[np.ndarray]], margins: list[np.ndarray]) -> None:
    """Add one recording: of C, by timestep and layer; and h - v_threshold [T, C, H, W] by layer."""
    begun = False
    for t, layers in enumerate(stepped):
        for spikes, margin in zip(layers, margins, strict=True):
            differs = (spikes != 0) != (margin[t] > 0)
            found.spikes += differs.size
            number = int(differs.sum())
            found.differ += number
            if number and not begun:
                begun = True
                found.recordings += 1
                found.first += number
                away = float(np.abs(margin[t][differs]).max())
                largest = max(1.0, float(np.abs(margin[t]).max()))
                found.furthest = max(found.furthest, away)
                found.rounding = max(found.rounding, away / (2.0**-23 * largest))
