//! Takes people from an API into two tables and a cache, and looks one of them up.
//!
//! Invariant: whatever was started is stopped, and its folder removed, unless
//! the demo succeeds with `--keep`.

mod api;
mod ask;
mod data;

use std::time::{Duration, Instant};

use ferry::host::shutdown::Shutdown;
use serde_json::Value;
use sqlx::PgConnection;

use super::cluster::Cluster;
use super::folder::{Folder, Hosts, random_hex};
use super::processes::{Programs, Service, assignments};
use super::redis::Redis;
use super::{DemoError, show, start_cluster};
use crate::output::{heading, line};

pub(crate) use api::serve_api;

const SERVER_TOML: &str = include_str!("../../../examples/people/server.toml");
const JOB_TOML: &str = include_str!("../../../examples/people/job.toml");
/// Where the API is in the example; the demo's own has a port of its own.
const EXAMPLE_API: &str = "http://127.0.0.1:8765";
const SERVE_LISTENING: &str = "ferry-client serving on ";
const TOKEN_VARIABLE: &str = "PEOPLE_API_TOKEN";
const TOKEN_BYTES: usize = 16;
/// How long a record may take until it is found where it should be.
const LOOKUP_PATIENCE: Duration = Duration::from_secs(10);
const POLL: Duration = Duration::from_millis(100);

/// Fetches people from a stand-in for an API, and shows where they went.
pub(super) async fn run(keep: bool, mut shutdown: Shutdown) -> Result<(), DemoError> {
    let programs = Programs::find()?;
    let token = random_hex(TOKEN_BYTES)
        .map_err(|source| DemoError::Folder { path: std::env::temp_dir(), source })?;
    heading("1. An API, two hosts, a database and a cache on one machine");
    // Dropped in reverse: what uses something goes before it, and the folder last.
    let folder =
        Folder::create(&Hosts { server: SERVER_TOML.to_owned(), job: JOB_TOML.to_owned() })?;
    let cluster = start_cluster(&folder, &shutdown)?;
    let redis = Redis::start(&folder.redis(), &shutdown).await?;
    let api = start_api(&programs, &folder, &token, &shutdown).await?;
    point_to(&folder, api.url())?;
    let mut conn = show::connect(&cluster).await?;
    line(format!("destination  PostgreSQL on 127.0.0.1:{}, {}", cluster.port(), redis.url()));
    line(format!("API          {} made-up people at {}{}", data::PEOPLE, api.url(), api::API_PATH));
    let environment = [(TOKEN_VARIABLE, token.as_str())];
    let server = programs.start_server(&folder, &environment, &shutdown).await?;
    let mut trip = Trip { server, api, redis, cluster, folder, programs, token };

    heading("2. The trip: pages of JSON into two tables, personal data as pseudonyms");
    trip.make(&mut shutdown).await?;
    show_people(&mut conn).await?;
    trip.expect_people(&mut conn).await?;

    heading("3. Served: looked up in Redis, then in PostgreSQL");
    let page = trip.serve(&shutdown).await?;
    let uid = show::moving_user(&mut conn).await?;
    show_lookup(&page, &uid, "cache").await?;
    line("");
    line("Redis is stopped: nobody notices but by the words found_in");
    trip.redis.stop();
    show_lookup(&page, &uid, "database").await?;
    trip.redis.launch(&shutdown).await?;
    line("Redis is started again, with nothing in it");

    heading("4. One of them moves: one page of the API has changed, and is fetched anew");
    ask::post(trip.api.url(), api::MOVE_PATH, &trip.token).await?;
    trip.make(&mut shutdown).await?;
    trip.expect_people(&mut conn).await?;
    show_lookup(&page, &uid, "cache").await?;

    drop(conn);
    if keep {
        trip.leave_running(page);
    } else {
        line("");
        line(
            "Stopping, and removing what the demo made. Open the page with: scripts/demo people --keep",
        );
    }
    Ok(())
}

async fn start_api(
    programs: &Programs,
    folder: &Folder,
    token: &str,
    shutdown: &Shutdown,
) -> Result<Service, DemoError> {
    let mut command = programs.client_command();
    command.args(["demo", "api", "--listen", "127.0.0.1:0"]).env(TOKEN_VARIABLE, token);
    let log_path = folder.source().join("api.log");
    Service::start(command, api::API_LISTENING, &log_path, shutdown).await
}

/// Writes where the API is into the settings of the source host.
fn point_to(folder: &Folder, api_url: &str) -> Result<(), DemoError> {
    let path = folder.source().join("server.toml");
    let text = SERVER_TOML.replace(EXAMPLE_API, api_url);
    std::fs::write(&path, text).map_err(|source| DemoError::Folder { path, source })
}

/// Everything that takes part.
struct Trip {
    server: Service,
    api: Service,
    redis: Redis,
    cluster: Cluster,
    folder: Folder,
    programs: Programs,
    token: String,
}

impl Trip {
    async fn make(&self, shutdown: &mut Shutdown) -> Result<(), DemoError> {
        let (database_url, redis_url) = (self.cluster.url(show::DATABASE), self.redis.url());
        let environment =
            [("DATABASE_URL", database_url.as_str()), ("REDIS_URL", redis_url.as_str())];
        let url = self.server.url();
        self.programs.run_client(&self.folder, url, &environment, shutdown).await
    }

    /// Starts the page and the API of the loaded tables.
    async fn serve(&self, shutdown: &Shutdown) -> Result<Service, DemoError> {
        self.point_job_to_server()?;
        let (database_url, redis_url) = (self.cluster.url(show::DATABASE), self.redis.url());
        let environment =
            [("DATABASE_URL", database_url.as_str()), ("REDIS_URL", redis_url.as_str())];
        let arguments = ["serve", "job.toml", "--listen", "127.0.0.1:0"];
        line(format!(
            "destination$ {}ferry-client {}",
            assignments(&environment),
            arguments.join(" ")
        ));
        let mut command = self.programs.client_command();
        command.args(arguments).current_dir(self.folder.destination()).envs(environment);
        let log_path = self.folder.destination().join("serve.log");
        let page = Service::start(command, SERVE_LISTENING, &log_path, shutdown).await?;
        line(format!("{SERVE_LISTENING}{}", page.url()));
        Ok(page)
    }

    /// Runs that are started on the page have no flags: the job must name the server.
    fn point_job_to_server(&self) -> Result<(), DemoError> {
        let path = self.folder.destination().join("job.toml");
        let text = JOB_TOML.replace("http://127.0.0.1:7443", self.server.url());
        std::fs::write(&path, text).map_err(|source| DemoError::Folder { path, source })
    }

    /// Checks that everybody is in both tables or in quarantine.
    async fn expect_people(&self, conn: &mut PgConnection) -> Result<(), DemoError> {
        let expected = data::PEOPLE as u64 - data::REFUSED - data::REPEATED;
        for table in ["public.users", "public.users_address"] {
            let found = show::count(conn, table).await?;
            if u64::try_from(found) != Ok(expected) {
                return Err(DemoError::RowsDiffer { table, found, expected });
            }
        }
        line("");
        line(format!(
            "{} people in the API = {expected} in both tables + {} in quarantine + {} who came twice",
            data::PEOPLE,
            data::REFUSED,
            data::REPEATED
        ));
        Ok(())
    }

    fn leave_running(self, page: Service) {
        let Self { server, api, redis, cluster, folder, programs: _, token: _ } = self;
        let url = page.url().to_owned();
        let database_url = cluster.url(show::DATABASE);
        let redis_url = redis.url();
        let processes = [
            page.leave_running(),
            server.leave_running(),
            api.leave_running(),
            redis.leave_running(),
            cluster.leave_running(),
        ];
        let processes = processes.map(|process| process.to_string()).join(" ");
        let path = folder.keep();
        let path = path.display();
        heading("5. Everything keeps running");
        line(format!("page       {url}"));
        line(format!("API        {url}/api/docs"));
        line(format!("database   psql {database_url}"));
        line(format!("cache      redis-cli -u {redis_url} --scan --pattern 'ferry:*'"));
        line(format!("files      {path}"));
        line(format!("stop       kill -INT {processes}; sleep 2; rm -r {path}"));
    }
}

async fn show_people(conn: &mut PgConnection) -> Result<(), DemoError> {
    line("");
    line("Of each person, what the job asked for, in two tables:");
    line(show::users(conn).await?);
    line("");
    line("In quarantine, each refused record with its place and the reason:");
    line(show::quarantine(conn).await?);
    Ok(())
}

/// Looks a person up until they are found where they should be, and shows who it is.
///
/// For a moment after an outage Redis is left alone.
async fn show_lookup(page: &Service, uid: &str, expected: &str) -> Result<(), DemoError> {
    let path = format!("/api/v1/tables/public.users/records/{uid}");
    line("");
    line(format!("$ curl {}{path}", page.url()));
    let deadline = Instant::now() + LOOKUP_PATIENCE;
    let answer = loop {
        let answer = ask::get(page.url(), &path).await?;
        if answer["found_in"] == expected {
            break answer;
        }
        if Instant::now() >= deadline {
            let what = format!("found_in {}", answer["found_in"]);
            return Err(DemoError::BadAnswer { url: format!("{}{path}", page.url()), what });
        }
        tokio::time::sleep(POLL).await;
    };
    let record = &answer["record"];
    let shown = ["uid", "first_name", "last_name", "date_of_birth"].map(|name| {
        let value = record[name].as_str().unwrap_or("null");
        format!("{name} {value}")
    });
    let email: String = record["email"].as_str().unwrap_or("null").chars().take(14).collect();
    line(format!("{}, email {email}…", shown.join(", ")));
    let left = answer.get("ttl_seconds").and_then(Value::as_f64);
    line(match left {
        Some(left) => format!("found in the {expected}, where it stays for {left:.0} seconds"),
        None => format!("found in the {expected}"),
    });
    Ok(())
}
