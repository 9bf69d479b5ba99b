//! Devices and registrations, as Python gives them and gets them.

use std::sync::Arc;

use gateway::Security;
use pyo3::prelude::*;

use crate::credential::DeviceCredential;
use crate::span;

/// A device that may register, and what we want of it.
#[pyclass(frozen, from_py_object)]
#[derive(Clone)]
pub struct DeviceEntry {
    pub(crate) entry: gateway::DeviceEntry,
}

#[pymethods]
impl DeviceEntry {
    #[new]
    #[pyo3(signature = (device, endpoint, credentials, *, is_waiting=false, context="", observe=Vec::new(), unobserved=Vec::new(), read=Vec::new(), awake_window_s=93.0, grace_s=None, ack_timeout_s=2.0, random_factor=1.5, max_retransmit=4))]
    #[expect(clippy::too_many_arguments, reason = "keyword arguments of a constructor")]
    fn new(
        device: String,
        endpoint: String,
        credentials: Option<Vec<DeviceCredential>>,
        is_waiting: bool,
        context: &str,
        observe: Vec<(String, String)>,
        unobserved: Vec<String>,
        read: Vec<String>,
        awake_window_s: f64,
        grace_s: Option<f64>,
        ack_timeout_s: f64,
        random_factor: f32,
        max_retransmit: u8,
    ) -> PyResult<Self> {
        let credentials = credentials.map(|given| given.into_iter().map(|given| Arc::new(given.credential)).collect());
        let security = credentials.map_or(Security::None, Security::Proven);
        let entry = gateway::DeviceEntry {
            device,
            endpoint,
            security,
            is_waiting,
            context: context.to_owned(),
            observe,
            unobserved,
            read,
            awake_window: span("awake_window_s", awake_window_s)?,
            grace: grace_s.map(|seconds| span("grace_s", seconds)).transpose()?,
            ack_timeout: span("ack_timeout_s", ack_timeout_s)?,
            random_factor,
            max_retransmit,
        };
        Ok(Self { entry })
    }

    /// The name of the device.
    #[getter]
    fn device(&self) -> &str {
        &self.entry.device
    }

    fn __repr__(&self) -> String {
        format!("DeviceEntry({:?}, {:?}, {:?})", self.entry.device, self.entry.endpoint, self.entry.security)
    }
}

/// A registration from before a restart.
#[pyclass(frozen, from_py_object)]
#[derive(Clone)]
pub struct RestoredRegistration {
    pub(crate) registration: gateway::RestoredRegistration,
}

#[pymethods]
impl RestoredRegistration {
    #[new]
    #[pyo3(signature = (device, registration, *, lifetime_s, version, binding, queue_mode, objects))]
    fn new(
        device: String,
        registration: String,
        lifetime_s: u32,
        version: String,
        binding: String,
        queue_mode: bool,
        objects: Vec<(String, Option<String>)>,
    ) -> Self {
        Self {
            registration: gateway::RestoredRegistration {
                device,
                registration,
                lifetime_s,
                version,
                binding,
                queue_mode,
                objects,
            },
        }
    }

    fn __repr__(&self) -> String {
        format!("RestoredRegistration({:?}, {:?})", self.registration.device, self.registration.registration)
    }
}

/// A registration as it is now.
#[pyclass(frozen, get_all)]
pub struct RegistrationState {
    device: String,
    endpoint: String,
    registration: String,
    lifetime_s: u32,
    is_awake: bool,
    address: Option<String>,
    objects: Vec<(String, Option<String>)>,
}

impl From<gateway::RegistrationState> for RegistrationState {
    fn from(state: gateway::RegistrationState) -> Self {
        Self {
            device: state.device.to_string(),
            endpoint: state.endpoint.to_string(),
            registration: state.registration,
            lifetime_s: state.lifetime_s,
            is_awake: state.is_awake,
            address: state.address,
            objects: state.objects,
        }
    }
}
