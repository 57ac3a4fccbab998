//! What is right and wrong about a server's settings, and what to do.
//!
//! Pure: what was found is passed in. Refuses a complaint without a remedy.

use super::{ClusterFindings, Findings};
use crate::slots::SLOTS;

/// The oldest version that has all the scripts use.
const VERSION_MIN: (u64, u64) = (7, 0);

/// Clocks that differ by more make times of messages, and what counts as expired, visibly differ by node.
const CLOCK_DIFFERENCE_MS: u64 = 1_000;

/// Redis' own default for the most that waits for one subscriber.
const PUBSUB_BUFFER_BYTES: u64 = 32 << 20;

/// How good what was found is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Grade {
    /// As it should be.
    Good,
    /// It works, but something may be lost, or go worse than expected.
    Doubtful,
    /// It does not work.
    Unfit,
}

/// One check.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Verdict {
    /// What was looked at.
    pub name: &'static str,
    /// How good it is.
    pub grade: Grade,
    /// What was found.
    pub found: String,
    /// What to do; empty if nothing.
    pub remedy: String,
}

/// What the node's settings ask of the server.
#[derive(Debug, Clone, Copy)]
pub struct Needs {
    /// The largest message.
    pub message_bytes_max: u64,
    /// How long rooms keep messages.
    pub history_age_ms: u64,
}

impl Verdict {
    fn good(name: &'static str, found: impl Into<String>) -> Self {
        Self { name, grade: Grade::Good, found: found.into(), remedy: String::new() }
    }

    fn doubtful(name: &'static str, found: impl Into<String>, remedy: impl Into<String>) -> Self {
        Self { name, grade: Grade::Doubtful, found: found.into(), remedy: remedy.into() }
    }

    fn unfit(name: &'static str, found: impl Into<String>, remedy: impl Into<String>) -> Self {
        Self { name, grade: Grade::Unfit, found: found.into(), remedy: remedy.into() }
    }

    fn unknown(name: &'static str, setting: &str) -> Self {
        let found = format!("cannot be read: the server does not let this user ask for {setting}");
        Self::doubtful(name, found, "look at it where the server is administered")
    }

    pub(super) fn unreachable(why: &str) -> Self {
        let remedy =
            "check that it runs, the password, and that this machine may reach it; the messages say which";
        Self::unfit("redis_reachable", why, remedy)
    }
}

/// All checks of a server that answers.
pub(super) fn judge(findings: &Findings, needs: &Needs) -> Vec<Verdict> {
    vec![
        Verdict::good("redis_reachable", "answers"),
        of_version(findings),
        of_cluster(findings),
        of_role(findings),
        of_persistence(findings),
        of_memory(findings),
        of_eviction(findings),
        of_subscribers(findings, needs),
        of_clock(findings, needs),
    ]
}

fn of_version(findings: &Findings) -> Verdict {
    const NAME: &str = "redis_version";
    let Some(version) = &findings.version else { return Verdict::unknown(NAME, "INFO") };
    let found = match &findings.valkey_version {
        Some(valkey) => format!("Valkey {valkey}, compatible with Redis {version}"),
        None => format!("Redis {version}"),
    };
    let mut numbers = version.split('.').map(|number| number.parse().unwrap_or(0));
    let number = (numbers.next().unwrap_or(0), numbers.next().unwrap_or(0));
    match number >= VERSION_MIN {
        true => Verdict::good(NAME, found),
        false => Verdict::unfit(NAME, found, "install Redis 7.0 or newer, or Valkey"),
    }
}

fn of_cluster(findings: &Findings) -> Verdict {
    const NAME: &str = "redis_cluster";
    match findings.is_cluster {
        None => Verdict::unknown(NAME, "INFO"),
        Some(false) => Verdict::good(NAME, "cluster-enabled no"),
        Some(true) => of_members(NAME, findings.cluster.as_ref()),
    }
}

fn of_members(name: &'static str, cluster: Option<&ClusterFindings>) -> Verdict {
    let Some(ClusterFindings { state: Some(state), slots_ok: Some(slots), replicas }) = cluster else {
        return Verdict::unknown(name, "CLUSTER INFO");
    };
    let masters = replicas.len();
    let found = format!("a Cluster in state {state}, {masters} masters, {slots} of {SLOTS} slots served");
    if state != "ok" || *slots != SLOTS as u64 {
        let remedy = "redis-cli --cluster check says what is missing, and --cluster fix mends it";
        return Verdict::unfit(name, found, remedy);
    }
    let alone: Vec<_> =
        replicas.iter().filter(|(_, replicas)| *replicas == 0).map(|(master, _)| &**master).collect();
    match alone.is_empty() {
        true => Verdict::good(name, found),
        false => Verdict::doubtful(
            name,
            format!("{found}; without a replica: {}. If one dies, its rooms are away", alone.join(", ")),
            "redis-cli --cluster add-node … --cluster-slave",
        ),
    }
}

fn of_role(findings: &Findings) -> Verdict {
    const NAME: &str = "redis_role";
    match findings.is_replica {
        None => Verdict::unknown(NAME, "INFO"),
        // Any member leads to all masters.
        Some(true) if findings.is_cluster == Some(true) => Verdict::good(NAME, "is a replica in a Cluster"),
        Some(false) => Verdict::good(NAME, "is a master"),
        Some(true) => Verdict::unfit(
            NAME,
            "is a replica, which takes no messages",
            "name its master, or the Sentinels that know it: redis+sentinel://host:26379/name",
        ),
    }
}

fn of_persistence(findings: &Findings) -> Verdict {
    const NAME: &str = "redis_persistence";
    let remedy = "CONFIG SET appendonly yes, and the same in redis.conf";
    match (findings.appendonly, &findings.appendfsync, &findings.save) {
        (Some(true), Some(sync), _) if sync == "no" => Verdict::doubtful(
            NAME,
            "appendonly yes, appendfsync no: a crash of the machine loses what the system had not written, \
             usually half a minute",
            "CONFIG SET appendfsync everysec, and the same in redis.conf",
        ),
        (Some(true), Some(sync), _) if sync == "always" => {
            Verdict::good(NAME, "appendonly yes, appendfsync always: a restart loses nothing")
        }
        (Some(true), _, _) => Verdict::good(
            NAME,
            "appendonly yes: a restart loses nothing, a crash of the machine at most about two seconds",
        ),
        (Some(false), _, Some(save)) if save.is_empty() => Verdict::doubtful(
            NAME,
            "appendonly no, and no snapshots: a restart loses every room's history and the sessions of clients that are away; \
             clients are told by gap",
            remedy,
        ),
        (Some(false), _, Some(save)) => Verdict::doubtful(
            NAME,
            format!(
                "appendonly no, snapshots (save {save}): a restart in order loses nothing, a crash what came \
                 since the last snapshot; clients are told by gap"
            ),
            remedy,
        ),
        (Some(false), _, None) => {
            Verdict::doubtful(NAME, "appendonly no: a crash loses at least what is newest", remedy)
        }
        (None, _, _) => Verdict::unknown(NAME, "INFO"),
    }
}

fn of_memory(findings: &Findings) -> Verdict {
    const NAME: &str = "redis_memory";
    match findings.maxmemory_bytes {
        None => Verdict::unknown(NAME, "INFO"),
        Some(0) => Verdict::doubtful(
            NAME,
            "maxmemory 0: what is kept grows until the system ends Redis",
            "set maxmemory to about two thirds of the machine's memory: snapshots and buffers take the rest",
        ),
        Some(bytes) => Verdict::good(NAME, format!("maxmemory {} MiB", bytes >> 20)),
    }
}

/// Every key that may be evicted is a room's history, a place in it, a session, or what keeps a
/// repeated message from being stored twice. A write that is refused is told to who made it, and to
/// nobody else.
fn of_eviction(findings: &Findings) -> Verdict {
    const NAME: &str = "redis_eviction";
    let Some(policy) = &findings.maxmemory_policy else { return Verdict::unknown(NAME, "INFO") };
    let found = format!("maxmemory-policy {policy}");
    let remedy = "CONFIG SET maxmemory-policy noeviction, and the same in redis.conf: a full server then refuses \
                  new messages instead of losing old ones";
    let loses = match policy.as_str() {
        "noeviction" => return Verdict::good(NAME, found),
        // Rooms and sessions that are away have a time to live, so they go first.
        policy if policy.starts_with("volatile-") => "rooms' histories, sessions and idempotency keys",
        _ => "rooms' histories, sessions, and what the nodes know of each other",
    };
    match findings.maxmemory_bytes {
        Some(0) => {
            Verdict::doubtful(NAME, format!("{found}: with a maxmemory it would lose {loses}"), remedy)
        }
        _ if policy.starts_with("volatile-") => {
            Verdict::doubtful(NAME, format!("{found}: a full server loses {loses}"), remedy)
        }
        _ => Verdict::unfit(NAME, format!("{found}: a full server loses {loses}"), remedy),
    }
}

fn of_subscribers(findings: &Findings, needs: &Needs) -> Verdict {
    const NAME: &str = "redis_pubsub";
    let Some(all) = &findings.output_buffers else { return Verdict::unknown(NAME, "CONFIG") };
    let words: Vec<_> = all.split_whitespace().collect();
    let of_pubsub = words.windows(4).find(|words| words[0] == "pubsub");
    let numbers = of_pubsub.map(|words| [1, 2, 3].map(|index| words[index].parse::<u64>().ok()));
    let Some([Some(hard), Some(soft), Some(seconds)]) = numbers else {
        return Verdict::unknown(NAME, "CONFIG");
    };
    let found = format!("client-output-buffer-limit pubsub {hard} {soft} {seconds}");
    let remedy =
        "CONFIG SET client-output-buffer-limit 'pubsub 33554432 8388608 60', and the same in redis.conf";
    let least = [hard, soft].into_iter().filter(|&bytes| bytes > 0).min();
    match least {
        Some(least) if least <= needs.message_bytes_max => {
            Verdict::unfit(NAME, format!("{found}: one largest message ends a node's connection"), remedy)
        }
        Some(_) if hard > 0 && hard < PUBSUB_BUFFER_BYTES => Verdict::doubtful(
            NAME,
            format!("{found}: a burst ends a node's connection, and it reads all its rooms again"),
            remedy,
        ),
        Some(_) if hard > 0 => Verdict::good(NAME, found),
        _ => {
            Verdict::doubtful(NAME, format!("{found}: a node that hangs uses up the server's memory"), remedy)
        }
    }
}

/// Redis' clock is asked for nothing, but all nodes compare theirs with it here, and so with each other.
fn of_clock(findings: &Findings, needs: &Needs) -> Verdict {
    const NAME: &str = "redis_clock";
    let Some(ahead) = findings.clock_ahead_ms else { return Verdict::unknown(NAME, "TIME") };
    let difference = ahead.unsigned_abs();
    let side = if ahead < 0 { "behind" } else { "before" };
    let found = format!("{difference} ms {side} this machine's");
    let remedy = "let both machines keep their time, as with chrony";
    if difference <= CLOCK_DIFFERENCE_MS {
        Verdict::good(NAME, found)
    } else if difference < needs.history_age_ms {
        let found = format!("{found}: if other nodes agree with it, their messages expire at another time");
        Verdict::doubtful(NAME, found, remedy)
    } else {
        let found =
            format!("{found}: if other nodes agree with it, what they store has expired here at once");
        Verdict::unfit(NAME, found, remedy)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const NEEDS: Needs = Needs { message_bytes_max: 65_536, history_age_ms: 600_000 };

    fn good() -> Findings {
        Findings {
            version: Some("7.0.15".to_owned()),
            valkey_version: None,
            is_cluster: Some(false),
            cluster: None,
            is_replica: Some(false),
            appendonly: Some(true),
            appendfsync: Some("everysec".to_owned()),
            save: Some("3600 1".to_owned()),
            maxmemory_bytes: Some(1 << 30),
            maxmemory_policy: Some("noeviction".to_owned()),
            output_buffers: Some(
                "normal 0 0 0 slave 268435456 67108864 60 pubsub 33554432 8388608 60".to_owned(),
            ),
            clock_ahead_ms: Some(-3),
        }
    }

    fn grade(findings: &Findings, name: &str) -> Grade {
        let verdicts = judge(findings, &NEEDS);
        for verdict in &verdicts {
            assert_eq!(verdict.grade == Grade::Good, verdict.remedy.is_empty(), "{verdict:?}");
        }
        verdicts.iter().find(|verdict| verdict.name == name).expect("the check is made").grade
    }

    #[test]
    fn a_server_as_it_should_be_is_good_in_everything() {
        let verdicts = judge(&good(), &NEEDS);
        assert!(verdicts.iter().all(|verdict| verdict.grade == Grade::Good), "{verdicts:?}");
        let valkey = Findings {
            version: Some("7.2.4".to_owned()),
            valkey_version: Some("8.0.1".to_owned()),
            ..good()
        };
        assert_eq!(grade(&valkey, "redis_version"), Grade::Good);
    }

    #[test]
    fn what_the_server_does_not_tell_is_doubted_and_not_taken_for_good() {
        let verdicts = judge(&Findings::default(), &NEEDS);
        let others: Vec<_> = verdicts.iter().filter(|verdict| verdict.name != "redis_reachable").collect();
        assert!(others.iter().all(|verdict| verdict.grade == Grade::Doubtful), "{others:?}");
    }

    #[test]
    fn versions_are_compared_by_number() {
        for (version, expected) in
            [("6.2.14", Grade::Unfit), ("7.0.0", Grade::Good), ("10.1", Grade::Good), ("x", Grade::Unfit)]
        {
            let findings = Findings { version: Some(version.to_owned()), ..good() };
            assert_eq!(grade(&findings, "redis_version"), expected, "{version}");
        }
    }

    #[test]
    fn a_cluster_serves_all_slots_and_can_lose_any_master() {
        for (state, slots, replicas, expected) in [
            ("ok", 16_384, 1, Grade::Good),
            ("ok", 16_384, 0, Grade::Doubtful),
            ("ok", 16_383, 1, Grade::Unfit),
            ("fail", 16_384, 1, Grade::Unfit),
        ] {
            let replicas = vec![("a:1".to_owned(), 1), ("b:1".to_owned(), replicas)];
            let cluster = ClusterFindings { state: Some(state.to_owned()), slots_ok: Some(slots), replicas };
            let findings =
                Findings { is_cluster: Some(true), is_replica: Some(true), cluster: Some(cluster), ..good() };
            assert_eq!(grade(&findings, "redis_cluster"), expected, "{findings:?}");
            assert_eq!(grade(&findings, "redis_role"), Grade::Good);
        }
        let silent = Findings { is_cluster: Some(true), ..good() };
        assert_eq!(grade(&silent, "redis_cluster"), Grade::Doubtful);
    }

    #[test]
    fn eviction_is_wrong_where_it_can_happen() {
        for (policy, maxmemory, expected) in [
            ("allkeys-lru", 1 << 30, Grade::Unfit),
            ("volatile-ttl", 1 << 30, Grade::Doubtful),
            ("allkeys-lru", 0, Grade::Doubtful),
            ("noeviction", 0, Grade::Good),
        ] {
            let findings = Findings {
                maxmemory_policy: Some(policy.to_owned()),
                maxmemory_bytes: Some(maxmemory),
                ..good()
            };
            assert_eq!(grade(&findings, "redis_eviction"), expected, "{policy}");
        }
    }

    #[test]
    fn persistence_says_what_a_restart_loses() {
        for (appendonly, sync, save, expected) in [
            (true, "everysec", "", Grade::Good),
            (true, "no", "", Grade::Doubtful),
            (false, "everysec", "3600 1", Grade::Doubtful),
            (false, "everysec", "", Grade::Doubtful),
        ] {
            let findings = Findings {
                appendonly: Some(appendonly),
                appendfsync: Some(sync.to_owned()),
                save: Some(save.to_owned()),
                ..good()
            };
            assert_eq!(grade(&findings, "redis_persistence"), expected, "{appendonly} {sync} {save:?}");
        }
    }

    #[test]
    fn a_buffer_that_a_message_fills_is_unfit_and_one_without_end_doubtful() {
        for (limits, expected) in [
            ("pubsub 33554432 8388608 60", Grade::Good),
            ("pubsub 1048576 0 0", Grade::Doubtful),
            ("pubsub 33554432 65536 1", Grade::Unfit),
            ("pubsub 65536 0 0", Grade::Unfit),
            ("pubsub 0 0 0", Grade::Doubtful),
            ("nonsense", Grade::Doubtful),
        ] {
            let findings = Findings { output_buffers: Some(limits.to_owned()), ..good() };
            assert_eq!(grade(&findings, "redis_pubsub"), expected, "{limits}");
        }
    }

    #[test]
    fn a_clock_is_judged_by_how_long_messages_are_kept() {
        for (ahead, expected) in [
            (1_000, Grade::Good),
            (-1_001, Grade::Doubtful),
            (600_000, Grade::Unfit),
            (i64::MIN, Grade::Unfit),
        ] {
            let findings = Findings { clock_ahead_ms: Some(ahead), ..good() };
            assert_eq!(grade(&findings, "redis_clock"), expected, "{ahead}");
        }
    }
}
