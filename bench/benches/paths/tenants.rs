//! From names to tenants.

use sealgate::tenant::{NamePattern, NameTable};

/// Tables of the same names, and names to look up.
pub struct Tenants {
    /// Each has a random seed, and what a look-up costs depends on it: small tables are several, as the cost of several varies less.
    tables: Vec<NameTable<usize>>,
    asked: Vec<String>,
}

/// Names in all tables together.
const NAMES: usize = 16_000;
/// Tables at most.
const TABLES_MOST: usize = 16;

impl Tenants {
    /// `count` names, every tenth a wildcard; `asked` look-ups spread over all of them, every tenth for a name that nobody has.
    pub fn new(count: usize, asked: usize) -> Self {
        let tables = (NAMES / count).clamp(1, TABLES_MOST);
        // A stride that is prime to every count, so that neighbours in the table are not asked for in a row.
        let asked = (0..asked).map(|at| match at * 7919 % count {
            _ if at % 10 == 5 => format!("nobody-{at:06}.example"),
            wildcard if wildcard % 10 == 0 => format!("www.tenant-{wildcard:06}.example"),
            exact => format!("tenant-{exact:06}.example"),
        });
        Self {
            asked: asked.collect(),
            tables: (0..tables).map(|_| table(count)).collect(),
        }
    }

    /// Look-ups that [`Tenants::resolve`] makes.
    pub fn lookups(&self) -> usize {
        self.tables.len() * self.asked.len()
    }

    /// Looks all of them up in each table; gives how many were found.
    pub fn resolve(&self) -> usize {
        let in_table = |table: &NameTable<usize>| {
            let found = self.asked.iter();
            found
                .filter(|name| table.resolve(Some(name)).is_ok())
                .count()
        };
        self.tables.iter().map(in_table).sum()
    }
}

fn table(count: usize) -> NameTable<usize> {
    let mut table = NameTable::default();
    for tenant in 0..count {
        let name = format!("tenant-{tenant:06}.example");
        let pattern = match tenant % 10 {
            0 => NamePattern::Wildcard(name),
            _ => NamePattern::Exact(name),
        };
        table.insert(&pattern, tenant);
    }
    table
}
