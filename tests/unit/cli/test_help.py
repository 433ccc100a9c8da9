"""Help on one screen, every setting by section, and values as people type them."""

from __future__ import annotations

import shlex
from collections.abc import Sequence

import pytest

from tempreg.cli import compare, config, train
from tempreg.cli.main import main
from tempreg.cli.parser import Parser, add_settings, with_flags
from tempreg.config import PRESETS, ConfigError, RunConfig
from tempreg.config.dotted import leaves, setting_of

Capture = pytest.CaptureFixture[str]


def shown(capsys: Capture, *words: str) -> str:
    with pytest.raises(SystemExit) as end:
        main(words)
    assert end.value.code == 0
    return capsys.readouterr().out


def config_with(*words: str) -> RunConfig:
    parser = Parser(add_help=False)
    add_settings(parser)
    return with_flags(PRESETS["nmnist-trt"](), parser.parse(words))


def test_the_help_of_train_fits_a_screen_and_begins_with_examples(capsys: Capture) -> None:
    text = shown(capsys, "train", "--help")
    assert len(text.splitlines()) <= 50
    assert max(map(len, text.splitlines())) <= 100
    assert text.index("tempreg train nmnist-trt --out") < text.index("--resume    ")
    assert "VALUE" not in text.replace("[--SETTING VALUE ...]", "")
    for section in ("run", "data", "augment", "model", "objective", "optimizer", "all"):
        assert f"\n  --help {section} " in text


def test_every_setting_has_its_choices_and_its_default(capsys: Capture) -> None:
    everything = shown(capsys, "train", "--help", "all")
    by_section = ""
    for section in ("run", "data", "augment", "model", "objective", "optimizer"):
        page = shown(capsys, "train", "nmnist-trt", "--help", section)
        assert max(map(len, page.splitlines())) <= 100
        by_section += page[page.index("\n\n") + 1 :]
    assert by_section == everything[everything.index("\n\n") + 1 :]
    entries = everything.split("\n  --")[1:]
    assert len(entries) == len(list(leaves()))
    assert all("(default:" in " ".join(entry.split()) for entry in entries)
    one_line = " ".join(everything.split())
    assert (
        "--model.surrogate triangle|sigmoid|atan|rectangle surrogate gradient (default: triangle)"
        in one_line
    )
    assert "--data.cache true|false keep event frames on disk (default: true)" in one_line
    assert "--lr, --optimizer.lr NUMBER" in one_line


@pytest.mark.parametrize("examples", [train.EXAMPLES, compare.EXAMPLES])
def test_examples_are_commands(examples: str, monkeypatch: pytest.MonkeyPatch) -> None:
    for line in examples.splitlines():
        program, command, *words = shlex.split(line, comments=True)
        parsed: list[Sequence[str]] = []

        def stop(self: Parser, words: Sequence[str], kept: list[Sequence[str]] = parsed) -> None:
            kept.append(words)
            raise KeyboardInterrupt

        with monkeypatch.context() as patch:
            read = Parser.parse
            patch.setattr(Parser, "parse", stop)
            with pytest.raises(KeyboardInterrupt):
                {"train": train, "compare": compare, "config": config}[command].run(words)
        parser = compare._parser() if command == "compare" else Parser(add_help=False)
        if command == "train":
            parser.add_argument("source", nargs="?")
            parser.add_argument("--out")
            parser.add_argument("--resume", action="store_true")
            add_settings(parser)
        assert (program, parsed) == ("tempreg", [words])
        read(parser, words)


@pytest.mark.parametrize(
    "words", [["8,16,32"], ["8", "16", "32"], ["[8, 16, 32]"], ["8,", "16,32"]]
)
def test_lists_as_people_type_them(words: list[str]) -> None:
    assert config_with("--model.channels", *words, "--epochs", "3").model.channels == (8, 16, 32)


def test_lists_of_one_and_of_negative_numbers_and_none() -> None:
    assert config_with("--model.channels=8").model.channels == (8,)
    assert config_with("--data.mean", "-.5", "0.25").data.mean == (-0.5, 0.25)
    assert config_with("--model.channels", "null").model.channels is None
    with pytest.raises(ConfigError, match=r"model\.channels: expected a whole number, got 'x'"):
        config_with("--model.channels", "8,x")
    parser = Parser(add_help=False)
    parser.add_argument("source")
    add_settings(parser)
    assert parser.parse(["--model.channels", "8", "16", "nmnist-trt"]).source == "nmnist-trt"


def test_short_names_of_settings() -> None:
    found = config_with("--lr", "1e-2", "--lam=3", "--objective", "tet")
    names = ("optimizer.lr", "objective.lam", "objective.name")
    assert [setting_of(found, name) for name in names] == [0.01, 3.0, "tet"]
