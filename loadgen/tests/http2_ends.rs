//! HTTP/2 when streams and connections end before their time, or in their time.
#![allow(clippy::unwrap_used, reason = "a test that cannot go on should panic")]

mod http2_target;
mod program;

use std::{
    sync::{
        Arc,
        atomic::{AtomicU32, Ordering::SeqCst},
        mpsc,
    },
    time::Duration,
};

use http2_target::{
    assert_done, counts,
    frames::{Frames, Said},
    run,
    server::{Conduct, Server},
};
use program::{TlsFiles, service};
use serde_json::json;

#[test]
fn a_graceful_goaway_fails_nothing() {
    let files = TlsFiles::new();
    let conduct = Conduct {
        requests_per_connection: Some(7),
        ..Conduct::default()
    };
    let server = Server::tls(&files, &[b"h2"], conduct);
    for flags in [&["-m", "4"][..], &["-m", "1", "-R", "2k"]] {
        let before = server.requests();
        let run = run(
            &server.tls_url("/"),
            &[&["-n", "60", "-c", "2"], flags].concat(),
        );
        assert_done(&run, 60);
        assert_eq!(server.requests() - before, 60, "none was sent twice");
        let established = run.1["connections"]["established"].as_u64().unwrap();
        assert!(established > 2, "{established}");
        assert_eq!(run.1["http"]["version"], json!({ "2": established }));
        let said = run.1["http"]["go_aways"]["NO_ERROR"].as_u64().unwrap();
        // Each was found when its connection was asked again; the last ones were not.
        assert!(
            (established - 2..=established).contains(&said),
            "{said} of {established}"
        );
    }
}

#[test]
fn what_a_goaway_did_not_take_is_sent_again_and_counted_once() {
    let connections = Arc::new(AtomicU32::new(0));
    let seen = Arc::new(AtomicU32::new(0));
    let (numbers, requests) = (Arc::clone(&connections), Arc::clone(&seen));
    let address = service(move |stream| {
        let number = numbers.fetch_add(1, SeqCst);
        let Some(mut frames) = Frames::accept(stream, &[]) else {
            return;
        };
        if number == 0 {
            // Of three that were sent, the first is taken, and answered behind the goodbye.
            let taken: Vec<_> = (0..3).map(|_| frames.request().unwrap()).collect();
            requests.fetch_add(1, SeqCst);
            frames.go_away(taken[0], 0);
            frames.ok(taken[0]);
            frames.until_gone();
            return;
        }
        while let Some(stream) = frames.request() {
            requests.fetch_add(1, SeqCst);
            frames.ok(stream);
        }
    });
    // Not idempotent: only what was surely not taken may be sent again.
    let run = run(
        &format!("http://{address}/"),
        &["-X", "POST", "-n", "20", "-m", "3"],
    );
    assert_done(&run, 20);
    assert_eq!(run.1["http"]["go_aways"], json!({ "NO_ERROR": 1 }));
    assert_eq!(run.1["connections"]["established"], 2);
    assert_eq!((connections.load(SeqCst), seen.load(SeqCst)), (2, 20));
}

#[test]
fn a_goaway_with_an_error_fails_what_it_hits() {
    let address = service(|stream| {
        let Some(mut frames) = Frames::accept(stream, &[]) else {
            return;
        };
        while let Some(stream) = frames.request() {
            match stream {
                5 => frames.go_away(3, 11),
                _ => frames.ok(stream),
            }
        }
    });
    let (_, json) = run(&format!("http://{address}/"), &["-n", "9"]);
    assert_eq!(counts(&json), [9, 9, 6, 3], "{json:#}");
    assert_eq!(json["http"]["go_aways"], json!({ "ENHANCE_YOUR_CALM": 3 }));
    let error = &json["errors"][0];
    assert_eq!(
        (&error["class"], &error["count"]),
        (&json!("go_away"), &json!(3))
    );
    assert!(
        error["samples"][0]
            .as_str()
            .unwrap()
            .contains("ENHANCE_YOUR_CALM (11)")
    );
}

#[test]
fn a_target_that_takes_nothing_is_not_asked_for_ever() {
    let address = service(|stream| {
        let Some(mut frames) = Frames::accept(stream, &[]) else {
            return;
        };
        if frames.request().is_some() {
            frames.go_away(0, 0);
            frames.until_gone();
        }
    });
    let (code, json) = run(&format!("http://{address}/"), &["-n", "2"]);
    assert_eq!((code, counts(&json)), (2, [2, 2, 0, 2]), "{json:#}");
    assert_eq!(json["errors"][0]["class"], "go_away");
    assert_eq!(json["connections"]["established"], 20);
}

#[test]
fn streams_that_are_reset_are_counted_by_phase_and_code() {
    let server = Server::plain(Conduct::default());
    let (_, json) = run(&server.url("/reset/11"), &["-n", "30", "-m", "5"]);
    assert_eq!(counts(&json), [30, 30, 20, 10], "{json:#}");
    let error = &json["errors"][0];
    assert_eq!(
        (&error["phase"], &error["class"], &error["count"]),
        (&json!("receive"), &json!("stream_reset"), &json!(10))
    );
    assert!(
        error["samples"][0]
            .as_str()
            .unwrap()
            .contains("ENHANCE_YOUR_CALM (11)")
    );
    assert_eq!(json["http"]["resets"], json!({ "ENHANCE_YOUR_CALM": 10 }));
    assert_eq!(server.counters.resets.load(SeqCst), 10);
    // The connection outlives its streams.
    assert_eq!(json["connections"]["established"], 1);

    // More than the target's window, so it is being sent when it is refused.
    let (_, json) = run(
        &server.url("/refuse-body/7"),
        &["-n", "4", "-m", "2", "--size", "5MB"],
    );
    assert_eq!(counts(&json), [4, 4, 0, 4], "{json:#}");
    let error = &json["errors"][0];
    assert_eq!(
        (&error["phase"], &error["class"]),
        (&json!("send"), &json!("stream_reset"))
    );
    assert_eq!(json["http"]["resets"], json!({ "REFUSED_STREAM": 4 }));
}

#[test]
fn an_answer_that_is_reset_half_way_is_not_complete() {
    let address = service(|stream| {
        let Some(mut frames) = Frames::accept(stream, &[]) else {
            return;
        };
        while let Some(stream) = frames.request() {
            frames.begin(stream);
            // Even if the code says that nothing is wrong.
            frames.reset(stream, 0);
        }
    });
    let (code, json) = run(&format!("http://{address}/"), &["-n", "3"]);
    assert_eq!((code, counts(&json)), (2, [3, 3, 0, 3]), "{json:#}");
    assert_eq!(json["errors"][0]["class"], "stream_reset");
    assert_eq!(json["http"]["resets"], json!({ "NO_ERROR": 3 }));
}

#[test]
fn a_silent_stream_is_given_up_alone_and_the_run_ends_with_a_goodbye() {
    let (say, said) = mpsc::channel();
    let address = service(move |stream| {
        let Some(mut frames) = Frames::accept(stream, &[]) else {
            return;
        };
        while let Some(next) = frames.next() {
            match next {
                Said::Request(1) => {}
                Said::Request(stream) => frames.ok(stream),
                other => say.send(other).unwrap(),
            }
        }
    });
    let flags = ["-n", "20", "-m", "2", "--timeout", "2s"];
    let (_, json) = run(&format!("http://{address}/"), &flags);
    assert_eq!(counts(&json), [20, 20, 19, 1], "{json:#}");
    let error = &json["errors"][0];
    assert_eq!(
        (&error["phase"], &error["class"]),
        (&json!("receive"), &json!("timeout"))
    );
    assert_eq!(json["connections"]["established"], 1);
    // CANCEL, and at the end NO_ERROR.
    let next = || said.recv_timeout(Duration::from_secs(60)).unwrap();
    assert_eq!((next(), next()), (Said::Reset(1, 8), Said::GoAway(0)));
}

#[test]
fn a_connection_on_which_nothing_comes_any_more_is_replaced() {
    let connections = AtomicU32::new(0);
    let address = service(move |stream| {
        let number = connections.fetch_add(1, SeqCst);
        let Some(mut frames) = Frames::accept(stream, &[]) else {
            return;
        };
        while let Some(stream) = frames.request() {
            if number > 0 {
                frames.ok(stream);
            }
        }
    });
    // The second begins half a second later, so its own time is not over.
    let flags = [
        "-R",
        "2",
        "-n",
        "4",
        "-c",
        "1",
        "-m",
        "2",
        "--timeout",
        "2s",
    ];
    let (_, json) = run(&format!("http://{address}/"), &flags);
    // Where the answer to our SETTINGS is late, it came behind the first request: then only the second
    // one finds the connection dead, and the third one was on it too.
    let failed = counts(&json)[3];
    assert!(matches!(failed, 2 | 3), "{json:#}");
    assert_eq!(counts(&json), [4, 4, 4 - failed, failed], "{json:#}");
    // It was broken off with the connection, by us, and that is said.
    let errors = json["errors"].as_array().unwrap();
    assert!(
        errors.iter().all(|error| error["class"] == "timeout"),
        "{json:#}"
    );
    assert_eq!(json["connections"]["established"], 2);
}

#[test]
fn what_is_under_way_when_the_drain_is_over_is_unfinished() {
    // With a limit of one stream, one is sent, and the others wait for it.
    for (settings, sent) in [(&[][..], 2), (&[(3, 1)], 1)] {
        let address = service(move |stream| {
            let Some(mut frames) = Frames::accept(stream, settings) else {
                return;
            };
            while frames.request().is_some() {}
        });
        let flags = [
            "-R", "1k", "-n", "6", "-c", "1", "-m", "2", "--drain", "100ms",
        ];
        let (code, json) = run(&format!("http://{address}/"), &flags);
        assert_eq!((code, counts(&json)), (2, [6, sent, 0, sent]), "{json:#}");
        assert_eq!(json["totals"]["operations"]["unsent"], 6 - sent);
        assert_eq!(json["errors"][0]["class"], "unfinished");
    }
}

#[test]
fn connections_are_replaced_as_often_as_asked() {
    let server = Server::plain(Conduct::default());
    let once = run(&server.url("/"), &["-n", "12", "--reuse", "1"]);
    assert_done(&once, 12);
    assert_eq!(server.connections(), 12);
    let some = run(&server.url("/"), &["-n", "24", "--reuse", "4", "-m", "3"]);
    assert_done(&some, 24);
    assert_eq!((server.connections(), server.requests()), (12 + 6, 36));
}

#[test]
fn a_connection_that_closes_between_requests_is_replaced() {
    let address = service(|stream| {
        let Some(mut frames) = Frames::accept(stream, &[]) else {
            return;
        };
        // Without a goodbye.
        for _ in 0..2 {
            let Some(stream) = frames.request() else {
                return;
            };
            frames.ok(stream);
        }
    });
    let run = run(&format!("http://{address}/"), &["-n", "10"]);
    assert_done(&run, 10);
    assert_eq!(run.1["connections"]["established"], 5);
}
