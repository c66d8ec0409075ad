//! HTTP requests on kept connections, one at a time on each.

use std::time::Instant;

use super::{
    failure::{Cause, Failure},
    http::{HttpConnection, Template},
};
use crate::{measure::tally::Done, worker::slot::Slot};

/// Sends requests until the schedule ends.
pub async fn drive(slot: &Slot, template: &Template) {
    let mut connection = match slot.establish().await {
        Some(connection) => HttpConnection::open(slot, connection).await.ok(),
        None => None,
    };
    slot.start().await;
    while let Some(arrival) = slot.next() {
        let http = match &mut connection {
            Some(http) => http,
            None => match reopen(slot).await {
                Ok(fresh) => connection.insert(fresh),
                Err(failure) => {
                    slot.fail(arrival, &failure).await;
                    continue;
                }
            },
        };
        let sent = Instant::now();
        match http.exchange(slot, template).await {
            Ok(received_bytes) => {
                let done = Instant::now();
                let sent_bytes = template.body_len;
                slot.succeed(&Done {
                    arrival,
                    sent,
                    done,
                    sent_bytes,
                    received_bytes,
                });
            }
            Err(failure) => {
                slot.fail(arrival, &failure).await;
                if !matches!(failure.cause, Cause::Status(_)) {
                    slot.reset();
                    connection = None;
                    continue;
                }
            }
        }
        // The target may close a kept connection behind any answer: that is no failure.
        if !http.is_ready().await {
            connection = None;
        }
    }
}

async fn reopen(slot: &Slot) -> Result<HttpConnection, Failure> {
    let connection = slot.redial().await?;
    HttpConnection::open(slot, connection).await
}
