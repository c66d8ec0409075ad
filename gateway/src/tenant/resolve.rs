//! From a name to a tenant: exact, then wildcard, then the default.

use std::collections::HashMap;

use super::NamePattern;

/// Why a name belongs to nobody.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum NoTenant {
    /// The client named nobody, and there is no default tenant.
    NoSni,
    /// Nobody has that name, and there is no default tenant.
    UnknownName,
}

/// Names of one listener. Look-up costs at most two hashes, whatever the number of tenants.
pub struct NameTable<T> {
    exact: HashMap<String, T>,
    /// By the part behind the wildcard label.
    wildcard: HashMap<String, T>,
    default: Option<T>,
}

impl<T> Default for NameTable<T> {
    fn default() -> Self {
        NameTable {
            exact: HashMap::new(),
            wildcard: HashMap::new(),
            default: None,
        }
    }
}

impl<T> NameTable<T> {
    /// Gives `pattern` to `tenant`.
    pub fn insert(&mut self, pattern: &NamePattern, tenant: T) {
        match pattern {
            NamePattern::Exact(name) => self.exact.insert(name.clone(), tenant),
            NamePattern::Wildcard(parent) => self.wildcard.insert(parent.clone(), tenant),
        };
    }

    /// Gives all other names, and clients that name nobody, to `tenant`.
    pub fn set_default(&mut self, tenant: T) {
        self.default = Some(tenant);
    }

    /// Whom `name`, in lower case, belongs to.
    ///
    /// # Errors
    /// [`NoTenant`]; the client's fault, or the operator's.
    pub fn resolve(&self, name: Option<&str>) -> Result<&T, NoTenant> {
        let Some(name) = name else {
            return self.default.as_ref().ok_or(NoTenant::NoSni);
        };
        let name = name.strip_suffix('.').unwrap_or(name);
        self.exact
            .get(name)
            .or_else(|| {
                let (label, parent) = name.split_once('.')?;
                if label.is_empty() {
                    None
                } else {
                    self.wildcard.get(parent)
                }
            })
            .or(self.default.as_ref())
            .ok_or(NoTenant::UnknownName)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn table() -> NameTable<u8> {
        let mut table = NameTable::default();
        table.insert(&NamePattern::Exact("a.test".into()), 1);
        table.insert(&NamePattern::Wildcard("a.test".into()), 2);
        table.insert(&NamePattern::Exact("x.a.test".into()), 3);
        table
    }

    #[test]
    fn exact_comes_before_wildcard_and_wildcard_before_default() {
        let mut table = table();
        assert_eq!(table.resolve(Some("a.test")), Ok(&1));
        assert_eq!(table.resolve(Some("b.a.test")), Ok(&2));
        assert_eq!(table.resolve(Some("x.a.test")), Ok(&3));
        assert_eq!(table.resolve(Some("x.a.test.")), Ok(&3));
        assert_eq!(
            table.resolve(Some("c.b.a.test")),
            Err(NoTenant::UnknownName)
        );
        assert_eq!(table.resolve(Some(".a.test")), Err(NoTenant::UnknownName));
        assert_eq!(table.resolve(None), Err(NoTenant::NoSni));
        table.set_default(9);
        assert_eq!(table.resolve(Some("c.b.a.test")), Ok(&9));
        assert_eq!(table.resolve(None), Ok(&9));
    }
}
