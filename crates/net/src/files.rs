//! The bytes of the files that devices may fetch.

use std::collections::HashMap;
use std::fs::File;
use std::io;
use std::os::unix::fs::FileExt;
use std::path::Path;
use std::sync::{Arc, Mutex};

use gateway::Pieces;

use crate::lock;

/// Files by the path under which devices ask for them. Each stays open from the moment it is put, so that what is served
/// is what was announced, whatever happens to its name; a request reads an open file and never a name.
#[derive(Clone, Default)]
pub(crate) struct OpenFiles {
    files: Arc<Mutex<HashMap<String, Arc<File>>>>,
}

impl OpenFiles {
    /// Opens a file; its length is the answer.
    pub(crate) fn open(file: &Path) -> io::Result<(File, u64)> {
        let opened = File::open(file)?;
        let metadata = opened.metadata()?;
        if !metadata.is_file() {
            return Err(io::Error::new(io::ErrorKind::InvalidInput, "not a regular file"));
        }
        Ok((opened, metadata.len()))
    }

    pub(crate) fn put(&self, path: &str, file: File) {
        lock(&self.files).insert(path.to_owned(), Arc::new(file));
    }

    pub(crate) fn remove(&self, path: &str) {
        lock(&self.files).remove(path);
    }
}

impl gateway::Files for OpenFiles {
    fn read(&mut self, path: &str, offset: u64, buffer: &mut [u8]) -> bool {
        lock(&self.files).get(path).is_some_and(|file| file.read_exact_at(buffer, offset).is_ok())
    }

    fn pieces(&self, path: &str) -> Option<Arc<dyn Pieces>> {
        let file = Arc::clone(lock(&self.files).get(path)?);
        Some(Arc::new(OpenFile(file)))
    }
}

/// One of them, for as long as somebody is being sent it.
struct OpenFile(Arc<File>);

impl Pieces for OpenFile {
    fn read(&self, offset: u64, buffer: &mut [u8]) -> bool {
        self.0.read_exact_at(buffer, offset).is_ok()
    }
}
