//! Object definitions for Python.

use lwm2m::object_xml::read_objects;
use lwm2m::{Definitions, Kind, ObjectDefinition, ResourceDefinition};
use pyo3::exceptions::PyValueError;
use pyo3::prelude::*;
use pyo3::types::PyBytes;
use serde_json::{Value, json};

/// Every object that is known, in all its versions.
#[pyclass(frozen)]
pub struct ObjectDefinitions {
    definitions: Definitions,
}

#[pymethods]
impl ObjectDefinitions {
    /// Those of this build.
    #[new]
    fn new() -> Self {
        Self { definitions: Definitions::embedded().clone() }
    }

    /// These and those of an OMA XML file.
    fn with_xml(&self, text: &str) -> PyResult<Self> {
        let objects = read_objects(text).map_err(|error| PyValueError::new_err(error.to_string()))?;
        Ok(Self { definitions: self.definitions.with(objects) })
    }

    fn to_json<'py>(&self, py: Python<'py>) -> Bound<'py, PyBytes> {
        let objects: Vec<Value> = self.definitions.iter().map(object_json).collect();
        PyBytes::new(py, Value::Array(objects).to_string().as_bytes())
    }

    fn __repr__(&self) -> String {
        format!("ObjectDefinitions({} versions)", self.definitions.iter().count())
    }
}

/// What Python gave, or else those of this build.
pub(crate) fn given(objects: Option<&ObjectDefinitions>) -> &Definitions {
    match objects {
        Some(objects) => &objects.definitions,
        None => Definitions::embedded(),
    }
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
