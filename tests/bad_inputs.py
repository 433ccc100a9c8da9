# ruff: noqa: E501 - a case a line
"""Every bad input that is tried through the command line, and what its sentence must say.

A case is run in a folder of its own with `own.npz` (30 images, 3 classes) and `run`, a finished run
on them. tests/cli/test_bad_inputs.py runs them all; tools/bad_input_page.py writes what they say
into docs/bad-input.md.
"""

from __future__ import annotations

import io
import json
import os
import shlex
import shutil
import warnings
from contextlib import redirect_stderr, redirect_stdout
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from tempreg.cli.main import main
from tests.spoilt import (
    Prepare,
    Y,
    arrays,
    cut,
    edited,
    images,
    in_turn,
    narrow,
    net,
    npz,
    pickled,
    poison,
    recording,
    rename,
    text,
    weights,
    with_float,
    without,
)

TRAIN = "train nmnist-trt --out new"
OWN = (
    "train nmnist-trt --data.name npz --data own.npz --num-steps 2 --epochs 1 --batch-size 8 "
    "--model.channels [4] --augment.shift 0 --device cpu"
)


EVENTS = OWN.replace("npz --data own.npz", "event-folder --data events") + " --out new --data.cache false"  # fmt: skip
MINE = OWN.replace(" --model.channels [4]", "").replace("nmnist-trt", "mine.yaml") + " --out new"


def nothing(folder: Path) -> None:
    """The case needs no preparation."""


@dataclass(frozen=True)
class Case:
    """`what` is wrong in words, the `words` after tempreg, what standard error must contain.

    `prepare` is given the folder; `code` is the exit code.
    """

    group: str
    what: str
    words: str
    sentence: str
    prepare: Prepare = nothing
    code: int = 2


@dataclass(frozen=True)
class Answer:
    """What a command said on standard error, without warnings, and its exit code."""

    lines: list[str]
    code: int


def finished(folder: Path) -> None:
    """Fill a folder with `own.npz` and `run`, as every case finds them."""
    np.savez(folder / "own.npz", **arrays())
    answer = ask(f"{OWN} --out run", folder)
    assert answer.code == 0, answer.lines


def ask(words: str, folder: Path) -> Answer:
    """Run a command in this process, in that folder."""
    before, show = Path.cwd(), warnings.showwarning
    errors = io.StringIO()
    os.chdir(folder)
    try:
        with redirect_stderr(errors), redirect_stdout(io.StringIO()), warnings.catch_warnings():
            warnings.simplefilter("default")
            try:
                code = main(shlex.split(words))
            except SystemExit as end:
                code = end.code if isinstance(end.code, int) else 1
    finally:
        os.chdir(before)
        warnings.showwarning = show
    lines = errors.getvalue().splitlines()
    return Answer([x for x in lines if not x.startswith("tempreg: warning:")], code)


def tried(case: Case, template: Path, folder: Path) -> Answer:
    """The case, in a new `folder` that begins as a copy of what `finished` made."""
    shutil.copytree(template, folder)
    case.prepare(folder)
    return ask(case.words, folder)


CASES: tuple[Case, ...] = (
    Case("Words", "a command that isn't there", "trane", "did you mean 'train'"),
    Case("Words", "a preset that isn't there", "train nmnist-trtt --out new", "did you mean 'nmnist-trt'"),
    Case("Words", "neither preset, file nor data", "train --out new", "name a preset or a .yaml file"),
    Case("Words", "no folder for the run", "train nmnist-trt", "--out"),
    Case("Words", "a setting that isn't there", f"{TRAIN} --epoch 3", "did you mean '--epochs'"),
    Case("Words", "a setting without its section", f"{TRAIN} --decay 3", "did you mean '--objective.decay'"),
    Case("Words", "a setting of the network beside a graph's file", "import net.nir nmnist-trt --out new.yaml --model.tau 2", "FILE.nir says what the network is"),
    Case("Words", "a setting of training for a finished run", "evaluate run --lr 3", "--lr is a setting of `tempreg train`, which tempreg evaluate doesn't take"),
    Case("Words", "a seed for many runs", "compare nmnist-trt --out new --seed 3", "--seeds says how many runs an arm has"),
    Case("Words", "a split that isn't there", "evaluate run --split all", "invalid choice: 'all'"),
    Case("Words", "an analysis that isn't there", "analyze run curvatur", "invalid choice: 'curvatur'"),
    Case("Words", "a data set that isn't there", "data check nmnis", "did you mean 'nmnist'"),
    Case("Words", "a word too many", "presets more", "unknown argument more"),
    Case("Settings", "text for a number", f"{TRAIN} --epochs many", "epochs: expected a whole number, got 'many'"),
    Case("Settings", "a fraction for a count", f"{TRAIN} --epochs 1.5", "epochs: expected a whole number, got 1.5"),
    Case("Settings", "infinity", f"{TRAIN} --optimizer.lr .inf", "optimizer.lr: expected a finite number"),
    Case("Settings", "NaN", f"{TRAIN} --objective.lam .nan", "objective.lam: expected a finite number"),
    Case("Settings", "a bracket left open", f"{TRAIN} --model.channels [4", "this is not YAML"),
    Case("Settings", "no epoch", f"{TRAIN} --epochs 0", "epochs must be >= 1, got 0"),
    Case("Settings", "no timestep", f"{TRAIN} --num-steps 0", "num_steps must be >= 1, got 0"),
    Case("Settings", "far too many timesteps", f"{TRAIN} --num-steps 100000", "num_steps must be <= 10000"),
    Case("Settings", "an empty batch", f"{TRAIN} --batch-size 0", "batch_size must be >= 1, got 0"),
    Case("Settings", "a negative seed", f"{TRAIN} --seed -1", "seed must be >= 0, got -1"),
    Case("Settings", "a learning rate of 0", f"{TRAIN} --optimizer.lr 0", "optimizer.lr must be > 0"),
    Case("Settings", "a momentum of 1", f"{TRAIN} --optimizer.momentum 1", "optimizer.momentum must be in [0, 1)"),
    Case("Settings", "a negative clip", f"{TRAIN} --optimizer.clip-norm -1", "optimizer.clip_norm must be > 0"),
    Case("Settings", "more warm-up than epochs", f"{TRAIN} --optimizer.warmup-epochs 99", "is more than epochs"),
    Case("Settings", "a penalty that grows over time", f"{TRAIN} --objective.decay -1", "objective.decay must be >= 0"),
    Case("Settings", "an eps that overflows", f"{OWN} --out new --objective.eps 1e30", "eps must be in [0, 1e6]"),
    Case("Settings", "an objective that isn't there", f"{TRAIN} --objective trtt", "trtt"),
    Case("Settings", "an objective of a module that isn't there", f"{OWN} --out new --objective nowhere:Loss", "there is no module 'nowhere'"),
    Case("Settings", "a tau below 1", f"{TRAIN} --model.tau 0.5", "model.tau must be >= 1, at most 1e18, got 0.5"),
    Case("Settings", "a tau beyond float32", f"{OWN} --out new --model.tau 1e200", "model.tau must be >= 1, at most 1e18, got 1e+200"),
    Case("Settings", "a PLIF that can't learn", f"{OWN} --out new --model.neuron plif --model.tau 1", "PLIF needs a first tau > 1"),
    Case("Settings", "a threshold beyond float32", f"{OWN} --out new --model.v-threshold 1e200", "model.v_threshold must be in [-1e18, 1e18]"),
    Case("Settings", "a surrogate without width", f"{OWN} --out new --model.surrogate-param 1e-200", "model.surrogate_param must be in [1e-18, 1e18]"),
    Case("Settings", "no channels", f"{TRAIN} --model.channels []", "model.channels must be one or more counts >= 1"),
    Case("Settings", "a network too deep for the images", f"{OWN} --out new --model.channels [4,4,4,4,4]", "too small"),
    Case("Settings", "channels of a network that has its own", f"{OWN} --out new --model.name vggsnn", "model.channels is a setting of csnn"),
    Case("Settings", "float16 on a CPU", f"{OWN} --out new --precision 16-mixed", "16-mixed needs a CUDA device"),
    Case("Settings", "a precision to be found in several processes", f"{OWN} --out new --precision auto --devices 2", "precision auto is for one process"),
    Case("Settings", "a way to run convolutions that isn't there", f"{OWN} --out new --conv fast", "conv: expected one of"),
    Case("Settings", "something else to compute again", f"{OWN} --out new --recompute all", "recompute: expected one of"),
    Case("Settings", "pieces of time under batch norm", f"{OWN} --out new --recompute time", "statistics of model.norm bn are of all of them"),
    Case("Settings", "a piece of no length", f"{OWN} --out new --truncate -1", "truncate must be >= 0, got -1"),
    Case("Settings", "two kinds of pieces", f"{OWN} --out new --model.norm none --recompute time --truncate 2", "leave recompute time out"),
    Case("Settings", "pieces under a norm that counts timesteps", f"{OWN} --out new --model.norm tab --truncate 2", "is trained from the first timestep on"),
    Case("Settings", "pieces for neurons that see later ones", f"{OWN} --out new --model.neuron psn --truncate 2", "a psn neuron sees later ones"),
    Case("Settings", "pieces in several processes", f"{OWN} --out new --truncate 2 --devices 2", "truncate is for one process"),
    Case("Settings", "more processes than cores", f"{OWN} --out new --devices 999 --batch-size 1000", "devices=999 was asked for"),
    Case("Settings", "augmentation of events for images", f"{OWN} --out new --augment.drop true", "are for events"),
    Case("Settings", "a file that isn't there", "train missing.yaml --out new", "there is no configuration file missing.yaml"),
    Case("Settings", "a file with an unknown key", "train mine.yaml --out new", "unknown key epoch", text("mine.yaml", "epoch: 3\n")),
    Case("Settings", "a file with a key twice", "train mine.yaml --out new", "'epochs' is given twice", text("mine.yaml", "epochs: 3\nepochs: 4\n")),
    Case("Settings", "a file that is no settings", "train mine.yaml --out new", "expected settings as `key: value`", text("mine.yaml", "- 1\n")),
    Case("Settings", "a file with a tag that would run code", "train mine.yaml --out new", "this is not YAML as settings are in", text("mine.yaml", "seed: !!python/object/apply:os.getpid []\n")),
    Case("Your own code", "a file that isn't there", MINE, "the file can't be read (No such file or directory)", text("mine.yaml", "model: {name: 'net.py:Net'}\n")),
    Case("Your own code", "a file that can't be imported", MINE, "net.py, line 1: ModuleNotFoundError: No module named 'torsch'", net(("import torch\n", "import torsch\n"))),
    Case("Your own code", "a file that isn't Python", MINE, "net.py, line 5: SyntaxError", net(("class Net(nn.Module):", "class Net(nn.Module)"))),
    Case("Your own code", "a class that isn't there", MINE, "net.py has no 'Net' (did you mean 'Nett'?)", net(("class Net(", "class Nett("))),
    Case("Your own code", "a class that is no network", MINE, "is a class that isn't derived from torch.nn.Module", net(("class Net(nn.Module)", "class Net"))),
    Case("Your own code", "a signature that asks for more", MINE, "asks for 'hidden', which isn't known", net(("in_channels):", "in_channels, hidden):"))),
    Case("Your own code", "an argument that isn't taken", MINE, "model.own has 'width', which net.py:Net doesn't take", net(settings=", own: {width: 8}")),
    Case("Your own code", "an argument that can't be one", MINE, "model.own has the key 1, which no argument can be called", net(settings=", own: {1: 8}")),
    Case("Your own code", "an error when it is made", MINE, "net.py, line 8: RuntimeError", net(("num_classes)\n", "-num_classes)\n"))),
    Case("Your own code", "an error in a forward pass", MINE, "net.py, line 12: RuntimeError", net(("flatten(2)", "flatten(1)"))),
    Case("Your own code", "an output without timesteps", MINE, "without timesteps: return the logits of every timestep", net(("flatten(2))", "flatten(2)).mean(0)"))),
    Case("Your own code", "an output with batch first", MINE, "with time and batch swapped", net(("flatten(2))", "flatten(2)).transpose(0, 1)"))),
    Case("Your own code", "two outputs", MINE, "say which output they are, as --model.wrap-options '{output: 0}'", net(("return self.head(x.flatten(2))", "return self.head(x.flatten(2)), x"))),
    Case("Your own code", "an output that isn't there", MINE, "which has no output 2", net(("return self.head(x.flatten(2))", "return self.head(x.flatten(2)), x"), settings=", wrap_options: {output: 2}")),
    Case("Your own code", "another number of classes", MINE, "the data has 3 classes, and the last dimension must have as many", net(("num_classes)\n", "7)\n"))),
    Case("Your own code", "a state that is left over", MINE, "a state is left over from one batch to the next", net(("return self.head(x.flatten(2))", "self.v = self.v + float(x.mean())\n        return self.head(x.flatten(2)) + self.v"))),
    Case("Your own code", "a state that only some batches fit", MINE, "fails on a smaller batch", net(("return self.head(x.flatten(2))", "self.v = torch.zeros(x.shape[1], 3) if self.v == 0.0 else self.v\n        return self.head(x.flatten(2)) + self.v"), ("self.v == 0.0", "isinstance(self.v, float)"))),
    Case("Your own code", "a state that keeps its graph", MINE, "keeps 'model.v' after the forward pass", net(("return self.head(x.flatten(2))", "self.v = self.head(x.flatten(2))[-1]\n        return self.head(x.flatten(2))"))),
    Case("Your own code", "nothing to train", MINE, "has no parameter that could be trained", net(("self.v = 0.0", "self.requires_grad_(False)"))),
    Case("Your own code", "arguments of a network by name", f"{OWN} --out new --model.own '{{hidden: 8}}'", "model.own is for networks of your own"),
    Case("Your own code", "arguments of a data set by name", f"{OWN} --out new --data.own '{{count: 8}}'", "data.own is for data sets of your own"),
    Case("Your own code", "a wrapper of a network by name", f"{OWN} --out new --model.wrap norse", "model.wrap is for networks of your own"),
    Case("Your own code", "a wrapper without its neurons", MINE, "has no neurons known here, but interop.norse is for models of Norse", net(settings=", wrap: norse")),
    Case("Your own code", "arguments of an objective by name", f"{OWN} --out new --objective.own '{{gamma: 2}}'", "objective.own is for objectives of your own"),
    Case("Your own code", "code that only a run's folder names", "evaluate run", "model.name evil:Net is code, which would be imported and run", edited("run/config.yaml", "name: csnn", "name: evil:Net")),
    Case("Your own code", "an item that is no pair", MINE.replace("npz --data own.npz", "items.py:ITEMS"), "item 0 of train of items.py:ITEMS is a int, not (frames, label)", in_turn(net(), text("items.py", "ITEMS = [1, 2, 3]\n"))),
    Case("Data", "a folder that isn't there", "train --data nowhere --out new", "nowhere is not a folder"),
    Case("Data", "a file for a folder", "train --data own.npz --out new", "own.npz is a file"),
    Case("Data", "an empty folder", "train --data empty --out new", "has no class folders", lambda f: (f / "empty").mkdir()),
    Case("Data", "a folder of one class", "train --data pictures --out new", "has one class, 'a'", images({f"pictures/a/{i}.png": (8, 8) for i in range(4)})),
    Case("Data", "images of several sizes", f"{OWN.replace('npz --data own.npz', 'image-folder --data pictures')} --out new", "give a size that all are brought to", images({"pictures/a/0.png": (8, 8), "pictures/a/1.png": (9, 8), "pictures/b/0.png": (8, 8)})),
    Case("Data", "a text that is called .png", "train --data pictures --out new", "is not an image", in_turn(text("pictures/a/0.png", "no"), text("pictures/b/0.png", "no"))),
    Case("Data", "an .npz that is none", f"{OWN} --out new", "can't be read as .npz", text("own.npz", "no")),
    Case("Data", "an .npz cut short", f"{OWN} --out new", "can't be read as .npz", cut("own.npz")),
    Case("Data", "an .npz with Python objects", f"{OWN} --out new", "Python objects, which may run code", npz(x=np.array([{}] * 30, dtype=object))),
    Case("Data", "no labels", f"{OWN} --out new", "lacks y of its train part", npz(y=None)),
    Case("Data", "as many labels as images, less one", f"{OWN} --out new", "30 images but 29 labels", npz(y=Y[:-1])),
    Case("Data", "labels that are fractions", f"{OWN} --out new", "labels must be a list of whole numbers", npz(y=Y + 0.5)),
    Case("Data", "a negative label", f"{OWN} --out new", "label -1 of train image 0 is not in", npz(y=Y - 1)),
    Case("Data", "a label beyond the classes", f"{OWN} --out new", "label 2 of train image 2 is not in 0 ... 1", npz(classes=np.array(["a", "b"]))),
    Case("Data", "a label far too large", f"{OWN} --out new", "has the label 1000000000000, and 30 images", npz(y=np.where(Y == 2, 10**12, Y))),
    Case("Data", "one class", f"{OWN} --out new", "it takes two to train", npz(y=Y * 0)),
    Case("Data", "a class of one image", f"{OWN} --out new", "class '3' has 1 sample: three are needed", npz(y=np.where(np.arange(30) == 5, 3, Y))),
    Case("Data", "no images", f"{OWN} --out new", "has no images in its train part", npz(x=np.zeros((0, 8, 8), np.uint8), y=Y[:0])),
    Case("Data", "no test images", f"{OWN} --out new", "has no images in its test part", npz(x_test=np.zeros((0, 8, 8), np.uint8), y_test=Y[:0])),
    Case("Data", "a NaN pixel", f"{OWN} --out new", "holds floating-point values outside of 0 ... 1", npz(x=with_float(np.nan))),
    Case("Data", "an infinite pixel", f"{OWN} --out new", "holds floating-point values outside of 0 ... 1", npz(x=with_float(np.inf))),
    Case("Data", "pixels of 256 and more", f"{OWN} --out new", "must hold numbers from 0 to 255", npz(x=np.full((30, 8, 8), 256))),
    Case("Data", "images that are none", f"{OWN} --out new", "images are [N, H, W]", npz(x=np.zeros((30, 8)))),
    Case("Data", "images without pixels", f"{OWN} --out new", "its images have no pixels", npz(x=np.zeros((30, 0, 8), np.uint8))),
    Case("Data", "nothing left to train on", f"{OWN} --out new --data.validation 0.99", "the train split of npz has no sample"),
    Case("Data", "more training samples than there are", f"{OWN} --out new --data.train-size 99", "train_size must be between"),
    Case("Data", "more folds than samples", f"{OWN} --out new --data.folds 99", "folds need"),
    Case("Data", "a time that is NaN", EVENTS, "not a whole number", recording([[0, 1, 1, 1.0], [np.nan, 1, 1, 1]])),
    Case("Data", "an infinite place", EVENTS, "not a whole number", recording([[0, 1, 1, 1.0], [1, np.inf, 1, 1]])),
    Case("Data", "an event left of the sensor", EVENTS, "event 1 has x = -1", recording([[0, 1, 1, 1], [1, -1, 1, 1]])),
    Case("Data", "time that runs back", EVENTS, "before the event before it", recording([[5, 1, 1, 1], [1, 1, 1, 1]])),
    Case("Data", "a polarity of 2", EVENTS, "which is not 0, 1 or -1", recording([[0, 1, 1, 2]])),
    Case("Data", "recordings of one class", EVENTS, "it takes two to train", recording([[0, 1, 1, 1]], classes="a")),
    Case("Data", "a recording without events", EVENTS, "holds no event", recording(np.zeros((0, 4)))),
    Case("Data", "parts without class folders", "train --data pictures --out new", "train part pictures/Train has no class folders", images({f"pictures/{part}/{i}.png": (8, 8) for i in range(4) for part in ("Train", "Test")})),
    Case("Data", "parts and none to train on", "train --data pictures --out new", "which are parts, and none to train on", images({f"pictures/{part}/{c}/0.png": (8, 8) for c in "ab" for part in ("val", "test")})),
    Case("Data", "a test class that training lacks", "train --data pictures --out new", "the test part has the class c, and training has not", images({f"pictures/{place}/0.png": (8, 8) for place in ("train/a", "train/b", "test/a", "test/c")})),
    Case("Data", "parts in some classes only", "train --data pictures --out new", "lay out all classes alike", images({f"pictures/{place}/0.png": (8, 8) for place in ("a/train", "a/test", "b")})),
    Case("Data", "folds for classes", "train --data pictures --out new", "which are folds and no classes", images({f"pictures/fold{i}/0.png": (8, 8) for i in (1, 2)})),
    Case("Data", "images that are all the same", f"{OWN} --out new", "training images of npz are the same", npz(x=np.zeros((30, 8, 8), np.uint8))),
    Case("Data", "images of several classes", f"{OWN} --out new", "so an image would have several classes", npz(y=np.ones((30, 3), int))),
    Case("Data", "a damaged image", "data check image-folder --data pictures", "pictures/a/1.png", in_turn(images({f"pictures/{c}/{i}.png": (8, 8) for i in range(4) for c in "ab"}), cut("pictures/a/1.png")), 1),
    Case("Data", "a folder for a data set that ships", "data check nmnist --data x", "ships with tempreg"),
    Case("Numbers", "a learning rate that diverges", f"{OWN} --out new --optimizer.name sgd --optimizer.lr 1e30 --optimizer.warmup-epochs 0", "the loss is not finite at epoch 1, batch 2", code=1),
    Case("Numbers", "a penalty that overflows", f"{OWN} --out new --objective.lam 1e200", "a lower objective.lam", code=1),
    Case("Numbers", "a gradient too large to square", f"{OWN} --out new --objective.lam 1e25", "its gradient or the square of it overflowed", code=1),
    Case("Numbers", "a class weight beyond reason", f"{OWN} --out new --objective step --objective.class-weights [1e30,1,1]", "a lower objective.class_weights or optimizer.lr", code=1),
    Case("Settings", "weight decay beyond float32", f"{OWN} --out new --optimizer.weight-decay 1e200", "at most 1e30"),
    Case("Numbers", "weight decay that diverges", f"{OWN} --out new --optimizer.weight-decay 1e30", "not finite", code=1),
    Case("Numbers", "one value for batch norm", f"{OWN} --out new --num-steps 1 --batch-size 1 --model.name sew_resnet18 --model.channels null", "batch norm"),
    Case("Runs", "a folder that holds something else", f"{OWN} --out other", "is not an empty folder", text("other/notes.txt", "mine")),
    Case("Runs", "a folder that holds a run", f"{OWN} --out run", "holds a run already"),
    Case("Runs", "a run of other settings", f"{OWN} --out run --resume --seed 7", "has seed: 0, not 7"),
    Case("Runs", "a file for a folder", f"{OWN} --out own.npz", "own.npz"),
    Case("Runs", "a folder that can't be", f"{OWN} --out /proc/new", "can't be written to"),
    Case("Runs", "nothing to go on from", "train --resume --out nowhere", "there is no configuration file"),
    Case("Runs", "a checkpoint cut short", "train --resume --out run", "is damaged", cut("run/checkpoints/last.pt", also="run/summary.json")),
    Case("Runs", "an empty checkpoint", "train --resume --out run", "is damaged", cut("run/checkpoints/last.pt", 0, also="run/summary.json")),
    Case("Runs", "a checkpoint with code in it", "train --resume --out run", "is damaged", pickled("run/checkpoints/last.pt")),
    Case("Runs", "a checkpoint of other settings", "train --resume --out run", "was trained with other settings", in_turn(edited("run/config.yaml", "seed: 0", "seed: 1"), without("run/summary.json"))),
    Case("Runs", "a result of other settings", "train --resume --out run", "was trained with other settings", edited("run/config.yaml", "seed: 0", "seed: 1")),
    Case("Runs", "a damaged summary", "train --resume --out run", "summary.json is damaged", text("run/summary.json", "{")),
    Case("Runs", "damaged metrics", "train --resume --out run", "metrics.jsonl is damaged", in_turn(text("run/metrics.jsonl", "{}\n"), without("run/summary.json"))),
    Case("Runs", "damaged settings", "evaluate run", "this is not YAML", text("run/config.yaml", "epochs: [")),
    Case("Runs", "no run", "evaluate nowhere", "nowhere holds no run"),
    Case("Runs", "a run that isn't finished", "evaluate run", "is not finished", without("run/model.safetensors")),
    Case("Runs", "weights cut short", "evaluate run", "is damaged", cut("run/model.safetensors", 0.9)),
    Case("Runs", "weights of another network", "evaluate run", "belongs to another network", weights(rename)),
    Case("Runs", "weights of another size", "evaluate run", "belongs to another network", weights(narrow)),
    Case("Runs", "weights that are NaN", "evaluate run", "that are not finite", weights(poison)),
    Case("Runs", "data that is gone", "evaluate run", "own.npz is not a file", without("own.npz")),
    Case("Runs", "another number of classes", "evaluate run", "belongs to another network", npz(y=np.arange(30) % 4)),
    Case("Runs", "no timestep to evaluate", "evaluate run --num-steps 0", "num_steps must be >= 1, got 0"),
    Case("Runs", "an empty batch to evaluate", "evaluate run --batch-size 0", "batch_size must be >= 1, got 0"),
    Case("Runs", "a precision that isn't there", "evaluate run --precision 8-bit", "precision: expected one of"),
    Case("Runs", "first weights that are NaN", f"{OWN} --out new --model.weights bad.safetensors", "is not finite", weights(poison, "bad.safetensors")),
    Case("Runs", "first weights of another network", f"{OWN} --out new --model.weights bad.safetensors", "weights of another network", weights(narrow, "bad.safetensors")),
    Case("Runs", "first weights that aren't there", f"{OWN} --out new --model.weights bad.safetensors", "there is no weights file"),
    Case("After training", "no samples to analyse", "analyze run spikes --samples 0", "samples must be >= 1, got 0"),
    Case("After training", "an empty chunk to analyse", "analyze run spikes --batch-size 0", "--batch-size must be >= 1, got 0"),
    Case("After training", "weights that are NaN", "analyze run fisher", "that are not finite", weights(poison)),
    Case("After training", "another device", "analyze run spikes --device tpu", "device: expected one of"),
    Case("After training", "a file that isn't there", "predict run new.png", "new.png is not a file", code=1),
    Case("After training", "a recording for an image", "predict run new.bin", "trained on images", text("new.bin", "12345"), 1),
    Case("After training", "an image of another size", "predict run new.png", "has 9 x 8 pixels", images({"new.png": (9, 8)}), 1),
    Case("After training", "a text for an image", "predict run new.png", "is not an image", text("new.png", "no"), 1),
    Case("After training", "a run that doesn't say how it reads", "predict run new.png", "has no data.json", without("run/data.json")),
    Case("After training", "a damaged data.json", "predict run new.png", "data.json is damaged", text("run/data.json", json.dumps({"name": "npz"}))),
    Case("After training", "a report of nothing", "report nowhere", "holds neither a study"),
    Case("After training", "a report of a damaged result", "report run", "is damaged", text("run/analysis/fisher.json", "{")),
    Case("After training", "a format that isn't there", "export run --format tflite", "invalid choice: 'tflite'"),
    Case("After training", "a negative seed", "analyze run spikes --seed -1", "--seed must be >= 0, got -1"),
    Case("After training", "a seed beyond 64 bits", "calibrate run --risk 0.1 --seed 9223372036854775808", "--seed must be <="),
    Case("After training", "names in C for another format", "export run --format onnx --prefix net", "--prefix is for c"),
    Case("Studies", "no seeds", f"{OWN.replace('train', 'compare', 1)} --out study --objectives rate,trt --seeds 0", "seeds"),
    Case("Studies", "epochs of trials, and no trials", f"{OWN.replace('train', 'compare', 1)} --out study --objectives rate,trt --trial-epochs 3", "give --trials, too"),
    Case("Studies", "short trials that a norm is matched in", f"{OWN.replace('train', 'compare', 1)} --out study --objectives step+trt,step+l2n --trials 2 --trial-epochs 3", "leave --trial-epochs out"),
    Case("Studies", "an arm that isn't there", f"{OWN.replace('train', 'compare', 1)} --out study --objectives rate,trtt", "trtt"),
    Case("Studies", "more seeds than anyone has time for", f"{OWN.replace('train', 'compare', 1)} --out study --objectives rate --seeds 99999999999", "--seeds must be <= 10,000"),
    Case("Studies", "an arm twice", f"{OWN.replace('train', 'compare', 1)} --out study --objectives rate,rate", "rate"),
    Case("Studies", "a reference that is no arm", f"{OWN.replace('train', 'compare', 1)} --out study --objectives rate,trt --reference tet", "tet"),
    Case("Studies", "an analysis that isn't there", f"{OWN.replace('train', 'compare', 1)} --out study --objectives rate,trt --analyses all", "unknown analysis 'all'"),
    Case("Studies", "a folder that holds something else", f"{OWN.replace('train', 'compare', 1)} --out run --objectives rate,trt", "run"),
    Case("Studies", "a run of a study that isn't there", "compare --only runs/trt/000 --out nowhere", "nowhere"),
)  # fmt: skip
