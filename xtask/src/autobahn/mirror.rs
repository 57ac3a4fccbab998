//! Which Debian mirror this machine uses, read from apt's own settings so that no host name is written down here. It owns
//! nothing, and refuses to guess: without an answer debootstrap takes its own default.

use std::fs;
use std::path::Path;

/// The address of the mirror that serves this machine's own release, if apt names one.
pub(super) fn configured() -> Option<String> {
    let release = fs::read_to_string("/etc/os-release").ok()?;
    let codename =
        release.lines().find_map(|line| line.strip_prefix("VERSION_CODENAME="))?.trim_matches('"').to_owned();
    sources().iter().find_map(|text| address_for(text, &codename))
}

fn sources() -> Vec<String> {
    let mut files = vec![Path::new("/etc/apt/sources.list").to_path_buf()];
    if let Ok(folder) = fs::read_dir("/etc/apt/sources.list.d") {
        files.extend(folder.flatten().map(|entry| entry.path()));
    }
    files.iter().filter_map(|file| fs::read_to_string(file).ok()).collect()
}

/// Finds the address that serves exactly `suite`, in either of apt's two notations.
fn address_for(text: &str, suite: &str) -> Option<String> {
    one_line_style(text, suite).or_else(|| text.split("\n\n").find_map(|stanza| stanza_style(stanza, suite)))
}

/// `deb [options] ADDRESS SUITE COMPONENT…`
fn one_line_style(text: &str, suite: &str) -> Option<String> {
    text.lines().find_map(|line| {
        let rest = line.trim().strip_prefix("deb ")?.trim_start();
        let rest = match rest.strip_prefix('[') {
            Some(options) => options.split_once(']')?.1,
            None => rest,
        };
        let mut words = rest.split_whitespace();
        let address = words.next()?;
        (words.next()? == suite && is_fetched(address)).then(|| address.to_owned())
    })
}

/// `URIs:` and `Suites:`, one stanza for each source.
fn stanza_style(stanza: &str, suite: &str) -> Option<String> {
    let field = |name: &str| stanza.lines().find_map(|line| line.strip_prefix(name));
    let serves_suite = field("Suites:")?.split_whitespace().any(|word| word == suite);
    let address = field("URIs:")?.split_whitespace().find(|address| is_fetched(address))?;
    serves_suite.then(|| address.to_owned())
}

/// `cdrom:` and `mirror+file:` mean nothing to debootstrap.
fn is_fetched(address: &str) -> bool {
    ["http://", "https://", "file:"].iter().any(|scheme| address.starts_with(scheme))
}

#[cfg(test)]
mod tests {
    use super::address_for;

    #[test]
    fn a_stanza_names_the_mirror() {
        let text = "# of old: deb http://old.example/ stable main\nTypes: deb\nURIs: http://mirror.example/debian\n\
                    Suites: bookworm bookworm-updates\nComponents: main\n\nTypes: deb\n\
                    URIs: http://mirror.example/security\nSuites: bookworm-security\n";
        assert_eq!(address_for(text, "bookworm").as_deref(), Some("http://mirror.example/debian"));
        assert_eq!(address_for(text, "bookworm-security").as_deref(), Some("http://mirror.example/security"));
        assert_eq!(address_for(text, "bullseye"), None);
    }

    #[test]
    fn a_line_names_the_mirror_with_or_without_options() {
        let text = "#deb http://no.example trixie main\ndeb cdrom:[disc]/ trixie main\n\
                    deb [arch=amd64 signed-by=/x.gpg] http://tools.example trixie-tools main\n\
                    deb  https://mirror.example/debian trixie main\n";
        assert_eq!(address_for(text, "trixie").as_deref(), Some("https://mirror.example/debian"));
        assert_eq!(address_for(text, "trixie-tools").as_deref(), Some("http://tools.example"));
    }
}
