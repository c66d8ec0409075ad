//! stub
use super::Upstream;
/// stub
pub struct HttpPool { _u: Upstream }
impl HttpPool { /// stub
 pub fn new(u: Upstream, _max: usize) -> HttpPool { HttpPool { _u: u } } }
