//! What a device is told by its owner.

use std::fmt;
use std::net::SocketAddr;
use std::time::Duration;

use dtls::OwnCertificate;
use lwm2m::{Definitions, Kind, Path, Record, Value, Version};
use zeroize::Zeroizing;

/// How it proves who it is, and how its server does.
#[derive(Clone)]
pub enum Credential {
    /// A pre-shared key, which both hold.
    Psk {
        /// Said in clear in the handshake.
        identity: Vec<u8>,
        /// Never said.
        key: Zeroizing<Vec<u8>>,
    },
    /// Certificates, which each shows.
    X509 {
        /// Its own.
        own: OwnCertificate,
        /// Those of the authorities that may vouch for the server, in DER.
        authorities: Vec<Vec<u8>>,
        /// What the server's must be for, a DNS name or an IP address; nothing takes any.
        server_name: Option<String>,
    },
}

impl fmt::Debug for Credential {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Psk { identity, .. } => write!(formatter, "Psk({})", String::from_utf8_lossy(identity)),
            Self::X509 { own, .. } => write!(formatter, "X509({own:?})"),
        }
    }
}

/// Who the device is and how it speaks.
#[derive(Debug, Clone)]
pub struct Config {
    /// Its name (`ep`).
    pub endpoint: String,
    /// Where its server is; of one that can be bootstrapped, what is there until an account says it.
    pub server: SocketAddr,
    /// Over a connection (binding T, RFC 8323) instead of datagrams.
    pub over_tcp: bool,
    /// The newest LwM2M version it speaks; with a server that does not know it, an older one.
    pub version: Version,
    /// Where its objects live: `/`, or an alternate root such as `/lwm2m` (Transport 1.1 §6.4.1).
    pub root: String,
    /// Whom it talks to stands in its objects 0 and 1, and a bootstrap server may write them (Core 1.1 §6.1).
    pub bootstraps: bool,
    /// DTLS, or TLS over a connection, with this; plain CoAP without.
    pub credential: Option<Credential>,
    /// Seconds within which it promises to be heard; 0 never expires.
    pub lifetime_s: u32,
    /// It listens only for a while after it spoke.
    pub queue_mode: bool,
    /// For how long, in queue mode.
    pub awake_window: Duration,
    /// Further queries of Register.
    pub queries: Vec<(String, String)>,
    /// The enclosure id that goes into the CoAP option of Register and Update.
    pub enclosure: Option<String>,
    /// The number of that option.
    pub enclosure_option: Option<u16>,
    /// Where message ids, tokens and jitter begin; different for each device and start.
    pub seed: u64,
}

/// A value as its owner writes it: JSON, `{"opaque": "<hex>"}` for bytes. Typed by the definition of the resource; where
/// there is none by what stands beside it, `{"objlnk": "3303:0"}` or `{"time": 1764000000}`, or by the JSON itself.
pub fn parse_value(definitions: &Definitions, path: &str, json: &[u8]) -> Result<(Path, Value), String> {
    let parsed = Path::parse(path).map_err(|error| format!("{path:.40}: {error}"))?;
    if parsed.depth() < 3 {
        return Err(format!("{path} is not a resource"));
    }
    let json: serde_json::Value = serde_json::from_slice(json).map_err(|error| error.to_string())?;
    if let Some(hex) = json.get("opaque").and_then(serde_json::Value::as_str) {
        return bytes_of_hex(hex).map(|bytes| (parsed, Value::Opaque(bytes))).ok_or_else(|| "not hex".to_owned());
    }
    let (json, said) = said_kind(&json).map_or((&json, None), |(value, kind)| (value, Some(kind)));
    let value = match definitions.kind(&parsed).or(said) {
        Some(kind) => Value::from_json(json, kind).map_err(|error| format!("{path}: {error}"))?,
        None => guessed(json).ok_or_else(|| format!("{path}: {json} is no value"))?,
    };
    Ok((parsed, value))
}

/// A value and the kind that stands beside it.
fn said_kind(json: &serde_json::Value) -> Option<(&serde_json::Value, Kind)> {
    let (name, value) = json.as_object().filter(|members| members.len() == 1)?.iter().next()?;
    Some((value, Kind::from_name(name).filter(|kind| kind.is_lost_in_json())?))
}

fn guessed(json: &serde_json::Value) -> Option<Value> {
    match json {
        serde_json::Value::Bool(value) => Some(Value::Boolean(*value)),
        serde_json::Value::String(value) => Some(Value::String(value.clone())),
        serde_json::Value::Number(value) => {
            value.as_i64().map(Value::Integer).or_else(|| value.as_f64().map(Value::Float))
        }
        _ => None,
    }
}

fn bytes_of_hex(hex: &str) -> Option<Vec<u8>> {
    let digits = hex.as_bytes();
    if !digits.len().is_multiple_of(2) || !hex.is_ascii() {
        return None;
    }
    digits.chunks(2).map(|pair| u8::from_str_radix(std::str::from_utf8(pair).ok()?, 16).ok()).collect()
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, reason = "a test may stop where it fails")]
    use super::*;

    fn value(path: &str, json: &str) -> Result<Value, String> {
        parse_value(Definitions::embedded(), path, json.as_bytes()).map(|(_, value)| value)
    }

    #[test]
    fn values_take_the_type_of_their_definition() {
        assert_eq!(value("/3/0/9", "87"), Ok(Value::Integer(87)));
        assert_eq!(value("/3303/0/5700", "9"), Ok(Value::Float(9.0)));
        assert_eq!(value("/26242/0/2", "1764000000"), Ok(Value::Time(1_764_000_000)));
        assert!(value("/3/0/9", "\"much\"").is_err());
    }

    #[test]
    fn what_is_not_defined_takes_the_type_of_its_json() {
        assert_eq!(value("/40000/0/1", "true"), Ok(Value::Boolean(true)));
        assert_eq!(value("/40000/0/1", "1.5"), Ok(Value::Float(1.5)));
        assert_eq!(value("/40000/0/1", r#"{"opaque":"00ff"}"#), Ok(Value::Opaque(vec![0, 255])));
        assert_eq!(value("/40000/0/1", r#"{"objlnk":"3303:0"}"#), Ok(Value::Link { object: 3303, instance: 0 }));
        assert_eq!(value("/40000/0/1", r#"{"time":1764000000}"#), Ok(Value::Time(1_764_000_000)));
        assert_eq!(value("/26242/0/2", r#"{"time":1764000000}"#), Ok(Value::Time(1_764_000_000)));
        assert!(value("/3/0/0", r#"{"time":1764000000}"#).is_err(), "a definition is stronger");
        assert!(value("/40000/0/1", r#"{"objlnk":"3303"}"#).is_err());
        assert!(value("/40000/0/1", r#"{"float":1}"#).is_err());
        assert!(value("/40000/0/1", "[1]").is_err());
        assert!(value("/40000/0", "1").is_err());
    }
}

/// What a Send carries.
#[derive(Debug, Clone, PartialEq)]
pub enum Readings {
    /// What is at these paths when it leaves.
    Now(Vec<Path>),
    /// These values, each with the time in Unix seconds at which it was true.
    Recorded(Vec<Record>),
}

impl From<Vec<Path>> for Readings {
    fn from(paths: Vec<Path>) -> Self {
        Self::Now(paths)
    }
}
