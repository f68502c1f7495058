//! Who may read: certificates on both sides, and bearer tokens.

use std::path::Path;
use std::time::Instant;

use rcgen::{BasicConstraints, CertificateParams, DnType, IsCa, Issuer, KeyPair};
use sha2::{Digest as _, Sha256};
use tonic::transport::{Channel, Endpoint};
use tonic::{Code, Request, Status};
use tonic_health::pb::health_check_response::ServingStatus;
use tonic_health::pb::health_client::HealthClient;
use tonic_reflection::pb::v1::ServerReflectionRequest;
use tonic_reflection::pb::v1::server_reflection_client::ServerReflectionClient;
use tonic_reflection::pb::v1::server_reflection_request::MessageRequest;

use crate::hosts::{Outcome, Server, Source, finish, run, wait_for};
use crate::postgres::Database;

const TOKEN: &str = "a-token-that-nobody-guesses";

/// A certificate authority of the test's own.
pub(crate) struct Authority {
    pub(crate) certificate: String,
    issuer: Issuer<'static, KeyPair>,
}

impl Authority {
    pub(crate) fn new(name: &str) -> Self {
        let key = KeyPair::generate().unwrap();
        let mut params = CertificateParams::new(Vec::<String>::new()).unwrap();
        params.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
        params.distinguished_name.push(DnType::CommonName, name);
        let certificate = params.self_signed(&key).unwrap().pem();
        Self { certificate, issuer: Issuer::new(params, key) }
    }

    /// Writes `NAME.pem` and `NAME.key`, signed by this authority.
    pub(crate) fn issue(&self, folder: &Path, name: &str) {
        let key = KeyPair::generate().unwrap();
        let names = ["127.0.0.1".to_owned(), "localhost".to_owned()];
        let params = CertificateParams::new(names.to_vec()).unwrap();
        let certificate = params.signed_by(&key, &self.issuer).unwrap();
        std::fs::write(folder.join(format!("{name}.pem")), certificate.pem()).unwrap();
        std::fs::write(folder.join(format!("{name}.key")), key.serialize_pem()).unwrap();
    }
}

const DATASET: &str = "[[dataset]]\nname = \"people\"\nfiles = [\"*.csv\"]\n";

fn people(settings: &str) -> Source {
    let source = Source::new(&format!("{settings}\n{DATASET}"));
    source.write("people.csv", "uid,name\n1,Ada\n2,Bob\n");
    source
}

/// A source host with TLS; `ca.pem` lies beside its settings.
fn people_with_tls(more_settings: &str) -> (Source, Authority) {
    let authority = Authority::new("the right authority");
    let source = people(&format!(
        "[tls]\ncert_file = \"server.pem\"\nkey_file = \"server.key\"\n{more_settings}"
    ));
    authority.issue(&source.path(""), "server");
    source.write("ca.pem", &authority.certificate);
    (source, authority)
}

/// Loads with flags of which some name files beside the settings of the source.
fn load(source: &Source, server: &Server, database: &Database, files: &[(&str, &str)]) -> Outcome {
    let mut command = run(server.url(), "people", "public.people", &database.url);
    command.arg("--create");
    for (flag, file) in files {
        command.arg(flag).arg(source.path(file));
    }
    finish(&mut command)
}

#[test]
fn a_certificate_of_the_known_authority_is_trusted_and_no_other() {
    let (source, _authority) = people_with_tls("");
    source.write("other.pem", Authority::new("another authority").certificate);
    let server = source.start();
    assert!(server.url().starts_with("https://"), "{}", server.url());
    let database = Database::create();

    let wrong = load(&source, &server, &database, &[("--ca-file", "other.pem")]).expect_code(3);
    wrong.expect_text("certificate");
    // Only the authorities of this machine are trusted, if it has any.
    assert_ne!(load(&source, &server, &database, &[]).code, Some(0));
    assert_eq!(database.count("people"), 0);

    load(&source, &server, &database, &[("--ca-file", "ca.pem")]).expect_code(0);
    assert_eq!(database.count("people"), 2);
}

#[test]
fn a_client_certificate_is_required_where_an_authority_for_them_is_named() {
    let (source, authority) = people_with_tls("client_ca_file = \"ca.pem\"\n");
    authority.issue(&source.path(""), "client");
    Authority::new("another authority").issue(&source.path(""), "stranger");
    let server = source.start();
    let database = Database::create();
    let ca = ("--ca-file", "ca.pem");

    load(&source, &server, &database, &[ca]).expect_code(3);
    let stranger = [ca, ("--cert-file", "stranger.pem"), ("--client-key-file", "stranger.key")];
    load(&source, &server, &database, &stranger).expect_code(3);
    assert_eq!(database.count("people"), 0);

    let known = [ca, ("--cert-file", "client.pem"), ("--client-key-file", "client.key")];
    load(&source, &server, &database, &known).expect_code(0);
    assert_eq!(database.count("people"), 2);
}

/// Settings that let in whoever shows [`TOKEN`].
fn token_settings(more: &str) -> String {
    let digest = ferry::hex::encode(&Sha256::digest(TOKEN.as_bytes()));
    format!("[[token]]\nname = \"loader\"\nsha256 = \"{digest}\"\n{more}")
}

#[test]
fn a_token_is_needed_where_one_is_configured() {
    let source = people(&token_settings(""));
    source.write("right.token", format!("{TOKEN}\n"));
    source.write("wrong.token", "some-other-token\n");
    let server = source.start();
    let database = Database::create();

    load(&source, &server, &database, &[]).expect_code(7).expect_text("token");
    let wrong = load(&source, &server, &database, &[("--token-file", "wrong.token")]);
    let wrong = wrong.expect_code(7).expect_text("token");
    assert!(!wrong.text().contains("some-other-token"), "the token is shown");
    assert_eq!(database.count("people"), 0);

    load(&source, &server, &database, &[("--token-file", "right.token")]).expect_code(0);
    assert_eq!(database.count("people"), 2);
    assert!(!server.process.stderr().contains(TOKEN), "the server logs the token");
    assert!(!database.dump().contains(TOKEN), "the ledger holds the token");
}

#[tokio::test]
async fn whoever_guesses_tokens_leaves_an_address_in_the_log_and_does_not_fill_it() {
    let source = people(&token_settings(""));
    let server = source.start();
    let channel = Endpoint::from_shared(server.url().to_owned()).unwrap().connect().await.unwrap();

    let begun = Instant::now();
    for _ in 0..200 {
        reflect(channel.clone(), Some("some-other-token")).await.unwrap_err();
    }
    let seconds = usize::try_from(begun.elapsed().as_secs()).unwrap();

    let refusals = || {
        let log = server.process.stderr();
        let lines = log.split_inclusive('\n').filter(|line| line.ends_with('\n'));
        lines.filter(|line| line.contains("BAD_TOKEN")).map(str::to_owned).collect::<Vec<_>>()
    };
    wait_for("the line of a refusal", 10, || (!refusals().is_empty()).then_some(()));
    let refusals = refusals();
    assert!(refusals.len() <= 10 * (seconds + 2), "{} lines in {seconds} s", refusals.len());
    assert!(refusals[0].contains("peer=127.0.0.1:"), "{}", refusals[0]);
    assert!(!refusals[0].contains("some-other-token"), "the log holds what was guessed");
}

#[test]
fn a_dataset_that_a_token_may_not_read_looks_like_one_that_is_not_there() {
    let source = people(&token_settings(
        "datasets = [\"other\"]\n[[dataset]]\nname = \"other\"\nfiles = [\"people.csv\"]\n",
    ));
    source.write("right.token", TOKEN);
    let server = source.start();
    let database = Database::create();
    let files = [("--token-file", "right.token")];

    let refused = load(&source, &server, &database, &files).expect_code(7);
    let mut command = run(server.url(), "elsewhere", "public.people", &database.url);
    command.arg("--create").arg("--token-file").arg(source.path("right.token"));
    let missing = finish(&mut command).expect_code(7);

    let message = |outcome: &Outcome, name: &str| {
        let text = outcome.summary()["error"]["message"].as_str().unwrap().to_owned();
        assert!(text.contains(&format!("\"{name}\"")), "{text}");
        text.replace(name, "NAME")
    };
    assert_eq!(message(&refused, "people"), message(&missing, "elsewhere"));
}

/// Asks for the services by reflection, with or without the token.
async fn reflect(channel: Channel, token: Option<&str>) -> Result<(), Status> {
    let question = ServerReflectionRequest {
        host: String::new(),
        message_request: Some(MessageRequest::ListServices(String::new())),
    };
    let mut request = Request::new(tokio_stream::once(question));
    if let Some(token) = token {
        let value = format!("Bearer {token}").parse().unwrap();
        request.metadata_mut().insert("authorization", value);
    }
    let mut service = ServerReflectionClient::new(channel);
    let mut answers = service.server_reflection_info(request).await?.into_inner();
    answers.message().await.map(|answer| assert!(answer.is_some(), "no answer"))
}

#[tokio::test]
async fn health_is_open_and_reflection_is_not() {
    let source = people(&token_settings(""));
    let server = source.start();
    let channel = Endpoint::from_shared(server.url().to_owned()).unwrap().connect().await.unwrap();

    let question = tonic_health::pb::HealthCheckRequest { service: String::new() };
    let health = HealthClient::new(channel.clone()).check(question).await.unwrap().into_inner();
    assert_eq!(health.status, i32::from(ServingStatus::Serving));

    let status = reflect(channel.clone(), None).await.unwrap_err();
    assert_eq!(status.code(), Code::Unauthenticated, "{status:?}");
    let status = reflect(channel.clone(), Some("some-other-token")).await.unwrap_err();
    assert_eq!(status.code(), Code::Unauthenticated, "{status:?}");
    reflect(channel, Some(TOKEN)).await.unwrap();
}
