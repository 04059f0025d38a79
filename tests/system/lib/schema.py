"""Checks JSON against an OpenAPI 3.1 document, as far as ours uses JSON Schema. Whatever keyword
the checker does not know makes it fail, so that nothing goes unchecked."""
import datetime

TYPES = {
    "object": lambda v: isinstance(v, dict),
    "array": lambda v: isinstance(v, list),
    "string": lambda v: isinstance(v, str),
    "integer": lambda v: isinstance(v, int) and not isinstance(v, bool),
    "number": lambda v: isinstance(v, (int, float)) and not isinstance(v, bool),
    "boolean": lambda v: isinstance(v, bool),
    "null": lambda v: v is None,
}
KNOWN = {"$ref", "type", "properties", "required", "additionalProperties", "items", "enum", "const",
         "oneOf", "format", "minimum", "maximum", "default", "description"}


def resolve(document, reference):
    node = document
    for part in reference.removeprefix("#/").split("/"):
        node = node[part.replace("~1", "/")]
    return node


def problems(value, schema, document, where="$"):
    """What is wrong with `value`, a sentence each."""
    unknown = set(schema) - KNOWN
    if unknown:
        return [f"{where}: the checker does not know {sorted(unknown)}"]
    if "$ref" in schema:
        return problems(value, resolve(document, schema["$ref"]), document, where)
    if "oneOf" in schema:
        tried = [problems(value, one, document, where) for one in schema["oneOf"]]
        fitting = sum(not found for found in tried)
        return [] if fitting == 1 else [f"{where}: fits {fitting} of oneOf: {tried}"]
    found = []
    if "const" in schema and value != schema["const"]:
        found.append(f"{where}: {value!r} is not {schema['const']!r}")
    if "enum" in schema and value not in schema["enum"]:
        found.append(f"{where}: {value!r} is none of {schema['enum']}")
    types = schema.get("type", [])
    types = [types] if isinstance(types, str) else types
    if types and not any(TYPES[one](value) for one in types):
        return [f"{where}: {value!r} is no {' or '.join(types)}"]
    if isinstance(value, (int, float)) and value < schema.get("minimum", value):
        found.append(f"{where}: {value} is below {schema['minimum']}")
    if isinstance(value, (int, float)) and value > schema.get("maximum", value):
        found.append(f"{where}: {value} is above {schema['maximum']}")
    if schema.get("format") == "date-time" and isinstance(value, str):
        try:
            datetime.datetime.fromisoformat(value.replace("Z", "+00:00"))
        except ValueError:
            found.append(f"{where}: {value!r} is no date-time")
    if isinstance(value, dict):
        found += object_problems(value, schema, document, where)
    if isinstance(value, list):
        for index, item in enumerate(value):
            found += problems(item, schema.get("items", {}), document, f"{where}[{index}]")
    return found


def object_problems(value, schema, document, where):
    found = [f"{where}: {name} is missing" for name in schema.get("required", []) if name not in value]
    properties = schema.get("properties", {})
    for name, item in value.items():
        if name in properties:
            found += problems(item, properties[name], document, f"{where}.{name}")
        elif schema.get("additionalProperties", True) is False:
            found.append(f"{where}: {name} is not in the document")
    return found


def operation(document, method, path):
    """The operation that answers this path (without its query), and its template."""
    parts = path.split("/")
    for template, operations in document["paths"].items():
        pattern = template.split("/")
        if len(pattern) == len(parts) and method.lower() in operations and all(
                p == q or (p.startswith("{") and q) for p, q in zip(pattern, parts)):
            return template, operations[method.lower()]
    raise AssertionError(f"{method} {path} is not in the document")


def check_answer(document, method, path, status, content_type, body):
    """Asserts that the answer is one that the document announces. Returns the template."""
    template, described = operation(document, method, path.split("?")[0])
    answers = described["responses"]
    answer = answers.get(str(status), answers.get("default") if status >= 400 else None)
    assert answer is not None, f"{method} {path}: {status} is not announced"
    kind = content_type.split(";")[0]
    assert kind in answer["content"], f"{method} {path}: {kind} is not announced for {status}"
    if kind.endswith("json"):
        found = problems(body, answer["content"][kind]["schema"], document)
        assert not found, f"{method} {path}:\n" + "\n".join(found[:20])
    return template
