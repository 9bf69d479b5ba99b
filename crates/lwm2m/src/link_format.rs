//! CoRE links (RFC 6690), as Register, Update and Discover carry them.

use std::fmt;

use coap::code::Code;

use crate::path::Path;

/// Links of one payload. The largest recorded registration has 140.
pub const LINKS_MAX: usize = 1024;

/// Attributes of one link. Discover of a resource that has every attribute of LwM2M 1.2 shows twelve.
pub const ATTRIBUTES_PER_LINK_MAX: usize = 32;

/// Content formats of one device: more than exist for LwM2M.
const CONTENT_FORMATS_MAX: usize = 32;

/// The resource type of the root link.
const ROOT_TYPE: &str = "oma.lwm2m";

/// The objects of a device, or the answer to a Discover.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Links {
    /// Below which path the objects live; `/` unless the device says otherwise.
    pub root: String,
    /// Attributes of the root link, without `ct`.
    pub root_attributes: Vec<(String, Option<String>)>,
    /// Content formats the device says it understands; empty: it does not say.
    pub content_formats: Vec<u16>,
    /// Everything that is a path of LwM2M, in the order of the payload, without the root.
    pub objects: Vec<Link>,
}

/// One object, instance or resource.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Link {
    /// Where it is.
    pub path: Path,
    /// The version of the object, if it is not the default one.
    pub version: Option<String>,
    /// Every other attribute, in order. Quotes are taken off.
    pub attributes: Vec<(String, Option<String>)>,
}

/// A payload that is no list of links.
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub enum LinkError {
    /// Not UTF-8.
    NotUtf8,
    /// No link at all.
    Empty,
    /// Not what RFC 6690 §2 allows here.
    Malformed {
        /// The byte at which it went wrong.
        offset: usize,
    },
    /// More links than we hold.
    TooMany {
        /// The bound.
        links_max: usize,
    },
    /// More attributes at one link than we hold.
    TooManyAttributes {
        /// The bound.
        attributes_max: usize,
    },
}

impl Links {
    /// Links below `/`, without a root link.
    pub fn new(objects: Vec<Link>) -> Self {
        Self { root: "/".to_owned(), root_attributes: Vec::new(), content_formats: Vec::new(), objects }
    }

    /// Reads a payload. Tolerant of what real clients send: an alternate root, quoted or unquoted versions, unknown
    /// attributes, spaces, empty elements and a trailing comma; links that are no LwM2M path are passed over.
    pub fn parse(payload: &[u8]) -> Result<Self, LinkError> {
        Self::parse_below("/", payload)
    }

    /// The same, of a client that told its root when it registered: what it is asked to discover need not say it again.
    pub fn parse_below(root: &str, payload: &[u8]) -> Result<Self, LinkError> {
        let text = str::from_utf8(payload).map_err(|_| LinkError::NotUtf8)?;
        let links = Scanner { text, at: 0 }.links()?;
        if links.is_empty() {
            return Err(LinkError::Empty);
        }
        // OMA LwM2M Transport 1.1 §6.4.1, alternate path: the link with this resource type says where the objects live.
        let root = links.iter().find(|link| link.is_root()).map_or(root, |link| trim_end(&link.target)).to_owned();
        let mut found = Self { root, ..Self::new(Vec::new()) };
        for link in links {
            found.take(link);
        }
        Ok(found)
    }

    fn take(&mut self, link: Written) {
        let target = trim_end(&link.target);
        if target == self.root {
            for (name, value) in link.attributes {
                match (name.as_str(), &value) {
                    ("ct", Some(formats)) => self.content_formats.extend(
                        formats.split_whitespace().filter_map(|f| f.parse::<u16>().ok()).take(CONTENT_FORMATS_MAX),
                    ),
                    _ => self.root_attributes.push((name, value)),
                }
            }
            return;
        }
        let below = target.strip_prefix(self.root.as_str()).filter(|below| below.starts_with('/'));
        let path = Path::parse(below.unwrap_or(target)).or_else(|_| Path::parse(&format!("/{target}")));
        let Some(path) = path.ok().filter(|path| !path.is_root()) else { return };
        let mut object = Link::new(path);
        for (name, value) in link.attributes {
            match (name.as_str(), value) {
                ("ver", Some(version)) => object.version = Some(version),
                (_, value) => object.attributes.push((name, value)),
            }
        }
        self.objects.push(object);
    }

    /// Appends the links as a payload; the root link only if it says something.
    pub fn write(&self, out: &mut Vec<u8>) {
        let start = out.len();
        if self.root != "/" || !self.root_attributes.is_empty() || !self.content_formats.is_empty() {
            write_target(&self.root, None, out);
            self.root_attributes.iter().for_each(|(name, value)| write_attribute(name, value.as_deref(), out));
            if !self.content_formats.is_empty() {
                let formats: Vec<String> = self.content_formats.iter().map(u16::to_string).collect();
                write_attribute("ct", Some(&formats.join(" ")), out);
            }
        }
        for link in &self.objects {
            if out.len() > start {
                out.push(b',');
            }
            write_target(&self.root, Some(&link.path), out);
            if let Some(version) = &link.version {
                write_attribute("ver", Some(version), out);
            }
            link.attributes.iter().for_each(|(name, value)| write_attribute(name, value.as_deref(), out));
        }
    }
}

impl Link {
    /// A link without attributes.
    pub fn new(path: Path) -> Self {
        Self { path, version: None, attributes: Vec::new() }
    }
}

/// A link as it is written, before it means a path.
struct Written {
    /// Percent-decoded.
    target: String,
    attributes: Vec<(String, Option<String>)>,
}

impl Written {
    fn is_root(&self) -> bool {
        self.attributes.iter().any(|(name, value)| {
            name == "rt" && value.as_deref().is_some_and(|types| types.split_whitespace().any(|t| t == ROOT_TYPE))
        })
    }
}

struct Scanner<'a> {
    text: &'a str,
    at: usize,
}

impl<'a> Scanner<'a> {
    fn links(mut self) -> Result<Vec<Written>, LinkError> {
        let mut links = Vec::new();
        loop {
            self.skip(|c| c.is_ascii_whitespace() || c == ',');
            if self.peek().is_none() {
                return Ok(links);
            }
            if links.len() == LINKS_MAX {
                return Err(LinkError::TooMany { links_max: LINKS_MAX });
            }
            links.push(self.link()?);
        }
    }

    fn link(&mut self) -> Result<Written, LinkError> {
        self.expect('<')?;
        let target = percent_decoded(self.until(|c| c == '>'));
        self.expect('>')?;
        let mut attributes = Vec::new();
        loop {
            self.skip(|c| c.is_ascii_whitespace());
            match self.peek() {
                None | Some(',') => return Ok(Written { target, attributes }),
                Some(';') => self.at += 1,
                Some(_) => return Err(self.malformed()),
            }
            let Some(attribute) = self.attribute()? else { continue };
            if attributes.len() == ATTRIBUTES_PER_LINK_MAX {
                return Err(LinkError::TooManyAttributes { attributes_max: ATTRIBUTES_PER_LINK_MAX });
            }
            attributes.push(attribute);
        }
    }

    /// One attribute; `None` between two semicolons.
    fn attribute(&mut self) -> Result<Option<(String, Option<String>)>, LinkError> {
        self.skip(|c| c.is_ascii_whitespace());
        let name = self.until(|c| matches!(c, '=' | ';' | ',' | '<' | '>' | '"') || c.is_ascii_whitespace());
        self.skip(|c| c.is_ascii_whitespace());
        if name.is_empty() {
            return if matches!(self.peek(), None | Some(';' | ',')) { Ok(None) } else { Err(self.malformed()) };
        }
        if self.peek() != Some('=') {
            return Ok(Some((name.to_owned(), None)));
        }
        self.at += 1;
        self.skip(|c| c.is_ascii_whitespace());
        let value = match self.peek() {
            Some('"') => self.quoted()?,
            // Spaces inside are not allowed by RFC 6690, and written by clients that list content formats.
            _ => self.until(|c| matches!(c, ';' | ',' | '<' | '>' | '"')).trim_end().to_owned(),
        };
        Ok(Some((name.to_owned(), Some(value))))
    }

    fn quoted(&mut self) -> Result<String, LinkError> {
        self.expect('"')?;
        let mut value = String::new();
        loop {
            value.push_str(self.until(|c| matches!(c, '"' | '\\')));
            if self.peek() == Some('"') {
                self.at += 1;
                return Ok(value);
            }
            self.expect('\\')?;
            let escaped = self.peek().ok_or_else(|| self.malformed())?;
            value.push(escaped);
            self.at += escaped.len_utf8();
        }
    }

    fn until(&mut self, ends: impl Fn(char) -> bool) -> &'a str {
        let rest = self.rest();
        let taken = rest.find(ends).map_or(rest, |end| rest.split_at(end).0);
        self.at += taken.len();
        taken
    }

    fn skip(&mut self, passes: impl Fn(char) -> bool) {
        self.until(|c| !passes(c));
    }

    fn expect(&mut self, wanted: char) -> Result<(), LinkError> {
        if self.peek() != Some(wanted) {
            return Err(self.malformed());
        }
        self.at += wanted.len_utf8();
        Ok(())
    }

    fn peek(&self) -> Option<char> {
        self.rest().chars().next()
    }

    fn rest(&self) -> &'a str {
        self.text.get(self.at..).unwrap_or_default()
    }

    fn malformed(&self) -> LinkError {
        LinkError::Malformed { offset: self.at }
    }
}

/// `/lwm2m/` and `/lwm2m` are the same root; `/` stays.
fn trim_end(target: &str) -> &str {
    match target.trim_end_matches('/') {
        "" if !target.is_empty() => "/",
        trimmed => trimmed,
    }
}

/// A target without its percent signs (RFC 3986 §2.1); what is no escape stays as it is.
fn percent_decoded(target: &str) -> String {
    let mut bytes = Vec::with_capacity(target.len());
    let mut rest = target.as_bytes();
    while let Some((&first, after)) = rest.split_first() {
        let digits = after.get(..2).filter(|_| first == b'%').and_then(|two| str::from_utf8(two).ok());
        let decoded = digits.filter(|two| two.bytes().all(|b| b.is_ascii_hexdigit()));
        match decoded.and_then(|two| u8::from_str_radix(two, 16).ok()) {
            Some(byte) => {
                bytes.push(byte);
                rest = &after[2..];
            }
            None => {
                bytes.push(first);
                rest = after;
            }
        }
    }
    String::from_utf8(bytes).unwrap_or_else(|_| target.to_owned())
}

fn write_target(root: &str, path: Option<&Path>, out: &mut Vec<u8>) {
    out.push(b'<');
    if path.is_none() || root != "/" {
        for byte in root.bytes() {
            // Everything that could end the target, or that RFC 3986 does not allow in one.
            if byte.is_ascii_alphanumeric() || b"/-._~:@!$&'()*+=".contains(&byte) {
                out.push(byte);
            } else {
                out.extend_from_slice(format!("%{byte:02X}").as_bytes());
            }
        }
    }
    if let Some(path) = path {
        path.write(out);
    }
    out.push(b'>');
}

/// Numbers and versions go without quotes, as LwM2M 1.1 writes them; everything else in quotes.
fn write_attribute(name: &str, value: Option<&str>, out: &mut Vec<u8>) {
    out.push(b';');
    out.extend_from_slice(name.as_bytes());
    let Some(value) = value else { return };
    out.push(b'=');
    if !value.is_empty() && value.bytes().all(|byte| byte.is_ascii_digit() || b".-+e".contains(&byte)) {
        out.extend_from_slice(value.as_bytes());
        return;
    }
    out.push(b'"');
    for byte in value.bytes() {
        if matches!(byte, b'"' | b'\\') {
            out.push(b'\\');
        }
        out.push(byte);
    }
    out.push(b'"');
}

impl LinkError {
    /// The code to answer with.
    pub fn code(&self) -> Code {
        match self {
            Self::TooMany { .. } | Self::TooManyAttributes { .. } => Code::REQUEST_ENTITY_TOO_LARGE,
            _ => Code::BAD_REQUEST,
        }
    }
}

impl fmt::Display for LinkError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::NotUtf8 => f.write_str("links are not UTF-8"),
            Self::Empty => f.write_str("no links"),
            Self::Malformed { offset } => write!(f, "no link at byte {offset}"),
            Self::TooMany { links_max } => write!(f, "more than {links_max} links"),
            Self::TooManyAttributes { attributes_max } => write!(f, "more than {attributes_max} attributes at a link"),
        }
    }
}

impl std::error::Error for LinkError {}

#[cfg(test)]
mod tests {
    // A test that cannot go on should stop.
    #![allow(clippy::unwrap_used)]
    use super::*;

    fn written(links: &Links) -> String {
        let mut out = Vec::new();
        links.write(&mut out);
        String::from_utf8(out).unwrap()
    }

    #[test]
    fn what_is_written_reads_back_the_same() {
        for text in [
            r#"</>;rt="oma.lwm2m";ct="60 110 112",</1/0>,</3/0>;ver=1.1,</3303>"#,
            r#"</lwm2m>;rt="oma.lwm2m",</lwm2m/3/0>"#,
            r#"</a%20b>;rt="oma.lwm2m",</a%20b/3>"#,
            r#"</3/0>;pmin=10,</3/0/6>;dim=3,</3/0/9>;pmax=60;gt=-1.5;note="a \"b\" \\";flag"#,
            "</>;lwm2m=1.1,</0/0>;ssid=101,</0/1>,</1/0>;ssid=101",
        ] {
            assert_eq!(written(&Links::parse(text.as_bytes()).unwrap()), text);
        }
    }

    #[test]
    fn a_device_cannot_make_us_hold_more_links_than_the_bound() {
        let most = vec!["</3/0>"; LINKS_MAX].join(",");

        assert_eq!(Links::parse(most.as_bytes()).unwrap().objects.len(), LINKS_MAX);
        let error = Links::parse(format!("{most},</4/0>").as_bytes()).unwrap_err();
        assert_eq!(
            (error.code(), error),
            (Code::REQUEST_ENTITY_TOO_LARGE, LinkError::TooMany { links_max: LINKS_MAX })
        );
        let attributes = format!("</3/0>{}", ";a".repeat(ATTRIBUTES_PER_LINK_MAX + 1));
        assert!(matches!(Links::parse(attributes.as_bytes()), Err(LinkError::TooManyAttributes { .. })));
    }
}
