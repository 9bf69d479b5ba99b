//! Attributes that say when an observation reports (OMA LwM2M Core 1.1 §5.1.2, 1.2 §7.3).

use std::fmt;

use coap::code::Code;

/// What is set at one path. `None`: not set here, the level above decides.
#[derive(Debug, Clone, Copy, PartialEq, Default)]
pub struct Attributes {
    /// Seconds that must pass between two reports.
    pub pmin: Option<u32>,
    /// Seconds after which a report comes even without a change.
    pub pmax: Option<u32>,
    /// Report when the value crosses this from below or above.
    pub gt: Option<f64>,
    /// The same, for the lower bound.
    pub lt: Option<f64>,
    /// Report when the value moved by this much.
    pub st: Option<f64>,
    /// Seconds that must pass between two evaluations (1.1).
    pub epmin: Option<u32>,
    /// Seconds after which the value must be evaluated (1.1).
    pub epmax: Option<u32>,
    /// Report only this edge of a boolean: false falling, true rising (1.2).
    pub edge: Option<bool>,
    /// Report confirmably (1.2).
    pub con: Option<bool>,
    /// How many values to keep for a report that cannot be sent (1.2).
    pub hqmax: Option<u32>,
}

/// Attributes that cannot be set. The request is answered 4.00 and nothing is changed.
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub enum AttributeError {
    /// A name that no attribute has.
    Unknown,
    /// A value that is no number, or not one of the right type.
    ValueInvalid {
        /// The attribute.
        name: &'static str,
    },
    /// Core §5.1.2: `lt` plus twice the step must be less than `gt`.
    StepTooWide,
    /// The minimum evaluation period must be less than the maximum one.
    EvaluationPeriodsCrossed,
}

impl Attributes {
    /// Applies the Uri-Query options of a Write-Attributes: `pmin=10` sets, `pmin` or `pmin=` takes back. All or none.
    pub fn apply(&mut self, queries: &[&[u8]]) -> Result<(), AttributeError> {
        let mut changed = *self;
        for query in queries {
            let query = str::from_utf8(query).map_err(|_| AttributeError::Unknown)?;
            let (name, value) = query.split_once('=').unwrap_or((query, ""));
            if !changed.set(name, (!value.is_empty()).then_some(value))? {
                return Err(AttributeError::Unknown);
            }
        }
        changed.check()?;
        *self = changed;
        Ok(())
    }

    /// Reads the attributes of a link in the answer to a Discover; what is not ours (`dim`, `ver`) is passed over.
    pub fn of_link(attributes: &[(String, Option<String>)]) -> Result<Self, AttributeError> {
        let mut found = Self::default();
        for (name, value) in attributes {
            found.set(name, value.as_deref())?;
        }
        Ok(found)
    }

    /// The Uri-Query options that set these attributes, in a fixed order.
    pub fn to_queries(&self) -> Vec<String> {
        self.texts().into_iter().filter_map(|(name, value)| Some(format!("{name}={}", value?))).collect()
    }

    /// The same as attributes of a link, for the answer to a Discover.
    pub fn to_link(&self) -> Vec<(String, Option<String>)> {
        self.texts().into_iter().filter_map(|(name, value)| Some((name.to_owned(), Some(value?)))).collect()
    }

    /// Whether nothing is set.
    pub fn is_empty(&self) -> bool {
        *self == Self::default()
    }

    /// What holds here when this is unset: the level above (Core §5.1.2: the lower level has precedence).
    pub fn or(&self, above: &Self) -> Self {
        Self {
            pmin: self.pmin.or(above.pmin),
            pmax: self.pmax.or(above.pmax),
            gt: self.gt.or(above.gt),
            lt: self.lt.or(above.lt),
            st: self.st.or(above.st),
            epmin: self.epmin.or(above.epmin),
            epmax: self.epmax.or(above.epmax),
            edge: self.edge.or(above.edge),
            con: self.con.or(above.con),
            hqmax: self.hqmax.or(above.hqmax),
        }
    }

    /// Sets or clears one attribute; false if the name is none of ours.
    fn set(&mut self, name: &str, value: Option<&str>) -> Result<bool, AttributeError> {
        match name {
            "pmin" => self.pmin = whole("pmin", value)?,
            "pmax" => self.pmax = whole("pmax", value)?,
            "gt" => self.gt = number("gt", value)?,
            "lt" => self.lt = number("lt", value)?,
            "st" => self.st = number("st", value)?.map(f64::abs),
            "epmin" => self.epmin = whole("epmin", value)?,
            "epmax" => self.epmax = whole("epmax", value)?,
            "edge" => self.edge = truth("edge", value)?,
            "con" => self.con = truth("con", value)?,
            "hqmax" => self.hqmax = whole("hqmax", value)?,
            _ => return Ok(false),
        }
        Ok(true)
    }

    fn check(&self) -> Result<(), AttributeError> {
        // A pmax below pmin is no error: Core §5.1.2 says that pmax is then ignored.
        if let (Some(lower), Some(upper)) = (self.lt, self.gt)
            && lower + 2.0 * self.st.unwrap_or(0.0) >= upper
        {
            return Err(AttributeError::StepTooWide);
        }
        if let (Some(least), Some(most)) = (self.epmin, self.epmax)
            && least >= most
        {
            return Err(AttributeError::EvaluationPeriodsCrossed);
        }
        Ok(())
    }

    fn texts(&self) -> [(&'static str, Option<String>); 10] {
        let whole = |value: Option<u32>| value.map(|value| value.to_string());
        let number = |value: Option<f64>| value.map(|value| value.to_string());
        let truth = |value: Option<bool>| value.map(|value| u8::from(value).to_string());
        [
            ("pmin", whole(self.pmin)),
            ("pmax", whole(self.pmax)),
            ("gt", number(self.gt)),
            ("lt", number(self.lt)),
            ("st", number(self.st)),
            ("epmin", whole(self.epmin)),
            ("epmax", whole(self.epmax)),
            ("edge", truth(self.edge)),
            ("con", truth(self.con)),
            ("hqmax", whole(self.hqmax)),
        ]
    }
}

impl AttributeError {
    /// The code to answer with.
    pub fn code(&self) -> Code {
        Code::BAD_REQUEST
    }
}

fn whole(name: &'static str, value: Option<&str>) -> Result<Option<u32>, AttributeError> {
    let Some(text) = value else { return Ok(None) };
    let digits = text.bytes().all(|byte| byte.is_ascii_digit()).then(|| text.parse().ok()).flatten();
    digits.map(Some).ok_or(AttributeError::ValueInvalid { name })
}

fn number(name: &'static str, value: Option<&str>) -> Result<Option<f64>, AttributeError> {
    let Some(text) = value else { return Ok(None) };
    let number = text.parse().ok().filter(|number: &f64| number.is_finite());
    number.map(Some).ok_or(AttributeError::ValueInvalid { name })
}

fn truth(name: &'static str, value: Option<&str>) -> Result<Option<bool>, AttributeError> {
    match value {
        None => Ok(None),
        Some("0") => Ok(Some(false)),
        Some("1") => Ok(Some(true)),
        Some(_) => Err(AttributeError::ValueInvalid { name }),
    }
}

impl fmt::Display for AttributeError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Unknown => f.write_str("unknown attribute"),
            Self::ValueInvalid { name } => write!(f, "{name} has a value it cannot have"),
            Self::StepTooWide => f.write_str("lt + 2 * st must be less than gt"),
            Self::EvaluationPeriodsCrossed => f.write_str("epmin must be less than epmax"),
        }
    }
}

impl std::error::Error for AttributeError {}

#[cfg(test)]
mod tests {
    // A test that cannot go on should stop.
    #![allow(clippy::unwrap_used)]
    use super::*;

    fn applied(before: Attributes, queries: &[&str]) -> Result<Attributes, AttributeError> {
        let mut attributes = before;
        attributes.apply(&queries.iter().map(|query| query.as_bytes()).collect::<Vec<_>>())?;
        Ok(attributes)
    }

    #[test]
    fn attributes_are_set_kept_and_taken_back() {
        let first = applied(Attributes::default(), &["pmin=10", "pmax=60", "gt=7.5", "st=0.1", "con=1"]).unwrap();
        let second = applied(first, &["pmax", "gt=", "lt=-2e-3"]).unwrap();

        assert_eq!(first.to_queries(), ["pmin=10", "pmax=60", "gt=7.5", "st=0.1", "con=1"]);
        assert_eq!(second.to_queries(), ["pmin=10", "lt=-0.002", "st=0.1", "con=1"]);
    }

    #[test]
    fn one_bad_attribute_changes_none() {
        let mut attributes = Attributes { pmin: Some(1), ..Attributes::default() };

        for queries in [["pmin=5", "pmax=-1"], ["pmin=5", "nonsense=1"], ["pmin=5", "gt=NaN"], ["pmin=5", "edge=2"]] {
            let queries: Vec<&[u8]> = queries.iter().map(|query| query.as_bytes()).collect();
            attributes.apply(&queries).unwrap_err();
            assert_eq!(attributes.pmin, Some(1));
        }
    }

    #[test]
    fn bounds_that_leave_no_room_for_a_step_are_refused() {
        assert_eq!(applied(Attributes::default(), &["lt=1", "gt=2", "st=0.5"]), Err(AttributeError::StepTooWide));
        assert_eq!(
            applied(Attributes::default(), &["epmin=5", "epmax=5"]),
            Err(AttributeError::EvaluationPeriodsCrossed)
        );
        assert!(applied(Attributes::default(), &["pmin=60", "pmax=10"]).is_ok());
    }

    #[test]
    fn what_discover_says_is_read_and_what_is_not_set_comes_from_above() {
        let link = [("dim".to_owned(), Some("3".to_owned())), ("pmin".to_owned(), Some("10".to_owned()))];
        let here = Attributes::of_link(&link).unwrap();
        let above = Attributes { pmin: Some(1), pmax: Some(60), ..Attributes::default() };

        assert_eq!(here.or(&above), Attributes { pmin: Some(10), pmax: Some(60), ..Attributes::default() });
        assert_eq!(here.to_link(), [("pmin".to_owned(), Some("10".to_owned()))]);
    }
}
