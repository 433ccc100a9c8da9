"""A device that isn't there, for tests of what a GPU would refuse.

Its tensors say that they lie on "pretend:0" and hold a CPU's data. As on a real device, they can't
become NumPy arrays, nor be mixed with tensors of the CPU, but for numbers (0 dimensions) in
element-wise operations and for indices. What is computed is what the CPU computes, bit for bit.

    with pretend_device() as device:
        network.to(device.place)

Autograd counts a process's devices at its first backward pass, so the device must be made before:
tests of it run in a process of their own (see tests/unit/test_pretend_device.py).

`device.note` is called with each operation on the device and each crossing between it and the
CPU; it does nothing here, and is the place for whoever wants to count them, as `counted` does. An
operator of tempreg's own counts as the operations that it is made of.
"""

from __future__ import annotations

import traceback
from collections import Counter
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any, NoReturn

import pytest
import torch
from torch import Tensor
from torch.utils import backend_registration
from torch.utils._python_dispatch import TorchDispatchMode
from torch.utils._pytree import tree_iter, tree_map

NAME = "pretend"
Note = Callable[[str, str], None]
"""(kind, name): the operation's name, and one of

operation           the device has something to do: on a GPU, a launch
to device, to cpu   a copy that the program waits for
to device later, to cpu later   one that it doesn't wait for (non_blocking)
waits               an operation whose result the program waits for
"""

_WAITS = {"_local_scalar_dense", "is_nonzero", "equal", "nonzero", "masked_select", "_unique2"}
"""Operations whose result the program waits for."""
_BOOKKEEPING = {
    "detach", "lift_fresh", "alias", "_unsafe_view", "_reshape_alias", "_local_scalar_dense",
    "empty", "empty_like", "empty_strided", "new_empty", "new_empty_strided", "is_same_size",
    "is_pinned", "promote_types", "set_", "resize_", "_has_compatible_shallow_copy_type",
}  # fmt: skip
"""Operations of which a device hears nothing."""
_ON_CPU = torch._C.DispatchKeySet(torch._C.DispatchKey.CPU)
_INDEXING = {"index", "index_put", "index_put_", "_index_put_impl_", "_unsafe_index"}


class PretendTensor(torch.Tensor):
    """A tensor on the device, around one of the CPU. Final."""

    inner: Tensor

    @staticmethod
    def __new__(cls, inner: Tensor) -> PretendTensor:
        made: PretendTensor = torch.Tensor._make_wrapper_subclass(
            cls, inner.shape, strides=inner.stride(), storage_offset=inner.storage_offset(),
            dtype=inner.dtype, device=torch.device(NAME, 0),
        )  # fmt: skip
        made.inner = inner
        return made

    __torch_function__ = torch._C._disabled_torch_function_impl

    @classmethod
    def __torch_dispatch__(cls, func: Any, types: Any, args: Any = (), kwargs: Any = None) -> Any:
        return _run(func, args, kwargs or {})

    def numpy(self, *, force: bool = False) -> Any:
        if force:
            return self.detach().cpu().numpy()
        raise TypeError(
            f"can't convert {NAME}:0 device type tensor to numpy. Use Tensor.cpu() to copy the "
            "tensor to host memory first."
        )

    def __array__(self, *_: Any, **__: Any) -> NoReturn:
        self.numpy()
        raise AssertionError

    def tolist(self) -> Any:
        return self.cpu().tolist()

    def data_ptr(self) -> int:
        return self.inner.data_ptr()  # by which tensors that share memory are told

    def __reduce_ex__(self, protocol: Any) -> Any:
        return self.cpu().__reduce_ex__(protocol)  # torch.save

    def __deepcopy__(self, memo: dict[int, Any]) -> PretendTensor:
        made = PretendTensor(self.inner.clone()).requires_grad_(self.requires_grad)
        made.__dict__.update({k: v for k, v in self.__dict__.items() if k != "inner"})
        memo[id(self)] = made
        return made

    def __repr__(self, **_: Any) -> str:
        return f"{self.inner!r} on {NAME}:0"


class PretendDevice(TorchDispatchMode):
    """The device while it is there: it also makes tensors, as `torch.zeros(..., device=...)`.

    Attributes:
        place: what tensors and modules are moved to.
        note: see `Note`.
    """

    def __init__(self) -> None:
        super().__init__()
        self.place = torch.device(NAME, 0)
        self.note: Note = lambda kind, name: None

    def __torch_dispatch__(self, func: Any, types: Any, args: Any = (), kwargs: Any = None) -> Any:
        return _run(func, args, kwargs or {})


_present: list[PretendDevice] = []


def _register(register: Callable[..., None]) -> None:
    """Make the device known to this process; other tests in it must not find it available."""

    class Module(backend_registration._DummyBackendModule):
        def is_available(self) -> bool:
            return bool(_present)

        def device_count(self) -> int:
            return len(_present)

        def get_amp_supported_dtype(self) -> list[torch.dtype]:
            return [torch.float16, torch.bfloat16]

    class Hook(backend_registration._DummyPrivateUse1Hook):
        def is_available(self) -> bool:
            return bool(_present)

    register(NAME, backend_module=Module(), hook=Hook())
    fallback = torch.library.Library("_", "IMPL", "AutocastPrivateUse1")
    fallback.fallback(torch.library.fallthrough_kernel)
    products = torch.library.Library("aten", "IMPL", "AutocastPrivateUse1")
    for name in _IN_HALF:
        products.impl(name, _in_half(getattr(torch.ops.aten, name).default))
    _libraries.extend((fallback, products))


_IN_HALF = ("conv2d", "linear", "matmul", "mm", "addmm", "bmm")
"""What autocast computes in half precision; the rest takes what it is given."""
_libraries: list[Any] = []
"""Which must not be collected."""
_AUTOCAST = torch._C.DispatchKeySet(torch._C.DispatchKey.AutocastPrivateUse1)


def _in_half(operation: Any) -> Callable[..., Any]:
    def cast(x: Any) -> Any:
        here = isinstance(x, Tensor) and x.dtype in (torch.float32, torch.float16, torch.bfloat16)
        return x.to(torch.get_autocast_dtype(NAME)) if here else x

    def run(*args: Any, **kwargs: Any) -> Any:
        with torch._C._ExcludeDispatchKeyGuard(_AUTOCAST):
            return operation(*tree_map(cast, args), **tree_map(cast, kwargs))

    return run


@contextmanager
def pretend_device() -> Iterator[PretendDevice]:
    """The device inside; a test is skipped where this version of torch can't have one."""
    if not hasattr(torch, NAME):
        register = getattr(backend_registration, "_setup_privateuseone_for_python_backend", None)
        if register is None:
            pytest.skip(f"torch {torch.__version__} has no devices written in Python")
        _register(register)
    # torch.tensor(..., device=...) then asks the mode for the copy, which it would do by itself.
    before = torch._C._only_lift_cpu_tensors()
    torch._C._set_only_lift_cpu_tensors(True)
    # Modules that change their dtype there take new parameters: old ones can't take other data.
    overwritten = torch.__future__.get_overwrite_module_params_on_conversion()
    torch.__future__.set_overwrite_module_params_on_conversion(True)
    try:
        with PretendDevice() as device:
            _present.append(device)
            yield device
    finally:
        _present.clear()
        torch.__future__.set_overwrite_module_params_on_conversion(overwritten)
        torch._C._set_only_lift_cpu_tensors(before)


@contextmanager
def counted(device: PretendDevice) -> Iterator[Counter[tuple[str, str, str]]]:
    """What happens inside, by kind, name, and the place in the sources of tempreg that asked."""
    seen: Counter[tuple[str, str, str]] = Counter()
    before, device.note = device.note, lambda kind, name: seen.update([(kind, name, _place())])
    try:
        yield seen
    finally:
        device.note = before


def of_kind(seen: Counter[tuple[str, str, str]], *kinds: str) -> dict[tuple[str, str], int]:
    """How often these kinds happened, by name and place."""
    return {(name, place): n for (kind, name, place), n in seen.items() if kind in kinds}


def _place() -> str:
    for frame in reversed(traceback.extract_stack()):
        if "/tempreg/" in frame.filename:
            return f"{frame.filename.rpartition('/tempreg/')[2]}:{frame.lineno}"
    return ""


def _note(kind: str, name: str) -> None:
    if _present:
        _present[-1].note(kind, name)


class _Inside(TorchDispatchMode):
    """Notes what an operator of tempreg's own is made of."""

    def __torch_dispatch__(self, func: Any, types: Any, args: Any = (), kwargs: Any = None) -> Any:
        if _launches(func):
            _note("operation", func._schema.name.split("::")[-1])
        return func(*args, **(kwargs or {}))


def _launches(func: Any) -> bool:
    """Whether a device has something to do: views and fresh memory are none of its business, and
    an operator of tempreg's own is what is inside it."""
    name = func._schema.name.split("::")[-1]
    return not (func.is_view or name in _BOOKKEEPING or func.namespace == "tempreg")


def _run(func: Any, args: tuple[Any, ...], kwargs: dict[str, Any]) -> Any:
    """An operation, by the CPU; its result lies where a real one's would."""
    given = [x for x in tree_iter((args, kwargs)) if isinstance(x, Tensor)]
    here = any(_is_here(x) for x in given)
    wanted = kwargs.get("device")
    wanted = None if wanted is None else torch.device(wanted).type
    name = func._schema.name.split("::")[-1]
    if not here and wanted != NAME:
        return func(*args, **kwargs)
    if name in ("_to_copy", "copy_"):
        return _copied(func, name, args, kwargs, wanted)
    _refuse_mixing(func, name, args, given, kwargs.get("generator"), here)
    own = func.namespace == "tempreg"
    if name in _WAITS:
        _note("waits", name)
    elif _launches(func):
        _note("operation", name)
    if wanted == NAME:
        kwargs = {**kwargs, "device": torch.device("cpu")}
    if (
        own
    ):  # straight to its kernel: a mode isn't told of what happens in an operator it is told of
        with _Inside():
            result = func.redispatch(_ON_CPU, *_inner(args), **_inner(kwargs))
    else:
        result = func(*_inner(args), **_inner(kwargs))
    return _wrapped(result, given) if wanted in (None, NAME) else result


def _copied(
    func: Any, name: str, args: tuple[Any, ...], kwargs: dict[str, Any], wanted: str | None
) -> Any:
    """`_to_copy` and `copy_`, which alone cross between the devices."""
    if name == "copy_":
        to_device, source = _is_here(args[0]), args[1]
    else:
        source = args[0]
        to_device = wanted == NAME or (wanted is None and _is_here(source))
    crosses = _is_here(source) != to_device
    later = kwargs.get("non_blocking") or (name == "copy_" and len(args) > 2 and args[2])
    direction = ("to device" if to_device else "to cpu") + (" later" if later else "")
    _note(direction if crosses else "operation", name)
    if wanted == NAME:
        kwargs = {**kwargs, "device": torch.device("cpu")}
    result = func(*_inner(args), **kwargs)
    if name == "copy_":
        return args[0]
    return PretendTensor(result) if to_device else result


def _refuse_mixing(
    func: Any, name: str, args: tuple[Any, ...], given: list[Tensor], generator: Any, here: bool
) -> None:
    """RuntimeError where a real device would have one."""
    if generator is not None and generator.device.type != NAME:
        raise RuntimeError(f"Expected a '{NAME}' device type for generator but found 'cpu'")
    others = [x for x in given if x.device.type == "cpu"]
    if not here or not others:
        return
    if name in _INDEXING and _is_here(args[0]):
        return
    writes = func._schema.is_mutable and args[0] is others[0]
    if all(x.ndim == 0 for x in others) and torch.Tag.pointwise in func.tags and not writes:
        return
    raise RuntimeError(
        f"Expected all tensors to be on the same device, but found at least two devices, {NAME}:0 "
        f"and cpu! ({func}, {[[*x.shape] for x in given]})"
    )


def _is_here(x: Tensor) -> bool:
    return x.device.type == NAME


def _inner(value: Any) -> Any:
    def inner(x: Any) -> Any:
        if isinstance(x, PretendTensor):
            return x.inner
        if isinstance(x, Tensor) and _is_here(x):  # of torch's own making, in forward mode
            assert x._is_zerotensor()
            return torch.zeros(x.shape, dtype=x.dtype)
        return x

    return tree_map(inner, value)


def _wrapped(result: Any, given: list[Tensor]) -> Any:
    """Results on the device; an argument that was written to is given back itself."""
    known = {id(x.inner): x for x in given if isinstance(x, PretendTensor)}

    def wrap(x: Any) -> Any:
        if not isinstance(x, Tensor) or isinstance(x, PretendTensor):
            return x
        if x._is_zerotensor():  # zeros without memory, which the wrapper doesn't say that it is
            x = torch.zeros(x.shape, dtype=x.dtype)
        return known[id(x)] if id(x) in known else PretendTensor(x)

    return tree_map(wrap, result)
