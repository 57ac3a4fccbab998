//! Nodes of one cluster, as real processes.

use std::process::Command;
use std::sync::{Arc, Mutex};

use rustix::process::Signal;
use tidings_client::{Address, http};

use crate::process::Process;
use crate::redis::store::Store;
use crate::redis::{Redis, wait_for};

/// A cluster of nodes. Others may ask for their addresses while nodes are started again.
pub(crate) struct Nodes {
    processes: Vec<Option<Process>>,
    urls: Arc<Mutex<Vec<String>>>,
    flags: Vec<String>,
}

impl Nodes {
    /// So many nodes over these servers.
    pub(crate) fn start(count: usize, servers: &[Redis], flags: &[&str]) -> Self {
        let addresses: Vec<_> = servers.iter().map(Redis::address).collect();
        Self::around(count, &addresses, flags)
    }

    /// So many nodes that are given these addresses.
    pub(crate) fn around(count: usize, addresses: &[String], flags: &[&str]) -> Self {
        let mut all = vec!["--engine".to_owned(), "redis".to_owned()];
        all.extend(addresses.iter().flat_map(|address| ["--redis".to_owned(), address.clone()]));
        all.extend(flags.iter().map(|&flag| flag.to_owned()));
        Self::with(count, all)
    }

    /// So many nodes over this store.
    pub(crate) fn over(count: usize, store: &Store) -> Self {
        Self::with(count, store.flags())
    }

    fn with(count: usize, flags: Vec<String>) -> Self {
        let mut nodes = Self { processes: Vec::new(), urls: Arc::default(), flags };
        for index in 0..count {
            nodes.processes.push(None);
            nodes.urls().push(String::new());
            nodes.launch(index);
        }
        nodes
    }

    pub(crate) fn launch(&mut self, index: usize) {
        let flags: Vec<_> = self.flags.iter().map(String::as_str).collect();
        let (process, url) = Process::node(&flags);
        self.processes[index] = Some(process);
        self.urls()[index] = url;
    }

    /// Starts a node again, with a clock that is hours behind.
    pub(crate) fn launch_with_clock_set_back(&mut self, index: usize, hours: u32) {
        let output = Command::new("faketime").args(["-f", &format!("-{hours}h"), "env"]).output();
        let output = output.expect("faketime is missing: run cargo xtask test, or apt-get install faketime");
        let text = String::from_utf8_lossy(&output.stdout).into_owned();
        let mut environment = vec![("FAKETIME_DONT_FAKE_MONOTONIC", "1")];
        let pairs = text.lines().filter_map(|line| line.split_once('='));
        environment.extend(pairs.filter(|(name, _)| ["LD_PRELOAD", "FAKETIME"].contains(name)));
        assert_eq!(environment.len(), 3, "faketime says how: {text}");
        let mut words = vec!["serve", "--listen", "127.0.0.1:0", "--shards", "1"];
        words.extend(self.flags.iter().map(String::as_str));
        let process = Process::with_environment(&words, &environment);
        let url = process.url();
        self.processes[index] = Some(process);
        self.urls()[index] = url;
    }

    /// `kill -9`.
    pub(crate) fn kill(&mut self, index: usize) {
        drop(self.processes[index].take());
    }

    pub(crate) fn signal(&self, index: usize, signal: Signal) {
        self.processes[index].as_ref().expect("it runs").signal(signal);
    }

    pub(crate) fn take(&mut self, index: usize) -> Process {
        self.processes[index].take().expect("it runs")
    }

    pub(crate) fn url(&self, index: usize) -> String {
        self.urls()[index].clone()
    }

    pub(crate) fn addresses(&self) -> Arc<Mutex<Vec<String>>> {
        Arc::clone(&self.urls)
    }

    fn urls(&self) -> std::sync::MutexGuard<'_, Vec<String>> {
        self.urls.lock().unwrap()
    }

    fn get(&self, index: usize, path: &str) -> http::Response {
        http::get(&Address::parse(&self.url(index)).unwrap().with_path(path)).unwrap()
    }

    pub(crate) fn is_ready(&self, index: usize) -> bool {
        self.get(index, "/ready").status == 200
    }

    pub(crate) fn wait_until_ready(&self) {
        for index in (0..self.processes.len()).filter(|&index| self.processes[index].is_some()) {
            wait_for("the node is ready", || self.is_ready(index));
        }
    }

    /// The sum of a metric over its labels.
    pub(crate) fn metric(&self, index: usize, name: &str) -> f64 {
        let page = self.get(index, "/metrics").text();
        let lines = page.lines().filter(|line| {
            line.strip_prefix(name).is_some_and(|rest| rest.starts_with('{') || rest.starts_with(' '))
        });
        lines.filter_map(|line| line.rsplit(' ').next()?.parse::<f64>().ok()).sum()
    }
}

/// Publishes a text by `POST`; its id, or the answer that refused it.
pub(crate) fn publish(url: &str, room: &str, text: &str) -> Result<u64, String> {
    let path = format!("/rooms/{}/messages", http::encode_component(room));
    let address = Address::parse(url).map_err(|error| error.to_string())?.with_path(&path);
    let body = format!(r#"{{"text":"{text}"}}"#);
    let answer =
        http::post(&address, "application/json", body.as_bytes()).map_err(|error| error.to_string())?;
    let text = answer.text();
    let id = text
        .split(r#""id":"#)
        .nth(1)
        .and_then(|rest| rest.split(|sign: char| !sign.is_ascii_digit()).next()?.parse().ok());
    id.filter(|_| answer.status == 200).ok_or(text)
}
