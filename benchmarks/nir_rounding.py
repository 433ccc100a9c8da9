"""What a NIR file of resnet19 that comes in again differs by, and whether that is rounding alone.

    python benchmarks/nir_rounding.py [RECORDINGS]      minutes; needs nir

A file has batch norms folded into convolutions, in float32. Compared are, on N-MNIST's test part,
the network and the imported one in float32; the network and itself with norms folded in float64, in
float64; and how near its threshold the first potential is whose spike comes out otherwise.
"""

from __future__ import annotations

import copy
import sys
import tempfile
from pathlib import Path

import torch
from torch import Tensor, nn

import tempreg
from tempreg.analysis.membrane import potentials
from tempreg.data import load_dataset
from tempreg.export.fold import folded
from tempreg.interop.nir_graphs import FromNIR
from tempreg.models.layers import ConvNorm

AT_ONCE, STEPS = 12, 4
Seen = list[tuple[tempreg.Neuron, Tensor, Tensor]]


def observed(network: nn.Module, x: Tensor) -> tuple[Tensor, Seen]:
    """Logits, and of each layer of neurons what it got and gave."""
    seen: Seen = []

    def note(neuron: nn.Module, given: tuple[Tensor, ...], spikes: Tensor) -> None:
        seen.append((neuron, given[0], spikes))

    hooks = [
        m.register_forward_hook(note) for m in network.modules() if isinstance(m, tempreg.Neuron)
    ]
    with torch.no_grad():
        logits = network(x)
    for hook in hooks:
        hook.remove()
    return logits, seen


def without_norms(network: nn.Module) -> nn.Module:
    """A copy in float64 whose batch norms are part of the convolutions before them."""
    made = copy.deepcopy(network).double()
    for unit in [m for m in made.modules() if isinstance(m, ConvNorm)]:
        weight, bias = folded(unit, 1.0, 1.0)
        unit.conv.weight, unit.conv.bias = nn.Parameter(weight), nn.Parameter(bias)
        unit.norm = nn.Identity()
    return made


def first_difference(exact: Seen, other: Seen) -> str:
    """The layer where spikes first differ, and |h - v_threshold| of those, in float64."""
    for place, ((neuron, current, spikes), (_, _, others)) in enumerate(
        zip(exact, other, strict=True)
    ):
        wrong = spikes != others.double()
        if wrong.any():
            first = wrong & (wrong.cumsum(0) == 1)
            h = potentials(neuron, current, spikes)
            gaps = (h - neuron.spec.v_threshold).abs()[first]
            most = float(h.abs().max())
            return (
                f"layer {place + 1} of {len(exact)}, {len(gaps)} neurons with potentials within "
                f"{float(gaps.max()):.1e} of the threshold; the largest is {most:.1f}"
            )
    return "nowhere"


def main() -> None:
    count = int(sys.argv[1]) if len(sys.argv) > 1 else 120
    x = load_dataset("nmnist", num_steps=STEPS).test.inputs(torch.arange(count))
    torch.manual_seed(0)
    network = tempreg.create_model(
        "resnet19", num_classes=10, in_channels=2, num_steps=STEPS, input_size=34, v_threshold=0.5
    )
    with torch.no_grad():
        for _ in range(6):
            network(x[:, :8])  # running statistics of its own
    network.eval()
    with tempfile.TemporaryDirectory() as folder:
        file = Path(folder) / "net.nir"
        tempreg.export.nir(network, file, input_shape=(2, 34, 34))
        imported = FromNIR(file).eval()
    gaps = []
    for rows in torch.arange(count).split(AT_ONCE):
        with torch.no_grad():
            ours, theirs = network(x[:, rows]), imported(x[:, rows])
        gaps += (ours - theirs).abs().amax(dim=(0, 2)).tolist()
        same = int((ours.mean(0).argmax(1) == theirs.mean(0).argmax(1)).sum())
        if same < len(rows):
            print(f"another class for {len(rows) - same} of {len(rows)}")
    by_size = torch.tensor(gaps)
    off = by_size > 1e-4
    print(
        f"float32: {int(off.sum())} of {count} recordings differ, by up to {by_size.max():.3f} in "
        f"a logit; the others by up to {float(by_size[~off].max()):.1e}"
    )
    worst = x[:, by_size.argsort(descending=True)[:6]]
    exact, seen = observed(copy.deepcopy(network).double(), worst.double())
    again, folded_seen = observed(without_norms(network), worst.double())
    wrong = sum(int((a[2] != b[2]).sum()) for a, b in zip(seen, folded_seen, strict=True))
    total = sum(a[2].numel() for a in seen)
    print(
        f"float64, the six worst of them, norms folded: {wrong} of {total:,} spikes differ, logits "
        f"by {float((exact - again).abs().max()):.1e}"
    )
    for name, other in (("the network", network), ("the imported one", imported)):
        found = first_difference(seen, observed(other, worst)[1])
        print(f"{name} in float32 first differs in {found}")


if __name__ == "__main__":
    main()
