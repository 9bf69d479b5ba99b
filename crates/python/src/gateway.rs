//! The server side of the data plane.

use std::net::{SocketAddr, ToSocketAddrs as _};
use std::path::PathBuf;
use std::time::Duration;

use gateway::{
    Authority, Code, DenialEntry, EnrolmentAnswer, EnrolmentRequest, GatewayOptions, Operation, Outcome,
    OwnCertificate, Path, Request,
};
use net::{FileError, LinkOptions, Server, StartError};
use pyo3::exceptions::{PyOSError, PyValueError};
use pyo3::prelude::*;
use pyo3::types::{PyBytes, PyDict};

use crate::batch::Batch;
use crate::entries::{DeviceEntry, RegistrationState, RestoredRegistration};
use crate::objects::{ObjectDefinitions, given};
use crate::span;

/// Longest wait of one call: a caller that wants to close must be able to.
const WAIT_MAX: Duration = Duration::from_secs(60);
/// Longest boot id: it stands in every event.
const BOOT_CHARS_MAX: usize = 16;

/// A device that was refused, and why.
type Refusal = (String, String);
/// Ticket, device, what it wants, the content format of the answer, PKCS #10.
type EnrolmentOut<'py> = (u64, String, &'static str, u16, Bound<'py, PyBytes>);
/// Id, device, operation, path, JSON body, seconds until it is not worth sending any more, whether it may wait.
type RequestIn = (u64, String, String, String, Option<Vec<u8>>, f64, bool);

/// A data plane that runs: its sockets and its thread.
#[pyclass(frozen)]
pub struct Gateway {
    server: Server,
}

#[pymethods]
impl Gateway {
    #[new]
    #[pyo3(signature = (listen, *, boot, node=0, partitions=1, linger_ms=2.0, heartbeat_s=None, awake_every_s=5.0, enclosure_option=None, enrolment=false, uncommitted_bytes_max=67_108_864, open_enrolment=None, enrolment_grace_s=None, acknowledge_at_once=false, is_bootstrap_server=false, objects=None, start=None, link=None))]
    #[expect(clippy::too_many_arguments, reason = "keyword arguments of a constructor")]
    fn new(
        py: Python<'_>,
        listen: Vec<String>,
        boot: String,
        node: u16,
        partitions: u32,
        linger_ms: f64,
        heartbeat_s: Option<f64>,
        awake_every_s: f64,
        enclosure_option: Option<u16>,
        enrolment: bool,
        uncommitted_bytes_max: usize,
        open_enrolment: Option<String>,
        enrolment_grace_s: Option<f64>,
        acknowledge_at_once: bool,
        is_bootstrap_server: bool,
        objects: Option<&ObjectDefinitions>,
        start: Option<u32>,
        link: Option<(String, [u8; 32])>,
    ) -> PyResult<Self> {
        let is_word = boot.bytes().all(|byte| byte.is_ascii_alphanumeric());
        if boot.is_empty() || boot.len() > BOOT_CHARS_MAX || !is_word {
            return Err(PyValueError::new_err(format!("boot: 1 to {BOOT_CHARS_MAX} letters and digits")));
        }
        let options = GatewayOptions {
            boot,
            node,
            partitions,
            linger: span("linger_ms", linger_ms / 1_000.0)?,
            heartbeat: heartbeat_s.map(|seconds| span("heartbeat_s", seconds)).transpose()?,
            awake_every: span("awake_every_s", awake_every_s)?,
            enclosure_option,
            enrolment,
            uncommitted_bytes_max,
            open_enrolment,
            enrolment_grace: enrolment_grace_s.map(|seconds| span("enrolment_grace_s", seconds)).transpose()?,
            acknowledge_at_once,
            start,
            is_bootstrap_server,
            ..GatewayOptions::default()
        };
        let definitions = given(objects);
        let link = link.map(|(address, key)| link_options(&address, key)).transpose()?;
        let server = py.detach(|| Server::start(&listen, link.as_ref(), options, definitions)).map_err(not_started)?;
        Ok(Self { server })
    }

    fn addresses(&self) -> Vec<String> {
        self.server.addresses().iter().map(ToString::to_string).collect()
    }

    fn link_address(&self) -> Option<String> {
        self.server.link_address().map(|address| address.to_string())
    }

    /// The interpreter is free while names are looked up.
    fn set_nodes(&self, py: Python<'_>, taken_over: Vec<u16>, others: Vec<(u16, String)>, known: Vec<u16>) -> Vec<u16> {
        py.detach(|| {
            let (mut reachable, mut unreachable) = (Vec::with_capacity(others.len()), Vec::new());
            for (node, address) in others {
                match resolve(&address) {
                    Some(address) => reachable.push((node, address)),
                    None => unreachable.push(node),
                }
            }
            self.server.set_nodes(taken_over, reachable, known);
            unreachable
        })
    }

    fn count_start(&self, start: u32) {
        self.server.count_start(start);
    }

    fn move_away(&self, py: Python<'_>, devices: Vec<String>) {
        py.detach(|| self.server.move_away(devices));
    }

    fn put_devices(&self, py: Python<'_>, entries: Vec<DeviceEntry>) -> Vec<Refusal> {
        let entries = entries.into_iter().map(|entry| entry.entry).collect();
        py.detach(|| self.server.put_devices(entries)).into_iter().map(refusal).collect()
    }

    fn put_denials(&self, py: Python<'_>, entries: Vec<(String, Vec<String>, Vec<String>)>) -> Vec<Refusal> {
        let entry = |(device, paths, claims)| DenialEntry { device, paths, claims };
        let entries = entries.into_iter().map(entry).collect();
        py.detach(|| self.server.put_denials(entries)).into_iter().map(refusal).collect()
    }

    #[pyo3(signature = (chain, key))]
    fn set_certificate(&self, py: Python<'_>, chain: Vec<Vec<u8>>, key: Vec<u8>) -> PyResult<()> {
        let own = OwnCertificate { chain, key: key.into() };
        py.detach(|| self.server.set_certificate(Some(own))).map_err(|error| PyValueError::new_err(error.to_string()))
    }

    fn put_authorities(&self, py: Python<'_>, authorities: Vec<(String, Vec<u8>, String)>) -> Vec<(usize, String)> {
        let authorities =
            authorities.into_iter().map(|(owner, der, context)| Authority { owner, der, context }).collect();
        let refused = py.detach(|| self.server.put_authorities(authorities));
        refused.into_iter().map(|(place, error)| (place, error.to_string())).collect()
    }

    fn put_revoked(&self, certificates: Vec<[u8; 32]>) {
        self.server.put_revoked(certificates);
    }

    fn remove_devices(&self, devices: Vec<String>) {
        self.server.remove_devices(devices);
    }

    fn restore(&self, py: Python<'_>, registrations: Vec<RestoredRegistration>) -> Vec<Refusal> {
        let registrations = registrations.into_iter().map(|restored| restored.registration).collect();
        py.detach(|| self.server.restore(registrations)).into_iter().map(refusal).collect()
    }

    fn restore_checkpoints(&self, py: Python<'_>, checkpoints: Vec<(String, Vec<u8>)>) -> Vec<Refusal> {
        let checkpoints = checkpoints.into_iter().map(|(device, bytes)| (device, bytes.into())).collect();
        let refused = py.detach(|| self.server.restore_checkpoints(checkpoints));
        refused.into_iter().map(|(device, error)| (device, error.to_string())).collect()
    }

    fn open(&self) {
        self.server.open();
    }

    fn checkpointed(&self, number: u64, is_safe: bool) {
        self.server.checkpointed(number, is_safe);
    }

    fn put_file(
        &self,
        py: Python<'_>,
        path: &str,
        file: PathBuf,
        etag: Vec<u8>,
        devices: Vec<String>,
    ) -> PyResult<u64> {
        py.detach(|| self.server.put_file(path, &file, etag, devices)).map_err(|error| match error {
            FileError::Unreadable(error) => {
                PyOSError::new_err((error.raw_os_error(), error.to_string(), file.display().to_string()))
            }
            FileError::Refused(error) => PyValueError::new_err(format!("{path:.80}: {error}")),
            _ => PyValueError::new_err(format!("{path:.80}: refused")),
        })
    }

    fn remove_file(&self, path: &str) {
        self.server.remove_file(path);
    }

    fn submit(&self, requests: Vec<RequestIn>) {
        let mut understood = Vec::with_capacity(requests.len());
        let mut refused = Vec::new();
        for request in requests {
            let id = request.0;
            match request_of(request) {
                Ok(request) => understood.push(request),
                Err(detail) => refused.push(refused_answer(id, detail)),
            }
        }
        self.server.refuse(refused);
        self.server.submit(understood);
    }

    fn cancel(&self, number: u64) {
        self.server.cancel(number);
    }

    fn enrolments<'py>(&self, py: Python<'py>) -> Vec<EnrolmentOut<'py>> {
        let out = |asked: EnrolmentRequest| {
            let body = PyBytes::new(py, &asked.body);
            (asked.ticket, asked.device, asked.operation.name(), asked.format, body)
        };
        self.server.enrolments().into_iter().map(out).collect()
    }

    #[pyo3(signature = (ticket, body, *, refusal=None))]
    fn answer_enrolment(&self, ticket: u64, body: Vec<u8>, refusal: Option<(u8, u8)>) -> PyResult<()> {
        let refusal = match refusal {
            Some((class @ 4..=5, detail @ 0..=31)) => Some(Code::of(class, detail)),
            Some((class, detail)) => {
                return Err(PyValueError::new_err(format!("refusal: {class}.{detail:02} is no refusal")));
            }
            None => None,
        };
        self.server.answer_enrolment(EnrolmentAnswer { ticket, refusal, body });
        Ok(())
    }

    /// The interpreter is free meanwhile.
    fn next_batch(&self, py: Python<'_>, max_events: usize, timeout_s: f64) -> PyResult<Option<Batch>> {
        let timeout = span("timeout_s", timeout_s)?.min(WAIT_MAX);
        Ok(py.detach(|| self.server.next_batch(max_events, timeout)).map(Batch::from))
    }

    fn committed(&self, seq: u64) {
        self.server.committed(seq);
    }

    fn refused(&self, seq: u64) {
        self.server.refused(seq);
    }

    #[pyo3(signature = (after="", limit=1000))]
    fn registrations(&self, py: Python<'_>, after: &str, limit: usize) -> Vec<RegistrationState> {
        py.detach(|| self.server.registrations(after, limit)).into_iter().map(RegistrationState::from).collect()
    }

    fn stats<'py>(&self, py: Python<'py>) -> PyResult<Bound<'py, PyDict>> {
        let counted = PyDict::new(py);
        for (name, count) in py.detach(|| self.server.stats()) {
            counted.set_item(name, count)?;
        }
        Ok(counted)
    }

    fn close(&self, py: Python<'_>) {
        py.detach(|| self.server.close());
    }

    fn wait_closed(&self, py: Python<'_>, timeout_s: f64) -> PyResult<bool> {
        let timeout = span("timeout_s", timeout_s)?.min(WAIT_MAX);
        Ok(py.detach(|| self.server.wait_closed(timeout)))
    }
}

fn refusal((device, error): (String, gateway::EntryError)) -> Refusal {
    (device, error.to_string())
}

fn link_options(address: &str, key: [u8; 32]) -> PyResult<LinkOptions> {
    let listen =
        resolve(address).ok_or_else(|| PyValueError::new_err(format!("{address:.80}: not of the form HOST:PORT")))?;
    Ok(LinkOptions { listen, key: key.into() })
}

/// The first address of a host; a name is looked up now.
fn resolve(address: &str) -> Option<SocketAddr> {
    address.to_socket_addrs().ok()?.next()
}

fn not_started(error: StartError) -> PyErr {
    match (&error, error.system_number()) {
        (StartError::Address(_) | StartError::Listeners { .. }, _) => PyValueError::new_err(error.to_string()),
        (_, Some(number)) => PyOSError::new_err((number, error.to_string())),
        _ => PyOSError::new_err(error.to_string()),
    }
}

fn request_of((id, device, operation, path, body, expires_in_s, wait_for_wake): RequestIn) -> Result<Request, String> {
    let operation = Operation::from_name(&operation).ok_or_else(|| format!("no operation {operation:.40}"))?;
    let path = Path::parse(&path).map_err(|error| format!("{path:.40}: {error}"))?;
    let body = match body {
        Some(body) => Some(serde_json::from_slice(&body).map_err(|error| format!("body: {error}"))?),
        None => None,
    };
    let expires_in = Duration::try_from_secs_f64(expires_in_s).map_err(|error| format!("expires_in_s: {error}"))?;
    Ok(Request { id, device, operation, path, body, expires_in, wait_for_wake })
}

fn refused_answer(id: u64, detail: String) -> gateway::Answer {
    gateway::Answer { id, outcome: Outcome::Refused, code: None, body: None, detail: Some(detail), trip: None }
}
