//! Object definitions as the OMA registry publishes them: XML of the schema `LWM2M.xsd`, whichever version of it.

use std::collections::BTreeSet;
use std::fmt;

use roxmltree::{Document, Node, ParsingOptions};

use crate::object::{ObjectDefinition, Operations, ResourceDefinition};
use crate::path::ID_RESERVED;
use crate::registration::{excerpt, parse_version};
use crate::value::Kind;

/// Longest file: the largest of the registry has 150 KB, most of it prose.
pub const XML_BYTES_MAX: usize = 4 * 1024 * 1024;

/// A file that is no definition, and the line that says so.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct XmlError {
    /// From 1.
    pub line: u32,
    /// What is wrong there.
    pub fault: XmlFault,
}

/// What is wrong with a definition.
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub enum XmlFault {
    /// Too large to be one.
    TooLong,
    /// Not well-formed, or with a DTD.
    NotXml {
        /// The parser's words.
        reason: String,
    },
    /// Well-formed, and something else.
    NoObject,
    /// An element that has to be there.
    Missing {
        /// Its name.
        element: &'static str,
    },
    /// An element that says what it cannot say.
    Invalid {
        /// Its name.
        element: &'static str,
        /// What it says.
        text: String,
    },
    /// Two resources of one id.
    Twice {
        /// The id.
        resource: u16,
    },
}

/// Reads all objects of a file.
pub fn read_objects(text: &str) -> Result<Vec<ObjectDefinition>, XmlError> {
    if text.len() > XML_BYTES_MAX {
        return Err(XmlError { line: 1, fault: XmlFault::TooLong });
    }
    // Not the default alone: what keeps a file from growing by entities should be seen here.
    let options = ParsingOptions { allow_dtd: false, ..ParsingOptions::default() };
    let document = Document::parse_with_options(text, options)
        .map_err(|error| XmlError { line: error.pos().row, fault: XmlFault::NotXml { reason: error.to_string() } })?;
    let objects: Result<Vec<_>, _> =
        document.root_element().children().filter(|n| n.has_tag_name("Object")).map(object).collect();
    let objects = objects?;
    if objects.is_empty() || !document.root_element().has_tag_name("LWM2M") {
        return Err(fault(document.root_element(), XmlFault::NoObject));
    }
    Ok(objects)
}

fn object(node: Node<'_, '_>) -> Result<ObjectDefinition, XmlError> {
    let mut ids = BTreeSet::new();
    let mut resources = Vec::new();
    for item in child(node, "Resources")?.children().filter(|node| node.has_tag_name("Item")) {
        let resource = resource(item)?;
        if !ids.insert(resource.id) {
            return Err(fault(item, XmlFault::Twice { resource: resource.id }));
        }
        resources.push(resource);
    }
    resources.sort_by_key(|resource| resource.id);
    let version = match node.children().find(|node| node.has_tag_name("ObjectVersion")) {
        Some(said) if !text(said).is_empty() => {
            parse_version(text(said)).ok_or_else(|| invalid(said, "ObjectVersion"))?
        }
        // The schema's first version knows none.
        _ => (1, 0),
    };
    let number = child(node, "ObjectID")?;
    Ok(ObjectDefinition {
        id: id(text(number)).ok_or_else(|| invalid(number, "ObjectID"))?,
        name: text(child(node, "Name")?).to_owned(),
        version,
        multiple: either(node, "MultipleInstances", "Multiple", "Single")?,
        mandatory: either(node, "Mandatory", "Mandatory", "Optional")?,
        resources,
    })
}

fn resource(item: Node<'_, '_>) -> Result<ResourceDefinition, XmlError> {
    let number = item.attribute("ID").unwrap_or_default();
    let id = id(number).ok_or_else(|| fault(item, XmlFault::Invalid { element: "ID", text: excerpt(number) }))?;
    let letters = child(item, "Operations")?;
    let operations = Operations::parse(text(letters)).ok_or_else(|| invalid(letters, "Operations"))?;
    let said = child(item, "Type")?;
    let kind = match text(said) {
        "" if operations.read || operations.write => return Err(invalid(said, "Type")),
        "" => None,
        word => Some(Kind::from_name(&word.to_lowercase()).ok_or_else(|| invalid(said, "Type"))?),
    };
    let words = |name| {
        let found = item.children().find(|node| node.has_tag_name(name)).map(text);
        found.filter(|words| !words.is_empty()).map(str::to_owned)
    };
    Ok(ResourceDefinition {
        id,
        name: text(child(item, "Name")?).to_owned(),
        operations,
        multiple: either(item, "MultipleInstances", "Multiple", "Single")?,
        mandatory: either(item, "Mandatory", "Mandatory", "Optional")?,
        kind,
        range: words("RangeEnumeration"),
        units: words("Units"),
    })
}

fn child<'a, 'i>(node: Node<'a, 'i>, element: &'static str) -> Result<Node<'a, 'i>, XmlError> {
    let found = node.children().find(|child| child.has_tag_name(element));
    found.ok_or_else(|| fault(node, XmlFault::Missing { element }))
}

fn text<'a>(node: Node<'a, '_>) -> &'a str {
    node.text().unwrap_or_default().trim()
}

/// An element of two words: whether it says the first.
fn either(node: Node<'_, '_>, element: &'static str, yes: &str, no: &str) -> Result<bool, XmlError> {
    let said = child(node, element)?;
    match text(said) {
        word if word.eq_ignore_ascii_case(yes) => Ok(true),
        word if word.eq_ignore_ascii_case(no) => Ok(false),
        _ => Err(invalid(said, element)),
    }
}

fn id(digits: &str) -> Option<u16> {
    let is_number = digits.bytes().all(|byte| byte.is_ascii_digit());
    digits.parse().ok().filter(|id| is_number && *id != ID_RESERVED)
}

fn invalid(node: Node<'_, '_>, element: &'static str) -> XmlError {
    fault(node, XmlFault::Invalid { element, text: excerpt(text(node)) })
}

fn fault(node: Node<'_, '_>, fault: XmlFault) -> XmlError {
    XmlError { line: node.document().text_pos_at(node.range().start).row, fault }
}

impl fmt::Display for XmlError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "line {}: ", self.line)?;
        match &self.fault {
            XmlFault::TooLong => write!(f, "more than {} MiB", XML_BYTES_MAX >> 20),
            XmlFault::NotXml { reason } => f.write_str(reason),
            XmlFault::NoObject => f.write_str("no <Object> of <LWM2M>"),
            XmlFault::Missing { element } => write!(f, "<{element}> is missing"),
            XmlFault::Invalid { element, text } => write!(f, "{element} cannot be {text:?}"),
            XmlFault::Twice { resource } => write!(f, "resource {resource} is there twice"),
        }
    }
}

impl std::error::Error for XmlError {}

#[cfg(test)]
mod tests {
    // A test that cannot go on should stop.
    #![allow(clippy::unwrap_used)]
    use super::*;

    const ITEM: &str = r#"<Item ID="1"><Name>Rate</Name><Operations>RW</Operations><MultipleInstances>Single</MultipleInstances>
<Mandatory>Mandatory</Mandatory><Type>Float</Type><RangeEnumeration>0..10</RangeEnumeration><Units>kg/min</Units><Description/></Item>
<Item ID="0"><Name>Feed</Name><Operations>E</Operations><MultipleInstances>Single</MultipleInstances>
<Mandatory>Optional</Mandatory><Type></Type><RangeEnumeration/><Units/></Item>"#;

    fn file(head: &str, items: &str) -> String {
        format!(
            "<?xml version=\"1.0\" encoding=\"UTF-8\"?>\n<LWM2M xmlns:xsi=\"http://www.w3.org/2001/XMLSchema-instance\">\n<Object ObjectType=\"MODefinition\">\n{head}\
             \n<Resources>{items}</Resources></Object></LWM2M>"
        )
    }

    fn head(version: &str) -> String {
        format!(
            "<Name>Feeder</Name><Description1>Feeds &amp; counts</Description1><ObjectID>41001</ObjectID>{version}\
             <MultipleInstances>Multiple</MultipleInstances><Mandatory>Optional</Mandatory>"
        )
    }

    #[test]
    fn a_file_of_the_registry_is_read() {
        let read = read_objects(&file(&head("<ObjectVersion>1.1</ObjectVersion>"), ITEM)).unwrap();

        assert_eq!(read.len(), 1);
        let feeder = &read[0];
        assert_eq!((feeder.id, feeder.name.as_str(), feeder.version), (41_001, "Feeder", (1, 1)));
        assert!(feeder.multiple && !feeder.mandatory);
        let rate = feeder.resource(1).unwrap();
        assert_eq!((rate.kind, rate.units.as_deref(), rate.mandatory), (Some(Kind::Float), Some("kg/min"), true));
        assert_eq!((feeder.resource(0).unwrap().kind, &feeder.resource(0).unwrap().range), (None, &None));
        assert!(feeder.resource(0).unwrap().operations.execute);
        assert_eq!(
            read_objects(&file(&head(""), ITEM)).unwrap()[0].version,
            (1, 0),
            "the first schema knows no version"
        );
    }

    #[test]
    fn every_type_of_the_schema_is_known() {
        for (word, kind) in [("Unsigned Integer", Kind::Unsigned), ("Corelnk", Kind::CoreLink), ("Objlnk", Kind::Link)]
        {
            let read = read_objects(&file(&head(""), &ITEM.replace("Float", word))).unwrap();
            assert_eq!(read[0].resource(1).unwrap().kind, Some(kind));
        }
    }

    #[test]
    fn a_bad_file_is_told_by_its_line() {
        let good = file(&head(""), ITEM);
        let refused = |from: &str, to: &str| read_objects(&good.replacen(from, to, 1)).unwrap_err().to_string();

        assert_eq!(refused("<ObjectID>41001", "<ObjectID>65535"), "line 4: ObjectID cannot be \"65535\"");
        assert_eq!(refused("<Name>Feeder</Name>", ""), "line 3: <Name> is missing");
        assert_eq!(refused("Float", "Real"), "line 6: Type cannot be \"Real\"");
        assert_eq!(refused("<Type>Float</Type>", "<Type/>"), "line 6: Type cannot be \"\"");
        assert_eq!(refused("RW", "RX"), "line 5: Operations cannot be \"RX\"");
        assert_eq!(refused("ID=\"0\"", "ID=\"1\""), "line 7: resource 1 is there twice");
        assert_eq!(refused("ID=\"1\"", "ID=\"one\""), "line 5: ID cannot be \"one\"");
        assert_eq!(refused(">Multiple<", ">Many<"), "line 4: MultipleInstances cannot be \"Many\"");
        assert!(refused("</Resources>", "").starts_with("line "));
        assert_eq!(read_objects("<LWM2M/>").unwrap_err().to_string(), "line 1: no <Object> of <LWM2M>");
        assert!(read_objects("").is_err());
    }

    #[test]
    fn no_file_grows_by_entities() {
        let bomb = "<!DOCTYPE x [<!ENTITY a \"aaaaaaaaaa\"><!ENTITY b \"&a;&a;&a;&a;\">]>\n<LWM2M>&b;</LWM2M>";

        assert!(matches!(read_objects(bomb).unwrap_err().fault, XmlFault::NotXml { .. }));
    }
}
