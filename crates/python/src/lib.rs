//! The face of the Rust core towards Python: converts, decides nothing. What it offers is described in
//! `src/shoal/_core/_native.pyi`.

mod batch;
mod credential;
mod device;
mod entries;
mod gateway;
mod objects;
mod page;

use pyo3::prelude::*;

#[pymodule]
mod _native {
    #[pymodule_export]
    use crate::batch::{Answer, Batch};
    #[pymodule_export]
    use crate::credential::DeviceCredential;
    #[pymodule_export]
    use crate::device::{DeviceConfig, DeviceHost, DeviceOccurrence};
    #[pymodule_export]
    use crate::entries::{DeviceEntry, RegistrationState, RestoredRegistration};
    #[pymodule_export]
    use crate::gateway::Gateway;
    #[pymodule_export]
    use crate::objects::ObjectDefinitions;
    #[pymodule_export]
    use crate::page::decompress;
}

/// A span of time as Python says it.
fn span(name: &str, seconds: f64) -> PyResult<std::time::Duration> {
    std::time::Duration::try_from_secs_f64(seconds)
        .map_err(|_| pyo3::exceptions::PyValueError::new_err(format!("{name}: {seconds} is not a span of time")))
}
