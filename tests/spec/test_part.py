"""Keyword-only parameters are a schema: types, bounds, defaults, children."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Annotated, Any, Literal

import pytest
from pydantic import Field, NonNegativeFloat, PositiveInt

import zoo
from zoo import Component, Conditioner, Mask, Part, Settings, Shape, component, named
from zoo.catalogue.describe import parameters, type_text
from zoo.errors import SpecError
from zoo.registry.part import declare_node, parameters_of
from zoo.registry.registry import installed


class Gadget(Component):
    """A kind of our own."""


class Inner(Settings):
    """A record."""

    size: PositiveInt
    note: str = ""


@component("everything", example={"width": 2})
class Everything(Gadget):
    """Has one parameter of each sort."""

    def __init__(
        self,
        given: int,
        *,
        width: PositiveInt,
        rate: NonNegativeFloat = 0.5,
        share: Annotated[float, Field(gt=0, lt=1)] = 0.1,
        flag: bool = False,
        word: str = "x",
        choice: Literal["a", "b"] = "a",
        pair: tuple[int, int] = (1, 2),
        many: list[PositiveInt] = [],  # noqa: B006
        table: dict[str, int] = {},  # noqa: B006
        inner: Inner | None = None,
        net: Part[Conditioner] = named("mlp", width=4),
        maybe: Part[Mask] | None = None,
        masks: list[Part[Mask]] = [],  # noqa: B006
        either: float | Part[Mask] = 1.0,
        copy: int = 1,
        schema: int = 1,
        model_config: int = 1,
    ) -> None:
        self.given = given
        self.values = {k: v for k, v in locals().items() if k not in ("self", "given")}


class Shelf:
    """A registry of one gadget beside what is installed."""

    def find(self, kind: type[Component], name: str) -> type[Component]:
        return Everything if kind is Gadget else installed().find(kind, name)

    def name_of(self, cls: type[Component]) -> str:
        return "everything" if cls is Everything else installed().name_of(cls)

    def adapted(self, cls: type[Component], node: Mapping[str, Any]) -> Mapping[str, Any]:
        return node

    def label(self, kind: type[Component]) -> str:
        return installed().label(kind)


def declare(**values: Any) -> Part[Any]:
    return declare_node(Shelf(), Gadget, {"type": "everything", "width": 2, **values})


ACCEPTED: list[tuple[str, Any]] = [
    ("width", 3),
    ("rate", 1),
    ("rate", 0.25),
    ("flag", True),
    ("pair", [3, 4]),
    ("many", [1, 2]),
    ("table", {"a": 1}),
    ("copy", 3),
    ("schema", 3),
    ("model_config", 3),
    ("either", 2.5),
]


@pytest.mark.parametrize(("key", "value"), ACCEPTED)
def test_accepted(key: str, value: Any) -> None:
    part = declare(**{key: value})
    held = part(7).values[key]
    assert held == (tuple(value) if key == "pair" else value)
    assert part.resolved()[key] == value


REFUSED: list[tuple[str, Any, str]] = [
    ("width", 0, "should be greater than 0, got 0"),
    ("width", "3", "should be a whole number, got '3'"),
    ("width", 3.0, "should be a whole number, got 3.0"),
    ("width", True, "should be a whole number, got true"),
    ("width", None, "should be a whole number, got nothing"),
    ("rate", -1, "should be greater than or equal to 0, got -1"),
    ("rate", float("nan"), "should be a finite number, got nan"),
    ("rate", True, "should be a number, got true"),
    ("share", 1.0, "should be less than 1, got 1.0"),
    ("flag", 1, "should be true or false, got 1"),
    ("flag", "yes", "should be true or false, got 'yes'"),
    ("word", 3, "should be a text, got 3"),
    ("choice", "c", "should be 'a' or 'b', got 'c'"),
    ("pair", [1, 2, 3], "should have at most 2 items, not 3"),
    ("many", [1, 0], "should be greater than 0, got 0"),
    ("many", 3, "should be a list, got 3"),
    ("inner", {"note": "x"}, "'inner' needs 'size'"),
    ("inner", {"size": 1, "siez": 2}, "'siez' is not a parameter of 'inner'; did you mean 'size'?"),
    ("inner", 3, "should be a mapping, got 3"),
    ("net", "mpl", "unknown conditioner 'mpl'; did you mean 'mlp'?"),
    ("net", "channel", "'channel' is a mask, expected a conditioner"),
    ("net", {"type": "mlp", "widht": 3}, "'widht' is not a parameter of conditioner 'mlp'; did you mean 'width'?"),
    ("net", {"width": 3}, "should be a conditioner: a name, or a mapping with a 'type'"),
    ("masks", ["channel", "mlp"], "'mlp' is a conditioner, a decoder and an encoder, expected a mask"),
    ("masks", [{"type": "channel", "swap": 3}], "should be true or false, got 3"),
    ("either", "channle", "unknown mask 'channle'; did you mean 'channel'?"),
    ("either", {"type": "channel", "swop": 1}, "'swop' is not a parameter of mask 'channel'; did you mean 'swap'?"),
    ("wdith", 3, "'wdith' is not a parameter of gadget 'everything'; did you mean 'width'?"),
    ("given", 3, "'given' is not a parameter of gadget 'everything'"),
]


@pytest.mark.parametrize(("key", "value", "message"), REFUSED)
def test_refused(key: str, value: Any, message: str) -> None:
    with pytest.raises(SpecError) as raised:
        declare(**{key: value})
    (problem,) = raised.value.problems
    assert message in problem.message


def test_several_at_once() -> None:
    with pytest.raises(SpecError) as raised:
        declare(width=0, rate=-1, net="mpl", extra=3)
    assert len(raised.value.problems) == 4


def test_defaults_that_name_components_are_parts() -> None:
    part = declare()
    assert part.resolved()["net"]["width"] == 4
    assert part(7).values["net"](Shape(2), Shape(3)).out_shape == Shape(3)


def test_what_is_resolved_declares_the_same() -> None:
    part = declare(masks=["channel"], maybe={"type": "checkerboard", "odd": True}, inner={"size": 2})
    assert declare_node(Shelf(), Gadget, part.resolved()).resolved() == part.resolved()


def test_a_child_knows_its_declaration() -> None:
    part = zoo.declare(Mask, "channel")
    assert part(Shape(4)).declaration is part


def test_what_a_child_raises_has_its_name() -> None:
    with pytest.raises(SpecError, match="conditioner 'resnet': needs images"):
        zoo.declare(Conditioner, "resnet")(Shape(2), Shape(2))


def test_a_part_is_a_declaration() -> None:
    part = zoo.declare(Mask, "channel")
    assert zoo.declare(Mask, part) is part
    with pytest.raises(SpecError, match="mask 'channel' is not a conditioner"):
        zoo.declare(Conditioner, part)


@pytest.mark.parametrize("node", [3, None, True, [], {}, ["mlp"], {"type": None}, {"type": 3}, "", "a.b.c.", "."])
def test_no_declaration(node: Any) -> None:
    with pytest.raises(zoo.ZooError):
        zoo.declare(Conditioner, node)


def test_positional_parameters_are_no_schema() -> None:
    assert "given" not in {info.alias for info in parameters_of(Everything).model_fields.values()}


def test_a_parameter_without_annotation_is_the_authors_mistake() -> None:
    class Vague(Gadget):
        def __init__(self, *, width=3) -> None:  # type: ignore[no-untyped-def]
            ...

    with pytest.raises(TypeError, match=r"parameter 'width' of .*Vague has no annotation"):
        parameters_of(Vague)


def test_names_are_snake_case() -> None:
    for name in ("Bad", "a-b", "a.b", "1a", "", "a b"):
        with pytest.raises(ValueError, match="snake_case"):
            component(name)


def test_parameters_read_as_their_author_thinks() -> None:
    shown = {row.name: (row.type, row.default) for row in parameters(Everything)}
    assert shown["width"] == ("int > 0", "")
    assert shown["rate"] == ("number >= 0", "0.5")
    assert shown["share"] == ("number > 0, < 1", "0.1")
    assert shown["choice"] == ("a | b", "a")
    assert shown["net"] == ("conditioner", "{type: mlp, width: 4}")
    assert shown["maybe"] == ("mask | null", "null")
    assert shown["masks"] == ("list of mask", "[]")
    assert shown["either"] == ("number | mask", "1.0")
    assert type_text(dict[str, int])
