//! The ways to a Redis server: through Sentinels, by TLS, as a user with a password, with replicas.

#[path = "../support/mod.rs"]
#[allow(dead_code, reason = "the other tests over Redis use the rest")]
mod support;

use std::io::{BufRead, BufReader};
use std::path::Path;
use std::process::{Child, Command, Stdio};
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, OnceLock};
use std::time::Duration;

use support::{Redis, free_port, runtime, wait_for};
use tempfile::TempDir;
use tidings_core::contract::Harness;
use tidings_core::{Engine, EngineError, Hub, Publication, RoomOptions, RoomRules};
use tidings_protocol::{Limits, MessageId, Payload, RoomName};
use tidings_redis::{Beginning, Config, RedisEngine};

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
        static SERVER: OnceLock<(Redis, u16, String, TempDir)> = OnceLock::new();
        let (_, port, root, _) = SERVER.get_or_init(|| {
            let directory = tempfile::tempdir().unwrap();
            let root = certificates(directory.path());
            let port = free_port();
            let file = |name: &str| directory.path().join(name).to_str().unwrap().to_owned();
            let redis = Redis::start(&[
                "--tls-port",
                &port.to_string(),
                "--tls-auth-clients",
                "no",
                "--tls-cert-file",
                &file("server.pem"),
                "--tls-key-file",
                &file("server.key"),
                "--tls-ca-cert-file",
                &file("root.pem"),
            ]);
            // What a node needs, and nothing that it does not.
            let told = redis.command(&[
                "ACL",
                "SETUSER",
                "tidings",
                "on",
                ">secret",
                "~ways-*",
                "&ways-*",
                "-@all",
                "+@read",
                "+@write",
                "+@scripting",
                "+@pubsub",
                "+@connection",
                "-@dangerous",
            ]);
            assert_eq!(told, "OK");
            assert_eq!(redis.command(&["ACL", "SETUSER", "default", "off"]), "OK");
            (redis, port, root, directory)
        });
        let config = Config {
            root_certificate: Some(root.clone().into_bytes()),
            ..config(format!("rediss://tidings:secret@127.0.0.1:{port}"))
        };
        engine(&config, rules, limits)
    }

    /// An authority of this test's own, and a server's certificate from it. Gives the root.
    fn certificates(directory: &Path) -> String {
        let root_key = rcgen::KeyPair::generate().unwrap();
        let mut root = rcgen::CertificateParams::new(Vec::new()).unwrap();
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

    tidings_core::engine_contract_tests!(make);
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
