"""Where the files of data sets can be fetched without a login, and what they must be.

Addresses and checksums are those that torchvision (CIFAR, MNIST, Fashion-MNIST, SVHN), SpikingJelly
(CIFAR10-DVS) and tonic (N-MNIST, SHD, SSC) publish; Tiny-ImageNet's is in wide use. Sizes in bytes
are named only where they were found stated.
"""

from __future__ import annotations

import hashlib
from dataclasses import dataclass
from pathlib import Path
from typing import final


@final
@dataclass(frozen=True)
class Download:
    """One file to fetch.

    Attributes:
        url: where it is.
        name: what it is called in the data set's folder.
        checksum: "md5:..." or a plain SHA-256, in hexadecimal digits.
        size: bytes, where known.
        unpack: an archive (.zip, .tar, .tar.gz) whose content belongs in the folder instead.
    """

    url: str
    name: str
    checksum: str
    size: int | None = None
    unpack: bool = False

    def matches(self, path: Path) -> bool:
        """Whether the file at `path` is this one, by its checksum."""
        algorithm, _, digest = self.checksum.rpartition(":")
        found = hashlib.new(algorithm or "sha256", usedforsecurity=False)
        with path.open("rb") as file:
            while chunk := file.read(2**20):
                found.update(chunk)
        return found.hexdigest() == digest


def _idx(base: str, checksums: tuple[str, str, str, str]) -> tuple[Download, ...]:
    names = [f"{p}-{k}-ubyte.gz" for p in ("train", "t10k") for k in ("images-idx3", "labels-idx1")]
    return tuple(
        Download(base + name, name, f"md5:{md5}")
        for name, md5 in zip(names, checksums, strict=True)
    )


_TORONTO = "https://www.cs.toronto.edu/~kriz/"
_HOUSES = "http://ufldl.stanford.edu/housenumbers/"
_MENDELEY = "https://data.mendeley.com/public-files/datasets/468j46mzdv/files/"

_ZENKE = "https://zenkelab.org/datasets/"
_SPOKEN = {
    "shd": {
        "train": "f3252aeb598ac776c1b526422d90eecb",
        "test": "1503a5064faa34311c398fb0a1ed0a6f",
    },
    "ssc": {
        "train": "d102be95e7144fcc0553d1f45ba94170",
        "valid": "b4eee3516a4a90dd0c71a6ac23a8ae43",
        "test": "a35ff1e9cffdd02a20eb850c17c37748",
    },
}

DOWNLOADS: dict[str, tuple[Download, ...]] = {
    "cifar10": (
        Download(
            _TORONTO + "cifar-10-binary.tar.gz",
            "cifar-10-binary.tar.gz",
            "md5:c32a1d4ab5d03f1284b67883e8d87530",
            170_052_171,
            unpack=True,
        ),
    ),
    "cifar100": (
        Download(
            _TORONTO + "cifar-100-binary.tar.gz",
            "cifar-100-binary.tar.gz",
            "md5:03b5dce01913d631647c71ecec9e9cb8",
            168_513_733,
            unpack=True,
        ),
    ),
    "mnist": _idx(
        "https://ossci-datasets.s3.amazonaws.com/mnist/",
        (
            "f68b3c2dcbeaaa9fbdd348bbdeb94873",
            "d53e105ee54ea40749a09fcbcd1e9432",
            "9fb629c4189551a2d022fa330f9573f3",
            "ec29112dd5afa0611ce80d1b7f02629c",
        ),
    ),
    "fashion-mnist-full": _idx(
        "http://fashion-mnist.s3-website.eu-central-1.amazonaws.com/",
        (
            "8d4fb7e6c68d591d4c3dfef9ec88bf0d",
            "25c81989df183df01b3e8a0aad5dffbe",
            "bef4ecab320f06d8554ea6380940ec79",
            "bb300cfdad3c16e7a12a480ee83cd310",
        ),
    ),
    "svhn": (
        Download(
            _HOUSES + "train_32x32.mat",
            "train_32x32.mat",
            "md5:e26dedcc434d2e4c54c9b2d4a06d8373",
            182_040_794,
        ),
        Download(
            _HOUSES + "test_32x32.mat",
            "test_32x32.mat",
            "md5:eb5a983be6a315427106f1b164d9cef3",
            64_275_384,
        ),
    ),
    "tiny-imagenet": (
        Download(
            "http://cs231n.stanford.edu/tiny-imagenet-200.zip",
            "tiny-imagenet-200.zip",
            "md5:90528d7ca1a48142e341f4ef8d21d0de",
            248_100_043,
            unpack=True,
        ),
    ),
    "nmnist-full": (
        Download(
            _MENDELEY + "39c25547-014b-4137-a934-9d29fa53c7a0/file_downloaded",
            "Train.zip",
            "md5:20959b8e626244a1b502305a9e6e2031",
            unpack=True,
        ),
        Download(
            _MENDELEY + "05a4d654-7e03-4c15-bdfa-9bb2bcbea494/file_downloaded",
            "Test.zip",
            "md5:69ca8762b2fe404d9b9bad1103e97832",
            unpack=True,
        ),
    ),
    **{
        name: tuple(
            Download(
                f"{_ZENKE}{name}_{part}.h5.zip", f"{name}_{part}.h5.zip", f"md5:{md5}", unpack=True
            )
            for part, md5 in parts.items()
        )
        for name, parts in _SPOKEN.items()
    },
    "cifar10-dvs": tuple(
        Download(
            f"https://ndownloader.figshare.com/files/{number}",
            f"{name}.zip",
            f"md5:{md5}",
            unpack=True,
        )
        for name, number, md5 in (
            ("airplane", 7712788, "0afd5c4bf9ae06af762a77b180354fdd"),
            ("automobile", 7712791, "8438dfeba3bc970c94962d995b1b9bdd"),
            ("bird", 7712794, "a9c207c91c55b9dc2002dc21c684d785"),
            ("cat", 7712812, "52c63c677c2b15fa5146a8daf4d56687"),
            ("deer", 7712815, "b6bf21f6c04d21ba4e23fc3e36c8a4a3"),
            ("dog", 7712818, "f379ebdf6703d16e0a690782e62639c3"),
            ("frog", 7712842, "cad6ed91214b1c7388a5f6ee56d08803"),
            ("horse", 7712851, "e7cbbf77bec584ffbf913f00e682782a"),
            ("ship", 7712836, "41c7bd7d6b251be82557c6cce9a7d5c9"),
            ("truck", 7712839, "89f3922fd147d9aeff89e76a2b0b70a7"),
        )
    ),
}
"""By the name of the data set; one that isn't here is fetched by hand, see `instructions`."""
