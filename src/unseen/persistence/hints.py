"""Whether values that were read fit the type annotations of the attributes they are for."""

from __future__ import annotations

import types
import typing
from collections.abc import Mapping, Sequence
from typing import Any, Literal

import numpy as np


def annotated(owner: type[Any]) -> dict[str, Any]:
    """Return the type annotations of a class and its bases, resolved, without class variables.

    Parameters
    ----------
    owner : type
        The class.

    Returns
    -------
    dict of str to annotation
    """
    hints = typing.get_type_hints(owner)
    return {name: hint for name, hint in hints.items() if typing.get_origin(hint) is not typing.ClassVar}


def matches(value: object, hint: Any) -> bool:
    """Return whether a value fits an annotation.

    Parameters
    ----------
    value : object
        Any value.
    hint : annotation
        Classes, unions, literals, arrays by their kind of number, and lists, tuples, sequences and dicts of
        those; ``Any`` fits everything.

    Returns
    -------
    bool
    """
    hint = getattr(hint, "__value__", hint)
    if hint is Any:
        return True
    if hint is None or hint is type(None):
        return value is None
    origin, arguments = typing.get_origin(hint), typing.get_args(hint)
    if origin is types.UnionType or origin is typing.Union:
        return any(matches(value, option) for option in arguments)
    if origin is Literal:
        return value in arguments
    if origin is np.ndarray:
        return isinstance(value, np.ndarray) and _is_of(value.dtype, arguments[1])
    if origin is tuple:
        return _tuple_matches(value, arguments)
    if origin in (list, Sequence):
        sequences = (list,) if origin is list else (list, tuple)
        return isinstance(value, sequences) and all(matches(item, arguments[0]) for item in value)
    if origin in (dict, Mapping):
        return isinstance(value, dict) and all(
            matches(key, arguments[0]) and matches(item, arguments[1]) for key, item in value.items()
        )
    if hint in (int, float):
        numbers = (int,) if hint is int else (int, float)
        return isinstance(value, numbers) and not isinstance(value, bool)
    return isinstance(value, origin or hint)


def _tuple_matches(value: object, arguments: tuple[Any, ...]) -> bool:
    if not isinstance(value, tuple):
        return False
    if len(arguments) == 2 and arguments[1] is Ellipsis:
        return all(matches(item, arguments[0]) for item in value)
    return len(value) == len(arguments) and all(
        matches(item, hint) for item, hint in zip(value, arguments, strict=True)
    )


def _is_of(dtype: np.dtype[Any], hint: Any) -> bool:
    scalar = typing.get_args(hint)[0]
    if scalar is Any:
        return True
    return np.issubdtype(dtype, typing.get_origin(scalar) or scalar)
