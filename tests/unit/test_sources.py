"""What the sources never do: read a file in a way that could run what is in it."""

from __future__ import annotations

import ast
from pathlib import Path

import tempreg

SOURCE = Path(tempreg.__file__).parent
FORBIDDEN = {
    "eval", "exec", "pickle.load", "pickle.loads", "pickle.Unpickler", "marshal.loads",
    "yaml.unsafe_load", "yaml.full_load", "shelve.open", "joblib.load", "os.system",
    "torch.hub.load",
}  # fmt: skip


def calls() -> list[tuple[str, ast.Call, str]]:
    found = []
    for file in SOURCE.rglob("*.py"):
        for node in ast.walk(ast.parse(file.read_text(encoding="utf-8"))):
            if isinstance(node, ast.Call):
                found.append((ast.unparse(node.func), node, f"{file.name}:{node.lineno}"))
    return found


def argument(call: ast.Call, name: str) -> str:
    return next((ast.unparse(k.value) for k in call.keywords if k.arg == name), "")


def test_nothing_is_unpickled_and_nothing_is_run() -> None:
    seen = {name for name, _, _ in calls()}
    assert {"torch.load", "yaml.load"} <= seen, "the names below would not be found"
    for name, call, place in calls():
        assert name not in FORBIDDEN, place
        if name == "torch.load":
            assert argument(call, "weights_only") == "True", place
        if name in ("np.load", "numpy.load"):
            assert argument(call, "allow_pickle") == "False", place
        if name == "yaml.load":
            assert ast.unparse(call.args[1]) == "_Loader", place
        if name.startswith("subprocess."):
            assert argument(call, "shell") in ("", "False"), place
