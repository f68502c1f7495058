//! Turns `[cache]`, and what each target says of look-ups, into what is cached, for how long, and who may see it.

use std::time::Duration;

use ferry::host::settings::{Secret, Span, expand};

use super::raw::{RawCache, RawTarget};
use super::targets::Target;
use super::{JobError, refuse_repeats};

const TTL_DEFAULT: Duration = Duration::from_mins(2);
const TTL_MIN: Duration = Duration::from_secs(1);
const TTL_MAX: Duration = Duration::from_hours(30 * 24);
const ROWS_DEFAULT: usize = 10_000;
/// What one commit writes is held in memory as keys.
const ROWS_MAX: usize = 1_000_000;
const SCHEMES: [&str; 2] = ["redis://", "rediss://"];

/// Where rows are cached, and for how long.
#[derive(Debug, Clone)]
pub(crate) struct CacheSettings {
    /// Address of Redis; may hold a password.
    pub(crate) url: Secret,
    /// After this time an entry is gone.
    pub(crate) ttl: Duration,
    /// Most rows of one commit that are written.
    pub(crate) max_rows: usize,
}

/// Whether the rows of a target are cached.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub(crate) enum CachePolicy {
    /// They are not.
    #[default]
    Off,
    /// They are, by the target's key.
    On,
}

/// What `ferry-client serve` shows of a target.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub(crate) enum ServePolicy {
    /// Nothing.
    Hidden,
    /// These columns.
    Columns(Vec<String>),
    /// The columns that the job loads.
    #[default]
    Loaded,
}

/// Reads `[cache]`, without which no target can be cached.
pub(super) fn cache_settings(
    raw: Option<RawCache>,
    targets: &[Target],
) -> Result<Option<CacheSettings>, JobError> {
    let Some(raw) = raw else {
        return match targets.iter().find(|target| target.cache == CachePolicy::On) {
            None => Ok(None),
            Some(target) => Err(JobError::Invalid(format!(
                "target {}: cache = true needs a [cache] with the url of Redis",
                target.table
            ))),
        };
    };
    let invalid = |text: String| Err(JobError::Invalid(text));
    let Some(url) = raw.url.filter(|url| !url.is_empty()) else {
        return invalid(
            "cache.url is missing: set it, such as \"${REDIS_URL}\", or leave [cache] out"
                .to_owned(),
        );
    };
    let url = expand(&url, "cache.url")?;
    if !SCHEMES.iter().any(|scheme| url.expose().starts_with(scheme)) {
        return invalid("cache.url must begin with redis://, or with rediss:// for TLS".to_owned());
    }
    let ttl = raw.ttl.map_or(TTL_DEFAULT, |Span(ttl)| ttl);
    if !(TTL_MIN..=TTL_MAX).contains(&ttl) {
        return invalid("cache.ttl must be 1s to 30d".to_owned());
    }
    let max_rows = raw.max_rows.unwrap_or(ROWS_DEFAULT);
    if !(1..=ROWS_MAX).contains(&max_rows) {
        return invalid(format!("cache.max_rows must be 1 to {ROWS_MAX}"));
    }
    Ok(Some(CacheSettings { url, ttl, max_rows }))
}

/// Reads whether a target is cached; an error does not name the target.
pub(super) fn cache_policy(raw: &RawTarget) -> Result<CachePolicy, String> {
    if !raw.cache {
        return Ok(CachePolicy::Off);
    }
    if raw.key.is_empty() {
        return Err("cache = true needs key, by which rows are found again".to_owned());
    }
    Ok(CachePolicy::On)
}

/// Reads what is shown of a target; an error does not name the target.
pub(super) fn serve_policy(raw: &RawTarget) -> Result<ServePolicy, String> {
    let Some(columns) = &raw.serve_columns else {
        let is_hidden = raw.serve == Some(false);
        return Ok(if is_hidden { ServePolicy::Hidden } else { ServePolicy::Loaded });
    };
    if raw.serve == Some(false) {
        return Err("serve_columns and serve = false exclude each other: keep one".to_owned());
    }
    if columns.is_empty() {
        return Err("serve_columns is empty: leave it out, or set serve = false".to_owned());
    }
    refuse_repeats("serve_columns", columns.iter()).map_err(|error| error.to_string())?;
    // Who sees a row is told its key, by which it can be asked for.
    if let Some(name) = raw.key.iter().find(|name| !columns.contains(name)) {
        return Err(format!("key \"{name}\" is not in serve_columns: add it there"));
    }
    Ok(ServePolicy::Columns(columns.clone()))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::job::Job;
    use crate::job::tests::{SMALL, job, parse, refusal};

    const REDIS: &str = "[cache]\nurl = 'redis://127.0.0.1:6379/0'\n";

    fn cached(cache: &str, target: &str) -> Result<Job, JobError> {
        Job::validate(parse(&format!(
            "{SMALL}{cache}\n[[target]]\ntable = 'public.users'\n{target}"
        )))
    }

    #[track_caller]
    fn assert_refused(cache: &str, target: &str, hint: &str) {
        let error = cached(cache, target).expect_err("refused").to_string();
        assert!(error.contains(hint), "{error}");
    }

    #[test]
    fn defaults_fill_what_the_file_leaves_out() {
        let job = cached(REDIS, "key = ['uid']\ncache = true").expect("a valid job");
        let cache = job.cache.expect("a cache");
        assert_eq!((cache.ttl, cache.max_rows), (Duration::from_mins(2), 10_000));
        assert_eq!(job.targets[0].cache, CachePolicy::On);
        assert_eq!(job.targets[0].serve, ServePolicy::Loaded);
        let plain = cached("", "").expect("a valid job");
        assert!(plain.cache.is_none());
        assert_eq!(plain.targets[0].cache, CachePolicy::Off);
    }

    #[test]
    fn the_address_is_never_printed() {
        let cache = "[cache]\nurl = 'redis://:hunter2@cache:6379'";
        let job = cached(cache, "").expect("a valid job");
        assert!(!format!("{job:?}").contains("hunter2"));
        let error = cached("[cache]\nurl = 'http://:hunter2@cache'", "").expect_err("refused");
        assert!(!error.to_string().contains("hunter2"), "{error}");
        assert!(error.to_string().contains("redis://"), "{error}");
    }

    #[test]
    fn bounds_hold() {
        assert_refused("[cache]\nttl = '1m'", "", "cache.url is missing");
        for ttl in ["0s", "999ms", "31d"] {
            assert_refused(&format!("{REDIS}ttl = '{ttl}'"), "", "cache.ttl must be 1s to 30d");
        }
        for rows in [0, 1_000_001] {
            assert_refused(&format!("{REDIS}max_rows = {rows}"), "", "cache.max_rows must be 1");
        }
        let most = cached(&format!("{REDIS}ttl = '30d'\nmax_rows = 1000000"), "");
        assert!(most.is_ok());
    }

    #[test]
    fn a_cached_target_needs_a_cache_and_a_key() {
        let error = refusal("cache = true\nkey = ['uid']");
        assert_eq!(
            error,
            "target public.users: cache = true needs a [cache] with the url of Redis"
        );
        assert_refused(REDIS, "cache = true", "cache = true needs key");
    }

    #[test]
    fn a_target_says_which_columns_are_shown() {
        let serve = |keys: &str| job(keys).expect("a valid job").targets[0].serve.clone();
        assert_eq!(serve("serve = false"), ServePolicy::Hidden);
        assert_eq!(serve("serve = true"), ServePolicy::Loaded);
        let columns = vec!["uid".to_owned(), "city".to_owned()];
        let keys = "key = ['uid']\nserve_columns = ['uid', 'city']";
        assert_eq!(serve(keys), ServePolicy::Columns(columns));
        for (keys, hint) in [
            ("serve = false\nserve_columns = ['a']", "exclude each other"),
            ("serve_columns = []", "serve_columns is empty"),
            ("serve_columns = ['a', 'a']", "serve_columns names \"a\" twice"),
            ("key = ['uid']\nserve_columns = ['a']", "key \"uid\" is not in serve_columns"),
        ] {
            let error = refusal(keys);
            assert!(error.contains(hint), "{error}");
        }
    }
}
