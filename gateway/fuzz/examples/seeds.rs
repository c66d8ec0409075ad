//! Writes `fixtures/` and the seeds in `corpus/` anew. Run it in this folder: `cargo run --example seeds`.

use std::error::Error;
use std::fs;
use std::time::{Duration, UNIX_EPOCH};

use sealgate_envelope::{
    Context, DataKey, Header, ParsedHeader, RawAesKey, Recipient, SealSettings, Sealer, Signer,
    grant,
};
use sealgate_keys::Keyring;
use sealgate_keys::slip39::{Scheme, split};

const DATA_KEY: [u8; 32] = [0x42; 32];
const GRANT_KEY: [u8; 32] = [0x43; 32];
const SETTINGS: SealSettings = SealSettings {
    frame_len_bytes: 16,
    header_len_bytes: None,
};

fn main() -> Result<(), Box<dyn Error>> {
    for folder in [
        "fixtures",
        "corpus/header",
        "corpus/context",
        "corpus/stream",
        "corpus/range",
        "corpus/grant",
        "corpus/keyring",
        "corpus/recovery",
        "corpus/shares",
    ] {
        fs::create_dir_all(folder)?;
    }
    contexts()?;
    messages()?;
    keyrings()?;
    shares()
}

fn messages() -> Result<(), Box<dyn Error>> {
    let plaintext: Vec<u8> = (0..100).map(|i: u8| i.wrapping_mul(37)).collect();
    fs::write("fixtures/plaintext", &plaintext)?;
    let context = Context::from_pairs([("path", "/a/b"), ("tenant", "5f0c")])?;
    let signer = Signer::new(&context)?;
    let committed = message(&plaintext, &context, None)?;
    let signed = message(&plaintext, &signer.context().clone(), Some(signer))?;
    ranges(&committed)?;
    grants(&committed)?;
    for (which, name, (message, header_len)) in [(0, "committed", committed), (1, "signed", signed)]
    {
        fs::write(format!("fixtures/{name}.esdk"), &message)?;
        let (header, body) = message.split_at(header_len);
        fs::write(format!("corpus/header/{name}"), header)?;
        fs::write(
            format!("corpus/header/{name}-cut"),
            &header[..header_len / 2],
        )?;
        let stream = |chunk_lens: &[u8], body: &[u8]| {
            [&[which, chunk_lens.len() as u8], chunk_lens, body].concat()
        };
        fs::write(format!("corpus/stream/{name}"), stream(&[], body))?;
        fs::write(
            format!("corpus/stream/{name}-chunks"),
            stream(&[1, 48, 7, 90], body),
        )?;
        fs::write(
            format!("corpus/stream/{name}-cut"),
            stream(&[20, 30], &body[..150]),
        )?;
    }
    Ok(())
}

/// Ranges within, to the end, empty, past the end and backwards; of the whole body, of a part, and from a source that lies.
fn ranges((message, header_len): &(Vec<u8>, usize)) -> Result<(), Box<dyn Error>> {
    let bounds: [[u16; 2]; 6] = [[0, 100], [15, 33], [99, 100], [100, 100], [90, 101], [7, 3]];
    let ranges: Vec<u8> = bounds
        .iter()
        .flatten()
        .flat_map(|at| at.to_be_bytes())
        .collect();
    let body = &message[*header_len..];
    let input = |excess: i8, body: &[u8]| {
        let head = [excess.cast_unsigned(), bounds.len() as u8];
        [&head[..], &ranges, body].concat()
    };
    fs::write("corpus/range/whole", input(0, body))?;
    fs::write("corpus/range/cut", input(0, &body[..150]))?;
    fs::write("corpus/range/said-longer", input(48, body))?;
    fs::write("corpus/range/said-shorter", input(-48, body))?;
    fs::write("corpus/range/with-header", input(0, message))?;
    Ok(())
}

/// A grant, half of it, and what a grant holds.
fn grants((message, header_len): &(Vec<u8>, usize)) -> Result<(), Box<dyn Error>> {
    let ParsedHeader::Complete { header, .. } = Header::parse(&message[..*header_len])? else {
        return Err("the message has a whole header".into());
    };
    let grant_key = DataKey::from_bytes(&GRANT_KEY);
    let recipient =
        RawAesKey::new(&[1; 32], "exit", "key/1")?.wrap(&grant_key, &grant::context(&header))?;
    let data_key = DataKey::from_bytes(&DATA_KEY);
    let grant = grant::seal(&header, &data_key, &grant_key, &[recipient])?;
    fs::write("corpus/grant/whole", &grant)?;
    fs::write("corpus/grant/cut", &grant[..grant.len() / 2])?;
    let held = [&[1], &header.message_id()[..], &DATA_KEY].concat();
    fs::write("corpus/grant/held", held)?;
    fs::write(
        "corpus/grant/other-key",
        [&[1], &header.message_id()[..], &[7; 32]].concat(),
    )?;
    Ok(())
}

/// Keyring files in every state and of both formats, and the recovery file of one with the one share that opens it.
fn keyrings() -> Result<(), Box<dyn Error>> {
    let folder = tempfile::tempdir()?;
    let path = folder.path().join("acme");
    let now = UNIX_EPOCH + Duration::from_secs(1_700_000_000);
    let keep = |name: &str| fs::copy(&path, format!("corpus/keyring/{name}"));
    fs::copy(
        "../keys/tests/keyring-format-1.toml",
        "corpus/keyring/format-1",
    )?;
    let keyring = Keyring::create(&path, "acme")?;
    keep("new")?;
    keyring.rotate_epoch()?.prepare_epoch()?;
    let share = Keyring::export_recovery(&path, Scheme::new(1, 1)?, now)?;
    keep("prepared")?;
    fs::write("fixtures/recovery-share", share[0].expose())?;
    let recovery = fs::read_to_string(folder.path().join("acme.recovery"))?;
    fs::write("corpus/recovery/whole", &recovery)?;
    let other = recovery.replace("epoch = 2", "epoch = 9");
    fs::write("corpus/recovery/other-epoch", other)?;
    fs::write("corpus/recovery/cut", &recovery[..recovery.len() / 2])?;
    let text = fs::read_to_string(&path)?;
    fs::write(
        "corpus/keyring/disabled",
        text.replace("\"enabled\"", "\"disabled\""),
    )?;
    fs::write("corpus/keyring/cut", &text[..text.len() / 2])?;
    Keyring::shred(&path, now, &[])?;
    keep("shredded")?;
    Ok(())
}

/// Shares as text, and the fields of some as the target takes them.
fn shares() -> Result<(), Box<dyn Error>> {
    for (name, threshold, count) in [("one", 1, 1), ("two-of-three", 2, 3)] {
        let shares = split(&[7; 16], Scheme::new(threshold, count)?, "")?;
        let lines: Vec<&str> = shares.iter().map(|share| share.expose()).collect();
        fs::write(format!("corpus/shares/{name}"), lines.join("\n"))?;
    }
    let forged = |group_index: u8, index: u8, member_threshold: u8| {
        // Identifier 1, group threshold 1 of 2; 13 words of value, whose first two bits are padding.
        let head = 1_u64 << 25 | u64::from(group_index) << 16 | 1 << 8;
        let head = head | u64::from(index) << 4 | u64::from(member_threshold - 1);
        let mut share = head.to_be_bytes()[3..].to_vec();
        share.push(13);
        share.extend([
            0, index, 2, 3, 0, 5, 1, 7, 0, 9, 3, 11, 0, 13, 2, 15, 1, 17, 0, 19, 1, 21,
        ]);
        share.extend([0, 23, 3, 25]);
        share
    };
    fs::write("corpus/shares/forged-one", forged(0, 0, 1))?;
    let two = [forged(0, 0, 2), forged(0, 1, 2), forged(1, 0, 1)].concat();
    fs::write("corpus/shares/forged-groups", two)?;
    Ok(())
}

fn contexts() -> Result<(), Box<dyn Error>> {
    let pairs: [&[(&str, &str)]; 4] = [
        &[],
        &[("", "")],
        &[("path", "/a/b"), ("policy", "7"), ("tenant", "5f0c")],
        &[("a", "ü"), ("b", ""), ("é", "x")],
    ];
    for (i, pairs) in pairs.into_iter().enumerate() {
        let context = Context::from_pairs(pairs.iter().copied())?;
        fs::write(format!("corpus/context/{i}"), context.as_bytes())?;
    }
    Ok(())
}

/// A message of small frames, and the length of its header.
fn message(
    plaintext: &[u8],
    context: &Context,
    signer: Option<Signer>,
) -> Result<(Vec<u8>, usize), Box<dyn Error>> {
    let data_key = DataKey::from_bytes(&DATA_KEY);
    let recipients = [
        Recipient::new(b"somebody", b"else", b"wrapped")?,
        RawAesKey::new(&[1; 32], "sealgate/5f0c", "main/1")?.wrap(&data_key, context)?,
    ];
    let (mut sealer, mut message) = match signer {
        Some(signer) => {
            Sealer::begin_signed(&data_key, signer, &Context::empty(), &recipients, SETTINGS)?
        }
        None => Sealer::begin(&data_key, context, &recipients, SETTINGS)?,
    };
    let header_len = message.len();
    sealer.write(plaintext, &mut message)?;
    sealer.finish(&mut message)?;
    Ok((message, header_len))
}
