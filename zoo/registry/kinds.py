"""Labels of kinds, which distinguish kinds of the same name from different plugins.

A kind is identified by its class; in text by its key (`zoo.interfaces.component.kind_key`), which is a bare name where
zoo brings the kind and has the kind's module before the name where a plugin does.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Mapping


def labels(keys: Iterable[str], plugins: Mapping[str, str]) -> dict[str, str]:
    """The labels of kinds by their keys, given the plugins of modules.

    The label of one of zoo's kinds is its bare name, and so is that of any kind whose name is unique. Other labels have
    the plugin before the name; those of two kinds of one plugin with the same name have the module.

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
    """The name of a kind without its plugin, from its key or its label."""
    return key.rpartition(".")[2]


def full_name(key: str, plugins: Mapping[str, str]) -> str:
    """The name of a kind with its plugin, ``acme.schedule``; for zoo's kinds the bare name."""
    module, _, name = key.rpartition(".")
    return f"{_owner(module, plugins)}.{name}" if module else name


def _owner(module: str, plugins: Mapping[str, str]) -> str:
    """The plugin of a module, or one of the same package, or else the name of the package."""
    holding = [home for home in plugins if f"{module}.".startswith(f"{home}.")]
    if holding:
        return plugins[max(holding, key=len)]
    package = module.partition(".")[0]
    return min((name for home, name in plugins.items() if home.partition(".")[0] == package), default=package)
