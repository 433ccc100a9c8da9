"""What exported C is made of before any is written: maps, arrays' places, and rounded numbers."""

from __future__ import annotations

import numpy as np
import pytest

from tempreg.export.c.graph import Graph, Source, graph_of
from tempreg.export.c.memory import laid_out
from tempreg.export.c.numbers import numbers_of
from tempreg.neurons import LIF
from tests.unit.export.test_export_c import added, plain, residual


def test_arrays_that_live_at_once_do_not_overlap() -> None:
    for model in (plain(), residual(), added()):
        memory = laid_out(graph_of(model, (9, 13), np.ones(2), np.zeros(2)))
        parts = [*memory.dense, *memory.membrane, *(p for three in memory.lists for p in three)]
        parts = [part for part in parts if part.size and part.last >= part.first]
        for i, a in enumerate(parts):
            assert a.offset % 8 == 0
            for b in parts[:i]:
                apart = a.offset + a.size <= b.offset or b.offset + b.size <= a.offset
                assert apart or a.last < b.first or b.last < a.first


def test_what_a_map_may_count() -> None:
    graph = Graph()
    spikes = graph.map(6, 9, 3)
    summed = graph.maps[graph.pooled("SUM_2X2", spikes)]
    largest = graph.maps[graph.pooled("MAX_3X3", spikes)]
    assert (summed.height, summed.width, summed.most, summed.factor) == (3, 4, 4, 0.25)
    assert (largest.height, largest.width, largest.most, largest.factor) == (3, 5, 1, 1.0)


def test_int8_scales_each_channel_by_its_own_largest_number() -> None:
    """127 steps to the largest weight of any source; bias and reset are at most 2^20 of them."""
    rng, graph = np.random.default_rng(0), Graph()
    first, second, out = graph.map(4, 4, 2), graph.map(4, 4, 5), graph.map(4, 4, 3)
    weights = [rng.normal(size=(3, 3, channels, 3)) for channels in (2, 5)]
    bias = np.array([0.0, 1e5, 0.1])
    sources = [Source(m, w, padding=1) for m, w in zip((first, second), weights, strict=True)]
    graph.spikes(sources, bias, LIF(), out)
    tables = numbers_of(graph, int8=True)
    assert tables.int8
    place, step = tables.layers[0].threshold, 2.0 ** -tables.layers[0].shift
    scale = 1 / (np.concatenate(tables.sums)[place : place + 3] * step)
    largest = np.max([np.abs(w).max(axis=(0, 1, 2)) for w in weights], axis=0)
    wanted = np.maximum(largest / 127, np.maximum(bias, 1) / 2**20)
    assert scale == pytest.approx(wanted, rel=1e-3)
    assert wanted[1] > largest[1] / 127
    assert np.abs(np.concatenate(tables.weights).astype(int)).max() == 127


def test_only_the_input_is_listed_before_the_first_operation() -> None:
    for model in (plain(), residual()):
        memory = laid_out(graph_of(model, (9, 13), np.ones(2), np.zeros(2)))
        firsts = [three[0].first for three in memory.lists]
        assert firsts[0] == -1
        assert min(firsts[1:]) >= 0
