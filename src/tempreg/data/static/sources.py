"""The data sets of images that are read from files."""

from __future__ import annotations

from tempreg.data.source import Source
from tempreg.data.static.cifar import CIFAR10, CIFAR100
from tempreg.data.static.folder import ImageFolder, ImageNet, ImageNet100, TinyImageNet
from tempreg.data.static.idx import MNIST, FashionMNIST
from tempreg.data.static.npz import EncodedCIFAR10, Npz
from tempreg.data.static.svhn import SVHN

STATIC_SOURCES: tuple[Source, ...] = (
    CIFAR10(), CIFAR100(), MNIST(), FashionMNIST(), SVHN(), TinyImageNet(), ImageNet100(),
    ImageNet(), EncodedCIFAR10(), ImageFolder(), Npz(),
)  # fmt: skip
