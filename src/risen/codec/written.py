"""What pydantic finds wrong with a written file, said with file, line, column, path and what would be right.

The base of every model of a written file, and the one way from text to such a model. Knows no field's meaning.
"""

from __future__ import annotations

import difflib
import types
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Annotated, Any, ClassVar, TypeVar, Union, get_args, get_origin

from pydantic import BaseModel, ConfigDict, ValidationError
from pydantic.alias_generators import to_camel
from pydantic_core import ErrorDetails

from risen.codec.yaml_nodes import Document, Path, Plain, Problem, Problems, load


class Written(BaseModel):
    """A mapping that people write: keys in camelCase, no unknown key, nothing converted silently.

    `not_built` names fields that are planned, with what this Risen has instead: they are refused by name.
    Lists are `list[X]` (strict mode takes nothing else from YAML), single checks `Annotated[X, AfterValidator]`.
    """

    model_config = ConfigDict(
        extra="forbid", strict=True, frozen=True, alias_generator=to_camel, populate_by_name=False
    )
    not_built: ClassVar[Mapping[str, str]] = types.MappingProxyType({})


M = TypeVar("M", bound=Written)
Check = Callable[[Document], Iterable[Problem]]


def parse(text: str, filename: str, model: type[M], checks: Sequence[Check] = ()) -> tuple[M, Document]:
    """Read a written file. `checks` look across fields and must bear any data: they run beside pydantic, so
    that everything wrong is said at once. Raises Problems."""
    document = load(text, filename)
    problems = [problem for check in checks for problem in check(document)]
    try:
        value = model.model_validate(document.data)
    except ValidationError as errors:
        placed = [(error, _place(error, model)) for error in errors.errors()]
        problems += [_problem_of(error, document, place) for error, place in placed if _speaks(error, place)]
        raise Problems(problems) from None
    if problems:
        raise Problems(problems)
    return value, document


def did_you_mean(word: str, known: Iterable[str]) -> str:
    """` (did you mean "x"?)`, or nothing where nothing is near."""
    by_lower = {one.lower(): one for one in known}
    near = difflib.get_close_matches(word.lower(), list(by_lower), n=1, cutoff=0.6)
    return f' (did you mean "{by_lower[near[0]]}"?)' if near else ""


def field_names(model: type[BaseModel]) -> tuple[str, ...]:
    """The fields of a model as they are written."""
    return tuple(info.alias or name for name, info in model.model_fields.items())


def _below(annotation: Any, part: str | int) -> Any:
    """The annotation of what stands at `part` below something of this annotation; None where nothing may."""
    if isinstance(part, int):
        return _bare(next(iter(get_args(annotation)), None))
    if isinstance(annotation, type) and issubclass(annotation, BaseModel):
        for name, info in annotation.model_fields.items():
            if (info.alias or name) == part:
                return _bare(info.annotation)
    if get_origin(annotation) is dict:
        return _bare(get_args(annotation)[1])
    if get_origin(annotation) in (Union, types.UnionType):
        return next((one for one in get_args(annotation) if getattr(one, "__name__", "") == part), None)
    return None


@dataclass(frozen=True, slots=True)
class _Place:
    """Where an error stands: its path in the file (without the names that pydantic gives to a union's members),
    the model of the mapping around it, and whether a union's member speaks."""

    path: Path
    owner: type[BaseModel] | None
    in_union: bool


def _place(error: ErrorDetails, model: type[BaseModel]) -> _Place:
    annotation: Any = model
    owner: type[BaseModel] | None = None
    path: list[str | int] = []
    in_union = False
    for part in error["loc"]:
        if part == "[key]":
            continue
        if isinstance(part, str) and get_origin(annotation) in (Union, types.UnionType):
            in_union = True
        else:
            path.append(part)
            is_model = isinstance(annotation, type) and issubclass(annotation, BaseModel)
            owner = annotation if is_model else None
        annotation = _below(annotation, part)
    return _Place(tuple(path), owner, in_union)


def _speaks(error: ErrorDetails, place: _Place) -> bool:
    """Whether an error is worth saying: of a union, only the member that the value looks like speaks."""
    is_mapping = isinstance(error["input"], dict)
    return not place.in_union or error["type"] != ("literal_error" if is_mapping else "model_type")


def _bare(annotation: Any) -> Any:
    """An annotation without `Annotated` and `| None`."""
    if get_origin(annotation) is Annotated:
        return _bare(get_args(annotation)[0])
    if get_origin(annotation) in (Union, types.UnionType):
        kept = [one for one in get_args(annotation) if one is not type(None)]
        return _bare(kept[0]) if len(kept) == 1 else annotation
    return annotation


def _problem_of(error: ErrorDetails, document: Document, place: _Place) -> Problem:
    """One of pydantic's errors in our words, at its place."""
    path = place.path
    at_key = error["type"] == "extra_forbidden" or "[key]" in error["loc"]
    if error["type"] == "extra_forbidden":
        message = _unknown(str(path[-1]), place.owner)
    elif error["type"] == "missing":
        message = "is required" + _described(str(path[-1]), place.owner)
    else:
        message = _wrong_value(error, document.written.get(path))
    return document.problem(path, message, at_key=at_key)


def _described(key: str, owner: type[BaseModel] | None) -> str:
    """`: ` and a required field's own description, where it has one."""
    for name, info in owner.model_fields.items() if owner else ():
        if (info.alias or name) == key and info.description:
            return f": {info.description}"
    return ""


def _unknown(key: str, owner: type[BaseModel] | None) -> str:
    """What to say of a key that no field has."""
    if owner is None:
        return "unknown field"
    later = getattr(owner, "not_built", {})
    if key in later:
        return f"is not built yet; this Risen has: {later[key]}"
    known = field_names(owner)
    return f"unknown field{did_you_mean(key, known)}; known here: {', '.join(known)}"


_BOUNDS: Mapping[str, tuple[str, str]] = types.MappingProxyType(
    {
        "greater_than_equal": ("at least", "ge"),
        "greater_than": ("more than", "gt"),
        "less_than_equal": ("at most", "le"),
        "less_than": ("less than", "lt"),
    }
)
_KINDS: Mapping[str, str] = types.MappingProxyType(
    {
        "int_type": "must be a whole number",
        "int_from_float": "must be a whole number",
        "float_type": "must be a number",
        "bool_type": "must be true or false",
        "list_type": "must be a list",
        "dict_type": "must be a mapping",
        "model_type": "must be a mapping",
        "model_attributes_type": "must be a mapping",
    }
)


def _wrong_value(error: ErrorDetails, written: str | None) -> str:
    """What to say of a value that its field does not take."""
    kind, context, given = error["type"], error.get("ctx", {}), error["input"]
    if kind == "value_error":
        return str(context["error"])
    if kind == "string_type":
        return _not_text(given, written)
    if kind == "literal_error":
        options = _one_of(given, str(context["expected"]))
        return f"must be {context['expected']}, not {shown(given)}{options}"
    if kind in _BOUNDS:
        words, bound = _BOUNDS[kind]
        return f"must be {words} {context[bound]}, not {shown(given)}"
    if kind in _KINDS:
        return f"{_KINDS[kind]}, not {shown(given)}"
    return f"{error['msg']} (given: {shown(given)})"


def _one_of(given: object, expected: str) -> str:
    return (
        did_you_mean(given, expected.replace("'", "").replace(" or ", ", ").split(", "))
        if isinstance(given, str)
        else ""
    )


def _not_text(given: object, written: str | None) -> str:
    """Unquoted text that YAML reads as something else: 1.40 becomes 1.4, so it must stand in quotes."""
    if written is not None and isinstance(given, bool | int | float):
        return f'must be text: write "{written}" in quotes (unquoted, YAML reads {shown(given)})'
    return f"must be text, not {shown(given)}"


def shown(value: Plain | object) -> str:
    """A value as a message shows it."""
    match value:
        case None:
            return "nothing"
        case bool():
            return "true" if value else "false"
        case int() | float():
            return f"the number {value}"
        case str():
            return f'"{value}"' if len(value) <= 60 else f'"{value[:57]}…"'
        case list():
            return "a list"
        case dict():
            return "a mapping"
        case _:
            return repr(value)
