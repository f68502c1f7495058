//! An API behind a certificate of one's own authority: only the right one, for the right host, is told the secrets.

use super::{APPEND, Fetching, HTTP, one, people, problems};
use crate::api::{Api, Paging, Secure};
use crate::tls::Authority;

const COUNT: u64 = 23;
const KEYS: &str = "headers = { Authorization = \"Bearer ${API_TOKEN}\" }\n";

/// An API, and beside the settings of the source host the certificates of two authorities.
fn private() -> (Fetching, Secure) {
    let api = Api::start(Paging::Cursor, 5, people(1..=COUNT));
    let fetching = Fetching::new(api, "", HTTP);
    let folder = fetching.source.path("");
    let authority = Authority::new("the right authority");
    authority.issue(&folder, "api");
    fetching.source.write("ca.pem", &authority.certificate);
    fetching.source.write("other.pem", Authority::new("another authority").certificate);
    let front = Secure::start(fetching.api.address(), &folder, "api");
    (fetching, front)
}

#[test]
fn a_certificate_of_the_named_authority_is_trusted_and_no_other() {
    let (mut fetching, front) = private();
    let origin = format!("https://127.0.0.1:{}", front.port());
    for keys in ["", "ca_file = \"other.pem\"\n"] {
        fetching.restart_at(&origin, &[KEYS, keys].concat(), &[]);

        let outcome = fetching.run(APPEND).expect_code(7).expect_text("set ca_file");

        assert_eq!(problems(&outcome.summary()), one("page-000001"), "{keys}");
        assert_eq!(fetching.database.count("people"), 0, "{keys}");
        assert_eq!(fetching.api.requests().len(), 0, "it was told the secret: {keys}");
    }

    fetching.restart_at(&origin, &[KEYS, "ca_file = \"ca.pem\"\n"].concat(), &[]);
    fetching.run(APPEND).expect_code(0);

    fetching.assert_holds(&people(1..=COUNT));
    let asked = fetching.api.requests();
    assert!(asked.iter().all(|asked| asked.header("authorization").is_some()));
}

#[test]
fn a_certificate_of_another_host_is_not_trusted() {
    let (mut fetching, front) = private();
    // It leads to this machine, and no certificate is made for it.
    let origin = format!("https://0.0.0.0:{}", front.port());
    fetching.restart_at(&origin, &[KEYS, "ca_file = \"ca.pem\"\n"].concat(), &[]);

    let outcome = fetching.run(APPEND).expect_code(7).expect_text("correct the host of url");

    assert_eq!(problems(&outcome.summary()), one("page-000001"));
    assert!(!outcome.text().contains("set ca_file"), "{}", outcome.text());
    assert_eq!(fetching.database.count("people"), 0);
    assert_eq!(fetching.api.requests().len(), 0);
}

#[test]
fn an_authority_that_cannot_be_read_is_told_before_anything_is_asked() {
    let (fetching, front) = private();
    let origin = format!("https://127.0.0.1:{}", front.port());
    for (file, content) in [("missing.pem", None), ("empty.pem", Some("no certificate\n"))] {
        if let Some(content) = content {
            fetching.source.write(file, content);
        }
        let text = fetching.settings_at(&origin, &format!("ca_file = \"{file}\"\n"));
        fetching.source.write("server.toml", text);

        fetching.source.check().expect_code(2).expect_text("ca_file").expect_text(file);
    }
    assert_eq!(fetching.api.requests().len(), 0);
}
