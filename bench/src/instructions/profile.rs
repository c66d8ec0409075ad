//! One file of callgrind's: what each function cost by itself.

use std::collections::BTreeMap;
use std::path::Path;

use super::InstructionsError;

/// Instructions of one run, by function.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Profile {
    functions: BTreeMap<Function, u64>,
}

/// A function, and whose it is.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
struct Function {
    whose: Whose,
    name: String,
}

/// Whose code an instruction belongs to.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
enum Whose {
    /// Rust, the allocator, the C library.
    Own,
    /// aws-lc: the program's only other C and assembly.
    Crypto,
}

impl Profile {
    /// Reads what callgrind writes with `--compress-strings=no --compress-pos=no`.
    ///
    /// # Errors
    /// [`InstructionsError::Profile`], naming the line.
    pub fn parse(text: &str, path: &Path) -> Result<Self, InstructionsError> {
        let refuse = |line, problem| InstructionsError::Profile {
            path: path.to_owned(),
            line,
            problem,
        };
        let mut profile = Self::default();
        let (mut object, mut function) = ("", None);
        let (mut is_call, mut summary) = (false, None);
        for (at, line) in text.lines().enumerate() {
            match line.split_once('=') {
                Some(("ob", name)) => object = name,
                Some(("fn", name)) => function = Some(Function::of(object, name)),
                // The next line is what the call cost inside: that stands at the function called.
                Some(("calls", _)) => is_call = true,
                Some(_) => {}
                None if line.starts_with(|c: char| c.is_ascii_digit()) => {
                    let cost = line
                        .split_ascii_whitespace()
                        .nth(1)
                        .and_then(|cost| cost.parse::<u64>().ok());
                    let cost =
                        cost.ok_or_else(|| refuse(at + 1, "a line of costs without a cost"))?;
                    if !std::mem::take(&mut is_call) {
                        let function = function
                            .clone()
                            .ok_or_else(|| refuse(at + 1, "a cost of no function"))?;
                        *profile.functions.entry(function).or_default() += cost;
                    }
                }
                None => {
                    if let Some(total) = line.strip_prefix("summary:") {
                        summary = total.trim().parse().ok();
                    }
                }
            }
        }
        match summary {
            None => Err(refuse(0, "no `summary:`: the run did not end")),
            Some(0) => Err(refuse(
                0,
                "nothing was counted: the function to count in has another name now",
            )),
            Some(total) if total != profile.total() => Err(refuse(
                0,
                "the functions' costs do not add up to `summary:`",
            )),
            Some(_) => Ok(profile),
        }
    }

    /// All instructions.
    pub fn total(&self) -> u64 {
        self.functions.values().sum()
    }

    /// Instructions outside aws-lc. They do not depend on signatures' values.
    pub fn own(&self) -> u64 {
        let own = self
            .functions
            .iter()
            .filter(|(function, _)| function.whose == Whose::Own);
        own.map(|(_, cost)| cost).sum()
    }

    /// What functions cost that make up at least a thousandth of our own instructions, or a hundredth of all.
    pub fn large_functions(&self) -> BTreeMap<String, u64> {
        let least_own = self.own().div_ceil(1000);
        let least = self.total().div_ceil(100);
        let large = self
            .functions
            .iter()
            .filter(|(function, cost)| match function.whose {
                Whose::Own => **cost >= least_own,
                Whose::Crypto => **cost >= least,
            });
        large
            .map(|(function, cost)| (function.name.clone(), *cost))
            .collect()
    }

    /// Every function's cost.
    pub fn functions(&self) -> BTreeMap<String, u64> {
        self.functions
            .iter()
            .map(|(function, cost)| (function.name.clone(), *cost))
            .collect()
    }
}

impl Function {
    fn of(object: &str, name: &str) -> Self {
        // A recursive function's deeper levels are called `name'2`.
        let name = name
            .rsplit_once('\'')
            .filter(|(_, level)| level.parse::<u32>().is_ok())
            .map_or(name, |(name, _)| name);
        let is_library = object.contains(".so");
        // Of the C in the program itself, mimalloc is ours, and the functions that rustc gives Rust.
        let is_own_c = ["mi_", "_mi_", "__rust", "__rdl", "__rg"]
            .iter()
            .any(|prefix| name.starts_with(prefix));
        let is_rust = name.contains("::") || name.starts_with('<');
        let whose = match is_library || is_own_c || is_rust {
            true => Whose::Own,
            false => Whose::Crypto,
        };
        Self {
            whose,
            name: without_hash(name),
        }
    }
}

/// The name without the hash that the compiler put into it: `core[1f3e..]::ptr` and `::h0123456789abcdef`.
fn without_hash(name: &str) -> String {
    let mut short = String::with_capacity(name.len());
    let mut rest = name;
    while let Some(at) = rest.find('[') {
        let (before, behind) = rest.split_at(at);
        short.push_str(before);
        let end = behind.find(']').map_or(behind.len(), |end| end + 1);
        let inside = behind[1..end].trim_end_matches(']');
        // Slices and arrays stand in brackets too.
        if inside.len() < 12 || !inside.bytes().all(|byte| byte.is_ascii_hexdigit()) {
            short.push_str(&behind[..end]);
        }
        rest = &behind[end..];
    }
    short.push_str(rest);
    match short.rsplit_once("::h") {
        Some((front, hash))
            if hash.len() == 16 && hash.bytes().all(|byte| byte.is_ascii_hexdigit()) =>
        {
            front.to_owned()
        }
        _ => short,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const FILE: &str = "# callgrind format\nversion: 1\npositions: line\nevents: Ir\nsummary: 1137\n\n\
        ob=/bench\nfl=/src/key.rs\nfn=sealgate_tls::direct::key::seal\n12 30\n14 7\ncob=/bench\ncfi=???\ncfn=aes_gcm\n\
        calls=2 0\n15 1000\n\nfl=???\nfn=aes_gcm\n0 1000\n\nob=/lib/libc.so.6\nfl=???\nfn=memcpy'2\n0 100\n";

    fn parse(text: &str) -> Result<Profile, InstructionsError> {
        Profile::parse(text, Path::new("callgrind.out"))
    }

    #[test]
    fn costs_of_calls_are_counted_where_they_arise() {
        let profile = parse(FILE).unwrap();
        assert_eq!((profile.total(), profile.own()), (1137, 137));
        assert_eq!(profile.functions()["sealgate_tls::direct::key::seal"], 37);
        assert_eq!(profile.functions()["memcpy"], 100);
    }

    #[test]
    fn a_file_that_is_not_whole_is_refused() {
        let problem = |text: &str| match parse(text) {
            Err(InstructionsError::Profile { problem, line, .. }) => (line, problem),
            other => panic!("{other:?}"),
        };
        assert_eq!(
            problem("events: Ir\n").1,
            "no `summary:`: the run did not end"
        );
        assert_eq!(
            problem("summary: 0\n").1,
            "nothing was counted: the function to count in has another name now"
        );
        assert_eq!(
            problem(&FILE.replace("1137", "1138")).1,
            "the functions' costs do not add up to `summary:`"
        );
        assert_eq!(problem("summary: 1\n0 1\n"), (2, "a cost of no function"));
        assert_eq!(problem("fn=a\n0\n"), (2, "a line of costs without a cost"));
    }

    #[test]
    fn names_lose_their_hashes_and_nothing_else() {
        let cases = [
            (
                "core[6c1f0d5f0b1e2a3c]::ptr::drop<[u8]>",
                "core::ptr::drop<[u8]>",
            ),
            ("a::b::h0123456789abcdef", "a::b"),
            ("a::<[u8; 16]>::hash", "a::<[u8; 16]>::hash"),
        ];
        for (name, short) in cases {
            assert_eq!(without_hash(name), short);
        }
    }
}
