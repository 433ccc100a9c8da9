"""Which device a run is computed on, and by how many processes: its settings, and what a launcher
(torchrun, SLURM's srun) has decided already."""

from __future__ import annotations

import inspect
import os
from collections.abc import Collection
from dataclasses import replace
from typing import TYPE_CHECKING, Any, NamedTuple, final

import torch
from torch import nn

from tempreg.config import ConfigError, RunConfig
from tempreg.training.precision import whole_double

if TYPE_CHECKING:
    from lightning_fabric import Fabric


@final
class Launcher(NamedTuple):
    """What started this process as one of several.

    Attributes:
        name: for sentences.
        devices: processes that it started on each node.
        nodes: nodes that it started them on.
        rank: which of all processes this is, from 0.
    """

    name: str
    devices: int
    nodes: int
    rank: int


def launcher() -> Launcher | None:
    """torchrun or SLURM, from the variables that they set; None where neither started this.

    In an interactive job (named "bash" or "interactive") SLURM counts as absent, as it does for
    Lightning Fabric. ConfigError where not every node has as many processes.
    """
    given = os.environ
    if "TORCHELASTIC_RUN_ID" in given:
        name, world, rank = "torchrun", int(given["WORLD_SIZE"]), int(given["RANK"])
        nodes = world // int(given["LOCAL_WORLD_SIZE"])
    elif "SLURM_NTASKS" in given and given.get("SLURM_JOB_NAME") not in ("bash", "interactive"):
        name, world = "SLURM", int(given["SLURM_NTASKS"])
        nodes, rank = int(given.get("SLURM_NNODES", 1)), int(given.get("SLURM_PROCID", 0))
    else:
        return None
    if nodes < 1 or world % nodes:
        raise ConfigError(
            f"{name} started {world} processes on {nodes} nodes: start equally many on each"
        )
    return Launcher(name, world // nodes, nodes, rank)


def as_launched(config: RunConfig) -> RunConfig:
    """The settings, with as many processes as a launcher has started.

    Where they leave devices and num_nodes at 1, the launcher decides; ConfigError where they ask
    for others than it started.
    """
    found = launcher()
    if found is None:
        if config.num_nodes > 1 and not {"MASTER_ADDR", "MASTER_PORT", "NODE_RANK"} <= {
            *os.environ
        }:
            raise ConfigError(
                f"num_nodes={config.num_nodes} was asked for, but nothing says where the others "
                "are: start the processes with torchrun or srun, or set MASTER_ADDR, MASTER_PORT "
                "and NODE_RANK on each node"
            )
        return config
    asked, started = (config.devices, config.num_nodes), (found.devices, found.nodes)
    if asked not in ((1, 1), started):
        raise ConfigError(
            f"{found.name} started {found.devices} process(es) on {found.nodes} node(s), but the "
            f"settings ask for devices={asked[0]} and num_nodes={asked[1]}: start as many, or give "
            f"--devices {found.devices} --num-nodes {found.nodes}"
        )
    try:
        return replace(config, devices=found.devices, num_nodes=found.nodes)
    except ValueError as error:
        raise ConfigError(str(error)) from None


def on_one_device(config: RunConfig, asked: Collection[str] = ()) -> RunConfig:
    """The settings to use the network of a run with here, whatever trained it.

    By one process; on the CPU where it was trained on a GPU and there is none; in float32 where
    float16 can't be had; with the backend and the convolutions that run. Settings by the names in
    `asked` were chosen for now, and stay as they are, to be met or refused.
    """
    changes: dict[str, Any] = {"devices": 1, "num_nodes": 1, "sync_batch_norm": False}
    if config.backend == "compiled":
        changes["backend"] = "auto"
    if config.conv == "sparse":
        changes["conv"] = "auto"
    changes |= _here(config)
    return replace(config, **{k: v for k, v in changes.items() if k not in asked})


def as_continued(config: RunConfig, trained: RunConfig) -> RunConfig:
    """The settings that a run goes on with here.

    Those of `config`; but device, float16 and synchronised batch norm that the run, which was
    begun with the settings `trained`, merely has, and that can't be had here, give way: a CPU
    takes the place of a GPU, float32 that of float16, and one process needs no other's statistics.
    """
    changes = _here(config)
    if config.devices * config.num_nodes == 1 and _on_cpu(config):
        changes["sync_batch_norm"] = False
    own = {k: v for k, v in changes.items() if getattr(config, k) == getattr(trained, k)}
    return replace(config, **own)


def _on_cpu(config: RunConfig) -> bool:
    return config.device == "cpu" or not torch.cuda.is_available()


def _here(config: RunConfig) -> dict[str, Any]:
    """What stands for a device and a precision that aren't here."""
    if not _on_cpu(config):
        return {}
    found: dict[str, Any] = {}
    if config.device == "cuda":
        found["device"] = "cpu"
    if config.precision == "16-mixed":
        found["precision"] = "32-true"
    return found


def joins_others() -> bool:
    """Whether this process was started as one of several, by a launcher or by the first process."""
    found = launcher()
    return "LOCAL_RANK" in os.environ if found is None else found.devices * found.nodes > 1


def is_first_process() -> bool:
    """Whether this is the one process of a run that speaks."""
    found = launcher()
    if found is not None:
        return found.rank == 0
    return {os.environ.get("LOCAL_RANK", "0"), os.environ.get("NODE_RANK", "0")} == {"0"}


def device_type(config: RunConfig) -> str:
    """ "cpu" or "cuda"; ConfigError where what was asked for isn't here."""
    available = torch.cuda.is_available()
    if config.device == "cuda" and not available:
        raise ConfigError("device cuda was asked for, but torch finds no CUDA device here")
    chosen = "cuda" if available and config.device != "cpu" else "cpu"
    if config.precision == "16-mixed" and chosen == "cpu":
        raise ConfigError(
            "precision 16-mixed needs a CUDA device: on a CPU choose 32-true or bf16-mixed"
        )
    if config.precision == "auto" and chosen == "cuda":
        raise ConfigError("precision auto is measured on CPUs: for a GPU name one")
    if config.sync_batch_norm and chosen == "cpu":
        raise ConfigError(
            "sync_batch_norm needs CUDA devices, for torch's does not run on a CPU: leave it out, "
            "or set model.norm to none for a result that doesn't depend on the processes"
        )
    most = torch.cuda.device_count() if chosen == "cuda" else os.cpu_count() or 1
    if config.devices > most:
        raise ConfigError(
            f"devices={config.devices} was asked for, but there are {most} here ({chosen})"
        )
    return chosen


def workers(config: RunConfig) -> int:
    """How many processes of each of the run's read data ahead."""
    if config.workers is not None:
        return config.workers
    if device_type(config) == "cpu":
        return 0
    return min(4, (os.cpu_count() or 1) // config.devices)


def device_remark(config: RunConfig) -> str | None:
    """What a person should know of a device that isn't NVIDIA's."""
    if device_type(config) == "cuda" and torch.version.hip is not None:
        return (
            "this PyTorch computes by ROCm: tempreg has not been tried on an AMD GPU; compare the "
            "first epochs with --device cpu"
        )
    if config.device != "cpu" and _on_cpu(config) and torch.backends.mps.is_available():
        return "this Mac's GPU is not used: tempreg computes on CPUs and, by CUDA, on NVIDIA's GPUs"
    return None


def build_fabric(config: RunConfig) -> Fabric:
    """Lightning Fabric for the run's device, processes and precision, not yet launched."""
    from lightning_fabric import Fabric  # loads dynamo, which takes seconds
    from lightning_fabric.strategies.ddp import DDPStrategy

    several = config.devices * config.num_nodes > 1
    double = config.precision == "64-true"
    assert config.precision != "auto"  # which is settled before; see `runs.precision`
    # In each forward pass, processes with more batches to evaluate would wait for the others.
    ddp = inspect.signature(nn.parallel.DistributedDataParallel).parameters
    name = "forward_sync_buffers" if "forward_sync_buffers" in ddp else "broadcast_buffers"
    no_waiting: dict[str, Any] = {name: False}
    if device_type(config) != "cpu":
        no_waiting["gradient_as_bucket_view"] = True  # gradients lie where they are sent from
    return Fabric(
        accelerator=device_type(config),
        devices=config.devices,
        num_nodes=config.num_nodes,
        precision=None if double else config.precision,
        plugins=[whole_double()] if double else None,
        strategy=DDPStrategy(**no_waiting) if several else "auto",
    )


def with_sync_batch_norm(network: nn.Module) -> nn.Module:
    """The network with each batch norm over the batches of all processes; names stay."""
    converted: nn.Module = nn.SyncBatchNorm.convert_sync_batchnorm(network)
    return converted
