"""JSON Schemas of the models, by name, under the `components` of a document."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

from pydantic import TypeAdapter
from pydantic.json_schema import GenerateJsonSchema, JsonSchemaMode, JsonSchemaValue
from pydantic_core import core_schema

Schema = dict[str, Any]
REF = "#/components/schemas/{model}"


class Plain(GenerateJsonSchema):
    """Without the titles that only repeat a field's name."""

    def field_title_should_be_set(self, schema: Any) -> bool:
        return False


class WithoutMapping(Plain):
    """For AsyncAPI, whose `discriminator` is another thing than that of OpenAPI: the constants say it all."""

    def tagged_union_schema(self, schema: core_schema.TaggedUnionSchema) -> JsonSchemaValue:
        union = super().tagged_union_schema(schema)
        union.pop("discriminator", None)
        return union


class Schemas:
    """The schemas of all these types; `of` refers to one, `components` defines what is referred to."""

    def __init__(self, types: Iterable[Any], generator: type[GenerateJsonSchema] = Plain) -> None:
        known: list[Any] = []
        for each in types:
            if not any(each is one for one in known):
                known.append(each)
        adapters: list[tuple[int, JsonSchemaMode, TypeAdapter[Any]]] = [
            (index, "validation", TypeAdapter(each)) for index, each in enumerate(known)
        ]
        schemas, definitions = TypeAdapter.json_schemas(adapters, ref_template=REF, schema_generator=generator)
        self._known = known
        self._schemas = schemas
        self.components: dict[str, Schema] = dict(sorted(definitions.get("$defs", {}).items()))

    def of(self, wanted: Any) -> Schema:
        index = next(number for number, each in enumerate(self._known) if each is wanted)
        return dict(self._schemas[(index, "validation")])

    def resolved(self, schema: Schema) -> Schema:
        """The schema itself where it is only a reference."""
        reference = schema.get("$ref")
        return self.components[reference.rpartition("/")[2]] if reference else schema


def summary_of(model: Any) -> str:
    """The first line of what a model says of itself."""
    lines = (getattr(model, "__doc__", None) or "").strip().splitlines()
    return lines[0] if lines else ""
