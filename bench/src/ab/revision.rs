//! From a revision to its program.
//!
//! Both revisions are built in the same folder, one after the other, by the same command: paths
//! that end up in the program do not shift its layout, and the same source gives the same bytes. A
//! program that was built once is kept by its commit.

use std::{
    fs::{self, File, TryLockError},
    io,
    path::{Path, PathBuf},
    process::{Command, Output, Stdio},
};

use super::error::{AbError, at};
use crate::{command, error::BenchError, interrupt};

/// Lines of cargo that are shown when a revision does not build.
const LAST_LINES: usize = 40;
/// The program.
const PROGRAM: &str = "sealgate";

/// A commit, and how it was asked for.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Revision {
    /// As it was written.
    pub name: String,
    /// Its full hash.
    pub commit: String,
}

/// What goes into a build besides the source.
#[derive(Debug, Clone, Copy)]
pub struct Recipe<'a> {
    /// A profile of cargo.
    pub profile: &'a str,
    /// A feature of the gateway; none for what is released.
    pub feature: Option<&'a str>,
}

/// Where revisions are built: `target/ab`. Held by one process at a time.
#[derive(Debug)]
pub struct Workshop {
    repository: PathBuf,
    folder: PathBuf,
    /// Holds the lock.
    _lock: File,
}

impl Workshop {
    /// The one of the repository around this process.
    ///
    /// # Errors
    ///
    /// [`AbError`]: no repository, or another process is in it.
    pub fn enter() -> Result<Self, AbError> {
        let top = git(Path::new("."), "rev-parse", &["--show-toplevel"])?;
        let repository = PathBuf::from(top);
        let target = std::env::var_os("CARGO_TARGET_DIR").map(PathBuf::from);
        let target = target.unwrap_or_else(|| repository.join("target"));
        let folder = target.join("ab");
        fs::create_dir_all(&folder).map_err(at(&folder))?;
        let folder = folder.canonicalize().map_err(at(&folder))?;
        let lock = File::create(folder.join("lock")).map_err(at(&folder))?;
        match lock.try_lock() {
            Ok(()) => {}
            Err(TryLockError::WouldBlock) => return Err(AbError::Busy(folder)),
            Err(TryLockError::Error(error)) => return Err(at(&folder)(error)),
        }
        Ok(Self {
            repository,
            folder,
            _lock: lock,
        })
    }

    /// Where arms run from.
    pub fn folder(&self) -> &Path {
        &self.folder
    }

    /// The commit of a revision.
    ///
    /// # Errors
    ///
    /// [`AbError::Revision`] where git knows none.
    pub fn resolve(&self, name: &str) -> Result<Revision, AbError> {
        let wanted = format!("{name}^{{commit}}");
        let flags = ["--verify", "--end-of-options", wanted.as_str()];
        match git(&self.repository, "rev-parse", &flags) {
            Ok(commit) => Ok(Revision {
                name: name.to_owned(),
                commit,
            }),
            Err(AbError::Git { said, .. }) => Err(AbError::Revision {
                revision: name.to_owned(),
                said,
            }),
            Err(other) => Err(other),
        }
    }

    /// Whether a file that is in the repository differs from the commit that is checked out.
    ///
    /// # Errors
    ///
    /// [`AbError::Git`].
    pub fn is_dirty(&self) -> Result<bool, AbError> {
        let changed = git(
            &self.repository,
            "status",
            &["--porcelain", "--untracked-files=no"],
        )?;
        Ok(!changed.is_empty())
    }

    /// The program of a revision, built unless it is there.
    ///
    /// # Errors
    ///
    /// [`AbError`]: it cannot be checked out or built.
    pub fn build(&self, revision: &Revision, recipe: Recipe<'_>) -> Result<PathBuf, AbError> {
        let Recipe { profile, feature } = recipe;
        let feature_name = feature.unwrap_or("plain");
        let kept = self
            .folder
            .join(format!("{}-{profile}-{feature_name}", revision.commit));
        if kept.is_file() {
            return Ok(kept);
        }
        let tree = self.check_out(revision)?;
        let output = self.folder.join("build");
        let mut cargo = Command::new(std::env::var_os("CARGO").unwrap_or_else(|| "cargo".into()));
        cargo
            .args(["build", "--locked", "--package", PROGRAM, "--bin", PROGRAM])
            .args(["--profile", profile])
            .arg("--target-dir")
            .arg(&output)
            .current_dir(&tree);
        if let Some(feature) = feature {
            cargo.args(["--features", feature]);
        }
        command::run("cargo build", cargo, &[]).map_err(|error| match error {
            BenchError::Command { output, .. } => AbError::Build {
                revision: revision.name.clone(),
                said: last_lines(&output),
            },
            other => other.into(),
        })?;
        let folder = if profile == "dev" { "debug" } else { profile };
        let built = output.join(folder).join(PROGRAM);
        // Whole or not at all: it is taken for built from then on.
        let unfinished = kept.with_extension("unfinished");
        fs::copy(&built, &unfinished).map_err(at(&built))?;
        fs::rename(&unfinished, &kept).map_err(at(&kept))?;
        Ok(kept)
    }

    /// The work tree, with the source of `revision`.
    fn check_out(&self, revision: &Revision) -> Result<PathBuf, AbError> {
        let tree = self.folder.join("tree");
        let path = tree.display().to_string();
        let commit = revision.commit.as_str();
        // A cache may bring back the folder of another clone, of which this repository knows nothing.
        let is_known =
            tree.join(".git").exists() && git(&tree, "rev-parse", &["--git-dir"]).is_ok();
        if !is_known {
            match fs::remove_dir_all(&tree) {
                Err(error) if error.kind() != io::ErrorKind::NotFound => {
                    return Err(at(&tree)(error));
                }
                _ => {}
            }
            // What an earlier one left behind when its folder was removed.
            git(&self.repository, "worktree", &["prune"])?;
            let add = ["add", "--detach", "--force", &path, commit];
            git(&self.repository, "worktree", &add)?;
        }
        git(
            &tree,
            "checkout",
            &["--quiet", "--detach", "--force", commit],
        )?;
        Ok(tree)
    }
}

/// Runs git in a folder; gives what it printed.
fn git(folder: &Path, what: &'static str, arguments: &[&str]) -> Result<String, AbError> {
    let mut git = Command::new("git");
    // Else a hook's environment would name another repository.
    git.env_remove("GIT_DIR").env_remove("GIT_WORK_TREE");
    git.arg("-C").arg(folder).arg(what).args(arguments);
    let said = run(&mut git, what)?;
    let text = |bytes: &[u8]| String::from_utf8_lossy(bytes).trim().to_owned();
    match said.status.success() {
        true => Ok(text(&said.stdout)),
        false => Err(AbError::Git {
            what,
            said: text(&said.stderr),
        }),
    }
}

fn run(command: &mut Command, what: &'static str) -> Result<Output, AbError> {
    let output = command.stdin(Stdio::null()).output();
    interrupt::check()?;
    output.map_err(|error| AbError::Git {
        what,
        said: format!(
            "{} does not start: {error}",
            command.get_program().display()
        ),
    })
}

fn last_lines(text: &str) -> String {
    let lines: Vec<_> = text.lines().collect();
    lines[lines.len().saturating_sub(LAST_LINES)..].join("\n")
}

#[cfg(test)]
mod tests {
    use super::*;

    /// A repository with one package `sealgate`, whose program says what its source does, in two
    /// commits; and the workshop in it.
    fn workshop(place: &Path) -> Workshop {
        let source = place.join("src");
        fs::create_dir(&source).expect("a new folder");
        let manifest = "[package]\nname = 'sealgate'\nedition = '2024'\nversion = '0.1.0'\n\
                        [features]\nloud = []\n[workspace]\n";
        let lock = "version = 4\n[[package]]\nname = 'sealgate'\nversion = '0.1.0'\n";
        fs::write(place.join("Cargo.toml"), manifest).expect("written");
        fs::write(place.join("Cargo.lock"), lock.replace('\'', "\"")).expect("written");
        for arguments in [
            &["init", "-q"][..],
            &["config", "user.name", "x"],
            &["config", "user.email", "x@x.example"],
        ] {
            git(
                place,
                "-c",
                &[&["commit.gpgsign=false"], arguments].concat(),
            )
            .expect("git works");
        }
        for said in ["one", "two"] {
            let text =
                format!("fn main() {{ println!(\"{said} {{}}\", cfg!(feature = \"loud\")); }}\n");
            fs::write(source.join("main.rs"), text).expect("written");
            git(place, "add", &["."]).expect("git works");
            git(place, "commit", &["-q", "--no-gpg-sign", "-m", said]).expect("git works");
        }
        let folder = place.join("target/ab");
        fs::create_dir_all(&folder).expect("a new folder");
        let lock = File::create(folder.join("lock")).expect("a file");
        Workshop {
            repository: place.to_owned(),
            folder,
            _lock: lock,
        }
    }

    fn says(program: &Path) -> String {
        let said = Command::new(program).output().expect("it runs").stdout;
        String::from_utf8_lossy(&said).trim().to_owned()
    }

    #[test]
    fn what_is_not_committed_is_seen() {
        let place = tempfile::tempdir().expect("a folder");
        let workshop = workshop(place.path());
        fs::write(place.path().join("results.json"), "new").expect("written");
        assert!(!workshop.is_dirty().expect("git works"));
        fs::write(place.path().join("src/main.rs"), "fn main() {}").expect("written");
        assert!(workshop.is_dirty().expect("git works"));
    }

    #[test]
    fn revisions_are_built_at_one_path_and_kept() {
        let place = tempfile::tempdir().expect("a folder");
        let workshop = workshop(place.path());
        let plain = Recipe {
            profile: "dev",
            feature: None,
        };
        let head = workshop.resolve("HEAD").expect("a commit");
        let base = workshop.resolve("HEAD~1").expect("a commit");
        assert_eq!((head.commit.len(), base.commit.len()), (40, 40));
        let programs =
            [&base, &head].map(|revision| workshop.build(revision, plain).expect("it builds"));
        assert_eq!(
            programs.each_ref().map(|program| says(program)),
            ["one false", "two false"]
        );
        let loud = Recipe {
            feature: Some("loud"),
            ..plain
        };
        let loud = workshop.build(&base, loud).expect("it builds");
        assert_eq!(says(&loud), "one true");
        // What is there is not built again: not even where that would not work any more.
        fs::remove_dir_all(place.path().join(".git")).expect("it is there");
        assert_eq!(
            workshop.build(&base, plain).expect("it is there"),
            programs[0]
        );
        let missing = workshop.resolve("HEAD");
        assert!(
            matches!(missing, Err(AbError::Revision { .. })),
            "{missing:?}"
        );
    }

    #[test]
    fn a_tree_that_the_repository_does_not_know_is_made_anew() {
        let place = tempfile::tempdir().expect("a folder");
        let workshop = workshop(place.path());
        let plain = Recipe {
            profile: "dev",
            feature: None,
        };
        let base = workshop.resolve("HEAD~1").expect("a commit");
        workshop.build(&base, plain).expect("it builds");
        // As in a fresh clone into which a cache puts the folder.
        fs::remove_dir_all(place.path().join(".git/worktrees")).expect("it is there");
        let head = workshop.resolve("HEAD").expect("a commit");
        let head = workshop.build(&head, plain).expect("it builds");
        assert_eq!(says(&head), "two false");
    }

    #[test]
    fn what_does_not_build_is_shown() {
        let place = tempfile::tempdir().expect("a folder");
        let workshop = workshop(place.path());
        let unknown = Recipe {
            profile: "dev",
            feature: Some("no-such-feature"),
        };
        let head = workshop.resolve("HEAD").expect("a commit");
        let Err(AbError::Build { said, .. }) = workshop.build(&head, unknown) else {
            panic!("there is no such feature");
        };
        assert!(said.contains("no-such-feature"), "{said}");
        assert_eq!(last_lines("a\nb\n"), "a\nb");
    }
}
