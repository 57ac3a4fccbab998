//! What tests need from outside: Debian packages. It owns how they are installed, asks for each only when its program is
//! missing, and refuses to touch a machine on which it may not.

use crate::command::{self, is_installed, root_command, run};
use crate::failure::{Failure, Outcome};

/// Installs each Debian package whose program (the first of the pair) is not on the search path. Tried twice, because a
/// mirror that stumbles once is common.
pub(crate) fn debian_packages(wanted: &[(&str, &str)]) -> Outcome {
    let missing: Vec<&str> =
        wanted.iter().filter(|(program, _)| !has(program)).map(|(_, package)| *package).collect();
    if missing.is_empty() {
        return Ok(());
    }
    let names = missing.join(" ");
    if !is_installed("apt-get") {
        return Err(Failure::new(format!(
            "missing: {names}; this machine has no apt-get, so install them by hand"
        )));
    }
    install(&missing).or_else(|_| install(&missing)).map_err(|failure| {
        failure.while_doing(&format!("these Debian packages could not be installed: {names}"))
    })
}

/// Debian keeps the programs of an administrator out of an ordinary user's path.
fn has(program: &str) -> bool {
    is_installed(program) || std::path::Path::new("/usr/sbin").join(program).is_file()
}

fn install(packages: &[&str]) -> Outcome {
    run(command::root_command("apt-get", &["update", "--quiet=2"])?)?;
    let mut words = vec!["DEBIAN_FRONTEND=noninteractive", "apt-get", "install", "--yes", "--quiet=2"];
    words.push("--no-install-recommends");
    words.extend(packages);
    run(root_command("env", &words)?)
}
