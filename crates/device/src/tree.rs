//! The device's own objects: what a server may read, write, execute and discover.
//!
//! OMA LwM2M Core 1.1 §6.3. The tree holds values; which operations a resource has comes from its definition, and a
//! resource that nobody defined can be read and written.

use std::collections::BTreeMap;

use coap::{Code, content_format};
use lwm2m::{Attributes, Definitions, Link, Links, Path, Record, Value};

/// Most values a device holds: several times the largest tree we know, so that a server cannot fill the memory by Create.
pub const VALUES_MAX: usize = 8_192;

/// Object 0 holds keys: no server sees it (Core 1.1 §E.1: it is for the bootstrap interface only).
const SECURITY_OBJECT: u16 = 0;

/// The content formats that this device reads and writes, the best first (Core 1.2 §7.4). Those that carry one value
/// stand last.
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

/// How a Write treats what is there already (Core 1.1 §6.3.3).
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Mode {
    /// PUT: the instance or resource afterwards holds only what was written.
    Replace,
    /// POST: what was not written stays.
    Update,
}

/// The values of a device, by path of the resource or of the resource instance.
#[derive(Debug, Default)]
pub struct Tree {
    values: BTreeMap<Path, Value>,
}

impl Tree {
    /// Sets a value from inside the device; says whether that changed anything. A full tree takes no new paths.
    pub fn set(&mut self, path: Path, value: Value) -> bool {
        if self.values.len() >= VALUES_MAX && !self.values.contains_key(&path) {
            return false;
        }
        self.values.get(&path) != Some(&value) && {
            self.values.insert(path, value);
            true
        }
    }

    /// The value at exactly this path.
    pub fn get(&self, path: &Path) -> Option<&Value> {
        self.values.get(path)
    }

    /// The object instances that exist, without the one that holds keys.
    pub fn instances(&self) -> Vec<Path> {
        let mut instances: Vec<Path> = Vec::new();
        for path in self.values.keys().filter(|path| path.object != SECURITY_OBJECT) {
            let instance = Path::of_instance(path.object, path.instance.unwrap_or_default());
            if instances.last() != Some(&instance) {
                instances.push(instance);
            }
        }
        instances
    }

    /// Whether an object or an object instance exists.
    pub fn has(&self, path: &Path) -> bool {
        path.object != SECURITY_OBJECT && self.values.keys().any(|there| path.contains(there))
    }

    /// Everything readable at or beneath a path (Core 1.1 §6.3.1).
    pub fn read(&self, path: &Path, definitions: &Definitions) -> Result<Vec<Record>, Code> {
        if path.resource.is_some() && !operations(path, definitions).read {
            return Err(if self.has(&instance_of(path)) { Code::METHOD_NOT_ALLOWED } else { Code::NOT_FOUND });
        }
        let found: Vec<Record> = self
            .beneath(path)
            .filter(|(there, _)| operations(there, definitions).read)
            .map(|(there, value)| Record::new(*there, value.clone()))
            .collect();
        if found.is_empty() { Err(Code::NOT_FOUND) } else { Ok(found) }
    }

    /// Writes records at or beneath a path, all or none; says which paths were written (Core 1.1 §6.3.3).
    pub fn write(
        &mut self,
        mode: Mode,
        path: &Path,
        mut records: Vec<Record>,
        definitions: &Definitions,
    ) -> Result<Vec<Path>, Code> {
        if path.instance.is_none() {
            return Err(Code::METHOD_NOT_ALLOWED);
        }
        if !self.has(&instance_of(path)) {
            return Err(Code::NOT_FOUND);
        }
        for record in &mut records {
            if !path.contains(&record.path) {
                return Err(Code::BAD_REQUEST);
            }
            if !operations(&record.path, definitions).write {
                return Err(Code::METHOD_NOT_ALLOWED);
            }
            record.retype(definitions).map_err(|_| Code::BAD_REQUEST)?;
        }
        if records.is_empty() || self.values.len() + records.len() > VALUES_MAX {
            return Err(Code::BAD_REQUEST);
        }
        if mode == Mode::Replace {
            self.clear_before_replacing(path, definitions);
        }
        let written = records.iter().map(|record| record.path).collect();
        self.values.extend(records.into_iter().map(|record| (record.path, record.value)));
        Ok(written)
    }

    /// Whether a resource can be executed now (Core 1.1 §6.3.5).
    pub fn execute(&self, path: &Path, definitions: &Definitions) -> Result<(), Code> {
        if path.depth() != 3 {
            return Err(Code::METHOD_NOT_ALLOWED);
        }
        let is_executable = path
            .resource
            .and_then(|id| definitions.resource(path.object, id))
            .is_some_and(|found| found.operations.execute);
        match (self.has(&instance_of(path)), is_executable) {
            (true, true) => Ok(()),
            (true, false) => Err(Code::METHOD_NOT_ALLOWED),
            (false, _) => Err(Code::NOT_FOUND),
        }
    }

    /// Makes an object instance of the given resources (Core 1.1 §6.3.6); without an id the lowest free one.
    pub fn create(&mut self, object: u16, records: Vec<Record>, definitions: &Definitions) -> Result<Path, Code> {
        let known = definitions.object(object).is_some_and(|definition| definition.multiple);
        if object == SECURITY_OBJECT || !known || !self.has(&Path::of_object(object)) {
            return Err(Code::METHOD_NOT_ALLOWED);
        }
        if records.is_empty() || self.values.len() + records.len() > VALUES_MAX {
            return Err(Code::BAD_REQUEST);
        }
        let asked = records[0].path.instance;
        if records.iter().any(|record| record.path.object != object || record.path.instance != asked) {
            return Err(Code::BAD_REQUEST);
        }
        let instance = asked.map(|id| Path::of_instance(object, id)).or_else(|| self.free_instance(object));
        let Some(instance) = instance.filter(|instance| !self.has(instance)) else { return Err(Code::BAD_REQUEST) };
        let mut values = Vec::with_capacity(records.len());
        for mut record in records {
            record.path.instance = instance.instance;
            record.retype(definitions).map_err(|_| Code::BAD_REQUEST)?;
            values.push((record.path, record.value));
        }
        self.values.extend(values);
        Ok(instance)
    }

    /// The lowest instance of an object that does not exist yet.
    pub fn free_instance(&self, object: u16) -> Option<Path> {
        (0..u16::MAX).map(|id| Path::of_instance(object, id)).find(|instance| !self.has(instance))
    }

    /// Deletes an object instance (Core 1.1 §6.3.7). Objects of which there is exactly one cannot lose it.
    pub fn delete(&mut self, path: &Path, definitions: &Definitions) -> Result<(), Code> {
        if path.depth() != 2 || !definitions.object(path.object).is_some_and(|definition| definition.multiple) {
            return Err(Code::METHOD_NOT_ALLOWED);
        }
        if !self.has(path) {
            return Err(Code::NOT_FOUND);
        }
        self.values.retain(|there, _| !path.contains(there));
        Ok(())
    }

    /// The links beneath a path with the attributes that are set there (Core 1.1 §6.3.2).
    pub fn discover(
        &self,
        path: &Path,
        attributes: &BTreeMap<Path, Attributes>,
        definitions: &Definitions,
    ) -> Result<Vec<Link>, Code> {
        if !self.has(path) && self.execute(path, definitions).is_err() {
            return Err(Code::NOT_FOUND);
        }
        let mut paths = vec![*path];
        for instance in
            self.instances().into_iter().filter(|instance| path.contains(instance) || instance.contains(path))
        {
            if path.contains(&instance) && instance != *path {
                paths.push(instance);
            }
            let resources = self.resources(&instance, definitions);
            paths.extend(resources.into_iter().filter(|resource| path.contains(resource) && resource != path));
        }
        Ok(paths.into_iter().map(|path| self.link(path, attributes, definitions)).collect())
    }

    /// What the device registers: its instances, and the version of objects that are not 1.0 (Core 1.1 §6.2.1).
    pub fn registered(&self, definitions: &Definitions) -> Links {
        let mut links: Vec<Link> = Vec::new();
        for instance in self.instances() {
            let object = Path::of_object(instance.object);
            if !links.iter().any(|link| link.path == object)
                && let Some(definition) = definitions.object(instance.object)
                && definition.version != (1, 0)
            {
                links.push(Link { version: Some(definition.version_text()), ..Link::new(object) });
            }
            links.push(Link::new(instance));
        }
        Links {
            root_attributes: vec![("rt".to_owned(), Some("oma.lwm2m".to_owned()))],
            content_formats: FORMATS.to_vec(),
            ..Links::new(links)
        }
    }

    fn link(&self, path: Path, attributes: &BTreeMap<Path, Attributes>, definitions: &Definitions) -> Link {
        let mut link = Link::new(path);
        let count = self.values.keys().filter(|there| path.contains(there) && there.depth() == 4).count();
        if path.depth() == 3 && count > 0 {
            link.attributes.push(("dim".to_owned(), Some(count.to_string())));
        }
        if path.depth() == 1 {
            link.version = definitions.object(path.object).map(lwm2m::ObjectDefinition::version_text);
        }
        link.attributes.extend(attributes.get(&path).map(Attributes::to_link).unwrap_or_default());
        link
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

    /// PUT replaces: what a server may write and did not name goes away.
    fn clear_before_replacing(&mut self, path: &Path, definitions: &Definitions) {
        self.values.retain(|there, _| !path.contains(there) || !operations(there, definitions).write);
    }

    fn beneath(&self, path: &Path) -> impl Iterator<Item = (&Path, &Value)> {
        let path = *path;
        self.values.iter().filter(move |(there, _)| path.contains(there) && there.object != SECURITY_OBJECT)
    }
}

fn instance_of(path: &Path) -> Path {
    Path::of_instance(path.object, path.instance.unwrap_or_default())
}

fn operations(path: &Path, definitions: &Definitions) -> lwm2m::Operations {
    let defined = path.resource.and_then(|id| definitions.resource(path.object, id));
    defined.map_or(lwm2m::Operations { read: true, write: true, execute: false }, |resource| resource.operations)
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, reason = "a test may stop where it fails")]
    use super::*;

    fn device() -> (Tree, &'static Definitions) {
        let mut tree = Tree::default();
        tree.set(Path::parse("/0/0/5").unwrap(), Value::Opaque(vec![1, 2, 3]));
        tree.set(Path::parse("/1/0/1").unwrap(), Value::Integer(30));
        tree.set(Path::parse("/3/0/9").unwrap(), Value::Integer(87));
        tree.set(Path::parse("/3/0/15").unwrap(), Value::String("Europe/Oslo".into()));
        tree.set(Path::parse("/3/0/11/0").unwrap(), Value::Integer(0));
        tree.set(Path::parse("/3303/0/5700").unwrap(), Value::Float(9.1));
        (tree, Definitions::embedded())
    }

    fn path(text: &str) -> Path {
        Path::parse(text).unwrap()
    }

    #[test]
    fn keys_are_never_shown() {
        let (tree, definitions) = device();

        assert_eq!(tree.read(&path("/0/0/5"), definitions), Err(Code::METHOD_NOT_ALLOWED).or(Err(Code::NOT_FOUND)));
        assert_eq!(tree.read(&path("/0"), definitions), Err(Code::NOT_FOUND));
        assert!(tree.read(&Path::ROOT, definitions).unwrap().iter().all(|record| record.path.object != 0));
        assert!(!tree.instances().contains(&path("/0/0")));
    }

    #[test]
    fn an_instance_reads_all_that_can_be_read() {
        let (tree, definitions) = device();

        let read: Vec<String> =
            tree.read(&path("/3/0"), definitions).unwrap().iter().map(|record| record.path.to_string()).collect();

        assert_eq!(read, ["/3/0/9", "/3/0/11/0", "/3/0/15"]);
    }

    #[test]
    fn what_cannot_be_written_is_refused_and_nothing_changes() {
        let (mut tree, definitions) = device();
        let records = vec![
            Record::new(path("/3/0/15"), Value::String("UTC".into())),
            Record::new(path("/3/0/9"), Value::Integer(100)),
        ];

        assert_eq!(tree.write(Mode::Update, &path("/3/0"), records, definitions), Err(Code::METHOD_NOT_ALLOWED));
        assert_eq!(tree.get(&path("/3/0/15")), Some(&Value::String("Europe/Oslo".into())));
    }

    #[test]
    fn a_written_value_takes_the_declared_type_or_is_refused() {
        let (mut tree, definitions) = device();

        let number = vec![Record::new(path("/1/0/1"), Value::Unsigned(60))];
        let text = vec![Record::new(path("/1/0/1"), Value::String("soon".into()))];

        assert!(tree.write(Mode::Replace, &path("/1/0/1"), number, definitions).is_ok());
        assert_eq!(tree.get(&path("/1/0/1")), Some(&Value::Integer(60)));
        assert_eq!(tree.write(Mode::Replace, &path("/1/0/1"), text, definitions), Err(Code::BAD_REQUEST));
    }

    #[test]
    fn only_what_is_defined_so_can_be_executed() {
        let (tree, definitions) = device();

        assert_eq!(tree.execute(&path("/3/0/4"), definitions), Ok(()));
        assert_eq!(tree.execute(&path("/3/0/9"), definitions), Err(Code::METHOD_NOT_ALLOWED));
        assert_eq!(tree.execute(&path("/5/0/2"), definitions), Err(Code::NOT_FOUND));
    }

    #[test]
    fn instances_come_and_go_only_where_there_may_be_several() {
        let (mut tree, definitions) = device();
        let second = || vec![Record::new(path("/3303/4/5700"), Value::Float(4.0))];

        assert_eq!(tree.create(3303, second(), definitions), Ok(path("/3303/4")));
        assert_eq!(tree.create(3303, second(), definitions), Err(Code::BAD_REQUEST));
        assert_eq!(tree.delete(&path("/3303/4"), definitions), Ok(()));
        assert_eq!(tree.delete(&path("/3303/4"), definitions), Err(Code::NOT_FOUND));
        assert_eq!(tree.delete(&path("/3/0"), definitions), Err(Code::METHOD_NOT_ALLOWED));
    }

    #[test]
    fn an_instance_is_made_whole_or_not_at_all() {
        let (mut tree, definitions) = device();
        let half_wrong = vec![
            Record::new(path("/3303/4/5700"), Value::Float(4.0)),
            Record::new(path("/3303/4/5701"), Value::Boolean(true)),
        ];

        assert_eq!(tree.create(3303, half_wrong, definitions), Err(Code::BAD_REQUEST));
        assert!(!tree.has(&path("/3303/4")));
    }

    #[test]
    fn discover_names_resources_with_their_dimension_and_attributes() {
        let (tree, definitions) = device();
        let every_minute = Attributes { pmax: Some(60), ..Attributes::default() };

        let links =
            tree.discover(&path("/3/0"), &BTreeMap::from([(path("/3/0/9"), every_minute)]), definitions).unwrap();

        let of = |text: &str| links.iter().find(|link| link.path == path(text)).unwrap();
        assert_eq!(of("/3/0/11").attributes, [("dim".to_owned(), Some("1".to_owned()))]);
        assert_eq!(of("/3/0/9").attributes, [("pmax".to_owned(), Some("60".to_owned()))]);
        assert!(links.iter().any(|link| link.path == path("/3/0/4")), "what can be executed is a resource, too");
        assert_eq!(tree.discover(&path("/9"), &BTreeMap::new(), definitions), Err(Code::NOT_FOUND));
    }

    #[test]
    fn a_full_tree_takes_no_new_paths() {
        let mut tree = Tree::default();
        for id in 0..VALUES_MAX {
            assert!(tree.set(Path::of_resource(3300, (id / 1_000) as u16, (id % 1_000) as u16), Value::Integer(1)));
        }

        assert!(!tree.set(path("/3/0/9"), Value::Integer(1)));
        assert!(tree.set(path("/3300/0/0"), Value::Integer(2)), "what is there can still change");
    }
}
