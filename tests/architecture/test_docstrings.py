"""Everything public says what its parameters are."""

from __future__ import annotations

import importlib
import inspect
import re
import typing

import pytest

from .test_public_surface import PUBLIC

FROM_BASES = {"get_params", "set_params", "get_metadata_routing", "set_fit_request"}


def documented(text: str) -> set[str]:
    """Names on the left of a numpydoc ``name, other : type`` line, or in a line of names alone."""
    names: set[str] = set()
    for line in text.splitlines():
        match = re.match(r"\s*([*\w, ]+?)(\s+:\s|$)", line)
        if match:
            names |= {name.strip().lstrip("*") for name in match.group(1).split(",")}
    return names


def parameters_of(item) -> list[str]:
    if typing.is_typeddict(item) or getattr(item, "_is_protocol", False):
        return []
    names = list(inspect.signature(item).parameters)
    return [name for name in names if name not in ("self", "cls")]


def public_things():
    for package, names in PUBLIC.items():
        module = importlib.import_module(package)
        for name in names:
            item = getattr(module, name)
            ours = getattr(item, "__module__", "").startswith("unseen")
            if ours and (inspect.isclass(item) or inspect.isfunction(item)):
                yield pytest.param(item, id=f"{package}.{name}")


def own_methods(owner):
    for name in dir(owner):
        method = inspect.getattr_static(owner, name)
        function = getattr(method, "__func__", method)
        if name.startswith("_") or name in FROM_BASES or not inspect.isfunction(function):
            continue
        if function.__module__.startswith("unseen"):
            yield name, function


@pytest.mark.parametrize("item", list(public_things()))
def test_docstrings_name_every_parameter(item):
    text = inspect.getdoc(item) or ""
    assert len(text) > 20
    assert set(parameters_of(item)) - documented(text) == set()


@pytest.mark.parametrize("item", [thing for thing in public_things() if inspect.isclass(thing.values[0])])
def test_methods_have_docstrings_that_name_every_parameter(item):
    silent = {}
    for name, function in own_methods(item):
        text = inspect.getdoc(getattr(item, name)) or ""
        missing = set(parameters_of(function)) - documented(text)
        if missing or not text:
            silent[name] = sorted(missing)
    assert silent == {}
