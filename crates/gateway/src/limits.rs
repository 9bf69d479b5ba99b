//! Every bound of the data plane, each with its reason. Nothing that comes from the network decides how much we keep.

use std::time::Duration;

/// Events in one page. One zstd frame of this many is about a megabyte; larger ones compress no better.
pub const PAGE_EVENTS_MAX: usize = 8_192;

/// Bytes of one page before it is compressed: keeps the largest row of the log, and the pause to write it, small.
pub const PAGE_BYTES_MAX: usize = 1 << 20;

/// So many events since the first page opened are a crowd: within a linger of 2 ms, 64,000 a second and more.
pub const CROWD_EVENTS: u64 = 128;

/// How many lingers a crowd gathers: a commit costs a quarter of a millisecond of the processor, whatever is in it.
pub const CROWD_LINGERS: u32 = 4;

/// Room given to a new page at once; what a busy partition fills within one linger.
pub const PAGE_BYTES_RESERVED_MAX: usize = 256 * 1024;

/// RFC 7252 §4.2: a peer repeats a confirmable message after ACK_TIMEOUT (2 s at least). A commit that is slower than
/// this gets an empty acknowledgement, and the answer follows as a separate response.
pub const ACKNOWLEDGE_AFTER: Duration = Duration::from_millis(1_500);

/// What a refused peer is asked to wait: long enough for a store to recover, short for a device that stays awake.
pub const RETRY_AFTER_S: u32 = 10;

/// Largest body assembled from blocks. The longest Register of the recorded fleets is 9 kB.
pub const BODY_BYTES_MAX: usize = 64 * 1024;

/// Peers of one shard with an unfinished upload (Block1): 32 MiB at the very most (two bodies each).
pub const UPLOADING_PEERS_MAX: usize = 256;

/// Enrolments under way in one shard: a farm whose certificates end on one day takes turns.
pub const ENROLMENTS_MAX: usize = 64;

/// The largest request for a certificate: one with a key on P-384 and a few names has 600 bytes.
pub const ENROLMENT_BYTES_MAX: usize = 4 * 1024;

/// Handshakes that are not finished. A thousand devices coming back in the same second find room; each costs about 20 kB.
pub const HALF_OPEN_MAX: usize = 2_048;

/// Of these, how many from one address, or from one network of IPv6: a farm behind one router finds room, and leaves some.
pub const HALF_OPEN_PER_NETWORK_MAX: usize = HALF_OPEN_MAX / 4;

/// What a handshake with a pre-shared key takes of a processor in all, its datagrams included
/// (`docs/decisions/0014-what-a-handshake-costs.md`).
pub const HANDSHAKE_COST_PSK: Duration = Duration::from_micros(50);

/// The same with certificates.
pub const HANDSHAKE_COST_CERTIFICATE: Duration = Duration::from_micros(350);

/// The same with a key over TLS, where 1.3 joins an exchange of keys to it.
pub const HANDSHAKE_COST_KEY_OVER_TLS: Duration = Duration::from_micros(150);

/// One part in so many of a shard's time goes to handshakes, the rest to whoever is in.
pub const HANDSHAKES_SHARE: u32 = 2;

/// How far that may be overdrawn. Half of it is what may lie between a report and its answer; more of it lets in more of
/// those that come in one instant, and come again in one instant.
pub const HANDSHAKES_BURST: Duration = Duration::from_millis(100);

/// The part of one network: no address keeps the shard busy, and a farm of 10,000 cameras is back within half a minute.
pub const HANDSHAKES_SHARE_OF_NETWORK: u32 = 8;

/// How far that may be overdrawn: the 140 cameras of a site come back at once.
pub const HANDSHAKES_PER_NETWORK_BURST: Duration = Duration::from_millis(400);

/// Networks that are remembered while they shake hands: those with half-open handshakes, and as many again.
pub const NETWORKS_MAX: usize = 2 * HALF_OPEN_MAX;

/// A handshake that takes longer than MAX_TRANSMIT_WAIT (RFC 7252 §4.8.2) will not end.
pub const HANDSHAKE_WAIT: Duration = Duration::from_secs(93);

/// Established sessions in one shard. A parked session takes about 4 kB.
pub const SESSIONS_MAX: usize = 250_000;

/// A session nobody used for this long, whose device is not registered, is forgotten: the device makes a new one.
pub const SESSION_IDLE: Duration = Duration::from_secs(24 * 3_600);

/// Peers without DTLS that we remember, each with its answers.
pub const PEERS_MAX: usize = 250_000;

/// Connections of one shard, each with a descriptor and about a kilobyte.
pub const CONNECTIONS_MAX: usize = 16_384;

/// Connections from one address, or from one network of IPv6: the devices of a large farm behind one router.
pub const CONNECTIONS_PER_ADDRESS_MAX: usize = 2_048;

/// Connections whose TLS handshake is not finished. Of themselves they cost five kilobytes each; with a record that has
/// not come whole, and a message that takes several, at most 45: a thousand devices that come back at once find room.
pub const OPENINGS_MAX: usize = 1_024;

/// Of these, how many from one address, or from one network of IPv6: one that stops in the middle of each of its own leaves
/// the others room.
pub const OPENINGS_PER_NETWORK_MAX: usize = OPENINGS_MAX / 4;

/// How often those who wait for their turn to shake hands over a connection are asked in: few for the clock, and a tenth
/// of what a person would notice.
pub const OPENINGS_TURN_EVERY: Duration = Duration::from_millis(10);

/// How much further than hellos in datagrams, which take what is free whenever they come, those who wait may overdraw what
/// handshakes cost: half of the time between two turns, so that each gets half when both want everything.
pub const OPENINGS_BURST: Duration = Duration::from_millis(5);

/// What a peer may say before its turn: a hello is shorter than half of this, with all that it may offer.
pub const OPENING_EARLY_BYTES_MAX: usize = 4 * 1024;

/// How long a handshake of TLS may take: four flights over a radio that needs ten seconds for each, and some more.
pub const TLS_HANDSHAKE_WAIT: Duration = Duration::from_secs(60);

/// The longest message that we take over a connection: every Register of the recorded fleets fits into one.
pub const MESSAGE_BYTES_MAX: u32 = 16 * 1024;

/// Bytes of unfinished messages in all connections of one shard.
pub const MESSAGES_UNFINISHED_BYTES_MAX: usize = 64 << 20;

/// Blocks of files that one turn puts together for connections. A request of ten bytes asks for thirty thousand.
pub const FILE_BYTES_PER_TURN_MAX: usize = 8 << 20;

/// How long a peer that connects may take to say its CSM (RFC 8323 §3.3): a few round trips over a slow radio.
pub const CSM_WAIT: Duration = Duration::from_secs(30);

/// A connection that nobody has registered over is closed after so much silence.
pub const STRANGER_IDLE: Duration = Duration::from_secs(60);

/// A device that was silent for so long is asked whether it is there: before routers forget a connection, most of which
/// keep one for five minutes at least.
pub const PING_AFTER: Duration = Duration::from_secs(240);

/// How long it may take to answer: TCP itself gives up later, a radio that is there is faster.
pub const PONG_WAIT: Duration = Duration::from_secs(30);

/// RFC 7252 §4.8.2, EXCHANGE_LIFETIME: how long a message id stays in use, and so how long we remember an answer.
pub const EXCHANGE_LIFETIME: Duration = Duration::from_secs(247);

/// Grace after a lifetime: no less than one exchange may take, and a tenth of the lifetime for slow radios.
pub const GRACE_MIN: Duration = EXCHANGE_LIFETIME;

/// Devices we know. An entry is about a kilobyte.
pub const DEVICES_MAX: usize = 1_000_000;

/// Credentials of one device: the one it uses, the next one, and one of another kind for each while it changes over.
pub const CREDENTIALS_PER_DEVICE_MAX: usize = 4;

/// Authorities of one owner that share a name: the one in use and the next, each renewed once. What one owner puts in must
/// not fill the places of that name for the others ([`dtls::ANCHORS_PER_SUBJECT_MAX`]).
pub const AUTHORITIES_PER_NAME_MAX: usize = 4;

/// Certificates that were taken back and have not expired: 8 MiB. A fleet of a million that replaces one in ten.
pub const REVOKED_MAX: usize = 100_000;

/// Authorities whose certificates let devices in: a few of each tenant.
pub const AUTHORITIES_MAX: usize = 10_000;

/// Devices taken in by open enrolment: a stranger can make one with a single datagram.
pub const ENROLLED_MAX: usize = 100_000;

/// Bootstraps that are under way in one shard: a new farm that is switched on. Each may keep a pack.
pub const BOOTSTRAPS_MAX: usize = 1_024;

/// Bootstraps of one device that may begin within a minute: each makes a key. A device that loses its way asks again after
/// a minute at most, an operator a few times.
pub const BOOTSTRAPS_PER_MINUTE_MAX: u8 = 10;

/// A bootstrap ends when its device answers nothing for so long, and the usual grace: MAX_TRANSMIT_WAIT (RFC 7252 §4.8.2).
pub const BOOTSTRAP_SILENCE_S: u32 = 93;

/// Largest pack: an account with a certificate chain takes a third of it.
pub const PACK_BYTES_MAX: usize = 16 * 1024;

/// Longest claim in a CoAP option; our own identifiers have 30 characters.
pub const CLAIM_BYTES_MAX: usize = 64;

/// Longest foreign text (identity, endpoint, detail) that is copied into an event.
pub const FOREIGN_TEXT_BYTES_MAX: usize = 128;

/// Extra queries of a Register that are kept as attributes of the registration.
pub const ATTRIBUTES_MAX: usize = 16;

/// Requests waiting for one device; more than a person asks between two wake-ups.
pub const WAITING_PER_DEVICE_MAX: usize = 32;

/// Requests waiting in one shard.
pub const WAITING_MAX: usize = 200_000;

/// How often one request is sent to a device that falls asleep or moves under it. A device that answers none of three
/// wake-ups will not answer the fourth, and others wait behind.
pub const SENDINGS_MAX: u8 = 3;

/// Notifications of one device whose blocks are still to be fetched; each keeps a kilobyte.
pub const RESTS_PER_DEVICE_MAX: usize = 4;

/// Observations of one device; wildcards expand no further.
pub const OBSERVATIONS_PER_DEVICE_MAX: usize = 64;

/// Paths of one composite request: as many as of one device's observations.
pub const COMPOSITE_PATHS_MAX: usize = OBSERVATIONS_PER_DEVICE_MAX;

/// Longest first wait for an acknowledgement. NB-IoT wants ten seconds, a satellite a few times that.
pub const ACK_TIMEOUT_MAX: Duration = Duration::from_secs(60);

/// Largest spread of the first wait: beyond it a repetition says nothing any more about the link.
pub const RANDOM_FACTOR_MAX: f32 = 3.0;

/// Repetitions of one message. Each doubles the wait: with eight of them, one request of 2 s takes 25 minutes.
pub const RETRANSMIT_MAX: u8 = 8;

/// Paths read after each Register.
pub const READS_PER_DEVICE_MAX: usize = 32;

/// Different wishes of devices that are kept interned; devices with one profile share theirs.
pub const PROFILES_MAX: usize = 4_096;

/// Different object lists that are kept interned; devices of one make share theirs.
pub const OBJECT_LISTS_MAX: usize = 4_096;

/// Kinds of trouble counted together within a second, of strangers and of devices each. The rest of that second is
/// counted without a name.
pub const SECURITY_EVENTS_MAX: usize = 256;

/// Equal security events within this time are one, with a count.
pub const SECURITY_EVENTS_EVERY: Duration = Duration::from_secs(1);

/// Refusals of one device that are told within a second, the others only counted: nobody who writes datagrams under the
/// address of a device in the clear may fill the log, and a device that is wrong so often is wrong in the same way.
pub const REFUSALS_TOLD_MAX: u8 = 8;

/// Files we serve at once; a campaign has a few.
pub const FILES_MAX: usize = 1_024;

/// Progress of one device's download is told no more often than this.
pub const DOWNLOAD_EVERY: Duration = Duration::from_secs(1);

/// A device that still shows no awake window of its own listens for MAX_TRANSMIT_WAIT (RFC 7252 §4.8.2) after it spoke.
pub const AWAKE_WINDOW: Duration = Duration::from_secs(93);

/// How old the checkpoint of a device may be that is heard, three quarters of it at least. What a device said within this
/// time before a crash could be played to us again afterwards by somebody who recorded it; twice as often would cost a
/// database with 50,000 devices 1,700 rows a second.
pub const CHECKPOINT_EVERY: Duration = Duration::from_secs(60);

/// After a change that a crash may undo without harm: time for those that follow from a Register.
pub const CHECKPOINT_SOON: Duration = Duration::from_secs(1);

/// After a refusal: the database is away, and will be for a while.
pub const CHECKPOINT_AGAIN: Duration = Duration::from_secs(1);

/// Checkpoints in one batch: half a megabyte, written within a few milliseconds.
pub const CHECKPOINTS_PER_BATCH_MAX: usize = 512;

/// Longest checkpoint that is read: 64 observations and as many refusals, of long paths, and a session with a certificate.
pub const CHECKPOINT_BYTES_MAX: usize = 64 * 1024;

/// Node numbers that one gateway knows: more gateways than any installation has, and a heartbeat that names all stays short.
pub const NODES_MAX: usize = 256;

/// How often peers and sessions that fell out of use are looked for.
pub const SWEEP_EVERY: Duration = Duration::from_secs(1);

/// Paths that one device may not send. As many as one policy can name, a few times over.
pub const DENIED_PATHS_MAX: usize = 256;

/// Enclosures that one device may not claim: those of some farms with 20 each.
pub const DENIED_CLAIMS_MAX: usize = 5_000;
