"""Parts: declared and validated children that are not yet built, and the schema of declarations.

The keyword-only parameters of a component's ``__init__`` are its schema. `parameters_of` makes a pydantic model of
them; a `Part` holds a component's class and one valid instance of that model.
"""

from __future__ import annotations

import inspect
import types
from collections.abc import Mapping
from functools import partial
from typing import Annotated, Any, ClassVar, Generic, Protocol, TypeVar, Union, get_args, get_origin, get_type_hints

from pydantic import (
    ConfigDict,
    Field,
    GetCoreSchemaHandler,
    GetJsonSchemaHandler,
    PydanticSchemaGenerationError,
    Strict,
    TypeAdapter,
    ValidationError,
    create_model,
)
from pydantic.fields import FieldInfo
from pydantic_core import CoreSchema, PydanticCustomError, core_schema

from ..document.diagnostics import described, problems_in, raised_at, shown
from ..document.nodes import NOWHERE, Entries, Place, child_place, place_of
from ..errors import PluginError, Problem, SpecError, ZooError, a
from ..interfaces.component import Component, kind_key, kind_name, kind_of, registration_of
from ..settings import Settings

T = TypeVar("T")


class Lookup(Protocol):
    """Mapping of names to classes: the registry."""

    def find(self, kind: type[Component], name: str) -> type[Component]:
        """The class, or LookupError with a message for the user."""

    def name_of(self, cls: type[Component]) -> str:
        """The name by which specs call a class."""

    def adapted(self, cls: type[Component], node: Mapping[str, Any]) -> Mapping[str, Any]:
        """A declaration of a class, in the form that the class has today."""

    def label(self, kind: type[Component]) -> str:
        """The name of a kind in texts, with its plugin if two kinds share the name."""


class Part(Generic[T]):
    """A declared child: call it with the parent's arguments to build the child.

    Whatever a child raises while it is built is reported with the line that declared it.

    >>> import zoo
    >>> net = zoo.declare(zoo.Conditioner, {"type": "mlp", "width": 8})
    >>> net(zoo.Shape(2), zoo.Shape(3)).out_shape
    Shape(3)
    """

    def __init__(self, cls: type[Any], name: str, settings: Settings, place: Place = NOWHERE) -> None:
        self.cls = cls
        self.name = name
        self.settings = settings
        self.place = place

    @property
    def kind(self) -> str:
        """The name of its kind, which several kinds may share: `Registry.label` distinguishes those."""
        return kind_name(kind_of(self.cls))

    def __call__(self, *given: Any) -> T:
        try:
            child = self.cls(*given, **parameters(self.settings))
        except (ZooError, NotImplementedError):
            raise
        except Exception as error:
            unfit = isinstance(error, TypeError) and self._unfit(given)
            raise SpecError(self.problem(unfit) if unfit else self.failure(error)) from error
        if hasattr(child, "register_parameter") and "_parameters" not in vars(child):
            raise SpecError(self.problem("its __init__ does not call super().__init__"))
        child.__dict__["declaration"] = self
        built: T = child
        return built

    def __deepcopy__(self, memo: Any) -> Part[T]:
        return self  # it does not change

    def problem(self, message: str) -> Problem:
        """A complaint at the place of this declaration."""
        return Problem(self.place.mark, self.place.path, f"{self}: {message}")

    def failure(self, error: Exception) -> Problem:
        """The message about an exception of a component, with the place in its code unless it is meant for the user."""
        where = raised_at(error, self.cls) if self.cls.origin and not isinstance(error, ValueError) else ""
        return self.problem(described(error) + where)

    def _unfit(self, given: tuple[Any, ...]) -> str | None:
        """The reason why the class cannot be called with the parent's arguments, if it is one."""
        try:
            inspect.signature(self.cls).bind(*given, **parameters(self.settings))
        except TypeError as error:
            return (
                f"its __init__ must take the {len(given)} positional arguments of a {self.kind} ({error}): parameters "
                "that a spec sets follow '*'"
            )
        return None

    def __str__(self) -> str:
        return f"{self.kind} '{self.name}'" + (f" of {self.cls.origin}" if self.cls.origin else "")

    def resolved(self) -> dict[str, Any]:
        """The declaration as plain values with every default written out."""
        return {"type": self.name, **self.settings.model_dump(mode="json", by_alias=True)}

    def __repr__(self) -> str:
        return f"Part({self.resolved()})"

    @classmethod
    def __get_pydantic_core_schema__(cls, source: Any, handler: GetCoreSchemaHandler) -> CoreSchema:
        (kind,) = get_args(source) or (Component,)
        return core_schema.with_info_plain_validator_function(
            partial(_validate, kind),
            serialization=core_schema.plain_serializer_function_ser_schema(lambda part: part.resolved()),
            metadata={"kind": kind_key(kind)},
        )

    @classmethod
    def __get_pydantic_json_schema__(cls, schema: CoreSchema, handler: GetJsonSchemaHandler) -> dict[str, Any]:
        return {"x-zoo-kind": schema["metadata"]["kind"]}


class Absent:
    """Placeholder of a component that a file declares and that is not installed: it can be declared, but not built."""

    called: ClassVar[str]
    recorded_kind: ClassVar[str]
    distribution: ClassVar[str]
    version: ClassVar[str]
    reason: ClassVar[str]

    def __new__(cls, *given: Any, **settings: Any) -> Absent:
        raise PluginError(cls.reason)


def named(type: str, **values: Any) -> Any:
    """A declaration as a parameter's default: ``net: Part[Conditioner] = named("mlp", width=64)``."""
    return {"type": type, **values}


def parameters(settings: Settings) -> dict[str, Any]:
    """The validated parameters by the names that ``__init__`` knows them by."""
    fields = type(settings).model_fields
    return {info.alias or name: getattr(settings, name) for name, info in fields.items()}


class Anything(Settings):
    """The parameters of a component that is not at hand: whatever is declared."""

    model_config = ConfigDict(extra="allow")


def parameters_of(cls: type[Component]) -> type[Settings]:
    """The schema of a component: its keyword-only parameters. TypeError if one has no annotation."""
    if issubclass(cls, Absent):
        return Anything
    if cls not in _schemas:
        _schemas[cls] = _schema_of(cls)
    return _schemas[cls]


_schemas: dict[Any, type[Settings]] = {}


def _schema_of(cls: Any) -> type[Settings]:
    # A class that takes over its kind's __init__ has no parameters of its own: those are the parent's.
    init = cls.__init__
    hints = get_type_hints(init, include_extras=True)
    fields: dict[str, tuple[Any, FieldInfo]] = {}
    for name, parameter in inspect.signature(init).parameters.items():
        if parameter.kind is inspect.Parameter.VAR_KEYWORD and _is_own(cls):
            raise TypeError(f"{cls.__qualname__} takes **{name}: parameters of a component must be named one by one")
        if parameter.kind is not inspect.Parameter.KEYWORD_ONLY:
            continue
        if name not in hints:
            raise TypeError(f"parameter '{name}' of {cls.__qualname__} has no annotation")
        default = ... if parameter.default is inspect.Parameter.empty else parameter.default
        # Aliased, since a parameter may be called like a method of pydantic's (copy, schema).
        fields[f"p_{name}"] = (_lax_tuples(hints[name]), Field(default, alias=name))
    try:
        model: type[Settings] = create_model(cls.__name__, __base__=Settings, **fields)  # type: ignore[call-overload]
    except PydanticSchemaGenerationError:
        for field, (hint, _) in fields.items():
            _check_annotation(cls, field.removeprefix("p_"), hint)
        raise
    return model


def _is_own(cls: type) -> bool:
    """Whether the ``__init__`` of a component is one that a component or a kind wrote."""
    return issubclass(next(base for base in cls.__mro__ if "__init__" in vars(base)), Component)


def _check_annotation(cls: type, name: str, hint: Any) -> None:
    """TypeError for a parameter whose type cannot be written in a spec."""
    try:
        TypeAdapter(hint)
    except PydanticSchemaGenerationError:
        called = getattr(hint, "__name__", hint)
        raise TypeError(
            f"parameter '{name}' of {cls.__qualname__} has type {called}, which cannot be written in YAML"
        ) from None


def declare_node(lookup: Lookup, kind: type[Component], node: Any, place: Place = NOWHERE) -> Part[Any]:
    """Validate one declaration; SpecError with all of its problems."""
    try:
        return _declare(lookup, kind, node)
    except _Refused as refused:
        raise SpecError(refused.problems or Problem(place.mark, place.path, refused.message)) from None


def part_of(lookup: Lookup, cls: type[Component], name: str, values: Mapping[str, Any]) -> Part[Any]:
    """A declaration of a class that is at hand, whether or not it is installed; SpecError with all of its problems."""
    try:
        return Part(cls, name, _settings(lookup, cls, name, values))
    except _Refused as refused:
        raise SpecError(refused.problems or Problem(None, "", refused.message)) from None


class _Refused(Exception):
    """A declaration is wrong: problems that know their places, or a message about the node as a whole."""

    def __init__(self, message: str, problems: tuple[Problem, ...] = ()) -> None:
        super().__init__(message)
        self.message, self.problems = message, problems


def _validate(kind: type[Component], value: Any, info: core_schema.ValidationInfo) -> Part[Any]:
    try:
        return _declare(info.context["lookup"], kind, value)  # type: ignore[index]
    except _Refused as refused:
        # pydantic keeps no places: ours travel in the error's context.
        raise PydanticCustomError(
            "zoo_part", "{message}", {"message": refused.message, "problems": refused.problems}
        ) from None


def _declare(lookup: Lookup, kind: type[Component], node: Any) -> Part[Any]:
    if isinstance(node, Part):
        if not issubclass(node.cls, kind):
            raise _Refused(f"{lookup.label(kind_of(node.cls))} '{node.name}' is not {a(lookup.label(kind))}")
        return node
    if isinstance(node, Mapping) and not isinstance(node.get("type", ""), str):
        at = child_place(node, "type")
        message = f"should be the name of {a(lookup.label(kind))}, got {shown(node['type'])}"
        raise _Refused(message, (Problem(at.mark, at.path, message),))
    if not (isinstance(node, str) or (isinstance(node, Mapping) and "type" in node)):
        wanted = f"should be {a(lookup.label(kind))}: a name, or a mapping with a 'type'"
        raise _Refused(wanted if isinstance(node, Mapping) else f"{wanted}, got {shown(node)}")
    name = node if isinstance(node, str) else node["type"]
    try:
        cls = lookup.find(kind, name)
    except PluginError as error:
        at = place_of(name)
        raise PluginError(str(Problem(at.mark, at.path, str(error)))) from None
    except LookupError as error:
        message = str(error.args[0])
        if isinstance(node, str):
            raise _Refused(message) from None
        at = child_place(node, "type")
        raise _Refused(message, (Problem(at.mark, at.path, message),)) from None
    values = Entries(place=place_of(node)) if isinstance(node, str) else node
    values = lookup.adapted(cls, values)
    return Part(cls, lookup.name_of(cls), _settings(lookup, cls, name, values), place_of(node))


def _settings(lookup: Lookup, cls: type[Component], name: str, node: Mapping[str, Any]) -> Settings:
    schema = parameters_of(cls)
    values = {key: value for key, value in node.items() if key != "type"}
    try:
        return schema.model_validate(values, context={"lookup": lookup})
    except ValidationError as error:
        found = tuple(problems_in(error, node, schema, f"{kind_name(kind_of(cls))} '{name}'"))
        raise _Refused(found[0].message, found) from None


def _lax_tuples(annotation: Any) -> Any:
    """Let a YAML list be a tuple: containers are lax where scalars are strict."""
    origin, inner = get_origin(annotation), get_args(annotation)
    if origin is Annotated:
        return Annotated[(_lax_tuples(inner[0]), *inner[1:])]
    if origin in (Union, types.UnionType):
        return Union[tuple(_lax_tuples(member) for member in inner)]  # noqa: UP007
    if origin is tuple:
        return Annotated[annotation, Strict(False)]
    return annotation


def example_of(cls: type[Component]) -> dict[str, Any]:
    """Parameters with which a component works on small shapes."""
    registration = registration_of(cls)
    return dict(registration.example) if registration else {}
