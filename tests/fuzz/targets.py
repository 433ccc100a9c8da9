"""Every reader of a file that a person may have been given, with valid files to begin from."""

from __future__ import annotations

import io
import json
import shutil
import tarfile
import tempfile
import zipfile
import zlib
from collections.abc import Callable, Iterable
from dataclasses import dataclass
from functools import cache
from pathlib import Path

import h5py
import numpy as np
import safetensors.torch
import scipy.io
import torch
from PIL import Image

from tempreg.build import build_model
from tempreg.config import read_config
from tempreg.config.presets import nmnist_trt
from tempreg.data import load_dataset
from tempreg.data.event_files import READERS, read_recording
from tempreg.data.event_sources import DVS128Gesture
from tempreg.data.frame_cache import HEADER_BYTES, opened
from tempreg.data.images import decoded
from tempreg.data.source import DataError
from tempreg.data.static.cifar import CIFAR10
from tempreg.data.static.folder import TinyImageNet
from tempreg.data.static.idx import read_idx
from tempreg.data.static.npz import encoded_images, read_npz
from tempreg.data.static.svhn import read_svhn
from tempreg.data.unpack import unpack
from tempreg.models import SpikingNetwork, create_model, load_weights
from tempreg.prediction import stored_network
from tempreg.report.single import write_run_report
from tempreg.runs import evaluate_run
from tempreg.study.arms import Arm
from tempreg.study.plan import make_plan, read_plan
from tempreg.study.report import write_study_report
from tempreg.study.results import load_study
from tempreg.training import checkpoint
from tempreg.training.run_directory import RunDirectory
from tests.study_folder import make_study
from tests.unit import test_event_files as layouts
from tests.unit import test_static_cifar as cifar
from tests.unit.test_static_idx import idx

OLD_RUN = Path(__file__).parents[1] / "data" / "old_run"


@dataclass(frozen=True)
class Target:
    """A reader. Final.

    Attributes:
        name: of the reader, for the table.
        file: what the damaged file is called, in the folder that `read` is given.
        seeds: valid contents of that file.
        read: reads the folder's file; it may return, or raise an error that is a sentence.
        around: fills the folder with what stands beside the file.
    """

    name: str
    file: str
    seeds: Callable[[], list[bytes]]
    read: Callable[[Path], object]
    around: Callable[[Path], None] = lambda folder: None


def targets() -> dict[str, Target]:
    """All readers by name."""
    found = [*_events(), *_images(), *_tensors(), *_texts()]
    return {target.name: target for target in found}


def _events() -> list[Target]:
    made = {
        ".bin": [layouts.forty_bit], ".bs2": [layouts.forty_bit],
        ".aedat": [layouts.dvs128, lambda e: layouts.dvs128(e, 1), layouts.aedat3],
        ".aedat4": [layouts.aedat4], ".dat": [layouts.dat], ".raw": [layouts.evt2, layouts.evt3],
        ".npy": [_npy], ".npz": [_npz], ".h5": [_h5], ".hdf5": [_h5], ".csv": [_csv],
        ".mat": [_mat],
    }  # fmt: skip
    assert made.keys() == READERS.keys()

    def target(suffix: str) -> Target:
        return Target(
            f"recording {suffix}", f"a{suffix}",
            lambda: [make(_recording()) for make in made[suffix]],
            lambda folder: read_recording(folder / f"a{suffix}"),
        )  # fmt: skip

    return [target(suffix) for suffix in made if suffix != ".hdf5"]


@cache
def _recording() -> layouts.Events:
    rng = np.random.default_rng(3)
    t = np.sort(rng.integers(0, 300_000, 60))
    return np.stack([t, *rng.integers(0, 34, (2, 60)), rng.integers(0, 2, 60)], axis=1)


def _npy(events: layouts.Events) -> bytes:
    out = io.BytesIO()
    np.save(out, events)
    return out.getvalue()


def _npz(events: layouts.Events) -> bytes:
    out = io.BytesIO()
    np.savez_compressed(out, **dict(zip("txyp", events.T, strict=True)))
    return out.getvalue()


def _h5(events: layouts.Events) -> bytes:
    out = io.BytesIO()
    with h5py.File(out, "w") as file:
        for name, values in zip("txyp", events.T, strict=True):
            file[f"events/{name}"] = values
    return out.getvalue()


def _csv(events: layouts.Events) -> bytes:
    out = io.StringIO()
    np.savetxt(out, events, "%d", ",", header="t,x,y,p", comments="")
    return out.getvalue().encode()


def _mat(events: layouts.Events) -> bytes:
    out = io.BytesIO()
    scipy.io.savemat(out, dict(zip("txyp", events.T, strict=True)), do_compression=True)
    return out.getvalue()


def _images() -> list[Target]:
    rng = np.random.default_rng(0)
    pixels = rng.integers(0, 256, (12, 16, 3), dtype=np.uint8)

    def picture(kind: str) -> list[bytes]:
        out = io.BytesIO()
        image = Image.fromarray(pixels)
        exif = Image.Exif()
        exif[0x0112] = 6
        image.save(out, kind, **({"exif": exif} if kind in ("JPEG", "PNG", "WEBP", "TIFF") else {}))
        grey = io.BytesIO()
        image.convert("L").save(grey, kind)
        return [out.getvalue(), grey.getvalue()]

    def target(kind: str) -> Target:
        return Target(
            f"image {kind}", "a.png", lambda: picture(kind),
            lambda folder: decoded(folder / "a.png", 3, 8),
        )  # fmt: skip

    def batch(folder: Path) -> None:
        cifar.written(folder, "cifar10", binary=False)

    def binary(folder: Path) -> None:
        cifar.written(folder, "cifar10", binary=True)

    def cifar_target(name: str, file: str, around: Callable[[Path], None]) -> Target:
        return Target(
            f"{name} (CIFAR)", file, lambda: made_by(around, file),
            lambda folder: load_dataset("cifar10", num_steps=2, path=folder), around,
        )  # fmt: skip

    def archive() -> list[bytes]:
        with tempfile.TemporaryDirectory() as made:
            binary(Path(made))
            packed = Path(made, "a.tar.gz")
            with tarfile.open(packed, "w:gz") as tar:
                tar.add(Path(made, CIFAR10().folders[0]), CIFAR10().folders[0])
            return [packed.read_bytes()]

    def tiny(folder: Path) -> None:
        for name in ("n01", "n02"):
            images = folder / "train" / name / "images"
            images.mkdir(parents=True)
            (images / f"{name}_0.JPEG").touch()
        (folder / "val").mkdir()
        (folder / "val" / "val_annotations.txt").write_text("0.JPEG\tn01\t0\n1.JPEG\tn02\t1\n")

    def tiny_parts(folder: Path) -> None:
        parts = TinyImageNet().parts(folder)
        inside(folder, [file for files in parts["test"].values() for file in files])

    def npz() -> list[bytes]:
        out = io.BytesIO()
        x = rng.integers(0, 256, (30, 8, 8), dtype=np.uint8)
        np.savez(out, x=x, y=np.arange(30) % 3)
        return [out.getvalue()]

    def encoded() -> list[bytes]:
        out = io.BytesIO()
        joined = b"".join(files := picture("JPEG")[:1] * 2)
        offsets = np.cumsum([0, *map(len, files)])
        np.savez(out, jpeg=np.frombuffer(joined, np.uint8), offsets=offsets, labels=[0, 1])
        return [out.getvalue()]

    def read_encoded(folder: Path) -> None:
        path = folder / "own.npz"
        encoded_images(read_npz(path), path, None)

    def mat() -> list[bytes]:
        out = io.BytesIO()
        x = rng.integers(0, 256, (32, 32, 3, 20), dtype=np.uint8)
        y = (np.arange(20) % 10 + 1).astype(np.uint8)[:, None]
        scipy.io.savemat(out, {"X": x, "y": y})
        return [out.getvalue()]

    binaries, folder_name = CIFAR10().folders
    return [
        *(target(kind) for kind in ("PNG", "JPEG", "GIF", "BMP", "TIFF", "WEBP", "PPM")),
        Target("images .npz", "own.npz", npz,
               lambda folder: load_dataset("npz", num_steps=2, path=folder / "own.npz")),
        Target("images encoded in .npz", "own.npz", encoded, read_encoded),
        Target("images idx", "a", lambda: [idx(pixels[..., 0][None])],
               lambda folder: read_idx(folder / "a", 3)),
        Target("images .mat (SVHN)", "train_32x32.mat", mat,
               lambda folder: read_svhn(folder / "train_32x32.mat")),
        cifar_target("images pickled", f"{folder_name}/data_batch_1", batch),
        cifar_target("images", f"{binaries}/data_batch_1.bin", binary),
        cifar_target("classes", f"{binaries}/batches.meta.txt", binary),
        cifar_target("classes pickled", f"{folder_name}/batches.meta", batch),
        Target("archive (CIFAR)", CIFAR10().archives[0], archive,
               lambda folder: load_dataset("cifar10", num_steps=2, path=folder)),
        Target("classes (Tiny-ImageNet)", "val/val_annotations.txt",
               lambda: made_by(tiny, "val/val_annotations.txt"), tiny_parts, tiny),
    ]  # fmt: skip


def made_by(fill: Callable[[Path], None], name: str) -> list[bytes]:
    """A file of the folder that `fill` fills."""
    with tempfile.TemporaryDirectory() as made:
        fill(Path(made))
        return [(Path(made) / name).read_bytes()]


def inside(folder: Path, files: Iterable[Path]) -> None:
    """What a file names, whatever it is, may not lie outside of the folder it was given."""
    for file in files:
        assert file.resolve().is_relative_to(folder.resolve()), file


@cache
def _network() -> SpikingNetwork:
    return create_model(
        "csnn", num_classes=3, in_channels=1, num_steps=2, input_size=8, channels=[2]
    )


def _saved() -> list[bytes]:
    out = io.BytesIO()
    torch.save(_network().state_dict(), out)
    return [out.getvalue()]


def _archives() -> list[bytes]:
    zipped, packed = io.BytesIO(), io.BytesIO()
    with zipfile.ZipFile(zipped, "w") as archive:
        archive.writestr("a/b.txt", "x" * 100)
        archive.writestr("c", "y")
    with tarfile.open(fileobj=packed, mode="w:gz") as archive:
        for name in ("a/b.txt", "c"):
            info = tarfile.TarInfo(name)
            info.size = 5
            archive.addfile(info, io.BytesIO(b"abcde"))
    return [zipped.getvalue(), packed.getvalue()]


def _tensors() -> list[Target]:
    def resume(folder: Path) -> object:
        network = _old_network()
        optimizer = torch.optim.AdamW(network.parameters())
        path = folder / "last.pt"
        settings = torch.load(OLD_RUN / "run/checkpoints/last.pt", weights_only=True)["settings"]
        return checkpoint.load_checkpoint(path, network, optimizer, settings)

    def weights(folder: Path) -> None:
        checkpoint.load_weights(folder / "model.safetensors", _old_network())

    def old(name: str) -> Callable[[], list[bytes]]:
        return lambda: [(OLD_RUN / "run" / name).read_bytes()]

    def unpacked(folder: Path) -> None:
        into = folder / "into"
        shutil.rmtree(into, ignore_errors=True)
        into.mkdir()
        unpack(folder / "a.archive", into)

    def mapped(folder: Path) -> None:
        if opened(folder / "a.frames") is None:
            raise DataError("damaged, so it is built again")

    def frames() -> list[bytes]:
        values = np.arange(2 * 2 * 4 * 4, dtype=np.int16)
        held = {"shape": [1, 2, 2, 4, 4], "dtype": "int16", "events": [9, 9],
                "sensor_size": [4, 4], "checksum": zlib.crc32(values.tobytes())}  # fmt: skip
        return [json.dumps(held).encode().ljust(HEADER_BYTES) + values.tobytes()]

    return [
        Target("checkpoint", "last.pt", old("checkpoints/last.pt"), resume),
        Target("weights of a run", "model.safetensors", old("model.safetensors"), weights),
        Target("first weights .safetensors", "w.safetensors",
               lambda: [safetensors.torch.save(_network().state_dict())],
               lambda folder: load_weights(_network(), folder / "w.safetensors")),
        Target("first weights .pt", "w.pt", _saved,
               lambda folder: load_weights(_network(), folder / "w.pt")),
        Target("archive", "a.archive", _archives, unpacked),
        Target("frame cache", "a.frames", frames, mapped),
    ]  # fmt: skip


@cache
def _old_network() -> SpikingNetwork:
    data = load_dataset("npz", num_steps=2, path=OLD_RUN / "own.npz")
    return build_model(read_config(OLD_RUN / "run" / "config.yaml"), data)


def _texts() -> list[Target]:
    def run(folder: Path) -> None:
        shutil.copytree(OLD_RUN, folder, dirs_exist_ok=True)
        settings = (folder / "run" / "config.yaml").read_text()
        settings = settings.replace("path: own.npz", f"path: {OLD_RUN}/own.npz")
        (folder / "run" / "config.yaml").write_text(settings)
        analysis = folder / "run" / "analysis"
        analysis.mkdir(exist_ok=True)
        values = {"quantity": "made", "version": 1, "arrays": {"a": {"axes": ["t"], "unit": "1"}},
                  "a": [1.0, 2.0, 3.0], "n": 3, "settings": {"chunk": 1}}  # fmt: skip
        (analysis / "made.json").write_text(json.dumps(values))

    def study(folder: Path) -> None:
        make_study(folder, replicates=3)

    def of_run(name: str, read: Callable[[Path], object]) -> Target:
        file = f"run/{name}"
        return Target(f"{name} of a run", file, lambda: made_by(run, file), read, run)

    def of_study(name: str) -> Target:
        return Target(
            f"{name} of a study", name, lambda: made_by(study, name), write_study_report, study
        )

    def measured(name: str) -> Target:
        file = f"runs/0/000/analysis/{name}"
        return Target(
            f"analysis/{name}", file, lambda: made_by(study, file),
            lambda folder: write_run_report(folder / "runs/0/000"), study,
        )  # fmt: skip

    def chosen(folder: Path) -> None:
        study(folder)
        (folder / "chosen.json").write_text(json.dumps({"trt": {"objective.lam": 0.01}}))

    def gestures(folder: Path) -> None:
        for user in ("user01_led", "user02_led"):
            (folder / f"{user}.aedat").touch()
            labels = "class,startTime_usec,endTime_usec\n1,100,300\n11,500,520\n"
            (folder / f"{user}_labels.csv").write_text(labels)
        (folder / "trials_to_train.txt").write_text("user01_led.aedat\n")
        (folder / "trials_to_test.txt").write_text("user02_led.aedat\n")

    def gesture_samples(folder: Path) -> None:
        source = DVS128Gesture()
        if absent := source.missing(folder):
            raise DataError(absent[0])
        inside(folder, [sample.path for sample in source.samples(folder)[1]])

    def gesture(name: str, file: str) -> Target:
        return Target(name, file, lambda: made_by(gestures, file), gesture_samples, gestures)

    return [
        Target("settings .yaml", "a.yaml", lambda: [(OLD_RUN / "run/config.yaml").read_bytes()],
               lambda folder: read_config(folder / "a.yaml")),
        of_run("config.yaml", lambda folder: evaluate_run(folder / "run")),
        of_run("data.json", lambda folder: stored_network(folder / "run")),
        of_run("metrics.jsonl", lambda folder: RunDirectory(folder / "run").read_metrics()),
        of_run("environment.json", lambda folder: write_run_report(folder / "run")),
        of_run("summary.json", lambda folder: write_run_report(folder / "run")),
        of_run("analysis/made.json", lambda folder: write_run_report(folder / "run")),
        Target("study.yaml, to go on", "study.yaml", _plan, read_plan),
        measured("fisher.json"),
        measured("gradients.json"),
        measured("fisher_over_training.jsonl"),
        Target("chosen.json of a study", "chosen.json", lambda: made_by(chosen, "chosen.json"),
               load_study, chosen),
        gesture("trials (DVS128 Gesture)", "trials_to_train.txt"),
        gesture("labels (DVS128 Gesture)", "user01_led_labels.csv"),
        *(of_study(name) for name in ("study.yaml", "results.csv", "costs.csv",
                                      "runs/0/000/test_items.npz")),
    ]  # fmt: skip


def _plan() -> list[bytes]:
    arm = Arm("rate", {"objective.name": "rate"})
    plan = make_plan("nmnist-trt", nmnist_trt(), [arm], 2, trials=0, analyses=(), samples=4)
    return [plan.text().encode()]
