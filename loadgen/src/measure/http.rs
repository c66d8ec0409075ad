//! How HTTP was spoken on the connections of one second, or of all.

use super::interval::count;
use crate::report::model::Http;

impl Http {
    /// Notes that the target allows fewer streams than were wanted.
    pub fn allow_streams(&mut self, streams: u64) {
        let fewest = self.streams_allowed.unwrap_or(u64::MAX);
        self.streams_allowed = Some(fewest.min(streams));
    }

    /// Adds another thread's, or another second's.
    pub fn add(&mut self, more: &Http) {
        for (sum, names) in [
            (&mut self.version, &more.version),
            (&mut self.resets, &more.resets),
            (&mut self.go_aways, &more.go_aways),
        ] {
            for (name, n) in names {
                count(sum, name, *n);
            }
        }
        if let Some(streams) = more.streams_allowed {
            self.allow_streams(streams);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_fewest_streams_of_all_are_kept_and_codes_are_summed() {
        let mut sum = Http::default();
        for (streams, code) in [(Some(7), "CANCEL"), (None, "CANCEL"), (Some(3), "NO_ERROR")] {
            let mut one = Http::default();
            if let Some(streams) = streams {
                one.allow_streams(streams);
            }
            count(&mut one.version, "2", 1);
            count(&mut one.resets, code, 2);
            count(&mut one.go_aways, code, 3);
            sum.add(&one);
        }
        assert_eq!((sum.streams_allowed, sum.version["2"]), (Some(3), 3));
        assert_eq!((sum.resets["CANCEL"], sum.go_aways["CANCEL"]), (4, 6));
        assert_eq!(sum.resets["NO_ERROR"], 2);
    }
}
