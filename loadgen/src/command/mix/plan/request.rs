//! The requests of a scenario.

use super::{Builder, Prepared};
use crate::{
    command::{
        CommandError, early_data,
        envelope::{self, Sealing},
        http::Version,
        request::{self, Wanted},
    },
    envelope::holders::Named,
    operation::{
        http1::{
            check::Check,
            objects::{Objects, Pick},
            template::Template,
        },
        reuse::Reuse,
        size::Size,
    },
    placeholder::Text,
    scenario::{CheckName, Entry, MAX_ENVELOPES, Prepare, Problem},
    schedule::choice::{self, Choice, Spread},
    target::url::Target,
    tenants::TenantsError,
};

impl Builder<'_> {
    pub(super) fn request(
        &mut self,
        entry: &Entry,
        place: &Target,
    ) -> Result<Template, CommandError> {
        let target = self.with_path(entry, place)?;
        let size = self.size(entry)?;
        let objects = self.objects(entry, &target, size)?;
        let method = entry.method.as_deref().unwrap_or("GET");
        // The size of a GET is that of the object, and a GET has no body.
        let bodiless = matches!(method, "GET" | "HEAD" | "DELETE");
        let known = objects
            .as_ref()
            .is_some_and(|objects| objects.size.is_some());
        let unknown = || self.source.at(entry.name.span(), Problem::UnknownObjects);
        if entry.prepare == Prepare::All && !known
            || entry.check == CheckName::Hash && objects.is_some() && !known
        {
            return Err(unknown().into());
        }
        let check = match entry.check {
            CheckName::None => Check::Complete,
            CheckName::Status => Check::Status,
            CheckName::Hash if method == "GET" && known => Check::Echo,
            CheckName::Hash => Check::Hash,
            CheckName::Echo => Check::Echo,
            CheckName::Open => Check::Open,
        };
        let reuse = match &entry.reuse {
            Some(written) => self.source.value(written)?,
            None => Reuse::default(),
        };
        let wanted = |method, size, check| Wanted {
            method,
            size,
            check,
            reuse,
        };
        let body = size.filter(|_| !bodiless);
        let build = |wanted| request::template(&target, self.load, &entry.headers, wanted);
        let mut template = build(wanted(method, body, check))?;
        template.statuses.clone_from(&entry.expect_status);
        template.early_data_percent = self.early(entry)?;
        if let Some(written) = &entry.early_data {
            let checked = early_data::check(&template, &target, self.load, Version::Http1);
            checked.map_err(|why| self.source.value_error(written, why))?;
        }
        self.seal(entry, &mut template)?;
        if let (Prepare::All, Some(objects)) = (entry.prepare, &objects) {
            let mut store = build(wanted("PUT", size, Check::Hash))?;
            store.objects = Some(objects.clone());
            self.prepared.push(Prepared {
                target: Target {
                    path: "/".to_owned(),
                    ..place.clone()
                },
                template: Box::new(store),
                objects: entry.objects.as_ref().map_or(1, |n| *n.get_ref() as u64),
            });
        }
        template.objects = objects;
        Ok(template)
    }

    /// Seals what an operation sends, and keeps what opens its answers.
    fn seal(&self, entry: &Entry, template: &mut Template) -> Result<(), CommandError> {
        if let Some(envelopes) = &entry.envelope {
            let fits = (1..=MAX_ENVELOPES).contains(envelopes.get_ref());
            if !fits || template.size.is_none() || entry.prepare == Prepare::All {
                let problem = Problem::Envelope;
                return Err(self.source.at(envelopes.span(), problem).into());
            }
        }
        let sealing = Sealing {
            named: match (&entry.keyring, &entry.raw_aes) {
                (Some(path), None) => Some(Named::Keyring(path)),
                (None, Some([namespace, name, path])) => {
                    Some(Named::RawAes([namespace, name, path]))
                }
                (None, None) => None,
                (Some(_), Some(_)) => {
                    let why = "a key is either a keyring or raw-aes: drop one of them";
                    return Err(self.source.value_error(&entry.name, why).into());
                }
            },
            envelopes: entry
                .envelope
                .as_ref()
                .map(|envelopes| *envelopes.get_ref()),
            size: template.size,
        };
        match envelope::seal(sealing, self.load, template) {
            Ok(_) => Ok(()),
            // Their words are of flags, which are called as the keys are.
            Err(CommandError::Envelope(why)) => {
                Err(self.source.value_error(&entry.name, why).into())
            }
            Err(error) => Err(error),
        }
    }

    /// The target with the path of an operation.
    fn with_path(&self, entry: &Entry, place: &Target) -> Result<Target, CommandError> {
        let path = match (&entry.path, place.path.as_str()) {
            (Some(path), "/") if path.starts_with('/') => path.clone(),
            (None, "/") => "/".to_owned(),
            _ => {
                let name = entry.name.get_ref().clone();
                let problem = Problem::TargetWithPath(name);
                return Err(self.source.at(entry.name.span(), problem).into());
            }
        };
        let names_tenant = |text: &&String| Text::of_tenant(text).names_tenant();
        let named = entry.headers.iter().chain([&path]).find(names_tenant);
        if let (Some(text), None) = (named, &self.tenants) {
            return Err(CommandError::NoTenants(text.clone()));
        }
        Ok(Target {
            path,
            ..place.clone()
        })
    }

    fn objects(
        &self,
        entry: &Entry,
        target: &Target,
        size: Option<Size>,
    ) -> Result<Option<Objects>, CommandError> {
        let numbered = Text::strict(&target.path)?.names_object();
        let count = match (&entry.objects, numbered) {
            (Some(count), true) => *count.get_ref(),
            (None, false) => return Ok(None),
            _ => return Err(self.source.at(entry.name.span(), Problem::Objects).into()),
        };
        let spread = match &entry.pick {
            Some(written) => self.source.value(written)?,
            None => Spread::Uniform,
        };
        let count = count.min(choice::MAX_ITEMS + 1);
        // Objects have numbers and no names, so a file has no weights for them.
        let pick = || self.source.at(entry.name.span(), Problem::Pick);
        let weights = spread.weights(count).ok_or_else(pick)?;
        let choice = Choice::new(&weights).map_err(TenantsError::from)?;
        Ok(Some(Objects {
            pick: Pick::Drawn(choice),
            size,
            seed: self.load.schedule.seed,
        }))
    }
}
