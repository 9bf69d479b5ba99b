//! Where the records of a datagram begin and end (RFC 6347 §4.1, RFC 9146 §4).

/// DTLS 1.2 on the wire; other versions differ in the last byte only.
pub(crate) const VERSION_DTLS12: [u8; 2] = [254, 253];

/// Content types.
pub(crate) const HANDSHAKE: u8 = 22;
pub(crate) const TLS12_CID: u8 = 25;

/// Type (1), version (2), epoch (2), sequence number (6), length (2). A connection id stands before the length.
pub(crate) const HEADER_BYTES: usize = 13;

/// Offset of the connection id.
pub(crate) const CID_OFFSET: usize = 11;

/// The records of a datagram, as far as they are whole.
///
/// Each is fed to the library by itself: a bad one takes none of its neighbours with it, and the library would treat a
/// rest that is shorter than a header as a fault of its own and give up.
pub(crate) fn records(datagram: &[u8], cid_bytes: usize) -> impl Iterator<Item = &[u8]> {
    let mut rest = datagram;
    std::iter::from_fn(move || {
        let header_bytes = if *rest.first()? == TLS12_CID { HEADER_BYTES + cid_bytes } else { HEADER_BYTES };
        let length: [u8; 2] = rest.get(header_bytes - 2..header_bytes)?.try_into().ok()?;
        let (record, after) = rest.split_at_checked(header_bytes + usize::from(u16::from_be_bytes(length)))?;
        rest = after;
        Some(record)
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn record(content_type: u8, cid: &[u8], content: &[u8]) -> Vec<u8> {
        let mut record = vec![content_type, 254, 253, 0, 1, 0, 0, 0, 0, 0, 9];
        record.extend_from_slice(cid);
        record.extend_from_slice(&u16::try_from(content.len()).unwrap_or(u16::MAX).to_be_bytes());
        record.extend_from_slice(content);
        record
    }

    #[test]
    fn a_datagram_is_cut_into_its_records() {
        let (plain, with_cid) = (record(22, b"", b"hello"), record(25, b"12345678", b"data"));
        let datagram = [plain.clone(), with_cid.clone()].concat();

        let found: Vec<&[u8]> = records(&datagram, 8).collect();

        assert_eq!(found, [&plain[..], &with_cid[..]]);
    }

    #[test]
    fn a_rest_that_is_no_whole_record_is_left_out() {
        let whole = record(23, b"", b"data");
        for rest in 1..whole.len() {
            let datagram = [&whole[..], &whole[..rest]].concat();
            assert_eq!(records(&datagram, 8).count(), 1, "{rest} bytes too many");
            assert_eq!(records(&whole[..rest], 8).count(), 0, "{rest} bytes of a record");
        }
    }
}
