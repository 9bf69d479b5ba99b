//! Files for devices: firmware and models, in blocks, without any state per download (RFC 7959 §2.4).

use std::collections::{HashMap, HashSet};
use std::sync::Arc;
use std::time::Instant;

use ahash::RandomState;
use coap::blockwise::{Block, SZX_MAX, etag, serve_over};
use coap::{Capacity, Code, Message, Pieces, Source, content_format, option};

use crate::devices::DeviceIndex;
use crate::error::EntryError;
use crate::gateway::{Gateway, device_event};
use crate::limits::{DOWNLOAD_EVERY, FILE_BYTES_PER_TURN_MAX, FILES_MAX};
use crate::reply::{Reply, Response};
use crate::timers::Now;
use crate::uplink::Origin;

/// Where the bytes of a file come from; reading is not our business.
pub trait Files: Send {
    /// Fills `buffer` from `offset` on. False when that cannot be done: the device then gets 5.00.
    fn read(&mut self, path: &str, offset: u64, buffer: &mut [u8]) -> bool;

    /// The file by itself, for as long as somebody is being sent it.
    fn pieces(&self, path: &str) -> Option<Arc<dyn Pieces>>;
}

/// Where a device finds files, and what a request to push one names it by.
pub(crate) const ROOT: &str = "/fw/";

/// A file a device may fetch.
#[derive(Debug, Clone)]
pub struct FileEntry {
    /// Below `/fw/`, such as a token that only the device was told.
    pub path: String,
    /// Changes with the content.
    pub etag: Vec<u8>,
    /// Length of the file.
    pub size: u64,
    /// Which devices may fetch it.
    pub devices: Vec<String>,
}

/// One block of a file as it is answered.
pub(crate) struct FileBlock {
    pub(crate) etag: Vec<u8>,
    /// Of what is no file; a file is what it is.
    pub(crate) format: Option<u16>,
    /// None when it is the whole file, over a connection that takes it in one piece.
    pub(crate) block: Option<Block>,
    pub(crate) size: u64,
    pub(crate) bytes: Vec<u8>,
}

impl FileBlock {
    /// The block that a peer asks for of a body we hold, or its first; None beyond the end.
    pub(crate) fn of(body: &[u8], format: u16, capacity: Option<Capacity>, asked: Option<Block>) -> Option<Self> {
        let size = body.len() as u64;
        let cut = serve_over(capacity, size, asked)?;
        let bytes = body.get(cut.range.start as usize..cut.range.end as usize)?.to_vec();
        Some(Self { etag: etag(body).to_vec(), format: Some(format), block: cut.block, size, bytes })
    }
}

/// Code, reason and detail of a file that is not served.
type NotServed = (Code, &'static str, &'static str);

struct Shelved {
    etag: Vec<u8>,
    size: u64,
    devices: HashSet<Arc<str>, RandomState>,
    /// When a device's progress was last told, for those that are downloading.
    told: HashMap<Arc<str>, Instant, RandomState>,
}

/// All files there are to fetch.
pub(crate) struct Shelf {
    files: HashMap<String, Shelved, RandomState>,
    reader: Box<dyn Files>,
    hasher: RandomState,
}

impl Shelf {
    pub(crate) fn new(reader: Box<dyn Files>, hasher: RandomState) -> Self {
        Self { files: HashMap::with_hasher(hasher.clone()), reader, hasher }
    }
}

impl Gateway {
    /// Lets devices fetch a file, or changes who may.
    pub fn put_file(&mut self, entry: &FileEntry) -> Result<(), EntryError> {
        if !(1..=8).contains(&entry.etag.len()) {
            return Err(EntryError::EtagLength { bytes: entry.etag.len() });
        }
        let shelf = &mut self.shelf;
        if shelf.files.len() >= FILES_MAX && !shelf.files.contains_key(&entry.path) {
            return Err(EntryError::TooMany { entries_max: FILES_MAX });
        }
        let mut devices = HashSet::with_hasher(shelf.hasher.clone());
        devices.extend(entry.devices.iter().map(|device| Arc::from(device.as_str())));
        let told = HashMap::with_hasher(shelf.hasher.clone());
        let shelved = Shelved { etag: entry.etag.clone(), size: entry.size, devices, told };
        shelf.files.insert(entry.path.clone(), shelved);
        Ok(())
    }

    /// Nobody may fetch the file any more.
    pub fn remove_file(&mut self, path: &str) {
        self.shelf.files.remove(path);
    }

    /// `GET /fw/<path>`
    pub(crate) fn serve_file(&mut self, now: Now, origin: &Origin, message: &Message<'_>) -> Reply {
        if self.outbox.written_bytes() > FILE_BYTES_PER_TURN_MAX {
            return self.refuse_busy();
        }
        match self.file_block(origin, message) {
            Ok((path, block, carried)) => {
                self.stats.file_blocks += 1;
                if let Some(index) = origin.device {
                    self.note_carried(now, index, &path, carried, false);
                }
                Reply::Now(Response { file: Some(Box::new(block)), ..Code::CONTENT.into() })
            }
            Err((code, reason, detail)) => self.refuse(now, origin.device, "download", code, reason, detail),
        }
    }

    /// Which file a request is about, the block of it, and the bytes up to there; or code, reason and detail of a
    /// refusal.
    fn file_block(&mut self, origin: &Origin, message: &Message<'_>) -> Result<(String, FileBlock, u64), NotServed> {
        // Whoever may not fetch a file is not told that it exists.
        let unknown = (Code::NOT_FOUND, "file_unknown", "no such file");
        let path = file_path(message).ok_or(unknown)?;
        let device = origin.device.and_then(|index| self.directory.get(index)).ok_or(unknown)?;
        let shelf = &mut self.shelf;
        let file = shelf.files.get(&path).filter(|file| file.devices.contains(&device.id)).ok_or(unknown)?;
        // RFC 7252 §5.10.4: whoever wants it in another form cannot have it.
        if message.accept().is_some_and(|format| format != content_format::OCTET_STREAM) {
            return Err((Code::NOT_ACCEPTABLE, "content_format", "a file is an octet stream (42)"));
        }
        // A file that changed in the middle of a download has another ETag, which the device sees in every block.
        let beyond = (Code::BAD_REQUEST, "block_invalid", "beyond the end");
        let capacity = origin.peer.and_then(|key| self.peers.get(key)?.capacity());
        let cut = serve_over(capacity, file.size, message.block2()).ok_or(beyond)?;
        let mut bytes = vec![0; (cut.range.end - cut.range.start) as usize];
        if !shelf.reader.read(&path, cut.range.start, &mut bytes) {
            return Err((Code::INTERNAL_SERVER_ERROR, "file_unreadable", "the file cannot be read"));
        }
        let only = Block { num: 0, more: false, szx: SZX_MAX };
        let block = cut.block.or_else(|| capacity.is_none().then_some(only));
        let block = FileBlock { etag: file.etag.clone(), format: None, block, size: file.size, bytes };
        Ok((path, block, cut.range.end))
    }

    /// A file as the body of a write, from the byte on where an earlier one broke off. None: not for this device.
    pub(crate) fn source(&self, index: DeviceIndex, path: &str, from: u64) -> Option<Source> {
        let device = self.directory.get(index)?;
        let file = self.shelf.files.get(path).filter(|file| file.devices.contains(&device.id))?;
        Some(Source { pieces: self.shelf.reader.pieces(path)?, bytes: file.size, from })
    }

    /// Tells how much of a file a device has: now and then, and in the end; at once when that matters.
    pub(crate) fn note_carried(&mut self, now: Now, index: DeviceIndex, path: &str, bytes: u64, is_at_once: bool) {
        let Some(device) = self.directory.get(index) else { return };
        let Some(file) = self.shelf.files.get_mut(path) else { return };
        let is_over = is_at_once || bytes == file.size;
        if !is_over && file.told.get(&device.id).is_some_and(|told| *told + DOWNLOAD_EVERY > now.monotonic) {
            return;
        }
        if is_over {
            file.told.remove(&device.id);
        } else {
            file.told.insert(Arc::clone(&device.id), now.monotonic);
        }
        let mut event = device_event(&mut self.pages, now, device, "download");
        event.text("path", &format!("{ROOT}{path}"));
        event.number("bytes", bytes);
        event.number("size", file.size);
        event.finish();
    }
}

fn file_path(message: &Message<'_>) -> Option<String> {
    let mut path = String::new();
    for segment in message.values(option::URI_PATH).skip(1) {
        if !path.is_empty() {
            path.push('/');
        }
        path.push_str(std::str::from_utf8(segment).ok()?);
    }
    (!path.is_empty()).then_some(path)
}
