//! Where a server is: host, port and path, read from a `ws://` or `http://` URL. Refuses TLS schemes rather than
//! speaking in the clear to a server that was asked for in secret.

use std::fmt;
use std::net::{TcpStream, ToSocketAddrs as _};
use std::time::Duration;

use crate::error::{Error, Result};

/// A server's address.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Address {
    host: String,
    port: u16,
    path: String,
}

impl Address {
    /// Reads `ws://HOST[:PORT][/PATH]` or the same with `http://`, or bare `HOST:PORT`. The port defaults to 80.
    pub fn parse(text: &str) -> Result<Self> {
        let refuse = |reason| Error::Address { address: text.to_owned(), reason };
        let rest = match text.split_once("://") {
            None => text,
            Some(("ws" | "http", rest)) => rest,
            Some(("wss" | "https", _)) => {
                return Err(refuse(
                    "TLS is not spoken by this client; use ws:// to a server or proxy nearby",
                ));
            }
            Some(_) => return Err(refuse("use ws:// or http://")),
        };
        let path_start = rest.find(['/', '?']).unwrap_or(rest.len());
        let (authority, path) = rest.split_at(path_start);
        let (host, port) = split_authority(authority).map_err(refuse)?;
        let path = if path.starts_with('/') { path.to_owned() } else { format!("/{path}") };
        Ok(Self { host: host.to_owned(), port, path })
    }

    /// The same server, another path.
    pub fn with_path(&self, path: impl Into<String>) -> Self {
        Self { path: path.into(), ..self.clone() }
    }

    /// Path and query, beginning with `/`.
    pub fn path(&self) -> &str {
        &self.path
    }

    /// Host and port, as the `Host` header names them.
    pub fn authority(&self) -> String {
        match self.host.contains(':') {
            true => format!("[{}]:{}", self.host, self.port),
            false => format!("{}:{}", self.host, self.port),
        }
    }

    /// Opens a TCP connection, trying each of the host's addresses for at most `timeout`.
    pub(crate) fn open(&self, timeout: Duration) -> Result<TcpStream> {
        let unreachable = |source| Error::Unreachable { authority: self.authority(), source };
        let mut last = std::io::Error::new(std::io::ErrorKind::NotFound, "the host has no address");
        for address in (self.host.as_str(), self.port).to_socket_addrs().map_err(unreachable)? {
            match TcpStream::connect_timeout(&address, timeout) {
                Ok(stream) => {
                    stream.set_nodelay(true)?;
                    return Ok(stream);
                }
                Err(error) => last = error,
            }
        }
        Err(unreachable(last))
    }
}

fn split_authority(authority: &str) -> std::result::Result<(&str, u16), &'static str> {
    let (host, port) = match authority.strip_prefix('[') {
        Some(rest) => {
            let (host, after) = rest.split_once(']').ok_or("the bracket of an IPv6 address is not closed")?;
            (host, after.strip_prefix(':'))
        }
        None => match authority.rsplit_once(':') {
            Some((host, port)) => (host, Some(port)),
            None => (authority, None),
        },
    };
    if host.is_empty() {
        return Err("the host is missing");
    }
    let port = port.map_or(Ok(80), |port| port.parse().map_err(|_| "the port is no number up to 65535"))?;
    Ok((host, port))
}

impl fmt::Display for Address {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "http://{}{}", self.authority(), self.path)
    }
}

#[cfg(test)]
mod tests {
    use super::Address;

    #[test]
    fn addresses_are_read_as_people_write_them() {
        for (text, authority, path) in [
            ("ws://127.0.0.1:8080", "127.0.0.1:8080", "/"),
            ("http://localhost:8080/ws/lobby?x=1", "localhost:8080", "/ws/lobby?x=1"),
            ("localhost:9", "localhost:9", "/"),
            ("ws://example", "example:80", "/"),
            ("ws://[::1]:7/ws", "[::1]:7", "/ws"),
            ("http://host?token=a", "host:80", "/?token=a"),
        ] {
            let address = Address::parse(text).unwrap();
            assert_eq!((address.authority().as_str(), address.path()), (authority, path), "{text}");
        }
    }

    #[test]
    fn addresses_that_cannot_work_are_refused_with_the_reason() {
        for (text, reason) in [
            ("wss://host", "TLS"),
            ("ftp://host", "use ws://"),
            ("ws://:80", "host is missing"),
            ("ws://host:eighty", "port"),
            ("ws://[::1", "bracket"),
        ] {
            let message = Address::parse(text).unwrap_err().to_string();
            assert!(message.contains(reason), "{text}: {message}");
        }
    }
}
