//! openapi.json by itself: whether a person or a generator that has only this file can work with it. Whether the server keeps to it is
//! for the harness, which holds every answer against it.

use std::collections::BTreeSet;

use serde_json::{Value, json};

use crate::harness::contract::{document, validator};

/// Every operation with its name.
fn operations() -> impl Iterator<Item = (&'static str, &'static Value)> {
    let paths = document()["paths"].as_object().unwrap();
    let items = paths.values().flat_map(|item| item.as_object().unwrap().values());
    items.map(|operation| (operation["operationId"].as_str().expect("every operation has a name"), operation))
}

fn schemas() -> impl Iterator<Item = (&'static String, &'static Value)> {
    document()["components"]["schemas"].as_object().unwrap().iter()
}

/// What the schema finds wrong with an example.
fn faults(place: &str, schema: &Value, example: &Value) -> Vec<String> {
    let validator = validator(schema);
    validator.iter_errors(example).map(|error| format!("{place}{}: {error}", error.instance_path())).collect()
}

#[track_caller]
fn none(wrong: Vec<String>) {
    assert!(wrong.is_empty(), "{}", wrong.join("\n"));
}

#[test]
fn every_operation_has_an_example_of_its_request_and_its_answer() {
    let mut wrong = Vec::new();
    let mut judge = |place: String, content: &Value| {
        let text = &content["text/plain"];
        let content = if text.is_object() { text } else { &content["application/json"] };
        if content["example"].is_null() {
            wrong.push(format!("{place} has no example"));
        } else {
            wrong.extend(faults(&place, &content["schema"], &content["example"]));
        }
    };
    for (name, operation) in operations() {
        if operation["requestBody"].is_object() {
            judge(format!("{name}, request"), &operation["requestBody"]["content"]);
        }
        for (status, answer) in operation["responses"].as_object().unwrap() {
            if status.starts_with('2') && answer["content"].is_object() {
                judge(format!("{name}, {status}"), &answer["content"]);
            }
        }
    }
    for (name, schema) in schemas() {
        for example in schema["examples"].as_array().into_iter().flatten() {
            wrong.extend(faults(name, &json!({"$ref": format!("#/components/schemas/{name}")}), example));
        }
    }
    none(wrong);
}

#[test]
fn every_schema_and_every_field_is_described() {
    let described = |schema: &Value| schema["description"].as_str().is_some_and(|text| text.ends_with(['.', ')']));
    let mut wrong = Vec::new();
    for (name, schema) in schemas() {
        if !described(schema) {
            wrong.push(name.clone());
        }
        for (field, about) in schema["properties"].as_object().into_iter().flatten() {
            // A field that is nothing but a named schema is described there.
            let is_named = about.as_object().is_some_and(|about| about.len() == 1 && about.contains_key("$ref"));
            if !is_named && !described(about) {
                wrong.push(format!("{name}.{field}"));
            }
        }
    }
    for (name, operation) in operations() {
        for parameter in operation["parameters"].as_array().into_iter().flatten() {
            if parameter["$ref"].is_null() && !described(parameter) {
                wrong.push(format!("{name}?{}", parameter["name"]));
            }
        }
    }
    none(wrong);
}

/// Calls `judge` with every schema in the file, and its place.
fn each_schema(node: &'static Value, place: &str, judge: &mut impl FnMut(&str, &'static Value)) {
    match node {
        Value::Object(map) => {
            judge(place, node);
            for (key, value) in map.iter().filter(|(key, _)| !["example", "examples", "enum"].contains(&key.as_str())) {
                each_schema(value, &format!("{place}/{key}"), judge);
            }
        }
        Value::Array(list) => {
            for (index, value) in list.iter().enumerate() {
                each_schema(value, &format!("{place}/{index}"), judge);
            }
        }
        _ => {}
    }
}

fn is_type(schema: &Value, wanted: &str) -> bool {
    schema["type"] == wanted || schema["type"].as_array().is_some_and(|types| types.contains(&wanted.into()))
}

#[test]
fn whole_numbers_say_their_size_and_what_they_can_be() {
    let mut wrong = Vec::new();
    each_schema(document(), "", &mut |place, schema| {
        let is_bounded =
            schema["minimum"].is_number() && ["int32", "int64"].map(Value::from).contains(&schema["format"]);
        if is_type(schema, "integer") && !is_bounded {
            wrong.push(place.to_owned());
        }
        if schema["format"] == "int64" && !schema["maximum"].is_number() {
            wrong.push(format!("{place}: no maximum"));
        }
    });
    none(wrong);
}

/// Generators make a class of each of these, and name it after its place: `JailStatusType1Item`.
#[test]
fn enumerations_and_objects_have_names() {
    let mut wrong = Vec::new();
    each_schema(document(), "", &mut |place, schema| {
        let depth = place.strip_prefix("/components/schemas/").map(|rest| rest.matches('/').count());
        let wants_a_name = schema["enum"].is_array() || schema["properties"].is_object();
        if wants_a_name && is_type(schema, "null") {
            wrong.push(format!("{place}: write anyOf of the named schema and null"));
        } else if wants_a_name && depth != Some(0) {
            wrong.push(place.to_owned());
        }
    });
    none(wrong);
}

#[test]
fn operations_have_a_summary_a_known_tag_and_the_headers_they_answer_with() {
    let tags: BTreeSet<&str> =
        document()["tags"].as_array().unwrap().iter().map(|tag| tag["name"].as_str().unwrap()).collect();
    let mut wrong = Vec::new();
    let mut names = BTreeSet::new();
    for (name, operation) in operations() {
        let summary = operation["summary"].as_str().unwrap_or_default();
        if summary.is_empty() || summary.contains('\n') || summary.ends_with('.') {
            wrong.push(format!("{name}: summary {summary:?}"));
        }
        if operation["tags"].as_array().is_none_or(|own| own.len() != 1 || !tags.contains(own[0].as_str().unwrap())) {
            wrong.push(format!("{name}: tags {}", operation["tags"]));
        }
        if !names.insert(name) {
            wrong.push(format!("{name} stands twice"));
        }
        for (status, answer) in operation["responses"].as_object().unwrap() {
            let wanted: &[&str] = match status.as_str() {
                "429" => &["X-Request-ID", "Retry-After"],
                "502" | "503" if name != "get_health" => &["X-Request-ID", "Retry-After"],
                _ => &["X-Request-ID"],
            };
            wrong.extend(
                wanted
                    .iter()
                    .filter(|header| answer["headers"][**header].is_null())
                    .map(|header| format!("{name} {status}: no {header}")),
            );
        }
    }
    none(wrong);
}
