//! Whom a device is to talk to, as the Security and the Server object say it (objects 0 and 1; Core 1.1 §E.1, §E.2).

use std::collections::BTreeSet;
use std::fmt;
use std::time::Duration;

use dtls::{OwnCertificate, TrustAnchors};
use lwm2m::{Path, Value};

use crate::command::Credential;
use crate::server_object;
use crate::tree::{SECURITY_OBJECT, Tree};

/// Resources of the Security object.
const URI: u16 = 0;
const BOOTSTRAP_SERVER: u16 = 1;
const MODE: u16 = 2;
/// Identity of a key, or our certificate.
const PUBLIC: u16 = 3;
/// The certificate that vouches for the server.
const SERVER_PUBLIC: u16 = 4;
const SECRET: u16 = 5;
const SHORT_SERVER_ID: u16 = 10;
const HOLD_OFF: u16 = 11;
const ACCOUNT_TIMEOUT: u16 = 12;
const SNI: u16 = 14;

/// Values of the Security Mode (Core 1.1 §E.1, resource 2).
const MODE_PSK: i64 = 0;
const MODE_X509: i64 = 2;
const MODE_NOSEC: i64 = 3;

/// Servers of one device; the specification's examples have two, and each costs attempts before the next is tried.
pub const ACCOUNTS_MAX: usize = 8;

/// One server.
#[derive(Debug)]
pub(crate) struct Account {
    /// Its instance of the Security object.
    pub(crate) security: u16,
    /// Its instance of the Server object; none of the bootstrap server.
    pub(crate) server: Option<u16>,
    pub(crate) uri: String,
    pub(crate) credential: Option<Credential>,
    /// How long to wait before the bootstrap server is asked.
    pub(crate) hold_off: Duration,
    /// How long the bootstrap server's account lives on after a registration; for ever if nothing is said.
    pub(crate) timeout: Option<Duration>,
    /// The lower, the earlier it is registered with (Core 1.1 §E.2, resource 13).
    order: u32,
}

/// What does not fit together.
#[derive(Debug, PartialEq, Eq)]
pub(crate) struct Unfit {
    path: Path,
    why: &'static str,
}

impl fmt::Display for Unfit {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(formatter, "{}: {}", self.path, self.why)
    }
}

impl Account {
    /// What is said to the server with each registration: the queries of its URI.
    pub(crate) fn queries(&self) -> Vec<(String, String)> {
        let queries = self.uri.split_once('?').map_or("", |(_, queries)| queries);
        let pairs = queries.split('&').filter(|query| !query.is_empty());
        pairs.map(|query| query.split_once('=').unwrap_or((query, ""))).map(|(n, v)| (n.into(), v.into())).collect()
    }
}

/// The servers to register with, the first one first.
pub(crate) fn servers(tree: &Tree) -> Result<Vec<Account>, Unfit> {
    let mut accounts = Vec::new();
    let mut ids = BTreeSet::new();
    for security in instances(tree, SECURITY_OBJECT) {
        if is_bootstrap(tree, security) {
            continue;
        }
        let at = Path::of_resource(SECURITY_OBJECT, security, SHORT_SERVER_ID);
        let id = number(tree, &at).filter(|id| (1..=65_534).contains(id));
        let id = id.ok_or(Unfit { path: at, why: "a short server id is needed" })?;
        if !ids.insert(id) {
            return Err(Unfit { path: at, why: "two servers have the same short server id" });
        }
        let of_id = |server: &u16| number(tree, &Path::of_resource(1, *server, 0)) == Some(id);
        let server = instances(tree, 1).into_iter().find(of_id);
        let server = server.ok_or(Unfit { path: at, why: "there is no Server object with this short server id" })?;
        let lifetime = Path::of_resource(1, server, server_object::LIFETIME);
        if number(tree, &lifetime).is_none_or(|seconds| u32::try_from(seconds).is_err()) {
            return Err(Unfit { path: lifetime, why: "a lifetime is needed" });
        }
        let order = number(tree, &Path::of_resource(1, server, server_object::PRIORITY_ORDER));
        let order = order.and_then(|order| u32::try_from(order).ok()).unwrap_or(u32::MAX);
        accounts.push(Account { server: Some(server), order, ..account(tree, security)? });
    }
    for server in instances(tree, 1) {
        let path = Path::of_resource(1, server, 0);
        if number(tree, &path).is_none_or(|id| !ids.contains(&id)) {
            return Err(Unfit { path, why: "there is no Security object with this short server id" });
        }
    }
    if accounts.len() > ACCOUNTS_MAX {
        return Err(Unfit { path: Path::of_object(SECURITY_OBJECT), why: "too many servers" });
    }
    accounts.sort_by_key(|account| (account.order, account.security));
    Ok(accounts)
}

/// The bootstrap server, if it knows one.
pub(crate) fn bootstrap_server(tree: &Tree) -> Result<Option<Account>, Unfit> {
    let mut found = None;
    for security in instances(tree, SECURITY_OBJECT).into_iter().filter(|security| is_bootstrap(tree, *security)) {
        if found.is_some() {
            let path = Path::of_instance(SECURITY_OBJECT, security);
            return Err(Unfit { path, why: "a second bootstrap server" });
        }
        found = Some(account(tree, security)?);
    }
    Ok(found)
}

/// Whether an instance of the Security object is the bootstrap server's.
pub(crate) fn is_bootstrap(tree: &Tree, security: u16) -> bool {
    let at = Path::of_resource(SECURITY_OBJECT, security, BOOTSTRAP_SERVER);
    tree.get(&at) == Some(&Value::Boolean(true))
}

/// The instances of an object, the Security object included.
pub(crate) fn instances(tree: &Tree, object: u16) -> BTreeSet<u16> {
    tree.with_keys(&Path::of_object(object)).filter_map(|(path, _)| path.instance).collect()
}

/// The short server id and the URI of an instance, as Discover shows them.
pub(crate) fn shown(tree: &Tree, security: u16) -> (Option<i64>, Option<&str>) {
    let at = |resource| Path::of_resource(SECURITY_OBJECT, security, resource);
    (number(tree, &at(SHORT_SERVER_ID)), text(tree, &at(URI)))
}

/// Whether a resource of the Server object says no.
pub(crate) fn says_no(tree: &Tree, server: u16, resource: u16) -> bool {
    tree.get(&Path::of_resource(1, server, resource)) == Some(&Value::Boolean(false))
}

fn account(tree: &Tree, security: u16) -> Result<Account, Unfit> {
    let at = |resource| Path::of_resource(SECURITY_OBJECT, security, resource);
    let uri = text(tree, &at(URI)).ok_or(Unfit { path: at(URI), why: "a URI is needed" })?;
    let is_secure = match uri.split_once("://").map(|(scheme, _)| scheme) {
        Some("coaps" | "coaps+tcp") => true,
        Some("coap" | "coap+tcp") => false,
        _ => return Err(Unfit { path: at(URI), why: "not a URI such as coaps://HOST:PORT" }),
    };
    let credential = match number(tree, &at(MODE)) {
        Some(MODE_PSK) => Some(psk(tree, security)?),
        Some(MODE_X509) => Some(x509(tree, security, uri)?),
        Some(MODE_NOSEC) => None,
        _ => return Err(Unfit { path: at(MODE), why: "the mode is neither 0 (key), 2 (certificate) nor 3 (none)" }),
    };
    if is_secure != credential.is_some() {
        return Err(Unfit { path: at(MODE), why: "the mode does not fit the URI" });
    }
    let seconds = |resource| number(tree, &at(resource)).and_then(|seconds| u32::try_from(seconds).ok());
    Ok(Account {
        security,
        server: None,
        uri: uri.to_owned(),
        credential,
        hold_off: Duration::from_secs(seconds(HOLD_OFF).unwrap_or_default().into()),
        // 0 keeps it, too (Core 1.1 §E.1, resource 12).
        timeout: seconds(ACCOUNT_TIMEOUT).filter(|seconds| *seconds > 0).map(|s| Duration::from_secs(s.into())),
        order: u32::MAX,
    })
}

fn psk(tree: &Tree, security: u16) -> Result<Credential, Unfit> {
    let at = |resource| Path::of_resource(SECURITY_OBJECT, security, resource);
    let identity = filled(tree, at(PUBLIC), "an identity is needed")?;
    let key = filled(tree, at(SECRET), "a key is needed")?;
    Ok(Credential::Psk { identity: identity.to_vec(), key: key.to_vec().into() })
}

fn x509(tree: &Tree, security: u16, uri: &str) -> Result<Credential, Unfit> {
    let at = |resource| Path::of_resource(SECURITY_OBJECT, security, resource);
    let certificate = filled(tree, at(PUBLIC), "a certificate is needed")?;
    let key = filled(tree, at(SECRET), "the key of the certificate is needed")?;
    let authority = filled(tree, at(SERVER_PUBLIC), "a certificate that vouches for the server is needed")?;
    let mut anchors = TrustAnchors::new();
    if anchors.put(authority).is_err() {
        return Err(Unfit { path: at(SERVER_PUBLIC), why: "not a certificate that can vouch for a server" });
    }
    let name = text(tree, &at(SNI)).or_else(|| host(uri));
    Ok(Credential::X509 {
        own: OwnCertificate { chain: vec![certificate.to_vec()], key: key.to_vec().into() },
        authorities: vec![authority.to_vec()],
        server_name: name.map(str::to_owned),
    })
}

/// The host of a URI, without brackets.
fn host(uri: &str) -> Option<&str> {
    let authority = uri.split_once("://")?.1.split(['/', '?']).next()?;
    match authority.strip_prefix('[') {
        Some(bracketed) => bracketed.split(']').next(),
        None => authority.split(':').next(),
    }
}

fn number(tree: &Tree, path: &Path) -> Option<i64> {
    match tree.get(path)? {
        Value::Integer(number) => Some(*number),
        Value::Unsigned(number) => i64::try_from(*number).ok(),
        _ => None,
    }
}

fn text<'t>(tree: &'t Tree, path: &Path) -> Option<&'t str> {
    match tree.get(path)? {
        Value::String(text) => Some(text),
        _ => None,
    }
}

fn filled<'t>(tree: &'t Tree, path: Path, why: &'static str) -> Result<&'t [u8], Unfit> {
    match tree.get(&path) {
        Some(Value::Opaque(bytes)) if !bytes.is_empty() => Ok(bytes),
        _ => Err(Unfit { path, why }),
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, reason = "a test may stop where it fails")]
    use super::*;

    fn tree(values: &[(&str, Value)]) -> Tree {
        let mut tree = Tree::default();
        for (path, value) in values {
            tree.set(Path::parse(path).unwrap(), value.clone());
        }
        tree
    }

    fn server(id: u16, order: i64) -> Vec<(String, Value)> {
        vec![
            (format!("/0/{id}/0"), Value::String(format!("coaps://192.0.2.{id}?enclosure=enc-1&x"))),
            (format!("/0/{id}/1"), Value::Boolean(false)),
            (format!("/0/{id}/2"), Value::Integer(0)),
            (format!("/0/{id}/3"), Value::Opaque(b"identity".to_vec())),
            (format!("/0/{id}/5"), Value::Opaque(vec![7; 16])),
            (format!("/0/{id}/10"), Value::Integer(i64::from(id) + 100)),
            (format!("/1/{id}/0"), Value::Integer(i64::from(id) + 100)),
            (format!("/1/{id}/1"), Value::Integer(300)),
            (format!("/1/{id}/13"), Value::Integer(order)),
        ]
    }

    fn of(values: Vec<(String, Value)>) -> Tree {
        tree(&values.iter().map(|(path, value)| (path.as_str(), value.clone())).collect::<Vec<_>>())
    }

    #[test]
    fn servers_come_in_the_order_of_their_priority() {
        let tree = of([server(1, 5), server(2, 1)].concat());

        let found = servers(&tree).unwrap();

        assert_eq!(found.iter().map(|account| account.security).collect::<Vec<_>>(), [2, 1]);
        assert_eq!(found[0].queries(), [("enclosure".into(), "enc-1".into()), ("x".into(), String::new())]);
    }

    #[test]
    fn what_does_not_fit_together_is_named() {
        for (path, value, why) in [
            ("/0/1/0", Value::String("http://192.0.2.1".into()), "not a URI"),
            ("/0/1/0", Value::String("coap://192.0.2.1".into()), "does not fit"),
            ("/0/1/2", Value::Integer(1), "neither"),
            ("/0/1/2", Value::Integer(2), "vouches"),
            ("/0/1/5", Value::Opaque(Vec::new()), "a key is needed"),
            ("/0/1/10", Value::Integer(0), "short server id"),
            ("/0/1/10", Value::Integer(9), "no Server object"),
            ("/1/1/1", Value::Integer(-1), "a lifetime"),
            ("/1/2/0", Value::Integer(9), "no Security object"),
        ] {
            let mut tree = of(server(1, 0));
            tree.set(Path::parse(path).unwrap(), value);

            let refused = servers(&tree).unwrap_err().to_string();

            assert!(refused.contains(why), "{path}: {refused}");
        }
    }
}
