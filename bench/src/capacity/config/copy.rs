//! The copy of a configuration that can run here. Pure.
//!
//! It differs in addresses, in what it trusts behind them, and in keyrings: nothing of a measurement goes to the operator's services, or
//! under the operator's keys. Every value is replaced where it stands, so lines keep their numbers.

use std::{
    net::SocketAddr,
    path::{Path, PathBuf},
};

use serde::{Deserialize, Serialize};
use toml_edit::{DocumentMut, Item, TableLike, Value};

use super::text;

/// What a value that stands for a file is called, by table.
const TENANT_FILES: [&str; 3] = ["certificate", "key", "client_ca"];
const UPSTREAM_FILES: [&str; 2] = ["certificate", "key"];

/// What the copy is given instead.
#[derive(Debug, Clone)]
pub struct Stand {
    /// Free addresses, as many as [`super::addresses`] asks for.
    pub listen: Vec<SocketAddr>,
    /// The origin behind `http://`.
    pub http: SocketAddr,
    /// The origin behind `https://`.
    pub https: SocketAddr,
    /// The service behind TCP routes.
    pub tcp: SocketAddr,
    /// The same over TLS.
    pub tls: SocketAddr,
    /// The authority of the origin's certificate.
    pub ca: PathBuf,
    /// Where keyrings stand, `N.keyring` for the N-th tenant.
    pub keyrings: PathBuf,
    /// Where relative paths start: the directory of the operator's file.
    pub base: PathBuf,
}

/// A value that the copy has instead of the operator's.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Rewritten {
    /// Its key.
    pub key: String,
    /// The operator's.
    pub from: String,
    /// What it became.
    pub to: String,
}

/// Where a tenant's keyring stands.
pub fn keyring(keyrings: &Path, tenant: usize) -> PathBuf {
    keyrings.join(format!("{tenant}.keyring"))
}

/// Turns the document into the copy, and says what it replaced.
pub fn rewrite(document: &mut DocumentMut, stand: &Stand) -> Vec<Rewritten> {
    let mut done = Rewriting {
        stand,
        free: stand.listen.iter(),
        rewritten: Vec::new(),
    };
    if let Some(listen) = admin_mut(document) {
        done.listen("admin.listen", listen);
    }
    for (at, listener) in tables_mut(document, "listener").enumerate() {
        if let Some(listen) = listener.get_mut("listen") {
            done.listen(&format!("listener[{at}].listen"), listen);
        }
    }
    for (at, tenant) in tables_mut(document, "tenant").enumerate() {
        done.files(tenant, &TENANT_FILES);
        if let Some(keyring) = tenant.get_mut("keyring") {
            let own = self::keyring(&stand.keyrings, at).display().to_string();
            done.replace(&format!("tenant[{at}].keyring"), keyring, |_| own.clone());
        }
    }
    for (at, route) in tables_mut(document, "route").enumerate() {
        done.upstream(at, route);
    }
    done.rewritten
}

struct Rewriting<'a> {
    stand: &'a Stand,
    free: std::slice::Iter<'a, SocketAddr>,
    rewritten: Vec<Rewritten>,
}

impl Rewriting<'_> {
    fn listen(&mut self, key: &str, item: &mut Item) {
        let mut free = self.free.clone();
        self.replace(key, item, |own| {
            free.next()
                .map_or_else(|| own.to_owned(), SocketAddr::to_string)
        });
        self.free = free;
    }

    fn upstream(&mut self, at: usize, route: &mut dyn TableLike) {
        let stand = self.stand;
        let tcp = if is_tls(route) { stand.tls } else { stand.tcp };
        if let Some(upstream) = route.get_mut("upstream") {
            let key = format!("route[{at}].upstream");
            self.replace(&key, upstream, |own| match own.split_once("://") {
                Some(("https", _)) => format!("https://{}", stand.https),
                Some(_) => format!("http://{}", stand.http),
                None => tcp.to_string(),
            });
        }
        let tls = route.get_mut("upstream_tls");
        let Some(tls) = tls.and_then(Item::as_table_like_mut) else {
            return;
        };
        let key = |name| format!("route[{at}].upstream_tls.{name}");
        if let Some(ca) = tls.get_mut("ca") {
            self.replace(&key("ca"), ca, |_| stand.ca.display().to_string());
        }
        if let Some(name) = tls.get_mut("server_name") {
            self.replace(&key("server_name"), name, |_| "localhost".to_owned());
        }
        self.files(tls, &UPSTREAM_FILES);
    }

    /// Relative paths start elsewhere now; they lead to the same files.
    fn files(&self, table: &mut dyn TableLike, keys: &[&str]) {
        for key in keys {
            if let Some(item) = table.get_mut(key)
                && let Some(value) = item.as_value_mut()
                && let Some(path) = value.as_str()
            {
                let path = self.stand.base.join(path).display().to_string();
                set(value, path);
            }
        }
    }

    /// Replaces a text, or each of a list.
    fn replace(&mut self, key: &str, item: &mut Item, mut with: impl FnMut(&str) -> String) {
        let mut replace = |value: &mut Value| {
            if let Some(from) = value.as_str().map(str::to_owned) {
                let to = with(&from);
                set(value, to.clone());
                let key = key.to_owned();
                self.rewritten.push(Rewritten { key, from, to });
            }
        };
        match item.as_value_mut() {
            Some(Value::Array(many)) => many.iter_mut().for_each(replace),
            Some(one) => replace(one),
            None => {}
        }
    }
}

/// Replaces a value; spaces and comments around it stay.
fn set(value: &mut Value, text: String) {
    let decor = value.decor().clone();
    *value = Value::from(text);
    *value.decor_mut() = decor;
}

/// Whether the upstream of a TCP route ends TLS.
fn is_tls(route: &dyn TableLike) -> bool {
    route.contains_key("upstream_tls") || text(route, "class") == "passthrough"
}

fn admin_mut(document: &mut DocumentMut) -> Option<&mut Item> {
    let admin = document.get_mut("admin")?.as_table_like_mut()?;
    admin.get_mut("listen")
}

/// The tables of a list, however it is written.
fn tables_mut<'a>(
    document: &'a mut DocumentMut,
    key: &str,
) -> Box<dyn Iterator<Item = &'a mut dyn TableLike> + 'a> {
    match document.get_mut(key) {
        Some(Item::ArrayOfTables(many)) => {
            Box::new(many.iter_mut().map(|table| table as &mut dyn TableLike))
        }
        Some(Item::Value(Value::Array(many))) => {
            let inline = many.iter_mut().filter_map(Value::as_inline_table_mut);
            Box::new(inline.map(|table| table as &mut dyn TableLike))
        }
        _ => Box::new(std::iter::empty()),
    }
}

#[cfg(test)]
mod tests {
    use super::super::{addresses, first_addresses, parse, routes, tests::reference};
    use super::*;

    fn stand(count: u16) -> Stand {
        let at = |port| SocketAddr::from(([127, 0, 0, 1], port));
        Stand {
            listen: (1..=count).map(at).collect(),
            http: at(100),
            https: at(101),
            tcp: at(102),
            tls: at(103),
            ca: "/place/ca.pem".into(),
            keyrings: "/place".into(),
            base: "/etc/sealgate".into(),
        }
    }

    #[test]
    fn the_reference_configuration_is_rewritten_where_it_stands() {
        let mut document = reference();
        let before = document.to_string();
        assert_eq!(addresses(&document), 4);
        let all = stand(4).listen;
        assert_eq!(first_addresses(&document, &all), [all[1], all[3]]);
        let rewritten = rewrite(&mut document, &stand(4));
        let after = document.to_string();
        assert_eq!(before.lines().count(), after.lines().count());
        for (wanted, from) in [
            (
                "listen = \"127.0.0.1:1\"           # required; IP:PORT",
                "127.0.0.1:9900",
            ),
            (
                "listen = [\"127.0.0.1:2\", \"127.0.0.1:3\"]",
                "0.0.0.0:8443",
            ),
            ("listen = \"127.0.0.1:4\"", "127.0.0.1:8444"),
            (
                "upstream = [\"http://127.0.0.1:100\"]",
                "http://127.0.0.1:9080",
            ),
            (
                "upstream = \"https://127.0.0.1:101\"",
                "https://127.0.0.1:9443",
            ),
            (
                "upstream = [\"127.0.0.1:102\", \"127.0.0.1:102\"]",
                "127.0.0.1:9001",
            ),
            ("upstream = \"127.0.0.1:103\"", "127.0.0.1:9444"),
            ("ca = \"/place/ca.pem\"", "backend-ca.pem"),
            ("server_name = \"localhost\"", "backend.internal"),
            ("keyring = \"/place/0.keyring\"", "acme.keyring"),
        ] {
            assert!(after.contains(wanted), "{wanted}: {after}");
            assert!(
                rewritten.iter().any(|one| one.from == from),
                "{from}: {rewritten:?}"
            );
        }
        for kept in [
            "certificate = \"/etc/sealgate/acme.pem\"",
            "client_ca = \"/etc/sealgate/acme-clients.pem\"",
            "certificate = \"/etc/sealgate/acme-to-backend.pem\"",
            "workers = 2",
            "max_connections = 10000",
            "idle = \"5m\"",
        ] {
            assert!(after.contains(kept), "{kept}: {after}");
        }
        let keys: Vec<_> = rewritten.iter().map(|one| one.key.as_str()).collect();
        assert_eq!(keys.len(), 12, "{keys:?}");
        assert!(
            keys.contains(&"route[1].upstream_tls.server_name"),
            "{keys:?}"
        );
    }

    #[test]
    fn inline_lists_are_rewritten_too() {
        let text = "listener = [{ name = 'a', listen = 'x:1' }, { name = 'b', listen = ['x:2', 'x:3'] }]\n\
                    route = [{ name = 'r', class = 'terminated', upstream = 'y:1' }]\n";
        let mut document = parse(text).expect("it is TOML");
        assert_eq!(addresses(&document), 3);
        rewrite(&mut document, &stand(3));
        let after = document.to_string();
        assert!(
            !after.contains("'x") && after.contains("listen = [\"127.0.0.1:2\", \"127.0.0.1:3\"]"),
            "{after}"
        );
        assert!(after.contains("upstream = \"127.0.0.1:102\""), "{after}");
    }

    #[test]
    fn what_the_gateway_will_refuse_is_passed_over() {
        let text = "listener = 3\nadmin = 'x'\n[[tenant]]\nid = 7\n[[route]]\nupstream = 9\ntenant = 'nobody'\n";
        let mut document = parse(text).expect("it is TOML");
        assert_eq!(addresses(&document), 0);
        assert_eq!(routes(&document).len(), 1);
        assert!(rewrite(&mut document, &stand(0)).is_empty());
        assert_eq!(document.to_string(), text);
    }
}
