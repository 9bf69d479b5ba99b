//! The queries of Register and Update (OMA LwM2M Core 1.1 §6.2.1, §6.2.2).

use std::fmt;

use coap::code::Code;

/// The lifetime of a registration that names none (Core §6.2.1).
pub const LIFETIME_DEFAULT_S: u32 = 86_400;

/// A Uri-Query has at most 255 bytes (RFC 7252 §5.10), so no endpoint that fits into one is refused for its length.
pub const ENDPOINT_BYTES_MAX: usize = 255;

/// Queries of one request. The specification knows eight; the rest is for attributes such as `enclosure`.
pub const QUERIES_MAX: usize = 32;

/// The enabler version a client speaks.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Version {
    /// 1.0, also when the client does not say.
    V1_0,
    /// 1.1
    V1_1,
    /// 1.2
    V1_2,
}

/// What a device asks for when it registers.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct RegisterParameters {
    /// The endpoint name; `None` when the credential is to say it (1.1 and later).
    pub endpoint: Option<String>,
    /// Seconds until the registration expires; 0 is never.
    pub lifetime_s: u32,
    /// The enabler version.
    pub version: Version,
    /// The binding as the device wrote it; `U` when it said nothing.
    pub binding: String,
    /// Whether the device sleeps and is awake only after it spoke.
    pub queue_mode: bool,
    /// The number for SMS.
    pub sms: Option<String>,
    /// Every other query, in order. They belong to the registration; updates do not repeat them.
    pub others: Vec<(String, String)>,
}

/// What a device changes with an Update; `None` leaves the registration as it is.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct UpdateParameters {
    /// A new lifetime.
    pub lifetime_s: Option<u32>,
    /// A new binding.
    pub binding: Option<String>,
    /// Queue mode, if this update decides it.
    pub queue_mode: Option<bool>,
    /// A new number for SMS.
    pub sms: Option<String>,
    /// Every other query, in order.
    pub others: Vec<(String, String)>,
}

/// A registration that cannot be accepted as it is written.
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub enum RegistrationError {
    /// A version we do not speak. The client may fall back to an older one.
    VersionUnknown {
        /// What it asked for.
        version: String,
    },
    /// A query that is not UTF-8.
    NotUtf8,
    /// More queries than a registration can mean.
    TooManyQueries {
        /// How many there were.
        count: usize,
    },
    /// The same query twice.
    Twice {
        /// Its name.
        name: &'static str,
    },
    /// An endpoint name that is empty, too long, or has control characters.
    EndpointInvalid,
    /// A lifetime that is not a number of seconds.
    LifetimeInvalid {
        /// What it wrote.
        lifetime: String,
    },
    /// A binding that the version does not have.
    BindingInvalid {
        /// What it wrote.
        binding: String,
    },
}

impl RegisterParameters {
    /// Reads the Uri-Query options of a Register.
    pub fn parse(queries: &[&[u8]]) -> Result<Self, RegistrationError> {
        let fields = Fields::parse(queries)?;
        let version = match fields.version.as_deref() {
            // Clients of the enabler's first drafts say nothing.
            None | Some("1.0") => Version::V1_0,
            Some("1.1") => Version::V1_1,
            Some("1.2") => Version::V1_2,
            Some(other) => return Err(RegistrationError::VersionUnknown { version: excerpt(other) }),
        };
        let binding = fields.binding(version)?;
        Ok(Self {
            endpoint: fields.endpoint()?,
            lifetime_s: fields.lifetime_s()?.unwrap_or(LIFETIME_DEFAULT_S),
            version,
            queue_mode: fields.queue_mode || binding.as_deref().is_some_and(|letters| letters.contains('Q')),
            binding: binding.unwrap_or_else(|| "U".to_owned()),
            sms: fields.sms,
            others: fields.others,
        })
    }

    /// The value of another query, such as `enclosure`.
    pub fn other(&self, name: &str) -> Option<&str> {
        self.others.iter().find(|(key, _)| key == name).map(|(_, value)| value.as_str())
    }
}

impl UpdateParameters {
    /// Reads the Uri-Query options of an Update. `version` is that of the registration: in 1.0 the binding says whether
    /// queue mode is on, later it is a query of its own and only Register carries it.
    pub fn parse(queries: &[&[u8]], version: Version) -> Result<Self, RegistrationError> {
        let fields = Fields::parse(queries)?;
        let binding = fields.binding(version)?;
        let in_binding = binding.as_deref().map(|letters| letters.contains('Q'));
        let queue_mode = match (fields.queue_mode, in_binding, version) {
            (true, _, _) | (_, Some(true), _) => Some(true),
            (_, Some(false), Version::V1_0) => Some(false),
            _ => None,
        };
        Ok(Self { lifetime_s: fields.lifetime_s()?, binding, queue_mode, sms: fields.sms, others: fields.others })
    }

    /// Whether the update only says "I am still here".
    pub fn is_empty(&self) -> bool {
        *self == Self::default()
    }
}

impl RegistrationError {
    /// The code to answer with.
    pub fn code(&self) -> Code {
        match self {
            // 4.12 and not 5.xx: only then does a client try an older version.
            Self::VersionUnknown { .. } => Code::PRECONDITION_FAILED,
            _ => Code::BAD_REQUEST,
        }
    }
}

/// The queries by name, before anything is decided.
#[derive(Default)]
struct Fields {
    endpoint: Option<String>,
    lifetime: Option<String>,
    version: Option<String>,
    binding: Option<String>,
    queue_mode: bool,
    sms: Option<String>,
    others: Vec<(String, String)>,
}

impl Fields {
    fn parse(queries: &[&[u8]]) -> Result<Self, RegistrationError> {
        if queries.len() > QUERIES_MAX {
            return Err(RegistrationError::TooManyQueries { count: queries.len() });
        }
        let mut fields = Self::default();
        for query in queries {
            let query = str::from_utf8(query).map_err(|_| RegistrationError::NotUtf8)?;
            let (name, value) = query.split_once('=').unwrap_or((query, ""));
            let (slot, name) = match name {
                "ep" => (&mut fields.endpoint, "ep"),
                "lt" => (&mut fields.lifetime, "lt"),
                "lwm2m" => (&mut fields.version, "lwm2m"),
                "b" => (&mut fields.binding, "b"),
                "sms" => (&mut fields.sms, "sms"),
                "Q" => {
                    fields.queue_mode = true;
                    continue;
                }
                other => {
                    fields.others.push((other.to_owned(), value.to_owned()));
                    continue;
                }
            };
            if slot.replace(value.to_owned()).is_some() {
                return Err(RegistrationError::Twice { name });
            }
        }
        Ok(fields)
    }

    fn endpoint(&self) -> Result<Option<String>, RegistrationError> {
        let Some(name) = &self.endpoint else { return Ok(None) };
        // Control characters are the one part of UTF-8 that cannot be printed, and NUL the one no database keeps.
        if name.is_empty() || name.len() > ENDPOINT_BYTES_MAX || name.chars().any(char::is_control) {
            return Err(RegistrationError::EndpointInvalid);
        }
        Ok(Some(name.clone()))
    }

    fn lifetime_s(&self) -> Result<Option<u32>, RegistrationError> {
        let Some(text) = &self.lifetime else { return Ok(None) };
        if text.is_empty() || !text.bytes().all(|byte| byte.is_ascii_digit()) {
            return Err(RegistrationError::LifetimeInvalid { lifetime: excerpt(text) });
        }
        // What does not fit is longer than 136 years.
        Ok(Some(text.parse().unwrap_or(u32::MAX)))
    }

    fn binding(&self, version: Version) -> Result<Option<String>, RegistrationError> {
        let Some(letters) = &self.binding else { return Ok(None) };
        let is_known = match version {
            // Core 1.0 §5.3.1.1: these six; a Q belongs to the letter before it.
            Version::V1_0 => ["U", "UQ", "S", "SQ", "US", "UQS"].contains(&letters.as_str()),
            // Core 1.1 and 1.2 §6.2.1.2: each transport once, in the order of preference. A client that came from 1.0 may
            // still write the Q that is a query of its own now.
            Version::V1_1 | Version::V1_2 => {
                let is_once = |letter: char| letters.matches(letter).count() == 1;
                letters.chars().all(|letter| "UMHTSNQ".contains(letter) && is_once(letter))
                    && letters.chars().any(|letter| letter != 'Q')
            }
        };
        if is_known {
            Ok(Some(letters.clone()))
        } else {
            Err(RegistrationError::BindingInvalid { binding: excerpt(letters) })
        }
    }
}

/// Reads `1.1` as major and minor version.
pub(crate) fn parse_version(text: &str) -> Option<(u8, u8)> {
    let (major, minor) = text.split_once('.')?;
    Some((major.parse().ok()?, minor.parse().ok()?))
}

/// Writes major and minor version.
pub(crate) fn write_version((major, minor): (u8, u8)) -> String {
    format!("{major}.{minor}")
}

/// As much of a peer's text as fits into a diagnostic.
pub(crate) fn excerpt(text: &str) -> String {
    /// Enough to recognise it; a diagnostic payload shares one datagram with its message.
    const EXCERPT_CHARACTERS_MAX: usize = 40;
    text.chars().take(EXCERPT_CHARACTERS_MAX).collect()
}

impl fmt::Display for Version {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::V1_0 => "1.0",
            Self::V1_1 => "1.1",
            Self::V1_2 => "1.2",
        })
    }
}

impl fmt::Display for RegistrationError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::VersionUnknown { version } => write!(f, "LwM2M {version:?}: only 1.0, 1.1 and 1.2"),
            Self::NotUtf8 => f.write_str("a query is not UTF-8"),
            Self::TooManyQueries { count } => write!(f, "{count} queries are too many"),
            Self::Twice { name } => write!(f, "{name} is given twice"),
            Self::EndpointInvalid => f.write_str("ep is empty, too long or has control characters"),
            Self::LifetimeInvalid { lifetime } => write!(f, "lt {lifetime:?} is no number of seconds"),
            Self::BindingInvalid { binding } => write!(f, "b {binding:?} is no binding"),
        }
    }
}

impl std::error::Error for RegistrationError {}

#[cfg(test)]
mod tests {
    // A test that cannot go on should stop.
    #![allow(clippy::unwrap_used)]
    use super::*;

    fn register(queries: &[&str]) -> Result<RegisterParameters, RegistrationError> {
        RegisterParameters::parse(&queries.iter().map(|query| query.as_bytes()).collect::<Vec<_>>())
    }

    fn update(queries: &[&str], version: Version) -> Result<UpdateParameters, RegistrationError> {
        UpdateParameters::parse(&queries.iter().map(|query| query.as_bytes()).collect::<Vec<_>>(), version)
    }

    #[test]
    fn a_register_without_queries_gets_the_defaults() {
        let parameters = register(&[]).unwrap();

        assert_eq!((parameters.endpoint, parameters.lifetime_s, parameters.version), (None, 86_400, Version::V1_0));
        assert_eq!((parameters.binding.as_str(), parameters.queue_mode), ("U", false));
    }

    #[test]
    fn queue_mode_follows_from_the_binding_and_from_its_own_query() {
        assert!(register(&["b=UQ"]).unwrap().queue_mode);
        assert!(register(&["lwm2m=1.1", "b=U", "Q"]).unwrap().queue_mode);
        assert!(!register(&["lwm2m=1.1", "b=U"]).unwrap().queue_mode);
        assert_eq!(update(&["b=U"], Version::V1_0).unwrap().queue_mode, Some(false));
        assert_eq!(update(&["b=U"], Version::V1_1).unwrap().queue_mode, None);
        assert_eq!(update(&["b=UQ"], Version::V1_0).unwrap().queue_mode, Some(true));
    }

    #[test]
    fn what_we_do_not_know_is_kept_in_order() {
        let parameters = register(&["ep=Bøye 7", "enclosure=north pen", "farm=3", "flag"]).unwrap();

        assert_eq!(parameters.endpoint.as_deref(), Some("Bøye 7"));
        assert_eq!(parameters.other("enclosure"), Some("north pen"));
        assert_eq!(parameters.others.last().unwrap(), &("flag".to_owned(), String::new()));
    }

    #[test]
    fn a_lifetime_may_be_endless_or_huge_and_must_be_a_number() {
        assert_eq!(register(&["lt=0"]).unwrap().lifetime_s, 0);
        assert_eq!(register(&["lt=99999999999999999999999"]).unwrap().lifetime_s, u32::MAX);
        for text in ["lt=-1", "lt=", "lt=soon", "lt=1.5", "lt=+5", "lt"] {
            assert_eq!(register(&[text]).unwrap_err().code(), Code::BAD_REQUEST, "{text}");
        }
    }

    #[test]
    fn an_unknown_version_lets_the_client_fall_back() {
        for text in ["lwm2m=1.3", "lwm2m=2.0", "lwm2m=", "lwm2m=1"] {
            assert_eq!(register(&[text, "lt=soon"]).unwrap_err().code(), Code::PRECONDITION_FAILED, "{text}");
        }
    }

    #[test]
    fn an_update_without_queries_changes_nothing() {
        assert!(update(&[], Version::V1_1).unwrap().is_empty());
        assert_eq!(update(&["lt=60"], Version::V1_1).unwrap().lifetime_s, Some(60));
    }

    #[test]
    fn a_binding_is_one_of_its_version() {
        for (version, good, bad) in [
            ("1.0", ["U", "UQ", "S", "SQ", "US", "UQS"], ["QU", "UU", "UT", "SU"]),
            ("1.1", ["U", "UT", "N", "UQ", "TS", "UMHTSN"], ["Q", "UX", "UU", "UQQ"]),
            ("1.2", ["M", "H", "T", "S", "N", "MU"], ["", "u", "TT", "UZ"]),
        ] {
            let binding = |letters: &str| register(&[&format!("lwm2m={version}"), &format!("b={letters}")]);
            for letters in good {
                assert_eq!(binding(letters).unwrap().binding, letters, "{version} {letters}");
            }
            for letters in bad {
                assert_eq!(binding(letters).unwrap_err().code(), Code::BAD_REQUEST, "{version} {letters}");
            }
        }
    }

    #[test]
    fn a_contradiction_is_refused() {
        assert_eq!(register(&["lt=1", "lt=2"]), Err(RegistrationError::Twice { name: "lt" }));
        assert_eq!(register(&["ep="]), Err(RegistrationError::EndpointInvalid));
        assert_eq!(register(&["ep=a\0b"]), Err(RegistrationError::EndpointInvalid));
        assert_eq!(RegisterParameters::parse(&[b"ep=\xff"]), Err(RegistrationError::NotUtf8));
        assert_eq!(register(&["b=u q"]).unwrap_err().code(), Code::BAD_REQUEST);
        assert_eq!(register(&["x=1"; 33]), Err(RegistrationError::TooManyQueries { count: 33 }));
    }
}
