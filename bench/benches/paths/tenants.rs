//! From names to tenants.

use sealgate::tenant::{NamePattern, NameTable};

/// A table of names, and names to look up.
pub struct Tenants {
    table: NameTable<usize>,
    asked: Vec<String>,
}

impl Tenants {
    /// `count` names, every tenth a wildcard; `asked` look-ups spread over all of them, every tenth for a name that nobody has.
    pub fn new(count: usize, asked: usize) -> Self {
        let mut table = NameTable::default();
        for tenant in 0..count {
            let name = format!("tenant-{tenant:06}.example");
            let pattern = match tenant % 10 {
                0 => NamePattern::Wildcard(name),
                _ => NamePattern::Exact(name),
            };
            table.insert(&pattern, tenant);
        }
        // A stride that is prime to every count, so that neighbours in the table are not asked for in a row.
        let asked = (0..asked).map(|at| match at * 7919 % count {
            _ if at % 10 == 5 => format!("nobody-{at:06}.example"),
            wildcard if wildcard % 10 == 0 => format!("www.tenant-{wildcard:06}.example"),
            exact => format!("tenant-{exact:06}.example"),
        });
        Self {
            asked: asked.collect(),
            table,
        }
    }

    /// Looks all of them up; gives how many were found.
    pub fn resolve(&self) -> usize {
        let found = self
            .asked
            .iter()
            .filter(|name| self.table.resolve(Some(name)).is_ok());
        found.count()
    }
}
