//! Connection ids (RFC 9146): a session survives a new address, and its datagrams find the right node and shard.

use crate::record::{CID_OFFSET, TLS12_CID, VERSION_DTLS12};

/// Length of every connection id we give out.
pub const CONNECTION_ID_BYTES: usize = 8;

/// The id we ask a peer to put into its records: node (2 bytes), shard (1), random (5).
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct ConnectionId(pub [u8; CONNECTION_ID_BYTES]);

impl ConnectionId {
    /// An id for a session of this node and shard. The random part makes it unique there and hard to guess.
    pub fn new(node: u16, shard: u8, random: [u8; 5]) -> Self {
        let [high, low] = node.to_be_bytes();
        let [a, b, c, d, e] = random;
        Self([high, low, shard, a, b, c, d, e])
    }

    /// The node whose sessions this id names.
    pub fn node(self) -> u16 {
        u16::from_be_bytes([self.0[0], self.0[1]])
    }

    /// The shard of that node.
    pub fn shard(self) -> u8 {
        self.0[2]
    }

    /// The connection id of the first record of a datagram; `None` when it carries none and the address decides.
    ///
    /// Nothing is authentic yet: the session this leads to finds out.
    pub fn of_record(datagram: &[u8]) -> Option<Self> {
        let (content_type, rest) = datagram.split_first()?;
        if *content_type != TLS12_CID || !rest.starts_with(&VERSION_DTLS12) {
            return None;
        }
        datagram.get(CID_OFFSET..CID_OFFSET + CONNECTION_ID_BYTES)?.try_into().ok().map(Self)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn node_and_shard_are_found_again_in_a_record() {
        let id = ConnectionId::new(0x0102, 3, *b"rando");
        let record = [&[25, 254, 253, 0, 1, 0, 0, 0, 0, 0, 7][..], &id.0, &[0, 0]].concat();

        let found = ConnectionId::of_record(&record);

        assert_eq!(found.map(|id| (id.node(), id.shard(), id.0)), Some((0x0102, 3, id.0)));
    }

    #[test]
    fn records_without_a_connection_id_have_none() {
        let mut record = [0; 40];
        for content_type in [0, 20, 21, 22, 23, 24, 26] {
            record[0] = content_type;
            record[1..3].copy_from_slice(&VERSION_DTLS12);
            assert_eq!(ConnectionId::of_record(&record), None);
        }
        record[0] = TLS12_CID;
        assert!(ConnectionId::of_record(&record).is_some());
        for length in 0..CID_OFFSET + CONNECTION_ID_BYTES {
            assert_eq!(ConnectionId::of_record(&record[..length]), None);
        }
    }
}
