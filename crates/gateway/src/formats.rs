//! Which content format is spoken with whom.
//!
//! What a device says it understands (`ct` of its registration, OMA LwM2M Core 1.1 §6.2.1) decides, in the order of its
//! version; where it says nothing, its version alone. What it refused where another format served is remembered in a
//! set of bits and not tried again.

use coap::content_format::{
    CBOR, JSON, JSON_OLD, LWM2M_CBOR, OCTET_STREAM, OPAQUE_OLD, SENML_CBOR, SENML_JSON, TEXT_OLD, TEXT_PLAIN, TLV,
    TLV_OLD,
};
use lwm2m::{Definitions, Kind, Path, Version};
use serde_json::Value as Json;

use crate::command::Operation;

/// Every format that can be tried; its place here is its bit.
const ALL: [u16; 12] = [
    SENML_CBOR,
    SENML_JSON,
    LWM2M_CBOR,
    TLV,
    JSON,
    CBOR,
    TEXT_PLAIN,
    OCTET_STREAM,
    TLV_OLD,
    JSON_OLD,
    TEXT_OLD,
    OPAQUE_OLD,
];

/// Content formats that a device refused.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub(crate) struct Refused(u16);

impl Refused {
    /// These and one more.
    #[must_use]
    pub(crate) fn with(self, format: u16) -> Self {
        Self(self.0 | Self::bit(format))
    }

    /// These and those.
    #[must_use]
    pub(crate) fn and(self, others: Self) -> Self {
        Self(self.0 | others.0)
    }

    /// Of [`Refused::bits`]; those that mean nothing do no harm.
    pub(crate) const fn of_bits(bits: u16) -> Self {
        Self(bits)
    }

    pub(crate) const fn bits(self) -> u16 {
        self.0
    }

    pub(crate) fn contains(self, format: u16) -> bool {
        self.0 & Self::bit(format) != 0
    }

    fn bit(format: u16) -> u16 {
        ALL.iter().position(|known| *known == format).map_or(0, |place| 1 << place)
    }
}

/// What a payload has to carry.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Content {
    /// Values with their paths.
    Tree,
    /// One value, whose path is that of the request.
    Value,
    /// The same, and it is opaque: text would be Base64.
    Bytes,
}

impl Content {
    /// What stands at a path.
    pub(crate) fn at(path: &Path, definitions: &Definitions) -> Self {
        let is_single = match (path.depth(), path.resource) {
            (3, Some(id)) => !definitions.resource(path.object, id).is_some_and(|resource| resource.multiple),
            (depth, _) => depth == 4,
        };
        match (is_single, definitions.kind(path)) {
            (false, _) => Self::Tree,
            (true, Some(Kind::Opaque)) => Self::Bytes,
            (true, _) => Self::Value,
        }
    }

    /// What a request has to carry there, or ask for.
    pub(crate) fn of(operation: Operation, path: &Path, body: Option<&Json>, definitions: &Definitions) -> Self {
        let has_paths = body.is_some_and(|body| body.get("values").is_some() || body.get("resources").is_some());
        if operation == Operation::Create || has_paths { Self::Tree } else { Self::at(path, definitions) }
    }

    /// Formats for a single value and nothing else. CBOR knows types and comes first.
    fn single(self) -> &'static [u16] {
        match self {
            Self::Tree => &[],
            Self::Value => &[CBOR, TEXT_PLAIN, TEXT_OLD],
            Self::Bytes => &[CBOR, OCTET_STREAM, OPAQUE_OLD],
        }
    }
}

/// Formats of trees, the best first, of a device that lists what it understands. What a newer version brought is no use
/// to an older client that does not say that it has it.
fn trees(version: Version) -> &'static [u16] {
    match version {
        Version::V1_0 => &[TLV, JSON, TLV_OLD, JSON_OLD, SENML_CBOR, SENML_JSON],
        Version::V1_1 => &[SENML_CBOR, SENML_JSON, TLV, LWM2M_CBOR, JSON, TLV_OLD, JSON_OLD],
        Version::V1_2 => &[LWM2M_CBOR, SENML_CBOR, SENML_JSON, TLV, JSON, TLV_OLD, JSON_OLD],
    }
}

/// The same of one that lists nothing: what its version has, and what drafts of it had.
fn usual(version: Version, content: Content) -> Vec<u16> {
    // OMA LwM2M Core 1.0 §6.4, 1.1 and 1.2 §7.4.
    let (trees, has_cbor): (&[u16], bool) = match version {
        Version::V1_0 => (&[TLV, JSON, TLV_OLD, JSON_OLD], false),
        Version::V1_1 => (&[SENML_CBOR, SENML_JSON, TLV, JSON], true),
        Version::V1_2 => (&[SENML_CBOR, SENML_JSON, LWM2M_CBOR, TLV], true),
    };
    let is_usual = |format: &u16| match *format {
        CBOR => has_cbor,
        TEXT_OLD | OPAQUE_OLD => version == Version::V1_0,
        _ => true,
    };
    trees.iter().chain(content.single().iter().filter(|format| is_usual(format))).copied().collect()
}

/// Content formats to try with a device, best first. A list with nothing that serves is no help, and passed over.
fn formats(version: Version, understood: &[u16], content: Content) -> Vec<u16> {
    let all = trees(version).iter().chain(content.single());
    let listed: Vec<u16> = all.copied().filter(|format| understood.contains(format)).collect();
    if listed.is_empty() { usual(version, content) } else { listed }
}

/// How to choose a content format: [`choose`], or [`choose_timed`] for what is observed.
pub(crate) type Choose = fn(Version, &[u16], Content, Refused) -> Option<u16>;

/// The best content format that is not among those refused.
pub(crate) fn choose(version: Version, understood: &[u16], content: Content, refused: Refused) -> Option<u16> {
    formats(version, understood, content).into_iter().find(|format| !refused.contains(*format))
}

/// The same for what is observed: SenML where there is a choice. Only that can say when values were that could not be told
/// at the time (`hqmax`, OMA LwM2M Core 1.2 §7.3).
pub(crate) fn choose_timed(version: Version, understood: &[u16], content: Content, refused: Refused) -> Option<u16> {
    let timed = choose(version, understood, content, refused.with(LWM2M_CBOR));
    timed
        .filter(|format| matches!(*format, SENML_CBOR | SENML_JSON))
        .or_else(|| choose(version, understood, content, refused))
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)] // a test that cannot go on should stop
    use super::*;

    fn at(path: &str) -> Content {
        Content::at(&Path::parse(path).unwrap(), Definitions::embedded())
    }

    #[test]
    fn every_version_is_offered_its_own_formats_first() {
        assert_eq!(formats(Version::V1_0, &[], Content::Tree), [TLV, JSON, TLV_OLD, JSON_OLD]);
        assert_eq!(formats(Version::V1_1, &[], Content::Tree), [SENML_CBOR, SENML_JSON, TLV, JSON]);
        assert_eq!(formats(Version::V1_2, &[], Content::Tree), [SENML_CBOR, SENML_JSON, LWM2M_CBOR, TLV]);
    }

    #[test]
    fn what_a_client_lists_decides() {
        let listed = [TLV, SENML_JSON, LWM2M_CBOR, SENML_CBOR];

        assert_eq!(formats(Version::V1_2, &listed, Content::Tree), [LWM2M_CBOR, SENML_CBOR, SENML_JSON, TLV]);
        assert_eq!(formats(Version::V1_1, &listed, Content::Tree), [SENML_CBOR, SENML_JSON, TLV, LWM2M_CBOR]);
        assert_eq!(formats(Version::V1_0, &[JSON_OLD, TLV_OLD], Content::Tree), [TLV_OLD, JSON_OLD]);
        assert_eq!(formats(Version::V1_1, &[50], Content::Tree).len(), 4, "a list with none of ours is no help");
    }

    #[test]
    fn what_is_observed_comes_in_a_format_that_can_tell_times() {
        let of = |version, listed: &[u16]| choose_timed(version, listed, Content::Value, Refused::default());

        assert_eq!(of(Version::V1_2, &[TLV, LWM2M_CBOR, SENML_CBOR]), Some(SENML_CBOR));
        assert_eq!(of(Version::V1_2, &[TLV, LWM2M_CBOR, SENML_JSON]), Some(SENML_JSON));
        assert_eq!(of(Version::V1_2, &[TLV, LWM2M_CBOR]), Some(LWM2M_CBOR), "where it has nothing better");
        assert_eq!(of(Version::V1_0, &[]), Some(TLV));
        let refused = Refused::default().with(SENML_CBOR);
        let second = choose_timed(Version::V1_2, &[LWM2M_CBOR, SENML_CBOR], Content::Value, refused);
        assert_eq!(second, Some(LWM2M_CBOR));
    }

    #[test]
    fn a_single_value_may_go_by_itself_where_nothing_else_is_known() {
        assert_eq!(formats(Version::V1_1, &[TEXT_PLAIN, OCTET_STREAM], Content::Value), [TEXT_PLAIN]);
        assert_eq!(formats(Version::V1_1, &[TEXT_PLAIN, OCTET_STREAM], Content::Bytes), [OCTET_STREAM]);
        assert_eq!(formats(Version::V1_2, &[TEXT_PLAIN, CBOR], Content::Value), [CBOR, TEXT_PLAIN]);
        assert_eq!(formats(Version::V1_1, &[TEXT_PLAIN], Content::Tree), usual(Version::V1_1, Content::Tree));
        assert_eq!(usual(Version::V1_0, Content::Value), [TLV, JSON, TLV_OLD, JSON_OLD, TEXT_PLAIN, TEXT_OLD]);
    }

    #[test]
    fn what_a_path_holds_follows_from_its_definition() {
        assert_eq!([at("/"), at("/3"), at("/3/0"), at("/3/0/6")], [Content::Tree; 4]);
        assert_eq!([at("/3/0/9"), at("/3/0/6/0"), at("/50000/0/1")], [Content::Value; 3]);
        assert_eq!(at("/5/0/0"), Content::Bytes);
    }

    #[test]
    fn what_was_refused_is_not_tried_again_until_nothing_is_left() {
        let mut refused = Refused::default();
        let mut tried = Vec::new();
        while let Some(format) = choose(Version::V1_0, &[], Content::Value, refused) {
            tried.push(format);
            refused = refused.with(format);
        }

        assert_eq!(tried, usual(Version::V1_0, Content::Value));
        assert!(refused.contains(TEXT_OLD) && !refused.contains(CBOR));
        assert_eq!(refused.and(Refused::default().with(CBOR)), refused.with(CBOR));
    }
}
