//! Content formats by number (RFC 7252 §12.3 and the IANA registry), as Content-Format and Accept carry them.

/// text/plain; charset=utf-8
pub const TEXT_PLAIN: u16 = 0;
/// application/link-format (RFC 6690)
pub const LINK_FORMAT: u16 = 40;
/// application/octet-stream
pub const OCTET_STREAM: u16 = 42;
/// application/json
pub const PLAIN_JSON: u16 = 50;
/// application/cbor (RFC 8949)
pub const CBOR: u16 = 60;
/// application/senml+json (RFC 8428)
pub const SENML_JSON: u16 = 110;
/// application/senml+cbor (RFC 8428)
pub const SENML_CBOR: u16 = 112;
/// application/vnd.oma.lwm2m+tlv
pub const TLV: u16 = 11542;
/// application/vnd.oma.lwm2m+json (LwM2M 1.0)
pub const JSON: u16 = 11543;
/// application/vnd.oma.lwm2m+cbor (LwM2M 1.2)
pub const LWM2M_CBOR: u16 = 11544;

/// Text, under the number that clients from before the registration still use.
pub const TEXT_OLD: u16 = 1541;
/// TLV, under the number that clients from before the registration still use.
pub const TLV_OLD: u16 = 1542;
/// JSON of LwM2M 1.0, under the number that clients from before the registration still use.
pub const JSON_OLD: u16 = 1543;
/// Opaque bytes, under the number that clients from before the registration still use.
pub const OPAQUE_OLD: u16 = 1544;

/// The registered number of a content format: drafts of LwM2M 1.0 numbered its four otherwise.
pub const fn registered(format: u16) -> u16 {
    match format {
        TEXT_OLD => TEXT_PLAIN,
        TLV_OLD => TLV,
        JSON_OLD => JSON,
        OPAQUE_OLD => OCTET_STREAM,
        other => other,
    }
}
