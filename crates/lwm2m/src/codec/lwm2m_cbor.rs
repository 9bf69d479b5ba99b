//! LwM2M CBOR (OMA LwM2M Core 1.2 §7.4): maps within maps, from the root down. A key is one id, or an array of several.

use super::cbor::{ARRAY, MAP, Reader, UNSIGNED, malformed, write_head, write_null, write_tagged};
use super::{Entry, Record, check_count, check_paths};
use crate::error::{DecodeError, EncodeError, Fault};
use crate::path::{ID_RESERVED, Path};

/// Reads a payload as records, all below `base`.
pub(super) fn read(base: &Path, payload: &[u8]) -> Result<Vec<Record>, DecodeError> {
    let mut records = Vec::new();
    read_map(payload, |reader, path| {
        let offset = reader.at;
        let scalar = reader.scalar()?;
        if path.depth() < 3 {
            return Err(malformed(offset, Fault::NestingWrong));
        }
        if !base.contains(&path) {
            return Err(DecodeError::OutsideBase { path });
        }
        check_count(records.len())?;
        records.push(Record::new(path, scalar.into_value(&path)?));
        Ok(())
    })?;
    check_paths(&records)?;
    Ok(records)
}

/// Reads the paths of a composite: every value is null.
pub(super) fn read_paths(payload: &[u8]) -> Result<Vec<Path>, DecodeError> {
    let mut paths = Vec::new();
    read_map(payload, |reader, path| {
        if !reader.take_null() {
            return Err(malformed(reader.at, Fault::TypeUnexpected));
        }
        check_count(paths.len())?;
        paths.push(path);
        Ok(())
    })?;
    Ok(paths)
}

fn read_map<'a>(
    payload: &'a [u8],
    mut each: impl FnMut(&mut Reader<'a>, Path) -> Result<(), DecodeError>,
) -> Result<(), DecodeError> {
    let mut reader = Reader::new(payload);
    below(&mut reader, &Path::ROOT, &mut each)?;
    reader.end()
}

/// A map and what is in it. Every level adds an id at least, so that there are four at most.
///
/// RFC 8949 §5.6 forbids the same key twice. A client that writes a value at a time may come back to an object all the
/// same, and no harm is in it: only two values for one path contradict each other.
fn below<'a>(
    reader: &mut Reader<'a>,
    above: &Path,
    each: &mut dyn FnMut(&mut Reader<'a>, Path) -> Result<(), DecodeError>,
) -> Result<(), DecodeError> {
    let mut pairs = reader.open(MAP)?;
    while reader.has_more(&mut pairs)? {
        let path = key(reader, above)?;
        if reader.peek_major()? == MAP {
            below(reader, &path, each)?;
        } else {
            each(reader, path)?;
        }
    }
    Ok(())
}

fn key(reader: &mut Reader<'_>, above: &Path) -> Result<Path, DecodeError> {
    let offset = reader.at;
    if reader.peek_major()? != ARRAY {
        return child(reader, above);
    }
    let (mut ids, mut path) = (reader.open(ARRAY)?, *above);
    while reader.has_more(&mut ids)? {
        path = child(reader, &path)?;
    }
    if path == *above { Err(malformed(offset, Fault::TypeUnexpected)) } else { Ok(path) }
}

fn child(reader: &mut Reader<'_>, above: &Path) -> Result<Path, DecodeError> {
    let offset = reader.at;
    let id = reader.unsigned()?;
    match u16::try_from(id) {
        Ok(id) if id != ID_RESERVED => above.child(id).ok_or_else(|| malformed(offset, Fault::TooDeep)),
        _ => Err(malformed(offset, Fault::IdReserved)),
    }
}

/// Writes records in the order of their paths: each common beginning once, as one key.
pub(super) fn write(entries: &[Entry<'_>], out: &mut Vec<u8>) -> Result<(), EncodeError> {
    let mut sorted: Vec<(Path, Option<&Entry<'_>>)> = entries.iter().map(|entry| (entry.path, Some(entry))).collect();
    sorted.sort_by_key(|(path, _)| *path);
    if let Some(pair) = sorted.windows(2).find(|pair| pair[0].0 == pair[1].0) {
        return Err(EncodeError::PathTwice { path: pair[0].0 });
    }
    write_map(&sorted, 0, out);
    Ok(())
}

/// Writes the paths of a composite, each once.
pub(super) fn write_paths(paths: &[Path], out: &mut Vec<u8>) -> Result<(), EncodeError> {
    if paths.iter().any(Path::is_root) {
        // There is no key for everything.
        return Err(EncodeError::WrongLevel { path: Path::ROOT });
    }
    let mut sorted: Vec<(Path, Option<&Entry<'_>>)> = paths.iter().map(|path| (*path, None)).collect();
    sorted.sort_by_key(|(path, _)| *path);
    sorted.dedup_by_key(|(path, _)| *path);
    write_map(&sorted, 0, out);
    Ok(())
}

/// Appends a map of what lies below the first `depth` ids, which all of them share. No path ends there.
fn write_map(sorted: &[(Path, Option<&Entry<'_>>)], depth: usize, out: &mut Vec<u8>) {
    let groups: Vec<_> = sorted.chunk_by(|a, b| a.0.ids().nth(depth) == b.0.ids().nth(depth)).collect();
    // A path of which others are the continuation cannot share its key with them: there each stands in full.
    let is_flat = |group: &[(Path, Option<&Entry<'_>>)]| shared(group) == group[0].0.depth();
    let pairs = groups.iter().map(|group| if is_flat(group) { group.len() } else { 1 }).sum::<usize>();
    write_head(MAP, pairs as u64, out);
    for group in groups {
        if is_flat(group) {
            for (path, entry) in group {
                write_key(path, depth, path.depth(), out);
                match entry {
                    Some(entry) => write_tagged(&entry.value, out),
                    None => write_null(out),
                }
            }
        } else {
            let shared = shared(group);
            write_key(&group[0].0, depth, shared, out);
            write_map(group, shared, out);
        }
    }
}

/// How many ids all of these paths begin with: the first and the last differ most.
fn shared(sorted: &[(Path, Option<&Entry<'_>>)]) -> usize {
    let (first, last) = (sorted[0].0, sorted[sorted.len() - 1].0);
    first.ids().zip(last.ids()).take_while(|(a, b)| a == b).count()
}

fn write_key(path: &Path, from: usize, to: usize, out: &mut Vec<u8>) {
    if to - from > 1 {
        write_head(ARRAY, (to - from) as u64, out);
    }
    path.ids().take(to).skip(from).for_each(|id| write_head(UNSIGNED, u64::from(id), out));
}
