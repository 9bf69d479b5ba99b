//! How clients prove who they are: one key for all, or a certificate of each.

use dtls::{Client, ClientOptions, OwnCertificate, TrustAnchors};
use serde::Deserialize;
use zeroize::Zeroizing;

/// A way to prove it.
pub enum Credential {
    /// A pre-shared key, the same for all; the identity is the endpoint name.
    Key(Zeroizing<Vec<u8>>),
    /// Certificates.
    Certificates(Box<Certificates>),
}

/// What [`Certificates::parse`] reads, in hexadecimal DER.
#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Written {
    /// Who vouches for the server.
    authority: String,
    /// Of each client, by its number: certificate and key.
    devices: Vec<(String, String)>,
}

/// A certificate of each client, and whom they trust.
pub struct Certificates {
    own: Vec<OwnCertificate>,
    anchors: TrustAnchors,
}

impl Certificates {
    /// Reads `{"authority": HEX, "devices": [[HEX of a certificate, HEX of its key], ...]}`, DER each.
    pub fn parse(text: &str) -> Result<Self, String> {
        let written: Written = serde_json::from_str(text).map_err(|error| error.to_string())?;
        let mut anchors = TrustAnchors::new();
        let authority = bytes(&written.authority).ok_or("the authority is not hexadecimal")?;
        anchors.put(&authority).map_err(|error| error.to_string())?;
        let own = |(certificate, key): (String, String)| {
            let (certificate, key) = bytes(&certificate).zip(bytes(&key)).ok_or("a device is not hexadecimal")?;
            Ok(OwnCertificate { chain: vec![certificate], key: Zeroizing::new(key) })
        };
        Ok(Self { own: written.devices.into_iter().map(own).collect::<Result<_, &str>>()?, anchors })
    }
}

impl Credential {
    /// Whom the clients trust to vouch for the server.
    pub(crate) fn anchors(&self) -> &TrustAnchors {
        static NOBODY: std::sync::LazyLock<TrustAnchors> = std::sync::LazyLock::new(TrustAnchors::new);
        match self {
            Self::Key(_) => &NOBODY,
            Self::Certificates(certificates) => &certificates.anchors,
        }
    }

    /// A client that proves itself as the one of this number and name.
    pub(crate) fn client(&self, number: u32, endpoint: &str, options: &ClientOptions) -> Result<Client, String> {
        let client = match self {
            Self::Key(key) => Client::new(endpoint.as_bytes(), key, options),
            Self::Certificates(certificates) => {
                let own = certificates.own.get(number as usize).ok_or("no certificate")?;
                Client::with_certificate(own, None, options)
            }
        };
        client.map_err(|error| error.to_string())
    }
}

/// Bytes in hexadecimal.
pub fn bytes(text: &str) -> Option<Vec<u8>> {
    if !text.len().is_multiple_of(2) || !text.is_ascii() {
        return None;
    }
    (0..text.len()).step_by(2).map(|at| u8::from_str_radix(&text[at..at + 2], 16).ok()).collect()
}
