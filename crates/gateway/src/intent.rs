//! What we want to observe of a device, and how: paths that want the same share one observation where the device can.

use std::sync::Arc;

use lwm2m::{Attributes, Path, PathError, Version};

use crate::command::DeviceEntry;
use crate::error::EntryError;
use crate::limits::OBSERVATIONS_PER_DEVICE_MAX;
use crate::profile::Profile;
use crate::registrations::Objects;

/// A path whose instance may be `*`: every one that the device registered.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub(crate) struct Pattern {
    /// With instance 0 in place of the `*`.
    path: Path,
    has_any_instance: bool,
}

impl Pattern {
    pub(crate) fn parse(text: &str) -> Result<Self, PathError> {
        // The parts of `/3303/*/5700` are "", "3303", "*" and "5700".
        let has_any_instance = text.split('/').nth(2) == Some("*");
        let path = if has_any_instance { Path::parse(&text.replacen('*', "0", 1)) } else { Path::parse(text) };
        Ok(Self { path: path?, has_any_instance })
    }

    /// The paths it means on a device with these objects.
    pub(crate) fn expand(&self, objects: &Objects) -> Vec<Path> {
        if !self.has_any_instance {
            return Some(self.path).filter(|path| objects.covers(path)).into_iter().collect();
        }
        let registered = objects.list.iter().map(|(path, _)| *path);
        let instances = registered.filter(|path| path.depth() == 2 && path.object == self.path.object);
        instances.map(|path| Path { instance: path.instance, ..self.path }).collect()
    }
}

/// What to observe, and when the device should report.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub(crate) struct Intent {
    pattern: Pattern,
    /// As in `pmin=10&pmax=60`; empty for none.
    attributes: Arc<str>,
}

impl Intent {
    pub(crate) fn parse(path: &str, attributes: &str) -> Result<Self, EntryError> {
        let pattern = Pattern::parse(path).map_err(|error| EntryError::Path { path: path.to_owned(), error })?;
        let queries: Vec<&[u8]> = queries_of(attributes).map(str::as_bytes).collect();
        Attributes::default().apply(&queries).map_err(|error| {
            let attributes = attributes.to_owned();
            EntryError::Attributes { attributes, error }
        })?;
        Ok(Self { pattern, attributes: attributes.into() })
    }

    /// All that an entry wants observed.
    pub(crate) fn parse_all(entry: &DeviceEntry) -> Result<Vec<Self>, EntryError> {
        entry.observe.iter().map(|(path, attributes)| Self::parse(path, attributes)).collect()
    }

    /// Of its attributes those that can stand at this path of a client of this version.
    fn attributes_for(&self, version: Version, path: &Path) -> Arc<str> {
        let fits = |query: &&str| misfit(name_of(query), version, path).is_none();
        if queries_of(&self.attributes).all(|query| fits(&query)) {
            return Arc::clone(&self.attributes);
        }
        queries_of(&self.attributes).filter(fits).collect::<Vec<_>>().join("&").into()
    }
}

pub(crate) fn queries_of(attributes: &str) -> impl Iterator<Item = &str> {
    attributes.split('&').filter(|query| !query.is_empty())
}

pub(crate) fn name_of(query: &str) -> &str {
    query.split_once('=').map_or(query, |(name, _)| name)
}

/// Why an attribute cannot be set there; `None` if it can.
pub(crate) fn misfit(name: &str, version: Version, path: &Path) -> Option<&'static str> {
    match name {
        // OMA LwM2M Core 1.1 §5.1.2: conditions on a value are for what has one.
        "gt" | "lt" | "st" | "edge" if path.resource.is_none() => Some("is for resources only"),
        "epmin" | "epmax" if version < Version::V1_1 => Some("is for clients of LwM2M 1.1"),
        "edge" | "con" | "hqmax" if version < Version::V1_2 => Some("is for clients of LwM2M 1.2"),
        _ => None,
    }
}

/// What one observation is about.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum Target {
    /// One path (OMA LwM2M Core 1.1 §6.4.1).
    Single(Path),
    /// Several, in the order of their ids (OMA LwM2M Core 1.1 §6.4.4).
    Composite(Arc<[Path]>),
}

impl Target {
    pub(crate) fn composite(paths: &[Path]) -> Self {
        let mut paths = paths.to_vec();
        paths.sort_unstable();
        paths.dedup();
        Self::Composite(paths.into())
    }

    pub(crate) fn paths(&self) -> &[Path] {
        match self {
            Self::Single(path) => std::slice::from_ref(path),
            Self::Composite(paths) => paths,
        }
    }

    /// What the values of a notification lie below.
    pub(crate) fn base(&self) -> Path {
        match self {
            Self::Single(path) => *path,
            Self::Composite(_) => Path::ROOT,
        }
    }

    pub(crate) fn is_composite(&self) -> bool {
        matches!(self, Self::Composite(_))
    }
}

/// What to observe, and with which attributes.
pub(crate) type Goal = (Target, Arc<str>);

impl Profile {
    /// What to observe on a device with these objects, each path once, with its attributes.
    pub(crate) fn goals(&self, version: Version, objects: &Objects, has_composite: bool) -> Vec<Goal> {
        let mut goals: Vec<(Vec<Path>, Arc<str>)> = Vec::new();
        let mut seen: Vec<Path> = Vec::new();
        for intent in &self.intents {
            for path in intent.pattern.expand(objects) {
                if seen.len() >= OBSERVATIONS_PER_DEVICE_MAX || seen.contains(&path) || self.unobserved.contains(&path)
                {
                    continue;
                }
                seen.push(path);
                let attributes = intent.attributes_for(version, &path);
                match goals.iter_mut().find(|(_, others)| has_composite && *others == attributes) {
                    Some((paths, _)) => paths.push(path),
                    None => goals.push((vec![path], attributes)),
                }
            }
        }
        let target = |paths: &[Path]| match paths {
            [path] => Target::Single(*path),
            paths => Target::composite(paths),
        };
        goals.into_iter().map(|(paths, attributes)| (target(&paths), attributes)).collect()
    }
}

/// An observation that is to begin.
pub(crate) struct Wish {
    pub(crate) target: Target,
    pub(crate) attributes: Arc<str>,
    /// Attributes that are still to be written, and those to be taken back, path by path.
    pub(crate) writes: Vec<(Path, Vec<String>)>,
    /// Attributes that travel with the request itself (OMA LwM2M Core 1.2 §6.4.1).
    pub(crate) queries: Vec<String>,
    /// The device accepted the attributes so far.
    pub(crate) has_set: bool,
    /// What an answer proves that the device does not know: see [`crate::composite::Lacking`].
    pub(crate) proof: u8,
}

impl Wish {
    /// `before` are the attributes that we set at a path earlier.
    pub(crate) fn new(target: Target, attributes: Arc<str>, before: impl Fn(&Path) -> Option<Arc<str>>) -> Self {
        let writes = target.paths().iter().filter_map(|path| {
            let before = before(path).unwrap_or_else(|| "".into());
            let queries = changes(&before, &attributes);
            (before != attributes && !queries.is_empty()).then_some((*path, queries))
        });
        let writes = writes.collect();
        Self { target, attributes, writes, queries: Vec::new(), has_set: true, proof: 0 }
    }

    /// The same with attributes in the request, for a device that knows that.
    pub(crate) fn in_request(target: Target, attributes: Arc<str>) -> Self {
        let queries = queries_of(&attributes).map(str::to_owned).collect();
        Self { target, attributes, writes: Vec::new(), queries, has_set: true, proof: 0 }
    }

    /// The same for one path after the other; what was written already stays.
    pub(crate) fn split(self, proof: u8) -> impl Iterator<Item = Self> {
        let Self { target, attributes, queries, has_set, .. } = self;
        let paths = target.paths().to_vec();
        paths.into_iter().map(move |path| Self {
            target: Target::Single(path),
            attributes: Arc::clone(&attributes),
            writes: Vec::new(),
            queries: queries.clone(),
            has_set,
            proof,
        })
    }
}

/// The queries that turn these attributes into those.
fn changes(before: &str, attributes: &str) -> Vec<String> {
    let mut queries: Vec<String> = queries_of(attributes).map(str::to_owned).collect();
    // OMA LwM2M Core 1.1 §6.3.4: a name without a value takes the attribute back.
    let gone =
        queries_of(before).map(name_of).filter(|name| !queries_of(attributes).any(|query| name_of(query) == *name));
    queries.extend(gone.map(str::to_owned));
    queries
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)] // a test that cannot go on should stop
    use super::*;

    fn path(text: &str) -> Path {
        Path::parse(text).unwrap()
    }

    fn objects(paths: &[&str]) -> Objects {
        Objects::of_paths(paths.iter().map(|text| (path(text), None)).collect(), lwm2m::Definitions::embedded())
    }

    fn expanded(pattern: &str, registered: &[&str]) -> Vec<String> {
        let paths = Pattern::parse(pattern).unwrap().expand(&objects(registered));
        paths.iter().map(ToString::to_string).collect()
    }

    #[test]
    fn an_asterisk_means_every_registered_instance() {
        let registered = ["/1/0", "/3/0", "/3303/0", "/3303/7", "/3304"];

        assert_eq!(expanded("/3303/*/5700", &registered), ["/3303/0/5700", "/3303/7/5700"]);
        assert_eq!(expanded("/3303/*", &registered), ["/3303/0", "/3303/7"]);
        assert!(expanded("/3304/*/5700", &registered).is_empty(), "an object without instances has none to observe");
    }

    #[test]
    fn a_plain_path_counts_only_if_it_is_registered() {
        let registered = ["/3/0", "/3304"];

        assert_eq!(expanded("/3/0/9", &registered), ["/3/0/9"]);
        assert_eq!(expanded("/3304/2/5700", &registered), ["/3304/2/5700"]);
        assert!(expanded("/3303/0/5700", &registered).is_empty());
    }

    #[test]
    fn an_asterisk_stands_for_an_instance_and_nothing_else() {
        for wrong in ["/*", "/*/0/1", "/*/*/1", "/3303/0/*", "/3303/*/*", "/3303/**", "3303/*"] {
            assert!(Pattern::parse(wrong).is_err(), "{wrong}");
        }
    }

    #[test]
    fn attributes_that_make_no_sense_are_refused() {
        assert!(Intent::parse("/3303/*/5700", "pmin=10&pmax=60").is_ok());
        for wrong in ["pmin=much", "often=1", "gt=1&lt=2"] {
            assert!(matches!(Intent::parse("/3303/*/5700", wrong), Err(EntryError::Attributes { .. })), "{wrong}");
        }
    }

    #[test]
    fn a_client_gets_the_attributes_that_its_version_knows_where_they_may_stand() {
        let intent = Intent::parse("/3303/0", "pmin=1&gt=5&epmax=9&con=1").unwrap();
        let resource = path("/3303/0/5700");

        assert_eq!(&*intent.attributes_for(Version::V1_0, &resource), "pmin=1&gt=5");
        assert_eq!(&*intent.attributes_for(Version::V1_1, &resource), "pmin=1&gt=5&epmax=9");
        assert_eq!(&*intent.attributes_for(Version::V1_2, &resource), "pmin=1&gt=5&epmax=9&con=1");
        assert_eq!(&*intent.attributes_for(Version::V1_2, &path("/3303/0")), "pmin=1&epmax=9&con=1");
    }

    #[test]
    fn attributes_that_are_not_wanted_any_more_are_taken_back() {
        let before = |_: &Path| Some(Arc::from("pmin=5&pmax=30"));
        let wish = Wish::new(Target::Single(path("/3303/0/5700")), "pmax=60&st=1".into(), before);

        let queries = ["pmax=60", "st=1", "pmin"].map(str::to_owned).to_vec();
        assert_eq!(wish.writes, [(path("/3303/0/5700"), queries)]);
    }

    #[test]
    fn paths_with_equal_attributes_are_one_observation_where_the_device_can() {
        let entry = [("/3303/*/5700", "pmin=5"), ("/3/0/9", ""), ("/3/0/13", "pmin=5")];
        let intents = entry.map(|(path, attributes)| Intent::parse(path, attributes).unwrap()).to_vec();
        let profile = Profile { intents, ..Profile::default() };
        let registered = objects(&["/3/0", "/3303/1", "/3303/0"]);

        let together = profile.goals(Version::V1_1, &registered, true);
        let single = profile.goals(Version::V1_1, &registered, false);

        let group = Target::composite(&[path("/3303/0/5700"), path("/3/0/13"), path("/3303/1/5700")]);
        assert_eq!(together, [(group, "pmin=5".into()), (Target::Single(path("/3/0/9")), "".into())]);
        assert_eq!(single.len(), 4);
    }
}
