"""The data sets of images that are read from files."""

from __future__ import annotations

from tempreg.data.source import Source
from tempreg.data.static.cifar import CIFAR10, CIFAR100
from tempreg.data.static.idx import MNIST, FashionMNIST
from tempreg.data.static.npz import EncodedCIFAR10, Npz

STATIC_SOURCES: tuple[Source, ...] = (
    CIFAR10(),
    CIFAR100(),
    MNIST(),
    FashionMNIST(),
    EncodedCIFAR10(),
    Npz(),
)
