//! Object definitions for Python.

use lwm2m::{Definitions, Kind, ObjectDefinition, ResourceDefinition};
use pyo3::prelude::*;
use pyo3::types::PyBytes;
use serde_json::{Value, json};

/// The newest version of every object that this build knows, as one JSON array.
#[pyfunction]
pub fn object_definitions(py: Python<'_>) -> Bound<'_, PyBytes> {
    let objects: Vec<Value> = Definitions::embedded().iter().map(object_json).collect();
    PyBytes::new(py, Value::Array(objects).to_string().as_bytes())
}

fn object_json(object: &ObjectDefinition) -> Value {
    json!({
        "id": object.id,
        "name": object.name,
        "version": object.version_text(),
        "multiple": object.multiple,
        "mandatory": object.mandatory,
        "resources": object.resources.iter().map(resource_json).collect::<Vec<_>>(),
    })
}

fn resource_json(resource: &ResourceDefinition) -> Value {
    json!({
        "id": resource.id,
        "name": resource.name,
        "operations": resource.operations.to_string(),
        "type": resource.kind.map(Kind::name),
        "units": resource.units,
        "range": resource.range,
        "multiple": resource.multiple,
        "mandatory": resource.mandatory,
    })
}
