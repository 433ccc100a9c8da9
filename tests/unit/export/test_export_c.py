"""The exported C against the network in torch, compiled strictly and run under sanitizers."""

from __future__ import annotations

import functools
import os
import re
import shlex
import subprocess
import tempfile
from collections.abc import Sequence
from pathlib import Path

import numpy as np
import pytest
import torch
from torch import nn

from tempreg import create_model
from tempreg.errors import RequestError
from tempreg.export.c.files import write
from tempreg.export.request import Request
from tempreg.models import SpikingNetwork
from tempreg.models.resnet import BasicBlock, ResNet19, SEWBlock, SEWResNet, _stages
from tempreg.models.vgg import PlainNetwork
from tempreg.neurons import Neuron
from tests.conftest import needs_compiler

COMMON = {"num_classes": 5, "in_channels": 2, "num_steps": 4}
WARNED = ["-Wall", "-Wextra", "-Wconversion", "-Wno-sign-conversion", "-Werror"]
STRICT = ["-std=c99", "-pedantic", *WARNED]
SANITIZED = [*STRICT, "-O0", "-fsanitize=address,undefined", "-fno-sanitize-recover=all"]
HARNESS = """
#include "model.h"
#include <stdio.h>
#include <stdlib.h>
int main(void)
{
    static float frames[net_CHANNELS * net_HEIGHT * net_WIDTH], logits[net_CLASSES];
    net_state *state = malloc(net_state_size());
    net_reset(state);
    int step = 0, label = -1;
    float confidence = -1;
    if (net_decide(state, &label, &confidence) != 0 || label != -1)
        return 9;
    while (fread(frames, sizeof frames, 1, stdin) == 1) {
        if (net_step(state, frames, logits) != 0)
            return 3;
        fwrite(logits, sizeof logits, 1, stdout);
        if (net_decide(state, &label, &confidence)) {
            fprintf(stderr, "%d after %d, %f\\n", label, step + 1, confidence);
            net_reset(state);
            step = -1;
        }
        step++;
    }
    free(state);
    return 0;
}
"""


def lively(model: SpikingNetwork) -> SpikingNetwork:
    """Norms far from the identity, so that neurons everywhere spike and folding shows."""
    for module in model.modules():
        if isinstance(module, nn.BatchNorm2d):
            nn.init.uniform_(module.weight, 0.6, 1.6)
            nn.init.uniform_(module.bias, 0.1, 0.6)
            assert module.running_mean is not None
            assert module.running_var is not None
            nn.init.uniform_(module.running_mean, -0.4, 0.2)
            nn.init.uniform_(module.running_var, 0.4, 1.8)
    return model.eval()


def plain(**options: object) -> SpikingNetwork:
    torch.manual_seed(3)
    layers = (12, 20, "P", 72, "P")
    return lively(PlainNetwork(layers, input_size=(9, 13), **COMMON, **options))


def residual() -> SpikingNetwork:
    torch.manual_seed(4)
    model = ResNet19(**COMMON)
    make = (model.make_neuron, model.make_norm)
    model.body = _stages(BasicBlock, 64, ((16, 2, 1), (40, 1, 2)), *make)
    model.hidden, model.head = nn.Linear(40, 20), nn.Linear(20, 5)
    with torch.no_grad():
        model.hidden.weight.mul_(4)
    return lively(model)


def added() -> SpikingNetwork:
    torch.manual_seed(5)
    model = SEWResNet((1, 1, 1, 1), **COMMON)
    make = (model.make_neuron, model.make_norm)
    model.body = _stages(SEWBlock, 64, ((64, 1, 1), (24, 1, 2)), *make)
    model.head = nn.Linear(24, 5)
    return lively(model)


def frames(model: SpikingNetwork, samples: int = 6, size: tuple[int, int] = (9, 13)) -> np.ndarray:
    """Counts of events [samples, T, C, H, W], most of them 0."""
    density = np.resize([0.5, 0.05], (samples, 1, 1, 1, 1))  # few inputs go another way than many
    drawn = np.random.default_rng(0).poisson(density, (samples, 4, model.in_channels, *size))
    return drawn.astype(np.float32)


def written(model: SpikingNetwork, folder: Path, **options: object) -> list[str]:
    request = {"input_size": (9, 13), "events": True, "classes": tuple('a?"\\é')} | options
    return write(Request(model, folder / "model.c", **request))


def ran(folder: Path, x: np.ndarray, flags: Sequence[str]) -> subprocess.CompletedProcess[bytes]:
    """The compiled program, run on frames [samples, T, C, H, W]."""
    (folder / "main.c").write_text(HARNESS)
    compiler = shlex.split(os.environ.get("CC", "cc"))
    command = [*compiler, *flags, "model.c", "main.c", "-o", "program", "-lm"]
    made = subprocess.run(command, cwd=folder, capture_output=True, text=True)
    assert made.returncode == 0, made.stderr
    return subprocess.run([folder / "program"], input=x.tobytes(), capture_output=True)


def run(folder: Path, x: np.ndarray, flags: Sequence[str]) -> tuple[np.ndarray, str]:
    """Logits [samples, T, classes] of the compiled program, and what it decided."""
    done = ran(folder, x, flags)
    assert done.returncode == 0, done.stderr.decode()
    logits = np.frombuffer(done.stdout, np.float32).reshape(*x.shape[:2], -1)
    return logits, done.stderr.decode()


@torch.no_grad()
def expected(model: SpikingNetwork, x: np.ndarray) -> np.ndarray:
    """The same of the network itself, in float64."""
    logits = model.double()(torch.from_numpy(x).double().movedim(0, 1))
    model.float()
    return logits.movedim(0, 1).numpy()


@needs_compiler
@pytest.mark.parametrize(
    ("name", "flags"),
    [
        ("plain", SANITIZED),
        ("plain soft", [*STRICT, "-O1", "-DNET_PLAIN"]),
        ("residual", SANITIZED),
        ("added", [*STRICT, "-O2"]),
    ],
)
def test_logits_and_decisions_equal_the_network_s(
    name: str, flags: list[str], tmp_path: Path
) -> None:
    makers = {
        "plain": plain,
        "plain soft": lambda: plain(v_reset=None, tau=1.25, norm="tdbn"),
        "residual": residual,
        "added": added,
    }
    model = makers[name]()
    x = frames(model)
    written(model, tmp_path)
    logits, said = run(tmp_path, x, flags)
    truth = expected(model, x)
    assert truth.std(axis=(0, 1)).min() > 1e-3  # logits that move: spikes reach the head
    assert np.abs(logits - truth).max() < 1e-4
    means = truth.mean(axis=1)
    odds = np.exp(means - means.max(axis=1, keepdims=True))
    for line, mean, odd in zip(said.splitlines(), means, odds, strict=True):
        label, steps, confidence = re.fullmatch(r"(\d+) after (\d+), ([\d.]+)", line).groups()
        assert (int(label), int(steps)) == (mean.argmax(), 4)
        assert float(confidence) == pytest.approx(1 / odd.sum(), abs=1e-4)


@needs_compiler
@pytest.mark.parametrize("name", ["plain", "residual"])
def test_int8_keeps_the_class(name: str, tmp_path: Path) -> None:
    """Rounded weights move some spikes; logits stay near, most classes the same."""
    model = {"plain": plain, "residual": residual}[name]()
    x = frames(model, samples=24)
    said = written(model, tmp_path, int8=True)
    assert "int8" in said[0]
    logits, _ = run(tmp_path, x, SANITIZED)
    truth = expected(model, x).mean(axis=1)
    close = np.abs(logits.mean(axis=1) - truth).mean() / truth.std()
    assert close < 0.35
    assert np.mean(logits.mean(axis=1).argmax(1) == truth.argmax(1)) >= 0.8


@functools.cache
def why_no_32_bit() -> str:
    """Why this compiler makes no programs of 32 bit, or none that run here; "" where it does."""
    compiler = shlex.split(os.environ.get("CC", "cc"))
    with tempfile.TemporaryDirectory() as name:
        program = Path(name) / "program"
        made = subprocess.run(
            [*compiler, "-m32", "-x", "c", "-", "-o", program, "-lm"],
            input="#include <math.h>\n#include <stdlib.h>\nint main(void) { return 0; }\n",
            capture_output=True,
            text=True,
        )
        if made.returncode == 0:
            made = subprocess.run([program], capture_output=True, text=True)
    if made.returncode == 0:
        return ""
    return f"{compiler[0]} -m32 can't make a program (on Debian: gcc-multilib): {made.stderr[:200]}"


# Of pointers and sizes of 32 bit, and of floats in registers of 80 bit, or of SSE.
@needs_compiler
@pytest.mark.parametrize("arithmetic", [["-mfpmath=387"], ["-msse2", "-mfpmath=sse"]], ids=str)
@pytest.mark.parametrize("name", ["plain", "residual", "added", "plain int8"])
def test_on_32_bit(name: str, arithmetic: list[str], tmp_path: Path) -> None:
    if why := why_no_32_bit():
        pytest.skip(why)
    makers = {"plain": plain, "residual": residual, "added": added}
    model = makers[name.split()[0]]()
    x = frames(model)
    int8 = name.endswith("int8")
    written(model, tmp_path, int8=int8)
    flags = ["-m32", *arithmetic, "-O2"]
    logits, said = run(tmp_path, x, [*STRICT, *flags])
    assert (tmp_path / "program").read_bytes()[:5] == b"\x7fELF\x01"  # of 32 bit
    wide, decided = run(tmp_path, x, [*STRICT, "-O2"])
    if int8:  # sums of whole numbers: the same on any machine
        np.testing.assert_allclose(logits, wide, rtol=1e-5, atol=1e-7)
    else:
        assert np.abs(logits - expected(model, x)).max() < 1e-4
    assert decided == said


@needs_compiler
def test_pixels_come_in_as_they_are(tmp_path: Path) -> None:
    """Scaling is inside, the padding of the first layer too, which is 0 after scaling."""
    model = plain()
    scale, offset = (0.02, 0.03), (-1.0, 0.5)
    x = np.random.default_rng(1).integers(0, 256, (3, 4, 2, 9, 13)).astype(np.float32)
    written(model, tmp_path, events=False, scale=scale, offset=offset)
    logits, _ = run(tmp_path, x, [*STRICT, "-O1"])
    channel = (slice(None), None, None)
    scaled = x * np.float32(scale)[channel] + np.float32(offset)[channel]
    assert np.abs(logits - expected(model, scaled)).max() < 2e-4


@needs_compiler
@pytest.mark.parametrize("density", [1.0, 0.1])  # gathered and spread
def test_int8_takes_pixels_whose_zero_is_moved(density: float, tmp_path: Path) -> None:
    """As near to float32 as int8 is for inputs that aren't moved."""
    model = plain()
    scale, offset = (0.02, 0.03), (-1.0, 0.5)
    rng = np.random.default_rng(1)
    x = rng.integers(0, 256, (24, 4, 2, 9, 13)) * (rng.random((24, 4, 2, 9, 13)) < density)
    x = x.astype(np.float32)
    written(model, tmp_path, events=False, scale=scale, offset=offset, int8=True)
    logits, _ = run(tmp_path, x, SANITIZED)
    channel = (slice(None), None, None)
    scaled = x * np.float32(scale)[channel] + np.float32(offset)[channel]
    truth = expected(model, scaled).mean(axis=1)
    assert np.abs(logits.mean(axis=1) - truth).mean() / truth.std() < 0.35
    assert np.mean(logits.mean(axis=1).argmax(1) == truth.argmax(1)) >= 0.8


@needs_compiler
def test_frames_that_are_not_finite_are_refused(tmp_path: Path) -> None:
    model = plain()
    x = frames(model, samples=1)
    x[0, 2, 1, 3, 3] = np.nan
    written(model, tmp_path)
    assert ran(tmp_path, x, [*STRICT, "-O0"]).returncode == 3  # what net_step's -1 makes it say


def test_what_c_can_not_say(tmp_path: Path) -> None:
    with pytest.raises(RequestError, match="is no name in C"):
        written(plain(), tmp_path, prefix="2nd")
    assert not list(tmp_path.iterdir())


@needs_compiler
def test_the_page_s_program_compiles(tmp_path: Path) -> None:
    written(plain(), tmp_path)
    page = (Path(__file__).parents[3] / "docs" / "export.md").read_text()
    include, *body = page.split("```c\n")[1].split("```")[0].splitlines()
    lines = ["#include <stdlib.h>", include, "int more_frames(float *);", "void user(float *);"]
    lines += ["void user(float *frames)", "{", *body, "    free(state);", "}"]
    (tmp_path / "user.c").write_text("\n".join(lines) + "\n")
    compiler = shlex.split(os.environ.get("CC", "cc"))
    command = [*compiler, *STRICT, "-fsyntax-only", "user.c"]
    made = subprocess.run(command, cwd=tmp_path, capture_output=True, text=True)
    assert made.returncode == 0, made.stderr


def test_a_network_or_a_neuron_of_one_s_own_is_refused(tmp_path: Path) -> None:
    class Mine(Neuron):
        def current_tau(self) -> float:
            return 2.0

    model = plain()
    model.stem_neuron = Mine()
    for strange, name in ((model, "Mine"), (nn.Linear(2, 3), "Linear")):
        with pytest.raises(RequestError, match=f"not of {name}: export to onnx"):
            written(strange, tmp_path)
    assert not list(tmp_path.iterdir())


def test_names_carry_the_prefix(tmp_path: Path) -> None:
    model = create_model("csnn", channels=(8,), input_size=(9, 13), **COMMON).eval()
    written(model, tmp_path, prefix="digits")
    text = "".join(path.read_text() for path in sorted(tmp_path.iterdir()))
    assert "int digits_step(digits_state *state" in text
    assert not re.search(r"\bnet_", text)
