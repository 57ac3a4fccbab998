//! `docs/settings.md`, made from the flags and the limits, and held against the file.

use std::fmt::Write as _;
use std::path::Path;

use clap::{Args as _, Command};
use tidings_protocol::Limits;

use super::flags::{Flags, flag_name, variable_name};

/// Set to rewrite the page instead of comparing it.
const REWRITE: &str = "TIDINGS_REWRITE_DOCS";

const BEGINNING: &str = "\
# Settings

Made from the flags and `crates/tidings-protocol/src/limits.rs`; change them there.

Every setting has a flag, a variable, and a key in a TOML file. A flag wins over the variable, the variable over the file, the file over the
default. Nothing has to be set. A value that makes no sense ends the start with exit code 64, and the setting, the value and the remedy on stderr.
`tidings doctor` takes the same settings and says whether the machine can carry them.

```toml
# tidings --config tidings.toml
listen = [\"127.0.0.1:8080\", \"[::1]:8080\"]
node = \"ams-1\"

[limits]
connections_max = 20_000
ping_interval_ms = 25_000

# The first pattern that fits a room's name wins; `*` stands for any run of characters.
[[room]]
pattern = \"ticker:*\"
slow_consumer = \"latest\"
history_messages = 10
```

## The node

| flag | variable | in the file | meaning |
|---|---|---|---|
";

const ROOMS: &str = "
Two variables are no settings of the node: `TIDINGS_LOG` says how much is logged to stderr (`warn`, `info`, `debug`, or per module,
`tidings_shard=debug`), `TIDINGS_URL` which server `publish` and `tail` speak to.

## Rooms

Each `[[room]]` table of the file rules the rooms whose names fit its `pattern`. What it leaves out is as the limits say.

| key | meaning |
|---|---|
| `pattern` | the names it is for |
| `slow_consumer` | what happens to a subscriber whose outbox is full: `catch_up` (read the log again when it reads again; the default), `latest` (skip to the newest message of each key), `drop` (drop, and say so with one `gap`), `close` (1013; the client comes back) |
| `history_messages`, `history_bytes`, `history_age_ms` | what the room's log keeps, as the limits beginning with `room_history` |
| `presence_events` | whether members are told who comes and goes (`true`, the default); the list of who is there can be asked for either way |

## Limits

The key in the file is the name below in the table `[limits]`; the flag is the name with dashes, the variable the name in capitals after `TIDINGS_`:
`ping_interval_ms`, `--ping-interval-ms`, `TIDINGS_PING_INTERVAL_MS`. Times are in milliseconds, sizes in bytes, the rest are counts.
";

fn page() -> String {
    let mut page = BEGINNING.to_owned();
    let command = Flags::augment_args(Command::new("serve"));
    let is_limit = |name: &str| Limits::ALL.iter().any(|limit| limit.name == name);
    for flag in command.get_arguments().filter(|flag| !is_limit(flag.get_id().as_str())) {
        let (name, variable) = (flag.get_long().unwrap_or_default(), flag.get_env().unwrap_or_default());
        let key = match name {
            "config" => String::new(),
            "allowed-origin" => "`allowed_origins`".to_owned(),
            "no-io-uring" => "`io_uring = false`".to_owned(),
            "no-compression" => "`compression = false`".to_owned(),
            key => format!("`{key}`"),
        };
        let help = flag.get_help().map(ToString::to_string).unwrap_or_default();
        let variable = variable.to_string_lossy();
        writeln!(page, "| `--{name}` | `{variable}` | {key} | {help} |")
            .expect("writing to a string succeeds");
    }
    page += ROOMS;
    page += &limits();
    page
}

fn limits() -> String {
    let defaults = Limits::default();
    let (mut page, mut section) = (String::new(), "");
    for limit in Limits::ALL {
        if limit.section != section {
            section = limit.section;
            page += &format!(
                "\n### {section}\n\n| limit | default | from | to | meaning |\n|---|---|---|---|---|\n"
            );
        }
        let (least, most) = limit.range;
        let default = defaults.get(limit.name).expect("every limit has a default");
        let help = limit.help.split_whitespace().collect::<Vec<_>>().join(" ");
        page += &format!("| `{}` | {default} | {least} | {most} | {help} |\n", limit.name);
    }
    page
}

#[test]
fn the_page_of_settings_is_current() {
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../docs/settings.md");
    let wanted = page();
    if std::env::var_os(REWRITE).is_some() {
        std::fs::write(&path, &wanted).unwrap();
    }
    let found = std::fs::read_to_string(&path).unwrap_or_default();
    assert!(found == wanted, "docs/settings.md is stale: run {REWRITE}=1 cargo test -p tidings");
}

#[test]
fn flags_and_variables_are_named_as_the_page_says() {
    assert_eq!(flag_name("ping_interval_ms"), "ping-interval-ms");
    assert_eq!(variable_name("ping_interval_ms"), "TIDINGS_PING_INTERVAL_MS");
}
