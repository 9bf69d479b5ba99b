//! Devices: `DeviceHost` and what goes in and comes out of it.

use std::time::Duration;

use device::{
    Asked, Begun, Code, Config, Credential, Event, Guard, Operations, OwnCertificate, Path, Readings, Record, Request,
    Version,
};
use net::Uri;
use net::devices::{Devices, Order};
use pyo3::exceptions::{PyOSError, PyValueError};
use pyo3::prelude::*;
use pyo3::types::PyBytes;

use crate::objects::{ObjectDefinitions, given};
use crate::span;

/// Longest wait of one call: a caller that wants to close must be able to.
const WAIT_MAX: Duration = Duration::from_secs(60);

/// Longest reason of a refusal: what fits into any datagram beside its options.
const REASON_CHARS_MAX: usize = 200;

/// Longest alternate root: it stands before every path of every message.
const ROOT_BYTES_MAX: usize = 64;

/// Who a device is and how it speaks.
#[pyclass(frozen, from_py_object)]
#[derive(Clone)]
pub struct DeviceConfig {
    config: Config,
}

#[pymethods]
impl DeviceConfig {
    #[new]
    #[pyo3(signature = (*, endpoint, server, version="1.1", root="/", identity=None, key=None, certificate=None, authorities=Vec::new(), server_name=None, lifetime_s=86400, queue_mode=false, awake_window_s=93.0, queries=Vec::new(), enclosure=None, enclosure_option=None, bootstraps=false))]
    #[expect(clippy::too_many_arguments, reason = "keyword arguments of a constructor")]
    fn new(
        endpoint: String,
        server: &str,
        version: &str,
        root: &str,
        identity: Option<Vec<u8>>,
        key: Option<Vec<u8>>,
        certificate: Option<Vec<Vec<u8>>>,
        authorities: Vec<Vec<u8>>,
        server_name: Option<String>,
        lifetime_s: u32,
        queue_mode: bool,
        awake_window_s: f64,
        queries: Vec<(String, String)>,
        enclosure: Option<String>,
        enclosure_option: Option<u16>,
        bootstraps: bool,
    ) -> PyResult<Self> {
        let Uri { is_secure, is_tcp, address } =
            Uri::parse(server).map_err(|error| PyValueError::new_err(error.to_string()))?;
        let credential = match (identity, certificate, key) {
            (Some(identity), None, Some(key)) => Some(Credential::Psk { identity, key: key.into() }),
            (None, Some(chain), Some(key)) => Some(Credential::X509 {
                own: OwnCertificate { chain, key: key.into() },
                authorities,
                server_name: server_name.or_else(|| Some(address.ip().to_string())),
            }),
            _ => None,
        };
        if is_secure != credential.is_some() && !bootstraps {
            return Err(PyValueError::new_err(
                "coaps:// and coaps+tcp:// need a key, with an identity or a certificate; coap:// and coap+tcp:// take none",
            ));
        }
        let version = match version {
            "1.0" => Version::V1_0,
            "1.1" => Version::V1_1,
            "1.2" => Version::V1_2,
            _ => return Err(PyValueError::new_err(format!("LwM2M {version:.10} is not 1.0, 1.1 or 1.2"))),
        };
        if !is_root(root) {
            let is_like = "is not like / or /lwm2m, of at most 64 characters";
            return Err(PyValueError::new_err(format!("the root {root:.40} {is_like}")));
        }
        let awake_window = span("awake_window_s", awake_window_s)?;
        Ok(Self {
            config: Config {
                endpoint,
                server: address,
                over_tcp: is_tcp,
                bootstraps,
                version,
                root: root.to_owned(),
                credential,
                lifetime_s,
                queue_mode,
                awake_window,
                queries,
                enclosure,
                enclosure_option,
                seed: 0,
            },
        })
    }
}

/// Something that happened to a device.
#[pyclass(frozen, get_all)]
pub struct DeviceOccurrence {
    handle: u64,
    kind: &'static str,
    number: Option<u64>,
    path: Option<String>,
    value: Option<Py<PyBytes>>,
    code: Option<String>,
    detail: Option<String>,
    data: Option<Py<PyBytes>>,
    etag: Option<Py<PyBytes>>,
    retry_after_s: Option<u32>,
    bytes: Option<u64>,
    size: Option<u64>,
}

/// A thread with any number of LwM2M clients in it.
#[pyclass(frozen)]
pub struct DeviceHost {
    devices: Devices,
}

#[pymethods]
impl DeviceHost {
    #[new]
    fn new(seed: u64) -> PyResult<Self> {
        let devices = Devices::start(seed).map_err(|error| PyOSError::new_err(error.to_string()))?;
        Ok(Self { devices })
    }

    #[pyo3(signature = (config, objects=None))]
    fn add(&self, config: &DeviceConfig, objects: Option<&ObjectDefinitions>) -> PyResult<u64> {
        let added = self.devices.add(config.config.clone(), given(objects));
        added.map_err(|error| PyOSError::new_err(error.to_string()))
    }

    fn start(&self, handle: u64) {
        self.devices.order(handle, Order::PowerOn);
    }

    fn remove(&self, handle: u64) {
        self.devices.order(handle, Order::Leave);
    }

    #[pyo3(signature = (handle, path, value, objects=None))]
    fn set(&self, handle: u64, path: &str, value: &[u8], objects: Option<&ObjectDefinitions>) -> PyResult<()> {
        let (path, value) = device::parse_value(given(objects), path, value).map_err(PyValueError::new_err)?;
        self.devices.order(handle, Order::Set(path, value));
        Ok(())
    }

    #[staticmethod]
    #[pyo3(signature = (path, value, objects=None))]
    fn check(path: &str, value: &[u8], objects: Option<&ObjectDefinitions>) -> PyResult<()> {
        device::parse_value(given(objects), path, value).map(|_| ()).map_err(PyValueError::new_err)
    }

    fn unset(&self, handle: u64, path: &str) -> PyResult<()> {
        self.devices.order(handle, Order::Remove(path_of(path)?));
        Ok(())
    }

    fn declare(&self, handle: u64, object_id: u16) {
        self.devices.order(handle, Order::Declare(object_id));
    }

    fn attributes(&self, handle: u64, path: &str, queries: Vec<String>) -> PyResult<()> {
        self.devices.order(handle, Order::Attributes(path_of(path)?, queries));
        Ok(())
    }

    fn guard(&self, handle: u64, path: &str, operations: &str) -> PyResult<()> {
        let operations = Operations::parse(operations)
            .ok_or_else(|| PyValueError::new_err(format!("operations are R, W and E, not {operations:.10}")))?;
        self.devices.order(handle, Order::Guard(Guard { path: path_of(path)?, operations }));
        Ok(())
    }

    #[pyo3(signature = (handle, number, code=None, reason=""))]
    fn decide(&self, handle: u64, number: u64, code: Option<&str>, reason: &str) -> PyResult<()> {
        let verdict = match code {
            Some(text) => Err((code_of(text)?, reason.chars().take(REASON_CHARS_MAX).collect())),
            None => Ok(()),
        };
        self.devices.order(handle, Order::Decide(number, verdict));
        Ok(())
    }

    fn send(&self, handle: u64, number: u64, paths: Vec<String>) -> PyResult<()> {
        let paths: Result<Vec<Path>, _> = paths.iter().map(|path| path_of(path)).collect();
        self.devices.order(handle, Order::Send(number, Readings::Now(paths?)));
        Ok(())
    }

    #[pyo3(signature = (handle, number, records, objects=None))]
    fn report(
        &self,
        handle: u64,
        number: u64,
        records: Vec<(String, Vec<u8>, f64)>,
        objects: Option<&ObjectDefinitions>,
    ) -> PyResult<()> {
        let definitions = given(objects);
        let record = |(path, json, time): &(String, Vec<u8>, f64)| {
            let (path, value) = device::parse_value(definitions, path, json).map_err(PyValueError::new_err)?;
            Ok(Record { path, value, time: Some(*time) })
        };
        let records: PyResult<Vec<Record>> = records.iter().map(record).collect();
        self.devices.order(handle, Order::Send(number, Readings::Recorded(records?)));
        Ok(())
    }

    #[pyo3(signature = (handle, number, uri, begun=None))]
    fn fetch(&self, handle: u64, number: u64, uri: String, begun: Option<(Vec<u8>, Vec<u8>)>) {
        let begun = begun.map(|(data, etag)| Begun { data, etag: Some(etag) });
        self.devices.order(handle, Order::Fetch(number, uri, begun));
    }

    #[pyo3(signature = (handle, number, path, payload, *, content_format, accept))]
    fn post(&self, handle: u64, number: u64, path: String, payload: Vec<u8>, content_format: u16, accept: u16) {
        let (content_format, accept) = (Some(content_format), Some(accept));
        let request = Request { payload, content_format, accept, ..Request::new(Code::POST, path) };
        self.devices.order(handle, Order::Request(number, Box::new(request)));
    }

    /// From now on the device proves itself as this says; nothing else of it counts.
    fn prove(&self, handle: u64, number: u64, config: &DeviceConfig) -> PyResult<()> {
        let credential = config.config.credential.clone();
        let credential = credential.ok_or_else(|| PyValueError::new_err("there is nothing to prove itself with"))?;
        self.devices.order(handle, Order::Prove(number, credential));
        Ok(())
    }

    fn claim(&self, handle: u64, enclosure: Option<String>) {
        self.devices.order(handle, Order::Claim(enclosure));
    }

    fn command(&self, handle: u64, number: u64, word: &str) -> PyResult<()> {
        let order = match word {
            "update" => Order::Update(number),
            "deregister" => Order::Deregister(number),
            "lose_power" => Order::LosePower,
            "power_on" => Order::PowerOn,
            "rebind" => Order::Rebind,
            "sleep" => Order::Sleep,
            _ => return Err(PyValueError::new_err(format!("no command {word:.40}"))),
        };
        self.devices.order(handle, order);
        Ok(())
    }

    /// What happened; the interpreter is free meanwhile.
    fn next_occurrences(&self, py: Python<'_>, count_max: usize, timeout_s: f64) -> Vec<DeviceOccurrence> {
        let timeout = Duration::try_from_secs_f64(timeout_s).unwrap_or_default().min(WAIT_MAX);
        let events = py.detach(|| self.devices.next_events(count_max, timeout));
        events.into_iter().map(|(handle, event)| occurrence(py, handle, event)).collect()
    }

    fn close(&self, py: Python<'_>) {
        py.detach(|| self.devices.close());
    }
}

fn path_of(text: &str) -> PyResult<Path> {
    Path::parse(text).map_err(|error| PyValueError::new_err(format!("{text:.40}: {error}")))
}

/// A code that refuses: 4.00 to 5.31.
fn code_of(text: &str) -> PyResult<Code> {
    let parts = text.split_once('.').and_then(|(class, detail)| Some((class.parse().ok()?, detail.parse().ok()?)));
    match parts {
        Some((class @ 4..=5, detail @ 0..=31)) => Ok(Code::of(class, detail)),
        _ => Err(PyValueError::new_err(format!("{text:.10} is no code that refuses, such as 4.00"))),
    }
}

fn occurrence(py: Python<'_>, handle: u64, event: Event) -> DeviceOccurrence {
    let mut told = DeviceOccurrence {
        handle,
        kind: "done",
        number: None,
        path: None,
        value: None,
        code: None,
        detail: None,
        data: None,
        etag: None,
        retry_after_s: None,
        bytes: None,
        size: None,
    };
    let json = |json: &[u8]| Some(PyBytes::new(py, json).unbind());
    match event {
        Event::Registered => told.kind = "registered",
        Event::Unregistered => told.kind = "unregistered",
        Event::Refused { code, detail } => {
            (told.kind, told.code, told.detail) = ("refused", code.map(|code| code.to_string()), Some(detail));
        }
        Event::Written { path, value } => {
            (told.kind, told.path, told.value) = ("written", Some(path.to_string()), json(&value));
        }
        Event::AccountsChanged { values } => (told.kind, told.value) = ("accounts", json(&values)),
        Event::Created { path, values } => {
            (told.kind, told.path, told.value) = ("created", Some(path.to_string()), json(&values));
        }
        Event::Removed { path } => (told.kind, told.path) = ("removed", Some(path.to_string())),
        Event::Wanted { path } => (told.kind, told.path) = ("wanted", Some(path.to_string())),
        Event::Awake => told.kind = "awake",
        Event::Asleep => told.kind = "asleep",
        Event::AttributesSet { path, queries } => {
            (told.kind, told.path, told.detail) = ("attributes", Some(path.to_string()), Some(queries.join("&")));
        }
        Event::Asked { number, asked, path, values } => {
            (told.kind, told.number, told.path) = ("asked", Some(number), Some(path.to_string()));
            (told.detail, told.value) = (Some(word_of(asked).to_owned()), json(&values));
        }
        Event::Executed { path, arguments } => {
            (told.kind, told.path, told.value) = ("executed", Some(path.to_string()), json(&arguments));
        }
        Event::Progress { number, bytes, size } => {
            (told.kind, told.number, told.bytes, told.size) = ("progress", Some(number), Some(bytes), size);
        }
        Event::Receiving { path, bytes } => {
            (told.kind, told.path, told.bytes) = ("receiving", Some(path.to_string()), Some(bytes));
        }
        Event::Done { number, code, detail, retry_after_s, data, etag } => {
            told.retry_after_s = retry_after_s;
            (told.number, told.code) = (Some(number), code.map(|code| code.to_string()));
            (told.detail, told.data) = (Some(detail), json(&data));
            told.etag = etag.and_then(|etag| json(&etag));
        }
        // A newer core may know more kinds; an owner that does not ask for them misses nothing.
        _ => told.kind = "other",
    }
    told
}

fn word_of(asked: Asked) -> &'static str {
    match asked {
        Asked::Read => "read",
        Asked::Write => "write",
        Asked::Create => "create",
        Asked::Delete => "delete",
        Asked::Execute => "execute",
    }
}

/// Whether paths may stand below it: what can stand in a link and in every message (RFC 6690 §2, RFC 7252 §5.10.1).
fn is_root(root: &str) -> bool {
    let is_segment = |text: &str| {
        !text.is_empty()
            && text.bytes().all(|byte| byte.is_ascii_alphanumeric() || matches!(byte, b'-' | b'.' | b'_' | b'~'))
    };
    root.len() <= ROOT_BYTES_MAX
        && (root == "/" || root.strip_prefix('/').is_some_and(|rest| rest.split('/').all(is_segment)))
}
