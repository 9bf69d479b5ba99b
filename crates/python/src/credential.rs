//! What devices prove themselves with, as Python gives it.

use gateway::{Credential, Digest, Proof};
use pyo3::exceptions::PyValueError;
use pyo3::prelude::*;

/// One of the things that a device may prove itself with.
#[pyclass(frozen, from_py_object)]
#[derive(Clone)]
pub struct DeviceCredential {
    pub(crate) credential: Credential,
}

#[pymethods]
impl DeviceCredential {
    #[staticmethod]
    fn psk(credential: String, identity: Vec<u8>, key: Vec<u8>) -> Self {
        Self { credential: Credential { id: credential, proof: Proof::Psk { identity, key: key.into() } } }
    }

    #[staticmethod]
    fn named(credential: String, owner: String) -> Self {
        Self { credential: Credential { id: credential, proof: Proof::Named { owner } } }
    }

    #[staticmethod]
    fn pinned(credential: String, owner: String, fingerprint: Vec<u8>) -> PyResult<Self> {
        let fingerprint = digest("fingerprint", &fingerprint)?;
        Ok(Self { credential: Credential { id: credential, proof: Proof::Pinned { owner, fingerprint } } })
    }

    #[staticmethod]
    fn subject(credential: String, owner: String, issuer: Vec<u8>, subject: Vec<u8>) -> PyResult<Self> {
        let (issuer, subject) = (digest("issuer", &issuer)?, digest("subject", &subject)?);
        Ok(Self { credential: Credential { id: credential, proof: Proof::Subject { owner, issuer, subject } } })
    }

    /// Our name for it.
    #[getter]
    fn id(&self) -> &str {
        &self.credential.id
    }

    fn __repr__(&self) -> String {
        format!("DeviceCredential({:?})", self.credential)
    }
}

fn digest(what: &str, bytes: &[u8]) -> PyResult<Digest> {
    let expected = size_of::<Digest>();
    bytes.try_into().map_err(|_| PyValueError::new_err(format!("{what}: {} bytes instead of {expected}", bytes.len())))
}
