"""Labels of kinds: two plugins may each bring a kind of the same name, and text must tell them apart.

A kind is identified by its class; in text by its key (`zoo.interfaces.component.kind_key`), which is a bare name where
zoo brings the kind and has the kind's module before the name where a plugin does.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Mapping


def labels(keys: Iterable[str], plugins: Mapping[str, str]) -> dict[str, str]:
    """What each of these kinds is called, given which modules are those of which plugins.

    A kind of zoo's own goes by its bare name, and so does any other that shares its name with none. One that does is
    called after its plugin as well; two of one plugin that share a name, after their modules.

    >>> labels(["schedule", "acme_noise.base.schedule", "acme_noise.base.head"], {"acme_noise": "acme"})
    {'schedule': 'schedule', 'acme_noise.base.schedule': 'acme.schedule', 'acme_noise.base.head': 'head'}
    """
    keys = list(dict.fromkeys(keys))
    bare = Counter(map(bare_name, keys))
    full = Counter(full_name(key, plugins) for key in keys)
    found = {}
    for key in keys:
        label = bare_name(key) if bare[bare_name(key)] == 1 else full_name(key, plugins)
        found[key] = label if full[label] < 2 else key
    return found


def bare_name(key: str) -> str:
    """The name of a kind without who brings it, of its key or its label."""
    return key.rpartition(".")[2]


def full_name(key: str, plugins: Mapping[str, str]) -> str:
    """The name of a kind with the plugin that brings it, ``acme.schedule``; of zoo's own the bare name."""
    module, _, name = key.rpartition(".")
    return f"{_owner(module, plugins)}.{name}" if module else name


def _owner(module: str, plugins: Mapping[str, str]) -> str:
    """The plugin that a module belongs to, or one of the same package; else the package, which is no plugin's."""
    holding = [home for home in plugins if f"{module}.".startswith(f"{home}.")]
    if holding:
        return plugins[max(holding, key=len)]
    package = module.partition(".")[0]
    return min((name for home, name in plugins.items() if home.partition(".")[0] == package), default=package)
