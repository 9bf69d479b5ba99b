//! Pages as they come back from a log, for Python.

use pyo3::exceptions::PyValueError;
use pyo3::prelude::*;
use pyo3::types::PyBytes;

/// Largest body that is restored. The core seals a page at 1 MiB; a frame that promises much more was not packed by us.
const BODY_BYTES_MAX: usize = 16 << 20;

/// The body of a page that `Batch.pages_zstd` packed; the interpreter is free meanwhile.
#[pyfunction]
pub fn decompress<'py>(py: Python<'py>, body: &[u8]) -> PyResult<Bound<'py, PyBytes>> {
    let restored = py.detach(|| restore(body)).map_err(PyValueError::new_err)?;
    Ok(PyBytes::new(py, &restored))
}

fn restore(frame: &[u8]) -> Result<Vec<u8>, String> {
    // Our frames say how much is in them, so that no more memory is taken than needed.
    let size = match zstd::zstd_safe::get_frame_content_size(frame) {
        Ok(Some(size)) => usize::try_from(size).unwrap_or(usize::MAX),
        Ok(None) => BODY_BYTES_MAX,
        Err(_) => return Err("not a zstd frame".to_owned()),
    };
    if size > BODY_BYTES_MAX {
        return Err(format!("{size} bytes are more than a page can have"));
    }
    zstd::bulk::decompress(frame, size).map_err(|error| error.to_string())
}
