//! Listening at the addresses of the settings, and the remedy when one cannot be had.

use std::io::{self, ErrorKind};
use std::net::SocketAddr;

use tidings_shard::Listeners;

use crate::exit::Failure;
use crate::settings::Settings;

/// Listens everywhere, or nowhere.
pub(super) fn bind(settings: &Settings) -> Result<Vec<Listeners>, Failure> {
    settings
        .listen
        .iter()
        .map(|&address| {
            tidings_shard::bind(address, settings.shards, &settings.limits)
                .map_err(|error| Failure::unavailable(remedy(address, &error)))
        })
        .collect()
}

fn remedy(address: SocketAddr, error: &io::Error) -> String {
    let port = address.port();
    let advice = match error.kind() {
        ErrorKind::AddrInUse => format!(
            "Somebody listens there already; `ss -ltnp sport = :{port}` says who. \
             Stop it, or choose another address with --listen."
        ),
        ErrorKind::PermissionDenied => {
            format!(
                "Port {port} is for privileged programs: choose one from 1024 on, or grant CAP_NET_BIND_SERVICE."
            )
        }
        ErrorKind::AddrNotAvailable => {
            "This machine has no such address; `ip address` lists those it has.".to_owned()
        }
        _ => "Try: tidings doctor".to_owned(),
    };
    format!("listen {address}: {error}. {advice}")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_address_in_use_is_told_with_the_way_to_find_who_uses_it() {
        let told = remedy("127.0.0.1:8080".parse().unwrap(), &ErrorKind::AddrInUse.into());
        assert!(told.starts_with("listen 127.0.0.1:8080") && told.contains("ss -ltnp"), "{told}");
    }
}
