//! An operator's configuration: what of it can be loaded, and the copy that can run here. Pure.
//!
//! Whether the file is good, `sealgate check` says; what it would refuse is passed over here.

mod copy;

use std::net::SocketAddr;

use serde::{Deserialize, Serialize};
use toml_edit::{Array, DocumentMut, Item, TableLike, Value};

pub use self::copy::{Rewritten, Stand, keyring, rewrite};

/// A route, and what a client has to know to use it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Route {
    /// Its name.
    pub name: String,
    /// Its tenant.
    pub tenant: String,
    /// How it is spoken to.
    pub protocol: Protocol,
    /// Its class.
    pub class: String,
    /// The name to ask for.
    pub server_name: String,
    /// Which listener, counted from 0.
    pub listener: usize,
    /// What its paths begin with.
    pub path: String,
    /// Whether it wants a client certificate.
    pub wants_certificate: bool,
}

/// What a route speaks.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Protocol {
    /// HTTP.
    Http,
    /// Anything.
    Tcp,
}

/// Text of a configuration that is no TOML.
///
/// # Errors
///
/// Where it breaks, and why.
pub fn parse(text: &str) -> Result<DocumentMut, toml_edit::TomlError> {
    text.parse()
}

/// How many addresses the copy binds.
pub fn addresses(document: &DocumentMut) -> usize {
    let listeners = tables(document, "listener");
    let listen = listeners.map(|listener| texts(listener.get("listen")).len());
    listen.sum::<usize>() + usize::from(admin(document).is_some())
}

/// Of these addresses, the first one of each listener.
pub fn first_addresses(document: &DocumentMut, all: &[SocketAddr]) -> Vec<SocketAddr> {
    let mut next = usize::from(admin(document).is_some());
    let listeners = tables(document, "listener").map(|listener| {
        let first = next;
        next += texts(listener.get("listen")).len();
        all[first]
    });
    listeners.collect()
}

/// Tenants that have a keyring: their place among all, and their ids.
pub fn keyrings(document: &DocumentMut) -> Vec<(usize, String)> {
    let tenants = tables(document, "tenant").enumerate();
    let with = tenants.filter(|(_, tenant)| tenant.contains_key("keyring"));
    with.map(|(at, tenant)| (at, text(tenant, "id"))).collect()
}

/// How many workers it has; none where the machine decides.
pub fn workers(document: &DocumentMut) -> Option<usize> {
    let workers = document.get("workers")?.as_integer()?;
    usize::try_from(workers).ok()
}

/// The bound of its open connections.
pub fn max_connections(document: &DocumentMut) -> u64 {
    let limits = document.get("limits").and_then(Item::as_table_like);
    let most = limits.and_then(|limits| limits.get("max_connections")?.as_integer());
    // The gateway's default, as config/gateway.toml has it.
    most.and_then(|most| u64::try_from(most).ok())
        .unwrap_or(10_000)
}

/// The routes, in their order.
pub fn routes(document: &DocumentMut) -> Vec<Route> {
    let listeners: Vec<_> = tables(document, "listener")
        .map(|listener| text(listener, "name"))
        .collect();
    let routes = tables(document, "route").map(|route| {
        let id = text(route, "tenant");
        let tenant = tables(document, "tenant").find(|tenant| text(*tenant, "id") == id);
        let of_tenant = |key| tenant.map_or_else(String::new, |tenant| text(tenant, key));
        let names = tenant.map_or_else(Vec::new, |tenant| texts(tenant.get("names")));
        let on = texts(route.get("listener"));
        let listener = listeners.iter().position(|name| on.first() == Some(name));
        let class = text(route, "class");
        let path = text(route, "path");
        Route {
            name: text(route, "name"),
            protocol: match text(route, "protocol").as_str() {
                "http" => Protocol::Http,
                _ => Protocol::Tcp,
            },
            server_name: server_name(&names),
            listener: listener.unwrap_or(0),
            path: if path.is_empty() { "/".into() } else { path },
            wants_certificate: of_tenant("client_auth") == "required"
                || text(route, "readers") == "mtls",
            tenant: id,
            class,
        }
    });
    routes.collect()
}

/// A name by which a client reaches a tenant: the first one, with a label for the star; any where the
/// tenant takes whoever comes.
fn server_name(names: &[String]) -> String {
    match names.first() {
        Some(name) => name.replacen('*', "sealgate-bench", 1),
        None => "localhost".to_owned(),
    }
}

fn admin(document: &DocumentMut) -> Option<&Item> {
    document.get("admin")?.as_table_like()?.get("listen")
}

/// The tables of a list, however it is written.
fn tables<'a>(
    document: &'a DocumentMut,
    key: &str,
) -> Box<dyn Iterator<Item = &'a dyn TableLike> + 'a> {
    match document.get(key) {
        Some(Item::ArrayOfTables(many)) => {
            Box::new(many.iter().map(|table| table as &dyn TableLike))
        }
        Some(Item::Value(Value::Array(many))) => {
            let inline = many.iter().filter_map(Value::as_inline_table);
            Box::new(inline.map(|table| table as &dyn TableLike))
        }
        _ => Box::new(std::iter::empty()),
    }
}

/// A text; empty where there is none.
fn text(table: &dyn TableLike, key: &str) -> String {
    let text = table.get(key).and_then(Item::as_str);
    text.unwrap_or_default().to_owned()
}

/// One text or several.
fn texts(item: Option<&Item>) -> Vec<String> {
    let Some(item) = item else {
        return Vec::new();
    };
    let list = item.as_array().map(Array::iter);
    let listed = list.into_iter().flatten().filter_map(Value::as_str);
    item.as_str()
        .into_iter()
        .chain(listed)
        .map(str::to_owned)
        .collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    pub(super) fn reference() -> DocumentMut {
        let path = concat!(env!("CARGO_MANIFEST_DIR"), "/../config/gateway.toml");
        let text = std::fs::read_to_string(path).expect("it is in the repository");
        parse(&text).expect("it is TOML")
    }

    #[test]
    fn routes_say_how_a_client_reaches_them() {
        let document = reference();
        let routes = routes(&document);
        let told: Vec<_> = routes
            .iter()
            .map(|route| {
                (
                    route.name.as_str(),
                    route.protocol,
                    route.server_name.as_str(),
                    route.path.as_str(),
                    route.wants_certificate,
                )
            })
            .collect();
        assert_eq!(
            told,
            [
                (
                    "acme-objects",
                    Protocol::Http,
                    "acme.example",
                    "/objects/",
                    true
                ),
                ("acme-site", Protocol::Http, "acme.example", "/", true),
                ("bravo-feed", Protocol::Tcp, "bravo.example", "/", false),
                ("carol-through", Protocol::Tcp, "carol.example", "/", false),
            ]
        );
        assert!(routes.iter().all(|route| route.listener == 0));
        assert_eq!(keyrings(&document), [(0, "acme".to_owned())]);
        assert_eq!(
            (workers(&document), max_connections(&document)),
            (Some(2), 10_000)
        );
    }

    #[test]
    fn lists_may_be_inline_and_a_star_gets_a_label() {
        let text = "listener = [{ name = 'a' }, { name = 'b' }]\n\
                    tenant = [{ id = 't', names = ['*.t.example'], client_auth = 'optional' }]\n\
                    route = [{ name = 'r', tenant = 't', listener = 'b', protocol = 'tcp', class = 'terminated' }]\n";
        let document = parse(text).expect("it is TOML");
        let route = routes(&document).remove(0);
        assert_eq!(
            (route.listener, route.server_name.as_str()),
            (1, "sealgate-bench.t.example")
        );
        assert!(!route.wants_certificate);
    }

    #[test]
    fn what_is_no_toml_is_refused_with_its_line() {
        let said = parse("a = \n").expect_err("no TOML").to_string();
        assert!(said.contains("line 1"), "{said}");
    }
}
