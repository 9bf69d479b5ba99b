//! Counters: everything that happens often, and everything that is dropped without a word.

macro_rules! counters {
    ($($(#[$meta:meta])* $name:ident,)*) => {
        /// How often what happened since the start.
        #[derive(Debug, Default, Clone)]
        pub(crate) struct Stats {
            $($(#[$meta])* pub(crate) $name: u64,)*
        }

        impl Stats {
            /// Name and count of each.
            pub(crate) fn entries(&self) -> Vec<(&'static str, u64)> {
                vec![$((stringify!($name), self.$name),)*]
            }
        }
    };
}

counters! {
    datagrams,
    pings,
    register,
    update,
    deregister,
    expired,
    send,
    notify,
    /// Overtaken by a newer one (RFC 7641 §3.4).
    notify_late,
    /// Larger than a datagram, and the rest could not be fetched.
    notify_broken,
    /// Neither answer nor notification of ours: reset.
    unknown_token,
    /// Acknowledgements and resets of nothing.
    not_ours,
    duplicates,
    /// Copies of requests whose answer still waits for the log.
    duplicates_pending,
    /// Of a device that was refused too often within a second: counted, but not told.
    refusals_untold,
    /// 5.03, because the log is behind.
    busy,
    refused_by_store,
    /// Empty acknowledgements, because the log was slow.
    acknowledged_early,
    handshakes,
    /// Those of them that went on from an earlier session.
    handshakes_resumed,
    handshakes_failed,
    sessions_broken,
    sessions_full,
    /// Hellos that have to come again, and those over connections that wait: the shard has enough to do with handshakes,
    /// or one network has its share.
    handshakes_waiting,
    handshakes_waiting_network,
    /// Hellos that have to come again, and connections that were refused, because too many handshakes are under way.
    half_open_full,
    half_open_full_network,
    peers_full,
    /// Separate answers to peers that acknowledge none.
    separate_full,
    hello_dropped,
    unknown_connection_id,
    /// Datagrams for sessions of another gateway, given to it.
    handed_over,
    /// The same, from another gateway.
    handed_to_us,
    /// Datagrams to devices, from the gateway that has their session.
    sent_for_others,
    /// The same, to a socket that is none.
    handovers_refused,
    /// Devices that another gateway has now.
    moved_away,
    unknown_address,
    relocated,
    /// Peers of before a restart that go on.
    restored,
    checkpoints,
    /// Checkpoints that could not be written; they come again.
    checkpoints_refused,
    /// Over connections; signals and empty ones are none.
    messages,
    /// More connections than we keep, in all or from one address, or more of their handshakes.
    connections_refused,
    /// Ended by the peer without a word.
    connections_closed,
    /// Ended by the peer as RFC 8323 §5.5 and §5.6 say.
    connections_released,
    connections_aborted,
    /// No CSM in time, or something before it.
    connections_without_csm,
    /// What came was no message, too long, or a signal that cannot be honoured.
    connections_broken,
    /// Nothing was heard, and our Ping not answered.
    connections_silent,
    /// Ended by us: nobody had registered, the device sleeps, or it is somewhere else now.
    connections_ended,
    /// Too many bytes of unfinished messages in all.
    connections_full,
    requests,
    requests_timed_out,
    /// Sent once more: the device slept, or came back from somewhere else.
    requests_repeated,
    /// Composites that went as single operations, because the device knows no others.
    composites_divided,
    file_blocks,
    bootstraps,
}
