//! A path names a place in the tree of a device: `/3/0/9`.

use std::fmt;
use std::str::FromStr;

/// OMA LwM2M Core 1.1 §7.3: 65535 (MAX_ID) is reserved and names nothing.
pub const ID_RESERVED: u16 = u16::MAX;

/// Longest text of a path: four slashes, four ids of five digits.
pub const PATH_BYTES_MAX: usize = 24;

/// Object, object instance, resource, resource instance; a path may stop at any level.
///
/// Build one with [`Path::parse`] or the constructors: they never leave a hole (a resource without an instance).
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct Path {
    /// The object id; [`ID_RESERVED`] stands for the root.
    pub object: u16,
    /// The object instance id.
    pub instance: Option<u16>,
    /// The resource id.
    pub resource: Option<u16>,
    /// The resource instance id, for resources that have several values.
    pub resource_instance: Option<u16>,
}

/// Why a text is no path.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[non_exhaustive]
pub enum PathError {
    /// A path starts with a slash.
    SlashMissing,
    /// There are four levels.
    TooDeep,
    /// An id is a decimal number from 0 to 65534 without leading zeros.
    IdInvalid {
        /// Which id, from 0.
        level: u8,
    },
}

impl Path {
    /// The root `/`: every object of the device.
    pub const ROOT: Self = Self { object: ID_RESERVED, instance: None, resource: None, resource_instance: None };

    /// `/object`
    pub const fn of_object(object: u16) -> Self {
        Self { object, instance: None, resource: None, resource_instance: None }
    }

    /// `/object/instance`
    pub const fn of_instance(object: u16, instance: u16) -> Self {
        Self { object, instance: Some(instance), resource: None, resource_instance: None }
    }

    /// `/object/instance/resource`
    pub const fn of_resource(object: u16, instance: u16, resource: u16) -> Self {
        Self { object, instance: Some(instance), resource: Some(resource), resource_instance: None }
    }

    /// `/object/instance/resource/resource_instance`
    pub const fn of_resource_instance(object: u16, instance: u16, resource: u16, resource_instance: u16) -> Self {
        Self { object, instance: Some(instance), resource: Some(resource), resource_instance: Some(resource_instance) }
    }

    /// Reads `/3/0/9`. Strict: one leading slash, no trailing one, no leading zeros; `/` is the root.
    pub fn parse(text: &str) -> Result<Self, PathError> {
        Self::parse_bytes(text.as_bytes().iter())
    }

    /// Reads a path from bytes that need not lie in one piece (SenML gives a name in two).
    pub(crate) fn parse_bytes<'a>(mut bytes: impl Iterator<Item = &'a u8>) -> Result<Self, PathError> {
        if bytes.next() != Some(&b'/') {
            return Err(PathError::SlashMissing);
        }
        let mut ids = [None::<u16>; 4];
        let (mut level, mut id) = (0usize, None::<u32>);
        for &byte in bytes {
            id = match (byte, id) {
                (b'0'..=b'9', None) => Some(u32::from(byte - b'0')),
                (b'0'..=b'9', Some(so_far @ 1..)) => Some(so_far * 10 + u32::from(byte - b'0')),
                (b'/', Some(whole)) => {
                    ids[level] = Some(whole as u16);
                    level += 1;
                    if level == ids.len() {
                        return Err(PathError::TooDeep);
                    }
                    None
                }
                _ => return Err(PathError::IdInvalid { level: level as u8 }),
            };
            if id >= Some(u32::from(ID_RESERVED)) {
                return Err(PathError::IdInvalid { level: level as u8 });
            }
        }
        match (level, id) {
            (0, None) => return Ok(Self::ROOT),
            (_, None) => return Err(PathError::IdInvalid { level: level as u8 }),
            (_, Some(whole)) => ids[level] = Some(whole as u16),
        }
        let [object, instance, resource, resource_instance] = ids;
        Ok(Self { object: object.unwrap_or(ID_RESERVED), instance, resource, resource_instance })
    }

    /// How many ids the path has: 0 for the root, 4 for a resource instance.
    pub fn depth(&self) -> usize {
        self.ids().count()
    }

    /// Whether this is `/`.
    pub fn is_root(&self) -> bool {
        self.object == ID_RESERVED
    }

    /// The ids from the object down.
    pub fn ids(&self) -> impl Iterator<Item = u16> + use<> {
        let object = (!self.is_root()).then_some(self.object);
        [object, self.instance, self.resource, self.resource_instance].into_iter().map_while(|id| id)
    }

    /// Whether `other` is this path or lies below it.
    pub fn contains(&self, other: &Self) -> bool {
        let mut below = other.ids();
        self.ids().all(|id| below.next() == Some(id))
    }

    /// Whether this path is `prefix` or lies below it.
    pub fn starts_with(&self, prefix: &Self) -> bool {
        prefix.contains(self)
    }

    /// The path one level up; the root's parent is the root.
    pub fn parent(&self) -> Self {
        let mut up = *self;
        if up.resource_instance.take().is_none() && up.resource.take().is_none() && up.instance.take().is_none() {
            up.object = ID_RESERVED;
        }
        up
    }

    /// The path one level down; `None` below a resource instance.
    pub fn child(&self, id: u16) -> Option<Self> {
        let mut down = *self;
        match self.depth() {
            0 => down.object = id,
            1 => down.instance = Some(id),
            2 => down.resource = Some(id),
            3 => down.resource_instance = Some(id),
            _ => return None,
        }
        Some(down)
    }

    /// Appends the text of the path to `out`.
    pub fn write(&self, out: &mut Vec<u8>) {
        if self.is_root() {
            out.push(b'/');
        }
        for id in self.ids() {
            out.push(b'/');
            out.extend_from_slice(itoa::Buffer::new().format(id).as_bytes());
        }
    }
}

impl fmt::Display for Path {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        if self.is_root() {
            return f.write_str("/");
        }
        self.ids().try_for_each(|id| write!(f, "/{id}"))
    }
}

impl FromStr for Path {
    type Err = PathError;

    fn from_str(text: &str) -> Result<Self, PathError> {
        Self::parse(text)
    }
}

impl fmt::Display for PathError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::SlashMissing => f.write_str("a path starts with a slash"),
            Self::TooDeep => f.write_str("a path has at most four ids"),
            Self::IdInvalid { level } => write!(f, "id {level} of the path is not a number from 0 to 65534"),
        }
    }
}

impl std::error::Error for PathError {}

#[cfg(test)]
mod tests {
    // A test that cannot go on should stop.
    #![allow(clippy::unwrap_used)]
    use super::*;

    #[test]
    fn a_path_reads_back_as_it_was_written() {
        for text in ["/", "/3", "/3/0", "/3/0/9", "/65534/65534/65534/65534", "/0/0/0/0"] {
            let mut written = Vec::new();
            Path::parse(text).unwrap().write(&mut written);
            assert_eq!((Path::parse(text).unwrap().to_string().as_str(), written.as_slice()), (text, text.as_bytes()));
        }
    }

    #[test]
    fn a_sloppy_path_is_refused() {
        for (text, error) in [
            ("", PathError::SlashMissing),
            ("3/0", PathError::SlashMissing),
            ("//3", PathError::IdInvalid { level: 0 }),
            ("/3/", PathError::IdInvalid { level: 1 }),
            ("/03", PathError::IdInvalid { level: 0 }),
            ("/3/65535", PathError::IdInvalid { level: 1 }),
            ("/99999999999", PathError::IdInvalid { level: 0 }),
            ("/3/-1", PathError::IdInvalid { level: 1 }),
            ("/1/2/3/4/5", PathError::TooDeep),
            ("/3/0/x", PathError::IdInvalid { level: 2 }),
        ] {
            assert_eq!(Path::parse(text), Err(error), "{text}");
        }
    }

    #[test]
    fn an_instance_contains_its_resources_and_not_its_neighbours() {
        let instance = Path::of_instance(3, 0);

        assert!(instance.contains(&Path::of_resource(3, 0, 9)) && instance.contains(&instance));
        assert!(!instance.contains(&Path::of_instance(3, 1)) && !instance.contains(&Path::of_object(3)));
        assert!(Path::ROOT.contains(&instance) && instance.starts_with(&Path::ROOT));
        assert!(!instance.contains(&Path::ROOT));
    }

    #[test]
    fn parent_and_child_are_inverse() {
        let mut path = Path::ROOT;
        for id in [3, 0, 9, 1] {
            let below = path.child(id).unwrap();
            assert_eq!(below.parent(), path);
            path = below;
        }
        assert_eq!((path.child(0), Path::ROOT.parent()), (None, Path::ROOT));
    }
}
