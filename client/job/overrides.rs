//! Lays flags and the environment over a job file.

use std::path::PathBuf;

use ferry::host::settings::{ByteSize, Span};

use super::JobError;
use super::raw::{RawColumn, RawJob, RawLimit, RawLoad, RawTarget};

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
    /// Sets `create` of all targets.
    pub(crate) create: bool,
    /// Over the only target.
    pub(crate) target: TargetOverrides,
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
    /// Over `[load]`.
    pub(crate) load: LoadOverrides,
}

/// Settings of the only target; of several, none could be meant.
#[derive(Default)]
pub(crate) struct TargetOverrides {
    /// Over `table`.
    pub(crate) table: Option<String>,
    /// Over `mode`.
    pub(crate) mode: Option<String>,
    /// Over `key`, unless empty.
    pub(crate) key: Vec<String>,
    /// Over `update`, unless empty.
    pub(crate) update: Vec<String>,
    /// Over `only_if_newer`.
    pub(crate) only_if_newer: Option<String>,
    /// Sets `keep_old`.
    pub(crate) keep_old: bool,
}

/// Settings of `[load]`.
#[derive(Default)]
pub(crate) struct LoadOverrides {
    /// Over `load.commit_bytes`.
    pub(crate) commit_bytes: Option<ByteSize>,
    /// Over `load.commit_interval`.
    pub(crate) commit_interval: Option<Span>,
    /// Over `load.split_bytes`.
    pub(crate) split_bytes: Option<ByteSize>,
    /// Over `load.max_rejects`.
    pub(crate) max_rejects: Option<String>,
    /// Over `load.workers`.
    pub(crate) workers: Option<usize>,
    /// Over `load.lease`.
    pub(crate) lease: Option<Span>,
    /// Over `load.retries`.
    pub(crate) retries: Option<usize>,
    /// Over `load.drift`.
    pub(crate) drift: Option<String>,
    /// Over `load.rewritten`.
    pub(crate) rewritten: Option<String>,
}

impl TargetOverrides {
    /// The first flag that is set, and the key that it lays over.
    fn first_flag(&self) -> Option<(&'static str, &'static str)> {
        let flags = [
            (self.table.is_some(), "--table", "table"),
            (self.mode.is_some(), "--mode", "mode"),
            (!self.key.is_empty(), "--key", "key"),
            (!self.update.is_empty(), "--update", "update"),
            (self.only_if_newer.is_some(), "--only-if-newer", "only_if_newer"),
            (self.keep_old, "--keep-old", "keep_old"),
        ];
        flags.into_iter().find(|(is_set, ..)| *is_set).map(|(_, flag, key)| (flag, key))
    }
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
        self.load.overlay(flags.load);
        for name in flags.pii {
            self.overlay_pii(name);
        }
        self.overlay_target(flags.target)?;
        if flags.create {
            self.create_targets();
        }
        Ok(())
    }

    fn overlay_target(&mut self, flags: TargetOverrides) -> Result<(), JobError> {
        let Some((flag, key)) = flags.first_flag() else {
            return Ok(());
        };
        if self.target.len() > 1 {
            let text = format!(
                "{flag} cannot be used with several [[target]]: set {key} of each in the job file"
            );
            return Err(JobError::Invalid(text));
        }
        let target = self.first_target();
        replace(&mut target.table, flags.table);
        replace(&mut target.mode, flags.mode);
        if !flags.key.is_empty() {
            target.key = flags.key;
        }
        if !flags.update.is_empty() {
            target.update = Some(flags.update);
        }
        replace(&mut target.only_if_newer, flags.only_if_newer);
        target.keep_old |= flags.keep_old;
        Ok(())
    }

    fn create_targets(&mut self) {
        self.first_target();
        for target in &mut self.target {
            target.create = true;
        }
    }

    /// The first target; a job of flags alone gets one.
    fn first_target(&mut self) -> &mut RawTarget {
        if self.target.is_empty() {
            self.target.push(RawTarget::default());
        }
        &mut self.target[0]
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

impl RawLoad {
    fn overlay(&mut self, flags: LoadOverrides) {
        replace(&mut self.commit_bytes, flags.commit_bytes);
        replace(&mut self.commit_interval, flags.commit_interval);
        replace(&mut self.split_bytes, flags.split_bytes);
        replace(&mut self.max_rejects, flags.max_rejects.map(RawLimit::Text));
        replace(&mut self.workers, flags.workers);
        replace(&mut self.lease, flags.lease);
        replace(&mut self.retries, flags.retries);
        replace(&mut self.drift, flags.drift);
        replace(&mut self.rewritten, flags.rewritten);
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
    use crate::job::{DriftPolicy, Form, Job, Mode, Pii, RejectLimit, RewrittenPolicy};

    fn overlaid(text: &str, flags: Overrides) -> Result<Job, JobError> {
        let mut raw = parse(text);
        raw.overlay(flags)?;
        Job::validate(raw)
    }

    fn table(name: &str) -> TargetOverrides {
        TargetOverrides { table: Some(name.to_owned()), ..TargetOverrides::default() }
    }

    #[test]
    fn flags_alone_will_do() {
        let flags = Overrides {
            database_url: Some("postgres://localhost/x".to_owned()),
            source_url: Some("http://127.0.0.1:7443".to_owned()),
            dataset: Some("customers".to_owned()),
            target: table("users"),
            load: LoadOverrides { max_rejects: Some("3".to_owned()), ..LoadOverrides::default() },
            ..Overrides::default()
        };
        let job = overlaid("", flags).expect("a valid job");
        assert_eq!(job.name, "customers:users");
        assert_eq!(job.load.max_rejects, RejectLimit::Count(3));
    }

    #[test]
    fn a_table_replaces_the_only_one() {
        let one = format!("{SMALL}[[target]]\ntable = 'users'\n");
        let flags = Overrides { target: table("crm.people"), ..Overrides::default() };
        let job = overlaid(&one, flags).expect("a valid job");
        assert_eq!(job.targets[0].table.to_string(), "crm.people");
    }

    #[test]
    fn flags_of_a_target_go_over_the_only_one() {
        let one = format!(
            "{SMALL}[[target]]\ntable = 'users'\nmode = 'append'\nkey = ['id']\ncreate = true\n"
        );
        let target = TargetOverrides {
            mode: Some("upsert".to_owned()),
            key: vec!["uid".to_owned()],
            update: vec!["email".to_owned(), "at".to_owned()],
            only_if_newer: Some("at".to_owned()),
            ..TargetOverrides::default()
        };
        let job = overlaid(&one, Overrides { target, ..Overrides::default() });
        let target = job.expect("a valid job").targets.remove(0);
        assert_eq!((target.key, target.create), (vec!["uid".to_owned()], true));
        let update = vec!["email".to_owned(), "at".to_owned()];
        assert_eq!(target.mode, Mode::Upsert { update, only_if_newer: Some("at".to_owned()) });
        let target = TargetOverrides {
            mode: Some("replace".to_owned()),
            keep_old: true,
            ..TargetOverrides::default()
        };
        let job = overlaid(&one, Overrides { target, ..Overrides::default() });
        let target = job.expect("a valid job").targets.remove(0);
        assert_eq!(target.mode, Mode::Replace { keep_old: true });
    }

    #[test]
    fn of_several_targets_no_flag_says_which_is_meant() {
        let several = format!("{SMALL}target = [{{ table = 'a' }}, {{ table = 'b' }}]");
        let names = || vec!["uid".to_owned()];
        let word = || Some("upsert".to_owned());
        let none = TargetOverrides::default;
        let flags = [
            ("--table", TargetOverrides { table: word(), ..none() }),
            ("--mode", TargetOverrides { mode: word(), ..none() }),
            ("--key", TargetOverrides { key: names(), ..none() }),
            ("--update", TargetOverrides { update: names(), ..none() }),
            ("--only-if-newer", TargetOverrides { only_if_newer: word(), ..none() }),
            ("--keep-old", TargetOverrides { keep_old: true, ..none() }),
        ];
        for (flag, target) in flags {
            let flags = Overrides { target, ..Overrides::default() };
            let error = overlaid(&several, flags).expect_err("two targets").to_string();
            let expected = format!("{flag} cannot be used with several [[target]]: set ");
            assert!(error.starts_with(&expected), "{error}");
        }
    }

    #[test]
    fn flags_of_the_load_go_over_the_file() {
        let text = format!(
            "{SMALL}target = [{{ table = 'a' }}]\n\
             load = {{ workers = 2, lease = '30s', retries = 1, commit_bytes = '1MiB' }}"
        );
        let load = LoadOverrides {
            commit_bytes: Some(ByteSize(2 << 20)),
            workers: Some(4),
            retries: Some(0),
            drift: Some("evolve".to_owned()),
            rewritten: Some("ignore".to_owned()),
            ..LoadOverrides::default()
        };
        let job = overlaid(&text, Overrides { load, ..Overrides::default() });
        let load = job.expect("a valid job").load;
        assert_eq!((load.commit_bytes, load.workers, load.retries), (2 << 20, 4, 0));
        assert_eq!(load.lease.as_secs(), 30, "no flag says otherwise");
        assert_eq!((load.drift, load.rewritten), (DriftPolicy::Evolve, RewrittenPolicy::Ignore));
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
