//! Sealed messages of requests: sealed before the run, and opened when they come back.

use std::sync::Arc;

use serde_json::{Value, json};

use super::{CommandError, tenants};
use crate::{
    cli::{LoadArgs, Place},
    envelope::{
        holders::{Holders, Named},
        keys::EnvelopeError,
        ready::Ready,
    },
    operation::{
        http1::{check::Check, template::Template},
        size::Size,
    },
};

/// What flags or a scenario ask for.
#[derive(Debug, Clone, Copy)]
pub struct Sealing<'a> {
    /// The key.
    pub named: Option<Named<'a>>,
    /// Different messages to send; none where bodies are plain.
    pub envelopes: Option<u32>,
    /// Sizes of their plaintexts.
    pub size: Option<Size>,
}

/// Seals what is to be sent, and keeps what opens the answers; gives what the report says of it.
///
/// # Errors
///
/// When a key is missing, of no use, or used for nothing.
pub fn seal(
    asked: Sealing<'_>,
    load: &LoadArgs,
    template: &mut Template,
) -> Result<Value, CommandError> {
    let opens = template.check == Check::Open;
    let named = match (asked.named, asked.envelopes) {
        (Some(_), _) if load.agents.place != Place::Alone => {
            return Err(EnvelopeError::OnAgents.into());
        }
        (None, Some(_)) => return Err(EnvelopeError::NoKey("--envelope").into()),
        (None, None) if opens => return Err(EnvelopeError::NoKey("--check open").into()),
        (None, None) => return Ok(Value::Null),
        (Some(_), None) if !opens => return Err(EnvelopeError::UnusedKey.into()),
        (Some(named), _) => named,
    };
    let tenants = tenants::tenants(load)?;
    let keys = Arc::new(Holders::load(named, tenants.as_deref())?);
    if let (Some(envelopes), Some(size)) = (asked.envelopes, asked.size) {
        if template.check == Check::Echo {
            return Err(EnvelopeError::EchoOfSealed.into());
        }
        let ready = Ready::seal(keys.all(), envelopes, size, load.schedule.seed)?;
        template.ready = Some(Arc::new(ready));
    }
    let described = json!({
        "envelopes": asked.envelopes,
        "key": keys.name(),
        "keys": keys.all().len(),
    });
    template.keys = Some(keys).filter(|_| opens);
    Ok(described)
}
