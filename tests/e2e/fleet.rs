//! Workers on four hosts, files on two more, one database: whatever dies, hangs or is cut off, each row is loaded once.
//!
//! The moments are drawn from a seed that is printed (`FERRY_SEED` repeats a
//! run). The outcome is compared, as a multiset, with what `psql \copy` loads,
//! and with the chain of commits of every split.

mod frozen;
mod replace;

use std::thread;
use std::time::{Duration, Instant};

use crate::hosts::{Process, Random, Server, free_port, is_soak};
use crate::namespaces::Network;
use crate::orders::Orders;
use crate::postgres::{Database, OwnCluster};

const WORKERS: u8 = 4;
const SOURCES: u8 = 2;
const FILES: u64 = 20;
const LOAD: &str = "workers = 2\nlease = \"3s\"\nretries = 20\n";
const LEASE_MILLISECONDS: u64 = 3000;
/// A source and a database that are gone: whoever starts workers starts them again.
const PASSING_CODES: [i32; 2] = [3, 4];
/// How long the run may take after the last blow.
const END_SECONDS_MAX: u64 = 300;
const POLL: Duration = Duration::from_millis(20);

/// What befalls a worker.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Blow {
    /// It dies, and is started again after a while.
    Kill,
    /// It stands still for longer than its lease, and wakes.
    Stop,
    /// It hears nobody, and nobody hears it, for a while.
    CutOff,
}

/// What a worker suffers from, and until when.
#[derive(Clone, Copy)]
struct Trouble {
    blow: Blow,
    ends_at: Instant,
}

struct Worker {
    host: u8,
    process: Process,
    trouble: Option<Trouble>,
}

struct SourceHost {
    host: u8,
    listen: String,
    server: Server,
    /// When it is started again, if it is dead.
    back_at: Option<Instant>,
}

/// All hosts. Dropped in this order: nothing runs on the network when it goes.
struct Fleet {
    workers: Vec<Worker>,
    sources: Vec<SourceHost>,
    orders: Orders,
    /// Workers that found no source or no database when they started.
    restarts: u32,
    /// Looks at the table again and again.
    watch: fn(&Orders),
    /// None if all hosts are this one.
    network: Option<Network>,
    _cluster: Option<OwnCluster>,
}

impl Fleet {
    /// Makes files, table and job, and starts all programs.
    fn start(network: Option<Network>, make: fn(Database) -> Orders, watch: fn(&Orders)) -> Self {
        let start =
            |network: &Network| OwnCluster::start_for(network.own_address(), &network.range());
        let cluster = network.as_ref().map(start);
        let database = cluster.as_ref().map_or_else(Database::create, OwnCluster::database);
        let orders = make(database);
        orders.write_job(&url_for_workers(network.as_ref(), &orders.database), LOAD);
        // On a network of their own the sources are slow already.
        orders.database.slow_inserts("orders", if network.is_some() { 100 } else { 1200 });
        let (workers, sources) = (Vec::new(), Vec::new());
        let mut fleet =
            Self { workers, sources, orders, restarts: 0, watch, network, _cluster: cluster };
        for host in WORKERS..WORKERS + SOURCES {
            let listen = match &fleet.network {
                Some(network) => format!("{}:7443", network.address(host)),
                None => format!("127.0.0.1:{}", free_port()),
            };
            let server = fleet.serve(host, &listen);
            fleet.sources.push(SourceHost { host, listen, server, back_at: None });
        }
        for host in 0..WORKERS {
            let process = fleet.work(host);
            fleet.workers.push(Worker { host, process, trouble: None });
        }
        fleet
    }

    /// Starts a server on its host.
    fn serve(&self, host: u8, listen: &str) -> Server {
        let mut command = self.orders.source.command();
        command.args(["--listen", listen]);
        match &self.network {
            Some(network) => Server::start(&mut network.inside(host, &command)),
            None => Server::start(&mut command),
        }
    }

    /// Starts a worker on its host: every second one reads from the same source.
    fn work(&self, host: u8) -> Process {
        let source = usize::from(host) % self.sources.len();
        let mut command = self.orders.run(self.sources[source].server.url());
        match &self.network {
            Some(network) => Process::spawn(&mut network.inside(host, &command)),
            None => Process::spawn(&mut command),
        }
    }

    /// Ends every trouble whose time has come.
    fn mend(&mut self) {
        let now = Instant::now();
        for number in 0..self.sources.len() {
            let source = &mut self.sources[number];
            if source.back_at.take_if(|back_at| *back_at <= now).is_some() {
                let (host, listen) = (source.host, source.listen.clone());
                self.sources[number].server = self.serve(host, &listen);
            }
        }
        for number in 0..self.workers.len() {
            let worker = &mut self.workers[number];
            let host = worker.host;
            let over = worker.trouble.take_if(|trouble| trouble.ends_at <= now);
            match over.map(|trouble| trouble.blow) {
                Some(Blow::Kill) => self.workers[number].process = self.work(host),
                Some(Blow::Stop) => worker.process.signal("CONT"),
                Some(Blow::CutOff) => self.network.as_ref().unwrap().plug_in(host),
                None => {}
            }
        }
        self.start_again();
    }

    /// Starts workers again that could not do without a source or a database.
    fn start_again(&mut self) {
        for number in 0..self.workers.len() {
            let Worker { host, process, trouble } = &mut self.workers[number];
            let Some(status) = process.ended() else { continue };
            if status.success() || trouble.is_some() {
                continue;
            }
            let passes = status.code().is_some_and(|code| PASSING_CODES.contains(&code));
            assert!(passes, "worker {number} ended with {status}:\n{}", process.stderr());
            let host = *host;
            self.restarts += 1;
            self.workers[number].process = self.work(host);
        }
    }

    /// Lets so much time pass.
    fn live_for(&mut self, milliseconds: u64) {
        let until = Instant::now() + Duration::from_millis(milliseconds);
        while Instant::now() < until {
            self.mend();
            (self.watch)(&self.orders);
            // The moments themselves are what the test is about.
            thread::sleep(POLL);
        }
    }

    /// Whether a worker has found the run finished.
    fn is_over(&mut self) -> bool {
        self.workers.iter_mut().any(|worker| {
            let ended = worker.process.ended();
            worker.trouble.is_none() && ended.is_some_and(|status| status.success())
        })
    }

    /// Strikes a worker that is at work and has no trouble yet, if there is one.
    fn strike(&mut self, blow: Blow, random: &mut Random) -> bool {
        let is_fit = |(number, worker): (usize, &mut Worker)| {
            let is_fit = worker.trouble.is_none() && worker.process.ended().is_none();
            is_fit.then_some(number)
        };
        let fit: Vec<usize> = self.workers.iter_mut().enumerate().filter_map(is_fit).collect();
        if fit.is_empty() {
            return false;
        }
        let worker = &mut self.workers[fit[below(random, fit.len())]];
        let milliseconds = match blow {
            Blow::Kill => random.below(1000),
            Blow::Stop => LEASE_MILLISECONDS + 500 + random.below(2000),
            Blow::CutOff => 500 + random.below(5000),
        };
        match blow {
            Blow::Kill => worker.process.kill(),
            Blow::Stop => worker.process.signal("STOP"),
            Blow::CutOff => self.network.as_ref().unwrap().unplug(worker.host),
        }
        let ends_at = Instant::now() + Duration::from_millis(milliseconds);
        worker.trouble = Some(Trouble { blow, ends_at });
        println!("{blow:?} of worker {} for {milliseconds} ms", worker.host);
        true
    }

    /// Kills a source that is not dead yet.
    fn strike_source(&mut self, random: &mut Random) -> bool {
        let number = below(random, self.sources.len());
        let source = &mut self.sources[number];
        if source.back_at.is_some() {
            return false;
        }
        source.server.process.kill();
        let milliseconds = 200 + random.below(1500);
        source.back_at = Some(Instant::now() + Duration::from_millis(milliseconds));
        println!("death of source {number} for {milliseconds} ms");
        true
    }

    /// Leaves all in peace until every worker has ended.
    fn finish(&mut self) {
        let deadline = Instant::now() + Duration::from_secs(END_SECONDS_MAX);
        let is_at_work = |worker: &mut Worker| {
            let ended = worker.process.ended();
            worker.trouble.is_some() || ended.is_none_or(|status| !status.success())
        };
        while self.workers.iter_mut().any(is_at_work) {
            self.live_for(100);
            if Instant::now() >= deadline {
                let said: Vec<String> =
                    self.workers.iter().map(|worker| worker.process.stderr()).collect();
                panic!("not over after {END_SECONDS_MAX} s:\n{}", said.join("\n--\n"));
            }
        }
        for worker in self.workers.drain(..) {
            let _ = worker.process.finish().expect_code(0);
        }
    }

    /// Checks what became of the rows that were to be added to the table.
    #[track_caller]
    fn assert_loaded_once(&self) {
        let database = &self.orders.database;
        let taken_over = database.number(
            "SELECT count(*) FROM (SELECT FROM ferry.commit GROUP BY split_id
                                   HAVING count(DISTINCT epoch) > 1) AS taken_over",
        );
        let commits = database.count("ferry.commit");
        let restarts = self.restarts;
        println!("{commits} commits, {taken_over} splits with several owners, {restarts} restarts");
        self.orders.assert_loaded_once();
        assert_eq!(self.orders.states(), ["finished"], "one run, finished by one of them");
        let unfinished = "SELECT count(*) FROM ferry.run WHERE state <> 'finished'";
        assert_eq!(database.number(unfinished), 0);
        assert!(taken_over > 0, "nobody ever went on where another had stopped");
    }
}

/// The database as the workers reach it.
fn url_for_workers(network: Option<&Network>, database: &Database) -> String {
    let Database { url, port, name } = database;
    match network {
        Some(network) => {
            let host = network.own_address();
            format!("postgres://postgres@{host}:{port}/{name}?sslmode=disable")
        }
        None => url.clone(),
    }
}

fn below(random: &mut Random, bound: usize) -> usize {
    usize::try_from(random.below(u64::try_from(bound).unwrap())).unwrap()
}

/// Files of orders for a table that they are added to.
fn added(database: Database) -> Orders {
    Orders::new(database, FILES, if is_soak() { 50_000 } else { 10_000 })
}

/// Strikes at random moments until the run is over, and waits for its end.
fn strike_at_random(fleet: &mut Fleet, random: &mut Random, blows: &[Blow], count_max: u32) {
    let count_max = if is_soak() { count_max * 5 } else { count_max };
    fleet.orders.wait_for_commits(1);
    let mut struck = 0;
    while struck < count_max {
        fleet.live_for(200 + random.below(600));
        if fleet.is_over() {
            break;
        }
        let has_hit = if random.below(5) == 0 {
            fleet.strike_source(random)
        } else {
            fleet.strike(blows[below(random, blows.len())], random)
        };
        struck += u32::from(has_hit);
    }
    println!("{struck} of {count_max} blows fell before the end of the run");
    assert!(struck * 2 > count_max, "the run was over too soon");
    fleet.finish();
}

#[test]
fn four_hosts_load_each_row_once_whatever_befalls_them() {
    let test = "four_hosts";
    let Some(network) = Network::start(test, WORKERS + SOURCES) else {
        return;
    };
    for host in WORKERS..WORKERS + SOURCES {
        network.limit_rate(host, 24);
    }
    let mut random = Random::from_environment(test);
    let mut fleet = Fleet::start(Some(network), added, |_| ());
    strike_at_random(&mut fleet, &mut random, &[Blow::Kill, Blow::Stop, Blow::CutOff], 12);
    fleet.assert_loaded_once();
}

#[test]
fn four_processes_load_each_row_once_whatever_befalls_them() {
    let mut random = Random::from_environment("four_processes");
    let mut fleet = Fleet::start(None, added, |_| ());
    strike_at_random(&mut fleet, &mut random, &[Blow::Kill, Blow::Stop], 12);
    fleet.assert_loaded_once();
}
