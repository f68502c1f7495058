//! An engineer explores the source host with grpcurl: reflection, plain JSON, rows that a person reads.
//!
//! Without grpcurl, Python's grpcio does the same; without either, the test says so.

use std::path::{Path, PathBuf};
use std::process::Command;

use serde_json::{Value, json};

use crate::hosts::{Process, Server, Source};

const SERVICE: &str = "ferry.v1.TransferService";

/// A program that knows the server's services by reflection only.
enum Explorer {
    Grpcurl(PathBuf),
    Python(PathBuf),
}

impl Explorer {
    /// What `FERRY_GRPCURL` or `FERRY_PYTHON` name, what `scripts/test` installed, or what the `PATH` has.
    fn find() -> Option<Self> {
        let tools = Path::new(env!("CARGO_MANIFEST_DIR")).join("target/tools");
        let named = |variable: &str| std::env::var_os(variable).map(PathBuf::from);
        let search_path = std::env::var_os("PATH").unwrap_or_default();
        let grpcurl = named("FERRY_GRPCURL")
            .into_iter()
            .chain([tools.join("bin/grpcurl")])
            .chain(std::env::split_paths(&search_path).map(|folder| folder.join("grpcurl")))
            .find(|path| path.is_file());
        if let Some(path) = grpcurl {
            return Some(Self::Grpcurl(path));
        }
        let mut python = named("FERRY_PYTHON").into_iter().chain([tools.join("venv/bin/python")]);
        let has_grpc = |path: &PathBuf| {
            let imports = Command::new(path).args(["-c", "import grpc_reflection"]).output();
            imports.is_ok_and(|output| output.status.success())
        };
        python.find(has_grpc).map(Self::Python)
    }

    fn run(&self, server: &Server, arguments: &[&str]) -> Result<String, String> {
        let mut command = match self {
            Self::Grpcurl(path) => {
                let mut command = Command::new(path);
                command.arg("-plaintext");
                if let [_, request] = arguments {
                    command.arg("-d").arg(request);
                }
                command.arg(server.address()).arg(arguments[0]);
                command
            }
            Self::Python(path) => {
                let script = concat!(env!("CARGO_MANIFEST_DIR"), "/tests/e2e/explore.py");
                let mut command = Command::new(path);
                command.arg(script).arg(server.address()).args(arguments);
                command
            }
        };
        let outcome = Process::spawn(&mut command).finish();
        if outcome.code == Some(0) { Ok(outcome.stdout) } else { Err(outcome.text()) }
    }

    /// Calls a method with a request in JSON and gives all answers.
    fn call(&self, server: &Server, method: &str, request: &Value) -> Result<Vec<Value>, String> {
        let method = format!("{SERVICE}/{method}");
        let output = self.run(server, &[&method, &request.to_string()])?;
        let answers = serde_json::Deserializer::from_str(&output).into_iter::<Value>();
        answers.collect::<Result<_, _>>().map_err(|error| format!("{error} in:\n{output}"))
    }
}

const ROWS: usize = 5000;

fn orders() -> (Source, Server) {
    let columns = [
        ("id", "bigint"),
        ("paid", "boolean"),
        ("amount", "numeric(10,2)"),
        ("ratio", "double precision"),
        ("at", "timestamptz"),
    ];
    let source = Source::with_dataset("orders", &columns);
    let mut file = String::from("id,name,paid,amount,ratio,at\n");
    for id in 1..=ROWS {
        let name = if id == 2 { String::new() } else { format!("customer {id}") };
        let line = format!("{id},{name},{},{id}.50,0.25,2024-01-02T03:04:05Z\n", id % 2 == 1);
        file.push_str(&line);
    }
    source.write("orders.csv", file);
    let server = source.start();
    (source, server)
}

/// The values of all rows in the answers of `ReadBatches`.
fn rows(answers: &[Value]) -> Vec<Value> {
    let batches = answers.iter().filter_map(|answer| answer["batch"]["rows"]["rows"].as_array());
    batches.flatten().map(|row| row["values"].clone()).collect()
}

#[test]
fn reflection_is_enough_to_list_plan_read_and_resume() {
    let Some(explorer) = Explorer::find() else {
        println!("skipped: neither grpcurl nor Python with grpcio-reflection is there");
        return;
    };
    let (_source, server) = orders();

    let services = explorer.run(&server, &["list"]).unwrap();
    for service in [
        SERVICE,
        "grpc.health.v1.Health",
        "grpc.reflection.v1.ServerReflection",
        "grpc.reflection.v1alpha.ServerReflection",
    ] {
        assert!(services.lines().any(|line| line == service), "{service} in:\n{services}");
    }

    let datasets = explorer.call(&server, "ListDatasets", &json!({})).unwrap();
    assert_eq!(datasets[0]["datasets"][0]["name"], "orders");
    let dataset = explorer.call(&server, "GetDataset", &json!({ "name": "orders" })).unwrap();
    let id = json!({ "name": "id", "type": "bigint" });
    assert_eq!(dataset[0]["dataset"]["columns"][0], id);
    assert_eq!(dataset[0]["files"][0]["name"], "orders.csv");

    let plan = explorer.call(&server, "PlanTransfer", &json!({ "dataset": "orders" })).unwrap();
    let split = &plan[0]["splits"][0];
    let mut request =
        json!({ "split": split, "encoding": "ENCODING_ROWS", "maxBatchBytes": "65536" });
    let answers = explorer.call(&server, "ReadBatches", &request).unwrap();
    let all = rows(&answers);
    assert_eq!(all.len(), ROWS);
    let first = json!([
        { "int64": "1" }, { "string": "customer 1" }, { "bool": true }, { "string": "1.50" },
        { "double": 0.25 }, { "timestamp": "2024-01-02T03:04:05Z" },
    ]);
    assert_eq!(all[0], first);
    // grpcurl writes "NULL_VALUE", Python null.
    assert!(all[1][1].get("null").is_some(), "{}", all[1][1]);
    let end = &answers[answers.len() - 1]["end"];
    assert_eq!(end["rowCount"], ROWS.to_string());

    let first_batch = &answers[0]["batch"];
    let position = &first_batch["end"];
    let skipped: usize = position["rowNumber"].as_str().unwrap().parse().unwrap();
    assert!(skipped < ROWS, "more than one batch");
    request["position"] = position.clone();
    let resumed = explorer.call(&server, "ReadBatches", &request).unwrap();
    assert_eq!(rows(&resumed), all[skipped..], "the same rows from there on");
}

#[test]
fn a_wrong_name_is_answered_in_words() {
    let Some(explorer) = Explorer::find() else {
        println!("skipped: neither grpcurl nor Python with grpcio-reflection is there");
        return;
    };
    let (_source, server) = orders();
    let error = explorer.call(&server, "GetDataset", &json!({ "name": "odrers" })).unwrap_err();
    assert!(error.contains("odrers") && error.contains("orders"), "{error}");
}
