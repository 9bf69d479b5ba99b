//! Resources of the Server object (object 1) that this device lives by (Core 1.1 §E.2, Core 1.2 §E.2).

/// What a server writes there holds from the next Update on.
pub const LIFETIME: u16 = 1;
/// Holds where an observation has no `pmin`, and no `pmax`.
pub const PMIN_DEFAULT: u16 = 2;
/// See above.
pub const PMAX_DEFAULT: u16 = 3;
/// Its execution ends the registration for a while.
pub const DISABLE: u16 = 4;
/// For how many seconds.
pub const DISABLE_TIMEOUT: u16 = 5;
/// Whether notifications are kept while the server cannot be reached.
pub const NOTIFICATION_STORING: u16 = 6;
/// Its execution asks for an Update.
pub const UPDATE_TRIGGER: u16 = 8;
/// Its execution asks for a bootstrap.
pub const BOOTSTRAP_TRIGGER: u16 = 9;
/// Which server comes first.
pub const PRIORITY_ORDER: u16 = 13;
/// Seconds before the first registration.
pub const REGISTRATION_DELAY: u16 = 14;
/// Whether a registration that fails for good leads to the bootstrap server.
pub const BOOTSTRAP_ON_FAILURE: u16 = 16;
/// Attempts of one sequence of registrations.
pub const RETRY_COUNT: u16 = 17;
/// Seconds between the first two of them.
pub const RETRY_TIMER: u16 = 18;
/// Seconds between two sequences.
pub const SEQUENCE_DELAY: u16 = 19;
/// How many sequences.
pub const SEQUENCE_COUNT: u16 = 20;
/// The server wants to hear no Send.
pub const MUTE_SEND: u16 = 23;
/// Notifications are confirmable unless an attribute says otherwise (1.2).
pub const NOTIFICATION_MODE: u16 = 26;
