//! What tests need from outside: Debian packages. It owns how they are installed, asks for each only when it is missing,
//! and refuses to touch a machine on which it may not.

use std::path::Path;

use crate::command::{capture, command, is_installed, root_command, run};
use crate::failure::{Failure, Outcome};

/// How one sees that a package is there already, whoever installed it.
pub(crate) enum Probe {
    /// A program of this name can be run.
    Program(&'static str),
    /// `python3` can import a module of this name.
    PythonModule(&'static str),
}

impl Probe {
    fn finds_it(&self) -> bool {
        match self {
            // Debian keeps the programs of an administrator out of an ordinary user's path.
            Self::Program(name) => is_installed(name) || Path::new("/usr/sbin").join(name).is_file(),
            Self::PythonModule(name) => {
                capture(command("python3", &["-c", &format!("import {name}")])).is_ok()
            }
        }
    }
}

/// Installs each Debian package that its probe does not find.
pub(crate) fn debian_packages(wanted: &[(Probe, &str)]) -> Outcome {
    let missing: Vec<&str> =
        wanted.iter().filter(|(probe, _)| !probe.finds_it()).map(|(_, package)| *package).collect();
    if missing.is_empty() {
        return Ok(());
    }
    let names = missing.join(" ");
    if !is_installed("apt-get") {
        return Err(Failure::new(format!(
            "missing, and no apt-get to install them: {names}. Install them by hand"
        )));
    }
    twice(|| install(&missing)).map_err(|failure| failure.while_doing(&format!("could not install {names}")))
}

/// Installs a Debian package that not every version of Debian has, unless its probe finds it.
pub(crate) fn debian_package_if_offered(probe: &Probe, package: &str) -> Outcome {
    if probe.finds_it() {
        return Ok(());
    }
    let candidates = capture(command("apt-cache", &["madison", package])).unwrap_or_default();
    if candidates.trim().is_empty() {
        return Err(Failure::new(format!("no {package} is installed, and apt offers none")));
    }
    install(&[package]).map_err(|failure| failure.while_doing(&format!("could not install {package}")))
}

/// Does something that reaches a registry once more if it failed: one that stumbles once is common.
pub(crate) fn twice(attempt: impl Fn() -> Outcome) -> Outcome {
    attempt().or_else(|failure| {
        eprintln!("{failure}\ntrying once more");
        attempt()
    })
}

fn install(packages: &[&str]) -> Outcome {
    run(root_command("apt-get", &["update", "--quiet=2"])?)?;
    let mut words = vec!["DEBIAN_FRONTEND=noninteractive", "apt-get", "install", "--yes", "--quiet=2"];
    words.push("--no-install-recommends");
    words.extend(packages);
    run(root_command("env", &words)?)
}
