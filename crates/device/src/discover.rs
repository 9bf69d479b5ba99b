//! What of the tree is listed: in a registration and in the answer to a Discover, as CoRE links (RFC 6690).

use std::collections::BTreeMap;

use coap::{Code, content_format};
use lwm2m::{Attributes, Definitions, Link, Links, ObjectDefinition, Path, Version};

use crate::tree::Tree;

/// The content formats that this device reads and writes, the best first; those for one value stand last (Core 1.1 §7.4,
/// 1.2 §7.4).
const FORMATS: [u16; 8] = [
    content_format::SENML_CBOR,
    content_format::SENML_JSON,
    content_format::LWM2M_CBOR,
    content_format::TLV,
    content_format::JSON,
    content_format::CBOR,
    content_format::TEXT_PLAIN,
    content_format::OCTET_STREAM,
];

/// Objects up to this id belong to the enabler itself and have its version (Core 1.1 §E).
const ENABLER_OBJECT_LAST: u16 = 7;

/// Levels beneath the target that a Discover shows when it does not say: instances and resources of an object, resources
/// of an instance, of a resource only itself (Core 1.1 §6.3.2). A `depth` says otherwise (1.2).
fn depth_default(target: &Path) -> usize {
    3_usize.saturating_sub(target.depth())
}

/// What holds at a path: its own attributes, then those of the levels above (Core 1.1 §5.1.2).
pub fn effective(attributes: &BTreeMap<Path, Attributes>, path: &Path) -> Attributes {
    let mut found = Attributes::default();
    let mut level = *path;
    while !level.is_root() {
        if let Some(here) = attributes.get(&level) {
            found = found.or(here);
        }
        level = level.parent();
    }
    found
}

impl Tree {
    /// The links at and beneath a path with the attributes that are set there (Core 1.1 §6.3.2).
    pub fn discover(
        &self,
        target: &Path,
        depth: Option<usize>,
        version: Version,
        attributes: &BTreeMap<Path, Attributes>,
        definitions: &Definitions,
    ) -> Result<Vec<Link>, Code> {
        if target.is_root() || target.depth() > 3 {
            return Err(Code::METHOD_NOT_ALLOWED);
        }
        if !self.has(target) && self.execute(target, definitions).is_err() {
            return Err(Code::NOT_FOUND);
        }
        let deepest = target.depth() + depth.unwrap_or_else(|| depth_default(target));
        let mut paths = vec![*target];
        for instance in self.instances() {
            let instance_and_resources = [instance].into_iter().chain(self.resources(&instance, definitions));
            for path in instance_and_resources {
                if path.depth() <= deepest && target.contains(&path) && path != *target {
                    paths.push(path);
                }
                if path.depth() == 3 && deepest >= 4 && target.contains(&path) {
                    paths.extend(self.beneath(&path).map(|(there, _)| *there).filter(|there| there.depth() == 4));
                }
            }
        }
        let link = |path: Path| {
            let mut link = Link::new(path);
            let count = self.beneath(&path).filter(|(there, _)| there.depth() == 4).count();
            if path.depth() == 3 && count > 0 {
                link.attributes.push(("dim".to_owned(), Some(count.to_string())));
            }
            if path.depth() == 1 {
                link.version = definition_for(path.object, version, definitions).map(ObjectDefinition::version_text);
            }
            // A resource that was asked for shows what it inherits, too (Core 1.1 §6.3.2).
            let is_asked = path == *target && path.depth() == 3;
            let set = if is_asked {
                effective(attributes, &path)
            } else {
                attributes.get(&path).copied().unwrap_or_default()
            };
            link.attributes.extend(set.to_link());
            link
        };
        Ok(paths.into_iter().map(link).collect())
    }

    /// What the device registers: its objects and instances, and the version of objects that are not 1.0
    /// (Core 1.1 §6.2.1), below `root`.
    pub fn registered(&self, root: &str, version: Version, definitions: &Definitions) -> Links {
        let instances = self.instances();
        let mut links: Vec<Link> = Vec::new();
        for object in self.objects() {
            let definition = definition_for(object, version, definitions).filter(|found| found.version != (1, 0));
            let own = instances.iter().filter(|instance| instance.object == object);
            let before = links.len();
            if let Some(definition) = definition {
                links.push(Link { version: Some(definition.version_text()), ..Link::new(Path::of_object(object)) });
            }
            links.extend(own.map(|instance| Link::new(*instance)));
            if links.len() == before {
                links.push(Link::new(Path::of_object(object)));
            }
        }
        let is_spoken = |format: &u16| match version {
            Version::V1_0 => matches!(
                *format,
                content_format::TLV | content_format::JSON | content_format::TEXT_PLAIN | content_format::OCTET_STREAM
            ),
            Version::V1_1 => *format != content_format::LWM2M_CBOR && *format != content_format::JSON,
            Version::V1_2 => *format != content_format::JSON,
        };
        Links {
            root: root.to_owned(),
            root_attributes: vec![("rt".to_owned(), Some("oma.lwm2m".to_owned()))],
            content_formats: FORMATS.into_iter().filter(is_spoken).collect(),
            objects: links,
        }
    }

    /// The resources of an instance: those that have a value, and those that can be executed.
    fn resources(&self, instance: &Path, definitions: &Definitions) -> Vec<Path> {
        let mut ids: Vec<u16> = self.beneath(instance).filter_map(|(path, _)| path.resource).collect();
        if let Some(definition) = definitions.object(instance.object) {
            ids.extend(
                definition.resources.iter().filter(|resource| resource.operations.execute).map(|resource| resource.id),
            );
        }
        ids.sort_unstable();
        ids.dedup();
        ids.into_iter().filter_map(|id| instance.child(id)).collect()
    }
}

/// The definition that a device of this version means: the enabler's own objects are as old as the enabler.
fn definition_for(object: u16, version: Version, definitions: &Definitions) -> Option<&ObjectDefinition> {
    let up_to = match version {
        _ if object > ENABLER_OBJECT_LAST => return definitions.object(object),
        Version::V1_2 => ["1.2", "1.1", "1.0"].as_slice(),
        Version::V1_1 => &["1.1", "1.0"],
        Version::V1_0 => &["1.0"],
    };
    up_to.iter().find_map(|text| definitions.object_version(object, text))
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, reason = "a test may stop where it fails")]
    use super::*;
    use lwm2m::Value;

    fn path(text: &str) -> Path {
        Path::parse(text).unwrap()
    }

    fn device() -> (Tree, &'static Definitions) {
        let mut tree = Tree::default();
        tree.set(path("/1/0/1"), Value::Integer(30));
        tree.set(path("/3/0/9"), Value::Integer(87));
        tree.set(path("/3/0/11/0"), Value::Integer(0));
        tree.set(path("/3/0/11/1"), Value::Integer(0));
        (tree, Definitions::embedded())
    }

    fn discovered(target: &str, depth: Option<usize>, attributes: &BTreeMap<Path, Attributes>) -> Vec<Link> {
        let (tree, definitions) = device();
        tree.discover(&path(target), depth, Version::V1_2, attributes, definitions).unwrap()
    }

    #[test]
    fn resources_are_named_with_their_dimension_and_attributes() {
        let every_minute = Attributes { pmax: Some(60), ..Attributes::default() };

        let links = discovered("/3/0", None, &BTreeMap::from([(path("/3/0/9"), every_minute)]));

        let of = |text: &str| links.iter().find(|link| link.path == path(text)).unwrap();
        assert_eq!(of("/3/0/11").attributes, [("dim".to_owned(), Some("2".to_owned()))]);
        assert_eq!(of("/3/0/9").attributes, [("pmax".to_owned(), Some("60".to_owned()))]);
        assert!(links.iter().any(|link| link.path == path("/3/0/4")), "what can be executed is a resource, too");
        let (tree, definitions) = device();
        let nothing = tree.discover(&path("/9"), None, Version::V1_1, &BTreeMap::new(), definitions);
        assert_eq!(nothing, Err(Code::NOT_FOUND));
    }

    #[test]
    fn a_resource_that_is_asked_for_shows_what_it_inherits() {
        let above = Attributes { pmin: Some(10), pmax: Some(60), ..Attributes::default() };
        let own = Attributes { pmax: Some(30), gt: Some(50.0), ..Attributes::default() };
        let set = BTreeMap::from([(path("/3/0"), above), (path("/3/0/9"), own)]);

        let alone = discovered("/3/0/9", None, &set);
        let among = discovered("/3/0", None, &set);

        let texts = |link: &Link| link.attributes.iter().map(|(name, _)| name.clone()).collect::<Vec<_>>();
        assert_eq!(texts(&alone[0]), ["pmin", "pmax", "gt"]);
        assert_eq!(texts(&among[0]), ["pmin", "pmax"]);
        let battery = among.iter().find(|link| link.path == path("/3/0/9")).unwrap();
        assert_eq!(texts(battery), ["pmax", "gt"]);
    }

    #[test]
    fn a_depth_says_how_far_down_it_goes() {
        let paths = |target: &str, depth| {
            let links = discovered(target, depth, &BTreeMap::new());
            links.into_iter().map(|link| link.path.to_string()).collect::<Vec<_>>()
        };

        assert_eq!(paths("/3", Some(0)), ["/3"]);
        assert_eq!(paths("/3", Some(1)), ["/3", "/3/0"]);
        assert!(paths("/3", None).contains(&"/3/0/11".to_owned()));
        assert_eq!(paths("/3/0/11", None), ["/3/0/11"]);
        assert_eq!(paths("/3/0/11", Some(1)), ["/3/0/11", "/3/0/11/0", "/3/0/11/1"]);
    }

    #[test]
    fn objects_of_the_enabler_have_its_version_and_empty_ones_are_told_too() {
        let (mut tree, definitions) = device();
        tree.declare(3303);
        let written = |version| {
            let mut text = Vec::new();
            tree.registered("/", version, definitions).write(&mut text);
            String::from_utf8(text).unwrap()
        };

        assert!(written(Version::V1_0).contains(",</1/0>,</3/0>,"), "{}", written(Version::V1_0));
        assert!(written(Version::V1_1).contains("</1>;ver=1.1,</1/0>"), "{}", written(Version::V1_1));
        assert!(written(Version::V1_2).contains("</1>;ver=1.2,</1/0>"), "{}", written(Version::V1_2));
        assert!(written(Version::V1_1).contains("</3303>"));
        let mut below = Vec::new();
        tree.registered("/lwm2m", Version::V1_1, definitions).write(&mut below);
        let below = String::from_utf8(below).unwrap();
        assert!(below.starts_with("</lwm2m>;rt=\"oma.lwm2m\"") && below.contains("</lwm2m/3/0>"), "{below}");
    }
}
