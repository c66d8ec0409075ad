//! Programs that stand in for others, and the scenario that they are run under.

use std::{fs, os::unix::fs::PermissionsExt, path::Path};

/// Runs the load that it is given, and tells a stack. It notes how it was called.
pub const PERF: &str = r#"#!/bin/sh
echo "$*" >> "$(dirname "$0")/calls"
case $1 in
record)
    while [ "$1" != -- ]; do
        [ "$1" = -o ] && touch "$2"
        shift
    done
    shift
    exec "$@"
    ;;
script) echo "worker-0;run;seal 30" ;;
esac
"#;

/// One connection that sends and receives for as long as it may, or so many times as `arguments` have.
pub fn scenario(arguments: &str) -> String {
    format!(
        r#"
description = "echoes"

[origin]
service = "echo"
wire = "plain"

[gateway]
config = '''
workers = 1

[[listener]]
name = "public"
listen = "{{listen}}"

[[tenant]]
id = "bench"
default = true
certificate = "{{certificate}}"
key = "{{key}}"

[[route]]
name = "bench"
tenant = "bench"
protocol = "tcp"
class = "terminated"
upstream = "{{upstream}}"
'''

[load]
operation = "request"
url = "tls://localhost:8443"
arguments = ["--echo", "--size", "100", "-c", "1"{arguments}]
"#
    )
}

/// Writes a program.
pub fn program(place: &Path, name: &str, text: &str) {
    let path = place.join(name);
    // A new file each time: one that is still running cannot be written.
    let _ = fs::remove_file(&path);
    fs::write(&path, text).unwrap();
    fs::set_permissions(&path, fs::Permissions::from_mode(0o755)).unwrap();
}

/// What `bench profile` needs beside the gateway and loadgen.
pub fn profilers(place: &Path, perf: &str) {
    program(place, "perf", perf);
    program(place, "inferno-collapse-perf", "#!/bin/sh\nexec cat\n");
    let draw = "#!/bin/sh\necho \"<svg><!-- $2 -->\"\ncat\necho '</svg>'\n";
    program(place, "inferno-flamegraph", draw);
}
