//! SLIP-39 on the command line, for the tests against other implementations: `split M N PASSPHRASE` reads a secret in hexadecimal from
//! standard input and writes a share a line; `combine PASSPHRASE` does the opposite.

use std::io::{Read, stdin};
use std::process::ExitCode;

use sealgate_keys::slip39::{Scheme, combine, split};

fn main() -> ExitCode {
    match run() {
        Ok(()) => ExitCode::SUCCESS,
        Err(said) => {
            eprintln!("{said}");
            ExitCode::from(3)
        }
    }
}

fn run() -> Result<(), Box<dyn std::error::Error>> {
    let mut input = String::new();
    stdin().read_to_string(&mut input)?;
    let arguments: Vec<String> = std::env::args().skip(1).collect();
    match arguments.iter().map(String::as_str).collect::<Vec<_>>()[..] {
        ["split", threshold, shares, passphrase] => {
            let input = input.trim();
            let bytes = (0..input.len() / 2)
                .map(|at| u8::from_str_radix(&input[2 * at..2 * at + 2], 16))
                .collect::<Result<Vec<u8>, _>>()?;
            let scheme = Scheme::new(threshold.parse()?, shares.parse()?)?;
            for share in split(&bytes, scheme, passphrase)? {
                println!("{}", share.expose());
            }
        }
        ["combine", passphrase] => {
            let shares: Vec<&str> = input.lines().collect();
            for byte in combine(&shares, passphrase)?.iter() {
                print!("{byte:02x}");
            }
            println!();
        }
        _ => return Err("usage: slip39 split M N PASSPHRASE | combine PASSPHRASE".into()),
    }
    Ok(())
}
