//! Every message in `tests/vectors/`, cut at every byte of its header and at random places behind it, with every bit of its header and
//! random ones behind it flipped: refused for a reason that fits the place, without a panic, and never a byte of plaintext that was not
//! in a frame whose tag verified.

#![allow(
    clippy::unwrap_used,
    reason = "helpers of a test: a panic is its report"
)]

mod support;

use std::collections::BTreeMap;

use proptest::prelude::Rng;
use proptest::test_runner::{RngAlgorithm, TestRng};
use sealgate_envelope::{Opener, ParsedHeader, RefusalReason as Reason};
use support::header;
use support::vector::{Expect, Failed, Vector, vectors};

/// Cuts, and as many flips, in each body.
const PLACES_IN_A_BODY: usize = 64;
/// Of all vectors together. The counts keep the tests from shrinking unseen.
const HEADER_BYTES: usize = 18_062;
/// What is looked at of a message whose header is not one of ours: more than any vector's header.
const FOREIGN_HEADER_LEN: usize = 512;
const CHUNK_LENS: [usize; 5] = [1, 97, 1056, 65_568, usize::MAX];

/// Where a message's parts are.
struct Layout {
    frame_len: usize,
    /// Regular frames, after which the final one comes.
    regular_frames: usize,
    /// Where the frames end, from the first frame on.
    frames_len: usize,
    plaintext_len: usize,
}

/// What a place in a body belongs to.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Part {
    Regular { within: usize },
    Final { within: usize },
    Footer,
}

impl Layout {
    fn of(vector: &Vector, message: &[u8]) -> Self {
        let (header, _) = header(message);
        let frame_len = header.frame_len_bytes() as usize;
        // Python's writer ends with an empty final frame where the frame length divides the plaintext's.
        let regular_frames = vector.plaintext_len / frame_len;
        Self {
            frame_len,
            regular_frames,
            frames_len: vector.plaintext_len + regular_frames * 32 + 40,
            plaintext_len: vector.plaintext_len,
        }
    }

    /// The part at a place in the body, and how much plaintext stands in the frames before it.
    fn part(&self, at: usize) -> (Part, usize) {
        let frame = (at / (self.frame_len + 32)).min(self.regular_frames);
        let within = at - frame * (self.frame_len + 32);
        if at >= self.frames_len {
            (Part::Footer, self.plaintext_len)
        } else if frame < self.regular_frames {
            (Part::Regular { within }, frame * self.frame_len)
        } else {
            (Part::Final { within }, frame * self.frame_len)
        }
    }
}

/// The fields of a header, in order, each with its length.
fn fields(message: &[u8]) -> Vec<(&'static str, usize)> {
    let (header, header_len) = header(message);
    let head = [("version", 1), ("suite", 2), ("message id", 32)];
    let context = [
        ("context length", 2),
        ("context", header.context().as_bytes().len()),
    ];
    let tail = [
        ("content type", 1),
        ("frame length", 4),
        ("commitment", 32),
        ("tag", 16),
    ];
    let fixed: usize = head
        .iter()
        .chain(&context)
        .chain(&tail)
        .map(|(_, len)| len)
        .sum();
    let recipients = [
        ("recipient count", 2),
        ("recipients", header_len - fixed - 2),
    ];
    [&head[..], &context, &recipients, &tail].concat()
}

fn field_at(fields: &[(&'static str, usize)], at: usize) -> &'static str {
    let mut end = 0;
    fields
        .iter()
        .find(|(_, len)| {
            end += len;
            at < end
        })
        .unwrap()
        .0
}

/// Whether a bit that was flipped in this field of a header may be refused so.
fn fits_field(field: &str, failed: Failed) -> bool {
    // A length or a count that is wrong makes a reader take other bytes for what follows.
    let misread = matches!(
        failed.reason(),
        None | Some(
            Reason::Context(_)
                | Reason::NoRecipients
                | Reason::TooManyRecipients { .. }
                | Reason::HeaderTooLong { .. }
                | Reason::HeaderCutShort
                | Reason::NotFramed { .. }
                | Reason::FrameLen { .. }
        )
    );
    match (field, failed.reason()) {
        ("version", Some(Reason::Version { .. })) => true,
        ("suite", Some(Reason::SuiteWithoutCommitment { .. } | Reason::UnknownSuite { .. })) => {
            true
        }
        // The two suites that open are one bit apart.
        ("suite", Some(Reason::HeaderTagMismatch)) => true,
        ("message id" | "commitment", Some(Reason::CommitmentMismatch)) => true,
        ("context length" | "recipient count", _) => misread,
        // The wrapped data key authenticates the context.
        ("context", Some(Reason::Context(_))) => true,
        ("context", None) => failed == Failed::NotAuthentic,
        // Also in another's, which only the header's tag protects.
        ("recipients", Some(Reason::HeaderTagMismatch)) => true,
        ("recipients", _) => misread,
        ("content type", Some(Reason::NotFramed { .. })) => true,
        ("frame length", Some(Reason::FrameLen { .. } | Reason::HeaderTagMismatch)) => true,
        ("tag", Some(Reason::HeaderTagMismatch)) => true,
        _ => false,
    }
}

/// Whether a bit that was flipped in this part of a body may be refused so.
fn fits_part(part: Part, reason: Reason) -> bool {
    match part {
        Part::Regular { within: 0..4 } | Part::Final { within: 0..8 } => {
            matches!(reason, Reason::FrameOutOfOrder { .. })
        }
        Part::Regular { within: 4..16 } | Part::Final { within: 8..20 } => {
            matches!(reason, Reason::FrameNonce { .. })
        }
        // The final frame's length.
        Part::Final { within: 20..24 } => matches!(
            reason,
            Reason::FinalFrameTooLong { .. }
                | Reason::FinalFrameMissing
                | Reason::FrameTagMismatch { .. }
        ),
        Part::Regular { .. } | Part::Final { .. } => {
            matches!(reason, Reason::FrameTagMismatch { .. })
        }
        Part::Footer => matches!(
            reason,
            Reason::SignatureLen { .. } | Reason::FooterMissing | Reason::SignatureMismatch
        ),
    }
}

/// The plaintext of every message that opens, by its number: what may at most be released of a damaged copy.
fn plaintexts(vectors: &[(Vector, Vec<u8>)]) -> BTreeMap<&str, Vec<u8>> {
    vectors
        .iter()
        .filter(|(vector, _)| vector.expect == Expect::Open)
        .map(|(vector, message)| {
            let (plaintext, ended) = vector.open(message, usize::MAX);
            assert_eq!(ended, Ok(()));
            (number(vector), plaintext)
        })
        .collect()
}

/// `04` of `tampered-04.esdk`; the whole name where there is none.
fn number(vector: &Vector) -> &str {
    let name = vector.file.strip_suffix(".esdk").unwrap();
    name.split_once('-').map_or(name, |(_, number)| number)
}

fn header_len(message: &[u8]) -> usize {
    match support::parse(message) {
        Some(ParsedHeader::Complete { len_bytes, .. }) => len_bytes,
        _ => message.len().min(FOREIGN_HEADER_LEN),
    }
}

/// Opens a damaged message, which has to fail. Gives why, and how much was released: the beginning of `plaintext`.
fn refuse(
    vector: &Vector,
    damaged: &[u8],
    chunk_len: usize,
    plaintext: Option<&Vec<u8>>,
) -> (usize, Failed) {
    let (released, ended) = vector.open(damaged, chunk_len);
    let plaintext = plaintext.map_or(&[][..], Vec::as_slice);
    let is_prefix = plaintext.starts_with(&released);
    assert!(is_prefix, "{}: foreign plaintext", vector.file);
    (released.len(), ended.expect_err(&vector.file))
}

#[test]
fn every_flipped_bit_of_every_header() {
    let vectors = vectors();
    let plaintexts = plaintexts(&vectors);
    let mut cases = 0;
    let mut by_field: BTreeMap<&str, usize> = BTreeMap::new();
    for (vector, message) in &vectors {
        let plaintext = plaintexts.get(number(vector));
        let fields = (vector.expect == Expect::Open).then(|| fields(message));
        let mut damaged = message.clone();
        for bit in 0..header_len(message) * 8 {
            let flip = 1 << (bit % 8);
            damaged[bit / 8] ^= flip;
            cases += 1;
            let (released, failed) = refuse(vector, &damaged, usize::MAX, plaintext);
            if let Some(fields) = &fields {
                let field = field_at(fields, bit / 8);
                let place = format!("{}, bit {bit}, {field}: {failed:?}", vector.file);
                assert!(fits_field(field, failed), "{place}");
                assert_eq!(released, 0, "{place}");
                *by_field.entry(field).or_default() += 1;
            }
            damaged[bit / 8] ^= flip;
        }
    }
    assert_eq!(cases, HEADER_BYTES * 8);
    assert_eq!(by_field.len(), 11, "{by_field:?}");
    assert_eq!(by_field.values().sum::<usize>(), 37_248);
}

/// As above, where no recipient's tag is what refuses.
#[test]
fn every_flipped_bit_of_every_header_with_the_data_key_at_hand() {
    let (mut cases, mut by_opener) = (0, 0);
    for (vector, message) in &vectors() {
        if vector.expect == Expect::Refuse {
            continue;
        }
        let (header, header_len) = header(message);
        let data_key = vector.data_key(&header).unwrap();
        let mut damaged = message.clone();
        for bit in 0..header_len * 8 {
            damaged[bit / 8] ^= 1 << (bit % 8);
            cases += 1;
            if let Some(ParsedHeader::Complete { header, .. }) = support::parse(&damaged) {
                let reason = Opener::begin(&header, &data_key).err().unwrap().reason;
                by_opener += 1;
                let fits = matches!(
                    reason,
                    Reason::CommitmentMismatch | Reason::HeaderTagMismatch
                );
                assert!(fits, "{}, bit {bit}: {reason}", vector.file);
            }
            damaged[bit / 8] ^= 1 << (bit % 8);
        }
    }
    assert_eq!((cases, by_opener), (37_248, 34_034));
}

#[test]
fn a_cut_at_every_byte_of_every_header() {
    let vectors = vectors();
    let mut cases = 0;
    for (vector, message) in &vectors {
        for cut in 0..header_len(message) {
            let (released, failed) = refuse(vector, &message[..cut], usize::MAX, None);
            let place = format!("{}, cut at {cut}: {failed:?}", vector.file);
            assert_eq!(released, 0, "{place}");
            match failed {
                Failed::Refused(refusal) if refusal.reason == Reason::HeaderCutShort => {
                    assert_eq!(refusal.offset, cut as u64, "{place}");
                }
                _ => assert_ne!(vector.expect, Expect::Open, "{place}"),
            }
            cases += 1;
        }
    }
    assert_eq!(cases, HEADER_BYTES);
}

#[test]
fn cuts_at_random_places_of_every_body() {
    let vectors = vectors();
    let plaintexts = plaintexts(&vectors);
    let mut chance = Chance::new();
    let mut cases = 0;
    for (vector, message) in &vectors {
        let (plaintext, header_len) = (plaintexts.get(number(vector)), header_len(message));
        for _ in 0..places(message, header_len) {
            let cut = header_len + chance.below(message.len() - header_len);
            let (found, failed) = refuse(vector, &message[..cut], chance.chunk_len(), plaintext);
            cases += 1;
            if vector.expect == Expect::Refuse {
                continue;
            }
            let layout = Layout::of(vector, message);
            let (part, released) = layout.part(cut - header_len);
            let reason = match part {
                Part::Footer => Reason::FooterMissing,
                Part::Regular { .. } | Part::Final { .. } => Reason::FinalFrameMissing,
            };
            let place = format!("{}, cut at {cut}: {failed:?}", vector.file);
            let Failed::Refused(refusal) = failed else {
                panic!("{place}")
            };
            assert_eq!(
                (refusal.offset, refusal.reason),
                (cut as u64, reason),
                "{place}"
            );
            assert_eq!(found, released, "{place}");
        }
    }
    // All but one, which ends within its header.
    assert_eq!(cases, 49 * PLACES_IN_A_BODY);
}

#[test]
fn flipped_bits_at_random_places_of_every_body() {
    let vectors = vectors();
    let plaintexts = plaintexts(&vectors);
    let mut chance = Chance::new();
    let mut cases = 0;
    for (vector, message) in &vectors {
        let (plaintext, header_len) = (plaintexts.get(number(vector)), header_len(message));
        let mut damaged = message.clone();
        for _ in 0..places(message, header_len) {
            let (at, flip) = (
                header_len + chance.below(message.len() - header_len),
                1 << chance.below(8),
            );
            damaged[at] ^= flip;
            let (found, failed) = refuse(vector, &damaged, chance.chunk_len(), plaintext);
            damaged[at] ^= flip;
            cases += 1;
            if vector.expect == Expect::Refuse {
                continue;
            }
            let layout = Layout::of(vector, message);
            let (part, released) = layout.part(at - header_len);
            let place = format!("{}, byte {at}, {part:?}: {failed:?}", vector.file);
            assert!(fits_part(part, failed.reason().unwrap()), "{place}");
            assert_eq!(found, released, "{place}");
        }
    }
    // All but one, which ends within its header.
    assert_eq!(cases, 49 * PLACES_IN_A_BODY);
}

/// How many places of a body are tried: none where the message ends with its header.
fn places(message: &[u8], header_len: usize) -> usize {
    match message.len() - header_len {
        0 => 0,
        _ => PLACES_IN_A_BODY,
    }
}

/// The same places in every run.
struct Chance(TestRng);

impl Chance {
    fn new() -> Self {
        Self(TestRng::deterministic_rng(RngAlgorithm::ChaCha))
    }

    fn below(&mut self, end: usize) -> usize {
        (self.0.next_u64() % end as u64) as usize
    }

    fn chunk_len(&mut self) -> usize {
        CHUNK_LENS[self.below(CHUNK_LENS.len())]
    }
}
