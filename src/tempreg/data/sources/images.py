"""The data sets of images that are read from files."""

from __future__ import annotations

from tempreg.data.source import Source
from tempreg.data.sources.cifar import CIFAR10, CIFAR100
from tempreg.data.sources.folder import ImageFolder
from tempreg.data.sources.idx import MNIST, FashionMNIST
from tempreg.data.sources.imagenet import ImageNet, ImageNet100, TinyImageNet
from tempreg.data.sources.npz import EncodedCIFAR10, Npz
from tempreg.data.sources.svhn import SVHN

STATIC_SOURCES: tuple[Source, ...] = (
    CIFAR10(),
    CIFAR100(),
    MNIST(),
    FashionMNIST(),
    SVHN(),
    TinyImageNet(),
    ImageNet100(),
    ImageNet(),
    EncodedCIFAR10(),
    ImageFolder(),
    Npz(),
)
