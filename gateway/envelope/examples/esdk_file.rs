//! Seals or opens a file under a raw key, for tests against the official SDKs.
//!
//! ```text
//! esdk_file seal KEY NAMESPACE NAME FRAME_LEN HEADER_LEN|- CHUNK_LEN INPUT OUTPUT [KEY=VALUE ...]
//! esdk_file open KEY NAMESPACE NAME CHUNK_LEN INPUT OUTPUT [KEY=VALUE ...]
//! ```
//!
//! KEY is an AES key in hexadecimal, or KIND:FILE with KIND one of rsa-sha256, rsa-sha1, ecdh-p256, ecdh-p384 and FILE the public key
//! (sealing) or the private one (opening) in DER. ECDH keys have no namespace and name: they are ignored.
//!
//! Among the pairs `--signed` seals with suite 0x0578, `--threads=N` on several cores, and each `--also=KEY,NAMESPACE,NAME` to one more
//! recipient.
//!
//! Pairs are the context: written when sealing, compared when opening. A pair after `!` is required: authenticated, not stored. Exit
//! status 3 is a refusal of the message; there is no OUTPUT then. Files of any length pass in chunks of CHUNK_LEN. The key stands on the
//! command line, where everybody on the machine can read it: this is for test keys only.

use std::env;
use std::error::Error;
use std::fs::{self, File};
use std::io::{self, Read, Seek, SeekFrom, Write};
use std::num::{NonZeroUsize, ParseIntError};
use std::process::ExitCode;

use sealgate_envelope::{
    Context, Curve, DataKey, HeaderLimits, OaepHash, Opener, RangeError, RawAesKey,
    RawEcdhPrivateKey, RawEcdhPublicKey, RawRsaPrivateKey, RawRsaPublicKey, Recipient,
    RecipientRef, Refusal, SealSettings, Sealer, Signer, UnwrapError, read_header,
};
use thiserror::Error as ErrorDerive;

#[derive(Debug, ErrorDerive)]
enum Refused {
    #[error(transparent)]
    Message(#[from] Refusal),
    #[error(transparent)]
    DataKey(#[from] UnwrapError),
    #[error("no recipient names this key")]
    NoRecipient,
    #[error("the context differs")]
    Context,
}

fn main() -> ExitCode {
    let arguments: Vec<String> = env::args().skip(1).collect();
    let arguments: Vec<&str> = arguments.iter().map(String::as_str).collect();
    let done = match arguments.as_slice() {
        [
            "seal",
            key,
            namespace,
            name,
            frame_len,
            header_len,
            chunk_len,
            input,
            output,
            pairs @ ..,
        ] => seal(
            [key, namespace, name],
            [frame_len, header_len, chunk_len],
            [input, output],
            pairs,
        ),
        [
            "open",
            key,
            namespace,
            name,
            chunk_len,
            input,
            output,
            pairs @ ..,
        ] => open([key, namespace, name], chunk_len, [input, output], pairs),
        _ => Err("usage: esdk_file seal|open ... (see the head of examples/esdk_file.rs)".into()),
    };
    match done {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            eprintln!("esdk_file: {error}");
            ExitCode::from(if error.is::<Refused>() { 3 } else { 1 })
        }
    }
}

fn seal(
    key: [&str; 3],
    lens: [&str; 3],
    [input, output]: [&str; 2],
    pairs: &[&str],
) -> Result<(), Box<dyn Error>> {
    let [frame_len, header_len, chunk_len] = lens;
    let settings = SealSettings {
        frame_len_bytes: frame_len.parse()?,
        header_len_bytes: if header_len == "-" {
            None
        } else {
            Some(header_len.parse()?)
        },
    };
    let (options, pairs): (Vec<&str>, Vec<&str>) =
        pairs.iter().partition(|pair| pair.starts_with("--"));
    let options = Options::parse(&options)?;
    let (mut stored, required) = contexts(&pairs)?;
    let signer = match options.is_signed {
        true => Some(Signer::new(&stored)?),
        false => None,
    };
    if let Some(signer) = &signer {
        stored = signer.context().clone();
    }
    let data_key = DataKey::generate()?;
    // A recipient of a kind that nobody knows comes first: readers have to skip it.
    let mut recipients = vec![Recipient::new(
        b"sealgate-test",
        b"nobody",
        b"not a data key",
    )?];
    for key in options.also.into_iter().chain([key]) {
        recipients.push(wrap(key, &data_key, &stored.joined_with(&required)?)?);
    }
    let (mut sealer, mut message) = match signer {
        Some(signer) => Sealer::begin_signed(&data_key, signer, &required, &recipients, settings)?,
        None => Sealer::begin_with_required(&data_key, &stored, &required, &recipients, settings)?,
    };
    let (mut input, mut output) = (File::open(input)?, File::create(output)?);
    let mut chunk = Vec::new();
    while read_chunk(&mut input, chunk_len.parse()?, &mut chunk)? {
        sealer.write_on(options.threads, &chunk, &mut message)?;
        output.write_all(&message)?;
        message.clear();
    }
    sealer.finish(&mut message)?;
    Ok(output.write_all(&message)?)
}

struct Options<'a> {
    is_signed: bool,
    threads: NonZeroUsize,
    also: Vec<[&'a str; 3]>,
}

impl<'a> Options<'a> {
    fn parse(options: &[&'a str]) -> Result<Self, Box<dyn Error>> {
        let mut parsed = Self {
            is_signed: false,
            threads: NonZeroUsize::MIN,
            also: Vec::new(),
        };
        for option in options {
            match option.split_once('=') {
                None if *option == "--signed" => parsed.is_signed = true,
                Some(("--threads", count)) => parsed.threads = count.parse()?,
                Some(("--also", key)) => {
                    let fields: Vec<&str> = key.split(',').collect();
                    let key = fields.try_into();
                    parsed
                        .also
                        .push(key.map_err(|_| "--also should be KEY,NAMESPACE,NAME")?);
                }
                _ => return Err("the options are --signed, --threads=N and --also=KEY,..".into()),
            }
        }
        Ok(parsed)
    }
}

/// Reads the next bytes, `len` of them unless the file ends; false where it has ended.
fn read_chunk(input: &mut File, len: u64, chunk: &mut Vec<u8>) -> io::Result<bool> {
    chunk.clear();
    Ok(input.take(len).read_to_end(chunk)? > 0)
}

fn open(
    key: [&str; 3],
    chunk_len: &str,
    [input, output]: [&str; 2],
    pairs: &[&str],
) -> Result<(), Box<dyn Error>> {
    let (key, contexts) = (private_key(key)?, contexts(pairs)?);
    let mut file = File::create(output)?;
    open_message(
        &key,
        &contexts,
        chunk_len.parse()?,
        &mut File::open(input)?,
        &mut file,
    )
    .inspect_err(|_| drop(fs::remove_file(output)))
}

fn open_message(
    key: &PrivateKey,
    (stored, required): &(Context, Context),
    chunk_len: u64,
    input: &mut File,
    output: &mut File,
) -> Result<(), Box<dyn Error>> {
    let header = match read_header(input, HeaderLimits::default()) {
        Err(RangeError::Refused(refusal)) => return Err(Refused::from(refusal).into()),
        header => header?,
    };
    // The SDK may have added its own pair, the signer's key; what was asked for has to be there.
    if stored
        .pairs()
        .any(|(key, value)| header.context().value(key) != Some(value))
    {
        return Err(Refused::Context.into());
    }
    let both = header.context().joined_with(required);
    let both = both.map_err(|_| Refused::Context)?;
    let data_key = header
        .recipients()
        .map(|recipient| key.unwrap(&recipient, &both))
        .find(|unwrapped| !matches!(unwrapped, Err(UnwrapError::NotAddressed)))
        .ok_or(Refused::NoRecipient)?
        .map_err(Refused::from)?;
    let mut opener =
        Opener::begin_with_required(&header, required, &data_key).map_err(Refused::from)?;
    input.seek(SeekFrom::Start(header.as_bytes().len() as u64))?;
    let (mut chunk, mut plaintext) = (Vec::new(), Vec::new());
    while read_chunk(input, chunk_len, &mut chunk)? {
        opener
            .write(&chunk, &mut plaintext)
            .map_err(Refused::from)?;
        output.write_all(&plaintext)?;
        plaintext.clear();
    }
    opener.finish().map_err(Refused::from)?;
    Ok(())
}

/// A key that unwraps, of any kind.
enum PrivateKey {
    Aes(RawAesKey),
    Rsa(RawRsaPrivateKey),
    Ecdh(RawEcdhPrivateKey),
}

impl PrivateKey {
    fn unwrap(
        &self,
        recipient: &RecipientRef<'_>,
        context: &Context,
    ) -> Result<DataKey, UnwrapError> {
        match self {
            Self::Aes(key) => key.unwrap(recipient, context),
            Self::Rsa(key) => key.unwrap(recipient),
            Self::Ecdh(key) => key.unwrap(recipient, context),
        }
    }
}

fn private_key([key, namespace, name]: [&str; 3]) -> Result<PrivateKey, Box<dyn Error>> {
    let Some((kind, file)) = key.split_once(':') else {
        return Ok(PrivateKey::Aes(raw_aes_key([key, namespace, name])?));
    };
    let der = fs::read(file)?;
    Ok(match oaep_hash(kind) {
        Some(hash) => PrivateKey::Rsa(RawRsaPrivateKey::from_pkcs8(&der, hash, namespace, name)?),
        None => PrivateKey::Ecdh(RawEcdhPrivateKey::from_pkcs8(&der, curve(kind)?)?),
    })
}

fn wrap(
    [key, namespace, name]: [&str; 3],
    data_key: &DataKey,
    context: &Context,
) -> Result<Recipient, Box<dyn Error>> {
    let Some((kind, file)) = key.split_once(':') else {
        return Ok(raw_aes_key([key, namespace, name])?.wrap(data_key, context)?);
    };
    let der = fs::read(file)?;
    Ok(match oaep_hash(kind) {
        Some(hash) => RawRsaPublicKey::from_der(&der, hash, namespace, name)?.wrap(data_key)?,
        None => RawEcdhPublicKey::from_der(&der, curve(kind)?)?.wrap(data_key, context)?,
    })
}

fn oaep_hash(kind: &str) -> Option<OaepHash> {
    match kind {
        "rsa-sha256" => Some(OaepHash::Sha256),
        "rsa-sha1" => Some(OaepHash::Sha1),
        _ => None,
    }
}

fn curve(kind: &str) -> Result<Curve, Box<dyn Error>> {
    match kind {
        "ecdh-p256" => Ok(Curve::P256),
        "ecdh-p384" => Ok(Curve::P384),
        _ => Err("the key's kind should be rsa-sha256, rsa-sha1, ecdh-p256 or ecdh-p384".into()),
    }
}

fn raw_aes_key([hex, namespace, name]: [&str; 3]) -> Result<RawAesKey, Box<dyn Error>> {
    let bytes: Result<Vec<u8>, ParseIntError> = (0..hex.len() / 2)
        .map(|i| u8::from_str_radix(hex.get(2 * i..2 * i + 2).unwrap_or("-"), 16))
        .collect();
    let key: [u8; 32] = bytes?
        .try_into()
        .map_err(|_| "the key should be 64 hexadecimal digits")?;
    Ok(RawAesKey::new(&key, namespace, name)?)
}

/// The stored and the required context.
fn contexts(pairs: &[&str]) -> Result<(Context, Context), Box<dyn Error>> {
    let (required, stored): (Vec<&str>, Vec<&str>) =
        pairs.iter().partition(|pair| pair.starts_with('!'));
    Ok((context(&stored)?, context(&required)?))
}

fn context(pairs: &[&str]) -> Result<Context, Box<dyn Error>> {
    let pairs: Option<Vec<(&str, &str)>> = pairs
        .iter()
        .map(|pair| pair.trim_start_matches('!').split_once('='))
        .collect();
    Ok(Context::from_pairs(
        pairs.ok_or("the context should be KEY=VALUE")?,
    )?)
}
