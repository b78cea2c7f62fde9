//! The OpenAPI document, made of the table of operations and of the types that are read and written. `make schema`
//! makes it and keeps it in `docs/openapi.json`, for the makers of schemas have no place in the program; a test holds the two
//! against each other.

use std::sync::LazyLock;

use schemars::generate::SchemaSettings;
use schemars::{JsonSchema, Schema, SchemaGenerator};
use serde_json::{Map, Value, json};

use crate::containers::{ContainerFaultDoc, NewContainerFault};
use crate::history::HistoryDoc;

use super::operations::{Body, COMMON_REFUSALS, Content, OPERATIONS, Operation};
use super::orders::{FaultOrder, LeaseOrder, NewFault, NewProxy, ProxyPatch, RuleSetOrder};
use super::problem::ProblemDoc;
use super::types::{ConnectionDoc, FaultDoc, LeaseDoc, ProxyDoc, RuleSetDoc, VersionDoc};

/// The document as it is served: JSON.
pub static OPENAPI: LazyLock<String> = LazyLock::new(|| {
    murphy_core::unpacked(include_bytes!(concat!(env!("OUT_DIR"), "/openapi.json.deflate")))
});

/// The document (OpenAPI 3.1), made anew of the types.
pub fn document() -> Value {
    let settings = SchemaSettings::draft2020_12().with(|settings| {
        settings.definitions_path = "/components/schemas".into();
        settings.meta_schema = None;
    });
    let mut generator = settings.into_generator();
    let mut paths: Map<String, Value> = Map::new();
    for operation in OPERATIONS {
        let described = describe(operation, &mut generator);
        let path = paths.entry(operation.path).or_insert_with(|| json!({}));
        path[operation.method.to_lowercase()] = described;
    }
    let schemas = generator.take_definitions(true);
    json!({
        "openapi": "3.1.0",
        "info": {
            "title": "Murphy",
            "version": env!("CARGO_PKG_VERSION"),
            "description": "Proxies that are broken and mended while they carry traffic.",
            "license": { "name": "MIT OR Apache-2.0" },
        },
        "paths": paths,
        "components": {
            "schemas": schemas,
            "securitySchemes": { "token": { "type": "http", "scheme": "bearer" } },
        },
        "security": [{}, { "token": [] }],
    })
}

fn schema(body: Body, generator: &mut SchemaGenerator) -> Schema {
    fn of<T: JsonSchema>(generator: &mut SchemaGenerator) -> Schema {
        generator.subschema_for::<T>()
    }
    match body {
        Body::OpenApi => schemars::json_schema!({ "type": "object" }),
        Body::Version => of::<VersionDoc>(generator),
        Body::NewProxy => of::<NewProxy>(generator),
        Body::ProxyPatch => of::<ProxyPatch>(generator),
        Body::Proxy => of::<ProxyDoc>(generator),
        Body::Proxies => of::<Vec<ProxyDoc>>(generator),
        Body::NewFault => of::<NewFault>(generator),
        Body::FaultOrder => of::<FaultOrder>(generator),
        Body::Fault => of::<FaultDoc>(generator),
        Body::Faults => of::<Vec<FaultDoc>>(generator),
        Body::Connections => of::<Vec<ConnectionDoc>>(generator),
        Body::RuleSetOrder => of::<RuleSetOrder>(generator),
        Body::RuleSet => of::<RuleSetDoc>(generator),
        Body::LeaseOrder => of::<LeaseOrder>(generator),
        Body::Lease => of::<LeaseDoc>(generator),
        Body::Leases => of::<Vec<LeaseDoc>>(generator),
        Body::NewContainerFault => of::<NewContainerFault>(generator),
        Body::ContainerFault => of::<ContainerFaultDoc>(generator),
        Body::ContainerFaults => of::<Vec<ContainerFaultDoc>>(generator),
        Body::History => of::<HistoryDoc>(generator),
        Body::Problem => of::<ProblemDoc>(generator),
    }
}

fn describe(operation: &Operation, generator: &mut SchemaGenerator) -> Value {
    let mut answers: Map<String, Value> = Map::new();
    for status in operation.statuses {
        let mut answer = json!({ "description": "It went well." });
        match operation.content {
            Content::Empty => {}
            Content::Json(body) => {
                answer["content"] = json!({ "application/json": { "schema": schema(body, generator) } });
            }
            Content::Stream => {
                answer["content"] = json!({ "text/event-stream": { "schema": { "type": "string" } } });
            }
        }
        answers.insert(status.to_string(), answer);
    }
    for status in COMMON_REFUSALS.iter().chain(operation.refusals) {
        let content = json!({ "application/json": { "schema": schema(Body::Problem, generator) } });
        answers.insert(status.to_string(), json!({ "description": "Refused.", "content": content }));
    }
    let parameters: Vec<Value> = operation
        .path
        .split('/')
        .filter_map(|part| part.strip_prefix('{')?.strip_suffix('}'))
        .map(|name| {
            let schema = json!({ "type": "string", "minLength": 1 });
            json!({ "name": name, "in": "path", "required": true, "schema": schema })
        })
        .chain(operation.path.ends_with("/connections").then(|| {
            let schema = json!({ "type": "integer", "minimum": 0 });
            json!({ "name": "after", "in": "query", "required": false, "schema": schema })
        }))
        .collect();
    let mut described = json!({
        "operationId": operation.id,
        "summary": operation.about,
        "parameters": parameters,
        "responses": answers,
    });
    if let Some(body) = operation.body {
        let content = json!({ "application/json": { "schema": schema(body, generator) } });
        described["requestBody"] = json!({ "required": true, "content": content });
    }
    described
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_document_that_is_served_is_that_of_the_types() {
        let served: Value = serde_json::from_str(&OPENAPI).unwrap();
        assert_eq!(served, document(), "`make schema` writes it anew");
    }

    #[test]
    fn every_operation_and_every_reference_is_in_the_document() {
        let document = document();
        for operation in OPERATIONS {
            let described = &document["paths"][operation.path][operation.method.to_lowercase()];
            assert_eq!(described["operationId"], operation.id, "{}", operation.path);
        }
        let text = document.to_string();
        for reference in text.split("\"$ref\":\"").skip(1) {
            let reference = reference.split('"').next().unwrap();
            let name =
                reference.strip_prefix("#/components/schemas/").unwrap_or_else(|| panic!("{reference}"));
            assert!(document["components"]["schemas"].get(name).is_some(), "{reference}");
        }
        for fault in ["latency", "bandwidth", "connection-limit", "slow-open", "corrupt", "loss"] {
            assert!(text.contains(&format!("\"{fault}\"")), "{fault}");
        }
    }
}
