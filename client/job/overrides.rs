//! Lays flags and the environment over a job file.

use std::path::PathBuf;

use ferry::host::settings::{ByteSize, Span};

use super::JobError;
use super::raw::{RawColumn, RawJob, RawLimit, RawTarget};

/// Settings that flags and the environment lay over the file.
#[derive(Default)]
pub(crate) struct Overrides {
    /// Over `name`.
    pub(crate) name: Option<String>,
    /// Over `database.url`.
    pub(crate) database_url: Option<String>,
    /// Over `source.url`.
    pub(crate) source_url: Option<String>,
    /// Over `source.dataset`.
    pub(crate) dataset: Option<String>,
    /// Over `source.columns`, unless empty.
    pub(crate) columns: Vec<String>,
    /// Over `table` of the only target.
    pub(crate) table: Option<String>,
    /// Sets `create` of all targets.
    pub(crate) create: bool,
    /// Columns that are hashed, whatever the file says of them.
    pub(crate) pii: Vec<String>,
    /// Over `pii.key_file`.
    pub(crate) pii_key_file: Option<PathBuf>,
    /// Over `source.token_file`.
    pub(crate) token_file: Option<PathBuf>,
    /// Over `source.ca_file`.
    pub(crate) ca_file: Option<PathBuf>,
    /// Over `source.cert_file`.
    pub(crate) cert_file: Option<PathBuf>,
    /// Over `source.key_file`.
    pub(crate) client_key_file: Option<PathBuf>,
    /// Over `load.commit_bytes`.
    pub(crate) commit_bytes: Option<ByteSize>,
    /// Over `load.commit_interval`.
    pub(crate) commit_interval: Option<Span>,
    /// Over `load.split_bytes`.
    pub(crate) split_bytes: Option<ByteSize>,
    /// Over `load.max_rejects`.
    pub(crate) max_rejects: Option<String>,
}

impl RawJob {
    /// Lays flags over the file; what a flag does not say stays.
    pub(super) fn overlay(&mut self, flags: Overrides) -> Result<(), JobError> {
        replace(&mut self.name, flags.name);
        replace(&mut self.database.url, flags.database_url);
        replace(&mut self.source.url, flags.source_url);
        replace(&mut self.source.dataset, flags.dataset);
        if !flags.columns.is_empty() {
            self.source.columns = flags.columns;
        }
        if flags.token_file.is_some() {
            self.source.token = None;
        }
        replace(&mut self.source.token_file, flags.token_file);
        replace(&mut self.source.ca_file, flags.ca_file);
        replace(&mut self.source.cert_file, flags.cert_file);
        replace(&mut self.source.key_file, flags.client_key_file);
        replace(&mut self.pii.key_file, flags.pii_key_file);
        replace(&mut self.load.commit_bytes, flags.commit_bytes);
        replace(&mut self.load.commit_interval, flags.commit_interval);
        replace(&mut self.load.split_bytes, flags.split_bytes);
        replace(&mut self.load.max_rejects, flags.max_rejects.map(RawLimit::Text));
        for name in flags.pii {
            self.overlay_pii(name);
        }
        self.overlay_targets(flags.table, flags.create)
    }

    fn overlay_targets(&mut self, table: Option<String>, create: bool) -> Result<(), JobError> {
        if table.is_some() && self.target.len() > 1 {
            let text =
                "--table cannot be used with several [[target]]: name their tables in the job file";
            return Err(JobError::Invalid(text.to_owned()));
        }
        if self.target.is_empty() && (table.is_some() || create) {
            self.target.push(RawTarget::default());
        }
        for target in &mut self.target {
            target.create |= create;
        }
        if let Some(target) = self.target.first_mut() {
            replace(&mut target.table, table);
        }
        Ok(())
    }

    fn overlay_pii(&mut self, name: String) {
        let pii = Some("hash".to_owned());
        match self.column.iter_mut().find(|column| column.name == name) {
            Some(column) => {
                column.pii = pii;
                // It belongs to `mask`, which the flag replaces.
                column.keep_last = None;
            }
            None => self.column.push(RawColumn { name, pii, ..RawColumn::default() }),
        }
    }
}

fn replace<T>(setting: &mut Option<T>, flag: Option<T>) {
    if flag.is_some() {
        *setting = flag;
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::job::tests::{SMALL, parse};
    use crate::job::{Form, Job, Pii, RejectLimit};

    fn overlaid(text: &str, flags: Overrides) -> Result<Job, JobError> {
        let mut raw = parse(text);
        raw.overlay(flags)?;
        Job::validate(raw)
    }

    #[test]
    fn flags_alone_will_do() {
        let flags = Overrides {
            database_url: Some("postgres://localhost/x".to_owned()),
            source_url: Some("http://127.0.0.1:7443".to_owned()),
            dataset: Some("customers".to_owned()),
            table: Some("users".to_owned()),
            max_rejects: Some("3".to_owned()),
            ..Overrides::default()
        };
        let job = overlaid("", flags).expect("a valid job");
        assert_eq!(job.name, "customers:users");
        assert_eq!(job.load.max_rejects, RejectLimit::Count(3));
    }

    #[test]
    fn a_table_replaces_the_only_one() {
        let flags = || Overrides { table: Some("crm.people".to_owned()), ..Overrides::default() };
        let one = format!("{SMALL}[[target]]\ntable = 'users'\n");
        let job = overlaid(&one, flags()).expect("a valid job");
        assert_eq!(job.targets[0].table.to_string(), "crm.people");
        let several = format!("{one}[[target]]\ntable = 'addresses'\n");
        let error = overlaid(&several, flags()).expect_err("two targets").to_string();
        assert!(error.starts_with("--table cannot be used with several [[target]]"), "{error}");
    }

    #[test]
    fn create_is_for_all_targets() {
        let flags = Overrides { create: true, ..Overrides::default() };
        let tables = "target = [{ table = 'a' }, { table = 'b' }]";
        let text = format!("{SMALL}{tables}");
        let job = overlaid(&text, flags).expect("a valid job");
        assert!(job.targets.iter().all(|target| target.create));
        assert_eq!(job.targets.len(), 2);
    }

    #[test]
    fn the_flag_for_personal_data_means_hash() {
        let names = ["phone", "email", "iban"].map(str::to_owned);
        let flags = Overrides {
            pii: names.to_vec(),
            pii_key_file: Some(PathBuf::from("pii.key")),
            ..Overrides::default()
        };
        let columns = "[[target]]\ntable = 'users'\n\
                       [[column]]\nname = 'phone'\npii = 'mask'\nkeep_last = 2\n\
                       [[column]]\nname = 'email'\npii = 'salted'\ndomain = 'person'\nform = 'hex'";
        let text = format!("{SMALL}{columns}");
        let job = overlaid(&text, flags).expect("a valid job");
        let pii: Vec<_> = job.columns.into_iter().filter_map(|column| column.pii).collect();
        let hash = |domain: &str, form| Pii::Hash { domain: domain.to_owned(), form };
        let expected = [hash("phone", None), hash("person", Some(Form::Hex)), hash("iban", None)];
        assert_eq!(pii, expected);
    }
}
