"""The public names, found in the package itself: the reference lacks none and keeps none that is gone."""

import inspect
import re
import sys
import typing
from collections.abc import Callable, Iterator
from enum import Enum
from types import ModuleType
from typing import Any

import dataframely as dy
from docutils import nodes
from sphinx.addnodes import pending_xref
from sphinx.application import Sphinx
from sphinx.environment import BuildEnvironment
from sphinx.util.docutils import SphinxDirective
from sphinx.util.nodes import make_refnode

import analysis

_RAISED = re.compile(r"^\s*([A-Z]\w+(?:Error|Warning)):", re.MULTILINE)
# a line that is not shown
_NOTHING = "\\ "
_SEVERAL = re.compile(r"(?P<indent>\s+)(?P<names>\w+(?:, \w+)+): (?P<words>.+)")


def public() -> dict[str, Any]:
    """What `analysis.__all__` names, in its order."""
    return {name: getattr(analysis, name) for name in analysis.__all__}


def modules() -> dict[str, ModuleType]:
    """The modules among them."""
    return {name: one for name, one in public().items() if isinstance(one, ModuleType)}


def functions(module: ModuleType, /) -> dict[str, Callable[..., Any]]:
    """The public functions that a module defines, in the order of its text."""
    own = {
        name: one
        for name, one in vars(module).items()
        if not name.startswith("_") and inspect.isroutine(one) and one.__module__ == module.__name__
    }
    return dict(sorted(own.items(), key=lambda item: inspect.unwrap(item[1]).__code__.co_firstlineno))


def called() -> dict[str, Callable[..., Any]]:
    """The public functions that stand in no module of their own."""
    return {name: one for name, one in public().items() if inspect.isroutine(one)}


def objects() -> dict[str, object]:
    """Public names that are neither module, function nor class."""
    kinds = (ModuleType, type)
    return {
        name: one
        for name, one in public().items()
        if not isinstance(one, kinds) and not inspect.isroutine(one)
    }


def classes() -> list[type]:
    """Public classes and every class of ours that a public name takes, gives or raises, and so on from these."""
    found: dict[type, None] = {}
    open_ones: list[Any] = [
        *public().values(),
        *(one for part in modules().values() for one in functions(part).values()),
    ]
    while open_ones:
        one = open_ones.pop(0)
        if isinstance(one, type):
            if one in found or not one.__module__.startswith("analysis"):
                continue
            found[one] = None
            if issubclass(one, dy.Schema):
                continue
            open_ones += [*one.__bases__, *parts(one)]
        elif isinstance(one, ModuleType):
            continue
        elif not inspect.isroutine(one):
            open_ones.append(type(one))
            continue
        open_ones += [*_named(one), *_raised(one)]
    return list(found)


def parts(one: type, /) -> Iterator[Callable[..., Any]]:
    """The public methods and properties that a class itself defines."""
    for name, part in vars(one).items():
        if not name.startswith("_"):
            behind = (
                getattr(part, "fget", None) or getattr(part, "func", None) or getattr(part, "__func__", part)
            )
            if inspect.isfunction(behind):
                yield behind


def _named(one: Any) -> Iterator[type]:
    try:
        hints = typing.get_type_hints(one)
    except NameError:
        # a type that is imported for checkers only is another library's
        return
    remaining = list(hints.values())
    while remaining:
        hint = remaining.pop()
        remaining += typing.get_args(hint)
        if isinstance(hint, type):
            yield hint


def _raised(one: Any) -> Iterator[type]:
    named = set(_RAISED.findall(inspect.getdoc(one) or ""))
    for path in sorted(path for path in sys.modules if path.startswith("analysis.")):
        for name, kind in vars(sys.modules[path]).items():
            if name in named and isinstance(kind, type) and kind.__module__ == path:
                # no two errors of the public part have one name; other parts may be loaded too
                named.remove(name)
                yield kind


def _path(one: Any) -> str:
    return f"{one.__module__}.{one.__qualname__}"


class PublicNames(SphinxDirective):
    """`.. public-names:: functions`, or `classes`, `tables`, `errors`, `modules`."""

    required_arguments = 1

    def run(self) -> list[nodes.Node]:
        """What autodoc makes of the names."""
        lines = {
            "functions": self._functions,
            "classes": self._classes,
            "tables": self._tables,
            "errors": self._errors,
            "modules": self._modules,
        }[self.arguments[0]]()
        return self.parse_text_to_nodes("\n".join(lines), allow_section_headings=True)

    def _functions(self) -> Iterator[str]:
        for name in called():
            yield from (f".. autofunction:: analysis.{name}", "")
        for name, one in objects().items():
            yield from (f".. py:data:: analysis.{name}", f"   :type: {_path(type(one))}", "")
            yield from (f"   {line}" for line in (inspect.getdoc(one) or "").splitlines())
            yield ""

    def _classes(self) -> Iterator[str]:
        for one in classes():
            if not issubclass(one, dy.Schema | Exception):
                yield from (f".. autoclass:: {self._as_public(one)}", "   :members:")
                if one.__bases__ != (object,):
                    yield "   :show-inheritance:"
                if issubclass(one, Enum):
                    yield "   :undoc-members:"
                yield ""

    def _tables(self) -> Iterator[str]:
        for one in classes():
            if issubclass(one, dy.Schema) and one is not dy.Schema:
                yield from (f".. autoclass:: {_path(one)}", "   :no-index-entry:", "")

    def _errors(self) -> Iterator[str]:
        for one in classes():
            if issubclass(one, Exception):
                yield from (f".. autoexception:: {_path(one)}", "")

    def _modules(self) -> Iterator[str]:
        for name, module in modules().items():
            title = f"analysis.{name}"
            yield from (title, "-" * len(title), "", f".. automodule:: {module.__name__}", "")
            for function in functions(module):
                yield from (f".. autofunction:: {module.__name__}.{function}", "")

    def _as_public(self, one: type) -> str:
        return f"analysis.{one.__name__}" if public().get(one.__name__) is one else _path(one)


def _found_by_last_name(
    app: Sphinx, env: BuildEnvironment, node: pending_xref, contents: nodes.TextElement
) -> nodes.reference | None:
    # docstrings name an error without its module
    if node.get("refdomain") != "py":
        return None
    target = str(node["reftarget"])
    objects = env.domains.python_domain.objects
    found = {one.node_id: one for path, one in objects.items() if path.rpartition(".")[2] == target}
    if len(found) != 1:
        return None
    [(name, one)] = found.items()
    return make_refnode(app.builder, node["refdoc"], one.docname, name, contents)


def _as_called(
    app: Sphinx, page: str, template: str, context: dict[str, Any], tree: nodes.document | None
) -> None:
    # where a module lies is not how it is called
    for name, module in modules().items():
        context["body"] = context.get("body", "").replace(
            f'<span class="pre">{module.__name__}.</span>', f'<span class="pre">analysis.{name}.</span>'
        )


def _as_it_stands(app: Sphinx, what: str, name: str, one: object, options: object, lines: list[str]) -> None:
    # Napoleon takes what stands before a colon for a type: in the first line of a property and of what a function
    # gives, and the first of several attributes for that of the others. Types are in the signature, and nowhere else.
    if what in ("attribute", "property"):
        lines.insert(0, _NOTHING)
    if what == "class":
        lines[:] = [part for line in lines for part in _one_each(line)]
    for number, line in reversed(list(enumerate(lines))):
        if line.strip() == "Returns:":
            lines.insert(number + 1, f"    {line.removesuffix('Returns:')}{_NOTHING}")


def _one_each(line: str) -> list[str]:
    several = _SEVERAL.fullmatch(line)
    if several is None:
        return [line]
    return [f"{several['indent']}{name}: {several['words']}" for name in several["names"].split(", ")]


def setup(app: Sphinx) -> dict[str, bool]:
    """Register with Sphinx."""
    app.add_directive("public-names", PublicNames)
    app.connect("missing-reference", _found_by_last_name)
    app.connect("html-page-context", _as_called)
    # before napoleon, which comes at 500
    app.connect("autodoc-process-docstring", _as_it_stands, priority=400)
    return {"parallel_read_safe": True, "parallel_write_safe": True}
