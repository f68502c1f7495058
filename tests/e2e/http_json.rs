//! Records of a web API arrive as rows, each once: in all styles of paging, and however badly the API behaves.

mod ceilings;
mod incremental;
mod interrupted;
mod paging;
mod private;
mod proxied;
mod records;
mod secrets;
mod spool;
mod troubles;
mod watermark;

use std::fs;
use std::path::PathBuf;
use std::process::Command;

use serde_json::{Value, json};

use crate::api::{Api, Asked, Paging};
use crate::hosts::{Outcome, Process, Server, Source, client, finish, write_job};
use crate::postgres::Database;

const TYPES: &str = "[dataset.columns]\nid = \"bigint\"\nname = \"text\"\nupdated_at = \"timestamptz\"\n\
    address_coordinates_lat = \"double precision\"\ntags = \"jsonb\"\n";
/// Mistakes pass within a second or two.
const HTTP: &str = "[dataset.http]\nrequests_per_second = 1000.0\ntimeout = \"10s\"\nretries = 4\n";
const APPEND: &str = "[[target]]\ntable = \"people\"\ncreate = true\n";
const UPSERT: &str =
    "[[target]]\ntable = \"people\"\ncreate = true\nmode = \"upsert\"\nkey = [\"id\"]\n";
/// Variables that lead to a proxy, or around one.
const PROXIES: [&str; 8] = [
    "ALL_PROXY",
    "all_proxy",
    "HTTPS_PROXY",
    "https_proxy",
    "HTTP_PROXY",
    "http_proxy",
    "NO_PROXY",
    "no_proxy",
];
/// What a table must hold of records, by PostgreSQL's own functions.
const FLATTENED: &str = "SELECT (r ->> 'id')::bigint AS id, r ->> 'name' AS name, \
    r #>> '{address,city}' AS address_city, \
    (r #>> '{address,coordinates,lat}')::double precision AS address_coordinates_lat, \
    r -> 'tags' AS tags, (r ->> 'updated_at')::timestamptz AS updated_at \
    FROM jsonb_array_elements($json$";
/// The same columns of the table.
const STORED: &str = "SELECT id, name, address_city, address_coordinates_lat, tags, updated_at \
    FROM people";

/// An API, both hosts, and the database.
struct Fetching {
    api: Api,
    source: Source,
    server: Server,
    database: Database,
}

impl Fetching {
    /// A dataset `people` of the API, with further keys and tables of settings.
    fn new(api: Api, keys: &str, tables: &str) -> Self {
        let source = Source::new(&settings(&api, keys, tables));
        let server = start_at(&source, "127.0.0.1:0");
        Self { api, source, server, database: Database::create() }
    }

    /// The usual dataset of so many records in pages of this size.
    fn of(paging: Paging, size: usize, count: u64) -> Self {
        Self::new(Api::start(paging, size, people(1..=count)), "", HTTP)
    }

    /// Starts the source host anew, on a port of its own, with other settings.
    fn mend(&mut self, keys: &str, tables: &str) {
        self.source.write("server.toml", settings(&self.api, keys, tables));
        self.server = start_at(&self.source, "127.0.0.1:0");
    }

    /// Settings with further keys for the API at another origin.
    fn settings_at(&self, origin: &str, keys: &str) -> String {
        settings(&self.api, keys, HTTP).replace(&self.api.origin(), origin)
    }

    /// Starts the source host anew, for the API at another origin, with these variables.
    fn restart_at(&mut self, origin: &str, keys: &str, variables: &[(&str, &str)]) {
        self.source.write("server.toml", self.settings_at(origin, keys));
        let mut command = self.source.command();
        without_proxies(with_secrets(command.args(["--listen", "127.0.0.1:0"])));
        command.envs(variables.iter().copied());
        self.server = Server::start(&mut command);
    }

    /// Writes the job with these targets and limits.
    fn job(&self, rules: &str) -> PathBuf {
        let (database, server) = (&self.database.url, self.server.url());
        let text = format!(
            "name = \"people\"\n[database]\nurl = \"{database}\"\n\
             [source]\nurl = \"{server}\"\ndataset = \"people\"\n{rules}"
        );
        write_job(&self.source.path(""), &text)
    }

    fn run(&self, rules: &str) -> Outcome {
        self.run_with(&[], rules)
    }

    fn run_with(&self, flags: &[&str], rules: &str) -> Outcome {
        finish(client(["run", "--json"]).args(flags).arg(self.job(rules)))
    }

    fn spawn(&self, rules: &str) -> Process {
        Process::spawn(client(["run", "--json"]).arg(self.job(rules)))
    }

    /// Checks that the table holds these records, each once.
    #[track_caller]
    fn assert_holds(&self, records: &[Value]) {
        let expected = format!("{FLATTENED}{}$json$) AS r", json!(records));
        self.database.assert_same_rows(STORED, &expected);
    }

    /// What was asked for rows since this was called last. The first page alone
    /// may have been asked for before, for the names of the columns.
    fn asked(&self) -> Vec<Asked> {
        let mut asked = self.api.take_requests();
        if asked.len() > 1 && asked[0].query == asked[1].query {
            asked.remove(0);
        }
        asked
    }

    /// Files of the spool, in order.
    fn spooled(&self) -> Vec<PathBuf> {
        let folders = fs::read_dir(self.source.path(".ferry-spool")).unwrap();
        let files = folders.flat_map(|folder| fs::read_dir(folder.unwrap().path()).unwrap());
        let mut paths: Vec<PathBuf> = files.map(|file| file.unwrap().path()).collect();
        paths.sort();
        paths
    }

    /// Pages that the ledger knows: number, rows of it that are loaded.
    fn pages(&self) -> Vec<Vec<String>> {
        self.database.rows(
            "SELECT substr(name, 1, 11), sum(loaded_rows) FROM ferry.file \
             JOIN ferry.split USING (file_id) WHERE is_page GROUP BY file_id, name ORDER BY name",
        )
    }
}

/// Settings of the dataset `people`.
fn settings(api: &Api, keys: &str, tables: &str) -> String {
    let records = match api.paging().records() {
        "" => String::new(),
        pointer => format!("records = \"{pointer}\"\n"),
    };
    // Pages of one record a line have no pointer to them.
    let records = if keys.contains("ndjson") { String::new() } else { records };
    // A test that wants other pages says so.
    let pages = if tables.contains("[dataset.pages]") { String::new() } else { api.pages() };
    format!(
        "[[dataset]]\nname = \"people\"\nkind = \"http_json\"\nurl = \"{}\"\n{records}{keys}\
         {TYPES}{pages}{tables}",
        api.url()
    )
}

fn start_at(source: &Source, listen: &str) -> Server {
    Server::start(with_secrets(source.command().args(["--listen", listen])))
}

/// What settings may have from the environment.
fn with_secrets(command: &mut Command) -> &mut Command {
    command.env("API_TOKEN", secrets::TOKEN).env("API_REGION", secrets::REGION)
}

/// Without whatever proxies the machine has.
fn without_proxies(command: &mut Command) -> &mut Command {
    for name in PROXIES {
        command.env_remove(name);
    }
    command
}

/// Somebody with everything that a record can have.
fn person(id: u64) -> Value {
    let latitude = f64::from(u32::try_from(id).unwrap()) / 8.0;
    json!({
        "id": id,
        "name": format!("Zoë \"{id}\"\n\u{1f600}"),
        "address": { "city": format!("City {}", id % 3), "coordinates": { "lat": latitude } },
        "tags": ["a", { "n": id }, null],
        "updated_at": format!("2024-01-{:02}T{:02}:00:00Z", id / 24 % 28 + 1, id % 24),
    })
}

fn people(ids: impl Iterator<Item = u64>) -> Vec<Value> {
    ids.map(person).collect()
}

/// Pages that could not be fetched, each with its reason.
fn problems(summary: &Value) -> Vec<(String, String)> {
    let word = |problem: &Value, name: &str| problem[name].as_str().unwrap().to_owned();
    let told = summary["problems"].as_array().unwrap().iter();
    told.map(|problem| (word(problem, "file"), word(problem, "reason"))).collect()
}

/// One such page.
fn one(page: &str) -> Vec<(String, String)> {
    vec![(page.to_owned(), "FETCH_FAILED".to_owned())]
}
