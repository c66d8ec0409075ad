//! Programs that take part in a measurement: started on cores of their own, ended with the value.

use std::fs::File;
use std::io;
use std::net::{SocketAddr, TcpListener, TcpStream};
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::thread;
use std::time::{Duration, Instant};

use rustix::process::{Pid, Signal, kill_process};

use crate::cpu;
use crate::error::BenchError;
use crate::interrupt;

/// How long a program may take from its start to its first accepted connection.
const READY_WITHIN: Duration = Duration::from_secs(20);
/// How often that is tried.
const READY_POLL: Duration = Duration::from_millis(5);

/// A server on its cores. Dropping it kills the process and waits for its end.
pub struct Server {
    name: String,
    child: Child,
    log: PathBuf,
}

impl Server {
    /// Starts `command` (program and arguments) on `cores`, both its streams into a log file.
    pub fn start(
        name: &str,
        command: &[String],
        cores: &[usize],
        directory: &Path,
    ) -> Result<Self, BenchError> {
        let log = directory.join(format!("{}.log", name.replace(' ', "-")));
        let file = |result: io::Result<File>| {
            result.map_err(|source| BenchError::File {
                path: log.clone(),
                source,
            })
        };
        let out = file(File::create(&log))?;
        let err = file(out.try_clone())?;
        let child = pinned(command, cores)
            .stdin(Stdio::null())
            .stdout(out)
            .stderr(err)
            .spawn()
            .map_err(|source| BenchError::Start {
                name: name.to_owned(),
                source,
            })?;
        Ok(Self {
            name: name.to_owned(),
            child,
            log,
        })
    }

    /// Waits until every address takes a connection, for as long as a program usually needs.
    pub fn ready(&mut self, addresses: &[SocketAddr]) -> Result<(), BenchError> {
        self.ready_within(addresses, READY_WITHIN)
    }

    /// Waits until every address takes a connection.
    pub fn ready_within(
        &mut self,
        addresses: &[SocketAddr],
        most: Duration,
    ) -> Result<(), BenchError> {
        let deadline = Instant::now() + most;
        for address in addresses {
            while TcpStream::connect(address).is_err() {
                interrupt::check()?;
                let ended = !matches!(self.child.try_wait(), Ok(None));
                if ended || Instant::now() > deadline {
                    return Err(BenchError::NotReady {
                        name: self.name.clone(),
                        output: std::fs::read_to_string(&self.log).unwrap_or_default(),
                    });
                }
                thread::sleep(READY_POLL);
            }
        }
        Ok(())
    }

    /// The process to read CPU time from: `taskset` becomes the program it starts.
    pub fn pid(&self) -> u32 {
        self.child.id()
    }
}

impl Drop for Server {
    fn drop(&mut self) {
        // Workers of a program that forks them outlive a kill of their parent.
        let children = cpu::children(self.pid());
        // All fail only when the process is gone already.
        let _ = self.child.kill();
        let _ = self.child.wait();
        for child in children {
            if let Some(child) = Pid::from_raw(child.cast_signed()) {
                let _ = kill_process(child, Signal::KILL);
            }
        }
    }
}

/// `command` on these cores.
pub fn pinned(command: &[String], cores: &[usize]) -> Command {
    let words = pinned_words(command, cores);
    let mut pinned = Command::new(&words[0]);
    pinned.args(&words[1..]);
    pinned
}

/// The same, for a program that starts it.
pub fn pinned_words(command: &[String], cores: &[usize]) -> Vec<String> {
    let list: Vec<_> = cores.iter().map(usize::to_string).collect();
    let taskset = ["taskset", "--cpu-list", &list.join(",")].map(str::to_owned);
    [&taskset[..], command].concat()
}

/// A loopback address that was free a moment ago.
pub fn free_address() -> Result<SocketAddr, BenchError> {
    Ok(free_addresses(1)?[0])
}

/// So many of them, no two alike.
pub fn free_addresses(count: usize) -> Result<Vec<SocketAddr>, BenchError> {
    // All are bound before the first one is let go, or the kernel might give one twice.
    let bound: io::Result<Vec<_>> = (0..count)
        .map(|_| TcpListener::bind("127.0.0.1:0"))
        .collect();
    bound
        .and_then(|bound| bound.iter().map(TcpListener::local_addr).collect())
        .map_err(|source| BenchError::Start {
            name: String::from("a loopback listener"),
            source,
        })
}

/// Where a program is: beside this one, or on the path, or in `/usr/sbin`.
pub fn find(name: &'static str, remedy: &'static str) -> Result<String, BenchError> {
    let beside = std::env::current_exe()
        .ok()
        .and_then(|this| Some(this.parent()?.to_owned()));
    let path = std::env::var_os("PATH").unwrap_or_default();
    beside
        .into_iter()
        .chain(std::env::split_paths(&path))
        .chain([PathBuf::from("/usr/sbin")])
        .map(|directory| directory.join(name))
        .find(|program| program.is_file())
        .map(|program| program.display().to_string())
        .ok_or(BenchError::NoProgram { name, remedy })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn words(text: &str) -> Vec<String> {
        text.split(' ').map(str::to_owned).collect()
    }

    #[test]
    fn a_program_that_ends_is_not_waited_for() {
        let directory = std::env::temp_dir();
        let name = format!("bench-process-test-{}", std::process::id());
        let cores = crate::host::cores();
        let mut server = Server::start(&name, &words("true"), &cores, &directory).expect("starts");
        let refusal = server.ready(&[free_address().expect("loopback")]);
        assert!(matches!(refusal, Err(BenchError::NotReady { .. })));
        std::fs::remove_file(&server.log).expect("the log was made");
    }

    #[test]
    fn workers_end_with_their_server() {
        let directory = std::env::temp_dir();
        let name = format!("bench-process-fork-{}", std::process::id());
        let cores = crate::host::cores();
        let script = ["sh", "-c", "sleep 600 & wait"].map(str::to_owned);
        let server = Server::start(&name, &script, &cores, &directory).expect("starts");
        let log = server.log.clone();
        let deadline = Instant::now() + READY_WITHIN;
        let worker = loop {
            // taskset becomes the shell, and the shell makes the worker, when they get to it.
            if let [worker] = cpu::children(server.pid())[..] {
                break worker;
            }
            assert!(Instant::now() < deadline, "the shell has no child");
            thread::yield_now();
        };
        drop(server);
        // Nobody here is its parent, so its remains go when init gets to it.
        let status = || std::fs::read_to_string(format!("/proc/{worker}/stat"));
        while status().is_ok_and(|stat| !stat.contains(") Z ")) {
            assert!(Instant::now() < deadline, "the worker lives");
            thread::yield_now();
        }
        std::fs::remove_file(log).expect("the log was made");
    }

    #[test]
    fn free_addresses_are_all_different() {
        let mut addresses = free_addresses(50).expect("loopback");
        addresses.sort();
        addresses.dedup();
        assert_eq!(addresses.len(), 50);
    }

    #[test]
    fn a_server_ends_with_its_value() {
        let directory = std::env::temp_dir();
        let name = format!("bench-process-drop-{}", std::process::id());
        let cores = crate::host::cores();
        let server = Server::start(&name, &words("sleep 600"), &cores, &directory).expect("starts");
        let (pid, log) = (server.pid(), server.log.clone());
        assert!(Path::new(&format!("/proc/{pid}")).exists());
        drop(server);
        assert!(!Path::new(&format!("/proc/{pid}")).exists());
        std::fs::remove_file(log).expect("the log was made");
    }
}
