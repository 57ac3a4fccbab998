//! The Debian 11 tree in which the suite lives: it is written in Python 2, which no current system has. It owns
//! `target/autobahn/tree`, makes it once, and refuses to leave a half-made one in its place.

use std::fs::{self, File};
use std::path::{Path, PathBuf};
use std::process::Command;

use super::mirror;
use crate::command::{capture, root_command, run_as_root, run_into_log};
use crate::failure::Outcome;
use crate::install::{self, Probe};
use crate::places::text;

const REQUIREMENTS: &str = include_str!("requirements.txt");
/// A compiler too, for `wsaccel`: with masking and UTF-8 in C instead of Python the suite runs five times as fast.
const PACKAGES: &str =
    "python2.7,python-pip-whl,python-setuptools,ca-certificates,gcc,libc6-dev,libpython2.7-dev";
/// The last pip for Python 2, as Debian 11 ships it.
const PIP: &str = "/usr/share/python-wheels/pip-20.3.4-py2.py3-none-any.whl/pip";
const CERTIFICATES: &str = "/etc/ssl/certs/ca-certificates.crt";
/// Settings of pip and of the way to the registry, handed on to the pip inside.
const HANDED_ON: [&str; 7] = [
    "PIP_INDEX_URL",
    "PIP_EXTRA_INDEX_URL",
    "PIP_TRUSTED_HOST",
    "http_proxy",
    "https_proxy",
    "HTTPS_PROXY",
    "no_proxy",
];

/// A finished tree, held by one run at a time.
pub(super) struct Tree {
    root: PathBuf,
    _lock: File,
}

impl Tree {
    /// The tree in `folder`, made if it is not there or was made for other versions. The failure says why it cannot be had.
    pub(super) fn had_in(folder: &Path) -> Outcome<Self> {
        fs::create_dir_all(folder)?;
        let lock = File::create(folder.join("lock"))?;
        lock.lock()?;
        let tree = Self { root: folder.join("tree"), _lock: lock };
        if !tree.is_current() {
            make(folder, &tree.root)
                .map_err(|failure| failure.while_doing("the Debian 11 tree cannot be had"))?;
        }
        Ok(tree)
    }

    /// A path inside the tree as the host sees it.
    pub(super) fn host_path(&self, inside: &str) -> PathBuf {
        self.root.join(inside.trim_start_matches('/'))
    }

    /// A program inside the tree, with a clean environment and the machine's own network.
    pub(super) fn command(&self, words: &[&str]) -> Outcome<Command> {
        command_in(&self.root, &[], words)
    }

    fn is_current(&self) -> bool {
        fs::read_to_string(stamp(&self.root)).is_ok_and(|made_for| made_for == REQUIREMENTS)
    }
}

fn make(folder: &Path, root: &Path) -> Outcome {
    install::debian_packages(&[(Probe::Program("debootstrap"), "debootstrap")])?;
    let partial = folder.join("tree.partial");
    let log = folder.join("tree.log");
    run_as_root("rm", &["-rf", text(&partial), text(root)])?;
    eprintln!("making a Debian 11 tree with Python 2.7: once, about two minutes, told in {}", log.display());
    debootstrap(&partial, &log)?;
    lend_settings(&partial)?;
    eprintln!("installing the suite into it");
    install_suite(&partial, &log)?;
    run_as_root(
        "rm",
        &["-rf", text(&partial.join("var/cache/apt")), text(&partial.join("var/lib/apt/lists"))],
    )?;
    run_as_root("mv", &[text(&partial), text(root)])
}

fn debootstrap(root: &Path, log: &Path) -> Outcome {
    let include = format!("--include={PACKAGES}");
    let mut arguments = vec!["--variant=minbase", &include, "bullseye", text(root)];
    let mirror = mirror::configured();
    arguments.extend(mirror.as_deref());
    run_into_log(root_command("debootstrap", &arguments)?, log)
}

/// The registry is reached from inside as it is from outside: same certificates, names and pip settings.
fn lend_settings(root: &Path) -> Outcome {
    let home = std::env::var("HOME").unwrap_or_default();
    let pairs = [
        (CERTIFICATES.to_owned(), CERTIFICATES),
        ("/etc/resolv.conf".to_owned(), "/etc/resolv.conf"),
        ("/etc/hosts".to_owned(), "/etc/hosts"),
        ("/etc/pip.conf".to_owned(), "/etc/pip.conf"),
        (format!("{home}/.config/pip/pip.conf"), "/etc/pip.conf"),
    ];
    for (from, to) in pairs.iter().filter(|(from, _)| Path::new(from).is_file()) {
        run_as_root("cp", &["-L", from, text(&root.join(to.trim_start_matches('/')))])?;
    }
    Ok(())
}

fn install_suite(root: &Path, log: &Path) -> Outcome {
    let requirements = log.with_file_name("requirements.txt");
    fs::write(&requirements, REQUIREMENTS)?;
    run_as_root("cp", &[text(&requirements), text(&root.join("requirements.txt"))])?;
    let mut settings = vec![format!("PIP_CERT={CERTIFICATES}"), "PIP_NO_CACHE_DIR=1".to_owned()];
    settings
        .extend(HANDED_ON.iter().filter_map(|name| Some(format!("{name}={}", std::env::var(name).ok()?))));
    let pip =
        ["python2.7", PIP, "--no-python-version-warning", "install", "--no-deps", "-r", "/requirements.txt"];
    run_into_log(command_in(root, &settings, &pip)?, log)?;
    let version = capture(command_in(root, &[], &["wstest", "--autobahnversion"])?)?;
    eprintln!("{}", version.trim());
    run_as_root("cp", &[text(&requirements), text(&stamp(root))])
}

fn command_in(root: &Path, settings: &[String], words: &[&str]) -> Outcome<Command> {
    let mut arguments = vec![
        text(root),
        "env",
        "-i",
        "HOME=/root",
        "PYTHONUNBUFFERED=1",
        "PATH=/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin",
    ];
    arguments.extend(settings.iter().map(String::as_str));
    arguments.extend(words);
    root_command("chroot", &arguments)
}

/// Says for which versions the tree was made; written last, so a tree without it is not finished.
fn stamp(root: &Path) -> PathBuf {
    root.join("made-for.txt")
}
