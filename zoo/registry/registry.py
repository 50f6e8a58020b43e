"""Registry of components by name. Plugins are found by their entry points; a broken one does not affect others.

The distribution ``zoo`` registers bare names. Every other plugin's names are prefixed with the name of its entry point
(``acme.spline``), so that plugins cannot shadow each other and a spec says where its parts come from.
"""

from __future__ import annotations

import copyreg
import importlib
import inspect
import os
import pkgutil
import sys
import traceback
import warnings
from collections.abc import Callable, Iterable, Iterator, Mapping
from contextlib import contextmanager, redirect_stdout
from dataclasses import dataclass, field
from functools import cache, partial
from pathlib import Path
from types import ModuleType
from typing import Any

import torch
from pydantic import ValidationError

from .. import API_VERSION
from ..distribution import HOME
from ..document.diagnostics import said
from ..document.nodes import Entries, Place, key_place, place_of
from ..errors import PluginError, SpecError, UsageError, a, listed, nearest
from ..format.metadata import is_plugin_name
from ..format.migrations import Migration, migrations_in
from ..interfaces.component import Component, kind_key, kind_name, kind_of, registration_of
from .discovery import Found, found
from .kinds import full_name, labels
from .part import Part, declare_node, parameters, parameters_of
from .python_file import PythonFile
from .renames import former_keys, warn, with_present_keys

LATER = ("__main__", "laws")
"""Modules of a plugin that are not imported to find components: programs, and the laws of kinds, which import
`zoo.testing` and are only wanted where components are tested."""


@dataclass
class Plugin:
    """One entry point: a module with components, and the result of importing it."""

    name: str
    module: str
    distribution: str
    version: str
    components: list[type[Component]] = field(default_factory=list)
    title: str = ""
    error: str | None = None
    file: PythonFile | None = None
    """The source of a component that no package brings."""

    @property
    def prefix(self) -> str:
        return "" if self.distribution == HOME else f"{self.name}."


Key = tuple[type[Component], str]
"""What finds a component: the class of its kind, since two plugins may bring kinds of one name, and its own name."""


class Registry:
    """All components of the installed plugins, by kind and name."""

    def __init__(self, plugins: Iterable[Found]) -> None:
        described = [Plugin(one.name, one.module, one.distribution, one.version, error=one.fault) for one in plugins]
        # Of one name the usable plugin is the last to be written.
        described.sort(key=lambda plugin: plugin.error is None)
        self._plugins = {plugin.name: plugin for plugin in described}
        self._unusable = [plugin for plugin in described if self._plugins[plugin.name] is not plugin]
        self._loaded = {name for name, plugin in self._plugins.items() if plugin.error is not None}
        self._classes: dict[Key, type[Component]] = {}
        self._names: dict[type[Component], str] = {}
        self._migrations: dict[type[Component], list[Migration]] = {}
        self._formerly: dict[Key, type[Component]] = {}
        self._former: list[Plugin] = []

    def bring(self, file: PythonFile) -> None:
        """Register the components of a Python file; PluginError if it is broken, or has the name of a plugin.

        A file that has changed, and another of its name, take the place of the one before: models that were made of
        that one's components keep them.
        """
        held = self._plugins.get(file.name)
        if held is not None and held.file is None:
            raise PluginError(f"{file.path} has the name of the installed plugin '{file.name}': rename it")
        if held is None or held.file is None or held.file.text != file.text:
            if held is not None:
                self._retire(held)
            self._plugins[file.name] = Plugin(file.name, file.module, file.distribution, file.version, file=file)
        self.require(file.name)

    def components_of(self, name: str) -> list[type[Component]]:
        """The components of an installed plugin."""
        self._load(name)
        return list(self._plugins[name].components)

    def file(self, name: str) -> PythonFile | None:
        """The Python file that a plugin came from; None for a package's."""
        return self._plugins[name].file

    def plugins(self) -> list[Plugin]:
        """Every installed plugin, imported, with its error if that failed."""
        for name in self._plugins:
            self._load(name)
        return [*self._plugins.values(), *self._unusable]

    def plugin(self, found: Found) -> Plugin:
        """One of the installed plugins, imported."""
        self._load(found.name)
        return self._plugins[found.name]

    def find(self, kind: type[Component], name: str) -> type[Component]:
        """The component of a kind by its name; LookupError with the nearest name, or the kind it is of."""
        self._load_for(name)
        cls = self._classes.get((kind, name)) or self._formerly.get((kind, name))
        if cls is not None:
            if self._names[cls] != name:
                warn(place_of(name), f"{self.label(kind)} '{name}' was renamed '{self._names[cls]}'")
            return cls
        label = self._labels(kind)
        wanted, others = label[kind], [label[held] for held, called in self._classes if called == name]
        if others:
            raise LookupError(f"'{name}' is {listed([a(other) for other in sorted(others)])}, expected {a(wanted)}")
        known = [called for held, called in self._classes if held is kind]
        raise LookupError(
            f"unknown {wanted} '{name}'{nearest(name, known) or f'; see: zoo list {wanted}'}{self._quarantined()}"
        )

    def name_of(self, cls: type[Component]) -> str:
        """The name by which specs call a component."""
        return self._names[cls]

    def plugin_of(self, cls: type[Component]) -> Plugin:
        """The plugin that brings a component."""
        return next(plugin for plugin in (*self._plugins.values(), *self._former) if cls in plugin.components)

    def adapted(self, cls: type[Component], node: Mapping[str, Any]) -> Mapping[str, Any]:
        """The declaration with current parameter names, with a warning if that changes it."""
        renamed = self.renamed(cls)
        former = former_keys(renamed, node) if renamed else []
        for key in former:
            warn(key_place(node, key), f"'{key}' of '{self._names[cls]}' was renamed '{renamed[key]}'")
        return with_present_keys(renamed, node) if former and isinstance(node, Entries) else node

    def renamed(self, cls: type[Component]) -> Mapping[str, str]:
        """Former names of a component's parameters -> those of now."""
        registration = registration_of(cls)
        return registration.renamed if registration else {}

    def added(self, cls: type[Component]) -> Mapping[str, Any]:
        """The values for parameters that were added since a share file was written."""
        registration = registration_of(cls)
        return registration.added if registration else {}

    def former_names(self, cls: type[Component]) -> list[str]:
        """The former names by which specs may still call a component."""
        return [called for (_, called), held in self._formerly.items() if held is cls]

    def present_name(self, kind: str, name: str) -> str:
        """The current name of a component."""
        return next((self._names[cls] for cls in self.recorded(kind, name)), name)

    def bringer(self, name: str) -> Plugin | None:
        """The installed plugin whose components have names like this one, imported or not."""
        prefix = f"{name.rpartition('.')[0]}." if "." in name else ""
        return next((plugin for plugin in self._plugins.values() if plugin.prefix == prefix), None)

    def knows(self, kind: str, name: str) -> bool:
        """Whether there is a component of this kind and name; PluginError where its plugin is missing or broken."""
        self._load_for(name)
        return bool(self.recorded(kind, name))

    def label(self, kind: type[Component]) -> str:
        """The name of a kind in texts, with its plugin (``acme.schedule``) if another kind has the same name.

        One of zoo's kinds always has its bare name.
        """
        name = kind_name(kind)
        return name if name == kind_key(kind) else self._labels(kind)[kind]

    def recorded_kind(self, cls: type[Component]) -> str:
        """The name of a component's kind in share files: its bare name, whatever else is installed.

        It has the kind's plugin only if the component's plugin has another component of that name, whose kind has the
        same name.
        """
        kind, name = kind_of(cls), self._names[cls]
        alike = {held for held, called in self._classes if called == name and kind_name(held) == kind_name(kind)}
        return self._full_name(kind) if len(alike) > 1 else kind_name(kind)

    def recorded(self, kind: str, name: str) -> list[type[Component]]:
        """The components, of plugins that are loaded, that a share file may mean by a kind and a name.

        Names have their plugin before them, so all of them are of the plugin that wrote the name; those are several
        where that plugin brings two components of one name, of kinds that share a name as well.
        """
        return [cls for held, cls in self._of_name(name) if kind in self.kind_names(held)]

    def kind_names(self, kind: type[Component]) -> tuple[str, str]:
        """The names of a kind in share files: its bare name, and that with its plugin."""
        return kind_name(kind), self._full_name(kind)

    def _of_name(self, name: str) -> Iterator[tuple[type[Component], type[Component]]]:
        """The kinds and the classes of the components that are, or were, called this."""
        for (kind, called), cls in (*self._classes.items(), *self._formerly.items()):
            if called == name:
                yield kind, cls

    def _full_name(self, kind: type[Component]) -> str:
        return full_name(kind_key(kind), self._modules())

    def _labels(self, *more: type[Component]) -> dict[type[Component], str]:
        """The labels of the kinds that have components, among plugins that are loaded, and of ``more``."""
        self._load_for("")  # zoo's own kinds go before those of plugins
        kinds = dict.fromkeys([*(kind for kind, _ in self._classes), *more])
        found = labels(map(kind_key, kinds), self._modules())
        return {kind: found[kind_key(kind)] for kind in kinds}

    def _modules(self) -> dict[str, str]:
        return {plugin.module: plugin.name for plugin in self._plugins.values()}

    def migrations_of(self, cls: type[Component]) -> list[Migration]:
        """The steps of a component's stored parameters, oldest first."""
        return self._migrations.get(cls, [])

    def kinds(self) -> dict[str, type[Component]]:
        """The kinds that have components, by their labels."""
        self.plugins()
        return dict(sorted((label, kind) for kind, label in self._labels().items()))

    def components(self) -> dict[tuple[str, str], type[Component]]:
        """All components by the labels of their kinds, and their names."""
        self.plugins()
        called = self._labels()
        return dict(sorted(((called[kind], name), cls) for (kind, name), cls in self._classes.items()))

    def require(self, name: str) -> None:
        """PluginError unless the plugin of this name is installed and works."""
        if name not in self._plugins:
            raise PluginError(f"the plugin {name!r} is not installed{self._remedy(name)}")
        self._load(name)
        plugin = self._plugins[name]
        if plugin.error is not None:
            raise PluginError(f"the plugin '{name}' ({_origin(plugin)}) is broken:\n{plugin.error}")

    def _remedy(self, name: str) -> str:
        """Advice about a missing plugin: no command, since its name on a package index may be another's."""
        near = nearest(name, [plugin.name for plugin in self._plugins.values() if plugin.prefix])
        if near.startswith("; did you mean") or not is_plugin_name(name):
            return near
        custom = f"zoo-{name.lower().replace('_', '-')}"
        return (
            f"; it is part of a package, usually named '{custom}': ask the spec's author, and install it if you "
            "trust its maker"
        )

    def _load_for(self, name: str) -> None:
        owner = name.rpartition(".")[0]
        if owner:
            self.require(owner)
        else:
            for plugin in self._plugins.values():
                if not plugin.prefix:
                    self._load(plugin.name)

    def _load(self, name: str) -> None:
        if name in self._loaded:
            return
        self._loaded.add(name)
        plugin = self._plugins[name]
        try:
            with contained():
                modules = _modules(plugin)
            _check_version(modules[0])
            for cls in _marked(modules):
                self._register(plugin, cls)
            for cls in plugin.components:
                with _placed(cls):
                    self._check_defaults(cls)
            for migration in _migrations(modules):
                self._add_migration(plugin, migration)
        except KeyboardInterrupt:
            raise
        except BaseException as error:  # no exception of a third-party module may affect other plugins
            plugin.error = _why(error)
            self._forget(plugin)

    def _register(self, plugin: Plugin, cls: type[Component]) -> None:
        registration = registration_of(cls)
        if registration is None:
            return
        kind = kind_of(cls)
        key, *former = ((kind, plugin.prefix + name) for name in (registration.name, *registration.formerly))
        for _, called in (key, *former):
            for of, held in self._of_name(called):
                if self._full_name(of) == self._full_name(kind):
                    raise PluginError(
                        f"two components have, or had, the name {kind_name(kind)} '{called}': "
                        f"{held.__module__}.{held.__qualname__} and {cls.__module__}.{cls.__qualname__}"
                    )
        self._classes[key] = cls
        self._names[cls] = key[1]
        self._formerly.update(dict.fromkeys(former, cls))
        plugin.components.append(cls)
        cls.origin = _origin(plugin) if plugin.prefix else None
        if plugin.file is not None:
            copyreg.pickle(cls, partial(_reduced, plugin.file))

    def _add_migration(self, plugin: Plugin, migration: Migration) -> None:
        cls = migration.component
        if cls not in plugin.components:
            raise ValueError(
                f"{migration.step.__qualname__} migrates {cls.__qualname__}, which is not a component of this plugin"
            )
        steps = self._migrations.setdefault(cls, [])
        if any(step.before == migration.before for step in steps):
            raise ValueError(f"two steps migrate {cls.__qualname__} to {migration.before}")
        steps.append(migration)
        steps.sort(key=lambda step: step.before)

    def _forget(self, plugin: Plugin) -> None:
        for cls in plugin.components:
            self._migrations.pop(cls, None)
            self._drop_former_names(cls)
            del self._classes[kind_of(cls), self._names.pop(cls)]
        plugin.components.clear()

    def _retire(self, plugin: Plugin) -> None:
        """Unregister the names of a plugin's classes."""
        for cls in plugin.components:
            self._drop_former_names(cls)
            del self._classes[kind_of(cls), self._names[cls]]
        self._former.append(plugin)
        self._loaded.discard(plugin.name)

    def _drop_former_names(self, cls: type[Component]) -> None:
        self._formerly = {key: held for key, held in self._formerly.items() if held is not cls}

    def _check_defaults(self, cls: type[Component]) -> None:
        """Check defaults and added values like declarations: an invalid one is the plugin's error."""
        for what, values in (("default", {}), ("'added'", self.added(cls))):
            try:
                parameters_of(cls).model_validate(values, context={"lookup": self})
            except ValidationError as error:
                for wrong in error.errors(include_url=False):
                    if wrong["type"] != "missing":
                        name = str(wrong["loc"][0]).removeprefix("p_")
                        message = said(wrong["msg"], wrong["input"])
                        raise TypeError(f"the {what} of '{name}' of {cls.__qualname__}: {message}") from None

    def _quarantined(self) -> str:
        broken = [plugin.name for plugin in self._plugins.values() if plugin.error is not None]
        return f" (broken plugins: {', '.join(broken)}; see: zoo plugins)" if broken else ""


@cache
def installed() -> Registry:
    """The registry of this environment."""
    return Registry(found())


def declare(kind: type[Any], node: Any) -> Part[Any]:
    """Validate a declaration given as plain values: a name, or a mapping with a ``type``.

    >>> import zoo
    >>> declare(zoo.Mask, "checkerboard")(zoo.Shape(1, 4, 4)).kept
    Shape(1, 4, 2)
    """
    return declare_node(installed(), kind, node)


def declare_named(kind: type[Any], name: str) -> Part[Any]:
    """A component by its bare name, from the command line."""
    try:
        return declare(kind, name)
    except SpecError as error:
        raise UsageError(error.problems[0].message) from None


def _origin(plugin: Plugin) -> str:
    return f"{plugin.distribution} {plugin.version}"


def _why(error: BaseException) -> str:
    """A traceback of a plugin's own frames, without those of zoo and of the import machinery."""
    frames = [frame for frame in traceback.extract_tb(error.__traceback__) if not _is_ours(frame.filename)]
    shown = ["Traceback (most recent call last):\n", *traceback.format_list(frames[-3:])] if frames else []
    return "".join([*shown, *traceback.format_exception_only(error)])


def _is_ours(file: str) -> bool:
    home = str(Path(__file__).parents[1])
    return file.startswith((home, "<frozen importlib")) or file.endswith("importlib/__init__.py")


def _check_version(module: ModuleType) -> None:
    """A plugin may say, as ``ZOO_API``, which `API_VERSION` it was written for."""
    written_for = getattr(module, "ZOO_API", API_VERSION)
    if written_for != API_VERSION:
        what = "the plugin" if isinstance(written_for, int) and written_for < API_VERSION else "zoo"
        raise PluginError(f"requires plugin API {written_for!r}, but this zoo has {API_VERSION}: update {what}")


@contextmanager
def _placed(cls: type) -> Iterator[None]:
    """Context manager that adds the place of a class to errors."""
    try:
        yield
    except TypeError as error:
        error.add_note(f"  in {_place_of(cls)}")
        raise


def _place_of(cls: type) -> str:
    """The file and line of a class."""
    try:
        return f"{inspect.getsourcefile(cls)}, line {inspect.getsourcelines(cls)[1]}"
    except (TypeError, OSError):
        return f"{cls.__module__}.{cls.__qualname__}"


@contextmanager
def contained() -> Iterator[None]:
    """Context manager for plugin code: its output goes to standard error, and global state is restored."""
    folder, dtype = Path.cwd(), torch.get_default_dtype()
    try:
        with redirect_stdout(sys.stderr), warnings.catch_warnings():
            yield
    finally:
        os.chdir(folder)
        torch.set_default_dtype(dtype)


def _modules(plugin: Plugin) -> list[ModuleType]:
    """A plugin's module and all below it, imported, but for those that bring no components: see `LATER`."""
    module = importlib.import_module(plugin.module) if plugin.file is None else plugin.file.imported()
    plugin.title = (inspect.getdoc(module) or plugin.name).splitlines()[0].rstrip(".")
    return [module, *_below(module)]


def _below(module: ModuleType) -> Iterator[ModuleType]:
    for info in pkgutil.iter_modules(getattr(module, "__path__", []), f"{module.__name__}."):
        if info.name.rpartition(".")[2] not in LATER:
            inner = importlib.import_module(info.name)
            yield inner
            yield from _below(inner)


def _marked(modules: list[ModuleType]) -> Iterator[type[Component]]:
    """The marked classes that are defined in these modules."""
    for module in modules:
        for value in vars(module).values():
            here = inspect.isclass(value) and value.__module__ == module.__name__
            if here and issubclass(value, Component) and registration_of(value):
                yield value


def _migrations(modules: list[ModuleType]) -> Iterator[Migration]:
    """The migrations that are defined in these modules."""
    for module in modules:
        for value in vars(module).values():
            if inspect.isfunction(value) and value.__module__ == module.__name__:
                yield from migrations_in(value)


# -- pickling: a declaration is its class and its parameters; before what a Python file brings comes the file itself ---


def _reduced(file: PythonFile, component: Component) -> tuple[Any, ...]:
    """A component of a Python file as pickle reads it: once the file is there, so is the class."""
    reduced: Any = component.__reduce_ex__(2)
    function, args, *state = reduced
    return _revived, (file, function, args), *state


def _revived(file: PythonFile, function: Callable[..., Any], args: tuple[Any, ...]) -> Any:
    return function(*args)


def _brought(path: Path, text: bytes) -> PythonFile:
    """A Python file whose components are there."""
    file = PythonFile(path, text)
    if file.module not in sys.modules:
        installed().bring(file)
    return file


def _part_reduced(part: Part[Any]) -> tuple[Any, ...]:
    plugin = installed().plugin_of(part.cls) if part.cls.origin else None
    return _part_revived, (plugin and plugin.file, part.cls, part.name, parameters(part.settings), part.place.path)


def _part_revived(file: PythonFile | None, cls: type[Any], name: str, values: dict[str, Any], path: str) -> Part[Any]:
    return Part(cls, name, parameters_of(cls).model_construct(**values), Place(path=path))


copyreg.pickle(PythonFile, lambda file: (_brought, (file.path, file.text)))
copyreg.pickle(Part, _part_reduced)
