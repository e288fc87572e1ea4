"""JSON schemas of models, pydantic's and msgspec's, under one roof."""

from typing import Any, Literal

import msgspec
from pydantic import TypeAdapter
from pydantic.json_schema import GenerateJsonSchema
from pydantic_core import core_schema

from hewston_bff.web.endpoint import Model

JsonObject = dict[str, Any]
Side = Literal["validation", "serialization"]
"""What a model takes, or what it gives: there a member with a default is always present."""

_REF = "#/components/schemas/"


_SchemaField = core_schema.ModelField | core_schema.DataclassField | core_schema.TypedDictField


class _PlainSchema(GenerateJsonSchema):
    """Members without titles, which would say their names again; what is given is all there."""

    def field_title_should_be_set(self, schema: object) -> bool:  # noqa: ARG002 - the base's
        return False

    def field_is_required(self, field: _SchemaField, total: bool) -> bool:  # noqa: FBT001 - the base's
        return self.mode == "serialization" or super().field_is_required(field, total)


class Schemas:
    """The named schemas of one document; each model is in it once."""

    def __init__(self) -> None:
        self.components: dict[str, JsonObject] = {}

    def ref(self, model: Model, *, side: Side = "serialization") -> JsonObject:
        """A reference to the model's schema, which is in `components` from now on.

        Raises:
            ValueError: another model has this name already.
        """
        for name, schema in _schemas(model, side=side).items():
            if self.components.setdefault(name, schema) != schema:
                msg = f"two models are called {name}: rename one"
                raise ValueError(msg)
        return {"$ref": _REF + model.__name__}

    def members(self, model: Model, *, side: Side) -> tuple[dict[str, JsonObject], set[str]]:
        """The schemas of the model's members by name, and which of them are required.

        The model itself is no component, what its members refer to is.
        """
        schemas = _schemas(model, side=side)
        own = schemas.pop(model.__name__)
        self.components |= schemas
        return own["properties"], set(own.get("required", ()))


def _schemas(model: Model, *, side: Side) -> dict[str, JsonObject]:
    """The model's schema and all that it refers to, by name."""
    if issubclass(model, msgspec.Struct):
        return msgspec.json.schema_components((model,), ref_template=_REF + "{name}")[1]
    schema = TypeAdapter(model).json_schema(
        mode=side, ref_template=_REF + "{model}", schema_generator=_PlainSchema
    )
    return {**schema.pop("$defs", {}), model.__name__: schema}
