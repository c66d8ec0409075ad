//! HTTP/1.1 from the client's side, as narrow as a load generator needs it: prebuilt request bytes
//! out, and of the answer its status, its framing and its body.
//!
//! hyper would make a request, a header map and two wake-ups of each exchange. The hot path here
//! allocates nothing. Heads and chunk sizes are parsed by `httparse`.

pub mod check;
pub mod connection;
pub mod first;
pub mod objects;
pub mod response;
pub mod template;
