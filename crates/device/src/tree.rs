//! The device's own objects: what a server may read, write, execute, create and delete.
//!
//! OMA LwM2M Core 1.1 §6.3. The tree holds values; which operations a resource has comes from its definition, and a
//! resource that nobody defined can be read and written. What of it is listed stands in `discover.rs`.

use std::collections::{BTreeMap, BTreeSet};

use coap::Code;
use lwm2m::{Definitions, Path, Record, Value};

/// Most values a device holds: several times the largest tree we know, so that a server cannot fill the memory by Create.
pub const VALUES_MAX: usize = 8_192;

/// Object 0 holds keys: no server sees it (Core 1.1 §E.1: it is for the bootstrap interface only).
pub(crate) const SECURITY_OBJECT: u16 = 0;

/// How a Write treats what is there already (Core 1.1 §6.3.3).
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Mode {
    /// PUT: the instance or resource afterwards holds only what was written.
    Replace,
    /// POST: what was not written stays.
    Update,
}

/// The values of a device, by path of the resource or of the resource instance.
#[derive(Debug, Default, Clone)]
pub struct Tree {
    values: BTreeMap<Path, Value>,
    /// Objects that are there without an instance, too: a server makes them.
    objects: BTreeSet<u16>,
    /// The instance of the Server object that is its server's; without bootstrap it is the first.
    server: Option<u16>,
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

    /// Takes away what is at or beneath a path, from inside the device; says whether anything was there.
    pub fn remove(&mut self, path: &Path) -> bool {
        let before = self.values.len();
        self.values.retain(|there, _| !path.contains(there));
        self.values.len() < before
    }

    /// From now on the object is there, also while it has no instance.
    pub fn declare(&mut self, object: u16) -> bool {
        object != SECURITY_OBJECT && self.objects.insert(object)
    }

    /// The value at exactly this path.
    pub fn get(&self, path: &Path) -> Option<&Value> {
        self.values.get(path)
    }

    /// From now on this instance of the Server object is its server's.
    pub(crate) fn choose_server(&mut self, server: Option<u16>) {
        self.server = server;
    }

    /// A whole number of the Server object of the server that it talks to.
    pub fn of_server(&self, resource: u16) -> Option<u32> {
        let server = self.server.map_or(Path::of_object(1), |instance| Path::of_instance(1, instance));
        let found = self.beneath(&server).find(|(path, _)| path.resource == Some(resource))?;
        match found.1 {
            Value::Integer(whole) => u32::try_from(*whole).ok(),
            Value::Unsigned(whole) => Some(u32::try_from(*whole).unwrap_or(u32::MAX)),
            Value::Boolean(truth) => Some(u32::from(*truth)),
            _ => None,
        }
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

    /// The objects that exist, with an instance or without.
    pub fn objects(&self) -> BTreeSet<u16> {
        self.instances().iter().map(|instance| instance.object).chain(self.objects.iter().copied()).collect()
    }

    /// Whether anything exists at a path or beneath it.
    pub fn has(&self, path: &Path) -> bool {
        self.beneath(path).next().is_some() || (path.depth() == 1 && self.objects.contains(&path.object))
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
        if found.is_empty() && !self.has(path) { Err(Code::NOT_FOUND) } else { Ok(found) }
    }

    /// What can be read of several paths, each value once. Best effort: what is not there is left out
    /// (Core 1.1 §6.3.8).
    pub fn read_composite(&self, paths: &[Path], definitions: &Definitions) -> Vec<Record> {
        let found = paths.iter().flat_map(|path| self.read(path, definitions).unwrap_or_default());
        let by_path: BTreeMap<Path, Record> = found.map(|record| (record.path, record)).collect();
        by_path.into_values().collect()
    }

    /// What a Write at or beneath a path would change, typed by the definitions (Core 1.1 §6.3.3). A Write-Composite is
    /// one on the root (§6.3.9).
    pub fn check_write(
        &self,
        path: &Path,
        mut records: Vec<Record>,
        definitions: &Definitions,
    ) -> Result<Vec<Record>, Code> {
        if path.instance.is_none() && !path.is_root() {
            return Err(Code::METHOD_NOT_ALLOWED);
        }
        if !path.is_root() && !self.has(&instance_of(path)) {
            return Err(Code::NOT_FOUND);
        }
        for record in &mut records {
            if !path.contains(&record.path) {
                return Err(Code::BAD_REQUEST);
            }
            if !self.has(&instance_of(&record.path)) {
                return Err(Code::NOT_FOUND);
            }
            if !operations(&record.path, definitions).write {
                return Err(Code::METHOD_NOT_ALLOWED);
            }
            check_level(&record.path, definitions)?;
            record.retype(definitions).map_err(|_| Code::BAD_REQUEST)?;
        }
        if records.is_empty() || self.values.len() + records.len() > VALUES_MAX {
            return Err(Code::BAD_REQUEST);
        }
        Ok(records)
    }

    /// Writes what [`Tree::check_write`] let through; says which paths went away with it.
    pub fn write(&mut self, mode: Mode, path: &Path, records: Vec<Record>, definitions: &Definitions) -> Vec<Path> {
        let mut replaced = Vec::new();
        if mode == Mode::Replace {
            let goes = |there: &Path| path.contains(there) && operations(there, definitions).write;
            replaced = self.values.keys().filter(|there| goes(there)).copied().collect();
            replaced.iter().for_each(|gone| {
                self.values.remove(gone);
            });
        }
        self.values.extend(records.into_iter().map(|record| (record.path, record.value)));
        replaced.retain(|gone| !self.values.contains_key(gone));
        replaced
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

    /// The object instance that a Create would make, and its resources, typed (Core 1.1 §6.3.6); without an id the lowest
    /// free one.
    pub fn check_create(
        &self,
        object: u16,
        records: Vec<Record>,
        definitions: &Definitions,
    ) -> Result<(Path, Vec<Record>), Code> {
        let is_single = definitions.object(object).is_some_and(|definition| !definition.multiple);
        let is_known = definitions.object(object).is_some() || self.objects.contains(&object);
        if object == SECURITY_OBJECT || is_single || !is_known || !self.has(&Path::of_object(object)) {
            return Err(Code::METHOD_NOT_ALLOWED);
        }
        if self.values.len() + records.len() > VALUES_MAX {
            return Err(Code::BAD_REQUEST);
        }
        let asked = records.first().and_then(|record| record.path.instance);
        if records.iter().any(|record| record.path.object != object || record.path.instance != asked) {
            return Err(Code::BAD_REQUEST);
        }
        let instance = asked.map(|id| Path::of_instance(object, id)).or_else(|| self.free_instance(object));
        let Some(instance) = instance.filter(|instance| !self.has(instance)) else { return Err(Code::BAD_REQUEST) };
        let mut typed = Vec::with_capacity(records.len());
        for mut record in records {
            record.path.instance = instance.instance;
            check_level(&record.path, definitions)?;
            record.retype(definitions).map_err(|_| Code::BAD_REQUEST)?;
            typed.push(record);
        }
        Ok((instance, typed))
    }

    /// Makes what [`Tree::check_create`] let through. What its owner set there meanwhile stays where the server says
    /// nothing. False when the instance would hold no value at all.
    pub fn create(&mut self, instance: &Path, records: Vec<Record>) -> bool {
        self.values.extend(records.into_iter().map(|record| (record.path, record.value)));
        self.has(instance)
    }

    /// The lowest instance of an object that does not exist yet.
    pub fn free_instance(&self, object: u16) -> Option<Path> {
        (0..u16::MAX).map(|id| Path::of_instance(object, id)).find(|instance| !self.has(instance))
    }

    /// Whether a server may delete this: an object instance, or one value of several (Core 1.1 §6.3.7; the latter since
    /// 1.2). Objects of which there is exactly one cannot lose it.
    pub fn check_delete(&self, path: &Path, definitions: &Definitions) -> Result<(), Code> {
        let is_allowed = match path.depth() {
            2 if self.objects.contains(&path.object) => true,
            2 => definitions.object(path.object).is_some_and(|definition| definition.multiple),
            4 => operations(path, definitions).write,
            _ => false,
        };
        match (is_allowed, self.has(path)) {
            (true, true) => Ok(()),
            (true, false) => Err(Code::NOT_FOUND),
            (false, _) => Err(Code::METHOD_NOT_ALLOWED),
        }
    }

    /// The values at or beneath a path, without those that hold keys.
    pub fn beneath(&self, path: &Path) -> impl Iterator<Item = (&Path, &Value)> + use<'_> {
        self.with_keys(path).filter(|(there, _)| there.object != SECURITY_OBJECT)
    }

    /// The values at or beneath a path, keys included: for the bootstrap interface.
    pub(crate) fn with_keys(&self, path: &Path) -> impl Iterator<Item = (&Path, &Value)> + use<'_> {
        let path = *path;
        let from = if path.is_root() { Path::of_object(0) } else { path };
        // In the order of paths, whatever lies beneath one follows it.
        self.values.range(from..).take_while(move |(there, _)| path.contains(there))
    }
}

fn instance_of(path: &Path) -> Path {
    Path::of_instance(path.object, path.instance.unwrap_or_default())
}

/// One value is written to the resource, several to its instances (Core 1.1 §7.1).
pub(crate) fn check_level(path: &Path, definitions: &Definitions) -> Result<(), Code> {
    let defined = path.resource.and_then(|id| definitions.resource(path.object, id));
    let is_right = defined.is_none_or(|resource| resource.multiple == path.resource_instance.is_some());
    if is_right { Ok(()) } else { Err(Code::BAD_REQUEST) }
}

/// What a server may do with a resource.
pub fn operations(path: &Path, definitions: &Definitions) -> lwm2m::Operations {
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

    /// A Write as a server makes it.
    fn write(tree: &mut Tree, mode: Mode, at: &str, records: Vec<Record>) -> Result<Vec<Path>, Code> {
        let checked = tree.check_write(&path(at), records, Definitions::embedded())?;
        Ok(tree.write(mode, &path(at), checked, Definitions::embedded()))
    }

    fn create(tree: &mut Tree, object: u16, records: Vec<Record>) -> Result<Path, Code> {
        let (instance, records) = tree.check_create(object, records, Definitions::embedded())?;
        if tree.create(&instance, records) { Ok(instance) } else { Err(Code::BAD_REQUEST) }
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
        let (mut tree, _) = device();
        let records = vec![
            Record::new(path("/3/0/15"), Value::String("UTC".into())),
            Record::new(path("/3/0/9"), Value::Integer(100)),
        ];

        assert_eq!(write(&mut tree, Mode::Update, "/3/0", records), Err(Code::METHOD_NOT_ALLOWED));
        assert_eq!(tree.get(&path("/3/0/15")), Some(&Value::String("Europe/Oslo".into())));
    }

    #[test]
    fn a_written_value_takes_the_declared_type_or_is_refused() {
        let (mut tree, _) = device();

        let number = vec![Record::new(path("/1/0/1"), Value::Unsigned(60))];
        let text = vec![Record::new(path("/1/0/1"), Value::String("soon".into()))];

        assert!(write(&mut tree, Mode::Replace, "/1/0/1", number).is_ok());
        assert_eq!(tree.get(&path("/1/0/1")), Some(&Value::Integer(60)));
        assert_eq!(write(&mut tree, Mode::Replace, "/1/0/1", text), Err(Code::BAD_REQUEST));
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

        assert_eq!(create(&mut tree, 3303, second()), Ok(path("/3303/4")));
        assert_eq!(create(&mut tree, 3303, second()), Err(Code::BAD_REQUEST));
        assert_eq!(tree.check_delete(&path("/3303/4"), definitions), Ok(()));
        assert!(tree.remove(&path("/3303/4")));
        assert_eq!(tree.check_delete(&path("/3303/4"), definitions), Err(Code::NOT_FOUND));
        assert_eq!(tree.check_delete(&path("/3/0"), definitions), Err(Code::METHOD_NOT_ALLOWED));
    }

    #[test]
    fn an_instance_is_made_whole_or_not_at_all() {
        let (mut tree, _) = device();
        let half_wrong = vec![
            Record::new(path("/3303/4/5700"), Value::Float(4.0)),
            Record::new(path("/3303/4/5701"), Value::Boolean(true)),
        ];

        assert_eq!(create(&mut tree, 3303, half_wrong), Err(Code::BAD_REQUEST));
        assert!(!tree.has(&path("/3303/4")));
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
