"""The command doctor: what zoo finds on this machine."""

from __future__ import annotations

from dataclasses import asdict

from .app import Json, command, print_json


@command("doctor")
def doctor(as_json: Json = False) -> None:
    """Show versions, devices, compiler, data, plugins, weights and cache of this machine, and what is missing."""
    from ..data.found import found
    from ..engine import environment
    from ..registry.registry import installed
    from ..registry.shipped import shipped_weights
    from ..report.text_table import columns, size
    from ..storage.cache import cache_home

    versions, devices, compiler = environment.versions(), environment.devices(), environment.compiler()
    (threads, processors), plugins, data = environment.threads(), installed().plugins(), list(found())
    home, weights = cache_home(), len(shipped_weights())
    bytes_ = sum(file.stat().st_size for file in home.rglob("*") if file.is_file()) if home.is_dir() else 0
    problems = [
        *(f"{name} is missing" for name, there in versions.items() if there == "missing"),
        *(f"plugin '{plugin.name}' is broken: see zoo plugins" for plugin in plugins if plugin.error),
        *([] if compiler else ["no C++ compiler: models are not compiled on the CPU; install g++ or clang++"]),
        *([f"{threads} threads on {processors} processors: set OMP_NUM_THREADS"] if threads > processors else []),
        *(f"data '{one.name}': {one.problem}" for one in data if one.problem),
    ]
    if as_json:
        broken = {plugin.name: plugin.error is not None for plugin in plugins}
        print_json(
            {
                "versions": versions,
                "devices": [asdict(device) for device in devices],
                "compiler": compiler,
                "threads": threads,
                "processors": processors,
                "data": [asdict(one) for one in data],
                "plugins": {name: "broken" if is_broken else "ok" for name, is_broken in broken.items()},
                "weights": weights,
                "cache": {"path": str(home), "bytes": bytes_},
                "problems": problems,
            }
        )
        return
    words = {True: "yes", False: "no"}
    print(columns([[name, there] for name, there in versions.items()], ["package", "version"]) + "\n")
    memory = ["" if device.memory is None else size(device.memory) for device in devices]
    rows = [
        [one.device, one.name, held, words[one.bf16], words[one.compiles]]
        for one, held in zip(devices, memory, strict=True)
    ]
    print(columns(rows, ["device", "", "memory", "bf16", "compiles"]) + "\n")
    held_out = [[one.name, "missing" if one.examples is None else f"{one.examples:,}"] for one in data]
    print(columns(held_out, ["data", "held-out examples"]) + "\n")
    facts = [
        ["threads", f"{threads} of {processors} processors"],
        ["compiler", compiler or "none"],
        ["plugins", ", ".join(f"{one.name}{' (broken)' if one.error else ''}" for one in plugins)],
        ["weights", f"of {weights} specs"],
        ["cache", f"{home}, {size(bytes_)}"],
    ]
    print(columns(facts, ["", ""]).lstrip())
    print("\n" + "\n".join(problems) if problems else "\nnothing is missing")
