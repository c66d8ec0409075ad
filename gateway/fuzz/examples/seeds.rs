//! Writes `fixtures/` and the seeds in `corpus/` anew. Run it in this folder: `cargo run --example seeds`.

use std::error::Error;
use std::fs;

use sealgate_envelope::{Context, DataKey, RawAesKey, Recipient, SealSettings, Sealer, Signer};

const DATA_KEY: [u8; 32] = [0x42; 32];
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
    ] {
        fs::create_dir_all(folder)?;
    }
    contexts()?;
    let plaintext: Vec<u8> = (0..100).map(|i: u8| i.wrapping_mul(37)).collect();
    fs::write("fixtures/plaintext", &plaintext)?;
    let context = Context::from_pairs([("path", "/a/b"), ("tenant", "5f0c")])?;
    let signer = Signer::new(&context)?;
    let committed = message(&plaintext, &context, None)?;
    let signed = message(&plaintext, &signer.context().clone(), Some(signer))?;
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
