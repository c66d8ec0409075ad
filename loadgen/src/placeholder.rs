//! Text with places that are filled in for each operation: `{tenant}` and `{n}`.
//!
//! Filling in copies bytes to where they are needed, and allocates only to grow that.

use std::io::Write;

use thiserror::Error;

use crate::tenants::Tenants;

/// Text, cut where something is filled in.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Text(Vec<Piece>);

#[derive(Debug, Clone, PartialEq, Eq)]
enum Piece {
    Literal(Vec<u8>),
    Tenant,
    Object,
}

/// What is filled in.
#[derive(Debug, Clone, Copy, Default)]
pub struct Filling<'a> {
    /// Names of tenants.
    pub tenants: Option<&'a Tenants>,
    /// Which tenant.
    pub tenant: usize,
    /// Number of an object.
    pub object: u64,
}

/// A placeholder that there is none of. The operator's fault.
#[derive(Debug, Error, PartialEq, Eq)]
#[error("{text}: there is no placeholder {{{name}}}; there are {{tenant}} and, for objects, {{n}}")]
pub struct UnknownPlaceholder {
    text: String,
    name: String,
}

impl Text {
    /// Text without a tenant's name or an object's number: all braces stand for themselves.
    pub fn literal(text: &str) -> Self {
        Self(Vec::from([Piece::Literal(text.into())]))
    }

    /// Text with a tenant's name. Other braces stand for themselves, as JSON in a header field.
    pub fn of_tenant(text: &str) -> Self {
        Self::cut(text, &[("{tenant}", Piece::Tenant)])
    }

    fn cut(text: &str, names: &[(&str, Piece)]) -> Self {
        let mut pieces = Vec::new();
        let mut rest = text;
        while !rest.is_empty() {
            let found = names.iter().filter_map(|(name, piece)| {
                let at = rest.find(name)?;
                Some((at, name.len(), piece))
            });
            let Some((at, len, piece)) = found.min_by_key(|(at, ..)| *at) else {
                pieces.push(Piece::Literal(rest.into()));
                break;
            };
            if at > 0 {
                pieces.push(Piece::Literal(rest[..at].into()));
            }
            pieces.push(piece.clone());
            rest = &rest[at + len..];
        }
        Self(pieces)
    }

    /// The same with `more` behind it.
    pub fn followed_by(mut self, more: Text) -> Self {
        self.0.extend(more.0);
        self
    }

    /// Text with a tenant's name and an object's number, and no other braces.
    ///
    /// # Errors
    ///
    /// When there is another name in braces.
    pub fn strict(text: &str) -> Result<Self, UnknownPlaceholder> {
        let parsed = Self::cut(text, &[("{tenant}", Piece::Tenant), ("{n}", Piece::Object)]);
        for piece in &parsed.0 {
            let Piece::Literal(literal) = piece else {
                continue;
            };
            let literal = String::from_utf8_lossy(literal);
            if let Some((_, inner)) = literal.split_once('{') {
                return Err(UnknownPlaceholder {
                    text: text.to_owned(),
                    name: inner.split('}').next().unwrap_or_default().to_owned(),
                });
            }
        }
        Ok(parsed)
    }

    /// Whether it differs between tenants.
    pub fn names_tenant(&self) -> bool {
        self.0.contains(&Piece::Tenant)
    }

    /// Whether it differs between objects.
    pub fn names_object(&self) -> bool {
        self.0.contains(&Piece::Object)
    }

    /// Appends the text to `out`, filled in.
    pub fn write(&self, filling: Filling<'_>, out: &mut Vec<u8>) {
        for piece in &self.0 {
            match (piece, filling.tenants) {
                (Piece::Literal(literal), _) => out.extend_from_slice(literal),
                (Piece::Tenant, Some(tenants)) => tenants.write_name(filling.tenant, out),
                // Without tenants the flags are refused before.
                (Piece::Tenant, None) => {}
                (Piece::Object, _) => {
                    let _ = write!(out, "{}", filling.object);
                }
            }
        }
    }

    /// The text, filled in.
    pub fn filled(&self, filling: Filling<'_>) -> String {
        let mut out = Vec::new();
        self.write(filling, &mut out);
        String::from_utf8_lossy(&out).into_owned()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn places_are_filled_in_and_other_braces_stay() {
        let tenants = Tenants::new(
            &"2".parse().unwrap(),
            "t{n}.example",
            &[],
            1,
            &crate::files::Files::Disk,
        )
        .unwrap();
        let filling = Filling {
            tenants: Some(&tenants),
            tenant: 1,
            object: 42,
        };
        for (text, filled) in [
            ("", ""),
            ("/x", "/x"),
            ("{tenant}", "t2.example"),
            ("/{tenant}/{n}/{tenant}", "/t2.example/42/t2.example"),
        ] {
            assert_eq!(Text::strict(text).unwrap().filled(filling), filled);
        }
        let json = Text::of_tenant("{\"n\": {n}, \"a\": \"{tenant}\"}");
        assert_eq!(json.filled(filling), "{\"n\": {n}, \"a\": \"t2.example\"}");
        let both = Text::literal("{tenant}").followed_by(Text::of_tenant("{tenant}"));
        assert_eq!(both.filled(filling), "{tenant}t2.example");
        assert!(Text::strict("/{n}").unwrap().names_object());
        assert!(!Text::strict("/{n}").unwrap().names_tenant());
        let error = Text::strict("/{tenan}/x").unwrap_err().to_string();
        assert!(
            error.contains("{tenan};") && error.contains("{tenant}"),
            "{error}"
        );
    }
}
