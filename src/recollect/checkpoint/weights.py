"""What was learned: compared with the network that the settings make, before it is read."""

from __future__ import annotations

import math
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import torch
from safetensors import safe_open
from torch import Tensor, nn

from recollect.checkpoint.building import build
from recollect.checkpoint.layout import FORMAT_OF_TODAYS_NAMES
from recollect.errors import CheckpointError
from recollect.model import Model

NAMED = 3  # differences that a message names

# What safetensors calls the types of torch.
TYPES = {
    "F64": torch.float64,
    "F32": torch.float32,
    "F16": torch.float16,
    "BF16": torch.bfloat16,
    "I64": torch.int64,
    "I32": torch.int32,
    "I16": torch.int16,
    "I8": torch.int8,
    "U8": torch.uint8,
    "BOOL": torch.bool,
}
Form = tuple[torch.dtype | None, tuple[int, ...]]  # type and shape of a tensor


def read_network(model: Model, path: Path, *, format_: int, name: str) -> nn.Module:
    """The network of a model with the weights in a file.

    A file that does not fit the settings is refused before anything of the settings' size is made:
    a number of theirs may be as large as somebody wrote it.

    Args:
        model: unfitted, with `given_`.
        path: of the weights.
        format_: of the folder; earlier releases called some parts otherwise.
        name: of the file, for messages.

    Raises:
        CheckpointError: if names, shapes or types differ, a weight is not finite, or a number is
            one that no fit leaves.
    """
    former = model.former_network_names if format_ < FORMAT_OF_TODAYS_NAMES else {}

    with safe_open(path, framework="pt") as file:
        names = {_todays_name(key, former): key for key in file.keys()}  # noqa: SIM118
        forms = {}

        for key, name_in_file in names.items():
            piece = file.get_slice(name_in_file)
            forms[key] = (TYPES.get(piece.get_dtype()), tuple(piece.get_shape()))

        net = build(model, n_numbers=sum(math.prod(shape) for _, shape in forms.values()))
        _resize(net, forms)
        expected = {key: _form(tensor) for key, tensor in net.state_dict().items()}
        _refuse_differences(expected, forms, name)
        weights = {key: file.get_tensor(name_in_file) for key, name_in_file in names.items()}

    _refuse_not_finite(weights, name)
    net.load_state_dict(weights)
    _refuse_impossible(net, name)

    return net.eval()


def _resize(net: nn.Module, forms: Mapping[str, Form]) -> None:
    """Let a network whose settings do not say how many numbers it has take the file's sizes."""
    if hasattr(net, "resize"):
        net.resize({key: shape for key, (_, shape) in forms.items()})  # type: ignore[operator]


def _form(tensor: Tensor) -> Form:
    return tensor.dtype, tuple(tensor.shape)


def _refuse_differences(expected: Mapping[str, Form], forms: Mapping[str, Form], name: str) -> None:
    """Refuse weights of other names, shapes or types than the network has.

    Args:
        expected: of the network.
        forms: of the file.
        name: of the file.
    """
    differences = []

    for key in sorted(expected.keys() | forms.keys()):
        if forms.get(key) != expected.get(key):
            found = _in_words(forms.get(key))
            differences.append(f"{key} is {found}, expected {_in_words(expected.get(key))}")

    if differences:
        raise CheckpointError(
            f"{name} does not fit the model's settings: {'; '.join(differences[:NAMED])}. Copy the "
            "folder again or fit anew."
        )


def _in_words(form: Form | None) -> str:
    if form is None:
        return "absent"

    dtype, shape = form
    size = " × ".join(map(str, shape)) or "one number"

    return f"{size} of {str(dtype).removeprefix('torch.')}"


def _refuse_not_finite(weights: Mapping[str, Any], name: str) -> None:
    for key, weight in weights.items():
        if not weight.is_floating_point() or not weight.numel():
            continue

        # NaN is the lowest and the highest of numbers that it is among.
        if not all(bool(torch.isfinite(limit)) for limit in torch.aminmax(weight)):
            raise CheckpointError(
                f"{name} is damaged or was edited: {key} is not finite, so no prediction would be; "
                "copy the folder again or fit anew."
            )


def _refuse_impossible(net: nn.Module, name: str) -> None:
    """Refuse what no fit leaves, as a network with counts and row numbers tells by `fault`."""
    fault = net.fault() if hasattr(net, "fault") else ""  # type: ignore[operator]
    if fault:
        raise CheckpointError(f"{name} was edited: {fault}; copy the folder again or fit anew.")


def _todays_name(name: str, former: Mapping[str, str]) -> str:
    """The name of a weight, part by part: earlier releases called some parts otherwise."""
    parts = name.split(".")
    renamed = [former.get(part, part) for part in parts]
    return ".".join(renamed)
