//! A Redis server for a run: started on a free port, nothing on disk, killed with the run. What it did is the kernel's count
//! and its own.

use std::io::{self, BufRead, BufReader, Read, Write};
use std::net::{SocketAddr, TcpListener, TcpStream};
use std::process::{Child, Command, Stdio};
use std::thread;
use std::time::{Duration, Instant};

use crate::bench::machine::cpu_time;

/// How long it may take to answer, also the first time.
const PATIENCE: Duration = Duration::from_secs(10);
const LOOK: Duration = Duration::from_millis(20);

/// See the module.
#[derive(Debug)]
pub(crate) struct RedisServer {
    child: Child,
    address: SocketAddr,
    line: Option<BufReader<TcpStream>>,
}

/// What a server has done.
#[derive(Debug, Clone, Copy, Default)]
pub(crate) struct RedisWork {
    pub(crate) cpu_ns: u64,
    /// Scripts it ran: each message is one.
    pub(crate) scripts: u64,
}

impl RedisServer {
    pub(crate) fn start() -> io::Result<Self> {
        // Somebody else may take the port in between; then the server ends, and that is said.
        let address = TcpListener::bind(("127.0.0.1", 0))?.local_addr()?;
        let child = Command::new("redis-server")
            .args(["--port", &address.port().to_string(), "--bind", "127.0.0.1"])
            .args(["--save", "", "--appendonly", "no", "--dir", "/"])
            .stdin(Stdio::null())
            .stdout(Stdio::null())
            .stderr(Stdio::null())
            .spawn()
            .map_err(|error| io::Error::other(format!("redis-server cannot be started: {error}")))?;
        let mut server = Self { child, address, line: None };
        let deadline = Instant::now() + PATIENCE;
        while server.info("server").is_err() {
            if Instant::now() > deadline || server.child.try_wait()?.is_some() {
                return Err(io::Error::other(format!("redis-server does not answer at {address}")));
            }
            thread::sleep(LOOK);
        }
        Ok(server)
    }

    pub(crate) fn url(&self) -> String {
        format!("redis://{}", self.address)
    }

    pub(crate) fn process(&self) -> u32 {
        self.child.id()
    }

    pub(crate) fn work(&mut self) -> io::Result<RedisWork> {
        let scripts = scripts_of(&self.info("commandstats")?);
        Ok(RedisWork { cpu_ns: cpu_time(self.process())?.total_ns, scripts })
    }

    /// A section of what it says of itself.
    fn info(&mut self, section: &str) -> io::Result<String> {
        let answer = self.ask(&format!("INFO {section}\r\n"));
        if answer.is_err() {
            self.line = None;
        }
        answer
    }

    /// Asks what is answered with one string.
    fn ask(&mut self, command: &str) -> io::Result<String> {
        let line = match &mut self.line {
            Some(line) => line,
            none => {
                let stream = TcpStream::connect_timeout(&self.address, PATIENCE)?;
                stream.set_read_timeout(Some(PATIENCE))?;
                none.insert(BufReader::new(stream))
            }
        };
        line.get_mut().write_all(command.as_bytes())?;
        let mut head = String::new();
        line.read_line(&mut head)?;
        let length = head.strip_prefix('$').and_then(|digits| digits.trim_end().parse::<usize>().ok());
        let length =
            length.ok_or_else(|| io::Error::other(format!("redis-server says {:?}", head.trim_end())))?;
        let mut text = vec![0; length + 2];
        line.read_exact(&mut text)?;
        Ok(String::from_utf8_lossy(&text[..length]).into_owned())
    }
}

impl Drop for RedisServer {
    fn drop(&mut self) {
        // It may have ended by itself; either way there is nothing left to do about it.
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

impl RedisWork {
    pub(crate) fn since(self, before: Self) -> Self {
        Self {
            cpu_ns: self.cpu_ns.saturating_sub(before.cpu_ns),
            scripts: self.scripts.saturating_sub(before.scripts),
        }
    }
}

/// Reads `cmdstat_evalsha:calls=3,usec=…`. The line is not there before the first call.
fn scripts_of(page: &str) -> u64 {
    let calls = page.lines().find_map(|line| line.strip_prefix("cmdstat_evalsha:calls="));
    calls.and_then(|rest| rest.split(',').next()?.parse().ok()).unwrap_or(0)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn scripts_are_found_among_the_commands() {
        let page = "# Commandstats\r\ncmdstat_get:calls=4,usec=9,failed_calls=0\r\ncmdstat_evalsha:calls=3,usec=1\r\n";
        assert_eq!(scripts_of(page), 3);
        assert_eq!(scripts_of("# Commandstats\r\n"), 0);
    }
}
