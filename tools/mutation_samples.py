"""What tools/mutate.py changes, and which tests judge it: two samples, of different packages."""

from __future__ import annotations

from dataclasses import dataclass, field
from pathlib import Path

ROOT = Path(__file__).parents[1]
UNIT = ("added_objectives", "analysis_edges", "anytime", "backends", "checkpoint", "defaults",
        "figures", "flatness", "foreign", "load_weights", "models", "neurons", "objectives",
        "operators", "results", "resume", "run_landscape", "runs", "spikes", "study_sections",
        "training")  # fmt: skip
UNIT_TESTS = (path for name in UNIT for path in (ROOT / "tests/unit").rglob(f"test_{name}.py"))


@dataclass(frozen=True)
class Sample:
    """Packages, and the tests that judge their mutants. Final."""

    packages: dict[str, tuple[str, int]]
    """Of each package its files and how many mutants to draw."""
    tests: tuple[str, ...]
    """Files and folders of tests."""
    seed: int
    budget: int
    """Seconds of tests a mutant, as measured without it; the fastest go first."""
    left_out: tuple[str, ...] = ()
    """Files that are not mutated."""
    elsewhere: dict[str, str] = field(default_factory=dict)
    """Of some files tests that run them in processes of their own, where no coverage sees them."""
    at_import: tuple[str, ...] = ("tests/unit/test_defaults.py",)
    """Tests of what imports make, which run no line of these files; tried with every mutant."""


SAMPLES = {
    "numbers": Sample(
        packages={
            "ops": ("ops/*.py", 100),
            "objectives": ("objectives/*.py", 50),
            "analysis": ("analysis/*.py", 140),
            "training/checkpoint": ("training/checkpoint*.py", 30),
        },
        tests=(
            "tests/oracle",
            "tests/golden",
            *(str(path.relative_to(ROOT)) for path in UNIT_TESTS),
        ),
        seed=8,
        budget=120,
        left_out=("ops/lif_triton.py",),  # needs a GPU, or Triton's interpreter
        elsewhere=dict.fromkeys(
            ("ops/cbuild.py", "ops/dispatch.py"), "tests/unit/ops/test_backends.py"
        ),
    ),
    "statements": Sample(
        packages={
            "options": ("options/*.py", 40),
            "audit": ("audit/*.py", 85),
            "export": ("export/**/*.py", 70),
            "study/statistics": ("study/statistics/*.py", 40),
            "data/formats": ("data/formats/**/*.py", 65),
        },
        tests=(
            "tests/unit/audit",
            "tests/unit/config/test_config.py",
            "tests/unit/data/augment/test_paper_augment.py",
            "tests/unit/data/formats",
            "tests/unit/data/splits/test_reserve.py",
            "tests/unit/data/test_cut.py",
            "tests/unit/data/sources/test_event_sets.py",
            "tests/unit/data/sources/test_spoken.py",
            "tests/unit/data/sources/test_static_cifar.py",
            "tests/unit/data/sources/test_static_folder.py",
            "tests/unit/data/sources/test_static_npz.py",
            "tests/unit/data/sources/test_static_svhn.py",
            "tests/unit/export",
            "tests/unit/objectives/test_class_weights.py",
            "tests/unit/objectives/test_objective_terms.py",
            "tests/unit/options",
            "tests/unit/runs/test_audit_run.py",
            "tests/unit/study/page/test_effects.py",
            "tests/unit/study/statistics",
            "tests/unit/study/test_packed.py",
            "tests/unit/test_defaults.py",
            "tests/unit/testing",
        ),
        seed=10,
        budget=10,
        at_import=(
            "tests/unit/test_defaults.py",
            "tests/unit/options/test_setting_defaults.py",
            "tests/unit/options/test_terms.py",
        ),
    ),
}


def sample_of(package: str) -> Sample:
    """The sample that mutates this package; KeyError where none does."""
    return {name: sample for sample in SAMPLES.values() for name in sample.packages}[package]
