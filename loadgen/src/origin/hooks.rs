//! Doors for tests, under a reserved path: look at stored bytes, damage and swap them, and see
//! what arrived. They are neither logged nor counted.

use hyper::{Method, Response, StatusCode};

use super::{
    http::{Chunks, Shared, status, whole_or_part},
    journal,
    range::Range,
    store::Put,
};

/// Paths that begin so are hooks and never objects.
pub const PREFIX: &str = "/.origin/";

/// Answers the hook at `path`, which is what follows [`PREFIX`].
pub fn answer(
    shared: &Shared,
    method: &Method,
    path: &str,
    query: Option<&str>,
) -> Response<Chunks> {
    let (name, object) = match path.find('/') {
        Some(slash) => (&path[..slash], &path[slash..]),
        None => (path, ""),
    };
    match (method, name) {
        (&Method::GET, "raw") => match shared.store.find(object) {
            Some(found) => whole_or_part(&found, Range::Whole, &found.etag()),
            None => status(StatusCode::NOT_FOUND),
        },
        (&Method::GET, "log") => Response::new(Chunks::from(journal::lines(&shared.journals))),
        (&Method::GET, "counts") => {
            let totals = journal::totals(&shared.journals);
            let json = serde_json::json!({
                "totals": totals,
                "store_used_bytes": shared.store.used_bytes(),
            });
            Response::new(Chunks::from(json.to_string()))
        }
        (&Method::POST, "flip") => {
            let Some(Ok(offset)) = argument(query, "offset").map(str::parse) else {
                return status(StatusCode::BAD_REQUEST);
            };
            status(match shared.store.flip(object, offset) {
                Ok(true) => StatusCode::NO_CONTENT,
                Ok(false) => StatusCode::NOT_FOUND,
                Err(_) => StatusCode::INSUFFICIENT_STORAGE,
            })
        }
        (&Method::POST, "copy") => {
            let (Some(from), Some(to)) = (argument(query, "from"), argument(query, "to")) else {
                return status(StatusCode::BAD_REQUEST);
            };
            status(match shared.store.copy(&rooted(from), &rooted(to)) {
                Ok(Some(Put::Created)) => StatusCode::CREATED,
                Ok(Some(Put::Replaced)) => StatusCode::NO_CONTENT,
                Ok(None) => StatusCode::NOT_FOUND,
                Err(_) => StatusCode::INSUFFICIENT_STORAGE,
            })
        }
        _ => status(StatusCode::NOT_FOUND),
    }
}

/// The value of `name` in the query, taken literally: paths are kept as they stand on the wire.
fn argument<'q>(query: Option<&'q str>, name: &str) -> Option<&'q str> {
    query?
        .split('&')
        .find_map(|pair| pair.split_once('=').filter(|(key, _)| *key == name))
        .map(|(_, value)| value)
}

fn rooted(path: &str) -> String {
    format!("/{}", path.trim_start_matches('/'))
}
