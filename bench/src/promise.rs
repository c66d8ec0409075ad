//! What Sealgate promises of a measured number, and what came of it.

use serde_json::{Value, json};

/// Whether everything that was measured is what was promised.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Outcome {
    /// Every promise is kept.
    Held,
    /// One is not.
    Missed,
}

impl Outcome {
    /// Of whether all of them are kept.
    pub fn of(all_held: bool) -> Self {
        match all_held {
            true => Self::Held,
            false => Self::Missed,
        }
    }

    /// The exit status.
    pub fn exit_code(self) -> u8 {
        match self {
            Self::Held => 0,
            Self::Missed => 3,
        }
    }
}

/// What a number has to be.
#[derive(Debug, Clone, Copy, PartialEq)]
pub enum Bound {
    /// This or less.
    AtMost(f64),
    /// This or more.
    AtLeast(f64),
}

/// A promise, and what was found.
#[derive(Debug, Clone, PartialEq)]
pub struct Promise {
    /// Of what.
    pub words: String,
    /// The number.
    pub found: f64,
    /// What it has to be.
    pub bound: Bound,
}

impl Promise {
    /// Whether it is kept. What is no number keeps nothing.
    pub fn is_held(&self) -> bool {
        match self.bound {
            Bound::AtMost(most) => self.found <= most,
            Bound::AtLeast(least) => self.found >= least,
        }
    }

    /// For people.
    pub fn line(&self) -> String {
        let bound = match self.bound {
            Bound::AtMost(most) => format!("at most {most}"),
            Bound::AtLeast(least) => format!("at least {least}"),
        };
        let verdict = if self.is_held() { "held" } else { "MISSED" };
        format!("{}: {:.2}, {bound}: {verdict}\n", self.words, self.found)
    }

    /// For programs.
    pub fn json(&self) -> Value {
        let (key, wanted) = match self.bound {
            Bound::AtMost(most) => ("wanted_at_most", most),
            Bound::AtLeast(least) => ("wanted_at_least", least),
        };
        json!({ "target": self.words, "found": self.found, key: wanted, "held": self.is_held() })
    }
}

/// What all of them come to.
pub fn outcome(promises: &[Promise]) -> Outcome {
    Outcome::of(promises.iter().all(Promise::is_held))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn promise(found: f64, bound: Bound) -> Promise {
        Promise {
            words: "echoes: × haproxy".to_owned(),
            found,
            bound,
        }
    }

    #[test]
    fn a_bound_holds_on_its_side_and_at_itself() {
        for (found, bound, is_held) in [
            (0.7, Bound::AtMost(0.7), true),
            (0.701, Bound::AtMost(0.7), false),
            (1.3, Bound::AtLeast(1.3), true),
            (1.299, Bound::AtLeast(1.3), false),
            (f64::NAN, Bound::AtMost(1.0), false),
            (f64::NAN, Bound::AtLeast(1.0), false),
        ] {
            assert_eq!(
                promise(found, bound).is_held(),
                is_held,
                "{found} {bound:?}"
            );
        }
        let (kept, broken) = (
            promise(1.0, Bound::AtMost(2.0)),
            promise(3.0, Bound::AtMost(2.0)),
        );
        assert_eq!(outcome(std::slice::from_ref(&kept)), Outcome::Held);
        assert_eq!(outcome(&[kept, broken]), Outcome::Missed);
    }

    #[test]
    fn people_and_programs_are_told_the_same() {
        let missed = promise(0.75, Bound::AtMost(0.7));
        assert_eq!(
            missed.line(),
            "echoes: × haproxy: 0.75, at most 0.7: MISSED\n"
        );
        let held = promise(2.2, Bound::AtLeast(2.0));
        assert_eq!(held.line(), "echoes: × haproxy: 2.20, at least 2: held\n");
        let json = missed.json();
        assert_eq!(
            (&json["wanted_at_most"], &json["held"]),
            (&json!(0.7), &json!(false))
        );
        assert_eq!(held.json()["wanted_at_least"], 2.0);
    }
}
