//! The ways to a Redis server or Cluster: through Sentinels, by TLS, as a user with a password, over IPv6, with
//! replicas; and to Valkey.

#[path = "../support/mod.rs"]
#[allow(dead_code, reason = "the other tests over Redis use the rest")]
mod support;

use std::collections::BTreeMap;
use std::io::{BufRead, BufReader, Write};
use std::path::Path;
use std::process::{Child, Command, Stdio};
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, OnceLock};
use std::time::Duration;

use support::cluster::Cluster;
use support::{Manner, Redis, free_port, is_installed, runtime, wait_for};
use tempfile::TempDir;
use tidings_core::contract::Harness;
use tidings_core::{Engine, EngineError, Hub, Publication, RoomOptions, RoomRules};
use tidings_protocol::{Limits, MessageId, Payload, RoomName};
use tidings_redis::{Beginning, Config, RedisEngine};

const OVER_IPV6: Manner = Manner { program: "redis-server", host: "::1", has_clock: false };

fn config(address: String) -> Config {
    static ENGINES: AtomicU64 = AtomicU64::new(0);
    let number = ENGINES.fetch_add(1, Ordering::Relaxed);
    Config {
        addresses: vec![address],
        root_certificate: None,
        replicas_min: 0,
        prefix: format!("ways-{number}"),
        node: format!("node-{number}"),
        beginning: Beginning::At(MessageId::ZERO),
        patience: Duration::from_secs(10),
    }
}

fn engine(config: &Config, rules: RoomRules, limits: Limits) -> Harness {
    let hub = Arc::new(Hub::new());
    let engine = RedisEngine::start(config, &hub, &Arc::new(rules), &Arc::new(limits), runtime().handle())
        .expect("the address is right");
    wait_for("the engine is ready", || engine.is_ready());
    Harness::new(Arc::new(engine), hub)
}

fn default_engine(config: &Config) -> Harness {
    let limits = Limits::default();
    engine(config, RoomRules::new(Vec::new(), RoomOptions::from_limits(&limits)), limits)
}

fn text(room: &str) -> Publication {
    Publication {
        room: RoomName::new(room, &Limits::default()).unwrap(),
        user: None,
        key: None,
        payload: Payload::Text("x".into()),
        idempotency_key: None,
    }
}

/// One Sentinel that watches one master, and decides alone.
struct Sentinel {
    port: u16,
    guard: Child,
    _directory: TempDir,
}

impl Sentinel {
    fn of(master: &Redis) -> Self {
        let (port, directory) = (free_port(), tempfile::tempdir().unwrap());
        let settings = format!(
            "port {port}\nbind 127.0.0.1\nsentinel monitor chat 127.0.0.1 {} 1\n\
             sentinel down-after-milliseconds chat 500\nsentinel failover-timeout chat 3000\n",
            master.port
        );
        std::fs::write(directory.path().join("sentinel.conf"), settings).unwrap();
        let script =
            "redis-server sentinel.conf --sentinel >sentinel.log 2>&1 & echo $!; cat >/dev/null; kill -9 $!";
        let mut guard = Command::new("sh")
            .args(["-c", script])
            .current_dir(directory.path())
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .spawn()
            .unwrap();
        BufReader::new(guard.stdout.take().unwrap()).read_line(&mut String::new()).unwrap();
        let sentinel = Self { port, guard, _directory: directory };
        wait_for("the Sentinel answers", || sentinel.ask(&["PING"]) == "PONG");
        sentinel
    }

    fn ask(&self, words: &[&str]) -> String {
        let output = Command::new("redis-cli").args(["-p", &self.port.to_string()]).args(words).output();
        String::from_utf8_lossy(&output.unwrap().stdout).trim().to_owned()
    }

    fn address(&self) -> String {
        // The first one is away, as one of several may be.
        format!("redis+sentinel://127.0.0.1:{},127.0.0.1:{}/chat", free_port(), self.port)
    }
}

impl Drop for Sentinel {
    fn drop(&mut self) {
        drop(self.guard.stdin.take());
        let _ = self.guard.wait();
    }
}

mod behind_a_sentinel {
    use super::*;

    fn make(rules: RoomRules, limits: Limits) -> Harness {
        static SERVERS: OnceLock<(Redis, Sentinel)> = OnceLock::new();
        let (_, sentinel) = SERVERS.get_or_init(|| {
            let master = Redis::start(&[]);
            let sentinel = Sentinel::of(&master);
            (master, sentinel)
        });
        engine(&config(sentinel.address()), rules, limits)
    }

    tidings_core::engine_contract_tests!(make);
}

mod by_tls_as_a_user {
    use super::*;

    fn make(rules: RoomRules, limits: Limits) -> Harness {
        static SERVER: OnceLock<(Redis, String, TempDir)> = OnceLock::new();
        let (redis, root, _) = SERVER.get_or_init(|| {
            let directory = tempfile::tempdir().unwrap();
            let root = certificates(directory.path());
            let redis = Redis::start_with_tls(directory.path());
            admit_user(&redis, &[]);
            (redis, root, directory)
        });
        let config =
            Config { root_certificate: Some(root.clone().into_bytes()), ..config(tls_address(redis)) };
        engine(&config, rules, limits)
    }

    tidings_core::engine_contract_tests!(make);
}

mod a_cluster_by_tls_as_a_user {
    use super::*;

    fn make(rules: RoomRules, limits: Limits) -> Harness {
        static CLUSTER: OnceLock<(Cluster, String, TempDir)> = OnceLock::new();
        let (cluster, root, _) = CLUSTER.get_or_init(|| {
            let directory = tempfile::tempdir().unwrap();
            let root = certificates(directory.path());
            let cluster = Cluster::start_in(Manner::default(), Some(directory.path()));
            cluster
                .servers
                .iter()
                .for_each(|server| admit_user(server, &["+cluster|slots", "+cluster|info"]));
            (cluster, root, directory)
        });
        let config = Config {
            addresses: cluster.servers[..2].iter().map(tls_address).collect(),
            root_certificate: Some(root.clone().into_bytes()),
            ..config(String::new())
        };
        engine(&config, rules, limits)
    }

    tidings_core::engine_contract_tests!(make);
}

mod over_ipv6 {
    use super::*;

    fn make(rules: RoomRules, limits: Limits) -> Harness {
        static SERVER: OnceLock<Redis> = OnceLock::new();
        let redis = SERVER.get_or_init(|| Redis::start_in(OVER_IPV6, &[]));
        engine(&config(redis.address()), rules, limits)
    }

    tidings_core::engine_contract_tests!(make);
}

mod a_cluster_over_ipv6 {
    use super::*;

    fn make(rules: RoomRules, limits: Limits) -> Harness {
        static CLUSTER: OnceLock<Cluster> = OnceLock::new();
        let cluster = CLUSTER.get_or_init(|| Cluster::start_in(OVER_IPV6, None));
        engine(&config(cluster.servers[0].address()), rules, limits)
    }

    tidings_core::engine_contract_tests!(make);
}

/// Where it can be had. Whoever runs the tests is told if it cannot.
mod valkey {
    use super::*;

    const VALKEY: Manner = Manner { program: "valkey-server", host: "127.0.0.1", has_clock: false };

    fn is_missing() -> bool {
        static IS_MISSING: OnceLock<bool> = OnceLock::new();
        *IS_MISSING.get_or_init(|| {
            let is_missing = !is_installed(VALKEY.program);
            if is_missing {
                // Not by a macro, whose words are kept from whoever runs the tests.
                let words = b"SKIPPED: the suite over Valkey, because valkey-server is not installed\n";
                std::io::stderr().write_all(words).unwrap();
            }
            is_missing
        })
    }

    fn make(rules: RoomRules, limits: Limits) -> Harness {
        static SERVER: OnceLock<Redis> = OnceLock::new();
        let server = SERVER.get_or_init(|| Redis::start_in(VALKEY, &[]));
        engine(&config(server.address()), rules, limits)
    }

    tidings_core::engine_contract_tests!(if is_missing() { return } else { make });

    mod a_cluster {
        use super::*;

        fn make(rules: RoomRules, limits: Limits) -> Harness {
            static CLUSTER: OnceLock<Cluster> = OnceLock::new();
            let cluster = CLUSTER.get_or_init(|| Cluster::start_in(VALKEY, None));
            engine(&config(cluster.servers[0].address()), rules, limits)
        }

        tidings_core::engine_contract_tests!(if is_missing() { return } else { make });
    }
}

/// A user who may do what a node needs, and nothing that it does not; and nobody without a password.
fn admit_user(redis: &Redis, more: &[&str]) {
    let rights =
        "on >secret ~ways-* &ways-* -@all +@read +@write +@scripting +@pubsub +@connection -@dangerous";
    let words =
        ["ACL", "SETUSER", "tidings"].into_iter().chain(rights.split(' ')).chain(more.iter().copied());
    assert_eq!(redis.command(&words.collect::<Vec<_>>()), "OK");
    assert_eq!(redis.command(&["ACL", "SETUSER", "default", "off"]), "OK");
}

fn tls_address(redis: &Redis) -> String {
    format!("rediss://tidings:secret@127.0.0.1:{}", redis.tls_port.unwrap())
}

/// An authority of this test's own, and a server's certificate from it. Gives the root.
fn certificates(directory: &Path) -> String {
    let root_key = rcgen::KeyPair::generate().unwrap();
    let mut root = rcgen::CertificateParams::new(Vec::new()).unwrap();
    // A certificate from an authority of its own name would be taken for its own.
    root.distinguished_name.push(rcgen::DnType::CommonName, "the tests' authority");
    root.is_ca = rcgen::IsCa::Ca(rcgen::BasicConstraints::Unconstrained);
    let root_certificate = root.self_signed(&root_key).unwrap();
    let issuer = rcgen::Issuer::new(root, root_key);
    let key = rcgen::KeyPair::generate().unwrap();
    let server = rcgen::CertificateParams::new(vec!["127.0.0.1".to_owned()]).unwrap();
    let certificate = server.signed_by(&key, &issuer).unwrap();
    std::fs::write(directory.join("root.pem"), root_certificate.pem()).unwrap();
    std::fs::write(directory.join("server.pem"), certificate.pem()).unwrap();
    std::fs::write(directory.join("server.key"), key.serialize_pem()).unwrap();
    root_certificate.pem()
}

#[test]
fn a_failover_is_followed_and_nothing_is_said_twice() {
    let mut master = Redis::start(&[]);
    let replica = Redis::start(&["--replicaof", &format!("127.0.0.1 {}", master.port)]);
    wait_for("the replica follows", || {
        replica.command(&["INFO", "replication"]).contains("master_link_status:up")
    });
    let sentinel = Sentinel::of(&master);
    wait_for("the Sentinel knows the replica", || {
        sentinel.ask(&["SENTINEL", "REPLICAS", "chat"]).contains("slave")
    });
    // So that what is acknowledged survives the failover.
    let h = default_engine(&Config { replicas_min: 1, ..config(sentinel.address()) });
    h.enter("r");
    let before: Vec<_> = (0..10).map(|_| h.say("r", "before")).collect();
    h.announced.wait_for(10);
    master.kill();
    wait_for("the replica is the master", || replica.command(&["ROLE"]).starts_with("master"));
    // No second replica is left to wait for.
    let h2 = default_engine(&Config { prefix: "later".to_owned(), ..config(sentinel.address()) });
    h2.enter("r");
    let after = h2.say("r", "after");
    assert_eq!(h2.announced.wait_for(1)[0].id, after);
    wait_for("the old engine found the new master", || h.engine.is_ready());
    let page = h.history("r", MessageId::ZERO);
    let ids: Vec<_> = page.messages.iter().map(|message| message.id).collect();
    assert_eq!(ids[..10], before, "what was acknowledged is there");
}

#[test]
fn a_message_counts_as_stored_once_enough_replicas_have_it() {
    let master = Redis::start(&[]);
    let config = Config { replicas_min: 1, patience: Duration::from_secs(1), ..config(master.address()) };
    let h = default_engine(&config);
    h.enter("r");
    assert_eq!(h.publish(text("r")), Err(EngineError::Unavailable));
    let replica = Redis::start(&["--replicaof", &format!("127.0.0.1 {}", master.port)]);
    wait_for("the replica has it", || h.publish(text("r")).is_ok());
    drop(replica);
}

#[test]
fn a_message_counts_as_stored_once_a_replica_of_its_master_has_it() {
    let mut cluster = Cluster::start();
    let config = Config {
        addresses: cluster.addresses(),
        replicas_min: 1,
        patience: Duration::from_secs(1),
        ..config(String::new())
    };
    let h = default_engine(&config);
    let master = cluster.master_of(cluster.slot_of("r"));
    let others = (0..).map(|number| format!("r-{number}"));
    let other = others.into_iter().find(|room| cluster.master_of(cluster.slot_of(room)) != master).unwrap();
    for room in ["r", &other] {
        h.enter(room);
        wait_for("a replica has it", || h.publish(text(room)).is_ok());
    }
    let replica = cluster.replica_of(master);
    cluster.servers[replica].kill();
    wait_for("nobody has it but the master", || h.publish(text("r")) == Err(EngineError::Unavailable));
    wait_for("the other master's has it", || h.publish(text(&other)).is_ok());
    cluster.servers[replica].launch();
    wait_for("the replica has it", || h.publish(text("r")).is_ok());
}

#[test]
fn a_cluster_with_more_masters_than_may_be_is_used_as_far_as_the_limit_goes() {
    let cluster = Cluster::start();
    let limits = Arc::new(Limits { redis_masters_max: 2, ..Limits::default() });
    let rules = Arc::new(RoomRules::new(Vec::new(), RoomOptions::from_limits(&limits)));
    let hub = Arc::new(Hub::new());
    let config = Config { addresses: cluster.addresses(), ..config(String::new()) };
    let engine = RedisEngine::start(&config, &hub, &rules, &limits, runtime().handle()).unwrap();
    let h = Harness::new(Arc::new(engine), hub);
    wait_for("two masters are spoken with", || {
        let stores = h.engine.stores();
        stores.len() == 2 && stores.iter().all(|store| store.is_up)
    });
    let mut refusals = BTreeMap::new();
    for room in (0..32).map(|number| format!("r-{number}")) {
        let master = cluster.master_of(cluster.slot_of(&room));
        refusals.entry(master).or_insert_with(Vec::new).push(h.publish(text(&room)).err());
    }
    let (refused, taken): (Vec<_>, Vec<_>) =
        refusals.into_values().partition(|answers| answers.contains(&Some(EngineError::Unavailable)));
    assert_eq!((refused.len(), taken.len()), (1, 2));
    assert!(refused.iter().flatten().all(Option::is_some), "none of its rooms is at hand");
    assert!(taken.iter().flatten().all(Option::is_none), "the others are");
    assert!(!h.engine.is_ready());
}
