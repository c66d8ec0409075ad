//! `loadgen request`, and the HTTP requests of `loadgen bulk`.

use hyper::{
    Method, Uri,
    header::{HeaderName, HeaderValue},
};
use serde_json::{Value, json};

use super::{
    CommandError, early_data,
    envelope::{self, Sealing},
    http::Version,
    load::{self, Job},
};
use crate::{
    cli::{CheckArg, LoadArgs, RequestArgs},
    exit::Exit,
    operation::{
        Operation, echo,
        http1::{
            check::Check,
            template::{Parts, Template},
        },
        reuse::Reuse,
        size::Size,
    },
    placeholder::{Filling, Text},
    schedule::mix::Mix,
    target::url::{Target, TargetError},
    tenants::OWN_ROWS,
    upstream::Upstream,
};

/// Largest echoed message: it is kept whole, per connection.
const MAX_ECHO_BYTES: u64 = 1_000_000_000;

/// Header fields that loadgen has to set itself.
const OWN_FIELDS: [&str; 3] = ["content-length", "transfer-encoding", "content-digest"];

/// Header fields whose values are kept out of reports.
const SECRET_FIELDS: [&str; 4] = [
    "authorization",
    "proxy-authorization",
    "cookie",
    "x-api-key",
];

/// Loads a target with requests.
///
/// # Errors
///
/// When flags are of no use, or the result cannot be written.
pub fn request(args: &RequestArgs) -> Result<Exit, CommandError> {
    let job = job(args)?;
    match &args.check_upstream {
        None => load::execute(job),
        Some(origin) => both_ways(job, origin),
    }
}

/// Runs a job, and looks at what the origin behind the target has of it.
fn both_ways(job: Job<'_>, origin: &Target) -> Result<Exit, CommandError> {
    let tenants = super::tenants::tenants(job.load)?;
    let path = Text::strict(&job.target.path)?;
    let rows = tenants.as_ref().map_or(1, |all| all.rows().min(OWN_ROWS));
    let paths = (0..rows).map(|tenant| {
        path.filled(Filling {
            tenants: tenants.as_deref(),
            tenant,
            object: 0,
        })
    });
    let paths: Vec<_> = paths.collect();
    let upstream = Upstream::before(origin)?;
    let measured = load::watched(&job, load::plan(&job)?)?;
    load::tell(&job, &measured)?;
    let operations = &measured.report.totals.operations;
    let sent = operations.sent + operations.warmup;
    upstream.verify(sent, &paths)?;
    Ok(measured.exit)
}

/// The load that the flags ask for.
///
/// # Errors
///
/// When flags are of no use.
pub fn job(args: &RequestArgs) -> Result<Job<'_>, CommandError> {
    let target = load::effective(&args.target, &args.load);
    if args.echo {
        return raw_echo(args, target);
    }
    if args.check == CheckArg::Echo && args.size.is_none() {
        return Err(CommandError::EchoWithoutBody);
    }
    let method = match (&args.request, args.size) {
        (Some(name), _) => name.clone(),
        (None, Some(_)) if args.check == CheckArg::Echo => "POST".to_owned(),
        (None, Some(_)) => "PUT".to_owned(),
        (None, None) => "GET".to_owned(),
    };
    let (check, check_name) = match args.check {
        CheckArg::None => (Check::Complete, "none"),
        CheckArg::Status => (Check::Status, "status"),
        CheckArg::Hash => (Check::Hash, "hash"),
        CheckArg::Echo => (Check::Echo, "echo"),
        CheckArg::Open => (Check::Open, "open"),
    };
    let reuse = args.reuse.unwrap_or_default();
    let wanted = Wanted {
        method: &method,
        size: args.size,
        check,
        reuse,
    };
    let mut template = template(&target, &args.load, &args.headers, wanted)?;
    template.statuses.clone_from(&args.expect_status);
    template.early_data_percent = args.early_data;
    let sealing = Sealing {
        named: args.sealed.named(),
        envelopes: args.sealed.envelope,
        size: args.size,
    };
    let sealed = envelope::seal(sealing, &args.load, &mut template)?;
    let version = Version::choose(&args.http, &target, &args.load)?;
    early_data::check(&template, &target, &args.load, version)?;
    let particulars = json!({
        "http_version": version.name(),
        "streams": version.streams(),
        "method": method,
        "size": args.size.map(|size| size.to_string()),
        "headers": stored_fields(&args.headers),
        "check": check_name,
        "expect_status": args.expect_status,
        "reuse": reuse.to_string(),
        "early_data_percent_of_connections": args.early_data,
        "sealed": sealed,
    });
    Ok(Job {
        name: "request",
        operation: version.operation(template, &target, &args.load)?,
        target,
        mix: Mix::default(),
        load: &args.load,
        others: Vec::new(),
        particulars,
    })
}

fn raw_echo(args: &RequestArgs, target: Target) -> Result<Job<'_>, CommandError> {
    if target.scheme.is_http() {
        return Err(TargetError::WrongScheme(target, "an echo is tls:// or tcp://").into());
    }
    let size = match args.size.unwrap_or(Size::Fixed(100)) {
        Size::Fixed(size @ 1..=MAX_ECHO_BYTES) => size,
        Size::Fixed(_) | Size::Uniform(..) | Size::LogNormal(..) => {
            return Err(CommandError::EchoSize);
        }
    };
    Ok(Job {
        name: "echo",
        target,
        operation: Operation::Echo(echo::Settings {
            size: size as usize,
        }),
        mix: Mix::default(),
        load: &args.load,
        others: Vec::new(),
        particulars: json!({ "size": size.to_string(), "check": "echo" }),
    })
}

/// What kind of request a template is to make.
#[derive(Debug, Clone, Copy)]
pub struct Wanted<'a> {
    /// Method.
    pub method: &'a str,
    /// Sizes of its body; none when it has none.
    pub size: Option<Size>,
    /// What the answer has to be.
    pub check: Check,
    /// Requests on one connection.
    pub reuse: Reuse,
}

/// Checks everything that goes into a request, and builds it.
///
/// # Errors
///
/// When method, path or a header field is none.
pub fn template(
    target: &Target,
    load: &LoadArgs,
    fields: &[String],
    wanted: Wanted<'_>,
) -> Result<Template, CommandError> {
    Method::from_bytes(wanted.method.as_bytes())
        .map_err(|_| CommandError::Method(wanted.method.to_owned()))?;
    target
        .path
        .parse::<Uri>()
        .map_err(|_| CommandError::Path(target.path.clone()))?;
    let path = Text::strict(&target.path)?;
    let mut checked = Vec::new();
    for field in fields {
        checked.push(parse_field(field)?);
    }
    if !checked
        .iter()
        .any(|(name, _)| name.eq_ignore_ascii_case("host"))
    {
        // The name in Host is the name in SNI: a gateway may refuse anything else (421).
        let mut named = target.clone();
        if let Some(sni) = &load.tls.sni {
            named.host = sni.text().to_owned();
        }
        checked.insert(0, parse_field(&format!("Host: {}", named.host_field()))?);
    }
    Ok(Template::new(Parts {
        method: wanted.method,
        path: &path,
        fields: &checked,
        size: wanted.size,
        check: wanted.check,
        reuse: wanted.reuse,
        seed: load.schedule.seed,
    }))
}

fn parse_field(field: &str) -> Result<(String, String), CommandError> {
    let wrong = || CommandError::Header(field.to_owned());
    let (name, value) = field.split_once(':').ok_or_else(wrong)?;
    let (name, value) = (name.trim(), value.trim());
    name.parse::<HeaderName>().map_err(|_| wrong())?;
    value.parse::<HeaderValue>().map_err(|_| wrong())?;
    match OWN_FIELDS.iter().any(|own| name.eq_ignore_ascii_case(own)) {
        true => Err(CommandError::OwnHeader(name.to_owned())),
        false => Ok((name.to_owned(), value.to_owned())),
    }
}

/// Header fields for the report, which may go to many places: secrets do not.
pub fn stored_fields(fields: &[String]) -> Value {
    let stored = fields.iter().map(|field| {
        let name = field.split(':').next().unwrap_or_default().trim();
        match SECRET_FIELDS
            .iter()
            .any(|secret| name.eq_ignore_ascii_case(secret))
        {
            true => format!("{name}: (not stored)"),
            false => field.clone(),
        }
    });
    stored.collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn secrets_stay_out_of_the_report() {
        let fields = ["Authorization: Bearer x".to_owned(), "X-A: b".to_owned()];
        let stored = stored_fields(&fields);
        assert_eq!(stored, json!(["Authorization: (not stored)", "X-A: b"]));
    }
}
