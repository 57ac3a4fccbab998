//! Where a server is: at an address, or wherever the Sentinels say that the master of a name is.
//!
//! Asked before each connection, so that a failover is followed by connecting anew. Refuses to trust
//! a Sentinel blindly: what it names must call itself a master.

use std::time::Duration;

use redis::{
    AsyncConnectionConfig, Client, ConnectionAddr, IntoConnectionInfo, ProtocolVersion, RedisConnectionInfo,
    RedisError, TlsCertificates,
};

use crate::engine::ConfigError;

/// What addresses of Sentinels begin with.
const SENTINEL: &str = "redis+sentinel://";

/// See the module.
pub(crate) enum Source {
    Address(Client),
    Sentinels { sentinels: Vec<Client>, master: String, settings: RedisConnectionInfo },
}

impl Source {
    /// Reads `redis://…`, `rediss://…` or `redis+sentinel://[user:password@]host:port[,host:port…]/name[/db]`.
    /// `root` is the certificate, in PEM, that a server must have its own from; without it the
    /// machine's roots count.
    pub(crate) fn read(address: &str, root: Option<&[u8]>) -> Result<Self, ConfigError> {
        // The host may be told to others, what stands before it may not.
        let bad = |error: String| ConfigError::BadAddress {
            address: address.rsplit('@').next().unwrap_or_default().to_owned(),
            error,
        };
        match address.strip_prefix(SENTINEL) {
            Some(rest) => Self::sentinels(rest).map_err(bad),
            None => Ok(Self::Address(client(address, root).map_err(|error| bad(error.to_string()))?)),
        }
    }

    fn sentinels(rest: &str) -> Result<Self, String> {
        let (login, rest) = rest.rsplit_once('@').map_or(("", rest), |(login, rest)| (login, rest));
        let (hosts, path) = rest.split_once('/').ok_or("the name of the master is missing")?;
        let (master, db) = path.split_once('/').unwrap_or((path, "0"));
        if master.is_empty() {
            return Err("the name of the master is missing".to_owned());
        }
        let url = match login {
            "" => format!("redis://master/{db}"),
            login => format!("redis://{login}@master/{db}"),
        };
        let info = url.into_connection_info().map_err(|error| error.to_string())?;
        let settings = info.redis_settings().clone().set_protocol(ProtocolVersion::RESP3);
        let sentinels = hosts
            .split(',')
            .map(|host| Client::open(format!("redis://{host}")).map_err(|error| format!("{host}: {error}")))
            .collect::<Result<_, _>>()?;
        Ok(Self::Sentinels { sentinels, master: master.to_owned(), settings })
    }

    /// What the server is called in logs and metrics, and by what its share of the rooms is chosen. It
    /// outlives a failover.
    pub(crate) fn name(&self) -> String {
        match self {
            Self::Address(client) => client.get_connection_info().addr().to_string(),
            Self::Sentinels { master, .. } => master.clone(),
        }
    }

    /// Another member of the same Cluster, at `host:port`; everything else is as for this one. `None` if
    /// that is no address, or this is the way to a master by Sentinels.
    pub(crate) fn beside(&self, address: &str) -> Option<Self> {
        let Self::Address(client) = self else { return None };
        let (host, port) = address.rsplit_once(':')?;
        let (host, port) = (host.trim_matches(['[', ']']).to_owned(), port.parse().ok()?);
        let info = client.get_connection_info().clone();
        let addr = match info.addr().clone() {
            ConnectionAddr::TcpTls { insecure, tls_params, .. } => {
                ConnectionAddr::TcpTls { host, port, insecure, tls_params }
            }
            _ => ConnectionAddr::Tcp(host, port),
        };
        Client::open(info.set_addr(addr)).ok().map(Self::Address)
    }

    /// The server as it can be connected to now.
    pub(crate) async fn find(&self, patience: Duration) -> Result<Client, RedisError> {
        match self {
            Self::Address(client) => Ok(client.clone()),
            Self::Sentinels { sentinels, master, settings } => {
                let mut last = None;
                for sentinel in sentinels {
                    match ask(sentinel, master, settings, patience).await {
                        Ok(client) => return Ok(client),
                        Err(error) => last = Some(error),
                    }
                }
                Err(last.unwrap_or_else(|| no_master("no Sentinel is named")))
            }
        }
    }
}

/// Announcements come as pushes, between the answers.
fn client(address: &str, root: Option<&[u8]>) -> Result<Client, RedisError> {
    let info = address.into_connection_info()?;
    let settings = info.redis_settings().clone().set_protocol(ProtocolVersion::RESP3);
    let info = info.set_redis_settings(settings);
    match root {
        None => Client::open(info),
        Some(root) => {
            let certificates = TlsCertificates { client_tls: None, root_cert: Some(root.to_vec()) };
            Client::build_with_tls(info, certificates)
        }
    }
}

/// One Sentinel's word for where the master is, if that is one.
async fn ask(
    sentinel: &Client,
    master: &str,
    settings: &RedisConnectionInfo,
    patience: Duration,
) -> Result<Client, RedisError> {
    let config = AsyncConnectionConfig::new()
        .set_connection_timeout(Some(patience))
        .set_response_timeout(Some(patience));
    let mut sentinel = sentinel.get_multiplexed_async_connection_with_config(&config).await?;
    let mut question = redis::cmd("SENTINEL");
    question.arg("GET-MASTER-ADDR-BY-NAME").arg(master);
    let answer: Option<(String, u16)> = question.query_async(&mut sentinel).await?;
    let (host, port) = answer.ok_or_else(|| no_master("the Sentinel knows no master of this name"))?;
    let info = (host, port).into_connection_info()?.set_redis_settings(settings.clone());
    let client = Client::open(info)?;
    let mut connection = client.get_multiplexed_async_connection_with_config(&config).await?;
    // Sentinels may be behind: a master that was demoted meanwhile would lead nowhere.
    let role: redis::Value = redis::cmd("ROLE").query_async(&mut connection).await?;
    match role {
        redis::Value::Array(parts)
            if parts.first() == Some(&redis::Value::BulkString(b"master".to_vec())) =>
        {
            Ok(client)
        }
        _ => Err(no_master("what the Sentinel names is no master (any more)")),
    }
}

fn no_master(why: &'static str) -> RedisError {
    RedisError::from((redis::ErrorKind::Io, why))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_server_is_called_by_its_place_or_by_its_masters_name() {
        for (address, name) in [
            ("redis://10.0.0.1:6380/2", "10.0.0.1:6380"),
            ("redis://ana:secret@10.0.0.1:6379", "10.0.0.1:6379"),
            ("redis+sentinel://a:26379,b:26379/chat", "chat"),
            ("redis+sentinel://ana:secret@a:26379/chat/3", "chat"),
        ] {
            assert_eq!(Source::read(address, None).unwrap().name(), name);
        }
    }

    #[test]
    fn another_member_of_a_cluster_is_reached_in_the_same_way() {
        let seed = Source::read("redis://ana:secret@10.0.0.1:7000", None).unwrap();
        assert_eq!(seed.beside("10.0.0.2:7001").unwrap().name(), "10.0.0.2:7001");
        assert_eq!(seed.beside("[::1]:7001").unwrap().name(), "::1:7001");
        let Source::Address(client) = seed.beside("b.example:1").unwrap() else { panic!("an address") };
        assert_eq!(client.get_connection_info().redis_settings().username(), Some("ana"));
        for address in ["", "10.0.0.2", "10.0.0.2:x"] {
            assert!(seed.beside(address).is_none(), "{address}");
        }
        assert!(Source::read("redis+sentinel://a:1/chat", None).unwrap().beside("b:1").is_none());
    }

    #[test]
    fn what_is_no_address_is_refused_without_telling_the_password() {
        for address in [
            "",
            "10.0.0.1",
            "http://ana:secret@a",
            "redis+sentinel://ana:secret@a:26379",
            "redis+sentinel://a:1/",
        ] {
            let error = Source::read(address, None).err().expect("it is no address").to_string();
            assert!(!error.contains("secret"), "{error}");
        }
    }
}
