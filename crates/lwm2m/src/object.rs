//! Object definitions: what an id means, which operations it allows and which type its values have.

use std::collections::{BTreeMap, HashMap};
use std::fmt;
use std::sync::{Arc, OnceLock};

use serde::Deserialize;

use crate::path::Path;
use crate::registration::{parse_version, write_version};
use crate::value::Kind;

/// Facts of the OMA registry.
const REGISTRY: &str = include_str!("../../../objects/registry.json");

/// Our own objects.
const SHOAL: &str = include_str!("../../../objects/shoal.json");

/// Resource ids that mean the same in every object (OMA registry, "reusable resources").
const REUSABLE: std::ops::RangeInclusive<u16> = 2048..=26240;

/// Objects of the enabler itself. A client that does not say their version means that of the enabler, any other object
/// without one is of version 1.0 (OMA LwM2M Core 1.1 §7.2.2).
const OF_THE_ENABLER: std::ops::RangeInclusive<u16> = 0..=7;

/// Every object definition we know, by id and version. Clones share them.
#[derive(Debug, Clone, Default)]
pub struct Definitions {
    known: Arc<Known>,
    /// Versions that a device registered, by object; only where that is not the newest we know.
    registered: Box<[(u16, (u8, u8))]>,
}

#[derive(Debug, Clone, Default)]
struct Known {
    /// All versions of an object, oldest first.
    objects: BTreeMap<u16, Vec<ObjectDefinition>>,
    /// Kinds of the reusable resources on which all objects agree; `None` marks a disagreement.
    reusable: HashMap<u16, Option<Kind>>,
}

/// One version of an object.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ObjectDefinition {
    /// The object id.
    pub id: u16,
    /// The name in the registry.
    pub name: String,
    /// Major and minor version of the object.
    pub version: (u8, u8),
    /// Whether there may be more than one instance.
    pub multiple: bool,
    /// Whether every client has it.
    pub mandatory: bool,
    /// Its resources, by id.
    pub resources: Vec<ResourceDefinition>,
}

/// One resource of an object.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ResourceDefinition {
    /// The resource id.
    pub id: u16,
    /// The name in the registry.
    pub name: String,
    /// What a server may do with it.
    pub operations: Operations,
    /// Whether it may have several values.
    pub multiple: bool,
    /// Whether every instance has it.
    pub mandatory: bool,
    /// Its type; `None` for executables.
    pub kind: Option<Kind>,
    /// The range, in the words of the registry.
    pub range: Option<String>,
    /// The units, in the words of the registry.
    pub units: Option<String>,
}

/// What a server may do with a resource. None of them: reachable by bootstrap only.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Operations {
    /// Read, Observe, Discover.
    pub read: bool,
    /// Write.
    pub write: bool,
    /// Execute.
    pub execute: bool,
}

/// A definition file that cannot be used.
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub enum DefinitionError {
    /// Not the JSON described in `objects/README.md`.
    Json {
        /// Line, from 1: one object per line.
        line: usize,
        /// Column, from 1.
        column: usize,
    },
    /// An object version that is not `major.minor`.
    Version {
        /// The object id.
        object: u16,
    },
    /// A type that no value has.
    Type {
        /// The object id.
        object: u16,
        /// The resource id.
        resource: u16,
    },
    /// A letter other than R, W or E.
    Operations {
        /// The object id.
        object: u16,
        /// The resource id.
        resource: u16,
    },
}

impl Definitions {
    /// The definitions built into the program: the OMA registry and our own.
    pub fn embedded() -> &'static Self {
        static EMBEDDED: OnceLock<Definitions> = OnceLock::new();
        // That both files can be read is what the test below proves; without them every value would be opaque.
        EMBEDDED.get_or_init(|| Self::from_json(&[REGISTRY, SHOAL]).unwrap_or_default())
    }

    /// Reads definition files (`objects/README.md`); a later file replaces the same version of an object.
    pub fn from_json(files: &[&str]) -> Result<Self, DefinitionError> {
        let mut known = Known::default();
        for file in files {
            let lines: Vec<ObjectLine<'_>> = serde_json::from_str(file)
                .map_err(|error| DefinitionError::Json { line: error.line(), column: error.column() })?;
            for line in lines {
                known.add(line.into_definition()?);
            }
        }
        Ok(Self { known: Arc::new(known), registered: Box::default() })
    }

    /// These and more; one of them replaces the same version of an object.
    pub fn with(&self, objects: impl IntoIterator<Item = ObjectDefinition>) -> Self {
        let mut known = Known::clone(&self.known);
        objects.into_iter().for_each(|definition| known.add(definition));
        Self { known: Arc::new(known), registered: Box::default() }
    }

    /// The same for one device: its objects are of the versions that it registered. Of a version that nobody defined the
    /// newest is taken.
    pub fn registered<'v>(&self, objects: impl IntoIterator<Item = (u16, Option<&'v str>)>) -> Self {
        let mut said: BTreeMap<u16, Option<&str>> = BTreeMap::new();
        for (object, version) in objects {
            let before = said.entry(object).or_default();
            *before = before.or(version);
        }
        let chosen = said.into_iter().filter_map(|(object, version)| {
            let versions = self.known.objects.get(&object)?;
            let version = match version {
                Some(text) => parse_version(text)?,
                None if OF_THE_ENABLER.contains(&object) => return None,
                None => (1, 0),
            };
            let is_older =
                |(at, defined): (usize, &ObjectDefinition)| defined.version == version && at + 1 < versions.len();
            versions.iter().enumerate().any(is_older).then_some((object, version))
        });
        Self { known: Arc::clone(&self.known), registered: chosen.collect() }
    }

    /// The version of an object that the device registered, else the newest.
    pub fn object(&self, object: u16) -> Option<&ObjectDefinition> {
        let versions = self.known.objects.get(&object)?;
        let registered = self.registered.iter().find(|(id, _)| *id == object);
        registered
            .and_then(|(_, version)| versions.iter().find(|definition| definition.version == *version))
            .or_else(|| versions.last())
    }

    /// One version of an object, written as in a registration: `1.1`.
    pub fn object_version(&self, object: u16, version: &str) -> Option<&ObjectDefinition> {
        let version = parse_version(version)?;
        self.known.objects.get(&object)?.iter().find(|definition| definition.version == version)
    }

    /// A resource as the registered version of its object defines it, else the newest version that has it.
    pub fn resource(&self, object: u16, resource: u16) -> Option<&ResourceDefinition> {
        let versions = self.known.objects.get(&object)?;
        let newest = || versions.iter().rev().find_map(|definition| definition.resource(resource));
        self.object(object)?.resource(resource).or_else(newest)
    }

    /// The kind of the values at a path: from its object, else from what all objects agree a reusable resource is.
    pub fn kind(&self, path: &Path) -> Option<Kind> {
        let resource = path.resource?;
        match self.resource(path.object, resource) {
            Some(definition) => definition.kind,
            None => self.known.reusable.get(&resource).copied().flatten(),
        }
    }

    /// Every version of every object, by id, the oldest version first.
    pub fn iter(&self) -> impl Iterator<Item = &ObjectDefinition> {
        self.known.objects.values().flatten()
    }
}

impl Known {
    fn add(&mut self, definition: ObjectDefinition) {
        for resource in definition.resources.iter().filter(|r| REUSABLE.contains(&r.id)) {
            let Some(kind) = resource.kind else { continue };
            let agreed = self.reusable.entry(resource.id).or_insert(Some(kind));
            if *agreed != Some(kind) {
                *agreed = None;
            }
        }
        let versions = self.objects.entry(definition.id).or_default();
        versions.retain(|other| other.version != definition.version);
        versions.push(definition);
        versions.sort_by_key(|other| other.version);
    }
}

impl ObjectDefinition {
    /// The resource of that id.
    pub fn resource(&self, id: u16) -> Option<&ResourceDefinition> {
        let at = self.resources.binary_search_by_key(&id, |resource| resource.id).ok()?;
        self.resources.get(at)
    }

    /// The version as a registration writes it.
    pub fn version_text(&self) -> String {
        write_version(self.version)
    }
}

impl Operations {
    /// Reads `R`, `RW`, `E`, or nothing.
    pub fn parse(letters: &str) -> Option<Self> {
        letters.chars().try_fold(Self::default(), |so_far, letter| match letter {
            'R' => Some(Self { read: true, ..so_far }),
            'W' => Some(Self { write: true, ..so_far }),
            'E' => Some(Self { execute: true, ..so_far }),
            _ => None,
        })
    }
}

impl fmt::Display for Operations {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let letters = [(self.read, "R"), (self.write, "W"), (self.execute, "E")];
        letters.iter().filter(|(allowed, _)| *allowed).try_for_each(|(_, letter)| f.write_str(letter))
    }
}

/// An object as its line in the file says it.
#[derive(Deserialize)]
struct ObjectLine<'a> {
    id: u16,
    #[serde(borrow)]
    name: std::borrow::Cow<'a, str>,
    version: String,
    #[serde(default)]
    multiple: bool,
    #[serde(default)]
    mandatory: bool,
    #[serde(borrow)]
    resources: Vec<ResourceLine<'a>>,
}

#[derive(Deserialize)]
struct ResourceLine<'a> {
    id: u16,
    #[serde(borrow)]
    name: std::borrow::Cow<'a, str>,
    operations: String,
    #[serde(rename = "type")]
    kind: Option<String>,
    #[serde(default)]
    multiple: bool,
    #[serde(default)]
    mandatory: bool,
    range: Option<String>,
    units: Option<String>,
}

impl ObjectLine<'_> {
    fn into_definition(self) -> Result<ObjectDefinition, DefinitionError> {
        let object = self.id;
        let version = parse_version(&self.version).ok_or(DefinitionError::Version { object })?;
        let mut resources =
            self.resources.into_iter().map(|line| line.into_definition(object)).collect::<Result<Vec<_>, _>>()?;
        resources.sort_by_key(|resource| resource.id);
        Ok(ObjectDefinition {
            id: object,
            name: self.name.into_owned(),
            version,
            multiple: self.multiple,
            mandatory: self.mandatory,
            resources,
        })
    }
}

impl ResourceLine<'_> {
    fn into_definition(self, object: u16) -> Result<ResourceDefinition, DefinitionError> {
        let resource = self.id;
        let kind = match self.kind {
            Some(name) => Some(Kind::from_name(&name).ok_or(DefinitionError::Type { object, resource })?),
            None => None,
        };
        Ok(ResourceDefinition {
            id: resource,
            name: self.name.into_owned(),
            operations: Operations::parse(&self.operations).ok_or(DefinitionError::Operations { object, resource })?,
            multiple: self.multiple,
            mandatory: self.mandatory,
            kind,
            range: self.range,
            units: self.units,
        })
    }
}

impl fmt::Display for DefinitionError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Json { line, column } => write!(f, "no definition at line {line} column {column}"),
            Self::Version { object } => write!(f, "object {object} has a version that is not major.minor"),
            Self::Type { object, resource } => write!(f, "resource {object}/{resource} has an unknown type"),
            Self::Operations { object, resource } => write!(f, "resource {object}/{resource}: operations are R, W, E"),
        }
    }
}

impl std::error::Error for DefinitionError {}

#[cfg(test)]
mod tests {
    // A test that cannot go on should stop.
    #![allow(clippy::unwrap_used)]
    use super::*;

    #[test]
    fn the_embedded_definitions_can_be_read() {
        let definitions = Definitions::from_json(&[REGISTRY, SHOAL]).unwrap();

        assert!(definitions.iter().count() > 300);
        assert_eq!(definitions.resource(3, 9).unwrap().name, "Battery Level");
        assert_eq!(definitions.object_version(3, "1.1").unwrap().version_text(), "1.1");
        assert_eq!(definitions.object(26242).unwrap().resources.len(), 17);
        assert_eq!(definitions.resource(26241, 0).unwrap().operations.to_string(), "RW");
        assert!(definitions.resource(3, 6).unwrap().multiple && !definitions.object(3).unwrap().multiple);
    }

    #[test]
    fn the_version_that_a_device_registered_decides() {
        let all = Definitions::embedded();
        // In version 1.0 the mode of object 10260 is text to execute, in 2.0 a boolean to write.
        let kind = |definitions: &Definitions| definitions.kind(&Path::of_resource(10_260, 0, 3));
        let device = |version| all.registered([(3, None), (10_260, version), (10_260, None), (50_000, None)]);

        assert_eq!(kind(all), Some(Kind::Boolean));
        assert_eq!(kind(&device(Some("1.0"))), Some(Kind::String));
        assert_eq!(kind(&device(Some("2.0"))), Some(Kind::Boolean));
        assert_eq!(kind(&device(None)), Some(Kind::String), "no version is 1.0");
        assert_eq!(
            kind(&device(Some("7.0"))),
            Some(Kind::Boolean),
            "of an unknown version the newest is the best guess"
        );
        assert_eq!(device(None).object(3).unwrap().version, all.object(3).unwrap().version, "of the enabler's own too");
        assert_eq!(device(Some("1.0")).object(10_260).unwrap().version, (1, 0));
    }

    #[test]
    fn definitions_of_the_user_join_those_of_the_registry() {
        let all = Definitions::embedded();
        let file = r#"[{"id":41001,"name":"Feeder","version":"1.0","resources":[{"id":1,"name":"Rate","operations":"RW","type":"float"}]},
                       {"id":3,"name":"Our device","version":"1.0","resources":[]}]"#;
        let both = all.with(Definitions::from_json(&[file]).unwrap().iter().cloned());

        assert_eq!(both.kind(&Path::of_resource(41_001, 0, 1)), Some(Kind::Float));
        assert_eq!(both.object_version(3, "1.0").unwrap().name, "Our device");
        assert_eq!(both.resource(3, 9).unwrap().name, "Battery Level");
        assert_eq!(all.kind(&Path::of_resource(41_001, 0, 1)), None);
    }

    #[test]
    fn a_reusable_resource_keeps_its_type_in_an_object_nobody_knows() {
        let definitions = Definitions::embedded();

        assert_eq!(definitions.kind(&Path::of_resource(30000, 0, 5700)), Some(Kind::Float));
        assert_eq!(definitions.kind(&Path::of_resource(30000, 0, 1)), None);
        // Two registered objects disagree about 6038.
        assert_eq!(definitions.kind(&Path::of_resource(30000, 0, 6038)), None);
        assert_eq!(definitions.kind(&Path::of_resource(3, 0, 4)), None);
    }

    #[test]
    fn a_definition_that_makes_no_sense_is_refused() {
        let resource = |fields: &str| format!(r#"[{{"id":1,"name":"x","version":"1.0","resources":[{{{fields}}}]}}]"#);

        for (file, error) in [
            ("[{}]".to_owned(), DefinitionError::Json { line: 1, column: 3 }),
            (
                r#"[{"id":1,"name":"x","version":"one","resources":[]}]"#.to_owned(),
                DefinitionError::Version { object: 1 },
            ),
            (
                resource(r#""id":2,"name":"y","operations":"R","type":"word""#),
                DefinitionError::Type { object: 1, resource: 2 },
            ),
            (resource(r#""id":2,"name":"y","operations":"X""#), DefinitionError::Operations { object: 1, resource: 2 }),
        ] {
            assert_eq!(Definitions::from_json(&[&file]).unwrap_err(), error);
        }
    }
}
