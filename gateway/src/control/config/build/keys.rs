//! How long keys stay in memory.

use super::super::draft::{Field, KeysDraft};
use super::super::errors::Report;
use super::super::problem::Problem;
use super::values::{
    self, HARD_LIFETIME, ROTATE_EPOCH_AFTER, SOFT_LIFETIME, UNUSED_LIFETIME, written,
};
use crate::tenant::KeysSettings;

/// The lifetimes, each in its range, the soft one below the hard one.
pub(super) fn build(draft: &KeysDraft, report: &mut Report) -> Option<KeysSettings> {
    let soft = values::duration(&draft.soft_lifetime, SOFT_LIFETIME, report);
    let hard = values::duration(&draft.hard_lifetime, HARD_LIFETIME, report);
    let unused = values::duration(&draft.unused_lifetime, UNUSED_LIFETIME, report);
    let rotate_epoch_after = match &draft.rotate_epoch_after {
        Field::Absent => Some(None),
        field => values::duration(field, ROTATE_EPOCH_AFTER, report).map(Some),
    };
    let (soft, hard) = (soft?, hard?);
    if soft >= hard {
        // Where one of them is a default, the other is what was written.
        let written_one = draft.soft_lifetime.given().or(draft.hard_lifetime.given());
        if let Some(given) = written_one {
            let (soft, hard) = (written(soft), written(hard));
            report.error(&given.at, Problem::SoftNotBelowHard { soft, hard });
        }
        return None;
    }
    Some(KeysSettings {
        soft,
        hard,
        unused: unused?,
        rotate_epoch_after: rotate_epoch_after?,
    })
}
