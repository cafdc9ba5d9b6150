"""The fields of a written file as data, for the reference. Says nothing of values; reads no file."""

from __future__ import annotations

import types
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Annotated, Any, Literal, Union, get_args, get_origin

from pydantic import BaseModel
from pydantic.fields import FieldInfo


@dataclass(frozen=True, slots=True)
class FieldDoc:
    """One field. `path` marks what may stand many times by `[]`; `default` is empty for what has none."""

    path: str
    kind: str
    required: bool
    default: str
    description: str
    not_built: tuple[tuple[str, str], ...] = ()
    """Fields below this one that are refused by name, with what there is instead."""


def field_docs(model: type[BaseModel], prefix: str = "") -> Iterator[FieldDoc]:
    """Every field of a written file in the order in which it is written."""
    for name, info in model.model_fields.items():
        inner, many = _model_in(info.annotation)
        path = f"{prefix}{info.alias or name}" + ("[]" if many else "")
        required = info.is_required()
        yield FieldDoc(
            path=path,
            kind=_kind(info.annotation),
            required=required,
            default="" if required or inner else _default(info),
            description=info.description or "",
            not_built=tuple(getattr(inner, "not_built", {}).items()),
        )
        if inner:
            yield from field_docs(inner, f"{path}.")


def _model_in(annotation: Any) -> tuple[type[BaseModel] | None, bool]:
    """The model inside an annotation, and whether many of them may stand there."""
    if isinstance(annotation, type) and issubclass(annotation, BaseModel):
        return annotation, False
    for inner in get_args(annotation):
        found, many = _model_in(inner)
        if found:
            return found, many or get_origin(annotation) is list
    return None, False


def _kind(annotation: Any) -> str:
    """What may stand there, in words."""
    arguments = get_args(annotation)
    if isinstance(annotation, type) and issubclass(annotation, BaseModel):
        return "mapping"
    match get_origin(annotation):
        case origin if origin is Annotated:
            return _kind(arguments[0])
        case origin if origin is Literal:
            return " or ".join(f"`{one}`" for one in arguments)
        case origin if origin is list:
            return f"list of {_kind(arguments[0])}"
        case origin if origin is dict:
            return f"mapping to {_kind(arguments[1])}"
        case origin if origin in (Union, types.UnionType):
            return " or ".join(_kind(one) for one in arguments if one is not type(None))
    words = {str: "text", int: "whole number", float: "number", bool: "true or false"}
    return words.get(annotation, "text")


def _default(info: FieldInfo) -> str:
    value = info.get_default(call_default_factory=True)
    if isinstance(value, bool):
        return "true" if value else "false"
    return "" if value is None or value in ([], {}) else str(value)
