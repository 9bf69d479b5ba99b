//! What the core gathered, for Python: bytes, never an object for each reading.

use gateway::Page;
use pyo3::exceptions::PyOSError;
use pyo3::prelude::*;
use pyo3::types::{PyBytes, PyList};

/// Everything that waited.
#[pyclass(frozen)]
pub struct Batch {
    batch: net::Batch,
}

impl From<net::Batch> for Batch {
    fn from(batch: net::Batch) -> Self {
        Self { batch }
    }
}

/// What became of a request.
#[pyclass(frozen, get_all)]
pub struct Answer {
    id: u64,
    outcome: &'static str,
    code: Option<String>,
    body: Option<Py<PyBytes>>,
    detail: Option<String>,
    trip_s: Option<f64>,
}

/// What is kept of a device for the next start, with the node number of its session.
type CheckpointOut<'py> = (String, u16, Bound<'py, PyBytes>);

/// Partition, count and the lines.
type PageOut<'py> = (u32, usize, Bound<'py, PyBytes>);

#[pymethods]
impl Batch {
    /// The number of the batch.
    #[getter]
    fn seq(&self) -> u64 {
        self.batch.seq
    }

    /// How many events are in it.
    #[getter]
    fn count(&self) -> usize {
        self.batch.pages.iter().map(|page| page.ends.len()).sum()
    }

    fn pages<'py>(&self, py: Python<'py>) -> Vec<PageOut<'py>> {
        let page_out = |page: &Page| (page.partition, page.ends.len(), PyBytes::new(py, &page.body));
        self.batch.pages.iter().map(page_out).collect()
    }

    /// The same, each body one zstd frame; the interpreter is free meanwhile.
    fn pages_zstd<'py>(&self, py: Python<'py>, level: i32) -> PyResult<Vec<PageOut<'py>>> {
        let pages = &self.batch.pages;
        let frames: std::io::Result<Vec<Vec<u8>>> = py.detach(|| {
            let mut compressor = zstd::bulk::Compressor::new(level)?;
            pages.iter().map(|page| compressor.compress(&page.body)).collect()
        });
        let frames = frames.map_err(|error| PyOSError::new_err(error.to_string()))?;
        let page_out = |(page, frame): (&Page, Vec<u8>)| (page.partition, page.ends.len(), PyBytes::new(py, &frame));
        Ok(pages.iter().zip(frames).map(page_out).collect())
    }

    /// Partition, key and line of every event: for a broker that wants them one by one.
    fn messages<'py>(&self, py: Python<'py>) -> PyResult<Bound<'py, PyList>> {
        let messages = PyList::empty(py);
        for page in &self.batch.pages {
            for (key, line) in page.lines() {
                let line = line.strip_suffix(b"\n").unwrap_or(line);
                messages.append((page.partition, PyBytes::new(py, key.as_bytes()), PyBytes::new(py, line)))?;
            }
        }
        Ok(messages)
    }

    /// What became of requests.
    fn answers(&self, py: Python<'_>) -> Vec<Answer> {
        let answer_out = |answer: &gateway::Answer| Answer {
            id: answer.id,
            outcome: answer.outcome.name(),
            code: answer.code.map(|code| code.to_string()),
            body: answer.body.as_ref().map(|body| PyBytes::new(py, body).unbind()),
            detail: answer.detail.clone(),
            trip_s: answer.trip.map(|trip| trip.as_secs_f64()),
        };
        self.batch.answers.iter().map(answer_out).collect()
    }

    /// Number, what is to be kept by device, and whose is to be forgotten.
    fn checkpoints<'py>(&self, py: Python<'py>) -> Option<(u64, Vec<CheckpointOut<'py>>, Vec<String>)> {
        let batch = self.batch.checkpoints.as_ref()?;
        let kept = batch.kept.iter().map(|(device, node, bytes)| (device.to_string(), *node, PyBytes::new(py, bytes)));
        Some((batch.number, kept.collect(), batch.gone.iter().map(ToString::to_string).collect()))
    }

    fn __repr__(&self) -> String {
        format!("Batch(seq={}, count={}, answers={})", self.batch.seq, self.count(), self.batch.answers.len())
    }
}

#[pymethods]
impl Answer {
    fn __repr__(&self) -> String {
        format!("Answer({}, {:?}, {:?})", self.id, self.outcome, self.code)
    }
}
