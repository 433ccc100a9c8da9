"""What readers of NIR make of a run's graph: their predictions of the test split beside ours.

    python benchmarks/export_peers.py frames FOLDER RUN     # with tempreg[nir]
    python benchmarks/export_peers.py norse FOLDER          # or spikingjelly, sinabs: in its own

The graph is FOLDER/model.nir, frames.npz holds the recordings and our logits. sinabs 3.1 wants
nir <= 1.0.4 and nirtorch 2.6 wants nir >= 1.0.6, so each reader has an environment of its own.
"""

from __future__ import annotations

import sys
from pathlib import Path

import numpy as np


def write_frames(folder: Path, run: Path) -> None:
    import torch
    from tests.nir_interpreter import Interpreter

    from tempreg.export.nir_file import nir_graph, write_nir
    from tempreg.runs import load_run

    _, data, network, _ = load_run(run)
    x, y = data.test.batch(torch.arange(len(data.test)))
    write_nir(network, folder / "model.nir", input_size=data.input_size)
    graph = nir_graph(network, input_size=data.input_size)
    with torch.no_grad():
        logits = network(x).numpy()
        outputs, _, _ = Interpreter(graph, graph.metadata["dt"]).run(x)
    np.savez_compressed(folder / "frames.npz", x=x.numpy(), y=y.numpy(), logits=logits)
    compare("interpreter of the tests", outputs.numpy(), logits, y.numpy())


def norse(graph, x, dt):
    import norse.torch

    model = norse.torch.from_nir(graph, dt=dt)
    return stepped(model, x)


def spikingjelly(graph, x, dt):
    from spikingjelly.activation_based.nir_exchange import import_from_nir

    return stepped(import_from_nir(graph, dt=dt), x)


def sinabs(graph, x, dt):
    import nir
    from sinabs.nir import from_nir

    # It refuses parameters of more than one dimension ("truth value of an array"), and there is
    # one value a layer: so give it that.
    for node in graph.nodes.values():
        if isinstance(node, nir.LIF):
            for name in ("tau", "r", "v_leak", "v_threshold"):
                setattr(node, name, getattr(node, name).reshape(-1)[:1])
    steps, batch = x.shape[:2]
    model = from_nir(graph, batch_size=batch, num_timesteps=steps)
    # Its layers take [B * T, ...], batch outermost.
    out = model(x.transpose(0, 1).flatten(0, 1))
    out = out[0] if isinstance(out, tuple) else out
    return out.unflatten(0, (batch, steps)).transpose(0, 1)


def stepped(model, x):
    import torch

    state, outputs = None, []
    for frame in x:
        output, state = model(frame, state)
        outputs.append(output)
    return torch.stack(outputs)


def compare(name: str, theirs: np.ndarray, ours: np.ndarray, y: np.ndarray) -> None:
    same = theirs.mean(0).argmax(-1) == ours.mean(0).argmax(-1)
    gap = np.abs(theirs - ours).max(axis=(0, 2))
    right, ours_right = theirs.mean(0).argmax(-1) == y, ours.mean(0).argmax(-1) == y
    print(
        f"{name}: same class for {same.sum()} of {len(same)}; logits within 1e-4 for "
        f"{(gap < 1e-4).sum()}; largest difference {gap.max():.2e}; accuracy "
        f"{right.mean():.1%}, ours {ours_right.mean():.1%}"
    )


def main() -> None:
    what, folder = sys.argv[1], Path(sys.argv[2])
    folder.mkdir(parents=True, exist_ok=True)
    if what == "frames":
        write_frames(folder, Path(sys.argv[3]))
        return
    import nir
    import torch

    readers = {"norse": norse, "spikingjelly": spikingjelly, "sinabs": sinabs}
    saved = np.load(folder / "frames.npz")
    graph = nir.read(folder / "model.nir")
    with torch.no_grad():
        chunks = [
            readers[what](graph, torch.from_numpy(saved["x"][:, i : i + 50]), 1e-3)
            for i in range(0, saved["x"].shape[1], 50)
        ]
    compare(what, torch.cat(chunks, 1).numpy(), saved["logits"], saved["y"])


if __name__ == "__main__":
    main()
